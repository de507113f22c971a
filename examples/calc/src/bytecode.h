/* Instructions of the machine. An instruction is one opcode byte and the operand bytes that its row promises. */
#ifndef CALC_BYTECODE_H
#define CALC_BYTECODE_H

#include "value.h"

#include <stdio.h>

/* name, operand bytes, change of the stack's depth (calls: see chunk_depth) */
#define OPCODES(ROW)                                                                                                   \
  ROW(CONSTANT, 2, 1)                                                                                                  \
  ROW(LOCAL, 1, 1)                                                                                                     \
  ROW(GLOBAL, 2, 1)                                                                                                    \
  ROW(DEFINE, 2, -1)                                                                                                   \
  ROW(ADD, 0, -1)                                                                                                      \
  ROW(SUBTRACT, 0, -1)                                                                                                 \
  ROW(MULTIPLY, 0, -1)                                                                                                 \
  ROW(DIVIDE, 0, -1)                                                                                                   \
  ROW(MODULO, 0, -1)                                                                                                   \
  ROW(POWER, 0, -1)                                                                                                    \
  ROW(SAME, 0, -1)                                                                                                     \
  ROW(DIFFERENT, 0, -1)                                                                                                \
  ROW(LESS, 0, -1)                                                                                                     \
  ROW(LESS_SAME, 0, -1)                                                                                                \
  ROW(MORE, 0, -1)                                                                                                     \
  ROW(MORE_SAME, 0, -1)                                                                                                \
  ROW(NEGATE, 0, 0)                                                                                                    \
  ROW(NOT, 0, 0)                                                                                                       \
  ROW(JUMP, 2, 0)                                                                                                      \
  ROW(JUMP_UNLESS, 2, -1)                                                                                              \
  ROW(JUMP_IF_KEEP, 2, 0)                                                                                              \
  ROW(JUMP_UNLESS_KEEP, 2, 0)                                                                                          \
  ROW(DROP, 0, -1)                                                                                                     \
  ROW(DROP_BELOW, 0, -1)                                                                                               \
  ROW(CALL, 1, 0)                                                                                                      \
  ROW(TAIL_CALL, 1, 0)                                                                                                 \
  ROW(PRINT, 0, -1)                                                                                                    \
  ROW(RETURN, 0, -1)

enum opcode {
#define ROW(name, operands, change) OP_##name,
  OPCODES(ROW)
#undef ROW
      OPCODE_COUNT
};

struct source;

struct chunk {
  struct arena *arena;
  const struct source *source;
  const struct string *name; /* of the function, NULL for a program */
  unsigned char *code;
  uint32_t *offsets; /* in the source text, one for each byte of code */
  uint32_t length, capacity;
  struct value *constants;
  uint32_t constant_count, constant_capacity;
  unsigned deepest; /* stack slots that a run needs */
};

uint32_t chunk_emit(struct chunk *chunk, enum opcode opcode, unsigned operand, uint32_t offset);
void chunk_patch_jump(struct chunk *chunk, uint32_t at);
uint32_t chunk_constant(struct chunk *chunk, struct value value);
unsigned opcode_operand_bytes(enum opcode opcode);
int opcode_stack_change(enum opcode opcode, unsigned operand);
void chunk_list(const struct chunk *chunk, FILE *to);

static inline unsigned chunk_read_16(const unsigned char *code) { return (unsigned)code[0] << 8 | code[1]; }

#endif
