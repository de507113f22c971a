#include "event.h"

static void write_string(struct ptreetime_cursor *cursor, const char *string) {
  size_t length = 0;
  if (string == NULL || string[0] == '\0') {
    ptreetime_write_nil(cursor); /* an empty path is one that could not be found out */
    return;
  }
  while (string[length] != '\0')
    length++;
  ptreetime_write_binary(cursor, string, length);
}

static void write_args(struct ptreetime_cursor *cursor, const char *const *args) {
  uint32_t count = 0;
  while (args != NULL && args[count] != NULL)
    count++;
  ptreetime_write_array(cursor, count);
  for (uint32_t i = 0; i < count; i++) {
    size_t length = 0;
    while (args[i][length] != '\0')
      length++;
    ptreetime_write_binary(cursor, args[i], length);
  }
}

/* path and args of an exec or a spawn, which are never nil */
static void write_program(struct ptreetime_cursor *cursor, const struct ptreetime_event *event) {
  if (event->path == NULL || event->path[0] == '\0')
    ptreetime_write_binary(cursor, "", 0);
  else
    write_string(cursor, event->path);
  write_args(cursor, event->args);
}

static void write_tag(struct ptreetime_cursor *cursor, const struct ptreetime_event *event, uint32_t others) {
  const struct ptreetime_moment *moment = &event->moment;
  ptreetime_write_array(cursor, 6 + others);
  ptreetime_write_uint(cursor, event->tag);
  ptreetime_write_uint(cursor, moment->time_ns);
  ptreetime_write_uint(cursor, (uint64_t)moment->pid);
  ptreetime_write_uint(cursor, (uint64_t)moment->parent_pid);
  ptreetime_write_uint(cursor, moment->user_ns);
  ptreetime_write_uint(cursor, moment->sys_ns);
}

static void write_event(struct ptreetime_cursor *cursor, const struct ptreetime_event *event) {
  switch (event->tag) {
  case PTREETIME_EVENT_CREATE:
    ptreetime_write_array(cursor, 4);
    ptreetime_write_uint(cursor, event->tag);
    ptreetime_write_uint(cursor, event->moment.time_ns);
    ptreetime_write_uint(cursor, (uint64_t)event->child_pid);
    ptreetime_write_uint(cursor, (uint64_t)event->moment.pid);
    break;
  case PTREETIME_EVENT_USER_STARTUP:
    write_tag(cursor, event, event->path == NULL ? 0 : 3);
    if (event->path != NULL) {
      write_string(cursor, event->path);
      write_args(cursor, event->args);
      write_string(cursor, event->directory);
    }
    break;
  case PTREETIME_EVENT_USER_EXEC:
    write_tag(cursor, event, 2);
    write_program(cursor, event);
    break;
  case PTREETIME_EVENT_USER_SPAWN:
    write_tag(cursor, event, 3);
    write_program(cursor, event);
    if (event->child_pid == 0)
      ptreetime_write_nil(cursor);
    else
      ptreetime_write_uint(cursor, (uint64_t)event->child_pid);
    break;
  default: /* USER_EXIT */
    write_tag(cursor, event, 1);
    if (event->status < 0)
      ptreetime_write_nil(cursor);
    else
      ptreetime_write_uint(cursor, (uint64_t)event->status);
    break;
  }
}

size_t ptreetime_event_frame(const struct ptreetime_event *event, unsigned char *buffer, size_t capacity) {
  struct ptreetime_cursor cursor = {buffer, capacity, PTREETIME_FRAME_HEADER_SIZE};
  ptreetime_write_array(&cursor, 1);
  write_event(&cursor, event);
  if (!ptreetime_cursor_overflowed(&cursor))
    ptreetime_frame_header(buffer, (uint32_t)(cursor.size - PTREETIME_FRAME_HEADER_SIZE));
  return cursor.size;
}
