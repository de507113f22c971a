/* Signals arrive unchanged: queued ones with their values in their order, SIGTRAP like any other, ignored ones not. */
#include "truth.h"

#define SIGNALS 200

static volatile sig_atomic_t traps, values_in_order;

static void on_trap(int signal) {
  (void)signal;
  traps++;
}

static void on_value(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)context;
  if (info->si_code == SI_QUEUE && info->si_value.sival_int == values_in_order)
    values_in_order++;
}

int main(void) {
  signal(SIGTRAP, on_trap);
  signal(SIGUSR1, SIG_IGN);
  struct sigaction action = {.sa_sigaction = on_value, .sa_flags = SA_SIGINFO};
  CHECK(sigaction(SIGRTMIN, &action, NULL) == 0);
  pid_t itself = getpid(), child = fork();
  if (child == 0) {
    for (int i = 0; i < SIGNALS; i++) {
      while (sigqueue(itself, SIGRTMIN, (union sigval){.sival_int = i}) != 0)
        sched_yield();
      kill(itself, SIGUSR1);
    }
    _exit(0);
  }
  int status;
  while (waitpid(child, &status, 0) != child)
    CHECK(errno == EINTR);
  for (int i = 0; i < 3; i++)
    raise(SIGTRAP);
  CHECK(status == 0 && traps == 3 && values_in_order == SIGNALS);
  printf("{\"pid\": %d, \"child\": %d}\n", (int)getpid(), (int)child);
  return 0;
}
