/* How many instructions a process executes in user space, by a counter of the processor (perf_event).
 *
 * Each process has one counter of its own, opened while it stands at its birth; its threads are counted with it
 * (inherit_thread, Linux 5.13), the processes that it makes are not. The kernel keeps the counter through an exec, and
 * what it holds is final when the process is dead. What is counted before a process's first exec is its parent's
 * program and is left out; of one that never execs it is all that there is.
 *
 * A count is exact or unknown: where something else has used the counter meanwhile, where a thread ran on a processor
 * that has no such counter, where the kernel took the counter away (at the exec of a program that its user can't read),
 * and where there were no descriptors left.
 */
#ifndef PTREETIME_RECORDER_INSTRUCTIONS_H
#define PTREETIME_RECORDER_INSTRUCTIONS_H

#include <stdint.h>

#include "tracee.h"

/* Find out whether they can be counted: NULL, or why not (with an obstacle, where there is a remedy). */
const char *ptreetime_instructions_open(void);

/* For a BPF program: open a counter of each CPU, of whatever runs there in user space, without beginning anew. NULL, or
 * why there are none. */
const char *ptreetime_instructions_open_cpus(void);

/* The descriptor of a CPU's counter, -1 where it is off, PTREETIME_NO_CPU behind the last. */
#define PTREETIME_NO_CPU (-2)
int ptreetime_instructions_of_cpu(uint32_t cpu);

/* Begin to count a process that is stopped and has not run yet, unless that has been done or it is a thread. */
void ptreetime_instructions_begin(struct ptreetime_tracee *process);

/* At the stop of an exec: what the programs before have executed, or PTREETIME_UNKNOWN. */
uint64_t ptreetime_instructions_exec(struct ptreetime_tracee *process);

/* Of a dead process: what its programs have executed, or PTREETIME_UNKNOWN. */
uint64_t ptreetime_instructions_end(struct ptreetime_tracee *process);

/* Give the counter back. */
void ptreetime_instructions_forget(struct ptreetime_tracee *process);

#endif
