#define _GNU_SOURCE
#include "ending.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

/* The number of the system call that a stopped thread is in. A register set of another size is that of a program of 32
 * bits. */
static bool calls_exit_group(pid_t tid) {
#if defined(__x86_64__)
  enum { ORIG_EAX = 11, REGISTERS_32 = 17, EXIT_GROUP_32 = 252 };
  union {
    struct user_regs_struct full;
    uint32_t small[REGISTERS_32];
  } registers;
  struct iovec part = {&registers, sizeof registers};
  if (ptrace(PTRACE_GETREGSET, tid, (void *)(intptr_t)NT_PRSTATUS, &part) != 0)
    return false;
  if (part.iov_len == sizeof registers.small)
    return registers.small[ORIG_EAX] == EXIT_GROUP_32;
  return part.iov_len == sizeof registers.full && registers.full.orig_rax == SYS_exit_group;
#elif defined(__aarch64__)
  enum { ARM_SYSTEM_CALL = 0x404, EXIT_GROUP_32 = 248 };
  int number = -1;
  struct iovec part = {&number, sizeof number};
  if (ptrace(PTRACE_GETREGSET, tid, (void *)(intptr_t)ARM_SYSTEM_CALL, &part) != 0)
    return false;
  return number == SYS_exit_group || number == EXIT_GROUP_32;
#else
  (void)tid;
  return false;
#endif
}

/* A thread that ends alone has no signal in its status. One that others have ended has the status of all of them. */
static bool ended_by_signal(pid_t tid) {
  unsigned long status = 0;
  return ptrace(PTRACE_GETEVENTMSG, tid, NULL, &status) == 0 && (status & 0x7f) != 0;
}

void ptreetime_ending_forget(struct ptreetime_tracee *process, uint64_t now_ns) {
  process->exec_ns = now_ns;
  process->last_call_ns = 0;
}

void ptreetime_ending_note(struct ptreetime_tracee *thread, uint64_t now_ns) {
  struct ptreetime_tracee *process = thread->process;
  if (process->last_call_ns == 0 &&
      (process->threads == 0 || ended_by_signal(thread->tid) || calls_exit_group(thread->tid)))
    process->last_call_ns = now_ns;
}

struct ptreetime_lags ptreetime_ending_lags(const struct ptreetime_tracee *process, uint64_t now_ns) {
  struct ptreetime_lags lags = PTREETIME_LAGS_UNKNOWN;
  if (process->last_call_ns != 0)
    lags.leaving_ns = now_ns - process->last_call_ns;
  return lags;
}
