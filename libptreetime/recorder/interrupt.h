/* Making control messages interrupt a sleep in waitid, which can't wait for a socket too.
 *
 * The control socket raises SIGIO. A signal that comes between the look at the flag and the sleep would be missed, so
 * its handler starts a timer that repeats it until somebody has looked.
 */
#ifndef PTREETIME_RECORDER_INTERRUPT_H
#define PTREETIME_RECORDER_INTERRUPT_H

#include <stdbool.h>

/* Install the handlers. NULL, or why not. */
const char *ptreetime_interrupt_open(void);

/* From now on (or no more) messages interrupt. Enabling counts as an interrupt: a message may have come before. */
void ptreetime_interrupt_enable(bool enabled);

/* Whether there was one since the last call. */
bool ptreetime_interrupt_take(void);

/* Interrupt every sleep after so many microseconds, again and again; 0: no more. */
void ptreetime_interrupt_every(long us);

#endif
