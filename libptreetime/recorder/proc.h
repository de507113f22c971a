/* What /proc and the CPU clocks tell about a process that is stopped, or dead and not yet reaped.
 *
 * The build waits while this is read, so a function reads one file and parses no more of it than it returns. The
 * functions that return bool give false, and leave the result alone, where the kernel does not tell.
 */
#ifndef PTREETIME_RECORDER_PROC_H
#define PTREETIME_RECORDER_PROC_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sink.h"

/* Fill name and args. The bytes live until the next call; what can't be read is nil. */
void ptreetime_proc_program(pid_t pid, struct ptreetime_exec *exec);

/* Fill exe and cwd, likewise. */
void ptreetime_proc_places(pid_t pid, struct ptreetime_exec *exec);

/* Its command name, alone; likewise. */
struct ptreetime_bytes ptreetime_proc_name(pid_t pid);

/* From /proc/PID/status. The switches are those of this thread. */
struct ptreetime_proc_status {
  bool dead; /* and not reaped */
  pid_t process;
  pid_t parent;
  pid_t tracer;
  uint64_t voluntary_switches;
  uint64_t involuntary_switches;
};
bool ptreetime_proc_status(pid_t pid, struct ptreetime_proc_status *status);

/* From the same file: the parent, and the peak resident size where the process still has its memory. False without
 * that; the parent is 0 where it is not known either. */
bool ptreetime_proc_max_rss(pid_t pid, uint64_t *max_rss_bytes, pid_t *parent);

/* The same in two steps: a descriptor of that file, or -1, which remains good over the process's execs. */
int ptreetime_proc_open_status(pid_t pid);
bool ptreetime_proc_max_rss_in(int status, uint64_t *max_rss_bytes, pid_t *parent);

/* Page faults of the whole process, and those of its reaped children: /proc/PID/stat. */
struct ptreetime_proc_faults {
  uint64_t minor;
  uint64_t children_minor;
  uint64_t major;
  uint64_t children_major;
};
bool ptreetime_proc_faults(pid_t pid, struct ptreetime_proc_faults *faults);

/* The first children, at most limit, that this thread of the process has: /proc/PID/task/TID/children. How many. */
size_t ptreetime_proc_children(pid_t pid, pid_t tid, pid_t *children, size_t limit);

/* Of this thread alone: /proc/TID/schedstat and /proc/TID/task/TID/io; what is not told is unknown. /proc/TID/io, which
 * is found sooner, counts all threads and reaped children: it serves where there has been neither (only). */
void ptreetime_proc_counters(pid_t tid, bool only, struct ptreetime_thread_counters *counters);

/* Set the first three fields of usage from the process's CPU clocks, which cover all its threads and, when it is
 * dead and not yet reaped, its teardown (facts of kernel/time/posix-cpu-timers.c). They need no privilege. */
void ptreetime_proc_clocks(pid_t pid, struct ptreetime_usage *usage);

#endif
