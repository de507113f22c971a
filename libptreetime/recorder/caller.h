/* Who asked for the recordings, where the recorder has privileges that this user has not: by file capabilities, by
 * set-user-id, or under sudo. It serves this user alone, who must not get more out of it than recordings of their
 * own processes.
 *
 * So it works as this user as soon as it can: with their user and group, without any capability but the few that it
 * can't record without. What it does from then on to other processes, a signal for example, they could do themselves.
 */
#ifndef PTREETIME_RECORDER_CALLER_H
#define PTREETIME_RECORDER_CALLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The caller has all the rights that there are: nothing is kept from them. */
#define PTREETIME_CALLER_IS_ROOT UINT32_MAX

/* Find out who it is, before the environment is cleared: sudo tells by SUDO_UID and SUDO_GID. NULL, or why not. */
const char *ptreetime_caller_find(void);

/* By their numbers: older kernels' headers don't know all of their names. */
#define PTREETIME_CAP_SYS_ADMIN (UINT64_C(1) << 21)
#define PTREETIME_CAP_PERFMON (UINT64_C(1) << 38)
#define PTREETIME_CAP_BPF (UINT64_C(1) << 39)

/* Give up everything but these capabilities, if there is more; for good. */
const char *ptreetime_caller_become(uint64_t capabilities);

/* Their real user id, or PTREETIME_CALLER_IS_ROOT. */
uint32_t ptreetime_caller_uid(void);

/* Whether the process is the caller's: as /proc says, which calls those root's that have gained privileges. */
bool ptreetime_caller_owns(pid_t pid);

/* Whether events may be written to the descriptor. Some files (those of /proc and /sys, devices) take what is written
 * for a command, and ask for the rights of the writer, not of the one who opened it: a recorder with privileges writes
 * to memory files only. */
bool ptreetime_caller_may_pass(int descriptor);

#endif
