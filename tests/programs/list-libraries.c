/* list-libraries PROGRAM: has the dynamic linker list PROGRAM's libraries, as ldd does, by a system call of its own: no
 * function is called that a library could stand in front of. To be linked statically.
 */
#include "truth.h"

int main(int argc, char **argv) {
  CHECK(argc == 2);
  size_t count = 0;
  while (environ[count] != NULL)
    count++;
  char **variables = malloc((count + 2) * sizeof *variables);
  CHECK(variables != NULL);
  memcpy(variables, environ, count * sizeof *variables);
  variables[count] = "LD_TRACE_LOADED_OBJECTS=1";
  variables[count + 1] = NULL;
  char *arguments[] = {argv[1], NULL};
  pid_t child = vfork();
  if (child == 0) {
    syscall(SYS_execve, argv[1], arguments, variables);
    _exit(1);
  }
  int status;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  return 0;
}
