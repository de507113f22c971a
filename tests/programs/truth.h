/* What the trap programs share: saying what they did, as one JSON object on standard output, and waiting.
 *
 * A trap checks its own view with CHECK (a tracer must not change what a program sees) and exits with 99 where it is
 * not as it should be.
 */
#ifndef TRUTH_H
#define TRUTH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno);                                \
      exit(99);                                                                                                        \
    }                                                                                                                  \
  } while (0)

/* The program again, with other arguments. */
#define ITSELF "/proc/self/exe"

static inline uint64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Use so much processor time in this thread. */
static inline void burn_ms(unsigned ms) {
  struct timespec begin, now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
  do
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec < (int64_t)ms * 1000000);
}

/* Whether the process is dead, reaped or not: where process 1 is lazy, a dead orphan stays for a while. */
static inline int is_dead(pid_t pid) {
  char path[32], text[256];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "r");
  if (file == NULL)
    return 1;
  size_t size = fread(text, 1, sizeof text - 1, file);
  fclose(file);
  text[size] = '\0';
  const char *name_end = strrchr(text, ')');
  return name_end == NULL || name_end[2] == 'Z' || name_end[2] == 'X';
}

/* The status of child, which must be one. */
static inline int reaped(pid_t child) {
  int status;
  CHECK(waitpid(child, &status, __WALL) == child);
  return status;
}

static inline void run_itself(const char *argument) {
  char *arguments[] = {(char *)"itself", (char *)argument, NULL};
  execve(ITSELF, arguments, environ);
  _exit(98);
}

#endif
