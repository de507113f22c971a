/* Interned strings: equal strings are the same pointer. */
#ifndef CALC_STRINGS_H
#define CALC_STRINGS_H

#include "arena.h"

#include <stdbool.h>
#include <stdint.h>

struct string {
  uint32_t hash;
  uint32_t length;
  char bytes[]; /* ends with a zero that is not counted */
};

struct string_pool {
  struct arena *arena;
  const struct string **slots;
  uint32_t capacity; /* a power of two, or zero */
  uint32_t count;
};

const struct string *string_intern(struct string_pool *pool, const char *bytes, size_t length);
const struct string *string_join(struct string_pool *pool, const struct string *left, const struct string *right);
const struct string *string_repeat(struct string_pool *pool, const struct string *text, uint32_t times);
const struct string *string_slice(struct string_pool *pool, const struct string *text, uint32_t from, uint32_t to);
const struct string *string_map(struct string_pool *pool, const struct string *text, int (*map)(int));
const struct string *string_reverse(struct string_pool *pool, const struct string *text);
const struct string *string_unescape(struct string_pool *pool, const char *bytes, size_t length, const char **bad);
int string_order(const struct string *left, const struct string *right);
long string_find(const struct string *text, const struct string *part);
bool string_starts_with(const struct string *text, const struct string *prefix);

#endif
