/* A hash table from interned strings to values, insertion order kept for listing. */
#ifndef CALC_TABLE_H
#define CALC_TABLE_H

#include "value.h"

struct table_entry {
  const struct string *key;
  struct value value;
};

struct table {
  struct arena *arena;
  struct table_entry *entries;
  uint32_t *slots; /* index of an entry plus one, or zero */
  uint32_t capacity;
  uint32_t count;
};

struct value *table_find(const struct table *table, const struct string *key);
bool table_set(struct table *table, const struct string *key, struct value value);
bool table_remove(struct table *table, const struct string *key);
uint32_t table_longest_probe(const struct table *table);

#endif
