/* Our library in the LD_PRELOAD of a new image, as the ptrace backend finds it. */
#ifndef PTREETIME_RECORDER_PRELOAD_H
#define PTREETIME_RECORDER_PRELOAD_H

#include "sink.h"
#include "stack.h"

/* Whether the program that stands in its exec stop is going to load our library. Where it would only be in the way, its
 * name is taken out of the program's environment, as nobody has read that yet: where the program lists libraries (ldd)
 * instead of running, and where it could not open the library and would say so (in a chroot, as another user). */
bool ptreetime_preload_is_loaded(pid_t pid, const struct ptreetime_exec *exec, const struct ptreetime_stack_rest *rest);

#endif
