/* Statements back to source text, in one canonical spelling. */
#ifndef CALC_FORMAT_H
#define CALC_FORMAT_H

#include "ast.h"

#include <stdio.h>

void format_statements(const struct statement *statements, FILE *to);

#endif
