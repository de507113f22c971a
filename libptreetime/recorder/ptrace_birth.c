#define _GNU_SOURCE
#include "ptrace_birth.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "instructions.h"
#include "proc.h"

unsigned ptreetime_birth_held;

static struct ptreetime_recording *recording;
static struct ptreetime_tracee *first_held;
static unsigned adopted_count; /* tracees that were let run before they were told of, and may be dead by now */

void ptreetime_birth_begin(struct ptreetime_recording *of) {
  recording = of;
  adopted_count = 0;
}

void ptreetime_birth_take_stop(pid_t tid) {
  siginfo_t info;
  waitid(P_PID, (id_t)tid, &info, WSTOPPED | __WALL | WNOHANG);
}

void ptreetime_birth_resume(pid_t tid, int signal) { ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)signal); }

/* A process of the recording, forked by parent (NULL: by one that is gone): tell of it, and end it at once where all
 * are to be ended. */
static void begin_process(struct ptreetime_tracee *tracee, struct ptreetime_tracee *parent, uint64_t time_ns) {
  ptreetime_tracee_lead(tracee);
  if (parent != NULL)
    parent->has_children = true;
  recording->processes++;
  recording->running++;
  ptreetime_sink_create(&recording->sink, time_ns, tracee->tid, parent != NULL ? parent->tid : recording->root_pid);
  if (recording->killing)
    kill(tracee->tid, SIGKILL);
}

static void unhold(struct ptreetime_tracee *tracee) {
  if (tracee->held) {
    struct ptreetime_tracee **link = &first_held;
    while (*link != tracee)
      link = &(*link)->next_held;
    *link = tracee->next_held;
    tracee->held = false;
    ptreetime_birth_held--;
    ptreetime_instructions_begin(tracee);
    ptreetime_birth_resume(tracee->tid, 0);
  }
}

static bool is_thread_of(pid_t tid, const struct ptreetime_tracee *process) {
  return syscall(SYS_tgkill, process->tid, tid, 0) == 0;
}

static bool is_gone(pid_t tid) {
  siginfo_t info;
  return waitid(P_PID, (id_t)tid, &info, WEXITED | WSTOPPED | __WALL | WNOWAIT | WNOHANG) != 0 && errno == ECHILD;
}

struct ptreetime_tracee *ptreetime_birth_told(pid_t tid, struct ptreetime_tracee *maker, uint64_t time_ns) {
  struct ptreetime_tracee *tracee = ptreetime_tracee_find(tid);
  if (tracee != NULL && !tracee->held) {
    adopted_count -= tracee->adopted;
    tracee->adopted = false;
    return NULL;
  }
  if (tracee == NULL && adopted_count > 0 && is_gone(tid)) {
    adopted_count--;
    return NULL;
  }
  if (tracee == NULL && (tracee = ptreetime_tracee_add(tid)) == NULL)
    return NULL;
  if (is_thread_of(tid, maker->process))
    ptreetime_tracee_join(tracee, maker->process);
  else
    begin_process(tracee, maker->process, time_ns);
  unhold(tracee);
  return tracee;
}

void ptreetime_birth_adopt(struct ptreetime_tracee *tracee) {
  struct ptreetime_proc_status status = {0};
  struct ptreetime_tracee *process = NULL;
  uint64_t now = ptreetime_now_ns();
  if (ptreetime_proc_status(tracee->tid, &status) && status.process != tracee->tid)
    process = ptreetime_tracee_find(status.process);
  if (process != NULL && process->process == process) {
    ptreetime_tracee_join(tracee, process);
  } else {
    struct ptreetime_tracee *parent = ptreetime_tracee_find(status.parent);
    if (parent == NULL || parent->process != parent)
      parent = ptreetime_tracee_find(recording->root_pid);
    begin_process(tracee, parent, now);
  }
  tracee->adopted = true;
  adopted_count++;
  unhold(tracee);
}

void ptreetime_birth_adopt_all(void) {
  while (first_held != NULL)
    ptreetime_birth_adopt(first_held);
}

struct ptreetime_tracee *ptreetime_birth_met(pid_t tid) {
  struct ptreetime_tracee *tracee = ptreetime_tracee_add(tid);
  if (tracee != NULL) {
    tracee->held = true;
    tracee->next_held = first_held;
    first_held = tracee;
    ptreetime_birth_held++;
  }
  return tracee;
}

void ptreetime_birth_keep_in_vfork(struct ptreetime_tracee *parent, struct ptreetime_tracee *child) {
  ptreetime_birth_take_stop(parent->tid);
  parent->vfork_child = child->tid;
  child->vfork_parent = parent->tid;
}

void ptreetime_birth_end_vfork(struct ptreetime_tracee *child) {
  struct ptreetime_tracee *parent = child->vfork_parent == 0 ? NULL : ptreetime_tracee_find(child->vfork_parent);
  child->vfork_parent = 0;
  if (parent != NULL && parent->vfork_child == child->tid) {
    parent->vfork_child = 0;
    ptreetime_birth_resume(parent->tid, 0);
  }
}
