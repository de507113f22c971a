/* The portable part of the interposer in a hosted program, for the sanitizers: writes one frame of each kind, with each
 * size of buffer from none to enough, to its standard output. Too small a buffer must be said to be too small, and must
 * not be written beyond. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "interposer/event.c"

static void write_frame(const struct ptreetime_event *event) {
  size_t size = ptreetime_event_frame(event, NULL, 0);
  size_t step = size > 4096 ? size / 64 : 1;
  for (size_t capacity = 0; capacity < size; capacity += step) {
    unsigned char *small = malloc(capacity + 1);
    if (ptreetime_event_frame(event, small, capacity) != size)
      abort();
    free(small);
  }
  unsigned char *buffer = malloc(size);
  if (ptreetime_event_frame(event, buffer, size) != size || fwrite(buffer, size, 1, stdout) != 1)
    abort();
  free(buffer);
}

int main(void) {
  static char large[300001];
  memset(large, 'l', sizeof large - 1);
  const char *args[21] = {"name", "", "\xff\xfe", large, NULL};
  const char *none[] = {NULL};
  const struct ptreetime_moment moment = {1ull << 40, 4194303, 1, 5000000000ull, 127};
  struct ptreetime_event event = {.moment = moment};
  const enum ptreetime_event_tag tags[] = {PTREETIME_EVENT_CREATE, PTREETIME_EVENT_USER_STARTUP,
                                           PTREETIME_EVENT_USER_EXEC, PTREETIME_EVENT_USER_SPAWN,
                                           PTREETIME_EVENT_USER_EXIT};
  for (int filled = 0; filled < 2; filled++) {
    event.path = filled ? "/bin/program" : NULL;
    event.args = filled ? args : NULL;
    event.directory = filled ? "/tmp" : NULL;
    event.child_pid = filled ? 77 : 0;
    event.status = filled ? 255 : -1;
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
      event.tag = tags[i];
      write_frame(&event);
    }
  }
  event.tag = PTREETIME_EVENT_USER_STARTUP;
  event.path = "";
  event.args = none;
  event.directory = "";
  write_frame(&event);
  for (int i = 0; i < 20; i++)
    args[i] = "a";
  event.tag = PTREETIME_EVENT_USER_EXEC;
  event.args = args;
  write_frame(&event);
  return 0;
}
