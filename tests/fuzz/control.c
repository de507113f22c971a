/* Any messages at the recorder's control socket: libptreetime/recorder/main.c answers, leaks no descriptor, and ends
 * with the socket.
 *
 * The input is a sequence of messages: a byte of flags (1: a descriptor comes with it, 2: two do), the length in a
 * byte, the message. The backend is one that attaches to everything; its recordings end when a message says so.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>

#define main recorder_main
#include "../../libptreetime/recorder/main.c"
#undef main

enum { MOST_MESSAGES = 100 };

bool ptreetime_caller_owns(pid_t pid) { return pid % 7 != 0; }
bool ptreetime_caller_may_pass(int descriptor) { return descriptor >= 0; }
const char *ptreetime_caller_find(void) { return NULL; }
const char *ptreetime_caller_become(uint64_t needed) { return needed == 0 ? NULL : "no"; }

static const char *fake_attach(struct ptreetime_recording *of) { return of->root_pid % 5 == 0 ? "no" : NULL; }

static const char *fake_step(struct ptreetime_recording *of) {
  of->processes++;
  ptreetime_sink_create(&of->sink, of->processes, (pid_t)of->processes, of->root_pid);
  if (of->processes % 11 == 0)
    return "the tracer stopped";
  if (of->killing) {
    ptreetime_recording_end(of, of->processes, 0);
    of->ended = true;
  }
  return NULL;
}

static void fake_kill(struct ptreetime_recording *of) { of->running = 0; }
static void fake_detach(struct ptreetime_recording *of) { of->running = 0; }

const struct ptreetime_backend ptreetime_backend_ptrace = {
    .name = "fake", .attach = fake_attach, .step = fake_step, .kill = fake_kill, .detach = fake_detach};

static int open_descriptors(void) {
  int count = 0;
  DIR *directory = opendir("/proc/self/fd");
  while (readdir(directory) != NULL)
    count++;
  closedir(directory);
  return count;
}

static void send_packet(int to, const uint8_t *bytes, size_t size, unsigned flags) {
  union {
    char space[CMSG_SPACE(2 * sizeof(int))];
    struct cmsghdr aligned;
  } control = {{0}};
  int descriptors[2] = {-1, -1};
  size_t count = flags & 2 ? 2 : flags & 1;
  struct iovec part = {(void *)(uintptr_t)bytes, size};
  struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
  for (size_t i = 0; i < count; i++)
    descriptors[i] = memfd_create("fuzz", MFD_CLOEXEC);
  if (count > 0) {
    header.msg_control = control.space;
    header.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(&header);
    *head =
        (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(head), descriptors, count * sizeof(int));
  }
  if (size > 0) /* an empty packet looks like the end */
    sendmsg(to, &header, MSG_DONTWAIT);
  for (size_t i = 0; i < count; i++)
    close(descriptors[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  int ends[2], before;
  char answer[2048];
  backend = &ptreetime_backend_ptrace;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    abort();
  dup2(ends[1], PTREETIME_CONTROL);
  close(ends[1]);
  before = open_descriptors();
  for (unsigned messages = 0; size >= 2 && messages < MOST_MESSAGES; messages++) {
    size_t length = data[1] < size - 2 ? data[1] : size - 2;
    send_packet(ends[0], data + 2, length, data[0]);
    data += 2 + length;
    size -= 2 + length;
  }
  shutdown(ends[0], SHUT_WR);
  serve();
  if (recording_active)
    recording_active = false;
  for (ssize_t got; (got = recv(ends[0], answer, sizeof answer, MSG_DONTWAIT)) > 0;)
    if (memchr(answer, '\0', (size_t)got) != NULL)
      abort();
  if (open_descriptors() != before)
    abort();
  close(ends[0]);
  close(PTREETIME_CONTROL);
  return 0;
}
