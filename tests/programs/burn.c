/* burn MS [THREADS]: uses so much processor time in each of so many threads. Given THREADS it says what its process had
 * used when main began and when the threads were joined. */
#include "truth.h"

static unsigned milliseconds;

static void *work(void *unused) {
  (void)unused;
  burn_ms(milliseconds);
  return NULL;
}

static unsigned long long process_cpu_ns(void) {
  struct timespec used;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return (unsigned long long)used.tv_sec * 1000000000u + (unsigned long long)used.tv_nsec;
}

int main(int argc, char **argv) {
  unsigned long long begin_ns = process_cpu_ns();
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
  if (argc > 2)
    printf("{\"begin_ns\": %llu, \"end_ns\": %llu}\n", begin_ns, process_cpu_ns());
  return 0;
}
