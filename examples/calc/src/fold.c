#include "fold.h"

#include "arithmetic.h"

static struct node *fold_node(struct string_pool *pool, struct node *node);

static bool is_number(const struct node *node, double number) {
  return node->kind == NODE_CONSTANT && node->constant.kind == VALUE_NUMBER && node->constant.number == number;
}

/* Only where the other side is known to be a number may x * 1 become x: x may be a string. */
static bool gives_number(const struct node *node) {
  switch (node->kind) {
  case NODE_CONSTANT:
    return node->constant.kind == VALUE_NUMBER;
  case NODE_UNARY:
    return node->operator== OPERATOR_NEGATE;
  case NODE_BINARY:
    switch (node->operator) {
    case OPERATOR_SUBTRACT:
    case OPERATOR_DIVIDE:
    case OPERATOR_MODULO:
    case OPERATOR_POWER:
      return true;
    case OPERATOR_ADD:
      return gives_number(node->left) && gives_number(node->right);
    case OPERATOR_MULTIPLY:
      return gives_number(node->left);
    default:
      return false;
    }
  case NODE_IF:
    return gives_number(node->left) && gives_number(node->right);
  case NODE_LET_IN:
    return gives_number(node->right);
  default:
    return false;
  }
}

static struct node *fold_unary(struct string_pool *pool, struct node *node) {
  node->left = fold_node(pool, node->left);
  struct node *inside = node->left;
  if (inside->kind == NODE_CONSTANT) {
    struct value result;
    if (!arithmetic_unary(node->operator, inside->constant, &result))
      return node_constant(pool->arena, result, node->offset);
  }
  if (node->operator== OPERATOR_NEGATE && inside->kind == NODE_UNARY && inside->operator== OPERATOR_NEGATE &&
      gives_number(inside->left))
    return inside->left;
  if (node->operator== OPERATOR_NEGATE && inside->kind == NODE_BINARY && inside->operator== OPERATOR_SUBTRACT) {
    /* -(a - b) is b - a, but for the sign of zero, which nothing here can see */
    struct node *left = inside->left;
    inside->left = inside->right;
    inside->right = left;
    return inside;
  }
  return node;
}

/* x + 0, 0 + x, x - 0, x * 1, 1 * x, x / 1, x ^ 1. x * 0 is not 0 for an infinite x. */
static struct node *without_neutral(struct node *node) {
  struct node *left = node->left, *right = node->right;
  switch (node->operator) {
  case OPERATOR_ADD:
    if (is_number(right, 0) && gives_number(left))
      return left;
    return is_number(left, 0) && gives_number(right) ? right : node;
  case OPERATOR_SUBTRACT:
    return is_number(right, 0) && gives_number(left) ? left : node;
  case OPERATOR_MULTIPLY:
    if (is_number(right, 1) && gives_number(left))
      return left;
    return is_number(left, 1) && gives_number(right) ? right : node;
  case OPERATOR_DIVIDE:
  case OPERATOR_POWER:
    return is_number(right, 1) && gives_number(left) ? left : node;
  default:
    return node;
  }
}

/* (x + "a") + "b" is x + "ab": string addition is associative, number addition is not. */
static struct node *joined_strings(struct string_pool *pool, struct node *node) {
  struct node *left = node->left, *right = node->right;
  if (node->operator!= OPERATOR_ADD || right->kind != NODE_CONSTANT || right->constant.kind != VALUE_STRING)
    return node;
  if (left->kind != NODE_BINARY || left->operator!= OPERATOR_ADD || left->right->kind != NODE_CONSTANT ||
                                   left->right->constant.kind != VALUE_STRING)
    return node;
  const struct string *joined = string_join(pool, left->right->constant.string, right->constant.string);
  left->right = node_constant(pool->arena, value_string(joined), left->right->offset);
  return left;
}

static struct node *fold_binary(struct string_pool *pool, struct node *node) {
  node->left = fold_node(pool, node->left);
  node->right = fold_node(pool, node->right);
  if (node->left->kind == NODE_CONSTANT && node->right->kind == NODE_CONSTANT) {
    struct value result;
    /* an operation that fails stays, and fails when it runs, where the user can see the line */
    if (!arithmetic_binary(pool, node->operator, node->left->constant, node->right->constant, &result))
      return node_constant(pool->arena, result, node->offset);
    return node;
  }
  node = without_neutral(node);
  return node->kind == NODE_BINARY ? joined_strings(pool, node) : node;
}

static struct node *fold_logic(struct string_pool *pool, struct node *node) {
  node->left = fold_node(pool, node->left);
  node->right = fold_node(pool, node->right);
  if (node->left->kind != NODE_CONSTANT)
    return node;
  bool decided = value_truth(node->left->constant) == (node->kind == NODE_EITHER);
  return decided ? node->left : node->right;
}

static struct node *fold_if(struct string_pool *pool, struct node *node) {
  node->condition = fold_node(pool, node->condition);
  node->left = fold_node(pool, node->left);
  node->right = fold_node(pool, node->right);
  if (node->condition->kind == NODE_CONSTANT)
    return value_truth(node->condition->constant) ? node->left : node->right;
  if (node_is_pure(node->condition) && node_equal(node->left, node->right))
    return node->left;
  if (node->condition->kind == NODE_UNARY && node->condition->operator== OPERATOR_NOT) {
    struct node *left = node->left;
    node->condition = node->condition->left;
    node->left = node->right;
    node->right = left;
  }
  return node;
}

static struct node *fold_let_in(struct string_pool *pool, struct node *node) {
  node->left = fold_node(pool, node->left);
  node->right = fold_node(pool, node->right);
  if (!node_uses(node->right, node->bound) && node_is_pure(node->left))
    return node->right;
  if (node->right->kind == NODE_NAME && node->right->name == node->bound)
    return node->left;
  return node;
}

static struct node *fold_node(struct string_pool *pool, struct node *node) {
  switch (node->kind) {
  case NODE_CONSTANT:
  case NODE_NAME:
    return node;
  case NODE_UNARY:
    return fold_unary(pool, node);
  case NODE_BINARY:
    return fold_binary(pool, node);
  case NODE_BOTH:
  case NODE_EITHER:
    return fold_logic(pool, node);
  case NODE_IF:
    return fold_if(pool, node);
  case NODE_LET_IN:
    return fold_let_in(pool, node);
  case NODE_CALL:
    node->callee = fold_node(pool, node->callee);
    for (uint32_t i = 0; i < node->argument_count; i++)
      node->arguments[i] = fold_node(pool, node->arguments[i]);
    return node;
  }
  return node;
}

struct fold_result fold(struct string_pool *pool, struct statement *statements) {
  struct fold_result result = {0, 0};
  for (struct statement *each = statements; each; each = each->next) {
    result.before += node_count(each->body);
    each->body = fold_node(pool, each->body);
    result.after += node_count(each->body);
  }
  return result;
}
