/* The log: the file that PTREETIME_LOG names, which its reader made.
 *
 * A frame is appended by one write, so that the frames of many processes never mix. Everything that can go wrong is
 * kept from the program that we are a guest in: no log, no event, no word.
 */
#ifndef PTREETIME_LOG_H
#define PTREETIME_LOG_H

#include "event.h"

/* Finds PTREETIME_LOG in an environment and keeps a copy: the program may change its environment later. A path of
 * 1,024 bytes or more is not kept (all data of the library stays on one page, see CMakeLists.txt). */
void ptreetime_log_find(const char *const *environment);

/* Is there a log? It may have become unwritable all the same. */
int ptreetime_log_known(void);

/* From now on there is none. */
void ptreetime_log_forget(void);

/* Appends the event, as far as possible. Safe in a signal handler, and between vfork and exec. */
void ptreetime_log_append(const struct ptreetime_event *event);

#endif
