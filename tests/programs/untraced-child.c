/* A child that asks not to be traced. `reaped`: it runs a program, and is waited for. `left`: it outlives the trap,
 * which has had another child. */
#include "truth.h"

static pid_t fork_untraced(void) { return (pid_t)syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0); }

int main(int argc, char **argv) {
  CHECK(argc >= 2);
  if (strcmp(argv[1], "program") == 0) {
    burn_ms(20);
    return 3;
  }
  pid_t untraced = fork_untraced();
  CHECK(untraced >= 0);
  if (strcmp(argv[1], "reaped") == 0) {
    if (untraced == 0)
      run_itself("program");
    CHECK(reaped(untraced) == 3 << 8);
  } else {
    if (untraced == 0) {
      pause();
      _exit(0);
    }
    pid_t traced = fork();
    if (traced == 0)
      _exit(0);
    CHECK(reaped(traced) == 0);
  }
  printf("{\"pid\": %d, \"untraced\": %d}\n", (int)getpid(), (int)untraced);
  return 0;
}
