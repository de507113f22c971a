#include "ast.h"

#include <stddef.h>

struct node *node_new(struct arena *arena, enum node_kind kind, uint32_t offset) {
  struct node *node = arena_allocate(arena, sizeof *node);
  node->kind = kind;
  node->offset = offset;
  return node;
}

struct node *node_constant(struct arena *arena, struct value value, uint32_t offset) {
  struct node *node = node_new(arena, NODE_CONSTANT, offset);
  node->constant = value;
  return node;
}

static bool calls_equal(const struct node *left, const struct node *right) {
  if (left->argument_count != right->argument_count || !node_equal(left->callee, right->callee))
    return false;
  for (uint32_t i = 0; i < left->argument_count; i++)
    if (!node_equal(left->arguments[i], right->arguments[i]))
      return false;
  return true;
}

/* The same shape with the same names: two spellings of one expression, wherever they stand. */
bool node_equal(const struct node *left, const struct node *right) {
  if (left == right)
    return true;
  if (!left || !right || left->kind != right->kind)
    return false;
  switch (left->kind) {
  case NODE_CONSTANT:
    return value_equal(left->constant, right->constant);
  case NODE_NAME:
    return left->name == right->name;
  case NODE_UNARY:
    return left->operator== right->operator&& node_equal(left->left, right->left);
  case NODE_BINARY:
    return left->operator== right->operator&& node_equal(left->left, right->left) &&
           node_equal(left->right, right->right);
  case NODE_BOTH:
  case NODE_EITHER:
    return node_equal(left->left, right->left) && node_equal(left->right, right->right);
  case NODE_IF:
    return node_equal(left->condition, right->condition) && node_equal(left->left, right->left) &&
           node_equal(left->right, right->right);
  case NODE_LET_IN:
    return left->bound == right->bound && node_equal(left->left, right->left) && node_equal(left->right, right->right);
  case NODE_CALL:
    return calls_equal(left, right);
  }
  return false;
}

unsigned node_count(const struct node *node) {
  if (!node)
    return 0;
  switch (node->kind) {
  case NODE_CONSTANT:
  case NODE_NAME:
    return 1;
  case NODE_UNARY:
    return 1 + node_count(node->left);
  case NODE_BINARY:
  case NODE_BOTH:
  case NODE_EITHER:
  case NODE_LET_IN:
    return 1 + node_count(node->left) + node_count(node->right);
  case NODE_IF:
    return 1 + node_count(node->condition) + node_count(node->left) + node_count(node->right);
  case NODE_CALL: {
    unsigned count = 1 + node_count(node->callee);
    for (uint32_t i = 0; i < node->argument_count; i++)
      count += node_count(node->arguments[i]);
    return count;
  }
  }
  return 0;
}

/* Whether `name` is free in the expression: an inner let of the same name hides it. */
bool node_uses(const struct node *node, const struct string *name) {
  if (!node)
    return false;
  switch (node->kind) {
  case NODE_CONSTANT:
    return false;
  case NODE_NAME:
    return node->name == name;
  case NODE_UNARY:
    return node_uses(node->left, name);
  case NODE_BINARY:
  case NODE_BOTH:
  case NODE_EITHER:
    return node_uses(node->left, name) || node_uses(node->right, name);
  case NODE_IF:
    return node_uses(node->condition, name) || node_uses(node->left, name) || node_uses(node->right, name);
  case NODE_LET_IN:
    return node_uses(node->left, name) || (node->bound != name && node_uses(node->right, name));
  case NODE_CALL:
    if (node_uses(node->callee, name))
      return true;
    for (uint32_t i = 0; i < node->argument_count; i++)
      if (node_uses(node->arguments[i], name))
        return true;
  }
  return false;
}

/* Can be left out where nobody needs its value: it neither calls nor fails. */
bool node_is_pure(const struct node *node) {
  switch (node->kind) {
  case NODE_CONSTANT:
    return true;
  case NODE_UNARY:
    return node->operator== OPERATOR_NOT && node_is_pure(node->left);
  case NODE_BOTH:
  case NODE_EITHER:
    return node_is_pure(node->left) && node_is_pure(node->right);
  case NODE_IF:
    return node_is_pure(node->condition) && node_is_pure(node->left) && node_is_pure(node->right);
  case NODE_LET_IN:
    return node_is_pure(node->left) && node_is_pure(node->right);
  case NODE_BINARY:
    return (node->operator== OPERATOR_SAME || node->operator== OPERATOR_DIFFERENT) && node_is_pure(node->left) &&
           node_is_pure(node->right);
  case NODE_NAME: /* it may be undefined */
  case NODE_CALL:
    return false;
  }
  return false;
}

const char *operator_symbol(enum operator_kind kind) {
  static const char *const symbols[] = {"+", "-", "*", "/", "%", "^", "==", "!=", "<", "<=", ">", ">=", "-", "not "};
  return symbols[kind];
}
