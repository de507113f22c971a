/* What a traced process has used: Usage in events.py, from the cheapest source that is exact.
 *
 * What wait4 returns to the tracer that reaps a process is its own if it never forked. The rusage of one that did
 * includes its reaped children; they are traced too, so what they had is taken off, where the page faults (of which
 * /proc tells both parts) prove that the same children are meant.
 *
 * What is not to be had: the peak of an image that ended by exec. Its memory is gone when the exec stops, and what
 * remains is a maximum that is inherited over vfork and exec and mixed with the reaped children's. So it is known only
 * if the process never forked and this image raised that maximum.
 */
#ifndef PTREETIME_RECORDER_ACCOUNT_H
#define PTREETIME_RECORDER_ACCOUNT_H

#include "sink.h"
#include "tracee.h"

/* At an exec: what the process has used so far. highest_rss_bytes is ru_maxrss. */
void ptreetime_account_exec(const struct ptreetime_tracee *process, uint64_t highest_rss_bytes,
                            struct ptreetime_usage *usage);

/* When a process runs: make ready what has to be quick at its end. */
void ptreetime_account_running(struct ptreetime_tracee *process);

/* When the last thread stops at its end: the memory is still there. */
void ptreetime_account_memory(struct ptreetime_tracee *process, pid_t tid);

/* When the only thread left, the leader, has been let end: what can be read while the kernel takes it apart. */
void ptreetime_account_ending(struct ptreetime_tracee *process);

/* When a thread that is not the leader is dead and not yet reaped. */
void ptreetime_account_thread(struct ptreetime_tracee *thread);

/* When a thread is gone that could not be asked: its part of what threads count is not known. */
void ptreetime_account_vanished(struct ptreetime_tracee *process);

/* Reap the dead process: its status as wait(2) gives it, and what it has used. */
int ptreetime_account_reap(struct ptreetime_tracee *process, struct ptreetime_usage *usage);

#endif
