#define _GNU_SOURCE
#include "ebpf_program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "ebpf_libbpf.h"
#include "ebpf_parts.h"
#include "instructions.h"
#include "recorder.h"

/* What bpf/CMakeLists.txt puts into the recorder where it could build it. Being part of the executable it needs no
 * trust of its own: file capabilities are lost when the file that carries them is written to. */
#ifdef PTREETIME_HAVE_BPF_OBJECT
extern const unsigned char ptreetime_bpf_object[], ptreetime_bpf_object_end[];
#else
static const unsigned char *const ptreetime_bpf_object = NULL, *const ptreetime_bpf_object_end = NULL;
#endif

static struct ring_buffer *ring;
static ptreetime_record_callback *taker;

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
    return ptreetime_format_reason("Linux %s is too old: 5.10 is needed", system.release);
  if (&ptreetime_bpf_object_end[0] == &ptreetime_bpf_object[0])
    return PTREETIME_OBSTACLE("the BPF program was not built: neither clang nor ziglang was there; install clang and "
                              "reinstall pytest-ptreetime",
                              "bpf-program");
  uint64_t capabilities = effective_capabilities(), wanted = 1ull << CAP_BPF | 1ull << CAP_PERFMON;
  if ((capabilities & wanted) != wanted && !(capabilities & 1ull << CAP_SYS_ADMIN)) {
    if (geteuid() == 0)
      return PTREETIME_OBSTACLE("root lacks CAP_BPF and CAP_PERFMON here: start the container with both (docker run "
                                "--cap-add=BPF --cap-add=PERFMON)",
                                "capabilities-of-root");
    return PTREETIME_OBSTACLE("needs root, or CAP_BPF and CAP_PERFMON on the recorder", "capabilities");
  }
  if (access(PTREETIME_KERNEL_BTF, R_OK) != 0)
    return ptreetime_format_reason("%s can't be read (%s): the kernel needs CONFIG_DEBUG_INFO_BTF",
                                   PTREETIME_KERNEL_BTF, strerror(errno));
  return NULL;
}

static const char *refused(const char *what, int error) {
  const char *complaint = ptreetime_libbpf_complaint();
  return ptreetime_format_reason("the kernel refuses to %s the BPF program: %s (%s)", what, strerror(error),
                                 complaint[0] != '\0' ? complaint : "no reason given");
}

static int descriptor_of(struct bpf_object *object, const char *map) {
  struct bpf_map *found = ptreetime_libbpf.bpf_object__find_map_by_name(object, map);
  return found == NULL ? -1 : ptreetime_libbpf.bpf_map__fd(found);
}

static bool hand_over_counters(int map) {
  uint32_t cpu = 0;
  int counter;
  for (; (counter = ptreetime_instructions_of_cpu(cpu)) != PTREETIME_NO_CPU; cpu++) {
    if (counter >= 0 && ptreetime_libbpf.bpf_map_update_elem(map, &cpu, &counter, 0) != 0)
      return false;
  }
  return true;
}

static int take_record(void *context, void *data, size_t size) {
  (void)context;
  taker(data, size);
  return 0;
}

const char *ptreetime_program_open(struct ptreetime_program *program) {
  const char *why = find_obstacle();
  if (why == NULL)
    why = ptreetime_libbpf_open();
  if (why != NULL)
    return why;
  size_t size = (size_t)(ptreetime_bpf_object_end - ptreetime_bpf_object);
  struct bpf_object *object = ptreetime_libbpf.bpf_object__open_mem(ptreetime_bpf_object, size, NULL);
  if (object == NULL)
    return refused("read", errno);
  program->why_uncounted = ptreetime_instructions_open_cpus();
  why = ptreetime_parts_choose(object, program->why_uncounted == NULL);
  if (why != NULL)
    return why;
  ptreetime_libbpf_forget_complaint();
  int error = ptreetime_libbpf.bpf_object__load(object);
  if (error != 0)
    return refused("load", -error);
  program->processes = descriptor_of(object, "processes");
  program->records = descriptor_of(object, "records");
  program->peers = descriptor_of(object, "peers");
  void *control =
      mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor_of(object, ".bss"), 0);
  ring = ptreetime_libbpf.ring_buffer__new(program->records, take_record, NULL, NULL);
  if (control == MAP_FAILED || ring == NULL)
    return refused("map the memory of", errno);
  program->control = control;
  if (program->why_uncounted == NULL && !hand_over_counters(descriptor_of(object, "instruction_counters")))
    program->why_uncounted = "the kernel does not let the BPF program read their counters";
  program->control->counts_instructions = program->why_uncounted == NULL;
  if (!ptreetime_parts_attach(object, control))
    return refused("attach", errno);
  return NULL;
}

void ptreetime_program_consume(struct ptreetime_program *program, ptreetime_record_callback *take) {
  program->control->waking = 0; /* first: what comes from now on may wake us again */
  __sync_synchronize();
  taker = take;
  ptreetime_libbpf.ring_buffer__consume(ring);
}

bool ptreetime_program_next_process(struct ptreetime_program *program, bool *begun, uint32_t *key,
                                    struct ptreetime_process *process) {
  while (ptreetime_libbpf.bpf_map_get_next_key(program->processes, *begun ? key : NULL, key) == 0) {
    *begun = true;
    if (ptreetime_program_find_process(program, *key, process))
      return true;
  }
  return false;
}

bool ptreetime_program_find_process(struct ptreetime_program *program, uint32_t key,
                                    struct ptreetime_process *process) {
  return ptreetime_libbpf.bpf_map_lookup_elem(program->processes, &key, process) == 0;
}

void ptreetime_program_forget_process(struct ptreetime_program *program, uint32_t key) {
  ptreetime_libbpf.bpf_map_delete_elem(program->processes, &key);
}

bool ptreetime_program_take_peer(struct ptreetime_program *program, struct ptreetime_peer_key *key,
                                 struct ptreetime_peer *peer) {
  return ptreetime_libbpf.bpf_map_get_next_key(program->peers, NULL, key) == 0 &&
         ptreetime_libbpf.bpf_map_lookup_elem(program->peers, key, peer) == 0 &&
         ptreetime_libbpf.bpf_map_delete_elem(program->peers, key) == 0;
}
