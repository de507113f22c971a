/* A container in small: the child is process 1 in its own PID namespace, and so is told by getpid. */
#include "truth.h"

int main(void) {
  if (unshare(CLONE_NEWPID) != 0)
    return 77;
  pid_t child = fork();
  if (child == 0) {
    pid_t inner = fork();
    if (inner == 0)
      _exit(getpid() == 2 ? 32 : 99);
    _exit(getpid() == 1 && inner == 2 && reaped(inner) == 32 << 8 ? 31 : 99);
  }
  CHECK(child > 0 && reaped(child) == 31 << 8);
  printf("{\"pid\": %d, \"child\": %d}\n", (int)getpid(), (int)child);
  return 0;
}
