/* Job control: a child is stopped and continued from outside and by itself, and its parent sees each change. */
#include "truth.h"

static void expect_stop(pid_t child, int signal) {
  int status;
  CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status) && WSTOPSIG(status) == signal);
}

static void expect_continue(pid_t child) {
  int status;
  CHECK(kill(child, SIGCONT) == 0);
  CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
}

int main(void) {
  int ready[2], go[2];
  char byte;
  CHECK(pipe(ready) == 0 && pipe(go) == 0);
  pid_t child = fork();
  if (child == 0) {
    CHECK(setpgid(0, 0) == 0); /* ours may be orphaned, where SIGTSTP stops nobody */
    CHECK(write(ready[1], "1", 1) == 1);
    raise(SIGSTOP);
    CHECK(write(ready[1], "2", 1) == 1);
    CHECK(read(go[0], &byte, 1) == 1); /* a stop before the parent has seen the continue would make it unseen */
    raise(SIGTSTP);
    CHECK(write(ready[1], "3", 1) == 1);
    for (;;)
      pause();
  }
  CHECK(child > 0 && read(ready[0], &byte, 1) == 1 && byte == '1');
  expect_stop(child, SIGSTOP);
  expect_continue(child);
  CHECK(read(ready[0], &byte, 1) == 1 && byte == '2' && write(go[1], "1", 1) == 1);
  expect_stop(child, SIGTSTP);
  expect_continue(child);
  CHECK(read(ready[0], &byte, 1) == 1 && byte == '3');
  CHECK(kill(child, SIGSTOP) == 0);
  expect_stop(child, SIGSTOP);
  CHECK(kill(child, SIGTERM) == 0); /* stays pending: the child is stopped */
  int status;
  CHECK(waitpid(child, &status, WNOHANG) == 0);
  CHECK(kill(child, SIGCONT) == 0);
  CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  printf("{\"pid\": %d, \"child\": %d}\n", (int)getpid(), (int)child);
  return 0;
}
