#define _GNU_SOURCE
#include "ebpf_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "recorder.h"

/* Readable where trace events can be attached to. */
#define EXEC_EVENT "/sys/kernel/tracing/events/sched/sched_process_exec/id"
#define EXIT_GROUP_EVENT "/sys/kernel/tracing/events/syscalls/sys_enter_exit_group/id"
#define CONNECT_EVENT "/sys/kernel/tracing/events/syscalls/sys_exit_connect/id"
#define EXECVE_EVENT "/sys/kernel/tracing/events/syscalls/sys_exit_execve/id"

/* What kernels differ in, told by a name in their description of themselves. A tracepoint NAME has a type
 * btf_trace_NAME; libbpf could look for it too, but parses everything before each time. */
enum trait {
  PREPARE_EXEC,  /* Linux 6.10 and later */
  EXIT_MMAP,     /* Linux 6.1 and later */
  SYSTEM_CALLS,  /* has a tracepoint at the end of all */
  EARLY_EXIT,    /* sched_process_exit comes before the memory goes, and is an event of its own kind: Linux 6.16 */
  PAGE_FAULT,    /* has a tracepoint at the page faults of programs */
  INTERRUPTIBLE, /* tracepoints are guarded by this instead of by keeping other processes off the CPU: Linux 7 */
  TRAITS
};
static const char *const TRAIT_NAMES[TRAITS] = {
    [PREPARE_EXEC] = "btf_trace_sched_prepare_exec", [EXIT_MMAP] = "btf_trace_exit_mmap",
    [SYSTEM_CALLS] = "btf_trace_sys_exit",           [EARLY_EXIT] = "trace_event_raw_sched_process_exit",
    [PAGE_FAULT] = "btf_trace_page_fault_user",      [INTERRUPTIBLE] = "class_srcu_fast_notrace_t",
};
#define HAS(trait) (1u << (trait))

/* The parts that are not for every kernel. Linux takes no notice of a process while another one of its CPU has been
 * interrupted in the middle of the same part: it leaves the run out, and counts it. No process may be missed by those
 * that are indispensable. */
static const struct part {
  const char *name;
  unsigned with, without; /* traits */
  bool indispensable;
  const char *function; /* of the kernel, at whose begin it runs, where that is allowed */
} PARTS[] = {
    {"on_fork", 0, HAS(INTERRUPTIBLE), true, NULL},
    {"on_exec", 0, HAS(INTERRUPTIBLE), true, NULL},
    {"on_exit", 0, HAS(INTERRUPTIBLE), true, NULL},
    {"on_prepare_exec", HAS(PREPARE_EXEC), HAS(INTERRUPTIBLE), false, NULL},
    {"on_memory_freed", HAS(EXIT_MMAP), HAS(INTERRUPTIBLE), false, NULL},
    {"on_memory_replaced", 0, HAS(PREPARE_EXEC), false, "exec_mm_release"},
    {"on_memory_left", 0, HAS(EARLY_EXIT), false, "exit_mm_release"},
    {"on_page_fault", HAS(PAGE_FAULT), 0, false, NULL},
    {"on_new_task", HAS(INTERRUPTIBLE), 0, true, NULL},
    {"on_exec_event", HAS(INTERRUPTIBLE), 0, true, NULL},
    {"on_exit_event", HAS(INTERRUPTIBLE), 0, true, NULL},
    {"on_prepare_exec_event", HAS(INTERRUPTIBLE) | HAS(PREPARE_EXEC), 0, false, NULL},
    {"on_memory_freed_event", HAS(INTERRUPTIBLE) | HAS(EXIT_MMAP), 0, false, NULL},
};
#define PARTS_COUNT (sizeof PARTS / sizeof *PARTS)

/* The programs that can count failed execs, the cheapest first: at the ends of the two functions, at the tracepoints of
 * the two system calls, at the end of every system call. One kind is attached. */
static struct bpf_program *function_programs[2], *event_programs[2], *system_call_program;
static struct bpf_link *system_call_link; /* of the last while it is attached */

/* What sees connections: a program at the end of the function, or two at the tracepoints of the system call. */
static struct bpf_program *connect_function, *connect_events[2];
static bool sees_connections;

/* Shows when a process begins to end, where nothing better does: every system call of the machine takes 30 ns more
 * while it is attached. */
static struct bpf_program *exit_group_program;
static struct bpf_link *exit_group_link;

static int indispensable[PARTS_COUNT]; /* descriptors */
static size_t indispensable_count;

/* The kernel's description of itself as it is, *size bytes of it; NULL where there is no memory or it can't be read. */
static char *read_btf(size_t *size) {
  int descriptor = open(PTREETIME_KERNEL_BTF, O_RDONLY | O_CLOEXEC);
  struct stat status;
  char *bytes = NULL;
  *size = 0;
  if (descriptor >= 0 && fstat(descriptor, &status) == 0)
    bytes = malloc((size_t)status.st_size);
  ssize_t count = 1;
  while (bytes != NULL && count > 0 && *size < (size_t)status.st_size) {
    count = read(descriptor, bytes + *size, (size_t)status.st_size - *size);
    *size += count > 0 ? (size_t)count : 0;
  }
  if (descriptor >= 0)
    close(descriptor);
  return bytes;
}

static unsigned find_traits(void) {
  struct { /* struct btf_header, include/uapi/linux/btf.h */
    uint16_t magic;
    uint8_t version, flags;
    uint32_t header_size, types_offset, types_size, names_offset, names_size;
  } header;
  unsigned found = 0;
  size_t size;
  char *btf = read_btf(&size);
  if (btf != NULL && size > sizeof header) {
    memcpy(&header, btf, sizeof header);
    size_t begin = (size_t)header.header_size + header.names_offset; /* the names are at the end */
    for (int trait = 0; trait < TRAITS && begin < size; trait++) {
      if (memmem(btf + begin, size - begin, TRAIT_NAMES[trait], strlen(TRAIT_NAMES[trait]) + 1) != NULL)
        found |= HAS(trait);
    }
  }
  free(btf);
#ifndef __x86_64__
  found &= ~HAS(PAGE_FAULT); /* what its error code means is known of x86 only */
#endif
  return found;
}

/* The functions of the system calls, and the numbers of execve and execveat, for programs of 32 bits too. The BPF
 * program knows where these two architectures keep a system call's number. */
#if defined(__x86_64__)
#define SYSTEM_CALL "__x64_sys_"
static const uint32_t EXEC_NUMBERS[2] = {SYS_execve, SYS_execveat}, EXEC_NUMBERS_32[2] = {11, 358};
#elif defined(__aarch64__)
#define SYSTEM_CALL "__arm64_sys_"
static const uint32_t EXEC_NUMBERS[2] = {SYS_execve, SYS_execveat}, EXEC_NUMBERS_32[2] = {11, 387};
#else
#define SYSTEM_CALL "sys_"
static const uint32_t EXEC_NUMBERS[2] = {PTREETIME_NO_SYSTEM_CALL, PTREETIME_NO_SYSTEM_CALL};
static const uint32_t EXEC_NUMBERS_32[2] = {PTREETIME_NO_SYSTEM_CALL, PTREETIME_NO_SYSTEM_CALL};
#endif

enum { BPF_TRACE_FENTRY = 24, BPF_TRACE_FEXIT = 25 };

/* arm64 before Linux 6.4 loads a program for a function, and does not let it be attached. Elsewhere that is not tried:
 * it takes its time. */
static bool can_attach(int program) {
#ifdef __aarch64__
  enum { BPF_RAW_TRACEPOINT_OPEN = 17 };
  struct { /* of union bpf_attr */
    uint64_t name;
    uint32_t program, reserved;
  } attributes = {.program = (uint32_t)program};
  int link = (int)syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attributes, sizeof attributes);
  if (link >= 0)
    close(link);
  return link >= 0;
#else
  (void)program;
  return true;
#endif
}

/* Whether the kernel takes a program (one that returns 0) for the begin or the end of a function. Some refuse it:
 * without trampolines, or by a policy. All programs of the object are loaded or none, so it has to be known before. */
static bool takes_program_at(const char *function, uint32_t where) {
  enum { BPF_PROG_LOAD = 5, BPF_PROG_TYPE_TRACING = 26 };
  static const uint64_t return_0[] = {0xb7 /* r0 = 0 */, 0x95 /* exit */};
  struct { /* the part of union bpf_attr that counts here, of include/uapi/linux/bpf.h */
    uint32_t prog_type, insn_cnt;
    uint64_t insns, license;
    uint32_t log_level, log_size;
    uint64_t log_buf;
    uint32_t kern_version, prog_flags;
    char prog_name[16];
    uint32_t prog_ifindex, expected_attach_type, prog_btf_fd, func_info_rec_size;
    uint64_t func_info;
    uint32_t func_info_cnt, line_info_rec_size;
    uint64_t line_info;
    uint32_t line_info_cnt, attach_btf_id, attach_prog_fd, reserved;
  } attributes = {.prog_type = BPF_PROG_TYPE_TRACING, .insn_cnt = 2, .expected_attach_type = where};
  int id = ptreetime_libbpf.libbpf_find_vmlinux_btf_id(function, (int)where);
  attributes.insns = (uintptr_t)return_0;
  attributes.license = (uintptr_t) "GPL";
  attributes.attach_btf_id = (uint32_t)id;
  int descriptor = id <= 0 ? -1 : (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
  bool takes = descriptor >= 0 && can_attach(descriptor);
  if (descriptor >= 0)
    close(descriptor);
  return takes;
}

static struct bpf_program *find(struct bpf_object *object, const char *part) {
  return ptreetime_libbpf.bpf_object__find_program_by_name(object, part);
}

/* None where a program can be interrupted: of 5,000 execs on Linux 7.3 one was not counted, and a wrong number is worse
 * than none. */
static void choose_counters(struct bpf_object *object, unsigned traits) {
  function_programs[0] = find(object, "on_execve");
  function_programs[1] = find(object, "on_execveat");
  event_programs[0] = find(object, "on_execve_event");
  event_programs[1] = find(object, "on_execveat_event");
  system_call_program = find(object, "on_system_call");
  bool exact = !(traits & HAS(INTERRUPTIBLE));
  bool functions =
      exact && takes_program_at(SYSTEM_CALL "execve", BPF_TRACE_FEXIT) &&
      ptreetime_libbpf.bpf_program__set_attach_target(function_programs[0], 0, SYSTEM_CALL "execve") == 0 &&
      ptreetime_libbpf.bpf_program__set_attach_target(function_programs[1], 0, SYSTEM_CALL "execveat") == 0;
  bool events = exact && !functions && access(EXECVE_EVENT, R_OK) == 0;
  for (int i = 0; i < 2; i++) {
    ptreetime_libbpf.bpf_program__set_autoload(function_programs[i], functions);
    ptreetime_libbpf.bpf_program__set_autoload(event_programs[i], events);
  }
  if (!exact || functions || events || EXEC_NUMBERS[0] == PTREETIME_NO_SYSTEM_CALL || !(traits & HAS(SYSTEM_CALLS)))
    ptreetime_libbpf.bpf_program__set_autoload(system_call_program, false);
}

/* The verifier of Linux 5.10 does not know the struct pt_regs that on_connect gets. */
static void choose_connections(struct bpf_object *object, unsigned traits) {
  connect_function = find(object, "on_connect");
  connect_events[0] = find(object, "on_connect_begin");
  connect_events[1] = find(object, "on_connect_end");
  bool known = traits & HAS(EXIT_MMAP);
  bool function = known &&
                  EXEC_NUMBERS[0] != PTREETIME_NO_SYSTEM_CALL && /* an architecture whose registers are known */
                  takes_program_at(SYSTEM_CALL "connect", BPF_TRACE_FEXIT) &&
                  ptreetime_libbpf.bpf_program__set_attach_target(connect_function, 0, SYSTEM_CALL "connect") == 0;
  bool events = known && !function && access(CONNECT_EVENT, R_OK) == 0;
  ptreetime_libbpf.bpf_program__set_autoload(connect_function, function);
  for (int i = 0; i < 2; i++)
    ptreetime_libbpf.bpf_program__set_autoload(connect_events[i], events);
}

static void choose_last_call(struct bpf_object *object, unsigned traits) {
  exit_group_program = find(object, "on_exit_group");
  bool better = (traits & HAS(EARLY_EXIT)) || ptreetime_libbpf.bpf_program__autoload(find(object, "on_memory_left"));
  if (better || access(EXIT_GROUP_EVENT, R_OK) != 0)
    ptreetime_libbpf.bpf_program__set_autoload(exit_group_program, false);
}

const char *ptreetime_parts_choose(struct bpf_object *object, bool counts_instructions) {
  unsigned traits = find_traits();
  if ((traits & HAS(INTERRUPTIBLE)) && access(EXEC_EVENT, R_OK) != 0)
    return ptreetime_format_reason("this kernel shows every process only to trace events, and " EXEC_EVENT
                                   " can't be read (%s): needs root, and tracefs mounted at /sys/kernel/tracing",
                                   strerror(errno));
  for (size_t i = 0; i < PARTS_COUNT; i++) {
    const struct part *part = &PARTS[i];
    bool wanted = (traits & part->with) == part->with && (traits & part->without) == 0 &&
                  (part->function == NULL || takes_program_at(part->function, BPF_TRACE_FENTRY));
    ptreetime_libbpf.bpf_program__set_autoload(find(object, part->name), wanted);
  }
  ptreetime_libbpf.bpf_program__set_autoload(find(object, "on_switch"), counts_instructions);
  choose_last_call(object, traits);
  choose_counters(object, traits);
  choose_connections(object, traits);
  return NULL;
}

/* Whether both are attached, or none. */
static bool attach_both(struct bpf_program *const programs[2]) {
  if (!ptreetime_libbpf.bpf_program__autoload(programs[0]))
    return false;
  struct bpf_link *first = ptreetime_libbpf.bpf_program__attach(programs[0]);
  if (first == NULL)
    return false;
  if (ptreetime_libbpf.bpf_program__attach(programs[1]) == NULL) {
    ptreetime_libbpf.bpf_link__destroy(first);
    return false;
  }
  return true;
}

static bool attach_one(const struct bpf_program *program) {
  return ptreetime_libbpf.bpf_program__autoload(program) && ptreetime_libbpf.bpf_program__attach(program) != NULL;
}

/* Those that are not attached with the others. */
static bool attached_apart(const struct bpf_program *program) {
  return program == exit_group_program || program == function_programs[0] || program == function_programs[1] ||
         program == event_programs[0] || program == event_programs[1] || program == system_call_program ||
         program == connect_function || program == connect_events[0] || program == connect_events[1];
}

bool ptreetime_parts_attach(struct bpf_object *object, volatile struct ptreetime_control *control) {
  struct bpf_program *program = NULL;
  while ((program = ptreetime_libbpf.bpf_object__next_program(object, program)) != NULL) {
    bool wanted = ptreetime_libbpf.bpf_program__autoload(program) && !attached_apart(program);
    if (wanted && ptreetime_libbpf.bpf_program__attach(program) == NULL)
      return false;
  }
  for (size_t i = 0; i < PARTS_COUNT; i++) {
    program = find(object, PARTS[i].name);
    if (PARTS[i].indispensable && ptreetime_libbpf.bpf_program__autoload(program))
      indispensable[indispensable_count++] = ptreetime_libbpf.bpf_program__fd(program);
  }
  control->counts_execs = attach_both(function_programs) || attach_both(event_programs) ? PTREETIME_EXECS_COUNTED
                                                                                        : PTREETIME_EXECS_UNCOUNTED;
  sees_connections = attach_one(connect_function) || attach_both(connect_events);
  for (int i = 0; i < 2; i++) {
    control->exec_numbers[i] = EXEC_NUMBERS[i];
    control->exec_numbers_32[i] = EXEC_NUMBERS_32[i];
  }
  return true;
}

bool ptreetime_parts_see_connections(void) { return sees_connections; }

void ptreetime_parts_note_last_calls(bool note) {
  if (!ptreetime_libbpf.bpf_program__autoload(exit_group_program))
    return;
  if (note && exit_group_link == NULL)
    exit_group_link = ptreetime_libbpf.bpf_program__attach(exit_group_program);
  if (!note && exit_group_link != NULL) {
    ptreetime_libbpf.bpf_link__destroy(exit_group_link);
    exit_group_link = NULL;
  }
}

void ptreetime_parts_count_execs(volatile struct ptreetime_control *control, bool count) {
  if (control->counts_execs == PTREETIME_EXECS_COUNTED || !ptreetime_libbpf.bpf_program__autoload(system_call_program))
    return;
  if (count && system_call_link == NULL)
    system_call_link = ptreetime_libbpf.bpf_program__attach(system_call_program);
  if (!count && system_call_link != NULL) {
    ptreetime_libbpf.bpf_link__destroy(system_call_link);
    system_call_link = NULL;
  }
  control->counts_execs = system_call_link != NULL ? PTREETIME_EXECS_COUNTED_FULLY : PTREETIME_EXECS_UNCOUNTED;
}

uint64_t ptreetime_parts_runs_left_out(void) {
  enum { BPF_OBJ_GET_INFO_BY_FD = 15 };
  uint64_t sum = 0;
  for (size_t i = 0; i < indispensable_count; i++) {
    struct { /* of struct bpf_prog_info, include/uapi/linux/bpf.h; older kernels write less of it */
      char before[208];
      uint64_t recursion_misses;
    } info = {0};
    struct {
      uint32_t descriptor, size;
      uint64_t info;
    } attributes = {(uint32_t)indispensable[i], sizeof info, (uintptr_t)&info};
    if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attributes, sizeof attributes) == 0)
      sum += info.recursion_misses;
  }
  return sum;
}
