/* storm COUNT PROGRAM: posix_spawns PROGRAM so many times, one after the other, and prints the nanoseconds that it
 * took.
 *
 * The time is taken inside of the storm: the start and the end of a tracer are not in it.
 */
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  int count = atoi(argv[1]);
  char *arguments[] = {argv[2], NULL};
  uint64_t begin_ns = now_ns();
  for (int i = 0; i < count; i++) {
    pid_t child;
    int status;
    if (posix_spawn(&child, argv[2], NULL, NULL, arguments, environ) != 0 || waitpid(child, &status, 0) != child ||
        status != 0)
      return 1;
  }
  printf("%" PRIu64 "\n", now_ns() - begin_ns);
  return 0;
}
