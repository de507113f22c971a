/* A daemon: forked twice, in a session of its own, alive when the root has ended. */
#include "truth.h"

int main(void) {
  int told[2];
  CHECK(pipe(told) == 0);
  pid_t middle = fork();
  CHECK(middle >= 0);
  if (middle == 0) {
    setsid();
    pid_t daemon = fork();
    if (daemon == 0) {
      close(1); /* whoever reads the root's output must not wait for the daemon */
      close(2);
      for (;;)
        pause();
    }
    _exit(write(told[1], &daemon, sizeof daemon) != (ssize_t)sizeof daemon);
  }
  pid_t daemon;
  CHECK(read(told[0], &daemon, sizeof daemon) == (ssize_t)sizeof daemon);
  CHECK(reaped(middle) == 0);
  printf("{\"pid\": %d, \"middle\": %d, \"daemon\": %d}\n", (int)getpid(), (int)middle, (int)daemon);
  return 0;
}
