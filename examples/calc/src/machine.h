/* The machine that runs bytecode. */
#ifndef CALC_MACHINE_H
#define CALC_MACHINE_H

#include "bytecode.h"
#include "diagnostics.h"
#include "table.h"

enum { MACHINE_STACK = 16384, MACHINE_FRAMES = 2000 };

struct frame {
  const struct chunk *chunk;
  const unsigned char *next; /* instruction */
  struct value *base;        /* the first argument */
};

struct machine {
  struct string_pool *pool;
  struct table globals;
  FILE *output;
  uint64_t steps;
  struct frame frames[MACHINE_FRAMES];
  struct value stack[MACHINE_STACK];
};

/* False where the program failed, with one diagnostic. */
bool machine_run(struct machine *machine, const struct chunk *chunk, struct diagnostics *diagnostics);

#endif
