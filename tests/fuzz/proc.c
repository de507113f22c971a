/* Any text as the files of /proc/PID: libptreetime/recorder/proc.c stays within it.
 *
 * The first byte of the input chooses how much a read gives at a time, the rest is what every file holds.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint8_t *file;
static size_t file_size, file_at, piece;

static ssize_t fake_read(int descriptor, void *to, size_t size) {
  (void)descriptor;
  size_t count = file_size - file_at;
  if (count > size)
    count = size;
  if (count > piece)
    count = piece;
  memcpy(to, file + file_at, count);
  file_at += count;
  return (ssize_t)count;
}

static ssize_t fake_readlink(const char *path, char *to, size_t size) {
  (void)path;
  size_t count = file_size < size ? file_size : size;
  memcpy(to, file, count);
  return file_size == 0 ? -1 : (ssize_t)count;
}

#define open(path, flags) (file_at = 0, 3)
#define close(descriptor) ((void)(descriptor))
#define read(descriptor, to, size) fake_read(descriptor, to, size)
#define readlink(path, to, size) fake_readlink(path, to, size)
#include "../../libptreetime/recorder/proc.c"

static volatile unsigned seen;

static void look_at(struct ptreetime_bytes bytes) {
  for (size_t i = 0; bytes.data != NULL && i < bytes.size; i++)
    seen += (unsigned char)bytes.data[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 1)
    return 0;
  piece = 1 + (size_t)data[0] * data[0];
  uint8_t *copy = malloc(size);
  memcpy(copy, data + 1, size - 1);
  file = copy;
  file_size = size - 1;
  struct ptreetime_exec exec = {.usage = NULL};
  struct ptreetime_proc_status status;
  struct ptreetime_proc_faults faults;
  struct ptreetime_thread_counters counters;
  uint64_t one;
  pid_t pid, children[8];
  seen += (unsigned)ptreetime_proc_children(1, 1, children, 8);
  ptreetime_proc_program(1, &exec);
  ptreetime_proc_places(1, &exec);
  look_at(exec.name);
  look_at(exec.args);
  look_at(exec.exe);
  look_at(exec.cwd);
  if (ptreetime_proc_status(1, &status))
    seen += (unsigned)(status.process + status.voluntary_switches);
  if (ptreetime_proc_faults(1, &faults))
    seen += (unsigned)(faults.minor + faults.children_major);
  if (ptreetime_proc_max_rss(1, &one, &pid))
    seen += (unsigned)one;
  ptreetime_proc_counters(1, data[0] & 1, &counters);
  seen += (unsigned)(counters.run_delay_ns + counters.writes);
  free(copy);
  return 0;
}
