/* The constant folder: rewrites a tree into a smaller one that means the same. */
#ifndef CALC_FOLD_H
#define CALC_FOLD_H

#include "ast.h"

struct fold_result {
  unsigned before, after; /* nodes */
};

struct fold_result fold(struct string_pool *pool, struct statement *statements);

#endif
