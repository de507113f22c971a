/* fork-storm COUNT [RATE]: processes that end at once, made by vfork, as fast as it goes or RATE a second. */
#include "truth.h"

int main(int argc, char **argv) {
  CHECK(argc >= 2);
  long count = atol(argv[1]), rate = argc > 2 ? atol(argv[2]) : 0;
  long long begin_ns = now_ns();
  for (long i = 0; i < count; i++) {
    pid_t child = vfork();
    if (child == 0)
      _exit(0);
    CHECK(child > 0 && waitpid(child, NULL, 0) == child);
    while (rate > 0 && (now_ns() - begin_ns) / 1e9 * rate < i)
      continue;
  }
  printf("{\"pid\": %d, \"children\": %ld, \"seconds\": %.3f}\n", (int)getpid(), count, (now_ns() - begin_ns) / 1e9);
  return 0;
}
