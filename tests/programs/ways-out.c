/* ways-out WAY: ends in one of the ways that there are, and says when it was about to. It has so much memory that to
 * take it apart takes long.
 */
#include "truth.h"
#include <limits.h>
#include <sys/mman.h>

#define MEMORY ((size_t)128 << 20)

static void tell(void) {
  char line[96];
  int size =
      snprintf(line, sizeof line, "{\"pid\": %d, \"told_ns\": %llu}\n", (int)getpid(), (unsigned long long)now_ns());
  if (write(1, line, (size_t)size) != size)
    _exit(99);
}

static void *spin(void *unused) {
  for (volatile unsigned turn = 0; unused == NULL || turn < UINT_MAX; turn++)
    continue;
  return unused;
}

static void *end_all(void *unused) {
  (void)unused;
  usleep(20000);
  tell();
  _exit(3);
}

static void *end_last(void *unused) {
  (void)unused;
  usleep(50000);
  tell();
  syscall(SYS_exit, 0);
  return NULL;
}

static void start(void *(*function)(void *), int count) {
  pthread_t thread;
  while (count-- > 0)
    CHECK(pthread_create(&thread, NULL, function, NULL) == 0);
}

int main(int argc, char **argv) {
  const char *way = argc == 2 ? argv[1] : "";
  struct rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  char *memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(memory != MAP_FAILED);
  madvise(memory, MEMORY, MADV_NOHUGEPAGE);
  memset(memory, 1, MEMORY);
  if (strcmp(way, "exit") == 0) {
    tell();
    _exit(3);
  }
  if (strcmp(way, "handler") == 0) { /* what a program does in its last handler is not yet its end */
    atexit(tell);
    exit(3);
  }
  if (strcmp(way, "thread") == 0) {
    start(spin, 3);
    start(end_all, 1);
    spin(NULL);
  }
  if (strcmp(way, "last-thread") == 0) {
    start(end_last, 1);
    syscall(SYS_exit, 0);
  }
  if (strcmp(way, "signal") == 0) {
    tell();
    raise(SIGSEGV);
  }
  if (strcmp(way, "signal-threads") == 0) {
    start(spin, 3);
    tell();
    kill(getpid(), SIGKILL);
    spin(NULL);
  }
  return 99;
}
