/* A program without argv[0]. Linux 5.18 and later make it one empty string. */
#include "truth.h"

int main(int argc, char **argv) {
  if (argc == 0 || argv[0][0] == '\0')
    return argc;
  pid_t child = fork();
  if (child == 0) {
    char *nothing[] = {NULL};
    execve(ITSELF, nothing, environ);
    _exit(98);
  }
  int status = reaped(child);
  CHECK(WIFEXITED(status));
  printf("{\"pid\": %d, \"child\": %d, \"argc\": %d}\n", (int)getpid(), (int)child, WEXITSTATUS(status));
  return 0;
}
