/* What the operators do to values: one definition for the folder and the machine. */
#ifndef CALC_ARITHMETIC_H
#define CALC_ARITHMETIC_H

#include "ast.h"

/* What is returned for operands that no operator takes together; the caller knows their kinds. */
extern const char ARITHMETIC_KINDS[];

/* NULL, or what is wrong with the operands. */
const char *arithmetic_unary(enum operator_kind operator, struct value operand, struct value *result);
const char *arithmetic_binary(struct string_pool *pool, enum operator_kind operator, struct value left,
                              struct value right, struct value *result);

#endif
