/* Memory that is given back all at once: a program's syntax tree, strings and bytecode share one lifetime. */
#ifndef CALC_ARENA_H
#define CALC_ARENA_H

#include <stddef.h>

struct arena_block;

struct arena {
  struct arena_block *newest;
  size_t allocated; /* bytes handed out, alignment included */
};

void *arena_allocate(struct arena *arena, size_t size);
void *arena_grow(struct arena *arena, void *old, size_t old_size, size_t new_size);
char *arena_copy(struct arena *arena, const char *text, size_t length);
void arena_release(struct arena *arena);

#endif
