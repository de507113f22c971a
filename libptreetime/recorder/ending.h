/* When a traced process begins to end: at the first of its threads that leaves while the whole process ends. Its memory
 * is still there then, and in it the word that our library has left of when the program began (mailbox_linux.c). */
#ifndef PTREETIME_RECORDER_ENDING_H
#define PTREETIME_RECORDER_ENDING_H

#include "tracee.h"

/* A new image has begun at now_ns. mailbox is the address of the word that it will leave, or 0. */
void ptreetime_ending_begin(struct ptreetime_tracee *process, uint64_t now_ns, uint64_t mailbox);

/* A thread stands in its exit stop, for the first time, since now_ns; threads are left that have not. */
void ptreetime_ending_note(struct ptreetime_tracee *thread, uint64_t now_ns);

/* What is known at the death. */
struct ptreetime_lags ptreetime_ending_lags(const struct ptreetime_tracee *process, uint64_t now_ns);

#endif
