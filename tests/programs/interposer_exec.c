/* interposer_exec WAY PROGRAM ARG...: starts PROGRAM with these arguments (its own name first) in the way that is asked
 * for, and says on its standard output which process it started, where it knows. Ways that return an error print it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int spawned(int error, pid_t child) {
  int status = 0;
  if (error == 0)
    waitpid(child, &status, 0);
  printf("error %d child %d\n", error, error == 0 ? child : 0);
  return error == 0 ? WEXITSTATUS(status) : 1;
}

static int in_vfork(char *program, char **args) {
  int status;
  pid_t child = vfork();
  if (child == 0) {
    execv("/nonexistent/first", args);
    execv(program, args);
    _exit(126);
  }
  waitpid(child, &status, 0);
  printf("error 0 child %d\n", child);
  return WEXITSTATUS(status);
}

static int in_shell(int by_popen, const char *command) {
  char line[100];
  if (!by_popen)
    return WEXITSTATUS(system(command));
  FILE *output = popen(command, "r");
  while (fgets(line, sizeof line, output) != NULL)
    fputs(line, stdout);
  return WEXITSTATUS(pclose(output));
}

/* 300 arguments: more than the interposer has room for on its stack */
#define TEN "x", "x", "x", "x", "x", "x", "x", "x", "x", "x"
#define HUNDRED TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN, TEN
static void long_list(char *program) { execl(program, HUNDRED, HUNDRED, HUNDRED, "last", (char *)NULL); }

int main(int argc, char **argv) {
  if (argc < 4)
    return 2;
  char *way = argv[1], *program = argv[2], **args = argv + 3;
  char *const other_environment[] = {"OTHER=1", NULL};
  pid_t child = 0;
  if (strcmp(way, "posix_spawn") == 0) {
    int error = posix_spawn(&child, program, NULL, NULL, args, environ);
    return spawned(error, child);
  }
  if (strcmp(way, "posix_spawnp") == 0) {
    int error = posix_spawnp(&child, program, NULL, NULL, args, environ);
    return spawned(error, child);
  }
  if (strcmp(way, "vfork") == 0)
    return in_vfork(program, args);
  if (strcmp(way, "system") == 0 || strcmp(way, "popen") == 0)
    return in_shell(way[0] == 'p', args[0]);
  if (strcmp(way, "execve") == 0)
    execve(program, args, environ);
  if (strcmp(way, "execv") == 0)
    execv(program, args);
  if (strcmp(way, "execvp") == 0)
    execvp(program, args);
  if (strcmp(way, "execvpe") == 0)
    execvpe(program, args, environ);
  if (strcmp(way, "execl") == 0)
    execl(program, args[0], args[1], args[2], (char *)NULL);
  if (strcmp(way, "execlp") == 0)
    execlp(program, args[0], args[1], args[2], (char *)NULL);
  if (strcmp(way, "execle") == 0)
    execle(program, args[0], args[1], args[2], (char *)NULL, other_environment);
  if (strcmp(way, "execl-long") == 0)
    long_list(program);
  if (strcmp(way, "fexecve") == 0)
    fexecve(open(program, O_RDONLY | O_CLOEXEC), args, environ);
  if (strcmp(way, "execveat") == 0) {
    char *slash = strrchr(program, '/');
    *slash = '\0';
    execveat(open(program, O_PATH | O_DIRECTORY | O_CLOEXEC), slash + 1, args, environ, 0);
  }
  if (strcmp(way, "execveat-empty") == 0)
    execveat(open(program, O_PATH | O_CLOEXEC), "", args, environ, AT_EMPTY_PATH);
  printf("error %d\n", errno);
  return 1;
}
