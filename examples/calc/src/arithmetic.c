#include "arithmetic.h"

#include "number.h"

#include <math.h>

const char ARITHMETIC_KINDS[] = "no such operation on these";

enum { LONGEST_REPEAT = 1 << 20 };

const char *arithmetic_unary(enum operator_kind operator, struct value operand, struct value *result) {
  if (operator== OPERATOR_NOT) {
    *result = value_boolean(!value_truth(operand));
    return NULL;
  }
  if (operand.kind != VALUE_NUMBER)
    return "only a number can be negated";
  *result = value_number(-operand.number);
  return NULL;
}

static const char *numbers(enum operator_kind operator, double left, double right, struct value *result) {
  switch (operator) {
  case OPERATOR_ADD:
    *result = value_number(left + right);
    return NULL;
  case OPERATOR_SUBTRACT:
    *result = value_number(left - right);
    return NULL;
  case OPERATOR_MULTIPLY:
    *result = value_number(left * right);
    return NULL;
  case OPERATOR_DIVIDE:
    if (right == 0)
      return "division by zero";
    *result = value_number(left / right);
    return NULL;
  case OPERATOR_MODULO:
    if (right == 0)
      return "division by zero";
    *result = value_number(number_modulo(left, right));
    return NULL;
  case OPERATOR_POWER:
    *result = value_number(number_power(left, right));
    return NULL;
  case OPERATOR_LESS:
    *result = value_boolean(left < right);
    return NULL;
  case OPERATOR_LESS_SAME:
    *result = value_boolean(left <= right);
    return NULL;
  case OPERATOR_MORE:
    *result = value_boolean(left > right);
    return NULL;
  case OPERATOR_MORE_SAME:
    *result = value_boolean(left >= right);
    return NULL;
  default:
    return "this operator has no meaning for numbers";
  }
}

static const char *strings(struct string_pool *pool, enum operator_kind operator, const struct string * left,
                           const struct string *right, struct value *result) {
  int order = string_order(left, right);
  switch (operator) {
  case OPERATOR_ADD:
    *result = value_string(string_join(pool, left, right));
    return NULL;
  case OPERATOR_LESS:
    *result = value_boolean(order < 0);
    return NULL;
  case OPERATOR_LESS_SAME:
    *result = value_boolean(order <= 0);
    return NULL;
  case OPERATOR_MORE:
    *result = value_boolean(order > 0);
    return NULL;
  case OPERATOR_MORE_SAME:
    *result = value_boolean(order >= 0);
    return NULL;
  default:
    return "this operator has no meaning for strings";
  }
}

const char *arithmetic_binary(struct string_pool *pool, enum operator_kind operator, struct value left,
                              struct value right, struct value *result) {
  if (operator== OPERATOR_SAME || operator== OPERATOR_DIFFERENT) {
    *result = value_boolean(value_equal(left, right) == (operator== OPERATOR_SAME));
    return NULL;
  }
  if (left.kind == VALUE_NUMBER && right.kind == VALUE_NUMBER)
    return numbers(operator, left.number, right.number, result);
  if (left.kind == VALUE_STRING && right.kind == VALUE_STRING)
    return strings(pool, operator, left.string, right.string, result);
  if (operator== OPERATOR_ADD &&(left.kind == VALUE_STRING || right.kind == VALUE_STRING)) {
    *result = value_string(string_join(pool, value_to_string(pool, left), value_to_string(pool, right)));
    return NULL;
  }
  if (operator== OPERATOR_MULTIPLY && left.kind == VALUE_STRING && right.kind == VALUE_NUMBER) {
    if (!number_is_whole(right.number) || right.number < 0 || right.number * left.string->length > LONGEST_REPEAT)
      return "a string can't be repeated that often";
    *result = value_string(string_repeat(pool, left.string, (uint32_t)right.number));
    return NULL;
  }
  return ARITHMETIC_KINDS;
}
