/* system-call-filter WAY [PROGRAM]: allows itself few system calls, is killed for any other, and ends with 4.
 *
 * WAY is how the filter is installed: by prctl, by syscall, by the kernel's own interface (inline); "strict" is the
 * kernel's list of four calls. "inherited" allows what an empty program and its dynamic linker need, reading files
 * only, and becomes PROGRAM.
 */
#include "truth.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

static const unsigned FEW[] = {SYS_write, SYS_exit_group};
static const unsigned LINKER[] = {
    SYS_execve,
    SYS_brk,
    SYS_read,
    SYS_close,
    SYS_mmap,
    SYS_munmap,
    SYS_mprotect,
    SYS_pread64,
    SYS_fstat,
    SYS_prlimit64,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_getrandom,
    SYS_exit_group,
    SYS_readlinkat,
    SYS_newfstatat,
#ifdef __x86_64__
    SYS_arch_prctl,
    SYS_access,
    SYS_readlink,
#else
    SYS_faccessat,
#endif
};

static struct sock_filter instructions[64];
static struct sock_fprog filter = {0, instructions};

static void add(struct sock_filter instruction) { instructions[filter.len++] = instruction; }

static void allow(const unsigned *numbers, size_t count) {
  const struct sock_filter yes = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)));
  for (size_t i = 0; i < count; i++) {
    add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, numbers[i], 0, 1));
    add(yes);
  }
}

/* Files are opened for reading only. */
static void allow_reading(void) {
  add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 4));
  add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])));
  add((struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, O_ACCMODE));
  add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, O_RDONLY, 0, 1));
  add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

static void end_filter(void) { add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)); }

#ifdef __x86_64__
static long call_inline(long number, long a, long b, long c) {
  register long r10 __asm__("r10") = 0;
  __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
  return number;
}
#else
#define call_inline syscall
#endif

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "";
  if (strcmp(way, "strict") == 0) {
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
      return 77;
    call_inline(SYS_exit, 4, 0, 0);
  }
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return 77;
  if (strcmp(way, "inherited") == 0) {
    allow(LINKER, sizeof LINKER / sizeof *LINKER);
    allow_reading();
  } else {
    allow(FEW, sizeof FEW / sizeof *FEW);
  }
  end_filter();
  long refused = -1;
  if (strcmp(way, "syscall") == 0)
    refused = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
  else if (strcmp(way, "inline") == 0)
    refused = call_inline(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, (long)&filter);
  else
    refused = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
  if (refused != 0)
    return 77;
  if (strcmp(way, "inherited") == 0)
    execv(argv[2], argv + 2);
  return 4;
}
