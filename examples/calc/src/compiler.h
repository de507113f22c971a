/* Statements to bytecode. */
#ifndef CALC_COMPILER_H
#define CALC_COMPILER_H

#include "ast.h"
#include "bytecode.h"
#include "diagnostics.h"

/* NULL where something was diagnosed. */
const struct chunk *compile(struct string_pool *pool, struct diagnostics *diagnostics,
                            const struct statement *statements);

#endif
