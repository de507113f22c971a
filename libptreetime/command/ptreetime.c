/* The command `ptreetime`: notes which signals are ignored, and becomes the Python program ptreetime-main beside it.
 *
 *     ptreetime [ARGUMENT...]   becomes   ptreetime-main SIGNALS [ARGUMENT...]      SIGNALS: "13,25", "" for none
 *
 * Python ignores SIGPIPE and SIGXFSZ before its first line runs, so only what comes before Python knows how this
 * process was started, which is how the profiled command has to be started too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#define PROGRAM "ptreetime-main"
#define SIGNALS 128 /* more than any system has */

/* The numbers of the ignored signals, separated by commas. */
static void ignored_signals(char *text, size_t size) {
  size_t length = 0;
  text[0] = 0;
  for (int number = 1; number < SIGNALS; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN)
      length += (size_t)snprintf(text + length, size - length, length == 0 ? "%d" : ",%d", number);
  }
}

/* The path of this program's own file, where the system tells it; else the name that it was called by. */
static void own_path(const char *called, char *path) {
#ifdef __APPLE__
  char reported[PATH_MAX];
  uint32_t size = sizeof reported;
  if (_NSGetExecutablePath(reported, &size) == 0 && realpath(reported, path) != NULL)
    return;
#else
  if (realpath("/proc/self/exe", path) != NULL || realpath("/proc/curproc/file", path) != NULL)
    return;
#endif
  if (strchr(called, '/') == NULL || realpath(called, path) == NULL)
    path[0] = 0;
}

int main(int argc, char **argv) {
  char path[PATH_MAX + sizeof PROGRAM], numbers[SIGNALS * 4];
  char **words = calloc((size_t)argc + 3, sizeof *words);
  if (words == NULL) {
    perror("ptreetime");
    return 2;
  }
  own_path(argc > 0 ? argv[0] : "", path);
  char *slash = strrchr(path, '/');
  strcpy(slash == NULL ? path : slash + 1, PROGRAM);
  ignored_signals(numbers, sizeof numbers);
  words[0] = path;
  words[1] = numbers;
  for (int number = 1; number < argc; number++)
    words[number + 1] = argv[number];
  execvp(path, words); /* searched for in PATH where the own path is not known */
  fprintf(stderr, "ptreetime: can't run %s: %s: reinstall pytest-ptreetime\n", path, strerror(errno));
  return 2;
}
