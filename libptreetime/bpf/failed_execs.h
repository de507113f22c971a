/* Counting the execs that fail, such as those of a search along PATH, for the image that was current then: a part of
 * ptreetime.bpf.c, which has included kernel.h before and has `control` and find_process. The recorder attaches one of
 * the three kinds of programs, see ebpf_program.c. */
#ifndef PTREETIME_BPF_FAILED_EXECS_H
#define PTREETIME_BPF_FAILED_EXECS_H

static ALWAYS_INLINE int count_failed_exec(s64 result) {
  struct ptreetime_process *process = result < 0 ? find_process(bpf_get_current_task(), 0) : 0;
  if (process)
    __sync_fetch_and_add(&process->failed_execs, 1);
  return 0;
}

/* For the system calls execve and execveat, whose functions are called differently on each architecture: the recorder
 * says where, if the kernel allows programs there. They cost no other system call anything. */
SECTION("fexit") int on_execve(u64 *context) { return count_failed_exec(context[1]); }

SECTION("fexit") int on_execveat(u64 *context) { return count_failed_exec(context[1]); }

/* Instead of them: the tracepoints of the two system calls, which need tracefs to be attached. The kernel's own look at
 * the number of every system call was too short to be measured. */
SECTION("tp/syscalls/sys_exit_execve") int on_execve_event(u64 *context) { return count_failed_exec(context[2]); }

SECTION("tp/syscalls/sys_exit_execveat") int on_execveat_event(u64 *context) { return count_failed_exec(context[2]); }

/* Whether the system call with these registers is execve or execveat. Most are not: the number comes first. */
static ALWAYS_INLINE int is_exec(struct pt_regs *registers) {
  struct pt_regs___x86 *x86 = (void *)registers;
  struct pt_regs___arm64 *arm64 = (void *)registers;
  u32 number = PTREETIME_NO_SYSTEM_CALL;
  if (FIELD_EXISTS(x86->orig_ax))
    number = x86->orig_ax;
  else if (FIELD_EXISTS(arm64->syscallno))
    number = arm64->syscallno;
  int long_exec = number == control.exec_numbers[0] || number == control.exec_numbers[1];
  int short_exec = number == control.exec_numbers_32[0] || number == control.exec_numbers_32[1];
  if (!long_exec && !short_exec)
    return 0;
  struct task_struct *task = bpf_get_current_task();
  int is_short = 0;
  if (FIELD_EXISTS(x86->orig_ax))
    is_short = (READ(task->thread_info.status) & TS_COMPAT) != 0;
  else if (FIELD_EXISTS(arm64->syscallno))
    is_short = (arm64->pstate & PSR_MODE32_BIT) != 0;
  return is_short ? short_exec : long_exec;
}

/* Instead of all those: it slows down every system call of the machine, by 80 ns and more, so it is attached while a
 * recording wants it, and no longer. */
SECTION("tp_btf/sys_exit") int on_system_call(u64 *context) {
  s64 result = context[1];
  return result < 0 && is_exec((void *)context[0]) ? count_failed_exec(result) : 0;
}

#endif
