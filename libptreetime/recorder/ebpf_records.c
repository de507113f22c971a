#define _GNU_SOURCE
#include "ebpf_records.h"

#include <stdlib.h>
#include <string.h>

/* More cpus than Linux can be built for: a larger number in a record is damage. */
#define MAX_CPUS 8192
/* Bytes of a path: the BPF program stops after the component with which it passes its limit. */
#define PATH_ROOM (PTREETIME_PATH_LIMIT + 512)

_Static_assert(PTREETIME_TIME_UNKNOWN == PTREETIME_UNKNOWN, "what a record does not tell, the sink does not write");

static struct ptreetime_bytes name_of(const char *name) {
  return (struct ptreetime_bytes){name, strnlen(name, PTREETIME_NAME_SIZE)};
}

/* The components "c\0main\0src\0" are the path "/src/main/c". Nothing for no components: the path is not known. */
static struct ptreetime_bytes path_of(const char *components, size_t size, char *room) {
  if (size == 0 || size > PATH_ROOM)
    return (struct ptreetime_bytes){NULL, 0};
  char *to = room;
  size_t end = components[size - 1] == '\0' ? size - 1 : size;
  for (;;) {
    const char *before = end == 0 ? NULL : memrchr(components, '\0', end);
    size_t begin = before == NULL ? 0 : (size_t)(before - components) + 1;
    *to++ = '/';
    memcpy(to, components + begin, end - begin);
    to += end - begin;
    if (begin == 0)
      return (struct ptreetime_bytes){room, (size_t)(to - room)};
    end = begin - 1;
  }
}

static void write_exec(struct ptreetime_records *records, const struct ptreetime_record_exec *record, bool args_known) {
  char exe[PATH_ROOM + 1], cwd[PATH_ROOM + 1];
  const char *data = (const char *)(record + 1);
  struct ptreetime_exec exec = {
      .name = name_of(record->name),
      .exe = path_of(data, record->exe_size, exe),
      .cwd = path_of(data + record->exe_size, record->cwd_size, cwd),
      .usage = &record->usage,
      .loading_ns = record->loading_ns,
  };
  if (args_known)
    exec.args = (struct ptreetime_bytes){data + record->exe_size + record->cwd_size, record->args_total};
  ptreetime_sink_exec(records->sink, record->record.time_ns, (pid_t)record->record.pid, &exec);
}

static struct ptreetime_unfinished_exec *unfinished_on(struct ptreetime_records *records, uint32_t cpu) {
  if (cpu >= MAX_CPUS)
    return NULL;
  if (cpu >= records->cpus) {
    size_t cpus = cpu + 1;
    void *grown = realloc(records->unfinished, cpus * sizeof *records->unfinished);
    if (grown == NULL)
      return NULL;
    records->unfinished = grown;
    memset(records->unfinished + records->cpus, 0, (cpus - records->cpus) * sizeof *records->unfinished);
    records->cpus = cpus;
  }
  return &records->unfinished[cpu];
}

/* Something of it was lost: it is written with what there is. */
static void give_up(struct ptreetime_records *records, struct ptreetime_unfinished_exec *unfinished) {
  if (unfinished->bytes == NULL)
    return;
  records->damaged++;
  write_exec(records, (const struct ptreetime_record_exec *)unfinished->bytes, false);
  free(unfinished->bytes);
  unfinished->bytes = NULL;
}

static void take_exec(struct ptreetime_records *records, const struct ptreetime_record_exec *record, size_t size) {
  size_t inside = size - sizeof *record;
  if (record->exe_size > inside || record->cwd_size > inside || record->args_size > inside ||
      (size_t)record->exe_size + record->cwd_size + record->args_size > inside ||
      record->args_size > record->args_total || record->args_total > PTREETIME_ARGS_LIMIT) {
    records->damaged++;
    return;
  }
  if (record->args_size == record->args_total) {
    write_exec(records, record, record->args_known != 0);
    return;
  }
  struct ptreetime_unfinished_exec *unfinished = unfinished_on(records, record->record.cpu);
  if (unfinished == NULL) {
    records->damaged++;
    return;
  }
  give_up(records, unfinished);
  size_t head = sizeof *record + record->exe_size + record->cwd_size;
  unfinished->size = head + record->args_size;
  unfinished->capacity = head + record->args_total;
  unfinished->bytes = malloc(unfinished->capacity);
  if (unfinished->bytes == NULL) {
    records->damaged++;
    write_exec(records, record, false);
    return;
  }
  memcpy(unfinished->bytes, record, unfinished->size);
}

static void take_arguments(struct ptreetime_records *records, const struct ptreetime_record *record, size_t size) {
  struct ptreetime_unfinished_exec *unfinished = unfinished_on(records, record->cpu);
  if (unfinished == NULL || unfinished->bytes == NULL)
    return; /* its EXEC was lost, and has been counted */
  const struct ptreetime_record *of = (const struct ptreetime_record *)unfinished->bytes;
  size_t left = unfinished->capacity - unfinished->size;
  if (record->pid != of->pid || record->time_ns != of->time_ns || record->size == 0 || record->size > left ||
      record->size > size - sizeof *record) {
    give_up(records, unfinished);
    return;
  }
  memcpy(unfinished->bytes + unfinished->size, record + 1, record->size);
  unfinished->size += record->size;
  if (unfinished->size < unfinished->capacity)
    return;
  write_exec(records, (const struct ptreetime_record_exec *)unfinished->bytes, true);
  free(unfinished->bytes);
  unfinished->bytes = NULL;
}

static void take_exit(struct ptreetime_records *records, const struct ptreetime_record_exit *record) {
  pid_t pid = (pid_t)record->record.pid;
  ptreetime_sink_exit(records->sink, record->record.time_ns, pid, (int)(record->status & 0xffff), name_of(record->name),
                      &record->usage, (struct ptreetime_lags){record->loading_ns, record->leaving_ns});
  if (pid == records->root_pid)
    records->root_exited = true;
  if (records->on_exit != NULL)
    records->on_exit(records, pid);
}

void ptreetime_records_begin(struct ptreetime_records *records, struct ptreetime_sink *sink, uint32_t generation,
                             pid_t root_pid) {
  ptreetime_records_free(records);
  *records = (struct ptreetime_records){.sink = sink, .generation = generation, .root_pid = root_pid};
}

void ptreetime_records_take(struct ptreetime_records *records, const void *data, size_t size) {
  const struct ptreetime_record *record = data;
  if (size < sizeof *record) {
    records->damaged++;
    return;
  }
  if (record->generation != records->generation)
    return;
  if (record->kind == PTREETIME_RECORD_CREATE)
    ptreetime_sink_create(records->sink, record->time_ns, (pid_t)record->pid, (pid_t)record->parent_pid);
  else if (record->kind == PTREETIME_RECORD_EXEC && size >= sizeof(struct ptreetime_record_exec))
    take_exec(records, data, size);
  else if (record->kind == PTREETIME_RECORD_ARGUMENTS)
    take_arguments(records, record, size);
  else if (record->kind == PTREETIME_RECORD_EXIT && size >= sizeof(struct ptreetime_record_exit))
    take_exit(records, data);
  else
    records->damaged++;
}

void ptreetime_records_finish(struct ptreetime_records *records) {
  for (size_t cpu = 0; cpu < records->cpus; cpu++)
    give_up(records, &records->unfinished[cpu]);
}

void ptreetime_records_free(struct ptreetime_records *records) {
  for (size_t cpu = 0; cpu < records->cpus; cpu++)
    free(records->unfinished[cpu].bytes);
  free(records->unfinished);
  records->unfinished = NULL;
  records->cpus = 0;
}
