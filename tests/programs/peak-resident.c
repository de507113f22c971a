/* peak-resident MIB [spawn|exec MIB]...: dirties so much memory, says what the kernel calls its peak, a line of facts,
 * and spawns or becomes the next one. On one processor, as the kernel counts pages in batches for each. */
#include "truth.h"

static long peak_kib(void) {
  char line[256];
  long kib = -1;
  FILE *status = fopen("/proc/self/status", "r");
  CHECK(status != NULL);
  while (kib < 0 && fgets(line, sizeof line, status) != NULL)
    sscanf(line, "VmHWM: %ld", &kib);
  fclose(status);
  return kib;
}

static void stay_on_this_processor(void) {
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(sched_getcpu(), &here);
  CHECK(sched_setaffinity(0, sizeof here, &here) == 0);
}

int main(int argc, char **argv) {
  CHECK(argc > 1);
  stay_on_this_processor();
  size_t size = (size_t)atoi(argv[1]) << 20;
  volatile char *memory = malloc(size);
  CHECK(memory != NULL);
  for (size_t at = 0; at < size; at += 4096)
    memory[at] = 1;
  printf("{\"pid\": %d, \"peak_kib\": %ld}\n", (int)getpid(), peak_kib());
  fflush(stdout);
  if (argc == 2)
    return 0;
  CHECK(argc > 3);
  int execs = strcmp(argv[2], "exec") == 0;
  argv[2] = argv[0];
  if (execs) {
    execv(ITSELF, argv + 2);
    return 1;
  }
  pid_t child;
  CHECK(posix_spawn(&child, ITSELF, NULL, NULL, argv + 2, environ) == 0);
  return reaped(child) != 0;
}
