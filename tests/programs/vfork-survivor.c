/* Ends while a child sleeps in vfork: that one can't be stopped, nor let go of, until the grandchild has ended. */
#include "truth.h"

int main(void) {
  int told[2];
  CHECK(pipe(told) == 0);
  pid_t parent = fork();
  if (parent == 0) {
    close(1);
    close(2);
    if (vfork() == 0) {
      pid_t itself = getpid();
      if (write(told[1], &itself, sizeof itself) != (ssize_t)sizeof itself)
        _exit(1);
      for (;;)
        pause();
    }
    _exit(0);
  }
  pid_t child;
  CHECK(parent > 0 && read(told[0], &child, sizeof child) == (ssize_t)sizeof child);
  printf("{\"pid\": %d, \"parent\": %d, \"child\": %d}\n", (int)getpid(), (int)parent, (int)child);
  return 0;
}
