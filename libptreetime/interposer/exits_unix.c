/* Where a program begins and where it ends, on macOS, FreeBSD and illumos.
 *
 * macOS and FreeBSD give a constructor the arguments and the environment. Inserted libraries come first on macOS, those
 * that ask for it on FreeBSD (-z initfirst). The exit that follows the return from main may be called inside the
 * system, past everything that stands in front of it: for it there is our destructor, which comes after the handlers of
 * atexit and knows no status.
 */
#include "process.h"
#include "replacement.h"
#include "system.h"

PTREETIME_EXPORTED _Noreturn void exit(int status);
PTREETIME_EXPORTED _Noreturn void _exit(int status);
PTREETIME_EXPORTED _Noreturn void _Exit(int status);

#ifdef __sun
static __attribute__((constructor)) void constructed(void) {
  const char *const *argv, *const *environment;
  if (ptreetime_system_vectors(&argv, &environment))
    ptreetime_process_started(argv, environment);
}
#else
static __attribute__((constructor)) void constructed(int argc, char **argv, char **environment) {
  (void)argc;
  ptreetime_process_started((const char *const *)argv, (const char *const *)environment);
}
#endif

static __attribute__((destructor)) void destructed(void) { ptreetime_process_ending(-1); }

_Noreturn void PTREETIME_REPLACEMENT(exit)(int status) {
  ptreetime_process_ending(status & 0xff);
  PTREETIME_NEXT(exit)(status);
  __builtin_unreachable();
}

_Noreturn void PTREETIME_REPLACEMENT(_exit)(int status) {
  ptreetime_process_ending_at_once(status & 0xff);
  PTREETIME_NEXT(_exit)(status);
  __builtin_unreachable();
}

_Noreturn void PTREETIME_REPLACEMENT(_Exit)(int status) {
  ptreetime_process_ending_at_once(status & 0xff);
  PTREETIME_NEXT(_Exit)(status);
  __builtin_unreachable();
}

PTREETIME_REPLACES(exit);
PTREETIME_REPLACES(_exit);
PTREETIME_REPLACES(_Exit);
