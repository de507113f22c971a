/* The ptrace backend: follows a tree with PTRACE_SEIZE, stops only at fork, exec and exit, needs no privilege.
 *
 * Every stop is taken by waitid(WNOWAIT): the kernel still holds the stop's signal then, so that a recorder that is
 * killed between seeing a stop and answering it loses none. A tracer's death resumes all that it has stopped, and
 * PTRACE_O_EXITKILL is never used: the build outlives its recorder.
 *
 * What the build sees of this: exec of a set-uid program does not raise privileges (unless root runs the
 * recorder), /proc/PID/status has a TracerPid, and no other tracer can attach.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account.h"
#include "caller.h"
#include "capture.h"
#include "ending.h"
#include "instructions.h"
#include "interrupt.h"
#include "preload.h"
#include "proc.h"
#include "ptrace_birth.h"
#include "ptrace_missing.h"
#include "ptrace_trial.h"
#include "ptrace_wait.h"
#include "recorder.h"
#include "stack.h"
#include "tracee.h"

/* How long the end of a recording waits for survivors to be let go of; a parent in vfork can't stop before its child
 * has exec'ed. Those that are left are let go of when they can be. */
#define LETTING_GO_NS 1000000000u

#define SLICE_NS 100000u /* the shortest that the kernel grants */

static struct ptreetime_recording *current; /* NULL between recordings */
static const char *why_uncounted;           /* instructions; NULL where they are counted */

static void forked(struct ptreetime_tracee *tracee, int event) {
  uint64_t now = ptreetime_now_ns();
  unsigned long message = 0;
  if (ptrace(PTRACE_GETEVENTMSG, tracee->tid, NULL, &message) == 0) {
    struct ptreetime_tracee *child = ptreetime_birth_told((pid_t)message, tracee, now);
    if (event == PTRACE_EVENT_VFORK && child != NULL && child->process == child) {
      ptreetime_birth_keep_in_vfork(tracee, child);
      return;
    }
  }
  ptreetime_birth_resume(tracee->tid, 0);
}

static void execed(struct ptreetime_tracee *process) {
  uint64_t now = ptreetime_now_ns(), highest_rss_bytes = ptreetime_wait_highest_rss_bytes(process->tid);
  struct ptreetime_usage usage = PTREETIME_USAGE_UNKNOWN;
  struct ptreetime_exec exec = {.loading_ns = PTREETIME_TIME_UNKNOWN};
  struct ptreetime_stack_rest rest = {0};
  unsigned long former = (unsigned long)process->tid;
  if (process->threaded && ptrace(PTRACE_GETEVENTMSG, process->tid, NULL, &former) != 0) {
    /* When a thread that was not the leader has exec'ed, the kernel refuses every request until the stop has been
     * taken by a wait: looks_like_a_spurious_pid in kernel/ptrace.c. No signal can be lost at this stop. */
    ptreetime_birth_take_stop(process->tid);
    ptrace(PTRACE_GETEVENTMSG, process->tid, NULL, &former);
  }
  if ((pid_t)former != process->tid) { /* the thread has become the leader, and the old leader has vanished */
    struct ptreetime_tracee *thread = ptreetime_tracee_find((pid_t)former);
    if (thread != NULL)
      ptreetime_tracee_remove(thread);
    ptreetime_account_vanished(process);
  }
  process->threads = 1;
  process->exiting = false;
  /* The time between a process's creation and its first exec belongs to its first image: only the root, which was the
   * gate, and later execs end an image whose usage anybody asks for. */
  if (process->images > 0 || process->tid == current->root_pid) {
    ptreetime_account_exec(process, highest_rss_bytes, &usage);
    exec.usage = &usage;
  }
  usage.instructions = ptreetime_instructions_exec(process);
  process->images++;
  process->earlier_max_rss_bytes = highest_rss_bytes;
  if (!ptreetime_stack_image(process->tid, &exec, &rest))
    ptreetime_proc_program(process->tid, &exec);
  ptreetime_ending_begin(process, now, ptreetime_preload_is_loaded(process->tid, &exec, &rest) ? rest.mailbox : 0);
  ptreetime_proc_places(process->tid, &exec);
  if (current->images >= 0)
    ptreetime_capture_write(current->images, process->tid, process->images - 1);
  ptreetime_birth_resume(process->tid, 0);
  ptreetime_birth_end_vfork(process); /* after it: its parent has less to do than it */
  ptreetime_account_running(process);
  ptreetime_sink_exec(&current->sink, now, process->tid, &exec);
}

static void exiting(struct ptreetime_tracee *tracee) {
  uint64_t now = ptreetime_now_ns();
  struct ptreetime_tracee *process = tracee->process;
  bool first = !tracee->exiting;
  tracee->exiting = true;
  if (first) {
    process->threads--;
    ptreetime_ending_note(tracee, now);
  }
  if (first && process->threads == 0) {
    ptreetime_account_memory(process, tracee->tid);
    if (process->has_children)
      ptreetime_missing_look(tracee);
  }
  ptreetime_birth_resume(tracee->tid, 0);
  if (first && !process->threaded)
    ptreetime_account_ending(process);
}

static void detach(pid_t tid, int event, int signal) {
  if (event == PTRACE_EVENT_EXEC)
    ptreetime_birth_take_stop(tid); /* for the reason in execed */
  ptrace(PTRACE_DETACH, tid, NULL, (void *)(intptr_t)(event == 0 ? signal : 0));
}

static void let_go(struct ptreetime_tracee *tracee, int event, int signal) {
  detach(tracee->tid, event, signal);
  ptreetime_tracee_remove(tracee);
}

static void stopped(pid_t tid, int event, int signal) {
  struct ptreetime_tracee *tracee = ptreetime_tracee_find(tid);
  if (tracee == NULL && current == NULL) {
    detach(tid, event, signal); /* made by one that was let go of a moment ago */
    return;
  }
  if (tracee == NULL) {
    ptreetime_birth_take_stop(tid); /* or waitid would return it again, as it is not going to be answered at once */
    if (ptreetime_birth_met(tid) == NULL)
      ptrace(PTRACE_DETACH, tid, NULL, NULL);
    return;
  }
  if (tracee->letting_go) {
    let_go(tracee, event, signal);
    return;
  }
  if (tracee->vfork_parent != 0 && event != PTRACE_EVENT_EXEC && !(event == PTRACE_EVENT_STOP && signal == SIGTRAP))
    ptreetime_birth_end_vfork(tracee); /* at its end, and to be safe at whatever else is unusual */
  switch (event) {
  case 0: /* a signal on its way: deliver it */
    ptreetime_birth_resume(tid, signal);
    break;
  case PTRACE_EVENT_FORK:
  case PTRACE_EVENT_VFORK:
  case PTRACE_EVENT_CLONE:
    forked(tracee, event);
    break;
  case PTRACE_EVENT_EXEC:
    execed(tracee->process);
    break;
  case PTRACE_EVENT_EXIT:
    exiting(tracee);
    break;
  case PTRACE_EVENT_STOP:
    if (signal == SIGTRAP) { /* its birth, or the end of a group stop */
      ptreetime_instructions_begin(tracee);
      ptreetime_birth_resume(tid, 0);
      if (tracee->process == tracee)
        ptreetime_account_running(tracee);
    } else /* job control: it stays stopped, and we hear when it goes on */
      ptrace(PTRACE_LISTEN, tid, NULL, NULL);
    break;
  default:
    ptreetime_birth_resume(tid, 0);
  }
}

static void reap(pid_t tid) {
  siginfo_t info;
  waitid(P_PID, (id_t)tid, &info, WEXITED | __WALL | WNOHANG);
}

static void dead(pid_t tid) {
  uint64_t now = ptreetime_now_ns();
  struct ptreetime_tracee *tracee = ptreetime_tracee_find(tid);
  if (tracee == NULL && current != NULL)
    tracee = ptreetime_birth_met(tid); /* killed before its first stop */
  if (tracee != NULL && tracee->held && current != NULL)
    ptreetime_birth_adopt(tracee);
  if (tracee == NULL || tracee->process == NULL || tracee->letting_go) {
    reap(tid);
    if (tracee != NULL)
      ptreetime_tracee_remove(tracee);
    return;
  }
  ptreetime_birth_end_vfork(tracee);
  if (tracee->process != tracee) {
    if (!tracee->exiting)
      tracee->process->threads--;
    ptreetime_account_thread(tracee);
    reap(tid);
  } else {
    struct ptreetime_usage usage = PTREETIME_USAGE_UNKNOWN;
    usage.instructions = ptreetime_instructions_end(tracee);
    int status = ptreetime_account_reap(tracee, &usage);
    current->running--;
    ptreetime_sink_exit(&current->sink, now, tid, status, (struct ptreetime_bytes){NULL, 0}, &usage,
                        ptreetime_ending_lags(tracee, now));
  }
  ptreetime_tracee_remove(tracee);
}

/* Take one change of a tracee's state. 1: done, 0: there is none, -1: errno. */
static int take_one(int options) {
  struct ptreetime_change change;
  int found = ptreetime_wait_next(options, &change);
  if (found <= 0)
    return found;
  if (change.dead)
    dead(change.tid);
  else
    stopped(change.tid, change.status >> 8, change.status & 0x7f);
  return 1;
}

static void let_go_of(struct ptreetime_tracee *tracee) {
  if (tracee->vfork_child != 0) { /* it is stopped, and there will be no change to wait for */
    let_go(tracee, PTRACE_EVENT_STOP, 0);
    return;
  }
  tracee->letting_go = true;
  ptrace(PTRACE_INTERRUPT, tracee->tid, NULL, NULL);
}

/* Detach from everything: each tracee has to stop once more for it, and goes on as it was, stopped by job control
 * or running. */
static void ptrace_detach(struct ptreetime_recording *recording) {
  (void)recording;
  ptreetime_birth_adopt_all();
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
  ptreetime_birth_adopt_all();
  ptreetime_tracee_each(ptreetime_missing_look);
  ptreetime_missing_report(recording, now);
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
    int taken = take_one(WEXITED | WSTOPPED | (ptreetime_birth_held > 0 ? WNOHANG : 0));
    if (taken == 0)
      ptreetime_birth_adopt_all();
    else if (taken < 0 && errno != EINTR)
      return ptreetime_format_reason("the traced processes are gone: %s", strerror(errno));
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
  if (ptrace(PTRACE_SEIZE, recording->root_pid, NULL, (void *)PTREETIME_PTRACE_OPTIONS) != 0) {
    int error = errno;
    struct ptreetime_proc_status status;
    if (ptreetime_proc_status(recording->root_pid, &status) && status.tracer != 0)
      return ptreetime_format_reason("the command is already traced, by process %d", (int)status.tracer);
    return ptreetime_format_reason("can't attach to the command: %s", strerror(error));
  }
  struct ptreetime_tracee *root = ptreetime_tracee_add(recording->root_pid);
  if (root == NULL) {
    ptrace(PTRACE_DETACH, recording->root_pid, NULL, NULL);
    return "out of memory";
  }
  ptreetime_tracee_lead(root);
  ptreetime_instructions_begin(root);
  current = recording;
  ptreetime_birth_begin(recording);
  ptreetime_missing_begin();
  ptreetime_interrupt_enable(true);
  return NULL;
}

static bool ptrace_linger(void) {
  while (ptreetime_tracee_count > 0 && take_one(WEXITED | WSTOPPED | WNOHANG) > 0)
    continue;
  return ptreetime_tracee_count > 0;
}

/* A stopped process waits for the recorder: the recorder asks for a short slice, with which the scheduler (6.12 and
 * later; earlier ones ignore it) runs it soon and not for long. It takes no more of the processor than without. Of
 * another scheduling policy it stays a part: there it may need that to be heard beside the build at all. */
static void ask_for_short_slices(void) {
  if (sched_getscheduler(0) != SCHED_OTHER)
    return;
  struct {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
  } attributes = {
      .size = sizeof attributes, .policy = SCHED_OTHER, .nice = getpriority(PRIO_PROCESS, 0), .runtime_ns = SLICE_NS};
  syscall(SYS_sched_setattr, 0, &attributes, 0);
}

static const char *ptrace_open(void) {
  ask_for_short_slices();
  why_uncounted = ptreetime_instructions_open();
  const char *why = ptreetime_ptrace_trial(PTREETIME_PTRACE_OPTIONS);
  return why != NULL ? why : ptreetime_interrupt_open();
}

static const char *ptrace_uncounted(void) { return why_uncounted; }

const struct ptreetime_backend ptreetime_backend_ptrace = {
    .name = "ptrace",
    .capabilities = 0, /* it is for the kernel to judge whom the caller may trace */
    .open = ptrace_open,
    .attach = ptrace_attach,
    .step = ptrace_step,
    .kill = ptrace_kill,
    .detach = ptrace_detach,
    .linger = ptrace_linger,
    .uncounted = ptrace_uncounted,
};
