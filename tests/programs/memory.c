/* memory MIB: dirties so much memory, and leaves the kernel to tear it down. */
#include "truth.h"

int main(int argc, char **argv) {
  CHECK(argc == 2);
  size_t size = (size_t)atoi(argv[1]) << 20;
  char *memory = malloc(size);
  CHECK(memory != NULL);
  for (size_t at = 0; at < size; at += 4096)
    memory[at] = 1;
  _exit(memory[size / 2 & ~(size_t)4095] != 1);
}
