#define _GNU_SOURCE
#include "account.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"
#include "ptrace_missing.h"

/* The unit of ru_inblock and ru_oublock, whatever the device: task_io_get_inblock in the kernel. */
#define BLOCK_BYTES 512u

/* Far from the 1,024 descriptors that are usually allowed: the rest is for reading. */
#define MOST_FILES 256u

/* A kernel without CONFIG_TASK_IO_ACCOUNTING has no /proc/PID/io, and zeros in rusage. */
static bool kernel_counts_io(void) {
  static int counts = -1;
  if (counts < 0)
    counts = access("/proc/self/io", F_OK) == 0;
  return counts != 0;
}

static void set_run_delay(const struct ptreetime_tracee *process, struct ptreetime_usage *usage) {
  uint64_t run_delay_ns = 0;
  if (!process->run_delay_unknown &&
      (process->run_delay_complete || ptreetime_proc_run_delay(process->tid, &run_delay_ns)))
    ptreetime_usage_set(usage, PTREETIME_USAGE_RUN_DELAY_NS, process->run_delay_ns + run_delay_ns);
}

static void set_faults(uint64_t minor, uint64_t major, struct ptreetime_usage *usage) {
  ptreetime_usage_set(usage, PTREETIME_USAGE_MINOR_FAULTS, minor);
  ptreetime_usage_set(usage, PTREETIME_USAGE_MAJOR_FAULTS, major);
}

static void set_switches(uint64_t voluntary, uint64_t involuntary, struct ptreetime_usage *usage) {
  ptreetime_usage_set(usage, PTREETIME_USAGE_VOLUNTARY_SWITCHES, voluntary);
  ptreetime_usage_set(usage, PTREETIME_USAGE_INVOLUNTARY_SWITCHES, involuntary);
}

static void set_io(uint64_t read_bytes, uint64_t written_bytes, struct ptreetime_usage *usage) {
  ptreetime_usage_set(usage, PTREETIME_USAGE_READ_BYTES, read_bytes);
  ptreetime_usage_set(usage, PTREETIME_USAGE_WRITTEN_BYTES, written_bytes);
}

/* The peak of an image whose memory is gone. The kernel keeps one maximum, of all memories that the process has had and
 * of its reaped children's: it tells of the last memory only if that one has raised it. */
static void set_max_rss_if_raised(const struct ptreetime_tracee *process, uint64_t highest_bytes,
                                  struct ptreetime_usage *usage) {
  if (!process->has_children && highest_bytes > process->earlier_max_rss_bytes)
    ptreetime_usage_set(usage, PTREETIME_USAGE_MAX_RSS_BYTES, highest_bytes);
}

void ptreetime_account_exec(const struct ptreetime_tracee *process, uint64_t highest_rss_bytes,
                            struct ptreetime_usage *usage) {
  struct ptreetime_proc_faults faults;
  struct ptreetime_proc_status status;
  uint64_t read_bytes, written_bytes, new_rss_bytes;
  pid_t parent;
  ptreetime_proc_clocks(process->tid, usage);
  if (process->images > 0 && ptreetime_proc_max_rss(process->tid, &new_rss_bytes, &parent) &&
      new_rss_bytes < highest_rss_bytes)
    set_max_rss_if_raised(process, highest_rss_bytes, usage);
  set_run_delay(process, usage);
  if (ptreetime_proc_faults(process->tid, &faults))
    set_faults(faults.minor, faults.major, usage);
  /* The switches of threads that are dead are not to be had before the end. */
  if (!process->threaded && ptreetime_proc_status(process->tid, &status))
    set_switches(status.voluntary_switches, status.involuntary_switches, usage);
  if (ptreetime_proc_io(process->tid, &read_bytes, &written_bytes))
    set_io(read_bytes, written_bytes, usage);
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
  uint64_t run_delay_ns;
  process->run_delay_complete = ptreetime_proc_run_delay(process->tid, &run_delay_ns);
  if (process->run_delay_complete)
    process->run_delay_ns += run_delay_ns;
}

void ptreetime_account_thread(struct ptreetime_tracee *thread) {
  uint64_t run_delay_ns;
  if (ptreetime_proc_run_delay(thread->tid, &run_delay_ns))
    thread->process->run_delay_ns += run_delay_ns;
  else
    thread->process->run_delay_unknown = true;
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
  set_run_delay(process, usage);
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
    ptreetime_usage_set(usage, PTREETIME_USAGE_MAX_RSS_BYTES, process->max_rss_bytes);
  else
    set_max_rss_if_raised(process, (uint64_t)rusage.ru_maxrss * 1024, usage);
  if (!children_told)
    return status;
  set_faults((uint64_t)rusage.ru_minflt - faults.children_minor, (uint64_t)rusage.ru_majflt - faults.children_major,
             usage);
  if (faults.children_minor != (uint64_t)children->ru_minflt ||
      faults.children_major != (uint64_t)children->ru_majflt)
    return status; /* it has reaped other children than those that are known to be dead */
  set_switches((uint64_t)(rusage.ru_nvcsw - children->ru_nvcsw), (uint64_t)(rusage.ru_nivcsw - children->ru_nivcsw),
               usage);
  if (kernel_counts_io())
    set_io((uint64_t)(rusage.ru_inblock - children->ru_inblock) * BLOCK_BYTES,
           (uint64_t)(rusage.ru_oublock - children->ru_oublock) * BLOCK_BYTES, usage);
  return status;
}
