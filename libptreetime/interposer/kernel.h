/* The Linux kernel without a C library: system calls, and the few types and numbers that they need.
 *
 * The interposer lives in processes of any C library, so it can't include the headers of one: what is declared here is
 * the kernel's own interface, which never changes. A failed call returns minus its error number and touches no errno.
 */
#ifndef PTREETIME_KERNEL_H
#define PTREETIME_KERNEL_H

#include <stddef.h>
#include <stdint.h>

enum {
  PTREETIME_EFBIG = 27,

  PTREETIME_AT_FDCWD = -100,

  PTREETIME_O_WRONLY = 01,
  PTREETIME_O_APPEND = 02000,
  PTREETIME_O_NONBLOCK = 04000,
  PTREETIME_O_CLOEXEC = 02000000,

  PTREETIME_PROT_READ_WRITE = 0x3,
  PTREETIME_MAP_PRIVATE_ANONYMOUS = 0x22,

  PTREETIME_CLOCK_MONOTONIC = 1,
  PTREETIME_RUSAGE_SELF = 0,
  PTREETIME_RLIMIT_FSIZE = 1,
  PTREETIME_SIG_BLOCK = 0,
  PTREETIME_SIG_SETMASK = 2,
  PTREETIME_SIGXFSZ = 25,
};

#if defined(__x86_64__) && !defined(__ILP32__)
enum {
  PTREETIME_SYS_write = 1,
  PTREETIME_SYS_close = 3,
  PTREETIME_SYS_mmap = 9,
  PTREETIME_SYS_munmap = 11,
  PTREETIME_SYS_rt_sigprocmask = 14,
  PTREETIME_SYS_getpid = 39,
  PTREETIME_SYS_getcwd = 79,
  PTREETIME_SYS_getrusage = 98,
  PTREETIME_SYS_getppid = 110,
  PTREETIME_SYS_rt_sigpending = 127,
  PTREETIME_SYS_rt_sigtimedwait = 128,
  PTREETIME_SYS_prctl = 157,
  PTREETIME_SYS_clock_gettime = 228,
  PTREETIME_SYS_exit_group = 231,
  PTREETIME_SYS_openat = 257,
  PTREETIME_SYS_readlinkat = 267,
  PTREETIME_SYS_prlimit64 = 302,
  PTREETIME_SYS_seccomp = 317,
};

static inline long ptreetime_kernel_call(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "+a"(number)
                   : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return number;
}

#elif defined(__i386__)
enum {
  PTREETIME_SYS_write = 4,
  PTREETIME_SYS_close = 6,
  PTREETIME_SYS_getpid = 20,
  PTREETIME_SYS_getppid = 64,
  PTREETIME_SYS_getrusage = 77,
  PTREETIME_SYS_mmap = 90, /* takes the address of its six arguments: there is no register for the sixth */
  PTREETIME_SYS_munmap = 91,
  PTREETIME_SYS_prctl = 172,
  PTREETIME_SYS_rt_sigprocmask = 175,
  PTREETIME_SYS_rt_sigpending = 176,
  PTREETIME_SYS_rt_sigtimedwait = 177,
  PTREETIME_SYS_getcwd = 183,
  PTREETIME_SYS_exit_group = 252,
  PTREETIME_SYS_clock_gettime = 265, /* 32-bit seconds: enough for a clock that starts with the machine */
  PTREETIME_SYS_openat = 295,
  PTREETIME_SYS_readlinkat = 305,
  PTREETIME_SYS_prlimit64 = 340,
  PTREETIME_SYS_seccomp = 354,
};

static inline long ptreetime_kernel_call(long number, long a, long b, long c, long d, long e, long f) {
  (void)f;
  __asm__ volatile("int $0x80" : "+a"(number) : "b"(a), "c"(b), "d"(c), "S"(d), "D"(e) : "memory");
  return number;
}

#elif defined(__aarch64__) || (defined(__riscv) && __riscv_xlen == 64)
enum {
  PTREETIME_SYS_getcwd = 17,
  PTREETIME_SYS_openat = 56,
  PTREETIME_SYS_close = 57,
  PTREETIME_SYS_write = 64,
  PTREETIME_SYS_readlinkat = 78,
  PTREETIME_SYS_exit_group = 94,
  PTREETIME_SYS_clock_gettime = 113,
  PTREETIME_SYS_rt_sigprocmask = 135,
  PTREETIME_SYS_rt_sigpending = 136,
  PTREETIME_SYS_rt_sigtimedwait = 137,
  PTREETIME_SYS_getrusage = 165,
  PTREETIME_SYS_prctl = 167,
  PTREETIME_SYS_getpid = 172,
  PTREETIME_SYS_getppid = 173,
  PTREETIME_SYS_munmap = 215,
  PTREETIME_SYS_mmap = 222,
  PTREETIME_SYS_prlimit64 = 261,
  PTREETIME_SYS_seccomp = 277,
};

#ifdef __aarch64__
static inline long ptreetime_kernel_call(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
  return x0;
}
#else
static inline long ptreetime_kernel_call(long number, long a, long b, long c, long d, long e, long f) {
  register long a7 __asm__("a7") = number;
  register long a0 __asm__("a0") = a;
  register long a1 __asm__("a1") = b;
  register long a2 __asm__("a2") = c;
  register long a3 __asm__("a3") = d;
  register long a4 __asm__("a4") = e;
  register long a5 __asm__("a5") = f;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5) : "memory");
  return a0;
}
#endif

#else
#error "the interposer has no system calls for this machine: add its numbers to kernel.h"
#endif

/* The kernel's set of signals: 64 of them on every machine above. */
#define PTREETIME_SIGNAL_SET_SIZE 8

static inline long ptreetime_kernel_open(const char *path, int flags) {
  return ptreetime_kernel_call(PTREETIME_SYS_openat, PTREETIME_AT_FDCWD, (long)path, flags, 0, 0, 0);
}

static inline long ptreetime_kernel_write(long descriptor, const void *bytes, size_t count) {
  return ptreetime_kernel_call(PTREETIME_SYS_write, descriptor, (long)bytes, (long)count, 0, 0, 0);
}

static inline void ptreetime_kernel_close(long descriptor) {
  ptreetime_kernel_call(PTREETIME_SYS_close, descriptor, 0, 0, 0, 0, 0);
}

static inline int ptreetime_kernel_getpid(void) {
  return (int)ptreetime_kernel_call(PTREETIME_SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline int ptreetime_kernel_getppid(void) {
  return (int)ptreetime_kernel_call(PTREETIME_SYS_getppid, 0, 0, 0, 0, 0, 0);
}

static inline uint64_t ptreetime_kernel_monotonic_ns(void) {
  struct {
    long seconds, nanoseconds;
  } now = {0, 0};
  ptreetime_kernel_call(PTREETIME_SYS_clock_gettime, PTREETIME_CLOCK_MONOTONIC, (long)&now, 0, 0, 0, 0);
  return (uint64_t)now.seconds * 1000000000u + (uint64_t)now.nanoseconds;
}

struct ptreetime_kernel_usage {
  long user_seconds, user_microseconds, sys_seconds, sys_microseconds;
  long others[14];
};

static inline void ptreetime_kernel_usage_read(struct ptreetime_kernel_usage *usage) {
  usage->user_seconds = usage->user_microseconds = usage->sys_seconds = usage->sys_microseconds = 0;
  ptreetime_kernel_call(PTREETIME_SYS_getrusage, PTREETIME_RUSAGE_SELF, (long)usage, 0, 0, 0, 0);
}

/* The target of a symbolic link, ended by a zero byte; an empty string where it can't be read. */
static inline void ptreetime_kernel_readlink(const char *path, char *target, size_t capacity) {
  long length = ptreetime_kernel_call(PTREETIME_SYS_readlinkat, PTREETIME_AT_FDCWD, (long)path, (long)target,
                                      (long)capacity - 1, 0, 0);
  target[length < 0 ? 0 : length] = '\0';
}

/* As getcwd(3); an empty string where there is none, or where it is longer than the buffer. */
static inline void ptreetime_kernel_getcwd(char *directory, size_t capacity) {
  if (ptreetime_kernel_call(PTREETIME_SYS_getcwd, (long)directory, (long)capacity, 0, 0, 0, 0) < 0)
    directory[0] = '\0';
}

/* Anonymous memory, or NULL. */
static inline void *ptreetime_kernel_map(size_t size) {
#ifdef __i386__
  long arguments[6] = {0, (long)size, PTREETIME_PROT_READ_WRITE, PTREETIME_MAP_PRIVATE_ANONYMOUS, -1, 0};
  long address = ptreetime_kernel_call(PTREETIME_SYS_mmap, (long)arguments, 0, 0, 0, 0, 0);
#else
  long address = ptreetime_kernel_call(PTREETIME_SYS_mmap, 0, (long)size, PTREETIME_PROT_READ_WRITE,
                                       PTREETIME_MAP_PRIVATE_ANONYMOUS, -1, 0);
#endif
  return (unsigned long)address > -4096ul ? NULL : (void *)address;
}

static inline void ptreetime_kernel_unmap(void *memory, size_t size) {
  ptreetime_kernel_call(PTREETIME_SYS_munmap, (long)memory, (long)size, 0, 0, 0, 0);
}

/* Does the process have a limit on the size of the files that it writes? */
static inline int ptreetime_kernel_file_size_limited(void) {
  uint64_t limit[2] = {~(uint64_t)0, ~(uint64_t)0};
  ptreetime_kernel_call(PTREETIME_SYS_prlimit64, 0, PTREETIME_RLIMIT_FSIZE, 0, (long)limit, 0, 0);
  return limit[0] != ~(uint64_t)0;
}

static inline void ptreetime_kernel_signal_mask(int how, const uint64_t *set, uint64_t *before) {
  ptreetime_kernel_call(PTREETIME_SYS_rt_sigprocmask, how, (long)set, (long)before, PTREETIME_SIGNAL_SET_SIZE, 0, 0);
}

static inline uint64_t ptreetime_kernel_signals_pending(void) {
  uint64_t pending = 0;
  ptreetime_kernel_call(PTREETIME_SYS_rt_sigpending, (long)&pending, PTREETIME_SIGNAL_SET_SIZE, 0, 0, 0, 0);
  return pending;
}

/* Takes a pending, blocked signal of the set away, without waiting for one. */
static inline void ptreetime_kernel_signal_take(const uint64_t *set) {
  struct {
    long seconds, nanoseconds;
  } none = {0, 0};
  ptreetime_kernel_call(PTREETIME_SYS_rt_sigtimedwait, (long)set, 0, (long)&none, PTREETIME_SIGNAL_SET_SIZE, 0, 0);
}

static inline _Noreturn void ptreetime_kernel_exit(int status) {
  for (;;)
    ptreetime_kernel_call(PTREETIME_SYS_exit_group, status, 0, 0, 0, 0, 0);
}

#endif
