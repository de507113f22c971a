#define _GNU_SOURCE
#include "ptrace_trial.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proc.h"
#include "recorder.h"

/* Yama's /proc/sys/kernel/yama/ptrace_scope: 2 asks for CAP_SYS_PTRACE, 3 forbids it to everybody until a reboot. */
static int yama_scope(void) {
  int scope = 0;
  FILE *file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
  if (file == NULL)
    return 0;
  if (fscanf(file, "%d", &scope) != 1)
    scope = 0;
  fclose(file);
  return scope;
}

static bool under_seccomp(void) {
  char line[256];
  int mode = 0;
  FILE *file = fopen("/proc/self/status", "re");
  if (file == NULL)
    return false;
  while (fgets(line, sizeof line, file) != NULL && sscanf(line, "Seccomp: %d", &mode) != 1)
    continue;
  fclose(file);
  return mode == 2;
}

static const char *reason(int error) {
  struct ptreetime_proc_status status;
  if (ptreetime_proc_status(getpid(), &status) && status.tracer != 0)
    return ptreetime_format_reason("this session is traced already, by process %d, and so is what it starts",
                                   (int)status.tracer);
  if (yama_scope() == 3)
    return "Yama forbids ptrace on this machine until it is booted again without kernel.yama.ptrace_scope=3";
  if (yama_scope() == 2)
    return PTREETIME_OBSTACLE("Yama allows ptrace to CAP_SYS_PTRACE only: run `sysctl kernel.yama.ptrace_scope=1`",
                              "yama");
  if (error == ENOSYS)
    return "this kernel or sandbox has no ptrace";
  if ((error == EPERM || error == EACCES) && under_seccomp())
    return PTREETIME_OBSTACLE("a seccomp profile forbids ptrace: in a container, run it with --cap-add=SYS_PTRACE",
                              "seccomp");
  return ptreetime_format_reason("ptrace is not allowed here: %s", strerror(error));
}

/* A child that may be traced: one of a recorder with file capabilities would inherit that it may not, which is about
 * what the recorder is and not about the machine. Whoever has fewer capabilities can't trace it all the same. */
static pid_t fork_traceable(void) {
  int dumpable = prctl(PR_GET_DUMPABLE);
  prctl(PR_SET_DUMPABLE, 1);
  pid_t child = fork();
  if (child != 0)
    prctl(PR_SET_DUMPABLE, dumpable == 1);
  return child;
}

const char *ptreetime_ptrace_trial(unsigned long options) {
  pid_t recorder = getpid(), child = fork_traceable();
  if (child < 0)
    return ptreetime_format_reason("can't start a process: %s", strerror(errno));
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a recorder that is killed meanwhile can't end it */
    while (getppid() == recorder)
      pause();
    _exit(0);
  }
  int error = 0;
  siginfo_t info = {0};
  if (ptrace(PTRACE_SEIZE, child, NULL, (void *)(uintptr_t)options) != 0 ||
      ptrace(PTRACE_INTERRUPT, child, NULL, NULL) != 0 ||
      waitid(P_PID, (id_t)child, &info, WSTOPPED | __WALL | WNOWAIT) != 0)
    error = errno;
  kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, __WALL) >= 0 || errno == EINTR) {
    if (WIFSTOPPED(status)) /* under PTRACE_O_TRACEEXIT a killed process may stop once more */
      ptrace(PTRACE_CONT, child, NULL, NULL);
  }
  if (error == 0 && info.si_status >> 8 != PTRACE_EVENT_STOP)
    return "this kernel's ptrace does not know PTRACE_SEIZE";
  return error == 0 ? NULL : reason(error);
}
