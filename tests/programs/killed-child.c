/* One child is killed while it sleeps, one dereferences NULL, one aborts. */
#include "truth.h"

int main(void) {
  const struct rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  pid_t asleep = fork();
  if (asleep == 0)
    for (;;)
      pause();
  CHECK(asleep > 0 && kill(asleep, SIGKILL) == 0);
  int killed = reaped(asleep);
  pid_t faulty = fork();
  if (faulty == 0) {
    *(volatile int *)NULL = 1;
    _exit(0);
  }
  int segfault = reaped(faulty);
  pid_t desperate = fork();
  if (desperate == 0)
    abort();
  int aborted = reaped(desperate);
  CHECK(WTERMSIG(killed) == SIGKILL && WTERMSIG(segfault) == SIGSEGV && WTERMSIG(aborted) == SIGABRT);
  printf("{\"pid\": %d, \"statuses\": {\"%d\": %d, \"%d\": %d, \"%d\": %d}}\n", (int)getpid(), (int)asleep, killed,
         (int)faulty, segfault, (int)desperate, aborted);
  return 0;
}
