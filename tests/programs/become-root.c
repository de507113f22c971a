/* A set-user-id program that becomes root for good, as sudo does: no process of the user who started it any more. It
 * writes a line and forks, over and over, until it reads the end of its input. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
  char end;
  if (setresuid(0, 0, 0) != 0)
    return 77;
  printf("%d\n", (int)getpid());
  fflush(stdout);
  fcntl(0, F_SETFL, O_NONBLOCK);
  while (read(0, &end, 1) != 0) {
    pid_t child = fork();
    if (child == 0)
      _exit(0);
    waitpid(child, NULL, 0);
  }
  return 0;
}
