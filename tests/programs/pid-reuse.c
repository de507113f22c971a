/* Forces the kernel to give a pid again: says how often one child's pid was that of the child before. 77: not allowed.
 */
#include "truth.h"
#include <fcntl.h>

int main(void) {
  int last = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
  if (last < 0)
    return 77;
  pid_t before = 0;
  int children = 0, reused = 0;
  while (reused < 3 && children < 500) {
    char number[16];
    int size = snprintf(number, sizeof number, "%d", (int)before - 1);
    if (before > 0 && pwrite(last, number, (size_t)size, 0) != size)
      return 77;
    pid_t child = fork();
    if (child == 0)
      _exit(children % 50);
    CHECK(child > 0 && reaped(child) == (children % 50) << 8);
    reused += child == before;
    before = child;
    children++;
  }
  printf("{\"pid\": %d, \"children\": %d, \"reused\": %d}\n", (int)getpid(), children, reused);
  return 0;
}
