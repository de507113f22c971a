/* The arguments and the name of a new image, read off its stack: a quarter of what /proc/PID/cmdline and comm cost. */
#ifndef PTREETIME_RECORDER_STACK_H
#define PTREETIME_RECORDER_STACK_H

#include <stdbool.h>
#include <sys/types.h>

#include "sink.h"

/* Fill name and args of a tracee that stands in its exec stop. The bytes live until the next call. False where the
 * stack can't be read or understood (a 32-bit program, another architecture): /proc has to be asked then. */
bool ptreetime_stack_image(pid_t pid, struct ptreetime_exec *exec);

#endif
