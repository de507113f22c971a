/* Children and a grandchild that never exec, made by fork and by the clone system call with its odd flags. */
#include "truth.h"
#include <linux/sched.h>

static pid_t clone_process(unsigned long flags) { return (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL); }

int main(void) {
  pid_t first = fork();
  if (first == 0) {
    pid_t grandchild = fork();
    if (grandchild == 0)
      _exit(12);
    _exit(reaped(grandchild) == 12 << 8 ? 11 : 99);
  }
  CHECK(first > 0 && reaped(first) == 11 << 8);
  pid_t silent = clone_process(0); /* its end raises no signal: only __WALL and __WCLONE see it */
  if (silent == 0)
    _exit(13);
  CHECK(silent > 0 && reaped(silent) == 13 << 8);
  pid_t inner = fork();
  if (inner == 0) {
    pid_t sibling = clone_process(CLONE_PARENT | SIGCHLD); /* a child of the root, forked by inner */
    _exit(sibling == 0 ? 15 : 14);
  }
  int status, statuses = 0;
  while (waitpid(-1, &status, __WALL) > 0)
    statuses += WEXITSTATUS(status);
  CHECK(statuses == 15 + 14);
  printf("{\"pid\": %d, \"first\": %d, \"silent\": %d, \"inner\": %d}\n", (int)getpid(), (int)first, (int)silent,
         (int)inner);
  return 0;
}
