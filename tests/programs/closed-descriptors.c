/* Closes every descriptor, standard streams included, and runs a child. */
#include "truth.h"
#include <fcntl.h>

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "child") == 0)
    return fcntl(0, F_GETFD) == -1 && fcntl(1, F_GETFD) == -1 ? 6 : 1;
  printf("{\"pid\": %d}\n", (int)getpid());
  fflush(stdout);
  for (int descriptor = 0; descriptor < 1024; descriptor++)
    close(descriptor);
  pid_t child = fork();
  if (child == 0)
    run_itself("child");
  return reaped(child) == 6 << 8 ? 0 : 99;
}
