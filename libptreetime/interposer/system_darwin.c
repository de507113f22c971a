/* What of the system is macOS's own; the rest is in system_unix.c. */
#include <errno.h>
#include <fcntl.h>
#include <libproc.h>
#include <spawn.h>
#include <unistd.h>

#include "system.h"

void ptreetime_system_executable(char *path, size_t capacity) {
  int before = errno;
  int length = proc_pidpath(getpid(), path, (uint32_t)capacity);
  path[length > 0 && (size_t)length < capacity ? length : 0] = '\0';
  errno = before;
}

/* F_GETPATH writes as much as MAXPATHLEN, 1,024 bytes, whatever the caller has. */
void ptreetime_system_open_file(int descriptor, char *path, size_t capacity) {
  int before = errno;
  if (capacity < 1024 || fcntl(descriptor, F_GETPATH, path) < 0)
    path[0] = '\0';
  errno = before;
}

void ptreetime_system_directory(char *path, size_t capacity) {
  int before = errno;
  int directory = open(".", O_RDONLY | O_CLOEXEC);
  path[0] = '\0';
  if (directory >= 0) {
    ptreetime_system_open_file(directory, path, capacity);
    close(directory);
  }
  errno = before;
}

int ptreetime_system_spawn_is_exec(const void *attributes) {
  short flags = 0;
  int before = errno;
  int known = attributes != NULL && posix_spawnattr_getflags(attributes, &flags) == 0;
  errno = before;
  return known && (flags & POSIX_SPAWN_SETEXEC) != 0;
}
