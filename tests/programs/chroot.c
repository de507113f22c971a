/* chroot DIRECTORY PROGRAM: runs a program of another root directory. 77: not allowed. */
#include "truth.h"

int main(int argc, char **argv) {
  CHECK(argc == 3);
  pid_t child = fork();
  if (child == 0) {
    if (chroot(argv[1]) != 0 || chdir("/") != 0)
      _exit(77);
    char *arguments[] = {argv[2], NULL};
    execve(argv[2], arguments, environ);
    _exit(98);
  }
  int status = reaped(child);
  printf("{\"pid\": %d, \"child\": %d}\n", (int)getpid(), (int)child);
  return WEXITSTATUS(status);
}
