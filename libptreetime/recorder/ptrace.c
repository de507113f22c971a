/* The ptrace backend: follows a tree with PTRACE_SEIZE, stops only at fork, exec and exit, needs no privilege.
 *
 * Every stop is taken by waitid(WNOWAIT): the kernel still holds the stop's signal then, so that a recorder that is
 * killed between seeing a stop and answering it loses none. A tracer's death resumes all that it has stopped, and
 * PTRACE_O_EXITKILL is never used: the build outlives its recorder.
 *
 * What the build sees of this: exec of a set-uid program does not raise privileges (unless the recorder has
 * CAP_SYS_PTRACE), /proc/PID/status has a TracerPid, and no other tracer can attach.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account.h"
#include "interrupt.h"
#include "proc.h"
#include "ptrace_trial.h"
#include "recorder.h"
#include "stack.h"
#include "tracee.h"

#define OPTIONS                                                                                                        \
  (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT)

/* How long the end of a recording waits for survivors to be let go of; a parent in vfork can't stop before its child
 * has exec'ed. Those that are left are let go of when they can be. */
#define LETTING_GO_NS 1000000000u

static struct ptreetime_recording *current; /* NULL between recordings */
static unsigned held_count;                 /* tracees whose maker has not told of them yet */
static unsigned adopted_count;              /* tracees that were let run all the same, and may be dead by now */

static void take_away_stop(pid_t tid) {
  siginfo_t info;
  waitid(P_PID, (id_t)tid, &info, WSTOPPED | __WALL | WNOHANG);
}

static int resume(pid_t tid, int signal) { return (int)ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)signal); }

/* A process of the recording, forked by parent (NULL: by one that is gone): tell of it, and end it at once where all
 * are to be ended. */
static void begin_process(struct ptreetime_tracee *tracee, struct ptreetime_tracee *parent, uint64_t time_ns) {
  ptreetime_tracee_lead(tracee, parent);
  if (parent != NULL)
    parent->has_children = true;
  current->processes++;
  current->running++;
  ptreetime_sink_create(&current->sink, time_ns, tracee->tid, parent != NULL ? parent->tid : current->root_pid);
  if (current->killing)
    kill(tracee->tid, SIGKILL);
}

static void unhold(struct ptreetime_tracee *tracee) {
  if (tracee->held) {
    tracee->held = false;
    held_count--;
    resume(tracee->tid, 0);
  }
}

static bool is_thread_of(pid_t tid, const struct ptreetime_tracee *process) {
  return syscall(SYS_tgkill, process->tid, tid, 0) == 0;
}

static bool is_gone(pid_t tid) {
  siginfo_t info;
  return waitid(P_PID, (id_t)tid, &info, WEXITED | WSTOPPED | __WALL | WNOWAIT | WNOHANG) != 0 && errno == ECHILD;
}

/* A thread or a process has been made by maker. Its own first stop may have come before, and then it is held; it may
 * even have been adopted, and died, before. */
static void begin_tracee(pid_t tid, struct ptreetime_tracee *maker, uint64_t time_ns) {
  struct ptreetime_tracee *tracee = ptreetime_tracee_find(tid);
  if (tracee != NULL && !tracee->held) {
    adopted_count -= tracee->adopted;
    tracee->adopted = false;
    return;
  }
  if (tracee == NULL && adopted_count > 0 && is_gone(tid)) {
    adopted_count--;
    return;
  }
  if (tracee == NULL && (tracee = ptreetime_tracee_add(tid)) == NULL)
    return;
  if (is_thread_of(tid, maker->process))
    ptreetime_tracee_join(tracee, maker->process);
  else
    begin_process(tracee, maker->process, time_ns);
  unhold(tracee);
}

/* Who made this one is not going to be told, or not soon: its maker may have been killed before it could stop. Then
 * its parent, as the kernel has it now, is taken for it. */
static void adopt(struct ptreetime_tracee *tracee) {
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
      parent = ptreetime_tracee_find(current->root_pid);
    begin_process(tracee, parent, now);
  }
  tracee->adopted = true;
  adopted_count++;
  unhold(tracee);
}

static void adopt_if_held(struct ptreetime_tracee *tracee) {
  if (tracee->held)
    adopt(tracee);
}

static struct ptreetime_tracee *meet(pid_t tid) {
  struct ptreetime_tracee *tracee = ptreetime_tracee_add(tid);
  if (tracee != NULL) {
    tracee->held = true;
    held_count++;
  }
  return tracee;
}

static void forked(struct ptreetime_tracee *tracee) {
  uint64_t now = ptreetime_now_ns();
  unsigned long child = 0;
  if (ptrace(PTRACE_GETEVENTMSG, tracee->tid, NULL, &child) == 0)
    begin_tracee((pid_t)child, tracee, now);
  resume(tracee->tid, 0);
}

static void execed(struct ptreetime_tracee *process) {
  uint64_t now = ptreetime_now_ns();
  struct ptreetime_usage usage = {0};
  struct ptreetime_exec exec = {0};
  unsigned long former = 0;
  if (ptrace(PTRACE_GETEVENTMSG, process->tid, NULL, &former) != 0) {
    /* When a thread that was not the leader has exec'ed, the kernel refuses every request until the stop has been
     * taken by a wait: looks_like_a_spurious_pid in kernel/ptrace.c. No signal can be lost at this stop. */
    take_away_stop(process->tid);
    ptrace(PTRACE_GETEVENTMSG, process->tid, NULL, &former);
  }
  if ((pid_t)former != process->tid) { /* the thread has become the leader, and the old leader has vanished */
    struct ptreetime_tracee *thread = ptreetime_tracee_find((pid_t)former);
    if (thread != NULL)
      ptreetime_tracee_remove(thread);
    process->run_delay_unknown = true;
  }
  process->threads = 1;
  process->exiting = false;
  /* The time between a process's creation and its first exec belongs to its first image: only the root, which was the
   * gate, and later execs end an image whose usage anybody asks for. */
  if (process->images > 0 || process->tid == current->root_pid) {
    ptreetime_account_exec(process, &usage);
    exec.usage = &usage;
  }
  process->images++;
  if (!ptreetime_stack_image(process->tid, &exec))
    ptreetime_proc_program(process->tid, &exec);
  ptreetime_proc_places(process->tid, &exec);
  resume(process->tid, 0);
  ptreetime_sink_exec(&current->sink, now, process->tid, &exec);
}

static void exiting(struct ptreetime_tracee *tracee) {
  struct ptreetime_tracee *process = tracee->process;
  bool first = !tracee->exiting;
  tracee->exiting = true;
  if (first && --process->threads == 0)
    ptreetime_account_memory(process, tracee->tid);
  resume(tracee->tid, 0);
  if (first && !process->threaded)
    ptreetime_account_ending(process);
}

static void let_go(struct ptreetime_tracee *tracee, int event, int signal) {
  ptrace(PTRACE_DETACH, tracee->tid, NULL, (void *)(intptr_t)(event == 0 ? signal : 0));
  ptreetime_tracee_remove(tracee);
}

static void stopped(pid_t tid, int event, int signal) {
  struct ptreetime_tracee *tracee = ptreetime_tracee_find(tid);
  if (tracee == NULL && current == NULL) {
    ptrace(PTRACE_DETACH, tid, NULL, NULL); /* made by one that was let go of a moment ago */
    return;
  }
  if (tracee == NULL) {
    take_away_stop(tid); /* or waitid would return it again, as it is not going to be answered at once */
    if (meet(tid) == NULL)
      ptrace(PTRACE_DETACH, tid, NULL, NULL);
    return;
  }
  if (tracee->letting_go) {
    let_go(tracee, event, signal);
    return;
  }
  switch (event) {
  case 0: /* a signal on its way: deliver it */
    resume(tid, signal);
    break;
  case PTRACE_EVENT_FORK:
  case PTRACE_EVENT_VFORK:
  case PTRACE_EVENT_CLONE:
    forked(tracee);
    break;
  case PTRACE_EVENT_EXEC:
    execed(tracee->process);
    break;
  case PTRACE_EVENT_EXIT:
    exiting(tracee);
    break;
  case PTRACE_EVENT_STOP:
    if (signal == SIGTRAP) /* its birth, or the end of a group stop */
      resume(tid, 0);
    else /* job control: it stays stopped, and we hear when it goes on */
      ptrace(PTRACE_LISTEN, tid, NULL, NULL);
    break;
  default:
    resume(tid, 0);
  }
}

static void reap(pid_t tid) {
  siginfo_t info;
  waitid(P_PID, (id_t)tid, &info, WEXITED | __WALL | WNOHANG);
}

static void dead(pid_t tid) {
  uint64_t now = ptreetime_now_ns();
  struct ptreetime_tracee *tracee = ptreetime_tracee_find(tid);
  if (tracee == NULL && current != NULL && (tracee = meet(tid)) != NULL)
    adopt(tracee); /* killed before its first stop */
  if (tracee == NULL || tracee->process == NULL || tracee->letting_go) {
    reap(tid);
    if (tracee != NULL)
      ptreetime_tracee_remove(tracee);
    return;
  }
  if (tracee->held) {
    tracee->held = false;
    held_count--;
  }
  if (tracee->process != tracee) {
    if (!tracee->exiting)
      tracee->process->threads--;
    ptreetime_account_thread(tracee);
    reap(tid);
  } else {
    struct ptreetime_usage usage = {0};
    int status = ptreetime_account_reap(tracee, &usage);
    current->running--;
    ptreetime_sink_exit(&current->sink, now, tid, status, (struct ptreetime_bytes){NULL, 0}, &usage);
  }
  ptreetime_tracee_remove(tracee);
}

/* Take one change of a tracee's state. 1: done, 0: there is none, -1: errno. */
static int take_one(int options) {
  siginfo_t info;
  info.si_pid = 0;
  if (waitid(P_ALL, 0, &info, options | __WALL | WNOWAIT) != 0)
    return -1;
  if (info.si_pid == 0)
    return 0;
  if (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED)
    dead(info.si_pid);
  else
    stopped(info.si_pid, info.si_status >> 8, info.si_status & 0x7f);
  return 1;
}

static void let_go_of(struct ptreetime_tracee *tracee) {
  tracee->letting_go = true;
  ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
}

/* Detach from everything: each tracee has to stop once more for it, and goes on as it was, stopped by job control
 * or running. */
static void ptrace_detach(struct ptreetime_recording *recording) {
  (void)recording;
  ptreetime_tracee_each(adopt_if_held);
  current = NULL;
  ptreetime_interrupt_enable(false);
  ptreetime_tracee_each(let_go_of);
  uint64_t deadline_ns = ptreetime_now_ns() + LETTING_GO_NS;
  ptreetime_interrupt_every(20000);
  while (ptreetime_tracee_count > 0 && ptreetime_now_ns() < deadline_ns) {
    if (take_one(WEXITED | WSTOPPED) < 0 && errno == ECHILD)
      break;
  }
  ptreetime_interrupt_every(0);
}

/* The root is dead. What died with it is told of, what lives is counted and let go of. */
static void finish(struct ptreetime_recording *recording) {
  uint64_t now = ptreetime_now_ns();
  while (take_one(WEXITED | WNOHANG) > 0)
    continue;
  ptreetime_tracee_each(adopt_if_held);
  ptreetime_recording_end(recording, now, recording->running);
  ptrace_detach(recording);
  recording->ended = true;
}

static bool has_ended(const struct ptreetime_recording *recording) {
  if (recording->killing)
    return recording->running == 0;
  return ptreetime_tracee_find(recording->root_pid) == NULL;
}

static const char *ptrace_step(struct ptreetime_recording *recording) {
  while (!ptreetime_interrupt_take()) {
    if (has_ended(recording)) {
      finish(recording);
      return NULL;
    }
    int taken = take_one(WEXITED | WSTOPPED | (held_count > 0 ? WNOHANG : 0));
    if (taken == 0)
      ptreetime_tracee_each(adopt_if_held);
    else if (taken < 0 && errno != EINTR)
      return ptreetime_words("the traced processes are gone: %s", strerror(errno));
  }
  return NULL;
}

static void kill_process(struct ptreetime_tracee *tracee) {
  if (tracee->process == tracee || tracee->held)
    kill(tracee->tid, SIGKILL);
}

static void ptrace_kill(struct ptreetime_recording *recording) {
  (void)recording;
  ptreetime_tracee_each(kill_process);
}

static const char *ptrace_attach(struct ptreetime_recording *recording) {
  if (ptrace(PTRACE_SEIZE, recording->root_pid, NULL, (void *)OPTIONS) != 0) {
    int error = errno;
    struct ptreetime_proc_status status;
    if (ptreetime_proc_status(recording->root_pid, &status) && status.tracer != 0)
      return ptreetime_words("the command is already traced, by process %d", (int)status.tracer);
    return ptreetime_words("can't attach to the command: %s", strerror(error));
  }
  struct ptreetime_tracee *root = ptreetime_tracee_add(recording->root_pid);
  if (root == NULL) {
    ptrace(PTRACE_DETACH, recording->root_pid, NULL, NULL);
    return "out of memory";
  }
  ptreetime_tracee_lead(root, NULL);
  current = recording;
  ptreetime_interrupt_enable(true);
  return NULL;
}

static bool ptrace_linger(void) {
  while (ptreetime_tracee_count > 0 && take_one(WEXITED | WSTOPPED | WNOHANG) > 0)
    continue;
  return ptreetime_tracee_count > 0;
}

static const char *ptrace_open(void) {
  const char *why = ptreetime_ptrace_trial(OPTIONS);
  return why != NULL ? why : ptreetime_interrupt_open();
}

const struct ptreetime_backend ptreetime_backend_ptrace = {
    .name = "ptrace",
    .open = ptrace_open,
    .attach = ptrace_attach,
    .step = ptrace_step,
    .kill = ptrace_kill,
    .detach = ptrace_detach,
    .linger = ptrace_linger,
};
