#define _GNU_SOURCE
#include "account.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "proc.h"
#include "ptrace_missing.h"

/* Far from the 1,024 descriptors that are usually allowed: the rest is for reading. */
#define MOST_FILES 256u

/* Unknown and something is unknown. */
static void add_counters(struct ptreetime_thread_counters *sum, const struct ptreetime_thread_counters *more) {
#define ADD(name, field)                                                                                               \
  sum->name =                                                                                                          \
      sum->name == PTREETIME_UNKNOWN || more->name == PTREETIME_UNKNOWN ? PTREETIME_UNKNOWN : sum->name + more->name;
  PTREETIME_THREAD_COUNTERS(ADD)
}

static void add_thread(struct ptreetime_thread_counters *sum, const struct ptreetime_tracee *thread) {
  struct ptreetime_thread_counters own;
  ptreetime_proc_counters(thread->tid, !thread->process->threaded && !thread->process->has_children, &own);
  add_counters(sum, &own);
}

/* The sums of all threads. */
static void set_counters(const struct ptreetime_tracee *process, struct ptreetime_usage *usage) {
  struct ptreetime_thread_counters sum = process->ended;
  if (!process->all_ended)
    add_thread(&sum, process);
#define SET(name, field) usage->name = sum.name;
  PTREETIME_THREAD_COUNTERS(SET)
}

static void set_faults(uint64_t minor, uint64_t major, struct ptreetime_usage *usage) {
  usage->minor_faults = minor;
  usage->major_faults = major;
}

static void set_switches(uint64_t voluntary, uint64_t involuntary, struct ptreetime_usage *usage) {
  usage->voluntary_switches = voluntary;
  usage->involuntary_switches = involuntary;
}

/* The peak of an image whose memory is gone. The kernel keeps one maximum, of all memories that the process has had and
 * of its reaped children's: it tells of the last memory only if that one has raised it. */
static void set_max_rss_if_raised(const struct ptreetime_tracee *process, uint64_t highest_bytes,
                                  struct ptreetime_usage *usage) {
  if (!process->has_children && highest_bytes > process->earlier_max_rss_bytes)
    usage->max_rss_bytes = highest_bytes;
}

void ptreetime_account_exec(const struct ptreetime_tracee *process, uint64_t highest_rss_bytes,
                            struct ptreetime_usage *usage) {
  struct ptreetime_proc_faults faults;
  struct ptreetime_proc_status status;
  uint64_t new_rss_bytes;
  pid_t parent;
  ptreetime_proc_clocks(process->tid, usage);
  if (process->images > 0 && ptreetime_proc_max_rss(process->tid, &new_rss_bytes, &parent) &&
      new_rss_bytes < highest_rss_bytes)
    set_max_rss_if_raised(process, highest_rss_bytes, usage);
  set_counters(process, usage);
  if (ptreetime_proc_faults(process->tid, &faults))
    set_faults(faults.minor, faults.major, usage);
  /* The switches of threads that are dead are not to be had before the end. */
  if (!process->threaded && ptreetime_proc_status(process->tid, &status))
    set_switches(status.voluntary_switches, status.involuntary_switches, usage);
}

/* To find and open a file of a process in /proc takes as long as to read it: done while the process runs, that is not
 * waited for. */
void ptreetime_account_running(struct ptreetime_tracee *process) {
  if (process->status_file > 0 || ptreetime_tracee_files >= MOST_FILES)
    return;
  int descriptor = ptreetime_proc_open_status(process->tid);
  if (descriptor > 0) {
    process->status_file = descriptor;
    ptreetime_tracee_files++;
  }
}

void ptreetime_account_memory(struct ptreetime_tracee *process, pid_t tid) {
  if (tid == process->tid && process->status_file > 0)
    process->max_rss_known = ptreetime_proc_max_rss_in(process->status_file, &process->max_rss_bytes, &process->reaper);
  else
    process->max_rss_known = ptreetime_proc_max_rss(tid, &process->max_rss_bytes, &process->reaper);
}

void ptreetime_account_ending(struct ptreetime_tracee *process) {
  add_thread(&process->ended, process);
  process->all_ended = true;
}

void ptreetime_account_thread(struct ptreetime_tracee *thread) { add_thread(&thread->process->ended, thread); }

void ptreetime_account_vanished(struct ptreetime_tracee *process) {
  memset(&process->ended, 0xff, sizeof process->ended);
}

static struct ptreetime_tracee *process_of(pid_t pid) {
  struct ptreetime_tracee *tracee = pid == 0 ? NULL : ptreetime_tracee_find(pid);
  return tracee != NULL && tracee->process == tracee ? tracee : NULL;
}

/* Who can reap the dead process: NULL is somebody outside of the tree. */
static struct ptreetime_tracee *reaper_of(const struct ptreetime_tracee *process) {
  struct ptreetime_proc_status status;
  struct ptreetime_tracee *reaper = process_of(process->reaper);
  if (reaper == NULL && ptreetime_proc_status(process->tid, &status)) /* it had no stop at its end, or is an orphan */
    reaper = process_of(status.parent);
  return reaper;
}

int ptreetime_account_reap(struct ptreetime_tracee *process, struct ptreetime_usage *usage) {
  struct ptreetime_proc_faults faults = {0};
  struct rusage rusage = {0};
  const struct rusage *children = &process->children_usage;
  int status;
  ptreetime_proc_clocks(process->tid, usage);
  set_counters(process, usage);
  struct ptreetime_tracee *reaper = reaper_of(process);
  bool has_reaped = process->has_children || ptreetime_missing_suspects(process, usage);
  bool children_told = !has_reaped || ptreetime_proc_faults(process->tid, &faults);
  if (has_reaped && children_told)
    ptreetime_missing_check(process, &faults);
  while (wait4(process->tid, &status, __WALL, &rusage) < 0) {
    if (errno != EINTR)
      return -1;
  }
  ptreetime_missing_dead(reaper, &rusage);
  if (process->max_rss_known)
    usage->max_rss_bytes = process->max_rss_bytes;
  else
    set_max_rss_if_raised(process, (uint64_t)rusage.ru_maxrss * 1024, usage);
  if (!children_told)
    return status;
  set_faults((uint64_t)rusage.ru_minflt - faults.children_minor, (uint64_t)rusage.ru_majflt - faults.children_major,
             usage);
  if (faults.children_minor != (uint64_t)children->ru_minflt || faults.children_major != (uint64_t)children->ru_majflt)
    return status; /* it has reaped other children than those that are known to be dead */
  set_switches((uint64_t)(rusage.ru_nvcsw - children->ru_nvcsw), (uint64_t)(rusage.ru_nivcsw - children->ru_nivcsw),
               usage);
  return status;
}
