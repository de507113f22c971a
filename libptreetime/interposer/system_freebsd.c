/* What of the system is FreeBSD's own; the rest is in system_unix.c. */
#include <sys/param.h>
#include <sys/sysctl.h>
#include <sys/user.h>

#include <errno.h>
#include <unistd.h>

#include "system.h"

void ptreetime_system_executable(char *path, size_t capacity) {
  int before = errno;
  int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_PATHNAME, -1};
  if (sysctl(name, 4, path, &capacity, NULL, 0) != 0)
    path[0] = '\0';
  errno = before;
}

/* Nothing that is replaced here takes a descriptor. */
void ptreetime_system_open_file(int descriptor, char *path, size_t capacity) {
  (void)descriptor;
  (void)capacity;
  path[0] = '\0';
}

void ptreetime_system_directory(char *path, size_t capacity) {
  int before = errno;
  struct kinfo_file file;
  size_t size = sizeof file, length = 0;
  int name[] = {CTL_KERN, KERN_PROC, KERN_PROC_CWD, getpid()};
  file.kf_path[0] = '\0';
  if (sysctl(name, 4, &file, &size, NULL, 0) == 0)
    while (length < capacity && length < sizeof file.kf_path && file.kf_path[length] != '\0') {
      path[length] = file.kf_path[length];
      length++;
    }
  path[length < capacity && length < sizeof file.kf_path ? length : 0] = '\0';
  errno = before;
}

int ptreetime_system_spawn_is_exec(const void *attributes) {
  (void)attributes;
  return 0;
}
