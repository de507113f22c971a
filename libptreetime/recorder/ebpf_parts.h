/* The BPF program is made of parts, one for each place in the kernel: which of them this kernel gets, and how they are
 * attached. */
#ifndef PTREETIME_RECORDER_EBPF_PARTS_H
#define PTREETIME_RECORDER_EBPF_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "ebpf_libbpf.h"
#include "ptreetime_records.h"

#define PTREETIME_KERNEL_BTF "/sys/kernel/btf/vmlinux"

/* Have those that are not for this kernel left out when the object is loaded: it takes all or none. NULL, or why what
 * is left would not see everything, in words. counts_instructions: there are counters of them. */
const char *ptreetime_parts_choose(struct bpf_object *object, bool counts_instructions);

/* Attach them, once the object is loaded; false, and errno, where the kernel refuses one that is needed. Of the control
 * it sets what is about failed execs. */
bool ptreetime_parts_attach(struct bpf_object *object, volatile struct ptreetime_control *control);

/* Attach or detach what counts failed execs but slows down every system call of the machine, where only that can; see
 * counts_execs. */
void ptreetime_parts_count_execs(volatile struct ptreetime_control *control, bool count);

/* Whether it is seen which sockets the processes connect to. */
bool ptreetime_parts_see_connections(void);

/* Attach or detach what shows when processes begin to end, where that costs something. */
void ptreetime_parts_note_last_calls(bool note);

/* How many times the kernel has kept them from running, where none may be missed (bpf_prog_info's recursion_misses,
 * since Linux 5.12). */
uint64_t ptreetime_parts_runs_left_out(void);

#endif
