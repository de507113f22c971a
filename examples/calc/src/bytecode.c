#include "bytecode.h"

#include <string.h>

static const struct {
  const char *name;
  unsigned char operand_bytes;
  signed char stack_change;
} ROWS[OPCODE_COUNT] = {
#define ROW(name, operands, change) {#name, operands, change},
    OPCODES(ROW)
#undef ROW
};

unsigned opcode_operand_bytes(enum opcode opcode) { return ROWS[opcode].operand_bytes; }

int opcode_stack_change(enum opcode opcode, unsigned operand) {
  if (opcode == OP_CALL || opcode == OP_TAIL_CALL)
    return -(int)operand;
  return ROWS[opcode].stack_change;
}

static void put(struct chunk *chunk, unsigned char byte, uint32_t offset) {
  if (chunk->length == chunk->capacity) {
    uint32_t capacity = chunk->capacity ? chunk->capacity * 2 : 64;
    chunk->code = arena_grow(chunk->arena, chunk->code, chunk->capacity, capacity);
    chunk->offsets = arena_grow(chunk->arena, chunk->offsets, chunk->capacity * sizeof *chunk->offsets,
                                capacity * sizeof *chunk->offsets);
    chunk->capacity = capacity;
  }
  chunk->code[chunk->length] = byte;
  chunk->offsets[chunk->length++] = offset;
}

/* Returns where the instruction begins. */
uint32_t chunk_emit(struct chunk *chunk, enum opcode opcode, unsigned operand, uint32_t offset) {
  uint32_t at = chunk->length;
  put(chunk, (unsigned char)opcode, offset);
  if (ROWS[opcode].operand_bytes == 2)
    put(chunk, (unsigned char)(operand >> 8), offset);
  if (ROWS[opcode].operand_bytes >= 1)
    put(chunk, (unsigned char)operand, offset);
  return at;
}

/* The jump at `at` goes to the next instruction that will be emitted. */
void chunk_patch_jump(struct chunk *chunk, uint32_t at) {
  uint32_t distance = chunk->length - (at + 3);
  chunk->code[at + 1] = (unsigned char)(distance >> 8);
  chunk->code[at + 2] = (unsigned char)distance;
}

uint32_t chunk_constant(struct chunk *chunk, struct value value) {
  for (uint32_t i = 0; i < chunk->constant_count; i++)
    if (value_equal(chunk->constants[i], value))
      return i;
  if (chunk->constant_count == chunk->constant_capacity) {
    uint32_t capacity = chunk->constant_capacity ? chunk->constant_capacity * 2 : 8;
    chunk->constants =
        arena_grow(chunk->arena, chunk->constants, chunk->constant_capacity * sizeof value, capacity * sizeof value);
    chunk->constant_capacity = capacity;
  }
  chunk->constants[chunk->constant_count] = value;
  return chunk->constant_count++;
}

static void list_operand(const struct chunk *chunk, enum opcode opcode, uint32_t at, FILE *to) {
  char text[80];
  switch (opcode) {
  case OP_CONSTANT:
  case OP_GLOBAL:
  case OP_DEFINE:
    value_print(chunk->constants[chunk_read_16(chunk->code + at + 1)], text, sizeof text);
    fprintf(to, " %u (%s)", chunk_read_16(chunk->code + at + 1), text);
    break;
  case OP_JUMP:
  case OP_JUMP_UNLESS:
  case OP_JUMP_IF_KEEP:
  case OP_JUMP_UNLESS_KEEP:
    fprintf(to, " -> %u", at + 3 + chunk_read_16(chunk->code + at + 1));
    break;
  default:
    if (ROWS[opcode].operand_bytes == 1)
      fprintf(to, " %u", chunk->code[at + 1]);
  }
}

void chunk_list(const struct chunk *chunk, FILE *to) {
  fprintf(to, "%s: %u bytes, %u constants, stack %u\n", chunk->name ? chunk->name->bytes : "program", chunk->length,
          chunk->constant_count, chunk->deepest);
  for (uint32_t at = 0; at < chunk->length; at += 1 + ROWS[chunk->code[at]].operand_bytes) {
    enum opcode opcode = chunk->code[at];
    fprintf(to, "  %5u  %-16s", at, ROWS[opcode].name);
    list_operand(chunk, opcode, at, to);
    fputc('\n', to);
  }
  for (uint32_t i = 0; i < chunk->constant_count; i++)
    if (chunk->constants[i].kind == VALUE_FUNCTION)
      chunk_list(chunk->constants[i].function->chunk, to);
}
