/* wait4 PROGRAM...: runs the program, and says what wait4 and the clock say of it. */
#include "truth.h"

static unsigned long long microseconds(struct timeval time) {
  return (unsigned long long)time.tv_sec * 1000000u + (unsigned long long)time.tv_usec;
}

int main(int argc, char **argv) {
  CHECK(argc > 1);
  uint64_t start_ns = now_ns();
  pid_t child;
  CHECK(posix_spawn(&child, argv[1], NULL, NULL, argv + 1, environ) == 0);
  int status;
  struct rusage used;
  CHECK(wait4(child, &status, 0, &used) == child);
  uint64_t end_ns = now_ns();
  printf("{\"pid\": %d, \"child\": %d, \"status\": %d, \"start_ns\": %llu, \"end_ns\": %llu, \"user_us\": %llu, "
         "\"sys_us\": %llu, \"minor_faults\": %ld, \"major_faults\": %ld, \"voluntary_switches\": %ld, "
         "\"involuntary_switches\": %ld, \"max_rss_kib\": %ld}\n",
         (int)getpid(), (int)child, status, (unsigned long long)start_ns, (unsigned long long)end_ns,
         microseconds(used.ru_utime), microseconds(used.ru_stime), used.ru_minflt, used.ru_majflt, used.ru_nvcsw,
         used.ru_nivcsw, used.ru_maxrss);
  return 0;
}
