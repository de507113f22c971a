/* What has happened to a tracee, without a search through all of them for each change.
 *
 * waitid(P_ALL) looks at every tracee, each time: with thousands that live, a recorder does nothing else. So where
 * there are many it asks for one by its number, which the kernel finds at once (Linux 5.13 and later): SIGCHLD says
 * whose it is. Signals of one kind do not queue: of several changes one is told. The others are found by a search,
 * which takes no more than half of the time.
 */
#ifndef PTREETIME_RECORDER_PTRACE_WAIT_H
#define PTREETIME_RECORDER_PTRACE_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ptreetime_change {
  pid_t tid;
  bool dead;  /* and not reaped; else it is stopped */
  int status; /* of a stop: the signal, and the event << 8 */
};

/* Wait for the next one, which stays to be taken by a wait of its own. options are waitid's: WEXITED, WSTOPPED,
 * WNOHANG; without WSTOPPED everything that there is is found. 1: it is in change, 0: there is none, -1: errno. */
int ptreetime_wait_next(int options, struct ptreetime_change *change);

/* ru_maxrss of a tracee whose change has not been taken. Not for each: the kernel goes through all threads for it. */
uint64_t ptreetime_wait_highest_rss_bytes(pid_t tid);

#endif
