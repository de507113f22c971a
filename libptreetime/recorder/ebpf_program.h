/* The BPF program in the kernel, loaded and attached through libbpf (ebpf_libbpf.h). */
#ifndef PTREETIME_RECORDER_EBPF_PROGRAM_H
#define PTREETIME_RECORDER_EBPF_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ptreetime_records.h"

struct ptreetime_program {
  const char *why_uncounted;                  /* why instructions are not, or NULL */
  volatile struct ptreetime_control *control; /* shared with the program */
  int records;                                /* descriptor of the ring buffer: readable (edge) when it was woken */
  int processes;                              /* descriptor of the table of processes */
  int peers;                                  /* of the table of peers */
};

/* Load and attach it. NULL, or why it can't be, in words. What was loaded goes when the recorder exits: everything
 * hangs on descriptors. */
const char *ptreetime_program_open(struct ptreetime_program *program);

/* Call take for every record in the ring buffer. */
typedef void ptreetime_record_callback(const void *record, size_t size);
void ptreetime_program_consume(struct ptreetime_program *program, ptreetime_record_callback *take);

/* The entry after *key in the table of processes, any one to begin with (*begun false). False at the end. */
bool ptreetime_program_next_process(struct ptreetime_program *program, bool *begun, uint32_t *key,
                                    struct ptreetime_process *process);
bool ptreetime_program_find_process(struct ptreetime_program *program, uint32_t key, struct ptreetime_process *process);
void ptreetime_program_forget_process(struct ptreetime_program *program, uint32_t key);

/* Take one entry out of the table of peers. False where there is none. */
bool ptreetime_program_take_peer(struct ptreetime_program *program, struct ptreetime_peer_key *key,
                                 struct ptreetime_peer *peer);

#endif
