/* What system_unix.c leaves to each system, for Linux: so that the interposer of the other systems can be run here. */
#include <stddef.h>
#include <unistd.h>

#include "interposer/system.h"

static void read_link(const char *link, char *path, size_t capacity) {
  ssize_t length = readlink(link, path, capacity);
  path[length > 0 && (size_t)length < capacity ? length : 0] = '\0';
}

void ptreetime_system_executable(char *path, size_t capacity) { read_link("/proc/self/exe", path, capacity); }

void ptreetime_system_directory(char *path, size_t capacity) { read_link("/proc/self/cwd", path, capacity); }

void ptreetime_system_open_file(int descriptor, char *path, size_t capacity) {
  (void)descriptor;
  (void)capacity;
  path[0] = '\0';
}

int ptreetime_system_spawn_is_exec(const void *attributes) {
  (void)attributes;
  return 0;
}
