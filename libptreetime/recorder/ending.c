#define _GNU_SOURCE
#include "ending.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
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

void ptreetime_ending_begin(struct ptreetime_tracee *process, uint64_t now_ns, uint64_t mailbox) {
  process->exec_ns = now_ns;
  process->last_call_ns = 0;
  process->mailbox = mailbox;
  process->loading_ns = PTREETIME_TIME_UNKNOWN;
}

/* What is there may be of another clock, that of a time namespace, or the program's own: then it is not from its life.
 */
static void read_mailbox(struct ptreetime_tracee *process, pid_t tid, uint64_t now_ns) {
  uint64_t told_ns = 0;
  for (size_t done = 0; done < sizeof told_ns; done += sizeof(long)) {
    errno = 0;
    long word = ptrace(PTRACE_PEEKDATA, tid, (void *)(uintptr_t)(process->mailbox + done), NULL);
    if (errno != 0)
      return;
    memcpy((char *)&told_ns + done, &word, sizeof word);
  }
  if (process->exec_ns <= told_ns && told_ns <= now_ns)
    process->loading_ns = told_ns - process->exec_ns;
}

void ptreetime_ending_note(struct ptreetime_tracee *thread, uint64_t now_ns) {
  struct ptreetime_tracee *process = thread->process;
  if (process->mailbox != 0)
    read_mailbox(process, thread->tid, now_ns);
  process->mailbox = 0;
  if (process->last_call_ns == 0 &&
      (process->threads == 0 || ended_by_signal(thread->tid) || calls_exit_group(thread->tid)))
    process->last_call_ns = now_ns;
}

struct ptreetime_lags ptreetime_ending_lags(const struct ptreetime_tracee *process, uint64_t now_ns) {
  struct ptreetime_lags lags = PTREETIME_LAGS_UNKNOWN;
  if (process->images > 0)
    lags.loading_ns = process->loading_ns;
  if (process->last_call_ns != 0)
    lags.leaving_ns = now_ns - process->last_call_ns;
  return lags;
}
