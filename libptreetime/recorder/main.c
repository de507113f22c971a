/* ptreetime-recorder MODE: records process trees, one after the other, for the Python process at its standard input.
 *
 * Standard input is an AF_UNIX SOCK_SEQPACKET socket; a packet is a message of words:
 *
 *     it -> us   record PID      with a descriptor (SCM_RIGHTS) to which the events are written: attach to PID
 *                record PID failed-execs   the same, and count failed execs even where that costs something
 *                images          with a descriptor: of the next recording, write there what each image needs to be run
 *                                again (capture.h); a backend that can't writes nothing
 *                kill            SIGKILL the whole tree of the recording
 *                count           how many processes so far?
 *                instructions    can they be counted?
 *                flush           write the events that are known now, rather than when there are many
 *                (end of file)   let go of everything, unharmed, and exit
 *     us -> it   hello VERSION   at the start: ready for `record`
 *                unavailable WHY at the start: this machine does not allow it (a tab and OBSTACLE may follow)
 *                ready           attached: the gate may open
 *                ready connections   the same, and connections to sockets of this machine will be told
 *                done            END has been written
 *                instructions WHY  why not; without WHY they are
 *                count N RUNNING processes of the recording so far, and those of them that live
 *                error WHY       the recording could not be made, or has ended early; the build runs on
 *
 * The recorder may carry privileges (file capabilities, sudo): it traces only processes of the user who started it,
 * writes only to memory files that it was handed, ignores its environment, and gives up what it does not need
 * (caller.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "caller.h"
#include "recorder.h"

static const struct ptreetime_backend *const backends[] = {
    &ptreetime_backend_ptrace,
#ifdef PTREETIME_HAVE_EBPF
    &ptreetime_backend_ebpf,
#endif
};

/* How often a backend looks after the processes that it could not let go of at a recording's end. */
#define LINGER_MS 10

static const struct ptreetime_backend *backend;
static struct ptreetime_recording recording;
static bool recording_active;
static int images = -1; /* of the next recording */

const char *ptreetime_format_reason(const char *format, ...) {
  static char words[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(words, sizeof words, format, arguments);
  va_end(arguments);
  return words;
}

void ptreetime_recording_end(struct ptreetime_recording *ended, uint64_t time_ns, uint64_t alive) {
  ptreetime_sink_end(&ended->sink, time_ns, (int64_t)alive);
}

static void send_message(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void send_message(const char *format, ...) {
  char message[1200];
  va_list arguments;
  va_start(arguments, format);
  int size = vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  if (size >= (int)sizeof message)
    size = sizeof message - 1;
  while (send(PTREETIME_CONTROL, message, (size_t)size, MSG_NOSIGNAL) < 0 && errno == EINTR)
    continue;
}

/* Write what is left of the recording and forget it. */
static void recording_close(const char *why) {
  recording_active = false;
  int error = ptreetime_sink_close(&recording.sink);
  if (recording.images >= 0)
    close(recording.images);
  recording.images = -1;
  if (why != NULL)
    send_message("error %s", why);
  else if (error != 0)
    send_message("error can't write events: %s", strerror(error));
  else
    send_message("done");
}

static void keep_images(int descriptor) {
  if (images >= 0)
    close(images);
  images = descriptor;
  if (descriptor >= 0 && !ptreetime_caller_may_pass(descriptor)) {
    close(descriptor);
    images = -1;
  }
}

static void record(pid_t pid, bool failed_execs, int descriptor) {
  const char *wrong = NULL;
  if (recording_active)
    wrong = "another recording is under way";
  else if (pid <= 0 || descriptor < 0)
    wrong = "record needs a pid and a file";
  else if (!ptreetime_caller_may_pass(descriptor))
    wrong = "events are written to memory files (memfd_create) only";
  if (wrong != NULL) {
    if (descriptor >= 0)
      close(descriptor);
    send_message("error %s", wrong);
    return;
  }
  struct ptreetime_sink sink = recording.sink;
  recording = (struct ptreetime_recording){
      .root_pid = pid, .sink = sink, .processes = 1, .running = 1, .failed_execs = failed_execs, .images = images};
  images = -1;
  ptreetime_sink_open(&recording.sink, descriptor);
  const char *why = NULL;
  if (!ptreetime_caller_owns(pid))
    why = ptreetime_format_reason("process %d belongs to somebody else", (int)pid);
  ptreetime_sink_start(&recording.sink, ptreetime_now_ns(), pid, ptreetime_clock_ns(CLOCK_REALTIME));
  if (why == NULL)
    why = backend->attach(&recording);
  /* Once more: from now on the number stays that of the process that is watched. */
  if (why == NULL && !ptreetime_caller_owns(pid)) {
    backend->detach(&recording);
    why = ptreetime_format_reason("process %d belongs to somebody else, or is dead", (int)pid);
  }
  if (why != NULL) {
    recording_close(why);
    return;
  }
  recording_active = true;
  send_message(recording.connections ? "ready connections" : "ready");
}

/* One message, with the descriptor that came with it in *descriptor or -1. Its size, 0 for the end of the file, -1
 * for no message there. */
static ssize_t receive_message(char *message, size_t size, int *descriptor) {
  union {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr aligned;
  } control;
  struct iovec bytes = {message, size - 1};
  struct msghdr header = {
      .msg_iov = &bytes,
      .msg_iovlen = 1,
      .msg_control = control.space,
      .msg_controllen = CMSG_LEN(sizeof(int))}; /* without the padding, where a second descriptor would find room */
  *descriptor = -1;
  ssize_t count = recvmsg(PTREETIME_CONTROL, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (count < 0)
    return errno == EINTR || errno == EAGAIN ? -1 : 0;
  message[count] = '\0';
  for (struct cmsghdr *part = CMSG_FIRSTHDR(&header); part != NULL; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
      memcpy(descriptor, CMSG_DATA(part), sizeof *descriptor);
  }
  return count;
}

static void obey(const char *message, int descriptor) {
  if (strncmp(message, "record ", 7) == 0) {
    record((pid_t)strtol(message + 7, NULL, 10), strstr(message, " failed-execs") != NULL, descriptor);
    return;
  }
  if (strcmp(message, "images") == 0) {
    keep_images(descriptor);
    return;
  }
  if (descriptor >= 0)
    close(descriptor);
  if (strcmp(message, "count") == 0) {
    send_message("count %llu %llu", (unsigned long long)recording.processes, (unsigned long long)recording.running);
  } else if (strcmp(message, "instructions") == 0) {
    const char *why = backend->uncounted();
    send_message("instructions%s%s", why != NULL ? " " : "", why != NULL ? why : "");
  } else if (strcmp(message, "flush") == 0) {
    if (recording_active) {
      if (backend->collect != NULL)
        backend->collect();
      ptreetime_sink_flush(&recording.sink, ptreetime_now_ns());
    }
  } else if (strcmp(message, "kill") == 0) {
    if (recording_active) {
      recording.killing = true;
      backend->kill(&recording);
    }
  } else {
    send_message("error unknown request");
  }
}

/* False at the end of the file. */
static bool read_control(void) {
  char message[256];
  int descriptor;
  ssize_t count;
  while ((count = receive_message(message, sizeof message, &descriptor)) > 0)
    obey(message, descriptor);
  return count != 0;
}

/* Sleep until there is a message. */
static void await_control(void) {
  struct pollfd control = {.fd = PTREETIME_CONTROL, .events = POLLIN};
  bool lingering;
  do {
    lingering = backend->linger != NULL && backend->linger();
  } while (poll(&control, 1, lingering ? LINGER_MS : -1) <= 0);
}

static void serve(void) {
  for (;;) {
    if (!recording_active)
      await_control();
    if (!read_control()) {
      if (recording_active) {
        backend->detach(&recording);
        ptreetime_sink_close(&recording.sink);
      }
      return;
    }
    if (!recording_active)
      continue;
    const char *why = backend->step(&recording);
    if (why != NULL) {
      backend->detach(&recording);
      recording_close(why);
    } else if (recording.ended) {
      recording_close(NULL);
    }
  }
}

/* What is meant for the build (Ctrl-C, a hang-up) must not end the recorder: it ends with its control socket. */
static void ignore_signals(void) {
  const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
    signal(ignored[i], SIG_IGN);
  signal(SIGCHLD, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

int main(int argc, char **argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: ptreetime-recorder MODE, with a control socket as standard input\n");
    return 2;
  }
  for (size_t i = 0; i < sizeof backends / sizeof *backends; i++) {
    if (strcmp(backends[i]->name, argv[1]) == 0)
      backend = backends[i];
  }
  ignore_signals();
  const char *why = backend == NULL ? PTREETIME_OBSTACLE("this recorder was built without it", "bpf-program")
                                    : ptreetime_caller_find();
  clearenv();
  if (why == NULL)
    why = backend->open();
  if (why == NULL)
    why = ptreetime_caller_become(backend->capabilities);
  if (why != NULL) {
    send_message("unavailable %s", why);
    return 1;
  }
  send_message("hello %d", PTREETIME_WIRE_VERSION);
  serve();
  return 0;
}
