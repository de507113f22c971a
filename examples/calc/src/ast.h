/* The syntax tree. */
#ifndef CALC_AST_H
#define CALC_AST_H

#include "value.h"

enum node_kind {
  NODE_CONSTANT,
  NODE_NAME,
  NODE_UNARY,
  NODE_BINARY,
  NODE_BOTH,
  NODE_EITHER,
  NODE_IF,
  NODE_CALL,
  NODE_LET_IN
};

enum operator_kind {
  OPERATOR_ADD,
  OPERATOR_SUBTRACT,
  OPERATOR_MULTIPLY,
  OPERATOR_DIVIDE,
  OPERATOR_MODULO,
  OPERATOR_POWER,
  OPERATOR_SAME,
  OPERATOR_DIFFERENT,
  OPERATOR_LESS,
  OPERATOR_LESS_SAME,
  OPERATOR_MORE,
  OPERATOR_MORE_SAME,
  OPERATOR_NEGATE,
  OPERATOR_NOT
};

struct node {
  enum node_kind kind;
  enum operator_kind operator; /* of NODE_UNARY and NODE_BINARY */
  uint32_t offset;             /* in the source text */
  union {
    struct value constant;
    const struct string *name;
    struct { /* unary: left only; if: condition, left, right; let-in: name, left (value), right (body) */
      struct node *condition, *left, *right;
      const struct string *bound;
    };
    struct {
      struct node *callee;
      struct node **arguments;
      uint32_t argument_count;
    };
  };
};

enum statement_kind { STATEMENT_EXPRESSION, STATEMENT_LET, STATEMENT_FUNCTION };

struct statement {
  struct statement *next;
  enum statement_kind kind;
  uint32_t offset;
  const struct string *name;              /* of let and fn */
  const struct string *const *parameters; /* of fn */
  uint32_t parameter_count;
  struct node *body;
};

struct node *node_new(struct arena *arena, enum node_kind kind, uint32_t offset);
struct node *node_constant(struct arena *arena, struct value value, uint32_t offset);
bool node_equal(const struct node *left, const struct node *right);
unsigned node_count(const struct node *node);
bool node_uses(const struct node *node, const struct string *name);
bool node_is_pure(const struct node *node);
const char *operator_symbol(enum operator_kind kind);

#endif
