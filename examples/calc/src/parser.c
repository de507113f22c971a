#include "parser.h"

#include "lexer.h"

#include <string.h>

enum { MOST_ARGUMENTS = 32, DEEPEST = 400 };

struct parser {
  struct lexer lexer;
  struct string_pool *pool;
  struct diagnostics *diagnostics;
  struct token token; /* the one to be read next */
  unsigned depth;
  bool panic; /* an error was diagnosed, and no statement has begun since */
};

/* How tightly an infix operator binds, from loose to tight; 0 is no infix operator. */
enum binding { BIND_NONE, BIND_OR, BIND_AND, BIND_COMPARE, BIND_SUM, BIND_PRODUCT, BIND_UNARY, BIND_POWER, BIND_CALL };

struct infix {
  unsigned char binding;
  unsigned char operator;
};

static const struct infix INFIX[TOKEN_KINDS] = {
    [TOKEN_OR] = {BIND_OR, 0},
    [TOKEN_AND] = {BIND_AND, 0},
    [TOKEN_SAME] = {BIND_COMPARE, OPERATOR_SAME},
    [TOKEN_DIFFERENT] = {BIND_COMPARE, OPERATOR_DIFFERENT},
    [TOKEN_LESS] = {BIND_COMPARE, OPERATOR_LESS},
    [TOKEN_LESS_SAME] = {BIND_COMPARE, OPERATOR_LESS_SAME},
    [TOKEN_MORE] = {BIND_COMPARE, OPERATOR_MORE},
    [TOKEN_MORE_SAME] = {BIND_COMPARE, OPERATOR_MORE_SAME},
    [TOKEN_PLUS] = {BIND_SUM, OPERATOR_ADD},
    [TOKEN_MINUS] = {BIND_SUM, OPERATOR_SUBTRACT},
    [TOKEN_STAR] = {BIND_PRODUCT, OPERATOR_MULTIPLY},
    [TOKEN_SLASH] = {BIND_PRODUCT, OPERATOR_DIVIDE},
    [TOKEN_PERCENT] = {BIND_PRODUCT, OPERATOR_MODULO},
    [TOKEN_CARET] = {BIND_POWER, OPERATOR_POWER},
    [TOKEN_OPEN] = {BIND_CALL, 0},
};

static struct node *parse_binding(struct parser *parser, unsigned binding);

static struct node *parse_expression(struct parser *parser) { return parse_binding(parser, BIND_OR); }

static struct token advance(struct parser *parser) {
  struct token token = parser->token;
  parser->token = lexer_next(&parser->lexer);
  return token;
}

static void complain(struct parser *parser, const char *wanted) {
  if (!parser->panic && parser->token.kind != TOKEN_ERROR)
    diagnose(parser->diagnostics, parser->token.offset, "expected %s, found %s", wanted,
             token_kind_name(parser->token.kind));
  parser->panic = true;
}

static bool expect(struct parser *parser, enum token_kind kind) {
  if (parser->token.kind == kind) {
    advance(parser);
    return true;
  }
  complain(parser, token_kind_name(kind));
  return false;
}

static const struct string *parse_name(struct parser *parser) {
  struct token token = parser->token;
  if (!expect(parser, TOKEN_NAME))
    return NULL;
  return string_intern(parser->pool, parser->diagnostics->source->text + token.offset, token.length);
}

static struct node *parse_string(struct parser *parser) {
  struct token token = advance(parser);
  const char *bad = NULL;
  const char *inside = parser->diagnostics->source->text + token.offset + 1;
  const struct string *text = string_unescape(parser->pool, inside, token.length - 2, &bad);
  if (!text) {
    diagnose(parser->diagnostics, token.offset + 1 + (uint32_t)(bad - inside), "this escape means nothing");
    parser->panic = true;
    return NULL;
  }
  return node_constant(parser->pool->arena, value_string(text), token.offset);
}

static struct node *parse_if(struct parser *parser) {
  struct node *node = node_new(parser->pool->arena, NODE_IF, advance(parser).offset);
  node->condition = parse_expression(parser);
  if (!node->condition || !expect(parser, TOKEN_THEN))
    return NULL;
  node->left = parse_expression(parser);
  if (!node->left || !expect(parser, TOKEN_ELSE))
    return NULL;
  node->right = parse_expression(parser);
  return node->right ? node : NULL;
}

static struct node *parse_let_in(struct parser *parser) {
  struct node *node = node_new(parser->pool->arena, NODE_LET_IN, advance(parser).offset);
  node->bound = parse_name(parser);
  if (!node->bound || !expect(parser, TOKEN_EQUAL))
    return NULL;
  node->left = parse_expression(parser);
  if (!node->left || !expect(parser, TOKEN_IN))
    return NULL;
  node->right = parse_expression(parser);
  return node->right ? node : NULL;
}

static struct node *parse_unary(struct parser *parser, enum operator_kind operator, unsigned binding) {
  struct node *node = node_new(parser->pool->arena, NODE_UNARY, advance(parser).offset);
  node->operator= operator;
  node->left = parse_binding(parser, binding);
  return node->left ? node : NULL;
}

static struct node *parse_prefix(struct parser *parser) {
  struct arena *arena = parser->pool->arena;
  struct token token = parser->token;
  switch (token.kind) {
  case TOKEN_NUMBER:
    advance(parser);
    return node_constant(arena, value_number(token.number), token.offset);
  case TOKEN_TRUE:
    advance(parser);
    return node_constant(arena, value_boolean(true), token.offset);
  case TOKEN_FALSE:
    advance(parser);
    return node_constant(arena, value_boolean(false), token.offset);
  case TOKEN_NOTHING:
    advance(parser);
    return node_constant(arena, value_nothing(), token.offset);
  case TOKEN_STRING:
    return parse_string(parser);
  case TOKEN_IF:
    return parse_if(parser);
  case TOKEN_LET:
    return parse_let_in(parser);
  case TOKEN_MINUS:
    return parse_unary(parser, OPERATOR_NEGATE, BIND_UNARY);
  case TOKEN_NOT:
    return parse_unary(parser, OPERATOR_NOT, BIND_COMPARE);
  case TOKEN_NAME: {
    struct node *node = node_new(arena, NODE_NAME, token.offset);
    node->name = parse_name(parser);
    return node;
  }
  case TOKEN_OPEN: {
    advance(parser);
    struct node *inside = parse_expression(parser);
    return inside && expect(parser, TOKEN_CLOSE) ? inside : NULL;
  }
  default:
    complain(parser, "an expression");
    return NULL;
  }
}

static struct node *parse_call(struct parser *parser, struct node *callee) {
  struct node *arguments[MOST_ARGUMENTS];
  uint32_t count = 0, offset = advance(parser).offset;
  while (parser->token.kind != TOKEN_CLOSE) {
    if (count == MOST_ARGUMENTS) {
      diagnose(parser->diagnostics, parser->token.offset, "a call takes at most %d arguments", MOST_ARGUMENTS);
      parser->panic = true;
      return NULL;
    }
    arguments[count] = parse_expression(parser);
    if (!arguments[count++])
      return NULL;
    if (parser->token.kind != TOKEN_COMMA)
      break;
    advance(parser);
  }
  if (!expect(parser, TOKEN_CLOSE))
    return NULL;
  struct node *call = node_new(parser->pool->arena, NODE_CALL, offset);
  call->callee = callee;
  call->argument_count = count;
  call->arguments = arena_allocate(parser->pool->arena, count * sizeof *arguments);
  memcpy(call->arguments, arguments, count * sizeof *arguments);
  return call;
}

static struct node *parse_infix(struct parser *parser, struct node *left) {
  struct infix infix = INFIX[parser->token.kind];
  if (infix.binding == BIND_CALL)
    return parse_call(parser, left);
  struct token token = advance(parser);
  enum node_kind kind = infix.binding == BIND_OR ? NODE_EITHER : infix.binding == BIND_AND ? NODE_BOTH : NODE_BINARY;
  struct node *node = node_new(parser->pool->arena, kind, token.offset);
  node->operator= infix.operator;
  node->left = left;
  /* a ^ b ^ c is a ^ (b ^ c), and a ^ -b is a power too */
  node->right =
      infix.binding == BIND_POWER ? parse_binding(parser, BIND_UNARY) : parse_binding(parser, infix.binding + 1u);
  return node->right ? node : NULL;
}

static struct node *parse_binding(struct parser *parser, unsigned binding) {
  if (++parser->depth > DEEPEST) {
    if (!parser->panic)
      diagnose(parser->diagnostics, parser->token.offset, "this is nested too deep");
    parser->panic = true;
    parser->depth--;
    return NULL;
  }
  struct node *left = parse_prefix(parser);
  while (left && INFIX[parser->token.kind].binding >= binding)
    left = parse_infix(parser, left);
  parser->depth--;
  return left;
}

static bool parse_parameters(struct parser *parser, struct statement *statement) {
  const struct string *parameters[MOST_ARGUMENTS];
  uint32_t count = 0;
  if (!expect(parser, TOKEN_OPEN))
    return false;
  while (parser->token.kind != TOKEN_CLOSE && count < MOST_ARGUMENTS) {
    uint32_t offset = parser->token.offset;
    const struct string *name = parse_name(parser);
    if (!name)
      return false;
    for (uint32_t i = 0; i < count; i++)
      if (parameters[i] == name)
        diagnose(parser->diagnostics, offset, "a second parameter is called %s", name->bytes);
    parameters[count++] = name;
    if (parser->token.kind != TOKEN_COMMA)
      break;
    advance(parser);
  }
  const struct string **kept = arena_allocate(parser->pool->arena, count * sizeof *parameters);
  memcpy(kept, parameters, count * sizeof *parameters);
  statement->parameters = kept;
  statement->parameter_count = count;
  return expect(parser, TOKEN_CLOSE);
}

static struct statement *parse_definition(struct parser *parser, enum statement_kind kind) {
  struct statement *statement = arena_allocate(parser->pool->arena, sizeof *statement);
  statement->kind = kind;
  statement->offset = advance(parser).offset;
  statement->name = parse_name(parser);
  if (!statement->name || (kind == STATEMENT_FUNCTION && !parse_parameters(parser, statement)))
    return NULL;
  if (!expect(parser, TOKEN_EQUAL))
    return NULL;
  statement->body = parse_expression(parser);
  if (statement->body && kind == STATEMENT_LET && parser->token.kind == TOKEN_IN) {
    /* `let x = 1 in x + 1;` as a statement is an expression after all */
    struct node *node = node_new(parser->pool->arena, NODE_LET_IN, statement->offset);
    advance(parser);
    node->bound = statement->name;
    node->left = statement->body;
    node->right = parse_expression(parser);
    statement->kind = STATEMENT_EXPRESSION;
    statement->name = NULL;
    statement->body = node->right ? node : NULL;
  }
  return statement->body ? statement : NULL;
}

static struct statement *parse_statement(struct parser *parser) {
  if (parser->token.kind == TOKEN_LET)
    return parse_definition(parser, STATEMENT_LET);
  if (parser->token.kind == TOKEN_FN)
    return parse_definition(parser, STATEMENT_FUNCTION);
  struct statement *statement = arena_allocate(parser->pool->arena, sizeof *statement);
  statement->offset = parser->token.offset;
  statement->body = parse_expression(parser);
  return statement->body ? statement : NULL;
}

static void skip_statement(struct parser *parser) {
  while (parser->token.kind != TOKEN_SEMICOLON && parser->token.kind != TOKEN_END)
    advance(parser);
  parser->panic = false;
}

struct statement *parse(struct string_pool *pool, struct diagnostics *diagnostics) {
  struct parser parser = {.lexer = {diagnostics->source, diagnostics, 0}, .pool = pool, .diagnostics = diagnostics};
  struct statement *first = NULL, **end = &first;
  advance(&parser);
  while (parser.token.kind != TOKEN_END) {
    if (parser.token.kind == TOKEN_SEMICOLON) {
      advance(&parser);
      continue;
    }
    struct statement *statement = parse_statement(&parser);
    if (statement && parser.token.kind != TOKEN_SEMICOLON && parser.token.kind != TOKEN_END)
      complain(&parser, "an operator or ';'");
    if (parser.panic || !statement) {
      skip_statement(&parser);
      continue;
    }
    *end = statement;
    end = &statement->next;
  }
  return first;
}
