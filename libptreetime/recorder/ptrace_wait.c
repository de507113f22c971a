#define _GNU_SOURCE
#include "ptrace_wait.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "recorder.h"
#include "tracee.h"

#define FEW 64u /* tracees: to search them is cheaper than to be told */
#define SEARCH_AGAIN_NS 1000000000u

/* What the kernel's waitid gives with a stop: its own struct rusage, whatever the C library makes of the times. */
struct kernel_rusage {
  long user[2];
  long system[2];
  long max_rss_kib;
  long rest[13];
};

static uint64_t search_ended_ns, search_took_ns;
static bool told; /* SIGCHLD is kept for us */

static int look(idtype_t which, pid_t tid, int options, struct ptreetime_change *change) {
  siginfo_t info;
  info.si_pid = 0;
  if (waitid(which, (id_t)tid, &info, options | __WALL | WNOWAIT) != 0)
    return -1;
  if (info.si_pid == 0)
    return 0;
  *change = (struct ptreetime_change){
      .tid = info.si_pid,
      .dead = info.si_code == CLD_EXITED || info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED,
      .status = info.si_status,
  };
  return 1;
}

uint64_t ptreetime_wait_highest_rss_bytes(pid_t tid) {
  siginfo_t info;
  struct kernel_rusage rusage = {0};
  syscall(SYS_waitid, P_PID, tid, &info, WEXITED | WSTOPPED | __WALL | WNOWAIT | WNOHANG, &rusage);
  return (uint64_t)rusage.max_rss_kib * 1024;
}

static int search(int options, struct ptreetime_change *change) {
  uint64_t begin_ns = ptreetime_now_ns();
  int found = look(P_ALL, 0, options | WNOHANG, change);
  search_ended_ns = ptreetime_now_ns();
  search_took_ns = search_ended_ns - begin_ns;
  return found;
}

/* Wait so long for a signal that tells of a tracee, and look at that. 0: there was none, or it told of nothing new. */
static int be_told(uint64_t wait_ns, int options, struct ptreetime_change *change) {
  const struct timespec wait = {.tv_sec = (time_t)(wait_ns / 1000000000u), .tv_nsec = (long)(wait_ns % 1000000000u)};
  sigset_t child;
  siginfo_t info;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  while (sigtimedwait(&child, &info, &wait) < 0) {
    if (errno == EAGAIN)
      return 0;
    if (wait_ns > 0)
      return -1;
  }
  return look(P_PID, info.si_pid, options | WNOHANG, change) > 0 ? 1 : 0;
}

static void begin_to_be_told(void) {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  told = true;
}

int ptreetime_wait_next(int options, struct ptreetime_change *change) {
  if (ptreetime_tracee_count <= FEW)
    return look(P_ALL, 0, options, change);
  if (!told)
    begin_to_be_told();
  for (uint64_t wait_ns = 0;;) {
    int found = be_told(wait_ns, options, change);
    if (found != 0)
      return found;
    uint64_t now_ns = ptreetime_now_ns(), next_search_ns = search_ended_ns + search_took_ns;
    if (now_ns >= next_search_ns || (options & WSTOPPED) == 0) {
      found = search(options, change);
      if (found != 0 || (options & WNOHANG) != 0)
        return found;
      wait_ns = SEARCH_AGAIN_NS; /* there was nothing, and of what comes now the first is told of */
    } else if ((options & WNOHANG) != 0) {
      return 0;
    } else {
      wait_ns = next_search_ns - now_ns;
    }
  }
}
