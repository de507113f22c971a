#include "log.h"
#include "system.h"

/* Frames are built on the stack of whoever calls: of a signal handler with 2 KiB in all (events without arguments), of
 * a thread or a vfork child (most command lines). A larger one takes memory from the system. */
enum { SMALL_FRAME = 128, MEDIUM_FRAME = 2048, PATH_CAPACITY = 1024 };

static char log_path[PATH_CAPACITY];

static const char variable[] = "PTREETIME_LOG=";

void ptreetime_log_find(const char *const *environment) {
  if (environment == NULL)
    return;
  for (; *environment != NULL; environment++) {
    const char *entry = *environment;
    size_t i = 0;
    while (variable[i] != '\0' && entry[i] == variable[i])
      i++;
    if (variable[i] != '\0')
      continue;
    size_t length = 0;
    while (length < PATH_CAPACITY && entry[i + length] != '\0')
      length++;
    if (length == PATH_CAPACITY)
      return;
    for (size_t at = 0; at < length; at++)
      log_path[at] = entry[i + at];
    return;
  }
}

int ptreetime_log_known(void) { return log_path[0] != '\0'; }

void ptreetime_log_forget(void) { log_path[0] = '\0'; }

static void append_mapped(const struct ptreetime_event *event, size_t size) {
  unsigned char *large = ptreetime_system_map(size);
  if (large == NULL)
    return;
  /* another thread may have made the arguments longer meanwhile: then there is no frame */
  size_t written = ptreetime_event_frame(event, large, size);
  if (written <= size)
    ptreetime_system_append(log_path, large, written);
  ptreetime_system_unmap(large, size);
}

static __attribute__((noinline)) void append_with_arguments(const struct ptreetime_event *event) {
  unsigned char medium[MEDIUM_FRAME];
  size_t size = ptreetime_event_frame(event, medium, sizeof medium);
  if (size <= sizeof medium)
    ptreetime_system_append(log_path, medium, size);
  else
    append_mapped(event, size);
}

void ptreetime_log_append(const struct ptreetime_event *event) {
  unsigned char small[SMALL_FRAME];
  size_t size = ptreetime_event_frame(event, small, sizeof small);
  if (size <= sizeof small)
    ptreetime_system_append(log_path, small, size);
  else
    append_with_arguments(event);
}
