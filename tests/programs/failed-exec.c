/* Execs that fail, in three images of one process and in two children.
 *
 * The first image searches along a PATH in which the fourth directory has the program: 3. The second asks for a missing
 * file, for a script whose interpreter is missing, for a file of no known format, and by execveat for a device: 4. Its
 * forked child fails 2 times and never execs; its spawned child searches along the PATH: 3, which belong to the image
 * that was found in the end. The third image has none.
 */
#include "truth.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static char program[PATH_MAX];

/* Sets PATH to three directories that are missing and the program's own; the name under which it is found there. */
static char *set_path(void) {
  ssize_t size = readlink(ITSELF, program, sizeof program - 1);
  CHECK(size > 0);
  program[size] = '\0';
  char *slash = strrchr(program, '/'), path[PATH_MAX + 64];
  *slash = '\0';
  snprintf(path, sizeof path, "/nonexistent/1:/nonexistent/2:/nonexistent/3:%s", program);
  CHECK(setenv("PATH", path, 1) == 0);
  return slash + 1;
}

static void fail(const char *path, int error) {
  char *arguments[] = {(char *)"program", NULL};
  CHECK(execve(path, arguments, environ) == -1 && errno == error);
}

static void fail_with_content(const char *content, int error) {
  char path[] = "/tmp/failed-exec-XXXXXX";
  int file = mkstemp(path);
  CHECK(file >= 0 && write(file, content, strlen(content)) == (ssize_t)strlen(content) && fchmod(file, 0755) == 0);
  close(file);
  fail(path, error);
  unlink(path);
}

static void second_image(void) {
  char *arguments[] = {(char *)"itself", (char *)"child", NULL};
  fail("/nonexistent", ENOENT);
  fail_with_content("#!/nonexistent/interpreter\n", ENOENT);
  fail_with_content("not a program\n", ENOEXEC);
  CHECK(syscall(SYS_execveat, AT_FDCWD, "/dev/null", arguments, environ, 0) == -1 && errno == EACCES);
  pid_t forked = fork(), spawned;
  if (forked == 0) {
    fail("/nonexistent", ENOENT);
    fail("/dev/null", EACCES);
    _exit(0);
  }
  CHECK(reaped(forked) == 0);
  CHECK(posix_spawnp(&spawned, set_path(), NULL, NULL, arguments, environ) == 0);
  CHECK(reaped(spawned) == 0);
  printf("{\"pid\": %d, \"forked\": %d, \"spawned\": %d}\n", (int)getpid(), (int)forked, (int)spawned);
  fflush(stdout);
  run_itself("last");
}

int main(int argc, char **argv) {
  const char *image = argc == 2 ? argv[1] : "first";
  char *arguments[] = {(char *)"itself", (char *)"second", NULL};
  if (strcmp(image, "first") == 0)
    execvp(set_path(), arguments);
  else if (strcmp(image, "second") == 0)
    second_image();
  return strcmp(image, "last") == 0 || strcmp(image, "child") == 0 ? 0 : 98;
}
