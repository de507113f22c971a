/* What macOS, FreeBSD and illumos have in common. They have no stable system calls, only their system library: what of
 * it is used here is thin, and safe in a signal handler and between fork and exec. It sets errno, which is put back.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "system.h"

/* The clock of Python's time.monotonic: on macOS and illumos DTrace's timestamp too. */
static uint64_t clock_ns(void) {
#ifdef __APPLE__
  return clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
#else
  struct timespec now = {0};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
#endif
}

static uint64_t time_of(struct timeval time) {
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_usec * 1000u;
}

void ptreetime_system_moment(struct ptreetime_moment *moment) {
  int before = errno;
  struct rusage usage = {0};
  moment->time_ns = clock_ns();
  moment->pid = getpid();
  moment->parent_pid = getppid();
  getrusage(RUSAGE_SELF, &usage);
  moment->user_ns = time_of(usage.ru_utime);
  moment->sys_ns = time_of(usage.ru_stime);
  errno = before;
}

/* Of the calling thread, on all three; the other name would load FreeBSD's library of threads into every process. */
#ifdef __APPLE__
#define change_signal_mask pthread_sigmask
#else
#define change_signal_mask sigprocmask
#endif

/* A write past RLIMIT_FSIZE raises SIGXFSZ, which would end the program: it is taken away before it can arrive. */
static void write_below_limit(int descriptor, const unsigned char *bytes, size_t size) {
  sigset_t too_large, before, pending_before, pending_after;
  sigemptyset(&too_large);
  sigaddset(&too_large, SIGXFSZ);
  change_signal_mask(SIG_BLOCK, &too_large, &before);
  sigpending(&pending_before);
  ssize_t written = write(descriptor, bytes, size);
  if (written < 0 && !sigismember(&pending_before, SIGXFSZ)) {
    sigpending(&pending_after);
    int taken;
    if (sigismember(&pending_after, SIGXFSZ))
      sigwait(&too_large, &taken);
  }
  change_signal_mask(SIG_SETMASK, &before, NULL);
}

static int file_size_limited(void) {
  struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
  getrlimit(RLIMIT_FSIZE, &limit);
  return limit.rlim_cur != RLIM_INFINITY;
}

void ptreetime_system_append(const char *path, const unsigned char *bytes, size_t size) {
  int before = errno;
  /* O_NONBLOCK: a path that names a pipe without a reader must not stop the program */
  int descriptor = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
  if (descriptor >= 0) {
    if (file_size_limited())
      write_below_limit(descriptor, bytes, size);
    else
      (void)!write(descriptor, bytes, size);
    close(descriptor);
  }
  errno = before;
}

void *ptreetime_system_map(size_t size) {
  int before = errno;
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  errno = before;
  return memory == MAP_FAILED ? NULL : memory;
}

void ptreetime_system_unmap(void *memory, size_t size) {
  int before = errno;
  munmap(memory, size);
  errno = before;
}

int *ptreetime_system_errno(void) { return &errno; }
