/* A program that limits its own system calls to those that it needs must not die of ours: once it has a seccomp filter,
 * nothing is logged any more. It is seen to install one through the C library (prctl, syscall). One that is inherited
 * over an exec, or installed without the C library, is not seen: to ask for it would be a call as well.
 */
#include "kernel.h"
#include "log.h"
#include "next.h"

enum {
  PR_SET_SECCOMP = 22,
  SECCOMP_SET_MODE_STRICT = 0,
  SECCOMP_SET_MODE_FILTER = 1,
};

/* Both are declared with ... in C; the kernel takes words, and words are passed alike either way on these machines. */
PTREETIME_EXPORTED int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
PTREETIME_EXPORTED long syscall(long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d,
                                unsigned long e, unsigned long f);

int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
  int result = PTREETIME_NEXT(prctl)(option, a, b, c, d);
  if (option == PR_SET_SECCOMP && result == 0)
    ptreetime_log_forget();
  return result;
}

static int installs_filter(long number, unsigned long a, unsigned long c) {
  if (number == PTREETIME_SYS_prctl)
    return a == PR_SET_SECCOMP;
  return number == PTREETIME_SYS_seccomp &&
         (a == SECCOMP_SET_MODE_STRICT || (a == SECCOMP_SET_MODE_FILTER && c != 0)); /* without one: only asked for */
}

/* Others are handed on by a jump (a sibling call): a child of vfork returns through the caller's frame, not ours. */
long syscall(long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d, unsigned long e,
             unsigned long f) {
  if (!installs_filter(number, a, c))
    return PTREETIME_NEXT(syscall)(number, a, b, c, d, e, f);
  long result = PTREETIME_NEXT(syscall)(number, a, b, c, d, e, f);
  if (result >= 0)
    ptreetime_log_forget();
  return result;
}
