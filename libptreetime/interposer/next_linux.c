/* Looks functions up in the dynamic linker's own list of loaded objects.
 *
 * dlsym is no way to do it: before glibc 2.34 it is in a library that a program need not have, it takes locks, and a
 * sanitizer may have replaced it. The list is plain data that every debugger reads (struct r_debug of <link.h>), of the
 * same shape in glibc and musl, and the walk stops at the C library, which is never unloaded.
 */
#include <stddef.h>
#include <stdint.h>

#include "next.h"

struct object {
  uintptr_t base;
  char *name;
  const uintptr_t *dynamic; /* pairs: tag, value */
  struct object *next, *previous;
};

struct debug {
  int version;
  struct object *first;
};

#if UINTPTR_MAX == UINT64_MAX
struct symbol {
  uint32_t name;
  unsigned char info, other;
  uint16_t section;
  uint64_t value, size;
};
#else
struct symbol {
  uint32_t name;
  uint32_t value, size;
  unsigned char info, other;
  uint16_t section;
};
#endif

enum {
  DT_NULL = 0,
  DT_HASH = 4,
  DT_STRTAB = 5,
  DT_SYMTAB = 6,
  DT_GNU_HASH = 0x6ffffef5,
  DT_VERSYM = 0x6ffffff0,

  VERSION_HIDDEN = 0x8000, /* an old version of a symbol, for programs that were linked with it */
  TYPE_FUNCTION = 2,
};

extern struct debug _r_debug __attribute__((weak));        /* glibc */
extern struct debug *_dl_debug_addr __attribute__((weak)); /* musl */
extern const uintptr_t _DYNAMIC[] __attribute__((visibility("hidden")));

struct table {
  const struct symbol *symbols;
  const char *strings;
  const uint16_t *versions;
  const uint32_t *gnu_hash, *hash;
};

/* glibc replaces the offsets in the table by addresses on some machines, musl never does. */
static const void *address_of(const struct object *object, uintptr_t value) {
  return (const void *)(value < object->base ? object->base + value : value);
}

static struct table table_of(const struct object *object) {
  struct table table = {NULL, NULL, NULL, NULL, NULL};
  for (const uintptr_t *entry = object->dynamic; entry != NULL && entry[0] != DT_NULL; entry += 2) {
    switch (entry[0]) {
    case DT_SYMTAB:
      table.symbols = address_of(object, entry[1]);
      break;
    case DT_STRTAB:
      table.strings = address_of(object, entry[1]);
      break;
    case DT_VERSYM:
      table.versions = address_of(object, entry[1]);
      break;
    case DT_GNU_HASH:
      table.gnu_hash = address_of(object, entry[1]);
      break;
    case DT_HASH:
      table.hash = address_of(object, entry[1]);
      break;
    default:
      break;
    }
  }
  return table;
}

static int same(const char *a, const char *b) {
  while (*a != '\0' && *a == *b)
    a++, b++;
  return *a == *b;
}

static int defines(const struct table *table, uint32_t index, const char *name) {
  const struct symbol *symbol = &table->symbols[index];
  return symbol->section != 0 && (symbol->info & 0xf) == TYPE_FUNCTION &&
         (table->versions == NULL || !(table->versions[index] & VERSION_HIDDEN)) &&
         same(table->strings + symbol->name, name);
}

/* DT_GNU_HASH: uint32 bucket count, first symbol, filter words, filter shift; filter; buckets; chains, a hash for each
 * symbol, whose lowest bit marks a chain's end. */
static uint32_t find_by_gnu_hash(const struct table *table, const char *name) {
  uint32_t hash = 5381;
  for (const char *c = name; *c != '\0'; c++)
    hash = hash * 33 + (unsigned char)*c;
  const uint32_t *header = table->gnu_hash;
  const uintptr_t *filter = (const uintptr_t *)(header + 4);
  const uint32_t *buckets = (const uint32_t *)(filter + header[2]);
  const uint32_t *chains = buckets + header[0];
  const unsigned bits = 8 * sizeof(uintptr_t);
  uintptr_t word = filter[(hash / bits) & (header[2] - 1)];
  if (header[0] == 0 || !((word >> (hash % bits)) & (word >> ((hash >> header[3]) % bits)) & 1))
    return 0;
  for (uint32_t index = buckets[hash % header[0]]; index >= header[1] && index != 0; index++) {
    uint32_t other = chains[index - header[1]];
    if ((other | 1) == (hash | 1) && defines(table, index, name))
      return index;
    if (other & 1)
      break;
  }
  return 0;
}

/* DT_HASH: uint32 bucket count, symbol count; buckets; chains, a symbol's follower for each symbol. */
static uint32_t find_by_hash(const struct table *table, const char *name) {
  uint32_t hash = 0;
  for (const char *c = name; *c != '\0'; c++) {
    hash = (hash << 4) + (unsigned char)*c;
    hash = (hash ^ ((hash >> 24) & 0xf0)) & 0x0fffffff;
  }
  const uint32_t *header = table->hash;
  if (header[0] == 0)
    return 0;
  const uint32_t *chains = header + 2 + header[0];
  for (uint32_t index = header[2 + hash % header[0]]; index != 0; index = chains[index])
    if (defines(table, index, name))
      return index;
  return 0;
}

static void *find_in(const struct object *object, const char *name) {
  struct table table = table_of(object);
  uint32_t index = 0;
  if (table.symbols == NULL || table.strings == NULL)
    return NULL;
  if (table.gnu_hash != NULL)
    index = find_by_gnu_hash(&table, name);
  else if (table.hash != NULL)
    index = find_by_hash(&table, name);
  return index == 0 ? NULL : (void *)(object->base + table.symbols[index].value);
}

void *ptreetime_next_find_in(uintptr_t base, const uintptr_t *dynamic, const char *name) {
  const struct object object = {.base = base, .dynamic = dynamic};
  return find_in(&object, name);
}

void *ptreetime_next_find(const char *name) {
  const struct debug *debug = &_r_debug != NULL ? &_r_debug : &_dl_debug_addr != NULL ? _dl_debug_addr : NULL;
  const struct object *object = debug == NULL ? NULL : debug->first;
  while (object != NULL && object->dynamic != _DYNAMIC)
    object = object->next;
  for (object = object == NULL ? NULL : object->next; object != NULL; object = object->next) {
    void *found = find_in(object, name);
    if (found != NULL)
      return found;
  }
  return NULL;
}

int ptreetime_next_constructors_have_arguments(void) { return &_r_debug != NULL; }
