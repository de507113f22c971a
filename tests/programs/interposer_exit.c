/* interposer_exit WAY [STATUS]: ends in the way that is asked for, after it has printed what its handlers promise. */
#define _GNU_SOURCE
#include <err.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *word) {
  if (write(1, word, strlen(word)) < 0)
    abort();
}

static void first_handler(void) { say("first registered\n"); }
static void second_handler(void) { say("second registered\n"); }
static void quick_handler(void) { say("quick handler\n"); }
static __attribute__((destructor)) void destructor(void) { say("destructor\n"); }

static void on_signal(int number) {
  (void)number;
  _exit(9);
}

/* a handler that has 1 KiB beyond what the kernel needs to call it */
static void exit_on_small_stack(void) {
  size_t size = (size_t)sysconf(_SC_MINSIGSTKSZ) + 1024;
  stack_t stack = {.ss_sp = malloc(size), .ss_size = size};
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
  if (sigaltstack(&stack, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0)
    abort();
  raise(SIGUSR1);
}

static void exit_in_children(int status) {
  int child_status;
  pid_t forked = fork();
  if (forked == 0)
    _exit(status + 1);
  waitpid(forked, &child_status, 0);
  pid_t shared = vfork();
  if (shared == 0)
    _exit(status + 2);
  waitpid(shared, &child_status, 0);
}

int main(int argc, char **argv) {
  const char *way = argc > 1 ? argv[1] : "return";
  int status = argc > 2 ? atoi(argv[2]) : 0;
  atexit(first_handler);
  atexit(second_handler);
  at_quick_exit(quick_handler);
  say("main\n");
  if (strcmp(way, "exit") == 0)
    exit(status);
  if (strcmp(way, "_exit") == 0)
    _exit(status);
  if (strcmp(way, "_Exit") == 0)
    _Exit(status);
  if (strcmp(way, "quick_exit") == 0)
    quick_exit(status);
  if (strcmp(way, "err") == 0)
    errx(status, "%s", "as asked");
  if (strcmp(way, "abort") == 0)
    abort();
  if (strcmp(way, "kill") == 0)
    raise(SIGKILL);
  if (strcmp(way, "pthread_exit") == 0)
    pthread_exit(NULL);
  if (strcmp(way, "small-stack") == 0)
    exit_on_small_stack();
  if (strcmp(way, "children") == 0)
    exit_in_children(status);
  return status;
}
