/* What a process has used, read from its task: a part of ptreetime.bpf.c, which has included kernel.h before and has
 * `control`. What direct means is said at GET. */
#ifndef PTREETIME_BPF_USAGE_H
#define PTREETIME_BPF_USAGE_H

#define MAX_UNCOUNTED_NS 100000000 /* more than any tick */

/* The peak of a task's memory in bytes: the greater of the peak that the kernel noted last and what is resident now. */
static ALWAYS_INLINE u64 peak_rss_bytes(struct task_struct *task, struct mm_struct *mm, int direct) {
  s64 now = 0;
  struct task_struct___before_6_2 *counting = (void *)task;
  struct mm_struct___before_6_2 *older = (void *)mm;
  if (FIELD_EXISTS(older->rss_stat.count)) { /* whose verifiers don't see through an array of a typedef */
    now = READ(older->rss_stat.count[0].counter) + READ(older->rss_stat.count[1].counter) +
          READ(older->rss_stat.count[3].counter);
    if (FIELD_EXISTS(counting->rss_stat.count)) /* what the task has not added yet */
      now += READ(counting->rss_stat.count[0]) + READ(counting->rss_stat.count[1]) + READ(counting->rss_stat.count[3]);
  } else {
    now = GET(direct, mm->rss_stat[0].count) + GET(direct, mm->rss_stat[1].count) + GET(direct, mm->rss_stat[3].count);
  }
  s64 noted = GET(direct, mm->hiwater_rss);
  return (u64)(now > noted ? now : noted) * control.page_size;
}

static ALWAYS_INLINE struct rq *run_queue_of(struct task_struct *task) {
  if (!FIELD_EXISTS(task->se.cfs_rq) || !FIELD_EXISTS(((struct cfs_rq *)0)->rq))
    return 0;
  struct cfs_rq *queue = READ(task->se.cfs_rq);
  return queue ? READ(queue->rq) : 0;
}

/* The cpu time of the current task that the scheduler has not counted yet: it counts at ticks and at switches, so that
 * up to a tick is missing in sum_exec_runtime. */
static ALWAYS_INLINE u64 uncounted_cpu_ns(struct task_struct *task, int direct) {
  struct rq *queue = run_queue_of(task);
  if (!queue || !control.clock_offset_ns || task != bpf_get_current_task())
    return 0;
  s64 since_look = bpf_ktime_get_ns() - control.clock_offset_ns - READ(queue->clock);
  s64 before_look = READ(queue->clock_task) - GET(direct, task->se.exec_start);
  return (since_look > 0 && since_look < MAX_UNCOUNTED_NS ? since_look : 0) +
         (before_look > 0 && before_look < MAX_UNCOUNTED_NS ? before_look : 0);
}

/* Notes the time, and how far the two clocks are apart, if they were never found closer: see clock_offset_ns. */
static ALWAYS_INLINE void calibrate(struct task_struct *task) {
  struct rq *queue = run_queue_of(task);
  control.calibrated_ns = bpf_ktime_get_ns();
  if (!queue)
    return;
  u64 difference_ns = bpf_ktime_get_ns() - READ(queue->clock);
  if (difference_ns < control.calibration_ns)
    control.calibration_ns = difference_ns;
}

/* What a thread has counted; 0 where this kernel does not count. */
static ALWAYS_INLINE void read_counters(struct ptreetime_thread_counters *counters, struct task_struct *task) {
#define READ_COUNTER(name, field)                                                                                      \
  counters->name = 0;                                                                                                  \
  if (FIELD_EXISTS(task->field))                                                                                       \
    counters->name = task->field;
  PTREETIME_THREAD_COUNTERS(READ_COUNTER)
}

static ALWAYS_INLINE void add_counters(struct ptreetime_thread_counters *sum,
                                       const struct ptreetime_thread_counters *counters) {
#define ADD_COUNTER(name, field) __sync_fetch_and_add(&sum->name, counters->name);
  PTREETIME_THREAD_COUNTERS(ADD_COUNTER)
}

/* What a process has used, once its leader is its last thread. Those that have ended are in signal_struct: gone. */
static ALWAYS_INLINE void read_usage(struct ptreetime_usage *usage, struct task_struct *leader,
                                     struct signal_struct *gone, const struct ptreetime_process *process, int direct) {
  usage->cpu_ns = GET(direct, gone->sum_sched_runtime) + GET(direct, leader->se.sum_exec_runtime) +
                  uncounted_cpu_ns(leader, direct);
  usage->utime_ns = GET(direct, gone->utime) + GET(direct, leader->utime);
  usage->stime_ns = GET(direct, gone->stime) + GET(direct, leader->stime);
  usage->voluntary_switches = GET(direct, gone->nvcsw) + GET(direct, leader->nvcsw);
  usage->involuntary_switches = GET(direct, gone->nivcsw) + GET(direct, leader->nivcsw);
  usage->minor_faults = GET(direct, gone->min_flt) + GET(direct, leader->min_flt);
  usage->major_faults = GET(direct, gone->maj_flt) + GET(direct, leader->maj_flt);
#define ADD_LEADER(name, field)                                                                                        \
  usage->name = PTREETIME_UNKNOWN;                                                                                     \
  if (FIELD_EXISTS(leader->field))                                                                                     \
    usage->name = process->ended.name + GET(direct, leader->field);
  PTREETIME_THREAD_COUNTERS(ADD_LEADER)
  usage->instructions = PTREETIME_UNKNOWN;
  if (control.counts_instructions && !process->uncounted && process->instructions)
    usage->instructions = process->instructions;
  usage->failed_execs = process->failed_execs;
  if (control.counts_execs < PTREETIME_EXECS_COUNTED + process->was_short)
    usage->failed_execs = PTREETIME_UNKNOWN;
  usage->max_rss_bytes = process->max_rss_bytes;
  if (process->max_rss_bytes == PTREETIME_UNKNOWN) {
    u64 highest = GET(direct, gone->maxrss); /* of all images: it tells of the last one only if that one raised it */
    if (highest > process->earlier_max_rss_pages)
      usage->max_rss_bytes = highest * control.page_size;
  }
}

#endif
