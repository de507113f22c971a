/* Instructions that processes execute in user space: a part of ptreetime.bpf.c, which has `processes` before.
 *
 * The recorder opens a counter for each CPU (recorder/instructions.c), which never stops. What it has gained between
 * two looks belongs to who has run there since the first: it is looked at when a thread of the tree begins and ceases
 * to run, at its exec and at its end. Each look finds preemption off, so nothing comes between reading and noting.
 */
#ifndef PTREETIME_BPF_INSTRUCTIONS_H
#define PTREETIME_BPF_INSTRUCTIONS_H

struct {
  MAP_INTEGER(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY); /* for as many CPUs as there are */
  MAP_TYPE(key, u32);
  MAP_TYPE(value, u32);
} instruction_counters SECTION(".maps");

struct {
  MAP_INTEGER(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  MAP_INTEGER(max_entries, 1);
  MAP_TYPE(key, u32);
  MAP_TYPE(value, u64);
} counted_instructions SECTION(".maps"); /* of this CPU, at the last look */

/* Look, for a process that has run here until now, and one that will from now on; either may be none. */
static ALWAYS_INLINE void look_at_instructions(struct ptreetime_process *before, struct ptreetime_process *next) {
  struct bpf_perf_event_value value;
  u32 zero = 0;
  u64 *counted = bpf_map_lookup_elem(&counted_instructions, &zero);
  if (!counted)
    return;
  if (bpf_perf_event_read_value(&instruction_counters, BPF_F_CURRENT_CPU, &value, sizeof value)) {
    if (before) /* somebody else has the counter, or this CPU has none */
      before->uncounted = 1;
    if (next)
      next->uncounted = 1;
    return;
  }
  if (before)
    __sync_fetch_and_add(&before->instructions, value.counter - *counted);
  *counted = value.counter;
}

SECTION("tp_btf/sched_switch") int on_switch(u64 *context) {
  if (!control.generation)
    return 0;
  struct ptreetime_process *before = find_process((void *)context[1], 1);
  struct ptreetime_process *next = find_process((void *)context[2], 1);
  if (before || next)
    look_at_instructions(before, next);
  return 0;
}

/* What is counted before a process's first exec is its parent's program. */
static ALWAYS_INLINE void count_exec(struct ptreetime_process *process) {
  if (!control.counts_instructions)
    return;
  look_at_instructions(process, process);
  if (!process->exec_ns)
    process->instructions = 0;
}

static ALWAYS_INLINE void count_exit(struct ptreetime_process *process) {
  if (control.counts_instructions)
    look_at_instructions(process, 0);
}

#endif
