#include "strings.h"

#include "hash.h"
#include "search.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void pool_insert(const struct string **slots, uint32_t capacity, const struct string *text) {
  uint32_t at = text->hash & (capacity - 1);
  while (slots[at])
    at = (at + 1) & (capacity - 1);
  slots[at] = text;
}

static void pool_grow(struct string_pool *pool) {
  uint32_t capacity = pool->capacity ? pool->capacity * 2 : 64;
  const struct string **slots = arena_allocate(pool->arena, capacity * sizeof *slots);
  for (uint32_t i = 0; i < pool->capacity; i++)
    if (pool->slots[i])
      pool_insert(slots, capacity, pool->slots[i]);
  pool->slots = slots;
  pool->capacity = capacity;
}

static struct string *string_allocate(struct arena *arena, size_t length) {
  struct string *text = arena_allocate(arena, sizeof *text + length + 1);
  text->length = (uint32_t)length;
  return text;
}

/* Finds an equal string, or takes `fresh` (or a copy of the bytes) into the pool. */
static const struct string *pool_take(struct string_pool *pool, const char *bytes, size_t length,
                                      struct string *fresh) {
  uint32_t hash = hash_bytes(bytes, length);
  if (pool->count * 4 >= pool->capacity * 3)
    pool_grow(pool);
  for (uint32_t at = hash & (pool->capacity - 1); pool->slots[at]; at = (at + 1) & (pool->capacity - 1)) {
    const struct string *known = pool->slots[at];
    if (known->hash == hash && known->length == length && memcmp(known->bytes, bytes, length) == 0)
      return known;
  }
  if (!fresh) {
    fresh = string_allocate(pool->arena, length);
    memcpy(fresh->bytes, bytes, length);
  }
  fresh->hash = hash;
  pool_insert(pool->slots, pool->capacity, fresh);
  pool->count++;
  return fresh;
}

const struct string *string_intern(struct string_pool *pool, const char *bytes, size_t length) {
  return pool_take(pool, bytes, length, NULL);
}

const struct string *string_join(struct string_pool *pool, const struct string *left, const struct string *right) {
  if (left->length == 0)
    return right;
  if (right->length == 0)
    return left;
  struct string *joined = string_allocate(pool->arena, (size_t)left->length + right->length);
  memcpy(joined->bytes, left->bytes, left->length);
  memcpy(joined->bytes + left->length, right->bytes, right->length);
  return pool_take(pool, joined->bytes, joined->length, joined);
}

const struct string *string_repeat(struct string_pool *pool, const struct string *text, uint32_t times) {
  struct string *repeated = string_allocate(pool->arena, (size_t)text->length * times);
  for (uint32_t i = 0; i < times; i++)
    memcpy(repeated->bytes + (size_t)i * text->length, text->bytes, text->length);
  return pool_take(pool, repeated->bytes, repeated->length, repeated);
}

const struct string *string_slice(struct string_pool *pool, const struct string *text, uint32_t from, uint32_t to) {
  if (to > text->length)
    to = text->length;
  if (from > to)
    from = to;
  return string_intern(pool, text->bytes + from, to - from);
}

const struct string *string_map(struct string_pool *pool, const struct string *text, int (*map)(int)) {
  struct string *mapped = string_allocate(pool->arena, text->length);
  for (uint32_t i = 0; i < text->length; i++)
    mapped->bytes[i] = (char)map((unsigned char)text->bytes[i]);
  return pool_take(pool, mapped->bytes, mapped->length, mapped);
}

const struct string *string_reverse(struct string_pool *pool, const struct string *text) {
  struct string *reversed = string_allocate(pool->arena, text->length);
  for (uint32_t i = 0; i < text->length; i++)
    reversed->bytes[text->length - 1 - i] = text->bytes[i];
  return pool_take(pool, reversed->bytes, reversed->length, reversed);
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

/* The string that a literal's inside stands for; NULL and `*bad` at the first escape that means nothing. */
const struct string *string_unescape(struct string_pool *pool, const char *bytes, size_t length, const char **bad) {
  struct string *text = string_allocate(pool->arena, length);
  uint32_t written = 0;
  for (const char *next = bytes, *end = bytes + length; next < end; next++) {
    if (*next != '\\') {
      text->bytes[written++] = *next;
      continue;
    }
    *bad = next++;
    switch (next < end ? *next : 0) {
    case 'n':
      text->bytes[written++] = '\n';
      break;
    case 't':
      text->bytes[written++] = '\t';
      break;
    case '"':
      text->bytes[written++] = '"';
      break;
    case '\\':
      text->bytes[written++] = '\\';
      break;
    case 'x': {
      int high = end - next > 2 ? hex_digit(next[1]) : -1, low = end - next > 2 ? hex_digit(next[2]) : -1;
      if (high < 0 || low < 0)
        return NULL;
      text->bytes[written++] = (char)(high * 16 + low);
      next += 2;
      break;
    }
    default:
      return NULL;
    }
  }
  *bad = NULL;
  text->bytes[written] = 0;
  text->length = written;
  return pool_take(pool, text->bytes, written, text);
}

int string_order(const struct string *left, const struct string *right) {
  uint32_t shorter = left->length < right->length ? left->length : right->length;
  int order = memcmp(left->bytes, right->bytes, shorter);
  if (order != 0)
    return order;
  return left->length < right->length ? -1 : left->length > right->length;
}

long string_find(const struct string *text, const struct string *part) {
  return search_bytes(text->bytes, text->length, part->bytes, part->length);
}

bool string_starts_with(const struct string *text, const struct string *prefix) {
  return text->length >= prefix->length && memcmp(text->bytes, prefix->bytes, prefix->length) == 0;
}
