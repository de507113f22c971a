/* Tokens to statements. */
#ifndef CALC_PARSER_H
#define CALC_PARSER_H

#include "ast.h"
#include "diagnostics.h"

/* The statements in order; those with errors are left out and diagnosed. */
struct statement *parse(struct string_pool *pool, struct diagnostics *diagnostics);

#endif
