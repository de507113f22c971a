/* The wire format, written from C. Its description and its reader are pytest_ptreetime/recording/events.py.
 *
 * A cursor writes MessagePack into memory that the caller owns: no heap, no libc, no failure visible to anyone. When
 * the memory is too small the cursor is marked as overflowed and writes nothing more, and still counts the bytes that
 * it would have taken, so that a caller can try again with enough. Everything here is safe inside other people's
 * processes.
 */
#ifndef PTREETIME_WIRE_H
#define PTREETIME_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define PTREETIME_WIRE_VERSION 1
#define PTREETIME_FRAME_HEADER_SIZE 12

/* The first element of every event; the order of its other fields is that of the classes in events.py. */
enum ptreetime_event_tag {
  PTREETIME_EVENT_START = 0,        /* time_ns root_pid realtime_ns */
  PTREETIME_EVENT_CREATE = 1,       /* time_ns pid parent_pid */
  PTREETIME_EVENT_EXEC = 2,         /* time_ns pid name exe args cwd usage loading_ns */
  PTREETIME_EVENT_EXIT = 3,         /* time_ns pid status name usage loading_ns leaving_ns */
  PTREETIME_EVENT_USER_STARTUP = 4, /* time_ns pid parent_pid user_ns sys_ns [exe args cwd] */
  PTREETIME_EVENT_USER_EXEC = 5,    /* time_ns pid parent_pid user_ns sys_ns path args */
  PTREETIME_EVENT_USER_SPAWN = 6,   /* time_ns pid parent_pid user_ns sys_ns path args child_pid */
  PTREETIME_EVENT_USER_EXIT = 7,    /* time_ns pid parent_pid user_ns sys_ns [status] */
  PTREETIME_EVENT_LOST = 8,         /* time_ns count what */
  PTREETIME_EVENT_END = 9,          /* time_ns alive */
  PTREETIME_EVENT_OUTSIDE = 10,     /* time_ns pid socket [name cpu_ns] */
};

struct ptreetime_cursor {
  unsigned char *begin;
  size_t capacity;
  size_t size; /* bytes written, or that would have been written */
};

static inline void ptreetime_cursor_byte(struct ptreetime_cursor *cursor, unsigned char byte) {
  if (cursor->size < cursor->capacity)
    cursor->begin[cursor->size] = byte;
  cursor->size++;
}

static inline void ptreetime_cursor_bytes(struct ptreetime_cursor *cursor, const void *bytes, size_t count) {
  const unsigned char *from = (const unsigned char *)bytes;
  for (size_t i = 0; i < count; i++)
    ptreetime_cursor_byte(cursor, from[i]);
}

static inline void ptreetime_cursor_big_endian(struct ptreetime_cursor *cursor, uint64_t value, unsigned bytes) {
  while (bytes-- > 0)
    ptreetime_cursor_byte(cursor, (unsigned char)(value >> (8 * bytes)));
}

static inline int ptreetime_cursor_overflowed(const struct ptreetime_cursor *cursor) {
  return cursor->size > cursor->capacity;
}

static inline void ptreetime_write_nil(struct ptreetime_cursor *cursor) { ptreetime_cursor_byte(cursor, 0xc0); }

static inline void ptreetime_write_uint(struct ptreetime_cursor *cursor, uint64_t value) {
  if (value < 0x80) {
    ptreetime_cursor_byte(cursor, (unsigned char)value);
  } else if (value <= 0xffffffffu) {
    ptreetime_cursor_byte(cursor, 0xce);
    ptreetime_cursor_big_endian(cursor, value, 4);
  } else {
    ptreetime_cursor_byte(cursor, 0xcf);
    ptreetime_cursor_big_endian(cursor, value, 8);
  }
}

static inline void ptreetime_write_array(struct ptreetime_cursor *cursor, uint32_t count) {
  if (count < 16) {
    ptreetime_cursor_byte(cursor, (unsigned char)(0x90 | count));
  } else {
    ptreetime_cursor_byte(cursor, 0xdd);
    ptreetime_cursor_big_endian(cursor, count, 4);
  }
}

/* Bytes of a traced process: MessagePack's bin. */
static inline void ptreetime_write_binary(struct ptreetime_cursor *cursor, const void *bytes, size_t count) {
  if (count < 256) {
    ptreetime_cursor_byte(cursor, 0xc4);
    ptreetime_cursor_byte(cursor, (unsigned char)count);
  } else {
    ptreetime_cursor_byte(cursor, 0xc6);
    ptreetime_cursor_big_endian(cursor, count, 4);
  }
  ptreetime_cursor_bytes(cursor, bytes, count);
}

/* Our own words, ASCII: MessagePack's str. */
static inline void ptreetime_write_text(struct ptreetime_cursor *cursor, const char *text) {
  size_t count = 0;
  while (text[count] != '\0')
    count++;
  ptreetime_cursor_byte(cursor, 0xdb);
  ptreetime_cursor_big_endian(cursor, count, 4);
  ptreetime_cursor_bytes(cursor, text, count);
}

/* Adler-32 (RFC 1950): its sums fit into 32 bits for as many bytes as ADLER_RUN. */
static inline uint32_t ptreetime_check_sum(const unsigned char *bytes, size_t count) {
  enum { ADLER_MODULUS = 65521, ADLER_RUN = 5552 };
  uint32_t low = 1, high = 0;
  while (count > 0) {
    size_t run = count < ADLER_RUN ? count : ADLER_RUN;
    count -= run;
    while (run-- > 0) {
      low += *bytes++;
      high += low;
    }
    low %= ADLER_MODULUS;
    high %= ADLER_MODULUS;
  }
  return high << 16 | low;
}

/* Fills the PTREETIME_FRAME_HEADER_SIZE bytes at header for a payload of length bytes that follows it. */
static inline void ptreetime_frame_header(unsigned char *header, uint32_t length) {
  uint32_t check_sum = ptreetime_check_sum(header + PTREETIME_FRAME_HEADER_SIZE, length);
  header[0] = 'P';
  header[1] = 'T';
  header[2] = PTREETIME_WIRE_VERSION;
  header[3] = 0;
  for (unsigned i = 0; i < 4; i++) {
    header[4 + i] = (unsigned char)(length >> (8 * i));
    header[8 + i] = (unsigned char)(check_sum >> (8 * i));
  }
}

#endif
