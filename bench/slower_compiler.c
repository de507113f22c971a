// Makes one compiler process slower, from within: a library for LD_PRELOAD.
//
// PTREETIME_SLOWER=lparser.c:5 lets the cc1 that compiles lparser.c end by using 5 % more of its own cpu time. It is
// loaded on both sides of a comparison, with 0 on the unchanged one, so that the percentage is all that differs.

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static double percent;

static double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static int ends_with(const char *text, const char *end, size_t length) {
  size_t whole = strlen(text);
  return whole >= length && strncmp(text + whole - length, end, length) == 0;
}

// glibc passes main's arguments to constructors.
__attribute__((constructor)) static void choose(int argc, char **argv) {
  const char *wanted = getenv("PTREETIME_SLOWER");
  const char *colon = wanted == NULL ? NULL : strrchr(wanted, ':');
  if (colon == NULL || argc < 1 || !ends_with(argv[0], "/cc1", 4))
    return;
  for (int i = 1; i < argc; i++)
    if (ends_with(argv[i], wanted, (size_t)(colon - wanted)))
      percent = atof(colon + 1);
}

__attribute__((destructor)) static void burn(void) {
  if (percent <= 0)
    return;
  double until = cpu_seconds() * (1 + percent / 100);
  volatile unsigned state = 1;
  while (cpu_seconds() < until)
    for (int i = 0; i < 10000; i++)
      state = state * 48271u + 11u;
}
