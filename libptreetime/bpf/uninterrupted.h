/* The same programs for kernels that let one process interrupt another in the middle of a program (Linux 7): a part of
 * ptreetime.bpf.c, at its end.
 *
 * Such a kernel runs no program for a process while another one of its CPU is in the middle of the same program, and
 * tells nobody but bpf_prog_info's recursion_misses. These here can't be interrupted: a fork is taken where the
 * scheduler gets the new process, under its lock; the others come as trace events, which are handed over with
 * preemption off, and need tracefs to be attached. All of them come in the context of the process itself.
 */
#ifndef PTREETIME_BPF_UNINTERRUPTED_H
#define PTREETIME_BPF_UNINTERRUPTED_H

SECTION("tp_btf/sched_wakeup_new") int on_new_task(u64 *context) {
  return take_fork(bpf_get_current_task_btf(), (void *)context[0]);
}

SECTION("tp/sched/sched_process_exec") int on_exec_event(struct trace_event_raw_sched_process_exec *event) {
  return take_exec(bpf_get_current_task_btf(), event->old_pid);
}

SECTION("tp/sched/sched_prepare_exec") int on_prepare_exec_event(void) {
  struct task_struct *task = bpf_get_current_task_btf();
  return note_memory(task, task->mm);
}

SECTION("tp/sched/sched_process_exit") int on_exit_event(void) { return take_exit(bpf_get_current_task_btf()); }

SECTION("tp/mmap/exit_mmap") int on_memory_freed_event(void) { return improve_note(bpf_get_current_task_btf(), 1); }

#endif
