/* stops COMMAND...: runs a command under a ptrace tracer that does nothing but let it go on.
 *
 * It stops where libptreetime/recorder/ptrace.c does (each fork, new process, exec and exit; then the death), and reads
 * nothing: what it costs is what these stops cost on this machine, whatever a tracer does in them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS                                                                                                        \
  (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT)

/* The signal to hand on with which a stopped tracee goes on. */
static int signal_of(int status) {
  int event = status >> 16;
  return event == 0 ? WSTOPSIG(status) : 0;
}

int main(int argc, char **argv) {
  int gate[2];
  if (argc < 2 || pipe2(gate, O_CLOEXEC) != 0)
    return 2;
  pid_t root = fork();
  if (root == 0) {
    char byte;
    close(gate[1]);
    if (read(gate[0], &byte, 1) == 1)
      execvp(argv[1], argv + 1);
    _exit(127);
  }
  if (root < 0 || ptrace(PTRACE_SEIZE, root, 0, OPTIONS) != 0 || write(gate[1], "", 1) != 1) {
    perror("stops");
    return 2;
  }
  close(gate[0]);
  close(gate[1]);
  int status, of_root = 0;
  pid_t pid;
  while ((pid = waitpid(-1, &status, __WALL)) > 0 || errno == EINTR) {
    if (pid > 0 && WIFSTOPPED(status))
      ptrace(PTRACE_CONT, pid, 0, signal_of(status));
    else if (pid == root)
      of_root = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return of_root;
}
