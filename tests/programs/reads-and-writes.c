/* reads-and-writes CALLS BYTES [more]: a leader, a thread that has ended and one that is there at the end each read
 * and write so many times so many bytes; a child that never execs does three times as much, and is reaped. With a third
 * argument the process then runs this program once more, without it. */
#include "truth.h"
#include <fcntl.h>

static int zero, null;
static long calls, bytes;
static char *room;

static void work(long times) {
  for (long i = 0; i < times * calls; i++) {
    CHECK(read(zero, room, (size_t)bytes) == bytes);
    CHECK(write(null, room, (size_t)bytes / 2) == bytes / 2);
  }
}

static void *once(void *unused) {
  work(1);
  return unused;
}

static void *once_and_stay(void *told) {
  work(1);
  CHECK(write(*(int *)told, "", 1) == 1);
  for (;;)
    pause();
}

int main(int argc, char **argv) {
  pthread_t ended, staying;
  int pipe_ends[2];
  char byte;
  calls = atol(argv[1]);
  bytes = atol(argv[2]);
  room = malloc((size_t)bytes);
  zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  CHECK(room != NULL && zero >= 0 && null >= 0 && pipe(pipe_ends) == 0);
  work(1);
  CHECK(pthread_create(&ended, NULL, once, NULL) == 0 && pthread_join(ended, NULL) == 0);
  CHECK(pthread_create(&staying, NULL, once_and_stay, &pipe_ends[1]) == 0 && read(pipe_ends[0], &byte, 1) == 1);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    work(3);
    _exit(0);
  }
  CHECK(waitpid(child, NULL, 0) == child);
  if (argc > 3)
    execl("/proc/self/exe", argv[0], argv[1], argv[2], NULL);
  return 0;
}
