/* The parent ignores SIGCHLD: its children are reaped by the kernel, and it never learns how they ended. */
#include "truth.h"

int main(void) {
  signal(SIGCHLD, SIG_IGN);
  pid_t children[3];
  for (int i = 0; i < 3; i++) {
    children[i] = fork();
    if (children[i] == 0)
      _exit(20 + i);
  }
  CHECK(wait(NULL) == -1 && errno == ECHILD);
  printf("{\"pid\": %d, \"children\": [%d, %d, %d]}\n", (int)getpid(), (int)children[0], (int)children[1],
         (int)children[2]);
  return 0;
}
