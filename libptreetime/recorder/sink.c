#define _GNU_SOURCE
#include "sink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A frame is written when it has grown to this, or when its first event is this old: a reader that follows the file
 * sees progress, and a recorder that is killed loses little. */
#define FRAME_BYTES (64u << 10)
#define FRAME_AGE_NS 200000000u

/* The count of a frame's events is known last, so the array header has its longest form: 0xdd and four bytes. */
#define ARRAY_HEADER_SIZE 5
#define HEADERS_SIZE (PTREETIME_FRAME_HEADER_SIZE + ARRAY_HEADER_SIZE)

#define LOST_WORDS "events could not be written"

void ptreetime_sink_open(struct ptreetime_sink *sink, int descriptor) {
  unsigned char *buffer = sink->buffer;
  size_t capacity = sink->capacity;
  memset(sink, 0, sizeof *sink);
  sink->buffer = buffer; /* kept from the recording before */
  sink->capacity = capacity;
  sink->descriptor = descriptor;
  sink->size = HEADERS_SIZE;
}

static bool grow(struct ptreetime_sink *sink, size_t wanted) {
  if (wanted <= sink->capacity)
    return true;
  size_t capacity = 2 * FRAME_BYTES;
  while (capacity < wanted)
    capacity *= 2;
  unsigned char *buffer = realloc(sink->buffer, capacity);
  if (buffer == NULL)
    return false;
  sink->buffer = buffer;
  sink->capacity = capacity;
  return true;
}

/* pwrite at our own offset: a frame that was written in part (disk full) is overwritten by the next one. */
static bool write_frame(struct ptreetime_sink *sink) {
  size_t written = 0;
  while (written < sink->size) {
    ssize_t count =
        pwrite(sink->descriptor, sink->buffer + written, sink->size - written, sink->offset + (off_t)written);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0) {
      sink->error = count < 0 ? errno : ENOSPC;
      return false;
    }
    written += (size_t)count;
  }
  sink->offset += (off_t)written;
  return true;
}

static struct ptreetime_cursor cursor_at_end(const struct ptreetime_sink *sink) {
  struct ptreetime_cursor cursor = {sink->buffer, sink->capacity, sink->size};
  return cursor;
}

static void write_lost(struct ptreetime_cursor *cursor, uint64_t time_ns, uint64_t count, const char *what) {
  ptreetime_write_array(cursor, 4);
  ptreetime_write_uint(cursor, PTREETIME_EVENT_LOST);
  ptreetime_write_uint(cursor, time_ns);
  ptreetime_write_uint(cursor, count);
  ptreetime_write_text(cursor, what);
}

void ptreetime_sink_flush(struct ptreetime_sink *sink, uint64_t time_ns) {
  sink->flushed_ns = time_ns;
  uint64_t lost_before = sink->lost;
  uint32_t events = sink->events;
  if (events == 0 && lost_before == 0)
    return;
  if (lost_before > 0) {
    struct ptreetime_cursor cursor = cursor_at_end(sink);
    write_lost(&cursor, time_ns, lost_before, LOST_WORDS);
    if (!ptreetime_cursor_overflowed(&cursor)) {
      sink->size = cursor.size;
      sink->events++;
      sink->lost = 0;
    }
  }
  if (sink->events > 0) {
    struct ptreetime_cursor count = {sink->buffer, HEADERS_SIZE, PTREETIME_FRAME_HEADER_SIZE};
    ptreetime_cursor_byte(&count, 0xdd);
    ptreetime_cursor_big_endian(&count, sink->events, 4);
    ptreetime_frame_header(sink->buffer, (uint32_t)(sink->size - PTREETIME_FRAME_HEADER_SIZE));
    if (!write_frame(sink))
      sink->lost = lost_before + events;
  }
  sink->size = HEADERS_SIZE;
  sink->events = 0;
}

/* Take the event that was written at cursor into the frame. False: the buffer was too small, has been made larger,
 * and the event has to be written once more. */
static bool commit(struct ptreetime_sink *sink, const struct ptreetime_cursor *cursor, uint64_t time_ns) {
  if (!ptreetime_cursor_overflowed(cursor)) {
    sink->size = cursor->size;
    sink->events++;
    if (sink->size >= FRAME_BYTES || time_ns - sink->flushed_ns >= FRAME_AGE_NS)
      ptreetime_sink_flush(sink, time_ns);
    return true;
  }
  size_t event_size = cursor->size - sink->size;
  ptreetime_sink_flush(sink, time_ns);
  if (grow(sink, sink->size + event_size))
    return false;
  sink->error = ENOMEM;
  sink->lost++;
  return true;
}

static void write_bytes(struct ptreetime_cursor *cursor, struct ptreetime_bytes bytes) {
  if (bytes.data == NULL)
    ptreetime_write_nil(cursor);
  else
    ptreetime_write_binary(cursor, bytes.data, bytes.size);
}

static void write_strings(struct ptreetime_cursor *cursor, struct ptreetime_bytes strings) {
  if (strings.data == NULL) {
    ptreetime_write_nil(cursor);
    return;
  }
  const char *end = strings.data + strings.size;
  uint32_t count = 0;
  for (const char *at = strings.data; at < end; count++) {
    const char *nul = memchr(at, '\0', (size_t)(end - at));
    at = nul == NULL ? end : nul + 1;
  }
  ptreetime_write_array(cursor, count);
  for (const char *at = strings.data; at < end;) {
    const char *nul = memchr(at, '\0', (size_t)(end - at));
    const char *stop = nul == NULL ? end : nul;
    ptreetime_write_binary(cursor, at, (size_t)(stop - at));
    at = nul == NULL ? end : nul + 1;
  }
}

static void write_number(struct ptreetime_cursor *cursor, uint64_t time_ns) {
  if (time_ns == PTREETIME_TIME_UNKNOWN)
    ptreetime_write_nil(cursor);
  else
    ptreetime_write_uint(cursor, time_ns);
}

static void write_usage(struct ptreetime_cursor *cursor, const struct ptreetime_usage *usage) {
  if (usage == NULL) {
    ptreetime_write_nil(cursor);
    return;
  }
  ptreetime_write_array(cursor, PTREETIME_USAGE_FIELDS);
#define WRITE_FIELD(name) write_number(cursor, usage->name);
  PTREETIME_USAGE(WRITE_FIELD)
}

static void write_head(struct ptreetime_cursor *cursor, uint32_t fields, enum ptreetime_event_tag tag,
                       uint64_t time_ns) {
  ptreetime_write_array(cursor, fields + 1);
  ptreetime_write_uint(cursor, tag);
  ptreetime_write_uint(cursor, time_ns);
}

void ptreetime_sink_start(struct ptreetime_sink *sink, uint64_t time_ns, pid_t root_pid, uint64_t realtime_ns) {
  struct ptreetime_cursor cursor;
  do {
    cursor = cursor_at_end(sink);
    write_head(&cursor, 3, PTREETIME_EVENT_START, time_ns);
    ptreetime_write_uint(&cursor, (uint64_t)root_pid);
    ptreetime_write_uint(&cursor, realtime_ns);
  } while (!commit(sink, &cursor, time_ns));
}

void ptreetime_sink_create(struct ptreetime_sink *sink, uint64_t time_ns, pid_t pid, pid_t parent_pid) {
  struct ptreetime_cursor cursor;
  do {
    cursor = cursor_at_end(sink);
    write_head(&cursor, 3, PTREETIME_EVENT_CREATE, time_ns);
    ptreetime_write_uint(&cursor, (uint64_t)pid);
    ptreetime_write_uint(&cursor, (uint64_t)parent_pid);
  } while (!commit(sink, &cursor, time_ns));
}

void ptreetime_sink_exec(struct ptreetime_sink *sink, uint64_t time_ns, pid_t pid, const struct ptreetime_exec *exec) {
  struct ptreetime_cursor cursor;
  do {
    cursor = cursor_at_end(sink);
    write_head(&cursor, 8, PTREETIME_EVENT_EXEC, time_ns);
    ptreetime_write_uint(&cursor, (uint64_t)pid);
    write_bytes(&cursor, exec->name);
    write_bytes(&cursor, exec->exe);
    write_strings(&cursor, exec->args);
    write_bytes(&cursor, exec->cwd);
    write_usage(&cursor, exec->usage);
    write_number(&cursor, exec->loading_ns);
  } while (!commit(sink, &cursor, time_ns));
}

void ptreetime_sink_exit(struct ptreetime_sink *sink, uint64_t time_ns, pid_t pid, int status,
                         struct ptreetime_bytes name, const struct ptreetime_usage *usage, struct ptreetime_lags lags) {
  struct ptreetime_cursor cursor;
  do {
    cursor = cursor_at_end(sink);
    write_head(&cursor, 7, PTREETIME_EVENT_EXIT, time_ns);
    ptreetime_write_uint(&cursor, (uint64_t)pid);
    if (status < 0)
      ptreetime_write_nil(&cursor);
    else
      ptreetime_write_uint(&cursor, (uint64_t)status);
    write_bytes(&cursor, name);
    write_usage(&cursor, usage);
    write_number(&cursor, lags.loading_ns);
    write_number(&cursor, lags.leaving_ns);
  } while (!commit(sink, &cursor, time_ns));
}

void ptreetime_sink_lost(struct ptreetime_sink *sink, uint64_t time_ns, uint64_t count, const char *what) {
  struct ptreetime_cursor cursor;
  do {
    cursor = cursor_at_end(sink);
    write_lost(&cursor, time_ns, count, what);
  } while (!commit(sink, &cursor, time_ns));
}

void ptreetime_sink_connection(struct ptreetime_sink *sink, uint64_t time_ns, pid_t pid,
                               struct ptreetime_bytes socket) {
  struct ptreetime_cursor cursor;
  do {
    cursor = cursor_at_end(sink);
    write_head(&cursor, 3, PTREETIME_EVENT_OUTSIDE, time_ns);
    write_number(&cursor, pid > 0 ? (uint64_t)pid : PTREETIME_TIME_UNKNOWN);
    write_bytes(&cursor, socket);
  } while (!commit(sink, &cursor, time_ns));
}

void ptreetime_sink_end(struct ptreetime_sink *sink, uint64_t time_ns, int64_t alive) {
  struct ptreetime_cursor cursor;
  do {
    cursor = cursor_at_end(sink);
    write_head(&cursor, 2, PTREETIME_EVENT_END, time_ns);
    if (alive < 0)
      ptreetime_write_nil(&cursor);
    else
      ptreetime_write_uint(&cursor, (uint64_t)alive);
  } while (!commit(sink, &cursor, time_ns));
  ptreetime_sink_flush(sink, time_ns);
}

int ptreetime_sink_close(struct ptreetime_sink *sink) {
  ptreetime_sink_flush(sink, sink->flushed_ns);
  if (sink->lost > 0) /* one more try, for the LOST event alone: a full disk may have room for that */
    ptreetime_sink_flush(sink, sink->flushed_ns);
  /* Cut off a frame that was written in part. */
  if (sink->error != 0 && ftruncate(sink->descriptor, sink->offset) != 0)
    sink->lost++; /* its reader will find the damage; here it must not go unnoticed */
  close(sink->descriptor);
  sink->descriptor = -1;
  return sink->lost > 0 ? sink->error : 0;
}
