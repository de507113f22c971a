/* A search along PATH: three execs fail, the fourth succeeds. */
#include "truth.h"

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "found") == 0) {
    printf("{\"pid\": %d}\n", (int)getpid());
    return 0;
  }
  char *arguments[] = {(char *)"program", NULL};
  CHECK(execve("/nonexistent/1", arguments, environ) == -1 && errno == ENOENT);
  CHECK(execve("/nonexistent/2", arguments, environ) == -1 && errno == ENOENT);
  CHECK(execve("/dev/null", arguments, environ) == -1 && errno == EACCES);
  run_itself("found");
}
