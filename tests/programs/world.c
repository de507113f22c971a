/* Prints the world as a process of a build sees it, a line each: what a tracer might have changed. Numbers that differ
 * between any two runs (pids, addresses, inodes of pipes) are not printed, or as what they are the number of.
 *
 *     world          once
 *     world await    the signals that arrive, until SIGTERM or the end of the input
 *     world stdin    and the bytes of the standard input
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

extern char **environ;

static void print_bytes(const char *label, const void *bytes, size_t size) {
  printf("%s", label);
  for (size_t i = 0; i < size; i++)
    printf(" %02x", ((const unsigned char *)bytes)[i]);
  printf("\n");
}

/* The lines of a file, but for those that begin with one of the words. */
static void print_file(const char *path, const char *const *without) {
  char line[4096];
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    printf("%s: %s\n", path, strerror(errno));
    return;
  }
  while (fgets(line, sizeof line, file) != NULL) {
    int hidden = 0;
    for (const char *const *word = without; word != NULL && *word != NULL; word++)
      hidden |= strncmp(line, *word, strlen(*word)) == 0;
    line[strcspn(line, "\n")] = '\0';
    if (!hidden)
      printf("%s: %s\n", path, line);
  }
  fclose(file);
}

static void print_environment(int argc, char **argv) {
  for (int i = 0; i < argc; i++)
    printf("argv[%d] %s\n", i, argv[i]);
  for (char **entry = environ; *entry != NULL; entry++)
    if (strncmp(*entry, "LD_PRELOAD=", 11) != 0 && strncmp(*entry, "PTREETIME_LOG=", 14) != 0)
      printf("environment %s\n", *entry);
  const unsigned long numbers[] = {AT_HWCAP, AT_HWCAP2, AT_PAGESZ, AT_CLKTCK, AT_PHENT, AT_PHNUM,
                                   AT_FLAGS, AT_UID,    AT_EUID,   AT_GID,    AT_EGID,  AT_SECURE};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    printf("auxiliary %lu %lu\n", numbers[i], getauxval(numbers[i]));
  printf("auxiliary execfn %s\n", (const char *)getauxval(AT_EXECFN));
}

/* Which of the processes that the test knows it is. */
static const char *known(pid_t pid) {
  const char *tests_group = getenv("WORLD_GROUP"), *tests_session = getenv("WORLD_SESSION");
  if (pid == getpid())
    return "this process";
  if (pid == getppid())
    return "its parent";
  if (tests_group != NULL && pid == atoi(tests_group))
    return "the test's group";
  if (tests_session != NULL && pid == atoi(tests_session))
    return "the test's session";
  return pid == getpgid(getppid()) ? "its parent's group" : pid <= 0 ? "none" : "another";
}

static void print_process(void) {
  static const char *const different[] = {
      "Pid:", "Tgid:",   "Ngid:", "PPid:", "NStgid:",   "NSpid:",       "NSpgid:",    "NSsid:", "Vm",
      "Rss",  "Hugetlb", "SigQ:", "untag", "voluntary", "nonvoluntary", "x86_Thread", "Name:",  NULL};
  print_file("/proc/self/status", different);
  const char *const files[] = {"limits",    "cgroup", "oom_score_adj", "coredump_filter", "loginuid",
                               "sessionid", "comm",   "timers",        "uid_map",         "setgroups"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/%s", files[i]);
    print_file(path, NULL);
  }
  const char *const links[] = {"cwd",    "root",    "exe",    "ns/mnt", "ns/pid",    "ns/pid_for_children",
                               "ns/net", "ns/user", "ns/ipc", "ns/uts", "ns/cgroup", "ns/time"};
  for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
    char path[64], target[4096];
    snprintf(path, sizeof path, "/proc/self/%s", links[i]);
    ssize_t size = readlink(path, target, sizeof target);
    printf("%s -> %.*s\n", path, (int)(size < 0 ? 0 : size), target);
  }
  printf("process group: %s; session: %s\n", known(getpgrp()), known(getsid(0)));
  printf("children: %d %s\n", (int)waitpid(-1, NULL, WNOHANG), strerror(errno));
  mode_t mask = umask(0);
  umask(mask);
  printf("umask %o personality %x\n", (unsigned)mask, (unsigned)personality(0xffffffff));
}

static void print_controls(void) {
  int signal = -1, reaper = -1;
  prctl(PR_GET_PDEATHSIG, &signal);
  prctl(PR_GET_CHILD_SUBREAPER, &reaper);
  printf("death signal %d reaper %d\n", signal, reaper);
  printf("securebits %d keepcaps %d dumpable %d\n", prctl(PR_GET_SECUREBITS), prctl(PR_GET_KEEPCAPS),
         prctl(PR_GET_DUMPABLE));
  printf("no_new_privs %d seccomp %d timer slack %d thp %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
         prctl(PR_GET_SECCOMP), prctl(PR_GET_TIMERSLACK), prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
  struct {
    unsigned size, policy;
    unsigned long long flags;
    int nice;
    unsigned priority;
    unsigned long long runtime, deadline, period;
    unsigned least, most;
  } attributes = {0};
  syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0);
  print_bytes("scheduling", &attributes, sizeof attributes);
  printf("nice %d io priority %ld\n", getpriority(PRIO_PROCESS, 0), syscall(SYS_ioprio_get, 1, 0));
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof cpus, &cpus);
  print_bytes("affinity", &cpus, sizeof cpus);
  for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
    struct itimerval timer;
    getitimer((__itimer_which_t)which, &timer);
    printf("timer %d %ld\n", which, timer.it_value.tv_sec);
  }
  for (int number = 1; number < NSIG; number++) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
      printf("signal %d %s\n", number, action.sa_handler == SIG_IGN ? "ignored" : "handled");
  }
}

static void print_descriptors(void) {
  for (int descriptor = 0; descriptor < 1024; descriptor++) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0)
      continue;
    char path[64], target[4096];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(path, target, sizeof target - 1);
    target[size < 0 ? 0 : size] = '\0';
    struct stat status;
    fstat(descriptor, &status);
    if (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode))
      target[strcspn(target, "[")] = '\0';
    printf("descriptor %d %s flags %x %x mode %o\n", descriptor, target, (unsigned)flags,
           (unsigned)fcntl(descriptor, F_GETFD), (unsigned)status.st_mode);
    if (isatty(descriptor)) {
      struct termios terminal;
      struct winsize window;
      memset(&terminal, 0, sizeof terminal);
      tcgetattr(descriptor, &terminal);
      ioctl(descriptor, TIOCGWINSZ, &window);
      print_bytes("terminal", &terminal, sizeof terminal);
      printf("terminal %d x %d, %s; foreground: %s; session: %s\n", window.ws_col, window.ws_row, ttyname(descriptor),
             known(tcgetpgrp(descriptor)), known(tcgetsid(descriptor)));
    }
  }
}

static void print_input(void) {
  unsigned char bytes[4096];
  ssize_t size;
  printf("reading\n");
  fflush(stdout);
  while ((size = read(0, bytes, sizeof bytes)) > 0)
    print_bytes("input", bytes, (size_t)size);
  printf("input ends with %zd\n", size);
}

static void tell(int number, siginfo_t *info, void *context) {
  char line[128];
  (void)context;
  const char *by = info->si_code == SI_USER ? known(info->si_pid) : "the kernel";
  int size = snprintf(line, sizeof line, "signal %d code %d from %s\n", number, info->si_code, by);
  if (write(1, line, (size_t)size) < 0 || number == SIGTERM)
    _exit(3);
}

static void await(void) {
  struct sigaction action = {.sa_sigaction = tell, .sa_flags = SA_SIGINFO | SA_RESTART};
  for (int number = 1; number < NSIG; number++)
    sigaction(number, &action, NULL);
  usleep(500000); /* until whoever started it is back from that, and waits */
  printf("ready\n");
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0)
    continue;
  printf("end of the input\n");
}

int main(int argc, char **argv) {
  const char *wanted = argc > 1 ? argv[1] : "";
  if (strcmp(wanted, "await") == 0) {
    await();
    return 0;
  }
  print_environment(argc, argv);
  print_process();
  print_controls();
  print_descriptors();
  if (strcmp(wanted, "stdin") == 0)
    print_input();
  return 0;
}
