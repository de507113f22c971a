/* Children that somebody else reaps than who made them: a subreaper, which gets orphans that live and orphans that are
 * dead; the parent of a process that makes its own siblings (CLONE_PARENT); and nobody. Each has used memory and time
 * of its own. */
#include "truth.h"
#include <sys/prctl.h>

static void work(unsigned pages) {
  volatile char *memory = malloc((size_t)pages << 12);
  for (size_t i = 0; i < (size_t)pages << 12; i += 4096)
    memory[i] = 1;
}

static void sleep_ms(unsigned ms) { usleep(ms * 1000); }

static void child_with_orphans(void) {
  for (unsigned i = 0; i < 3; i++) {
    pid_t child = fork();
    if (child == 0) {
      work(300 + 200 * i);
      sleep_ms(20 * i); /* the first is dead when its parent is, and unreaped */
      _exit(0);
    }
  }
  sleep_ms(10);
  _exit(0);
}

static void child_with_sibling(void) {
  work(10);
  long sibling = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
  if (sibling == 0)
    work(2000);
  _exit(sibling < 0);
}

static void subreaper(void) {
  CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
  for (unsigned i = 0; i < 4; i++) {
    pid_t child = fork();
    if (child == 0)
      child_with_orphans();
  }
  unsigned count = 0;
  while (wait(NULL) > 0)
    count++;
  CHECK(count == 16);
}

int main(void) {
  pid_t first = fork();
  if (first == 0) {
    subreaper();
    _exit(0);
  }
  CHECK(reaped(first) == 0);
  pid_t second = fork();
  if (second == 0)
    child_with_sibling();
  CHECK(reaped(second) == 0);
  CHECK(wait(NULL) > 0);
  pid_t unreaped = fork();
  if (unreaped == 0)
    _exit(0);
  printf("{\"pid\": %d, \"processes\": 21}\n", (int)getpid());
  return 0;
}
