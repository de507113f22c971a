/* The threads that the ptrace backend is attached to, and what it knows of their processes.
 *
 * Every thread is a tracee of its own; what belongs to a process is kept in the tracee of its leader, which the kernel
 * reports dead only when all other threads are.
 */
#ifndef PTREETIME_RECORDER_TRACEE_H
#define PTREETIME_RECORDER_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "sink.h"

struct ptreetime_tracee {
  pid_t tid;
  struct ptreetime_tracee *process; /* of its leader: itself in a leader; NULL while held */
  struct ptreetime_tracee *next;    /* in its bucket */
  struct ptreetime_tracee *next_held;
  bool held;       /* stopped at its birth, and nobody has said yet who made it */
  bool exiting;    /* has stopped at its end */
  bool letting_go; /* is to be detached at its next stop */
  bool adopted;    /* was let run before its maker has told of it */

  pid_t vfork_child; /* is kept stopped, as it would sleep, until this one execs or ends; or 0 */

  /* In leaders only. */
  pid_t vfork_parent;    /* the thread that is kept stopped for it, or 0 */
  uint64_t exec_ns;      /* when its image began */
  uint64_t last_call_ns; /* when it began to end, or 0 */
  uint64_t mailbox;      /* where its image tells when it began, until that has been read; or 0 */
  uint64_t loading_ns;   /* what it has told, or PTREETIME_TIME_UNKNOWN */
  unsigned images;       /* programs that it has exec'ed */
  unsigned threads;      /* that have not stopped at their end */
  bool threaded;         /* has ever had a second thread */
  bool has_children;     /* has ever forked */
  pid_t reaper;          /* its parent at its end, or 0 */
  int status_file;       /* its /proc/PID/status, open, or 0 */
  bool max_rss_known;    /* read from the image that is exiting */
  uint64_t max_rss_bytes;
  uint64_t earlier_max_rss_bytes;         /* of the memories that it had before its image, and of its reaped children */
  struct ptreetime_thread_counters ended; /* of its threads that are dead, or all but; unknown if one has vanished */
  bool all_ended;                         /* the leader is among them */
  bool counting;                          /* it has been tried to count its instructions */
  int counter;                            /* of them: a descriptor, or 0 */
  uint64_t instructions;                  /* what it had counted when it was last looked at */
  uint64_t instructions_before;           /* of them, those before the first exec */
  struct rusage children_usage;           /* what wait4 told of its children that are dead, with their own children's */
};

/* Processes, threads not counted. */
extern unsigned ptreetime_tracee_processes;
/* Everything in the table. */
extern unsigned ptreetime_tracee_count;
/* Of which status_file is open. */
extern unsigned ptreetime_tracee_files;

struct ptreetime_tracee *ptreetime_tracee_find(pid_t tid);
/* A new one, with everything zero; NULL without memory. */
struct ptreetime_tracee *ptreetime_tracee_add(pid_t tid);
/* Make it the leader of a process. */
void ptreetime_tracee_lead(struct ptreetime_tracee *tracee);
/* Make it one more thread of process. */
void ptreetime_tracee_join(struct ptreetime_tracee *tracee, struct ptreetime_tracee *process);
void ptreetime_tracee_remove(struct ptreetime_tracee *tracee);
/* Call visit for each; it may remove the one that it is called with. */
void ptreetime_tracee_each(void (*visit)(struct ptreetime_tracee *));

#endif
