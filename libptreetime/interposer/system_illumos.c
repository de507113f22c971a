/* What of the system is illumos's own, from its manuals (proc(5)): no test compiles it. The rest is in system_unix.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <procfs.h>
#include <unistd.h>

#include "system.h"

int ptreetime_system_vectors(const char *const **argv, const char *const **environment) {
  int before = errno;
  struct psinfo info;
  int descriptor = open("/proc/self/psinfo", O_RDONLY | O_CLOEXEC);
  int whole = descriptor >= 0 && read(descriptor, &info, sizeof info) == sizeof info;
  if (descriptor >= 0)
    close(descriptor);
  if (whole) {
    *argv = (const char *const *)info.pr_argv;
    *environment = (const char *const *)info.pr_envp;
  }
  errno = before;
  return whole;
}

static void read_link(const char *link, char *path, size_t capacity) {
  int before = errno;
  ssize_t length = readlink(link, path, capacity);
  path[length > 0 && (size_t)length < capacity ? length : 0] = '\0';
  errno = before;
}

void ptreetime_system_executable(char *path, size_t capacity) { read_link("/proc/self/path/a.out", path, capacity); }

void ptreetime_system_directory(char *path, size_t capacity) { read_link("/proc/self/path/cwd", path, capacity); }

/* Nothing that is replaced here takes a descriptor. */
void ptreetime_system_open_file(int descriptor, char *path, size_t capacity) {
  (void)descriptor;
  (void)capacity;
  path[0] = '\0';
}

int ptreetime_system_spawn_is_exec(const void *attributes) {
  (void)attributes;
  return 0;
}
