/* What a compiler may call although it was told that there is no C library: to fill a struct, to copy an array. Hidden:
 * the program's own are never replaced. Left out by the linker where nothing was called. */
#include <stddef.h>

__attribute__((visibility("hidden"))) void *memset(void *to, int byte, size_t count) {
  volatile unsigned char *at = to; /* volatile, or the loop would become a call of memset */
  while (count-- > 0)
    *at++ = (unsigned char)byte;
  return to;
}

__attribute__((visibility("hidden"))) void *memcpy(void *to, const void *from, size_t count) {
  volatile unsigned char *at = to;
  const unsigned char *source = from;
  while (count-- > 0)
    *at++ = *source++;
  return to;
}
