/* The recorder's inside: one recording at a time, made by one of the backends.
 *
 * main.c speaks the control protocol and owns the recording; a backend sees processes and writes events to the
 * recording's sink. Everything runs in one thread: ptrace belongs to the thread that attached.
 */
#ifndef PTREETIME_RECORDER_H
#define PTREETIME_RECORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "sink.h"

/* The descriptor of the control socket: standard input. */
#define PTREETIME_CONTROL 0

struct ptreetime_recording {
  pid_t root_pid;
  struct ptreetime_sink sink;
  uint64_t processes; /* seen so far, the root included: the N of `count N RUNNING` */
  uint64_t running;   /* of them, those that live */
  bool connections;   /* set by attach: it sees which sockets of this machine the tree's processes connect to */
  bool failed_execs;  /* are to be counted, whatever it costs; a backend that can't says that they are unknown */
  int images;         /* a descriptor for what each image needs to be run again, or -1 */
  bool killing;       /* `kill` was asked for: no process of the tree may live on, new ones neither */
  bool ended;         /* set by the backend when it has called ptreetime_recording_end and let go of the tree */
};

/* A way to see processes. Functions that can fail return NULL, or why, in words that a user can act on. */
struct ptreetime_backend {
  const char *name;

  /* The capabilities (PTREETIME_CAP_...) that it can't record without. */
  uint64_t capabilities;

  /* Find out whether this machine allows it, and get everything ready that is kept between recordings. */
  const char *(*open)(void);

  /* Attach to recording->root_pid, which waits at its gate. main.c has written START; the root counts as the first
   * process already. After a failure the recording is dropped, and nothing may stay attached. */
  const char *(*attach)(struct ptreetime_recording *recording);

  /* Collect events, sleeping where there are none, until the recording has ended or the control socket is readable
   * (main.c reads it then, and calls again). A failure ends the recording: detach is called next. */
  const char *(*step)(struct ptreetime_recording *recording);

  /* SIGKILL every process of the tree that lives. recording->killing is set from now on, and the recording ends when
   * none is left rather than with its root. */
  void (*kill)(struct ptreetime_recording *recording);

  /* May be NULL. Put what has been seen already, and is kept back to be taken with more, into the sink. */
  void (*collect)(void);

  /* Let go of everything, unharmed, before the recording's end. */
  void (*detach)(struct ptreetime_recording *recording);

  /* May be NULL. Called now and then between recordings as long as it returns true: there are processes of a recording
   * that has ended which could not be let go of at its end. */
  bool (*linger)(void);

  /* Why it does not count instructions, or NULL: it does. */
  const char *(*uncounted)(void);
};

extern const struct ptreetime_backend ptreetime_backend_ptrace;
#ifdef PTREETIME_HAVE_EBPF
extern const struct ptreetime_backend ptreetime_backend_ebpf;
#endif

/* Write END: the root is dead, and alive of its descendants are not. The backend then lets go of them and sets
 * recording->ended. */
void ptreetime_recording_end(struct ptreetime_recording *recording, uint64_t time_ns, uint64_t alive);

/* A reason that `ptreetime doctor` may know a remedy for: the words, and behind a tab what is in the way, which is one
 * of Obstacle in pytest_ptreetime/errors.py. */
#define PTREETIME_OBSTACLE(words, obstacle) words "\t" obstacle

/* The reason of a failure, formatted into memory that lives until the next call. */
const char *ptreetime_format_reason(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline uint64_t ptreetime_clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t ptreetime_now_ns(void) { return ptreetime_clock_ns(CLOCK_MONOTONIC); }

#endif
