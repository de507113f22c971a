#define _GNU_SOURCE
#include "proc.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *path_of(pid_t pid, const char *file) {
  static char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
  return path;
}

/* Read a small file of /proc into text, NUL-terminated. Its size, or -1. */
static ssize_t read_small(pid_t pid, const char *file, char *text, size_t size) {
  int descriptor = open(path_of(pid, file), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return -1;
  ssize_t count = read(descriptor, text, size - 1);
  close(descriptor);
  if (count >= 0)
    text[count] = '\0';
  return count;
}

/* The arguments may have 2 MiB and more (a quarter of the stack's limit): memory that grows and is kept. */
static struct ptreetime_bytes read_arguments(pid_t pid) {
  static char *arguments;
  static size_t capacity;
  int descriptor = open(path_of(pid, "cmdline"), O_RDONLY | O_CLOEXEC);
  ssize_t count = descriptor < 0 ? -1 : 0;
  size_t size = 0;
  while (count >= 0) {
    if (size == capacity) {
      size_t larger = capacity == 0 ? 256u << 10 : 2 * capacity;
      char *grown = realloc(arguments, larger);
      if (grown == NULL) {
        count = -1;
        break;
      }
      arguments = grown;
      capacity = larger;
    }
    count = read(descriptor, arguments + size, capacity - size);
    if (count <= 0)
      break;
    size += (size_t)count;
  }
  if (descriptor >= 0)
    close(descriptor);
  return (struct ptreetime_bytes){count < 0 ? NULL : arguments, size};
}

static struct ptreetime_bytes read_link(pid_t pid, const char *name, char *target, size_t size) {
  ssize_t count = readlink(path_of(pid, name), target, size);
  if (count < 0 || (size_t)count == size)
    return (struct ptreetime_bytes){NULL, 0};
  return (struct ptreetime_bytes){target, (size_t)count};
}

struct ptreetime_bytes ptreetime_proc_name(pid_t pid) {
  static char name[64];
  ssize_t count = read_small(pid, "comm", name, sizeof name);
  return (struct ptreetime_bytes){count > 0 ? name : NULL, count > 0 ? (size_t)count - 1 : 0}; /* no newline */
}

void ptreetime_proc_program(pid_t pid, struct ptreetime_exec *exec) {
  exec->name = ptreetime_proc_name(pid);
  exec->args = read_arguments(pid);
}

void ptreetime_proc_places(pid_t pid, struct ptreetime_exec *exec) {
  static char exe[PATH_MAX + 64], cwd[PATH_MAX + 64];
  exec->exe = read_link(pid, "exe", exe, sizeof exe);
  exec->cwd = read_link(pid, "cwd", cwd, sizeof cwd);
}

/* The number after label, which begins a line. */
static bool number_after(const char *text, const char *label, uint64_t *number) {
  const char *at = strstr(text, label);
  if (at == NULL)
    return false;
  *number = strtoull(at + strlen(label), NULL, 10);
  return true;
}

bool ptreetime_proc_status(pid_t pid, struct ptreetime_proc_status *status) {
  char text[4096]; /* the switches come last; the kernel writes about 1,500 bytes */
  if (read_small(pid, "status", text, sizeof text) <= 0)
    return false;
  uint64_t number = 0;
  const char *state = strstr(text, "\nState:\t");
  status->dead = state != NULL && (state[8] == 'Z' || state[8] == 'X');
  status->process = number_after(text, "\nTgid:", &number) ? (pid_t)number : 0;
  status->parent = number_after(text, "\nPPid:", &number) ? (pid_t)number : 0;
  status->tracer = number_after(text, "\nTracerPid:", &number) ? (pid_t)number : 0;
  return number_after(text, "\nvoluntary_ctxt_switches:", &status->voluntary_switches) &&
         number_after(text, "\nnonvoluntary_ctxt_switches:", &status->involuntary_switches);
}

int ptreetime_proc_open_status(pid_t pid) { return open(path_of(pid, "status"), O_RDONLY | O_CLOEXEC); }

bool ptreetime_proc_max_rss_in(int status, uint64_t *max_rss_bytes, pid_t *parent) {
  char text[2048]; /* both come in the first third */
  uint64_t kib, number = 0;
  *parent = 0;
  ssize_t count = pread(status, text, sizeof text - 1, 0);
  if (count <= 0)
    return false;
  text[count] = '\0';
  if (number_after(text, "\nPPid:", &number))
    *parent = (pid_t)number;
  if (!number_after(text, "\nVmHWM:", &kib))
    return false;
  *max_rss_bytes = kib * 1024;
  return true;
}

bool ptreetime_proc_max_rss(pid_t pid, uint64_t *max_rss_bytes, pid_t *parent) {
  int status = ptreetime_proc_open_status(pid);
  if (status < 0)
    return false;
  bool known = ptreetime_proc_max_rss_in(status, max_rss_bytes, parent);
  close(status);
  return known;
}

bool ptreetime_proc_faults(pid_t pid, struct ptreetime_proc_faults *faults) {
  char text[1024];
  if (read_small(pid, "stat", text, sizeof text) <= 0)
    return false;
  /* pid (name) state ppid pgrp session tty tpgid flags minflt cminflt majflt cmajflt: a name may contain anything. */
  const char *after_name = strrchr(text, ')');
  unsigned long long minor, children_minor, major, children_major;
  if (after_name == NULL || sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %llu %llu %llu %llu", &minor,
                                   &children_minor, &major, &children_major) != 4)
    return false;
  *faults = (struct ptreetime_proc_faults){minor, children_minor, major, children_major};
  return true;
}

size_t ptreetime_proc_children(pid_t pid, pid_t tid, pid_t *children, size_t limit) {
  char file[48], text[1024], *at = text;
  snprintf(file, sizeof file, "task/%d/children", (int)tid);
  if (read_small(pid, file, text, sizeof text) <= 0)
    return 0;
  size_t count = 0;
  while (count < limit) {
    char *end;
    unsigned long number = strtoul(at, &end, 10);
    if (*end != ' ') /* the end, or a number that was cut */
      break;
    children[count++] = (pid_t)number;
    at = end + 1;
  }
  return count;
}

static uint64_t run_delay_of(pid_t tid) {
  char text[128];
  if (read_small(tid, "schedstat", text, sizeof text) <= 0)
    return PTREETIME_UNKNOWN;
  /* time on the CPU, time waiting for it, times that it ran: the last is zero where the kernel keeps no count. */
  char *at = text;
  strtoull(at, &at, 10);
  uint64_t delay = strtoull(at, &at, 10);
  return strtoull(at, &at, 10) == 0 ? PTREETIME_UNKNOWN : delay;
}

void ptreetime_proc_counters(pid_t tid, bool only, struct ptreetime_thread_counters *counters) {
  char file[32], text[512] = "\n";
  snprintf(file, sizeof file, "task/%d/io", (int)tid);
  memset(counters, 0xff, sizeof *counters);
  counters->run_delay_ns = run_delay_of(tid);
  if (read_small(tid, only ? "io" : file, text + 1, sizeof text - 1) <= 0)
    return;
  number_after(text, "\nrchar:", &counters->read_bytes);
  number_after(text, "\nwchar:", &counters->written_bytes);
  number_after(text, "\nsyscr:", &counters->reads);
  number_after(text, "\nsyscw:", &counters->writes);
}

/* The numbers of a process's CPU clocks (include/linux/posix-timers.h): a clockid is the pid's complement, and these.
 */
enum cpu_clock { CPU_CLOCK_PROF = 0, CPU_CLOCK_VIRT = 1, CPU_CLOCK_SCHED = 2 };

static bool read_clock(pid_t pid, enum cpu_clock which, uint64_t *time_ns) {
  clockid_t clock = (clockid_t)(~(unsigned)pid << 3 | (unsigned)which);
  struct timespec time;
  if (clock_gettime(clock, &time) != 0)
    return false;
  *time_ns = (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
  return true;
}

void ptreetime_proc_clocks(pid_t pid, struct ptreetime_usage *usage) {
  uint64_t cpu_ns, user_ns, both_ns;
  if (read_clock(pid, CPU_CLOCK_SCHED, &cpu_ns))
    usage->cpu_ns = cpu_ns;
  if (read_clock(pid, CPU_CLOCK_PROF, &both_ns) && read_clock(pid, CPU_CLOCK_VIRT, &user_ns)) {
    usage->utime_ns = user_ns;
    usage->stime_ns = both_ns > user_ns ? both_ns - user_ns : 0;
  }
}
