#include "kernel.h"
#include "system.h"

void ptreetime_system_moment(struct ptreetime_moment *moment) {
  struct ptreetime_kernel_usage usage;
  moment->time_ns = ptreetime_kernel_monotonic_ns();
  moment->pid = ptreetime_kernel_getpid();
  moment->parent_pid = ptreetime_kernel_getppid();
  ptreetime_kernel_usage_read(&usage);
  moment->user_ns = (uint64_t)usage.user_seconds * 1000000000u + (uint64_t)usage.user_microseconds * 1000u;
  moment->sys_ns = (uint64_t)usage.sys_seconds * 1000000000u + (uint64_t)usage.sys_microseconds * 1000u;
}

/* A write past RLIMIT_FSIZE raises SIGXFSZ, which would end the program: it is taken away before it can arrive. */
static void write_below_limit(long descriptor, const unsigned char *bytes, size_t size) {
  const uint64_t too_large = (uint64_t)1 << (PTREETIME_SIGXFSZ - 1);
  uint64_t before = 0;
  ptreetime_kernel_signal_mask(PTREETIME_SIG_BLOCK, &too_large, &before);
  int was_pending = (ptreetime_kernel_signals_pending() & too_large) != 0;
  if (ptreetime_kernel_write(descriptor, bytes, size) == -PTREETIME_EFBIG && !was_pending)
    ptreetime_kernel_signal_take(&too_large);
  ptreetime_kernel_signal_mask(PTREETIME_SIG_SETMASK, &before, NULL);
}

void ptreetime_system_append(const char *path, const unsigned char *bytes, size_t size) {
  /* O_NONBLOCK: a path that names a pipe without a reader must not stop the program */
  long descriptor =
      ptreetime_kernel_open(path, PTREETIME_O_WRONLY | PTREETIME_O_APPEND | PTREETIME_O_NONBLOCK | PTREETIME_O_CLOEXEC);
  if (descriptor < 0)
    return;
  if (ptreetime_kernel_file_size_limited())
    write_below_limit(descriptor, bytes, size);
  else
    ptreetime_kernel_write(descriptor, bytes, size);
  ptreetime_kernel_close(descriptor);
}

void *ptreetime_system_map(size_t size) { return ptreetime_kernel_map(size); }

void ptreetime_system_unmap(void *memory, size_t size) { ptreetime_kernel_unmap(memory, size); }

void ptreetime_system_executable(char *path, size_t capacity) {
  ptreetime_kernel_readlink("/proc/self/exe", path, capacity);
}

void ptreetime_system_directory(char *path, size_t capacity) { ptreetime_kernel_getcwd(path, capacity); }

void ptreetime_system_open_file(int descriptor, char *path, size_t capacity) {
  char link[] = "/proc/self/fd/##########", digits[10];
  unsigned count = 0, end = sizeof "/proc/self/fd/" - 1, rest = (unsigned)descriptor;
  do {
    digits[count++] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  while (count > 0)
    link[end++] = digits[--count];
  link[end] = '\0';
  ptreetime_kernel_readlink(link, path, capacity);
}

int *ptreetime_system_errno(void) {
  extern int *__errno_location(void) __attribute__((weak));
  return __errno_location();
}

int ptreetime_system_spawn_is_exec(const void *attributes) {
  (void)attributes;
  return 0;
}
