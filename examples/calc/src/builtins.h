/* Functions that come with the language. */
#ifndef CALC_BUILTINS_H
#define CALC_BUILTINS_H

#include "table.h"

#include <stdio.h>

void builtins_define(struct string_pool *pool, struct table *globals);
void builtins_list(FILE *to);

#endif
