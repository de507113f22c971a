/* A child that leaves the session and the process group before it execs. */
#include "truth.h"

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "child") == 0)
    return getsid(0) == getpid() ? 0 : 1;
  pid_t child = fork();
  if (child == 0) {
    setsid();
    run_itself("child");
  }
  CHECK(child > 0 && reaped(child) == 0);
  printf("{\"pid\": %d, \"child\": %d}\n", (int)getpid(), (int)child);
  return 0;
}
