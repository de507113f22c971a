#include "arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_SIZE = 64 * 1024 };

struct arena_block {
  struct arena_block *older;
  size_t capacity;
  size_t used;
  _Alignas(max_align_t) unsigned char bytes[];
};

static size_t round_up(size_t size) {
  const size_t alignment = _Alignof(max_align_t);
  return (size + alignment - 1) & ~(alignment - 1);
}

static struct arena_block *block_new(size_t capacity, struct arena_block *older) {
  struct arena_block *block = malloc(sizeof *block + capacity);
  if (!block) {
    fprintf(stderr, "calc: out of memory (%zu bytes)\n", capacity);
    exit(70);
  }
  block->older = older;
  block->capacity = capacity;
  block->used = 0;
  return block;
}

void *arena_allocate(struct arena *arena, size_t size) {
  size = round_up(size ? size : 1);
  struct arena_block *block = arena->newest;
  if (!block || block->capacity - block->used < size) {
    block = block_new(size > BLOCK_SIZE ? size : BLOCK_SIZE, block);
    arena->newest = block;
  }
  void *memory = block->bytes + block->used;
  block->used += size;
  arena->allocated += size;
  memset(memory, 0, size);
  return memory;
}

/* The last allocation grows where it is, so an array that is built alone costs no copy. */
void *arena_grow(struct arena *arena, void *old, size_t old_size, size_t new_size) {
  struct arena_block *block = arena->newest;
  size_t old_rounded = round_up(old_size ? old_size : 1), new_rounded = round_up(new_size);
  if (old && block && (unsigned char *)old + old_rounded == block->bytes + block->used &&
      block->capacity - block->used >= new_rounded - old_rounded) {
    memset(block->bytes + block->used, 0, new_rounded - old_rounded);
    block->used += new_rounded - old_rounded;
    arena->allocated += new_rounded - old_rounded;
    return old;
  }
  void *memory = arena_allocate(arena, new_size);
  if (old)
    memcpy(memory, old, old_size);
  return memory;
}

char *arena_copy(struct arena *arena, const char *text, size_t length) {
  char *copy = arena_allocate(arena, length + 1);
  memcpy(copy, text, length);
  return copy;
}

void arena_release(struct arena *arena) {
  struct arena_block *block = arena->newest;
  while (block) {
    struct arena_block *older = block->older;
    free(block);
    block = older;
  }
  arena->newest = NULL;
  arena->allocated = 0;
}
