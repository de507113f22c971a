/* How tracees come into a ptrace recording: told of by their maker's stop, or met at their own first stop before that.
 */
#ifndef PTREETIME_RECORDER_PTRACE_BIRTH_H
#define PTREETIME_RECORDER_PTRACE_BIRTH_H

#include <sys/ptrace.h>

#include "recorder.h"
#include "tracee.h"

/* What every tracee is attached with. */
#define PTREETIME_PTRACE_OPTIONS                                                                                       \
  (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT)

/* Tracees that stand at their first stop because nobody has told of them yet. */
extern unsigned ptreetime_birth_held;

/* From now on births belong to this recording. */
void ptreetime_birth_begin(struct ptreetime_recording *recording);

/* Let a stopped tracee go on, with a signal or 0. */
void ptreetime_birth_resume(pid_t tid, int signal);

/* Take a tracee's stop, which waitid(WNOWAIT) has only shown, so that it is not shown again before it is answered. */
void ptreetime_birth_take_stop(pid_t tid);

/* A thread or a process has been made by maker: it, or NULL if it is known already. Its own first stop may have come
 * before, and then it is held; it may even have been adopted, and died, before. */
struct ptreetime_tracee *ptreetime_birth_told(pid_t tid, struct ptreetime_tracee *maker, uint64_t time_ns);

/* One that nobody has told of has stopped or ended: it is held from now on. NULL without memory. */
struct ptreetime_tracee *ptreetime_birth_met(pid_t tid);

/* Who made this one is not going to be told, or not soon: its maker may have been killed before it could stop. Then its
 * parent, as the kernel has it now, is taken for it. */
void ptreetime_birth_adopt(struct ptreetime_tracee *tracee);
void ptreetime_birth_adopt_all(void); /* that are held */

/* A parent in vfork would only go to sleep until its child has exec'ed or ended. It is left stopped for as long: that
 * spares waking it twice. */
void ptreetime_birth_keep_in_vfork(struct ptreetime_tracee *parent, struct ptreetime_tracee *child);
void ptreetime_birth_end_vfork(struct ptreetime_tracee *child);

#endif
