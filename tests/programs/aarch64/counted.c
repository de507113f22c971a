/* A program for emulated aarch64 of which nearly every instruction is known: loops of two, the rest a few hundred.
 *
 *     run N                 2 N instructions, and the end
 *     threads T N           2 N in each of T threads, and in the leader; it ends with the last of them
 *     exec N WORDS...       2 N, then it becomes itself with these words
 *     thread-exec N WORDS...  a thread does the same, while the leader waits
 *     children C N          C children, one after the other, vforked, that run N
 *     forks C N             C children, one after the other, that do 2 N and end, without exec
 *     alive C N             C children that live at a time until the last is there; then each does 2 N
 *
 * Without a C library: what that does before main is not known.
 */
#include <asm/unistd.h>
#include <linux/sched.h>
#include <linux/signal.h>

static long call(long number, long a, long b, long c, long d, long e) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
  return x0;
}

static void loop(long count) { __asm__ volatile("1: subs %0, %0, #1\n b.ne 1b" : "+r"(count) : : "cc"); }

static long number_of(const char *text) {
  long number = 0;
  while (*text != '\0')
    number = 10 * number + *text++ - '0';
  return number;
}

static int same(const char *one, const char *other) {
  while (*one != '\0' && *one == *other)
    one++, other++;
  return *one == *other;
}

static void leave(int status) { call(__NR_exit_group, status, 0, 0, 0, 0); }

static char **words; /* behind the mode */
static long number_at(int word) { return number_of(words[word]); }

/* Becomes this program again: with words of this process's arguments, from the given one on. */
static void again(char **from) {
  static char *arguments[64], *environment[] = {0};
  int count = 0;
  arguments[count++] = "counted";
  while (*from != 0)
    arguments[count++] = *from++;
  call(__NR_execve, (long)"/proc/self/exe", (long)arguments, (long)environment, 0, 0);
  leave(126);
}

/* What a thread does: loops, and becomes `becomes` where there is one. */
static long thread_loops;
static char **thread_becomes;

static void thread(void) {
  loop(thread_loops);
  if (thread_becomes != 0)
    again(thread_becomes);
  call(__NR_exit, 0, 0, 0, 0, 0);
}

static void start_thread(void) {
  static char stacks[64][16384] __attribute__((aligned(16)));
  static int used;
  long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  register long x8 __asm__("x8") = __NR_clone;
  register long x0 __asm__("x0") = flags;
  register long x1 __asm__("x1") = (long)stacks[used++] + sizeof stacks[0];
  register long x2 __asm__("x2") = 0;
  register long x3 __asm__("x3") = 0;
  register long x4 __asm__("x4") = 0;
  register void (*begin)(void) __asm__("x19") = thread;
  __asm__ volatile("svc #0\n cbnz x0, 1f\n br x19\n 1:"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(begin)
                   : "memory");
}

/* As posix_spawn has it: the child has its parent's memory, and its parent waits until it has exec'ed. */
static void spawn(char **arguments) {
  static char *environment[] = {0};
  register long x8 __asm__("x8") = __NR_clone;
  register long x0 __asm__("x0") = CLONE_VM | CLONE_VFORK | SIGCHLD;
  register long x1 __asm__("x1") = 0;
  register long x2 __asm__("x2") = 0;
  register long x3 __asm__("x3") = 0;
  register long x4 __asm__("x4") = 0;
  register const char *path __asm__("x19") = "/proc/self/exe";
  register char **args __asm__("x20") = arguments;
  register char **env __asm__("x21") = environment;
  __asm__ volatile("svc #0\n cbnz x0, 1f\n mov x0, x19\n mov x1, x20\n mov x2, x21\n mov x8, %[execve]\n svc #0\n"
                   "mov x8, %[exit]\n svc #0\n 1:"
                   : "+r"(x0), "+r"(x8), "+r"(x1), "+r"(x2)
                   : "r"(x3), "r"(x4), "r"(path), "r"(args), "r"(env), [execve] "i"(__NR_execve), [exit] "i"(__NR_exit)
                   : "memory");
}

static void await_child(void) { call(__NR_wait4, -1, 0, 0, 0, 0); }

static long fork_child(void) { return call(__NR_clone, SIGCHLD, 0, 0, 0, 0); }

static void fork_at_a_time(long children, long loops) {
  int gate[2];
  char byte;
  call(__NR_pipe2, (long)gate, 0, 0, 0, 0);
  for (long child = 0; child < children; child++) {
    if (fork_child() != 0)
      continue;
    call(__NR_close, gate[1], 0, 0, 0, 0);
    call(__NR_read, gate[0], (long)&byte, 1, 0, 0);
    loop(loops);
    leave(0);
  }
  call(__NR_close, gate[1], 0, 0, 0, 0);
  for (long child = 0; child < children; child++)
    await_child();
}

static void run(const char *mode) {
  if (same(mode, "run")) {
    loop(number_at(0));
  } else if (same(mode, "threads")) {
    thread_loops = number_at(1);
    for (long left = number_at(0); left > 0; left--)
      start_thread();
    loop(thread_loops);
    call(__NR_exit, 0, 0, 0, 0, 0); /* this thread alone */
  } else if (same(mode, "exec")) {
    loop(number_at(0));
    again(words + 1);
  } else if (same(mode, "thread-exec")) {
    thread_loops = number_at(0);
    thread_becomes = words + 1;
    start_thread();
    for (;;)
      call(__NR_ppoll, 0, 0, 0, 0, 0);
  } else if (same(mode, "children")) {
    char *arguments[] = {"counted", "run", words[1], 0};
    for (long left = number_at(0); left > 0; left--) {
      spawn(arguments);
      await_child();
    }
  } else if (same(mode, "forks")) {
    long loops = number_at(1);
    for (long left = number_at(0); left > 0; left--) {
      if (fork_child() == 0) {
        loop(loops);
        leave(0);
      }
      await_child();
    }
  } else if (same(mode, "alive")) {
    fork_at_a_time(number_at(0), number_at(1));
  } else {
    leave(125);
  }
}

__attribute__((used)) static void begin(long *stack) {
  char **arguments = (char **)(stack + 1);
  words = arguments + 2;
  run(arguments[1]);
  leave(0);
}

__asm__(".globl _start\n_start:\n mov x0, sp\n b begin");
