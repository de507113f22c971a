/* vfork and exec; the parent sleeps in the kernel until the exec. */
#include "truth.h"

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "child") == 0)
    return 3;
  pid_t child = vfork();
  if (child == 0)
    run_itself("child");
  CHECK(child > 0 && reaped(child) == 3 << 8);
  printf("{\"pid\": %d, \"child\": %d}\n", (int)getpid(), (int)child);
  return 0;
}
