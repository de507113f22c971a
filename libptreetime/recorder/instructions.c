#define _GNU_SOURCE
#include "instructions.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder.h"

/* tests/tracers/test_instructions.py compiles a recorder that counts something which every machine has. */
#ifndef PTREETIME_COUNTER_TYPE
#define PTREETIME_COUNTER_TYPE PERF_TYPE_HARDWARE
#define PTREETIME_COUNTER PERF_COUNT_HW_INSTRUCTIONS
#endif

/* Descriptors that are left for everything else, and the most that are asked for. */
#define OTHER_FILES 384u
#define MOST_FILES 65536u

#define TRIAL_LOOPS 1000
#define MISSED_PART 5000 /* less than the noise of the metric */

/* struct perf_event_attr as Linux 5.13 has it, whose inherit_thread older headers lack: its first 64 bytes, which every
 * kernel takes. Its flags are a bit field: from the other end where the byte order is. */
struct attributes {
  uint32_t type, size;
  uint64_t config, sample_period, sample_type, read_format, flags;
  uint32_t wakeup_events, breakpoint_type;
  uint64_t breakpoint_address;
};
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define FLAG(bit) (UINT64_C(1) << (bit))
#else
#define FLAG(bit) (UINT64_C(1) << (63 - (bit)))
#endif
#define INHERIT FLAG(1)
#define PINNED FLAG(2) /* it counts all the time, or can't be read */
#define EXCLUDE_KERNEL FLAG(5)
#define EXCLUDE_HYPERVISOR FLAG(6)
#define EXCLUDE_GUEST FLAG(20)
#define INHERIT_THREAD FLAG(35)
#define OF_PROCESS (INHERIT | INHERIT_THREAD)

/* What read(2) gives of such a counter. */
struct reading {
  uint64_t count, enabled_ns, running_ns;
};

static unsigned most, open_counters;
static bool available;
static int *cpu_counters;
static uint32_t cpus;

static int open_counter(pid_t pid, int cpu, uint64_t flags) {
  struct attributes attributes = {
      .type = PTREETIME_COUNTER_TYPE,
      .size = sizeof attributes,
      .config = PTREETIME_COUNTER,
      .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
      .flags = EXCLUDE_KERNEL | EXCLUDE_HYPERVISOR | flags,
  };
  return (int)syscall(SYS_perf_event_open, &attributes, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

/* False where it has not counted all the time. That the kernel sets its counters up anew, with no program running, is
 * in that time too: microseconds. */
static bool read_counter(int counter, uint64_t *count) {
  struct reading reading;
  if (read(counter, &reading, sizeof reading) != (ssize_t)sizeof reading ||
      reading.enabled_ns - reading.running_ns > reading.enabled_ns / MISSED_PART)
    return false;
  *count = reading.count;
  return true;
}

static const char *why_not(int error) {
  static char words[192];
  int paranoid = 0;
  FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
  if (file != NULL) {
    if (fscanf(file, "%d", &paranoid) != 1)
      paranoid = 0;
    fclose(file);
  }
  if ((error == EACCES || error == EPERM) && paranoid > 2)
    snprintf(words, sizeof words, "users may not: run `sysctl kernel.perf_event_paranoid=2` (it is %d)", paranoid);
  else if (error == EACCES || error == EPERM)
    snprintf(words, sizeof words, "perf_event_open is forbidden: in a container, run it with --cap-add=PERFMON");
  else if (error == ENOENT || error == EOPNOTSUPP || error == ENODEV)
    snprintf(words, sizeof words, "the processor shows no counter of them here, as in most virtual machines");
  else if (error == EINVAL)
    snprintf(words, sizeof words, "it needs Linux 5.13 or later");
  else
    snprintf(words, sizeof words, "perf_event_open: %s", strerror(error));
  return words;
}

/* As many descriptors as we may have: only this process's limit changes. */
static void make_room(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0)
    return;
  rlim_t wanted = files.rlim_max < MOST_FILES ? files.rlim_max : MOST_FILES;
  if (files.rlim_cur < wanted) {
    rlim_t before = files.rlim_cur;
    files.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
      files.rlim_cur = before;
  }
  most = files.rlim_cur > OTHER_FILES ? (unsigned)files.rlim_cur - OTHER_FILES : 0;
}

const char *ptreetime_instructions_open(void) {
  int counter = open_counter(0, -1, OF_PROCESS);
  if (counter < 0)
    return why_not(errno);
  uint64_t count = 0;
  for (volatile int loop = 0; loop < TRIAL_LOOPS; loop++)
    continue;
  bool counts = read_counter(counter, &count) && count > 0;
  if (!counts) {
    close(counter);
    return "the processor's counter of them stands still";
  }
  ioctl(counter, PERF_EVENT_IOC_DISABLE, 0); /* kept: the kernel takes its time for the first one */
  make_room();
  available = true;
  return NULL;
}

const char *ptreetime_instructions_open_cpus(void) {
  const char *why = ptreetime_instructions_open();
  long count = sysconf(_SC_NPROCESSORS_CONF);
  if (why != NULL)
    return why;
  cpu_counters = calloc((size_t)count, sizeof *cpu_counters);
  if (cpu_counters == NULL)
    return "out of memory";
  for (; cpus < (uint32_t)count; cpus++) {
    cpu_counters[cpus] = open_counter(-1, (int)cpus, PINNED | EXCLUDE_GUEST);
    if (cpu_counters[cpus] < 0 && errno != ENODEV)
      return why_not(errno);
  }
  return NULL;
}

int ptreetime_instructions_of_cpu(uint32_t cpu) { return cpu < cpus ? cpu_counters[cpu] : PTREETIME_NO_CPU; }

void ptreetime_instructions_begin(struct ptreetime_tracee *process) {
  if (!available || process->counting || process->process != process)
    return;
  process->counting = true;
  int counter = open_counters < most ? open_counter(process->tid, -1, OF_PROCESS) : -1;
  if (counter < 0)
    return;
  process->counter = counter;
  open_counters++;
}

/* What it has counted in all, which is more than at the last look: of an image that has executed nothing the kernel
 * counts nothing any more. */
static bool look(struct ptreetime_tracee *process) {
  uint64_t count;
  if (process->counter == 0)
    return false;
  if (!read_counter(process->counter, &count) || count == process->instructions) {
    ptreetime_instructions_forget(process);
    return false;
  }
  process->instructions = count;
  return true;
}

uint64_t ptreetime_instructions_exec(struct ptreetime_tracee *process) {
  if (!look(process))
    return PTREETIME_UNKNOWN;
  if (process->images == 0)
    process->instructions_before = process->instructions;
  return process->instructions - process->instructions_before;
}

uint64_t ptreetime_instructions_end(struct ptreetime_tracee *process) {
  return look(process) ? process->instructions - process->instructions_before : PTREETIME_UNKNOWN;
}

void ptreetime_instructions_forget(struct ptreetime_tracee *process) {
  if (process->counter == 0)
    return;
  close(process->counter);
  process->counter = 0;
  open_counters--;
}
