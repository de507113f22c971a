#include "table.h"

#include <string.h>

static uint32_t slot_of(const struct table *table, const struct string *key) {
  uint32_t mask = table->capacity - 1;
  uint32_t at = key->hash & mask;
  while (table->slots[at] != 0 && table->entries[table->slots[at] - 1].key != key)
    at = (at + 1) & mask;
  return at;
}

struct value *table_find(const struct table *table, const struct string *key) {
  if (table->capacity == 0)
    return NULL;
  uint32_t slot = table->slots[slot_of(table, key)];
  return slot ? &table->entries[slot - 1].value : NULL;
}

static void rebuild_slots(struct table *table) {
  memset(table->slots, 0, table->capacity * sizeof *table->slots);
  for (uint32_t i = 0; i < table->count; i++)
    table->slots[slot_of(table, table->entries[i].key)] = i + 1;
}

static void grow(struct table *table) {
  uint32_t before = table->capacity;
  table->capacity = before ? before * 2 : 16;
  table->entries = arena_grow(table->arena, table->entries, before * sizeof *table->entries,
                              table->capacity * sizeof *table->entries);
  table->slots = arena_allocate(table->arena, table->capacity * sizeof *table->slots);
  rebuild_slots(table);
}

/* True where the key is new. */
bool table_set(struct table *table, const struct string *key, struct value value) {
  if ((table->count + 1) * 4 > table->capacity * 3)
    grow(table);
  uint32_t at = slot_of(table, key);
  if (table->slots[at] != 0) {
    table->entries[table->slots[at] - 1].value = value;
    return false;
  }
  table->entries[table->count] = (struct table_entry){key, value};
  table->slots[at] = ++table->count;
  return true;
}

bool table_remove(struct table *table, const struct string *key) {
  if (table->capacity == 0)
    return false;
  uint32_t slot = table->slots[slot_of(table, key)];
  if (slot == 0)
    return false;
  memmove(&table->entries[slot - 1], &table->entries[slot], (table->count - slot) * sizeof *table->entries);
  table->count--;
  rebuild_slots(table);
  return true;
}

uint32_t table_longest_probe(const struct table *table) {
  uint32_t longest = 0;
  for (uint32_t i = 0; i < table->count; i++) {
    uint32_t home = table->entries[i].key->hash & (table->capacity - 1);
    uint32_t distance = (slot_of(table, table->entries[i].key) - home) & (table->capacity - 1);
    if (distance > longest)
      longest = distance;
  }
  return longest;
}
