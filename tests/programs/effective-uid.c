/* Run with its set-uid bit: says which user it has become. */
#include "truth.h"

int main(void) {
  printf("{\"pid\": %d, \"uid\": %d, \"effective_uid\": %d}\n", (int)getpid(), (int)getuid(), (int)geteuid());
  return 0;
}
