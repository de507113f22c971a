#include "format.h"

#include "number.h"

#include <ctype.h>

/* As in the parser: what binds looser than its surroundings needs parentheses. */
enum { LOOSE, EITHER, BOTH, COMPARE, SUM, PRODUCT, UNARY, POWER, CALL, ATOM };

static void format_node(const struct node *node, unsigned around, FILE *to);

static unsigned operator_binding(enum operator_kind operator) {
  switch (operator) {
  case OPERATOR_ADD:
  case OPERATOR_SUBTRACT:
    return SUM;
  case OPERATOR_MULTIPLY:
  case OPERATOR_DIVIDE:
  case OPERATOR_MODULO:
    return PRODUCT;
  case OPERATOR_POWER:
    return POWER;
  case OPERATOR_NEGATE:
    return UNARY;
  case OPERATOR_NOT:
    return COMPARE;
  default:
    return COMPARE;
  }
}

static unsigned binding_of(const struct node *node) {
  switch (node->kind) {
  case NODE_CONSTANT:
    return node->constant.kind == VALUE_NUMBER && node->constant.number < 0 ? UNARY : ATOM;
  case NODE_NAME:
    return ATOM;
  case NODE_UNARY:
  case NODE_BINARY:
    return operator_binding(node->operator);
  case NODE_BOTH:
    return BOTH;
  case NODE_EITHER:
    return EITHER;
  case NODE_IF:
  case NODE_LET_IN:
    return LOOSE;
  case NODE_CALL:
    return CALL;
  }
  return LOOSE;
}

static void format_string(const struct string *text, FILE *to) {
  fputc('"', to);
  for (uint32_t i = 0; i < text->length; i++) {
    unsigned char c = (unsigned char)text->bytes[i];
    switch (c) {
    case '\n':
      fputs("\\n", to);
      break;
    case '\t':
      fputs("\\t", to);
      break;
    case '"':
      fputs("\\\"", to);
      break;
    case '\\':
      fputs("\\\\", to);
      break;
    default:
      if (isprint(c) || c >= 0x80)
        fputc(c, to);
      else
        fprintf(to, "\\x%02x", c);
    }
  }
  fputc('"', to);
}

static void format_constant(struct value value, FILE *to) {
  char text[64];
  if (value.kind == VALUE_STRING) {
    format_string(value.string, to);
    return;
  }
  value_print(value, text, sizeof text);
  fputs(text, to);
}

static void format_pair(const struct node *node, const char *symbol, unsigned binding, FILE *to) {
  bool right_first = node->kind == NODE_BINARY && node->operator== OPERATOR_POWER;
  format_node(node->left, right_first ? binding + 1 : binding, to);
  fprintf(to, " %s ", symbol);
  format_node(node->right, right_first ? UNARY : binding + 1, to);
}

static void format_call(const struct node *node, FILE *to) {
  format_node(node->callee, CALL, to);
  fputc('(', to);
  for (uint32_t i = 0; i < node->argument_count; i++) {
    if (i > 0)
      fputs(", ", to);
    format_node(node->arguments[i], LOOSE, to);
  }
  fputc(')', to);
}

static void format_bare(const struct node *node, FILE *to) {
  switch (node->kind) {
  case NODE_CONSTANT:
    format_constant(node->constant, to);
    break;
  case NODE_NAME:
    fputs(node->name->bytes, to);
    break;
  case NODE_UNARY:
    fputs(operator_symbol(node->operator), to);
    format_node(node->left, operator_binding(node->operator), to);
    break;
  case NODE_BINARY:
    format_pair(node, operator_symbol(node->operator), operator_binding(node->operator), to);
    break;
  case NODE_BOTH:
    format_pair(node, "and", BOTH, to);
    break;
  case NODE_EITHER:
    format_pair(node, "or", EITHER, to);
    break;
  case NODE_CALL:
    format_call(node, to);
    break;
  case NODE_IF:
    fputs("if ", to);
    format_node(node->condition, LOOSE, to);
    fputs(" then ", to);
    format_node(node->left, LOOSE, to);
    fputs(" else ", to);
    format_node(node->right, LOOSE, to);
    break;
  case NODE_LET_IN:
    fprintf(to, "let %s = ", node->bound->bytes);
    format_node(node->left, LOOSE, to);
    fputs(" in ", to);
    format_node(node->right, LOOSE, to);
    break;
  }
}

static void format_node(const struct node *node, unsigned around, FILE *to) {
  bool parentheses = binding_of(node) < around;
  if (parentheses)
    fputc('(', to);
  format_bare(node, to);
  if (parentheses)
    fputc(')', to);
}

static void format_head(const struct statement *statement, FILE *to) {
  if (statement->kind == STATEMENT_EXPRESSION)
    return;
  fprintf(to, "%s %s", statement->kind == STATEMENT_LET ? "let" : "fn", statement->name->bytes);
  if (statement->kind == STATEMENT_FUNCTION) {
    fputc('(', to);
    for (uint32_t i = 0; i < statement->parameter_count; i++)
      fprintf(to, "%s%s", i > 0 ? ", " : "", statement->parameters[i]->bytes);
    fputc(')', to);
  }
  fputs(" = ", to);
}

void format_statements(const struct statement *statements, FILE *to) {
  for (const struct statement *each = statements; each; each = each->next) {
    format_head(each, to);
    format_node(each->body, LOOSE, to);
    fputs(";\n", to);
  }
}
