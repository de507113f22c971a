/* A grandchild whose parent ends before it. It ends before the root, which waits for its pipe to close. */
#include "truth.h"

int main(void) {
  int alive[2], told[2];
  CHECK(pipe(alive) == 0 && pipe(told) == 0);
  pid_t middle = fork();
  if (middle == 0) {
    pid_t middle_itself = getpid(), orphan = fork();
    if (orphan == 0) {
      close(alive[0]);
      while (getppid() == middle_itself)
        sched_yield();
      burn_ms(5);
      _exit(4);
    }
    _exit(write(told[1], &orphan, sizeof orphan) != (ssize_t)sizeof orphan);
  }
  close(alive[1]);
  pid_t orphan;
  char nothing;
  CHECK(read(told[0], &orphan, sizeof orphan) == (ssize_t)sizeof orphan);
  CHECK(reaped(middle) == 0);
  CHECK(read(alive[0], &nothing, 1) == 0);
  while (!is_dead(orphan))
    sched_yield();
  printf("{\"pid\": %d, \"middle\": %d, \"orphan\": %d}\n", (int)getpid(), (int)middle, (int)orphan);
  return 0;
}
