/* The user events, as values, and their frames: the portable part, the same on every system.
 *
 * Nothing here calls anything: it can run in any process, and in a test under the sanitizers.
 */
#ifndef PTREETIME_EVENT_H
#define PTREETIME_EVENT_H

#include "ptreetime_wire.h"

/* Where and when an event happened; the times are getrusage(RUSAGE_SELF). */
struct ptreetime_moment {
  uint64_t time_ns;
  int pid;
  int parent_pid;
  uint64_t user_ns;
  uint64_t sys_ns;
};

/* Its tag says which of the fields below the moment mean something. */
struct ptreetime_event {
  enum ptreetime_event_tag tag;
  struct ptreetime_moment moment;
  const char *path; /* USER_STARTUP: the executable, NULL when not asked for; USER_EXEC, USER_SPAWN: the program */
  const char *const *args; /* ended by NULL; may be NULL itself */
  const char *directory;   /* USER_STARTUP */
  int child_pid;           /* CREATE, USER_SPAWN; 0 where it is not known */
  int status;              /* USER_EXIT; -1 where it is not known */
};

/* Writes the event's frame into the capacity bytes at buffer and returns the frame's size. A size above the capacity
 * means that the buffer holds no valid frame, and that one of that size would do. */
size_t ptreetime_event_frame(const struct ptreetime_event *event, unsigned char *buffer, size_t capacity);

#endif
