/* The arguments and the name of a new image, read off its stack: a quarter of what /proc/PID/cmdline and comm cost. */
#ifndef PTREETIME_RECORDER_STACK_H
#define PTREETIME_RECORDER_STACK_H

#include <stdbool.h>
#include <sys/types.h>

#include "sink.h"

/* What a program finds beside its arguments. */
struct ptreetime_stack_rest {
  uint64_t address;        /* of the environment; 0: it could not be read, or there is none */
  char *environment;       /* strings that each end with a NUL, in memory that lives as long as the arguments do */
  size_t environment_size; /* bytes */
  uint64_t mailbox;        /* the address of the last word of the stack, or 0 */
  uint64_t user;           /* the effective one, as the program sees it */
};

/* Fill name and args, and rest, of a tracee that stands in its exec stop. The bytes live until the next call. False
 * where the stack can't be read or understood (another architecture): /proc has to be asked then. */
bool ptreetime_stack_image(pid_t pid, struct ptreetime_exec *exec, struct ptreetime_stack_rest *rest);

#endif
