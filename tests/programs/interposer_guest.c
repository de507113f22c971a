/* interposer_guest WAY [ARG]: what a program may do to a library that is its guest, and what it may ask of it. Exits
 * with 0 where it found everything as it should be. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int close_everything(void) {
  for (int descriptor = 0; descriptor < 1024; descriptor++)
    close(descriptor);
  pid_t child = fork();
  if (child == 0)
    _exit(0);
  waitpid(child, NULL, 0);
  return open("/dev/null", O_RDONLY) == 0 ? 0 : 1; /* the lowest number is free: nobody holds it */
}

static void check_errno(void) {
  if (errno != 4321)
    _exit(1);
}

static int keep_errno(const char *self) {
  char *const args[] = {"self", "nothing", NULL};
  char *const missing[] = {"missing", NULL};
  pid_t child;
  errno = 1234;
  if (posix_spawn(&child, self, NULL, NULL, args, environ) != 0 || errno != 1234)
    return 1;
  waitpid(child, NULL, 0);
  errno = 1234;
  if ((child = fork()) == 0)
    _exit(errno == 1234 ? 0 : 1);
  int status;
  if (errno != 1234 || waitpid(child, &status, 0) != child || status != 0)
    return 2;
  if (execv("/nonexistent/program", missing) != -1 || errno != ENOENT)
    return 3;
  if (posix_spawn(&child, "/nonexistent/program", NULL, NULL, missing, environ) != ENOENT)
    return 4;
  atexit(check_errno);
  errno = 4321;
  return 0;
}

static int limit_files(void) {
  struct rlimit none = {0, RLIM_INFINITY};
  return setrlimit(RLIMIT_FSIZE, &none) == 0 ? 0 : 1;
}

/* the limit's signal was blocked and pending already: it has to stay so */
static int limit_files_pending(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGXFSZ);
  if (limit_files() != 0 || sigprocmask(SIG_BLOCK, &set, NULL) != 0 || raise(SIGXFSZ) != 0)
    return 1;
  pid_t child = fork();
  if (child == 0)
    _exit(0);
  waitpid(child, NULL, 0);
  sigpending(&set);
  return sigismember(&set, SIGXFSZ) == 1 ? 0 : 2;
}

struct work {
  const char *self;
  int number, count;
};

/* Each child is told its thread and its turn, and its pid is printed with them. */
static void *spawn_many(void *given) {
  struct work *work = given;
  for (int i = 0; i < work->count; i++) {
    char name[40], line[80];
    snprintf(name, sizeof name, "%d.%d", work->number, i);
    char *const args[] = {name, "nothing", name, NULL};
    pid_t child;
    if (posix_spawn(&child, work->self, NULL, NULL, args, environ) != 0)
      abort();
    snprintf(line, sizeof line, "%d %s\n", child, name);
    if (write(1, line, strlen(line)) < 0)
      abort();
    waitpid(child, NULL, 0);
  }
  return NULL;
}

static int spawn_in_threads(const char *self, int count) {
  pthread_t threads[8];
  struct work works[8];
  for (int i = 0; i < 8; i++) {
    works[i] = (struct work){self, i, count};
    pthread_create(&threads[i], NULL, spawn_many, &works[i]);
  }
  for (int i = 0; i < 8; i++)
    pthread_join(threads[i], NULL);
  return 0;
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "nothing", *self = "/proc/self/exe";
  if (strcmp(way, "nothing") == 0)
    return 0;
  if (strcmp(way, "close") == 0)
    return close_everything();
  if (strcmp(way, "errno") == 0)
    return keep_errno(self);
  if (strcmp(way, "limit") == 0)
    return limit_files();
  if (strcmp(way, "limit-pending") == 0)
    return limit_files_pending();
  if (strcmp(way, "clearenv") == 0)
    return clearenv();
  if (strcmp(way, "unlink") == 0)
    return unlink(argv[2]);
  if (strcmp(way, "chroot") == 0)
    return chroot(argv[2]) == 0 && chdir("/") == 0 ? 0 : 77;
  if (strcmp(way, "threads") == 0)
    return spawn_in_threads(self, atoi(argv[2]));
  return 2;
}
