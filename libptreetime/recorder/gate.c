/* The gate: stands where the command will, waits until it may run, and becomes it by exec.
 *
 *     ptreetime-gate SOCKET -- PROGRAM [ARGUMENT...]
 *
 * The command must not see that it was here: nothing is opened, no signal's disposition or mask and no environment
 * variable is changed, and the socket closes itself by the exec. The protocol is that of tracers/launch.py.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* The whole of a message, or false: the other end is gone. */
static int receive(int socket, void *message, size_t size) {
  char *at = message;
  while (size > 0) {
    ssize_t count = read(socket, at, size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return 0;
    at += count;
    size -= (size_t)count;
  }
  return 1;
}

/* Yama, where it restricts ptrace to descendants, lets a process name its tracer. Elsewhere this fails, harmlessly. */
static void allow_tracer(int32_t pid) {
#if defined(__linux__) && defined(PR_SET_PTRACER)
  prctl(PR_SET_PTRACER, (unsigned long)pid, 0, 0, 0);
#else
  (void)pid;
#endif
}

int main(int argc, char **argv) {
  if (argc < 4 || strcmp(argv[2], "--") != 0)
    return 127;
  int gate = atoi(argv[1]);
  fcntl(gate, F_SETFD, FD_CLOEXEC);
  for (;;) {
    char request;
    if (!receive(gate, &request, 1))
      return 127; /* never opened: the tracer gave up */
    if (request == 'g')
      break;
    int32_t tracer;
    if (request != 'p' || !receive(gate, &tracer, sizeof tracer))
      return 127;
    allow_tracer(tracer);
    if (write(gate, "p", 1) != 1)
      return 127;
  }
  execvp(argv[3], argv + 3);
  int32_t number = errno;
  if (write(gate, &number, sizeof number) != (ssize_t)sizeof number)
    return 126;
  return 127;
}
