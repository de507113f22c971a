/* The events' way out of the recorder: a buffer of encoded events that is written to the recording's descriptor as
 * frames (events.py has the layout), when it is full, when it is old, and at the end.
 *
 * Nothing here fails in front of its caller. What could not be written is counted, the next frame that can be written
 * starts with a LOST event, and ptreetime_sink_end says in words what went wrong.
 */
#ifndef PTREETIME_RECORDER_SINK_H
#define PTREETIME_RECORDER_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ptreetime_records.h"
#include "ptreetime_wire.h"

/* Bytes of a traced process. data NULL is nil: not known. */
struct ptreetime_bytes {
  const char *data;
  size_t size;
};

#define PTREETIME_TIME_UNKNOWN UINT64_MAX

/* The two ends of an image's life, in nanoseconds or PTREETIME_TIME_UNKNOWN: from its exec until it could begin, and
 * from the last call of its process to its death. */
struct ptreetime_lags {
  uint64_t loading_ns;
  uint64_t leaving_ns;
};
#define PTREETIME_LAGS_UNKNOWN ((struct ptreetime_lags){PTREETIME_TIME_UNKNOWN, PTREETIME_TIME_UNKNOWN})

/* The end of an image and the start of the next one. args are strings that each end with a NUL, as /proc/PID/cmdline
 * has them; a rest without its NUL is one more string. usage NULL is nil. loading_ns is of the image that ends. */
struct ptreetime_exec {
  struct ptreetime_bytes name;
  struct ptreetime_bytes exe;
  struct ptreetime_bytes args;
  struct ptreetime_bytes cwd;
  const struct ptreetime_usage *usage;
  uint64_t loading_ns;
};

struct ptreetime_sink {
  int descriptor;
  off_t offset;          /* of the next frame in the file */
  unsigned char *buffer; /* frame header, array header, events */
  size_t size;           /* bytes in use, headers included */
  size_t capacity;       /* bytes allocated */
  uint32_t events;       /* in the buffer */
  uint64_t lost;         /* events that could not be written and that no LOST event has told of yet */
  uint64_t flushed_ns;   /* time of the event that was last flushed */
  int error;             /* errno of the last write that failed, 0 if none did */
};

/* Start writing to descriptor, which the sink owns from now on. */
void ptreetime_sink_open(struct ptreetime_sink *sink, int descriptor);

void ptreetime_sink_start(struct ptreetime_sink *sink, uint64_t time_ns, pid_t root_pid, uint64_t realtime_ns);
void ptreetime_sink_create(struct ptreetime_sink *sink, uint64_t time_ns, pid_t pid, pid_t parent_pid);
void ptreetime_sink_exec(struct ptreetime_sink *sink, uint64_t time_ns, pid_t pid, const struct ptreetime_exec *exec);
/* status is as wait(2) gives it, or negative for nil; usage NULL is nil. */
void ptreetime_sink_exit(struct ptreetime_sink *sink, uint64_t time_ns, pid_t pid, int status,
                         struct ptreetime_bytes name, const struct ptreetime_usage *usage, struct ptreetime_lags lags);
void ptreetime_sink_lost(struct ptreetime_sink *sink, uint64_t time_ns, uint64_t count, const char *what);
/* A process of the tree connected to a socket: pid 0, or no data, is nil. */
void ptreetime_sink_connection(struct ptreetime_sink *sink, uint64_t time_ns, pid_t pid, struct ptreetime_bytes socket);
/* alive negative is nil. */
void ptreetime_sink_end(struct ptreetime_sink *sink, uint64_t time_ns, int64_t alive);

/* Write what is in the buffer. */
void ptreetime_sink_flush(struct ptreetime_sink *sink, uint64_t time_ns);

/* Write what is left and close the descriptor. 0, or the errno because of which events are missing without a LOST
 * event that says so. */
int ptreetime_sink_close(struct ptreetime_sink *sink);

#endif
