#include "value.h"

#include "number.h"

#include <stdio.h>
#include <string.h>

bool value_truth(struct value value) {
  switch (value.kind) {
  case VALUE_NOTHING:
    return false;
  case VALUE_BOOLEAN:
    return value.boolean;
  case VALUE_NUMBER:
    return value.number != 0;
  case VALUE_STRING:
    return value.string->length != 0;
  case VALUE_FUNCTION:
  case VALUE_BUILTIN:
    return true;
  }
  return false;
}

bool value_equal(struct value left, struct value right) {
  if (left.kind != right.kind)
    return false;
  switch (left.kind) {
  case VALUE_NOTHING:
    return true;
  case VALUE_BOOLEAN:
    return left.boolean == right.boolean;
  case VALUE_NUMBER:
    return left.number == right.number;
  case VALUE_STRING:
    return left.string == right.string;
  case VALUE_FUNCTION:
    return left.function == right.function;
  case VALUE_BUILTIN:
    return left.builtin == right.builtin;
  }
  return false;
}

const char *value_kind_name(enum value_kind kind) {
  static const char *const names[] = {"nothing", "a boolean", "a number", "a string", "a function", "a builtin"};
  return names[kind];
}

/* As snprintf: the length that the whole text has, whatever fitted. */
size_t value_print(struct value value, char *buffer, size_t size) {
  switch (value.kind) {
  case VALUE_NOTHING:
    return (size_t)snprintf(buffer, size, "nothing");
  case VALUE_BOOLEAN:
    return (size_t)snprintf(buffer, size, value.boolean ? "true" : "false");
  case VALUE_NUMBER:
    return number_print(value.number, buffer, size);
  case VALUE_STRING:
    return (size_t)snprintf(buffer, size, "%s", value.string->bytes);
  case VALUE_FUNCTION:
    return (size_t)snprintf(buffer, size, "<fn %s/%u>", value.function->name->bytes, value.function->arity);
  case VALUE_BUILTIN:
    return (size_t)snprintf(buffer, size, "<builtin %s/%u>", value.builtin->name, value.builtin->arity);
  }
  return 0;
}

const struct string *value_to_string(struct string_pool *pool, struct value value) {
  if (value.kind == VALUE_STRING)
    return value.string;
  char buffer[256];
  size_t length = value_print(value, buffer, sizeof buffer);
  return string_intern(pool, buffer, length < sizeof buffer ? length : sizeof buffer - 1);
}
