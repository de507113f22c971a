/* Errors in a source text, shown with the line and a caret. */
#ifndef CALC_DIAGNOSTICS_H
#define CALC_DIAGNOSTICS_H

#include "arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct source {
  const char *name;
  const char *text;
  size_t length;
};

struct diagnostic {
  struct diagnostic *next;
  const struct source *source;
  uint32_t offset; /* byte in the source text */
  const char *message;
};

struct diagnostics {
  struct arena *arena;
  const struct source *source; /* of what is diagnosed next */
  struct diagnostic *first, *last;
  unsigned count;
};

struct position {
  unsigned line, column; /* from 1 */
  const char *line_begin;
  size_t line_length;
};

struct position source_position(const struct source *source, uint32_t offset);
__attribute__((format(printf, 3, 4))) void diagnose(struct diagnostics *diagnostics, uint32_t offset,
                                                    const char *format, ...);
void diagnostics_print(const struct diagnostics *diagnostics, FILE *to);

#endif
