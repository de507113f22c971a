#include "compiler.h"

#include <limits.h>

enum { MOST_LOCALS = 200 };

struct local {
  const struct string *name;
  unsigned slot;
};

struct compiler {
  struct string_pool *pool;
  struct diagnostics *diagnostics;
  struct chunk *chunk;
  struct local locals[MOST_LOCALS];
  unsigned local_count;
  unsigned depth; /* of the stack at this point of the code */
};

static void compile_node(struct compiler *compiler, const struct node *node, bool tail);

static uint32_t emit(struct compiler *compiler, enum opcode opcode, unsigned operand, uint32_t offset) {
  if (operand > (opcode_operand_bytes(opcode) == 2 ? USHRT_MAX : UCHAR_MAX))
    diagnose(compiler->diagnostics, offset, "this does not fit into one function");
  compiler->depth = (unsigned)((int)compiler->depth + opcode_stack_change(opcode, operand));
  if (compiler->depth > compiler->chunk->deepest)
    compiler->chunk->deepest = compiler->depth;
  return chunk_emit(compiler->chunk, opcode, operand, offset);
}

static void land(struct compiler *compiler, uint32_t jump, uint32_t offset) {
  if (compiler->chunk->length - (jump + 3) > USHRT_MAX)
    diagnose(compiler->diagnostics, offset, "this expression is too long");
  chunk_patch_jump(compiler->chunk, jump);
}

static void emit_constant(struct compiler *compiler, enum opcode opcode, struct value value, uint32_t offset) {
  emit(compiler, opcode, chunk_constant(compiler->chunk, value), offset);
}

static void compile_name(struct compiler *compiler, const struct node *node) {
  for (unsigned i = compiler->local_count; i-- > 0;) {
    if (compiler->locals[i].name == node->name) {
      emit(compiler, OP_LOCAL, compiler->locals[i].slot, node->offset);
      return;
    }
  }
  emit_constant(compiler, OP_GLOBAL, value_string(node->name), node->offset);
}

static bool add_local(struct compiler *compiler, const struct string *name, unsigned slot, uint32_t offset) {
  if (compiler->local_count == MOST_LOCALS) {
    diagnose(compiler->diagnostics, offset, "more than %d names in one function", MOST_LOCALS);
    return false;
  }
  compiler->locals[compiler->local_count++] = (struct local){name, slot};
  return true;
}

static void compile_let_in(struct compiler *compiler, const struct node *node) {
  compile_node(compiler, node->left, false);
  if (!add_local(compiler, node->bound, compiler->depth - 1, node->offset))
    return;
  compile_node(compiler, node->right, false);
  emit(compiler, OP_DROP_BELOW, 0, node->offset);
  compiler->local_count--;
}

static void compile_if(struct compiler *compiler, const struct node *node, bool tail) {
  compile_node(compiler, node->condition, false);
  uint32_t otherwise = emit(compiler, OP_JUMP_UNLESS, 0, node->offset);
  unsigned depth = compiler->depth;
  compile_node(compiler, node->left, tail);
  uint32_t end = emit(compiler, OP_JUMP, 0, node->offset);
  land(compiler, otherwise, node->offset);
  compiler->depth = depth;
  compile_node(compiler, node->right, tail);
  land(compiler, end, node->offset);
}

static void compile_logic(struct compiler *compiler, const struct node *node) {
  compile_node(compiler, node->left, false);
  enum opcode opcode = node->kind == NODE_BOTH ? OP_JUMP_UNLESS_KEEP : OP_JUMP_IF_KEEP;
  uint32_t end = emit(compiler, opcode, 0, node->offset);
  emit(compiler, OP_DROP, 0, node->offset);
  compile_node(compiler, node->right, false);
  land(compiler, end, node->offset);
}

static void compile_call(struct compiler *compiler, const struct node *node, bool tail) {
  compile_node(compiler, node->callee, false);
  for (uint32_t i = 0; i < node->argument_count; i++)
    compile_node(compiler, node->arguments[i], false);
  emit(compiler, tail ? OP_TAIL_CALL : OP_CALL, node->argument_count, node->offset);
}

static enum opcode opcode_of(enum operator_kind operator) {
  static const unsigned char opcodes[] = {
      [OPERATOR_ADD] = OP_ADD,           [OPERATOR_SUBTRACT] = OP_SUBTRACT,
      [OPERATOR_MULTIPLY] = OP_MULTIPLY, [OPERATOR_DIVIDE] = OP_DIVIDE,
      [OPERATOR_MODULO] = OP_MODULO,     [OPERATOR_POWER] = OP_POWER,
      [OPERATOR_SAME] = OP_SAME,         [OPERATOR_DIFFERENT] = OP_DIFFERENT,
      [OPERATOR_LESS] = OP_LESS,         [OPERATOR_LESS_SAME] = OP_LESS_SAME,
      [OPERATOR_MORE] = OP_MORE,         [OPERATOR_MORE_SAME] = OP_MORE_SAME,
      [OPERATOR_NEGATE] = OP_NEGATE,     [OPERATOR_NOT] = OP_NOT,
  };
  return opcodes[operator];
}

static void compile_node(struct compiler *compiler, const struct node *node, bool tail) {
  switch (node->kind) {
  case NODE_CONSTANT:
    emit_constant(compiler, OP_CONSTANT, node->constant, node->offset);
    break;
  case NODE_NAME:
    compile_name(compiler, node);
    break;
  case NODE_UNARY:
    compile_node(compiler, node->left, false);
    emit(compiler, opcode_of(node->operator), 0, node->offset);
    break;
  case NODE_BINARY:
    compile_node(compiler, node->left, false);
    compile_node(compiler, node->right, false);
    emit(compiler, opcode_of(node->operator), 0, node->offset);
    break;
  case NODE_BOTH:
  case NODE_EITHER:
    compile_logic(compiler, node);
    break;
  case NODE_IF:
    compile_if(compiler, node, tail);
    break;
  case NODE_LET_IN:
    compile_let_in(compiler, node);
    break;
  case NODE_CALL:
    compile_call(compiler, node, tail);
    break;
  }
}

static struct chunk *chunk_new(struct string_pool *pool, const struct source *source, const struct string *name) {
  struct chunk *chunk = arena_allocate(pool->arena, sizeof *chunk);
  chunk->arena = pool->arena;
  chunk->source = source;
  chunk->name = name;
  return chunk;
}

static struct value compile_function(struct compiler *outer, const struct statement *statement) {
  struct compiler compiler = {.pool = outer->pool, .diagnostics = outer->diagnostics};
  compiler.chunk = chunk_new(outer->pool, outer->diagnostics->source, statement->name);
  for (uint32_t i = 0; i < statement->parameter_count; i++)
    add_local(&compiler, statement->parameters[i], i, statement->offset);
  compiler.depth = compiler.chunk->deepest = statement->parameter_count;
  compile_node(&compiler, statement->body, true);
  emit(&compiler, OP_RETURN, 0, statement->offset);
  struct function *function = arena_allocate(outer->pool->arena, sizeof *function);
  *function = (struct function){statement->name, compiler.chunk, statement->parameter_count};
  return (struct value){.kind = VALUE_FUNCTION, .function = function};
}

static void compile_statement(struct compiler *compiler, const struct statement *statement) {
  switch (statement->kind) {
  case STATEMENT_EXPRESSION:
    compile_node(compiler, statement->body, false);
    emit(compiler, OP_PRINT, 0, statement->offset);
    break;
  case STATEMENT_LET:
    compile_node(compiler, statement->body, false);
    emit_constant(compiler, OP_DEFINE, value_string(statement->name), statement->offset);
    break;
  case STATEMENT_FUNCTION:
    emit_constant(compiler, OP_CONSTANT, compile_function(compiler, statement), statement->offset);
    emit_constant(compiler, OP_DEFINE, value_string(statement->name), statement->offset);
    break;
  }
}

const struct chunk *compile(struct string_pool *pool, struct diagnostics *diagnostics,
                            const struct statement *statements) {
  struct compiler compiler = {
      .pool = pool, .diagnostics = diagnostics, .chunk = chunk_new(pool, diagnostics->source, NULL)};
  for (const struct statement *each = statements; each; each = each->next)
    compile_statement(&compiler, each);
  emit_constant(&compiler, OP_CONSTANT, value_nothing(), 0);
  emit(&compiler, OP_RETURN, 0, 0);
  return diagnostics->count == 0 ? compiler.chunk : NULL;
}
