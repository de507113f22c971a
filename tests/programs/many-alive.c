/* N threads, or N children, that all live at the same time: `many-alive threads N`, `many-alive forks N`. Says how long
 * they took. */
#include "truth.h"

static pthread_barrier_t all_there;

static void *live(void *unused) {
  pthread_barrier_wait(&all_there);
  return unused;
}

static void live_in_threads(unsigned count) {
  pthread_t *threads = calloc(count, sizeof *threads);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 64 << 10);
  pthread_barrier_init(&all_there, NULL, count + 1);
  for (unsigned i = 0; i < count; i++)
    CHECK(pthread_create(&threads[i], &small, live, NULL) == 0);
  pthread_barrier_wait(&all_there);
  for (unsigned i = 0; i < count; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
}

static void live_in_children(unsigned count) {
  int until[2];
  char none;
  CHECK(pipe(until) == 0);
  for (unsigned i = 0; i < count; i++) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      close(until[1]);
      _exit(read(until[0], &none, 1) != 0);
    }
  }
  close(until[1]);
  for (unsigned i = 0; i < count; i++) {
    int status;
    CHECK(wait(&status) > 0 && status == 0);
  }
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  unsigned count = (unsigned)atoi(argv[2]);
  uint64_t begin_ns = now_ns();
  (strcmp(argv[1], "threads") == 0 ? live_in_threads : live_in_children)(count);
  printf("{\"pid\": %d, \"ns\": %llu}\n", (int)getpid(), (unsigned long long)(now_ns() - begin_ns));
  return 0;
}
