/* Records of the BPF program (ptreetime_records.h) become events of the sink. Nothing here trusts a record: sizes are
 * checked against what arrived. tests/fuzz/ebpf_records.c feeds it with anything. */
#ifndef PTREETIME_RECORDER_EBPF_RECORDS_H
#define PTREETIME_RECORDER_EBPF_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ptreetime_records.h"
#include "sink.h"

/* An exec whose arguments have not all arrived. A cpu makes one at a time. */
struct ptreetime_unfinished_exec {
  char *bytes; /* the record as it came, room for all its arguments behind it; NULL: none is under way */
  size_t size;
  size_t capacity;
};

struct ptreetime_records {
  struct ptreetime_sink *sink;
  uint32_t generation; /* records of others are dropped */
  pid_t root_pid;
  bool root_exited;
  uint64_t damaged; /* records that make no sense, and execs whose arguments did not arrive whole */
  struct ptreetime_unfinished_exec *unfinished;
  size_t cpus;                                                   /* length of unfinished */
  void (*on_exit)(struct ptreetime_records *records, pid_t pid); /* NULL: nobody asks */
};

/* Begin a recording. What was allocated for the one before is kept. */
void ptreetime_records_begin(struct ptreetime_records *records, struct ptreetime_sink *sink, uint32_t generation,
                             pid_t root_pid);

/* Take one record of size bytes, as it came out of the ring buffer. */
void ptreetime_records_take(struct ptreetime_records *records, const void *data, size_t size);

/* No more will come: what was left unfinished is written without its arguments. */
void ptreetime_records_finish(struct ptreetime_records *records);

/* Give the memory back. */
void ptreetime_records_free(struct ptreetime_records *records);

#endif
