/* Any event of a guest: libptreetime/interposer/event.c writes a frame of the size that it said, into whatever room.
 *
 * The input: tag, flags and room (a byte each), status and child (four bytes), then the path, the directory and the
 * arguments, each ending with a NUL.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"

enum { MOST_STRINGS = 300 };

static size_t strings_of(char *text, char *end, const char **strings) {
  size_t count = 0;
  while (text < end && count < MOST_STRINGS) {
    strings[count++] = text;
    text += strlen(text) + 1;
  }
  strings[count] = NULL;
  return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *strings[MOST_STRINGS + 1];
  if (size < 11)
    return 0;
  size_t text_size = size - 11;
  char *text = malloc(text_size + 1);
  memcpy(text, data + 11, text_size);
  text[text_size] = '\0';
  size_t count = strings_of(text, text + text_size, strings);
  struct ptreetime_event event = {.tag = PTREETIME_EVENT_CREATE + data[0] % 7};
  memset(&event.moment, data[2], sizeof event.moment);
  memcpy(&event.status, data + 3, 4);
  memcpy(&event.child_pid, data + 7, 4);
  event.path = (data[1] & 1) && count > 0 ? strings[0] : NULL;
  event.directory = (data[1] & 2) && count > 1 ? strings[1] : NULL;
  event.args = data[1] & 4 ? NULL : strings + (count > 2 ? 2 : count);
  size_t wanted = ptreetime_event_frame(&event, NULL, 0);
  size_t room = data[1] & 8 ? data[2] : wanted;
  unsigned char *frame = malloc(room);
  if (ptreetime_event_frame(&event, frame, room) != wanted)
    abort();
  if (room >= wanted) {
    size_t length = frame[4] | (size_t)frame[5] << 8 | (size_t)frame[6] << 16 | (size_t)frame[7] << 24;
    if (memcmp(frame, "PT", 2) != 0 || length != wanted - PTREETIME_FRAME_HEADER_SIZE)
      abort();
  }
  free(frame);
  free(text);
  return 0;
}
