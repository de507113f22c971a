/* sink-events: writes every event that the recorder can write, through its sink, to standard output (a file).
 * sink-events wire: the events of the interposer, with the wire format's own functions, in one frame.
 * sink-events full: to a device that is always full, and prints what the sink says of it.
 */
#include "truth.h"
#include <fcntl.h>
#include <limits.h>

#include "../../libptreetime/recorder/sink.h"

#define BYTES(literal) ((struct ptreetime_bytes){(literal), sizeof(literal) - 1})
#define UNKNOWN PTREETIME_TIME_UNKNOWN
#define NIL ((struct ptreetime_bytes){NULL, 0})

static void write_through_sink(int descriptor) {
  static struct ptreetime_sink sink;
  struct ptreetime_usage usage, nothing = PTREETIME_USAGE_UNKNOWN;
  for (unsigned field = 0; field < PTREETIME_USAGE_FIELDS; field++) /* none is UINT64_MAX: that is nil */
    ((uint64_t *)&usage)[field] = field % 3 == 0 ? UINT64_MAX - 1 - field : field * 100;
  ptreetime_sink_open(&sink, descriptor);
  ptreetime_sink_start(&sink, 1, 127, UINT64_MAX);
  ptreetime_sink_create(&sink, 2, INT_MAX, 128);
  struct ptreetime_exec exec = {BYTES("na\xffme"), BYTES("/bin/\xfe"), BYTES("a\0\0b c\0last"), BYTES("/"), &usage, 0};
  ptreetime_sink_exec(&sink, 3, 128, &exec);
  ptreetime_sink_exec(&sink, 4, 128, &(struct ptreetime_exec){NIL, NIL, NIL, NIL, NULL, UNKNOWN});
  size_t size = 3u << 20; /* an event that is larger than the buffer */
  char *large = malloc(size);
  CHECK(large != NULL);
  memset(large, 'x', size);
  for (size_t at = 99; at < size; at += 100)
    large[at] = '\0';
  ptreetime_sink_exec(&sink, 5, 128,
                      &(struct ptreetime_exec){BYTES(""), NIL, {large, size}, BYTES("/tmp"), &nothing, 70000});
  free(large);
  ptreetime_sink_exit(&sink, 6, 128, 256, BYTES("name"), &usage, (struct ptreetime_lags){1, UINT64_MAX - 1});
  ptreetime_sink_exit(&sink, 7, 129, -1, NIL, NULL, PTREETIME_LAGS_UNKNOWN);
  ptreetime_sink_lost(&sink, 8, 70000, "records of CPU 1");
  for (uint64_t i = 0; i < 20000; i++) /* several frames */
    ptreetime_sink_create(&sink, 0x100000000u + i, (pid_t)i, 1);
  ptreetime_sink_end(&sink, 9, -1);
  ptreetime_sink_end(&sink, UINT64_MAX, 3);
  CHECK(ptreetime_sink_close(&sink) == 0);
  free(sink.buffer);
}

static void write_full(void) {
  static struct ptreetime_sink sink;
  ptreetime_sink_open(&sink, open("/dev/full", O_WRONLY));
  for (int i = 0; i < 10; i++)
    ptreetime_sink_create(&sink, (uint64_t)i * 1000000000u, i, 1); /* each is old enough to be written at once */
  unsigned long long lost = sink.lost;
  int error = ptreetime_sink_close(&sink);
  printf("{\"lost\": %llu, \"error\": %d}\n", lost, error);
  free(sink.buffer);
}

static void head(struct ptreetime_cursor *cursor, uint32_t fields, enum ptreetime_event_tag tag) {
  ptreetime_write_array(cursor, fields);
  ptreetime_write_uint(cursor, tag);
  for (uint64_t number = 1; number <= 5; number++) /* time_ns pid parent_pid user_ns sys_ns */
    ptreetime_write_uint(cursor, number);
}

static size_t encode(unsigned char *buffer, size_t capacity) {
  struct ptreetime_cursor cursor = {buffer, capacity, PTREETIME_FRAME_HEADER_SIZE};
  ptreetime_write_array(&cursor, 17);
  for (int i = 0; i < 13; i++) {
    head(&cursor, 6, PTREETIME_EVENT_USER_EXIT);
  }
  head(&cursor, 9, PTREETIME_EVENT_USER_STARTUP);
  ptreetime_write_binary(&cursor, "/exe", 4);
  ptreetime_write_array(&cursor, 1);
  ptreetime_write_binary(&cursor, "arg", 3);
  ptreetime_write_nil(&cursor);
  head(&cursor, 8, PTREETIME_EVENT_USER_EXEC);
  ptreetime_write_binary(&cursor, "path", 4);
  ptreetime_write_array(&cursor, 0);
  head(&cursor, 9, PTREETIME_EVENT_USER_SPAWN);
  ptreetime_write_binary(&cursor, "path", 4);
  ptreetime_write_array(&cursor, 0);
  ptreetime_write_uint(&cursor, 0xffffffffu);
  head(&cursor, 7, PTREETIME_EVENT_USER_EXIT);
  ptreetime_write_uint(&cursor, 255);
  if (!ptreetime_cursor_overflowed(&cursor))
    ptreetime_frame_header(buffer, (uint32_t)(cursor.size - PTREETIME_FRAME_HEADER_SIZE));
  return cursor.size;
}

static void write_wire(void) {
  unsigned char nothing[1];
  size_t size = encode(nothing, 0); /* counts, and must not write */
  unsigned char *buffer = malloc(size);
  CHECK(buffer != NULL);
  for (size_t capacity = 0; capacity < size; capacity++)
    CHECK(encode(buffer, capacity) == size);
  CHECK(encode(buffer, size) == size);
  CHECK(write(1, buffer, size) == (ssize_t)size);
  free(buffer);
}

int main(int argc, char **argv) {
  if (argc == 1)
    write_through_sink(dup(1));
  else if (strcmp(argv[1], "wire") == 0)
    write_wire();
  else
    write_full();
  return 0;
}
