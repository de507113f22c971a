/* The leader ends with pthread_exit while a thread works on: the process ends with its last thread. */
#include "truth.h"

static void *work(void *unused) {
  (void)unused;
  burn_ms(60);
  printf("{\"pid\": %d, \"last_ns\": %llu}\n", (int)getpid(), (unsigned long long)now_ns());
  exit(7);
}

int main(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, work, NULL) == 0);
  pthread_exit(NULL);
}
