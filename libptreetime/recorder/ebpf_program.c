#define _GNU_SOURCE
#include "ebpf_program.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "recorder.h"

#define KERNEL_BTF "/sys/kernel/btf/vmlinux"
/* Readable where tracepoints of single system calls can be attached to. */
#define EXECVE_EVENT "/sys/kernel/tracing/events/syscalls/sys_exit_execve/id"

/* What bpf/CMakeLists.txt puts into the recorder where it could build it. Being part of the executable it needs no
 * trust of its own: file capabilities are lost when the file that carries them is written to. */
#ifdef PTREETIME_HAVE_BPF_OBJECT
extern const unsigned char ptreetime_bpf_object[], ptreetime_bpf_object_end[];
#else
static const unsigned char *const ptreetime_bpf_object = NULL, *const ptreetime_bpf_object_end = NULL;
#endif

/* The functions of libbpf 1.0 that are needed here, declared by hand from its documented interface. */
struct bpf_object;
struct bpf_program;
struct bpf_map;
struct bpf_link;
struct ring_buffer;
typedef int ring_buffer_sample_fn(void *context, void *data, size_t size);
typedef int libbpf_print_fn(int level, const char *format, va_list arguments);

static struct {
  libbpf_print_fn *(*libbpf_set_print)(libbpf_print_fn *print);
  struct bpf_object *(*bpf_object__open_mem)(const void *bytes, size_t size, const void *options);
  int (*bpf_object__load)(struct bpf_object *object);
  struct bpf_program *(*bpf_object__next_program)(const struct bpf_object *object, struct bpf_program *before);
  struct bpf_program *(*bpf_object__find_program_by_name)(const struct bpf_object *object, const char *name);
  int (*bpf_program__set_autoload)(struct bpf_program *program, bool autoload);
  bool (*bpf_program__autoload)(const struct bpf_program *program);
  int (*bpf_program__set_attach_target)(struct bpf_program *program, int other_program, const char *function);
  struct bpf_link *(*bpf_program__attach)(const struct bpf_program *program);
  int (*bpf_link__destroy)(struct bpf_link *link);
  struct bpf_map *(*bpf_object__find_map_by_name)(const struct bpf_object *object, const char *name);
  int (*bpf_map__fd)(const struct bpf_map *map);
  int (*bpf_map_get_next_key)(int map, const void *key, void *next);
  int (*bpf_map_lookup_elem)(int map, const void *key, void *value);
  int (*bpf_map_delete_elem)(int map, const void *key);
  int (*bpf_program__fd)(const struct bpf_program *program);
  struct ring_buffer *(*ring_buffer__new)(int map, ring_buffer_sample_fn *take, void *context, const void *options);
  int (*ring_buffer__consume)(struct ring_buffer *ring);
  int (*libbpf_find_vmlinux_btf_id)(const char *name, int attach_type);
} libbpf;

static struct ring_buffer *ring;
static ptreetime_record_callback *taker;
static char complaint[256]; /* the last thing that libbpf or the kernel's verifier said of a failure */

static int keep_complaint(int level, const char *format, va_list arguments) {
  if (level == 0) { /* LIBBPF_WARN */
    char line[sizeof complaint];
    vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\n")] = '\0';
    /* The first line names the cause, those after it what follows from it. */
    if (complaint[0] == '\0')
      memcpy(complaint, line, sizeof complaint);
  }
  return 0;
}

static const char *open_libbpf(void) {
  void *library = dlopen("libbpf.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == NULL)
    return "libbpf.so.1 is missing: install the package libbpf1 (Debian, Ubuntu) or libbpf (Fedora, Arch, SUSE, "
           "Alpine)";
#define FIND(function)                                                                                                 \
  do {                                                                                                                 \
    *(void **)&libbpf.function = dlsym(library, #function);                                                            \
    if (libbpf.function == NULL)                                                                                       \
      return "libbpf.so.1 lacks the function " #function ": install a newer libbpf";                                   \
  } while (0)
  FIND(libbpf_set_print);
  FIND(bpf_object__open_mem);
  FIND(bpf_object__load);
  FIND(bpf_object__next_program);
  FIND(bpf_object__find_program_by_name);
  FIND(bpf_program__set_autoload);
  FIND(bpf_program__autoload);
  FIND(bpf_program__set_attach_target);
  FIND(bpf_program__attach);
  FIND(bpf_link__destroy);
  FIND(bpf_object__find_map_by_name);
  FIND(bpf_map__fd);
  FIND(bpf_map_get_next_key);
  FIND(bpf_map_lookup_elem);
  FIND(bpf_map_delete_elem);
  FIND(bpf_program__fd);
  FIND(ring_buffer__new);
  FIND(ring_buffer__consume);
  FIND(libbpf_find_vmlinux_btf_id);
#undef FIND
  libbpf.libbpf_set_print(keep_complaint);
  return NULL;
}

static uint64_t effective_capabilities(void) {
  FILE *status = fopen("/proc/self/status", "re");
  char line[128];
  unsigned long long capabilities = 0;
  while (status != NULL && fgets(line, sizeof line, status) != NULL) {
    if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
      break;
  }
  if (status != NULL)
    fclose(status);
  return capabilities;
}

/* The program's prerequisites, cheapest first, each with what would help. */
static const char *find_obstacle(void) {
  enum { CAP_SYS_ADMIN = 21, CAP_PERFMON = 38, CAP_BPF = 39 };
  struct utsname system;
  int major = 0, minor = 0;
  uname(&system);
  if (sscanf(system.release, "%d.%d", &major, &minor) == 2 && (major < 5 || (major == 5 && minor < 10)))
    return ptreetime_words("Linux %s is too old: 5.10 is needed", system.release);
  if (&ptreetime_bpf_object_end[0] == &ptreetime_bpf_object[0])
    return "the BPF program was not built: neither clang nor ziglang was there; install clang and reinstall "
           "pytest-ptreetime";
  uint64_t capabilities = effective_capabilities(), wanted = 1ull << CAP_BPF | 1ull << CAP_PERFMON;
  if ((capabilities & wanted) != wanted && !(capabilities & 1ull << CAP_SYS_ADMIN)) {
    if (geteuid() == 0)
      return "root lacks CAP_BPF and CAP_PERFMON here: start the container with both (docker run --cap-add=BPF "
             "--cap-add=PERFMON)";
    return "needs root, or CAP_BPF and CAP_PERFMON on the recorder";
  }
  if (access(KERNEL_BTF, R_OK) != 0)
    return ptreetime_words("%s can't be read (%s): the kernel needs CONFIG_DEBUG_INFO_BTF", KERNEL_BTF,
                           strerror(errno));
  return NULL;
}

static const char *refused(const char *what, int error) {
  return ptreetime_words("the kernel refuses to %s the BPF program: %s (%s)", what, strerror(error),
                         complaint[0] ? complaint : "no reason given");
}

/* The kernel's description of itself as it is, *size bytes of it; NULL where there is no memory or it can't be read. */
static char *read_btf(size_t *size) {
  int descriptor = open(KERNEL_BTF, O_RDONLY | O_CLOEXEC);
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

/* Programs for tracepoints that this kernel has not got are left out: the other ones do without. A tracepoint NAME has
 * a type btf_trace_NAME; libbpf could look for it too, but parses everything before each time. */
static void leave_out_unknown(struct bpf_object *object) {
  static const struct {
    const char *program, *type;
  } optional[] = {{"on_prepare_exec", "btf_trace_sched_prepare_exec"},
                  {"on_memory_freed", "btf_trace_exit_mmap"},
                  {"on_system_call", "btf_trace_sys_exit"}};
  size_t size;
  char *btf = read_btf(&size);
  for (size_t i = 0; i < sizeof optional / sizeof *optional; i++) {
    struct bpf_program *program = libbpf.bpf_object__find_program_by_name(object, optional[i].program);
    bool known = btf != NULL && memmem(btf, size, optional[i].type, strlen(optional[i].type) + 1) != NULL;
    if (program != NULL && !known)
      libbpf.bpf_program__set_autoload(program, false);
  }
  free(btf);
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

/* Whether the kernel takes a program (one that returns 0) for the end of a function. Some refuse it: without
 * trampolines, or by a policy. All programs of the object are loaded or none, so it has to be known before. */
static bool takes_programs_at_end_of(const char *function) {
  enum { BPF_PROG_LOAD = 5, BPF_PROG_TYPE_TRACING = 26, BPF_TRACE_FEXIT = 25 };
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
  } attributes = {.prog_type = BPF_PROG_TYPE_TRACING, .insn_cnt = 2, .expected_attach_type = BPF_TRACE_FEXIT};
  int id = libbpf.libbpf_find_vmlinux_btf_id(function, BPF_TRACE_FEXIT);
  attributes.insns = (uintptr_t)return_0;
  attributes.license = (uintptr_t) "GPL";
  attributes.attach_btf_id = (uint32_t)id;
  int descriptor = id <= 0 ? -1 : (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
  if (descriptor >= 0)
    close(descriptor);
  return descriptor >= 0;
}

/* The programs that can count failed execs, the cheapest first: at the ends of the two functions, at the tracepoints of
 * the two system calls, at the end of every system call. One kind is attached; the kernel takes the first or none of
 * the object, so that has to be known before it is loaded. */
static struct bpf_program *function_programs[2], *event_programs[2], *system_call_program;
static struct bpf_link *system_call_link; /* of the last while it is attached */

static void choose_counters(struct bpf_object *object) {
  function_programs[0] = libbpf.bpf_object__find_program_by_name(object, "on_execve");
  function_programs[1] = libbpf.bpf_object__find_program_by_name(object, "on_execveat");
  event_programs[0] = libbpf.bpf_object__find_program_by_name(object, "on_execve_event");
  event_programs[1] = libbpf.bpf_object__find_program_by_name(object, "on_execveat_event");
  system_call_program = libbpf.bpf_object__find_program_by_name(object, "on_system_call");
  bool functions = takes_programs_at_end_of(SYSTEM_CALL "execve") &&
                   libbpf.bpf_program__set_attach_target(function_programs[0], 0, SYSTEM_CALL "execve") == 0 &&
                   libbpf.bpf_program__set_attach_target(function_programs[1], 0, SYSTEM_CALL "execveat") == 0;
  bool events = !functions && access(EXECVE_EVENT, R_OK) == 0;
  for (int i = 0; i < 2; i++) {
    libbpf.bpf_program__set_autoload(function_programs[i], functions);
    libbpf.bpf_program__set_autoload(event_programs[i], events);
  }
  if (functions || events || EXEC_NUMBERS[0] == PTREETIME_NO_SYSTEM_CALL)
    libbpf.bpf_program__set_autoload(system_call_program, false);
}

/* Whether both are attached, or none. */
static bool attach_both(struct bpf_program *const programs[2]) {
  struct bpf_link *first = libbpf.bpf_program__autoload(programs[0]) ? libbpf.bpf_program__attach(programs[0]) : NULL;
  if (first == NULL)
    return false;
  if (libbpf.bpf_program__attach(programs[1]) != NULL)
    return true;
  libbpf.bpf_link__destroy(first);
  return false;
}

static bool counts_execs(const struct bpf_program *part) {
  return part == function_programs[0] || part == function_programs[1] || part == event_programs[0] ||
         part == event_programs[1] || part == system_call_program;
}

/* The programs that no process may miss. They run in the context of a process, so that none can be running already on
 * its CPU, but where the kernel lets one process interrupt another in the middle of a program: there it leaves the
 * other's run out, and counts that. */
static const char *const INDISPENSABLE[] = {"on_fork", "on_exec", "on_exit"};
static int indispensable[sizeof INDISPENSABLE / sizeof *INDISPENSABLE];

static const char *find_indispensable(struct bpf_object *object) {
  for (size_t i = 0; i < sizeof INDISPENSABLE / sizeof *INDISPENSABLE; i++) {
    const struct bpf_program *part = libbpf.bpf_object__find_program_by_name(object, INDISPENSABLE[i]);
    indispensable[i] = part == NULL ? -1 : libbpf.bpf_program__fd(part);
    if (indispensable[i] < 0)
      return ptreetime_words("the BPF program has no part %s", INDISPENSABLE[i]);
  }
  return NULL;
}

uint64_t ptreetime_program_runs_left_out(void) {
  enum { BPF_OBJ_GET_INFO_BY_FD = 15 };
  uint64_t sum = 0;
  for (size_t i = 0; i < sizeof INDISPENSABLE / sizeof *INDISPENSABLE; i++) {
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

static int descriptor_of(struct bpf_object *object, const char *map) {
  struct bpf_map *found = libbpf.bpf_object__find_map_by_name(object, map);
  return found == NULL ? -1 : libbpf.bpf_map__fd(found);
}

static int take_record(void *context, void *data, size_t size) {
  (void)context;
  taker(data, size);
  return 0;
}

const char *ptreetime_program_open(struct ptreetime_program *program) {
  const char *why = find_obstacle();
  if (why == NULL)
    why = open_libbpf();
  if (why != NULL)
    return why;
  size_t size = (size_t)(ptreetime_bpf_object_end - ptreetime_bpf_object);
  struct bpf_object *object = libbpf.bpf_object__open_mem(ptreetime_bpf_object, size, NULL);
  if (object == NULL)
    return refused("read", errno);
  leave_out_unknown(object);
  choose_counters(object);
  complaint[0] = '\0';
  int error = libbpf.bpf_object__load(object);
  if (error != 0)
    return refused("load", -error);
  struct bpf_program *part = NULL;
  while ((part = libbpf.bpf_object__next_program(object, part)) != NULL) {
    bool wanted = libbpf.bpf_program__autoload(part) && !counts_execs(part);
    if (wanted && libbpf.bpf_program__attach(part) == NULL)
      return refused("attach", errno);
  }
  why = find_indispensable(object);
  if (why != NULL)
    return why;
  program->processes = descriptor_of(object, "processes");
  program->records = descriptor_of(object, "records");
  void *control =
      mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_of(object, ".bss"), 0);
  ring = libbpf.ring_buffer__new(program->records, take_record, NULL, NULL);
  if (control == MAP_FAILED || ring == NULL)
    return refused("map the memory of", errno);
  program->control = control;
  program->control->counts_execs = attach_both(function_programs) || attach_both(event_programs)
                                       ? PTREETIME_EXECS_COUNTED
                                       : PTREETIME_EXECS_UNCOUNTED;
  for (int i = 0; i < 2; i++) {
    program->control->exec_numbers[i] = EXEC_NUMBERS[i];
    program->control->exec_numbers_32[i] = EXEC_NUMBERS_32[i];
  }
  return NULL;
}

void ptreetime_program_count_execs(struct ptreetime_program *program, bool count) {
  if (program->control->counts_execs == PTREETIME_EXECS_COUNTED || !libbpf.bpf_program__autoload(system_call_program))
    return;
  if (count && system_call_link == NULL)
    system_call_link = libbpf.bpf_program__attach(system_call_program);
  if (!count && system_call_link != NULL) {
    libbpf.bpf_link__destroy(system_call_link);
    system_call_link = NULL;
  }
  program->control->counts_execs = system_call_link != NULL ? PTREETIME_EXECS_COUNTED_FULLY : PTREETIME_EXECS_UNCOUNTED;
}

void ptreetime_program_consume(struct ptreetime_program *program, ptreetime_record_callback *take) {
  program->control->waking = 0; /* first: what comes from now on may wake us again */
  __sync_synchronize();
  taker = take;
  libbpf.ring_buffer__consume(ring);
}

bool ptreetime_program_next_process(struct ptreetime_program *program, bool *begun, uint32_t *key,
                                    struct ptreetime_process *process) {
  while (libbpf.bpf_map_get_next_key(program->processes, *begun ? key : NULL, key) == 0) {
    *begun = true;
    if (ptreetime_program_find_process(program, *key, process))
      return true;
  }
  return false;
}

bool ptreetime_program_find_process(struct ptreetime_program *program, uint32_t key,
                                    struct ptreetime_process *process) {
  return libbpf.bpf_map_lookup_elem(program->processes, &key, process) == 0;
}

void ptreetime_program_forget_process(struct ptreetime_program *program, uint32_t key) {
  libbpf.bpf_map_delete_elem(program->processes, &key);
}
