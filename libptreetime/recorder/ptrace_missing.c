#define _GNU_SOURCE
#include "ptrace_missing.h"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_STRANGERS 64u /* children looked at of one process: the unreaped ones of a shell may be thousands */

/* Faults of dead processes whose parent has ended without reaping them: whoever got them may reap them. */
static uint64_t left_minor, left_major;

static uint64_t noticed; /* processes with children that are missing */
static pid_t first_pid;
static char first_name[64];

void ptreetime_missing_begin(void) { left_minor = left_major = noticed = 0; }

static void notice(pid_t pid) {
  if (noticed++ > 0)
    return;
  struct ptreetime_bytes name = ptreetime_proc_name(pid);
  size_t size = 0;
  for (; size < name.size && size < sizeof first_name - 1; size++)
    first_name[size] = (char)(name.data[size] > ' ' && name.data[size] < 0x7f ? name.data[size] : '?');
  first_name[size] = '\0';
  first_pid = pid;
}

void ptreetime_missing_dead(struct ptreetime_tracee *reaper, const struct rusage *usage) {
  if (reaper == NULL)
    return;
  struct rusage *sum = &reaper->children_usage;
  sum->ru_minflt += usage->ru_minflt;
  sum->ru_majflt += usage->ru_majflt;
  sum->ru_nvcsw += usage->ru_nvcsw;
  sum->ru_nivcsw += usage->ru_nivcsw;
}

bool ptreetime_missing_suspects(const struct ptreetime_tracee *process, const struct ptreetime_usage *usage) {
  struct kernel_rusage {
    long user_s, user_us, system_s, system_us;
    long rest[14];
  } both = {0};
  siginfo_t info;
  if (usage->cpu_ns == PTREETIME_UNKNOWN ||
      syscall(SYS_waitid, P_PID, process->tid, &info, WEXITED | __WALL | WNOWAIT | WNOHANG, &both) != 0)
    return false;
  /* The kernel splits the exact time of a process into these two, and cuts both to microseconds. */
  uint64_t with_children_us =
      (uint64_t)(both.user_s + both.system_s) * 1000000u + (uint64_t)(both.user_us + both.system_us);
  return with_children_us * 1000 > usage->cpu_ns + 1000;
}

/* How much of reaped is neither of known nor of left, which becomes smaller or larger by the difference. */
static bool exceeds(uint64_t reaped, uint64_t known, uint64_t *left) {
  if (reaped <= known) {
    *left += known - reaped;
    return false;
  }
  uint64_t more = reaped - known;
  bool exceeding = more > *left;
  *left -= exceeding ? *left : more;
  return exceeding;
}

void ptreetime_missing_check(const struct ptreetime_tracee *process, const struct ptreetime_proc_faults *faults) {
  const struct rusage *known = &process->children_usage;
  bool minor = exceeds(faults->children_minor, (uint64_t)known->ru_minflt, &left_minor);
  bool major = exceeds(faults->children_major, (uint64_t)known->ru_majflt, &left_major);
  if (minor || major)
    notice(process->tid);
}

void ptreetime_missing_look(struct ptreetime_tracee *thread) {
  pid_t children[MOST_STRANGERS];
  if (thread->process == NULL)
    return;
  size_t count = ptreetime_proc_children(thread->process->tid, thread->tid, children, MOST_STRANGERS);
  for (size_t i = 0; i < count; i++) {
    struct ptreetime_proc_status status;
    if (ptreetime_tracee_find(children[i]) == NULL && ptreetime_proc_status(children[i], &status) && !status.dead &&
        status.tracer != getpid()) { /* ours, but nobody has told of it yet */
      notice(thread->process->tid);
      return;
    }
  }
}

void ptreetime_missing_report(struct ptreetime_recording *recording, uint64_t now_ns) {
  if (noticed > 0)
    ptreetime_sink_lost(&recording->sink, now_ns, noticed,
                        ptreetime_format_reason("processes are missing: ptrace was not told of children of %llu %s "
                                                "(CLONE_UNTRACED), first of %d (%s); the tracer ebpf sees them",
                                                (unsigned long long)noticed, noticed == 1 ? "process" : "processes",
                                                (int)first_pid, first_name));
}
