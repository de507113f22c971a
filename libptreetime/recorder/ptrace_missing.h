/* Processes of the tree that ptrace is not told of: those made with CLONE_UNTRACED, and all below them.
 *
 * No event tells of them, so what a process is known to have is compared with what the kernel says that it has:
 *
 *   - the page faults of the children that it has reaped (exact integers) are no more than those of the traced ones
 *     that are dead. Who reaps a process is its parent at its end; what a parent leaves unreaped, or has orphaned,
 * somebody else of the tree may reap;
 *   - its children that live at its end, or at the recording's, are traced.
 *
 * Not noticed: one that the kernel reaps itself (its parent ignores SIGCHLD), and one that outlives a parent that has
 * made nothing else.
 */
#ifndef PTREETIME_RECORDER_PTRACE_MISSING_H
#define PTREETIME_RECORDER_PTRACE_MISSING_H

#include "proc.h"
#include "recorder.h"
#include "tracee.h"

/* A recording begins. */
void ptreetime_missing_begin(void);

/* A traced process is dead, and reaper can reap it (NULL: somebody outside of the tree). */
void ptreetime_missing_dead(struct ptreetime_tracee *reaper, const struct rusage *usage);

/* Whether a dead process that has made no traced one has reaped another one all the same, as far as its cpu time says:
 * then its faults are worth being read. */
bool ptreetime_missing_suspects(const struct ptreetime_tracee *process, const struct ptreetime_usage *usage);

/* A process is dead; faults has those of all children that it has reaped. */
void ptreetime_missing_check(const struct ptreetime_tracee *process, const struct ptreetime_proc_faults *faults);

/* Look at the children that live of a process that stands at its end, or of any thread at the recording's end. */
void ptreetime_missing_look(struct ptreetime_tracee *thread);

/* Tell what was noticed. */
void ptreetime_missing_report(struct ptreetime_recording *recording, uint64_t now_ns);

#endif
