/* A thread that is not the leader execs: the kernel ends the leader, and the thread takes over its id. */
#include "truth.h"

static void *execute(void *unused) {
  (void)unused;
  run_itself("after");
  return NULL;
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "after") == 0) {
    printf("{\"pid\": %d}\n", (int)getpid());
    return 5;
  }
  pthread_t idle, thread;
  CHECK(pthread_create(&idle, NULL, (void *(*)(void *))(void *)pause, NULL) == 0);
  CHECK(pthread_create(&thread, NULL, execute, NULL) == 0);
  for (;;)
    pause();
}
