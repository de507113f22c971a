/* When a traced process begins to end: at the first of its threads that leaves while the whole process ends. */
#ifndef PTREETIME_RECORDER_ENDING_H
#define PTREETIME_RECORDER_ENDING_H

#include "tracee.h"

/* Forget what was noted: a new image has begun at now_ns. */
void ptreetime_ending_forget(struct ptreetime_tracee *process, uint64_t now_ns);

/* A thread stands in its exit stop, for the first time, since now_ns; threads are left that have not. */
void ptreetime_ending_note(struct ptreetime_tracee *thread, uint64_t now_ns);

/* What is known at the death. */
struct ptreetime_lags ptreetime_ending_lags(const struct ptreetime_tracee *process, uint64_t now_ns);

#endif
