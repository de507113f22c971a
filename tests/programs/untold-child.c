/* A child that nobody is told of is dead and gone, and its number free, while its parent still waits for its input to
 * end. */
#include "truth.h"

int main(void) {
  signal(SIGCHLD, SIG_IGN);
  pid_t child = fork();
  if (child == 0)
    _exit(0);
  CHECK(wait(NULL) == -1 && errno == ECHILD);
  printf("%d\n", (int)child);
  fflush(stdout);
  while (getchar() != EOF)
    continue;
  return 0;
}
