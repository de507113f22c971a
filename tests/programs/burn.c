/* burn MS [THREADS]: uses so much processor time in each of so many threads. */
#include "truth.h"

static unsigned milliseconds;

static void *work(void *unused) {
  (void)unused;
  burn_ms(milliseconds);
  return NULL;
}

int main(int argc, char **argv) {
  CHECK(argc >= 2);
  milliseconds = (unsigned)atoi(argv[1]);
  int count = argc > 2 ? atoi(argv[2]) : 1;
  pthread_t threads[16];
  CHECK(count <= 16);
  for (int i = 1; i < count; i++)
    CHECK(pthread_create(&threads[i], NULL, work, NULL) == 0);
  work(NULL);
  for (int i = 1; i < count; i++)
    pthread_join(threads[i], NULL);
  return 0;
}
