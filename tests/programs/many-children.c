/* many-children COUNT: short children, spawned by four threads at once. */
#include "truth.h"

static int count;

static void *spawn(void *unused) {
  (void)unused;
  char *arguments[] = {(char *)"many-children", NULL};
  for (int i = 0; i < count / 4; i++) {
    pid_t child;
    CHECK(posix_spawn(&child, ITSELF, NULL, NULL, arguments, environ) == 0);
    CHECK(reaped(child) == 0);
  }
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 2)
    return 0;
  count = atoi(argv[1]);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    CHECK(pthread_create(&threads[i], NULL, spawn, NULL) == 0);
  for (int i = 0; i < 4; i++)
    pthread_join(threads[i], NULL);
  printf("{\"pid\": %d, \"children\": %d}\n", (int)getpid(), count / 4 * 4);
  return 0;
}
