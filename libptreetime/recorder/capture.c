#define _GNU_SOURCE
#include "capture.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT (512 << 20) /* it is memory */

struct header {
  uint32_t pid;
  uint32_t image;
  uint32_t uid;
  uint32_t personality;
  uint32_t sizes[5];
};

static const char *path_of(pid_t pid, const char *name) {
  static char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
  return path;
}

static uint32_t write_link(int descriptor, pid_t pid, const char *name) {
  char target[PATH_MAX];
  ssize_t size = readlink(path_of(pid, name), target, sizeof target);
  return size > 0 && write(descriptor, target, (size_t)size) == size ? (uint32_t)size : 0;
}

static uint32_t write_file(int descriptor, pid_t pid, const char *name) {
  char part[16384];
  uint32_t size = 0;
  ssize_t count;
  int file = open(path_of(pid, name), O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return 0;
  while ((count = read(file, part, sizeof part)) > 0 && write(descriptor, part, (size_t)count) == count)
    size += (uint32_t)count;
  close(file);
  return size;
}

/* How its addresses are chosen, among others: personality(2); 0 where it is not told. */
static uint32_t read_personality(pid_t pid) {
  char text[16] = "";
  int file = open(path_of(pid, "personality"), O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    (void)!read(file, text, sizeof text - 1);
    close(file);
  }
  return (uint32_t)strtoul(text, NULL, 16);
}

void ptreetime_capture_write(int descriptor, pid_t pid, uint32_t image) {
  struct header header = {.pid = (uint32_t)pid, .image = image};
  struct stat owner;
  off_t begin = lseek(descriptor, 0, SEEK_END);
  if (begin < 0 || begin > LIMIT || stat(path_of(pid, ""), &owner) != 0)
    return;
  header.uid = owner.st_uid;
  header.personality = read_personality(pid);
  lseek(descriptor, (off_t)sizeof header, SEEK_CUR);
  header.sizes[0] = write_link(descriptor, pid, "exe");
  header.sizes[1] = write_link(descriptor, pid, "cwd");
  header.sizes[2] = write_link(descriptor, pid, "fd/0");
  header.sizes[3] = write_file(descriptor, pid, "cmdline");
  header.sizes[4] = write_file(descriptor, pid, "environ");
  off_t end = begin + (off_t)sizeof header;
  for (int part = 0; part < 5; part++)
    end += header.sizes[part];
  if (ftruncate(descriptor, end) != 0 || pwrite(descriptor, &header, sizeof header, begin) != (ssize_t)sizeof header)
    (void)!ftruncate(descriptor, begin); /* no record rather than half of one */
}
