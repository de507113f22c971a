/* memory MIB: dirties so much memory, and leaves the kernel to tear it down: in small pages, each with its fault. */
#include <sys/prctl.h>

#include "truth.h"

int main(int argc, char **argv) {
  CHECK(argc == 2);
  CHECK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
  size_t size = (size_t)atoi(argv[1]) << 20;
  char *memory = malloc(size);
  CHECK(memory != NULL);
  for (size_t at = 0; at < size; at += 4096)
    memory[at] = 1;
  _exit(memory[size / 2 & ~(size_t)4095] != 1);
}
