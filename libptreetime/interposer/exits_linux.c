/* Where a program begins and where it ends: the functions of the C library that we stand in front of.
 *
 * The return from main is seen by standing in front of __libc_start_main, which is given main: the exit that follows it
 * is called inside the C library, where nothing can be put in front of it. So are the exits of err(3) and of the last
 * pthread_exit: for those there is our destructor, which comes after the handlers of atexit and knows no status.
 */
#include <stddef.h>

#include "kernel.h"
#include "next.h"
#include "process.h"

typedef int main_function(int argc, char **argv, char **environment);

PTREETIME_EXPORTED int __libc_start_main(main_function *program, int argc, char **argv, void (*init)(void),
                                         void (*fini)(void), void (*linker_fini)(void), void *stack_end);
PTREETIME_EXPORTED _Noreturn void exit(int status);
PTREETIME_EXPORTED _Noreturn void quick_exit(int status);
PTREETIME_EXPORTED _Noreturn void _exit(int status);
PTREETIME_EXPORTED _Noreturn void _Exit(int status);

extern const char *const *environ __attribute__((weak));

static main_function *program_main;

static int main_in_between(int argc, char **argv, char **environment) {
  int status = program_main(argc, argv, environment);
  ptreetime_process_ending(status & 0xff);
  return status;
}

int __libc_start_main(main_function *program, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*linker_fini)(void), void *stack_end) {
  /* musl runs the constructors later, from here */
  ptreetime_process_started((const char *const *)argv, (const char *const *)argv + argc + 1);
  program_main = program;
  return PTREETIME_NEXT(__libc_start_main)(main_in_between, argc, argv, init, fini, linker_fini, stack_end);
}

static __attribute__((constructor)) void constructed(int argc, char **argv, char **environment) {
  (void)argc;
  if (ptreetime_next_constructors_have_arguments())
    ptreetime_process_started((const char *const *)argv, (const char *const *)environment);
  else if (&environ != NULL) /* a program that starts musl in its own way */
    ptreetime_process_started(NULL, environ);
}

static __attribute__((destructor)) void destructed(void) { ptreetime_process_ending(-1); }

static _Noreturn void end(void (*next)(int status), int status) {
  if (next != NULL)
    next(status);
  ptreetime_kernel_exit(status);
}

void exit(int status) {
  ptreetime_process_ending(status & 0xff);
  end(PTREETIME_NEXT(exit), status);
}

void quick_exit(int status) {
  ptreetime_process_ending(status & 0xff);
  end(PTREETIME_NEXT(quick_exit), status);
}

/* A sanitizer may stand behind us, and change the status: it is called as well, where there is one. */
void _exit(int status) {
  ptreetime_process_ending_at_once(status & 0xff);
  end(PTREETIME_NEXT(_exit), status);
}

void _Exit(int status) {
  ptreetime_process_ending_at_once(status & 0xff);
  end(PTREETIME_NEXT(_Exit), status);
}
