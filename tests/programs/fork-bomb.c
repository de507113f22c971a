/* fork-bomb DEPTH: every process forks two, so many levels deep, all of them alive at once until the last is there. */
#include "truth.h"

static void grow(int depth) {
  for (int i = 0; i < 2 && depth > 0; i++) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      grow(depth - 1);
      exit(0);
    }
  }
  while (depth > 0 && wait(NULL) > 0)
    continue;
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  int depth = atoi(argv[1]);
  printf("{\"pid\": %d, \"children\": %d}\n", (int)getpid(), (2 << depth) - 2);
  fflush(stdout);
  grow(depth);
  return 0;
}
