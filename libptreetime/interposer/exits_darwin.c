/* Where a program begins and where it ends, on macOS.
 *
 * dyld gives a constructor the arguments and the environment, and runs those of inserted libraries first. The exit that
 * follows the return from main is called by dyld itself, past every pair of the interpose section: for it there is our
 * destructor, which comes after the handlers of atexit and knows no status.
 */
#include "process.h"
#include "replacement.h"

_Noreturn void exit(int status);
_Noreturn void _exit(int status);
_Noreturn void _Exit(int status);

static __attribute__((constructor)) void constructed(int argc, char **argv, char **environment) {
  (void)argc;
  ptreetime_process_started((const char *const *)argv, (const char *const *)environment);
}

static __attribute__((destructor)) void destructed(void) { ptreetime_process_ending(-1); }

static _Noreturn void PTREETIME_REPLACEMENT(exit)(int status) {
  ptreetime_process_ending(status & 0xff);
  exit(status);
}

static _Noreturn void PTREETIME_REPLACEMENT(_exit)(int status) {
  ptreetime_process_ending_at_once(status & 0xff);
  _exit(status);
}

static _Noreturn void PTREETIME_REPLACEMENT(_Exit)(int status) {
  ptreetime_process_ending_at_once(status & 0xff);
  _Exit(status);
}

PTREETIME_REPLACES(exit);
PTREETIME_REPLACES(_exit);
PTREETIME_REPLACES(_Exit);
