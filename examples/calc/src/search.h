/* Finding a part in a byte string. */
#ifndef CALC_SEARCH_H
#define CALC_SEARCH_H

#include <stddef.h>
#include <string.h>

/* The index of the first occurrence, or -1. */
static inline long search_bytes(const char *text, size_t length, const char *part, size_t part_length) {
  for (size_t at = 0; at + part_length <= length; at++)
    if (memcmp(text + at, part, part_length) == 0)
      return (long)at;
  return -1;
}

#endif
