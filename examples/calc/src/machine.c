#include "machine.h"

#include "arithmetic.h"

#include <string.h>

struct run {
  struct machine *machine;
  struct diagnostics *diagnostics;
  struct frame *frame;
  struct value *top; /* one past the last value */
};

__attribute__((format(printf, 2, 3))) static bool fail(struct run *run, const char *format, ...) {
  char text[300];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  const struct chunk *chunk = run->frame->chunk;
  uint32_t offset = chunk->offsets[run->frame->next - chunk->code - 1];
  run->diagnostics->source = chunk->source; /* a function of the REPL is of an earlier line */
  if (chunk->name)
    diagnose(run->diagnostics, offset, "%s (in %s)", text, chunk->name->bytes);
  else
    diagnose(run->diagnostics, offset, "%s", text);
  return false;
}

static bool binary(struct run *run, enum operator_kind operator) {
  struct value right = run->top[-1], left = run->top[-2], result;
  const char *wrong = arithmetic_binary(run->machine->pool, operator, left, right, &result);
  if (wrong == ARITHMETIC_KINDS)
    return fail(run, "no such operation on %s and %s", value_kind_name(left.kind), value_kind_name(right.kind));
  if (wrong)
    return fail(run, "%s", wrong);
  run->top--;
  run->top[-1] = result;
  return true;
}

static bool unary(struct run *run, enum operator_kind operator) {
  const char *wrong = arithmetic_unary(operator, run->top[-1], &run->top[-1]);
  return wrong ? fail(run, "%s", wrong) : true;
}

static bool call_builtin(struct run *run, const struct builtin *builtin, unsigned count) {
  struct value result = value_nothing();
  const char *wrong = builtin->call(run->machine->pool, run->top - count, &result);
  if (wrong)
    return fail(run, "%s: %s", builtin->name, wrong);
  run->top -= count;
  run->top[-1] = result;
  return true;
}

/* The callee lies below its arguments and is replaced by the result. */
static bool call(struct run *run, unsigned count, bool tail) {
  struct value callee = run->top[-1 - (int)count];
  unsigned arity = callee.kind == VALUE_FUNCTION  ? callee.function->arity
                   : callee.kind == VALUE_BUILTIN ? callee.builtin->arity
                                                  : 0;
  if (callee.kind != VALUE_FUNCTION && callee.kind != VALUE_BUILTIN)
    return fail(run, "%s can't be called", value_kind_name(callee.kind));
  if (arity != count) {
    const char *name = callee.kind == VALUE_FUNCTION ? callee.function->name->bytes : callee.builtin->name;
    return fail(run, "%s takes %u argument%s, not %u", name, arity, arity == 1 ? "" : "s", count);
  }
  if (callee.kind == VALUE_BUILTIN)
    return call_builtin(run, callee.builtin, count);
  struct machine *machine = run->machine;
  const struct chunk *chunk = callee.function->chunk;
  if (tail && run->frame > machine->frames) {
    memmove(run->frame->base, run->top - count, count * sizeof *run->top);
    run->top = run->frame->base + count;
  } else {
    if (run->frame + 1 == machine->frames + MACHINE_FRAMES)
      return fail(run, "calls are nested too deep");
    run->frame++;
    run->frame->base = run->top - count;
  }
  if (run->top + chunk->deepest >= machine->stack + MACHINE_STACK)
    return fail(run, "the stack is full");
  run->frame->chunk = chunk;
  run->frame->next = chunk->code;
  return true;
}

static bool load_global(struct run *run, const struct string *name) {
  const struct value *value = table_find(&run->machine->globals, name);
  if (!value)
    return fail(run, "nothing is called %s", name->bytes);
  *run->top++ = *value;
  return true;
}

static void print(struct run *run, struct value value) {
  char text[512];
  if (value.kind == VALUE_NOTHING)
    return;
  if (value.kind == VALUE_STRING) {
    fwrite(value.string->bytes, 1, value.string->length, run->machine->output);
  } else {
    value_print(value, text, sizeof text);
    fputs(text, run->machine->output);
  }
  fputc('\n', run->machine->output);
}

/* The result replaces the callee; false at the program's own end. */
static bool leave(struct run *run) {
  struct value result = run->top[-1];
  if (run->frame == run->machine->frames)
    return false;
  run->top = run->frame->base;
  run->top[-1] = result;
  run->frame--;
  return true;
}

static unsigned operand_8(struct run *run) { return *run->frame->next++; }

static unsigned operand_16(struct run *run) {
  unsigned operand = chunk_read_16(run->frame->next);
  run->frame->next += 2;
  return operand;
}

static void jump_if(struct run *run, bool condition) {
  unsigned distance = operand_16(run);
  if (condition)
    run->frame->next += distance;
}

static bool execute(struct run *run) {
  for (;; run->machine->steps++) {
    bool good = true;
    enum opcode opcode = *run->frame->next++;
    switch (opcode) {
    case OP_CONSTANT:
      *run->top++ = run->frame->chunk->constants[operand_16(run)];
      break;
    case OP_LOCAL:
      *run->top++ = run->frame->base[operand_8(run)];
      break;
    case OP_GLOBAL:
      good = load_global(run, run->frame->chunk->constants[operand_16(run)].string);
      break;
    case OP_DEFINE:
      table_set(&run->machine->globals, run->frame->chunk->constants[operand_16(run)].string, *--run->top);
      break;
    case OP_ADD:
      good = binary(run, OPERATOR_ADD);
      break;
    case OP_SUBTRACT:
      good = binary(run, OPERATOR_SUBTRACT);
      break;
    case OP_MULTIPLY:
      good = binary(run, OPERATOR_MULTIPLY);
      break;
    case OP_DIVIDE:
      good = binary(run, OPERATOR_DIVIDE);
      break;
    case OP_MODULO:
      good = binary(run, OPERATOR_MODULO);
      break;
    case OP_POWER:
      good = binary(run, OPERATOR_POWER);
      break;
    case OP_SAME:
      good = binary(run, OPERATOR_SAME);
      break;
    case OP_DIFFERENT:
      good = binary(run, OPERATOR_DIFFERENT);
      break;
    case OP_LESS:
      good = binary(run, OPERATOR_LESS);
      break;
    case OP_LESS_SAME:
      good = binary(run, OPERATOR_LESS_SAME);
      break;
    case OP_MORE:
      good = binary(run, OPERATOR_MORE);
      break;
    case OP_MORE_SAME:
      good = binary(run, OPERATOR_MORE_SAME);
      break;
    case OP_NEGATE:
      good = unary(run, OPERATOR_NEGATE);
      break;
    case OP_NOT:
      good = unary(run, OPERATOR_NOT);
      break;
    case OP_JUMP:
      jump_if(run, true);
      break;
    case OP_JUMP_UNLESS:
      jump_if(run, !value_truth(*--run->top));
      break;
    case OP_JUMP_IF_KEEP:
      jump_if(run, value_truth(run->top[-1]));
      break;
    case OP_JUMP_UNLESS_KEEP:
      jump_if(run, !value_truth(run->top[-1]));
      break;
    case OP_DROP:
      run->top--;
      break;
    case OP_DROP_BELOW:
      run->top--;
      run->top[-1] = run->top[0];
      break;
    case OP_CALL:
      good = call(run, operand_8(run), false);
      break;
    case OP_TAIL_CALL:
      good = call(run, operand_8(run), true);
      break;
    case OP_PRINT:
      print(run, *--run->top);
      break;
    case OP_RETURN:
      if (!leave(run))
        return true;
      break;
    case OPCODE_COUNT:
      good = fail(run, "this is not an instruction");
      break;
    }
    if (!good)
      return false;
  }
}

bool machine_run(struct machine *machine, const struct chunk *chunk, struct diagnostics *diagnostics) {
  struct run run = {machine, diagnostics, machine->frames, machine->stack};
  machine->frames[0] = (struct frame){chunk, chunk->code, machine->stack};
  if (chunk->deepest >= MACHINE_STACK)
    return fail(&run, "the program needs too much stack");
  bool good = execute(&run);
  fflush(machine->output);
  return good;
}
