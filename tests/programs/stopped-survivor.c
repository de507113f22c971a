/* stopped-survivor FILE: ends while a child is stopped, that makes FILE when it goes on. */
#include "truth.h"
#include <fcntl.h>

int main(int argc, char **argv) {
  CHECK(argc == 2);
  pid_t child = fork();
  if (child == 0) {
    close(1);
    close(2);
    raise(SIGSTOP);
    _exit(open(argv[1], O_CREAT | O_WRONLY, 0600) < 0);
  }
  int status;
  CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
  printf("{\"pid\": %d, \"child\": %d}\n", (int)getpid(), (int)child);
  return 0;
}
