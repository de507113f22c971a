/* What an expression evaluates to. */
#ifndef CALC_VALUE_H
#define CALC_VALUE_H

#include "strings.h"

#include <stdbool.h>
#include <stddef.h>

struct chunk;
struct value;

enum value_kind { VALUE_NOTHING, VALUE_BOOLEAN, VALUE_NUMBER, VALUE_STRING, VALUE_FUNCTION, VALUE_BUILTIN };

/* Returns NULL, or what is wrong with the arguments. */
typedef const char *(*builtin_call)(struct string_pool *pool, const struct value *arguments, struct value *result);

struct function {
  const struct string *name;
  const struct chunk *chunk;
  unsigned arity;
};

struct builtin {
  const char *name;
  builtin_call call;
  unsigned arity;
  const char *summary;
};

struct value {
  enum value_kind kind;
  union {
    bool boolean;
    double number;
    const struct string *string;
    const struct function *function;
    const struct builtin *builtin;
  };
};

static inline struct value value_nothing(void) { return (struct value){.kind = VALUE_NOTHING}; }
static inline struct value value_boolean(bool b) { return (struct value){.kind = VALUE_BOOLEAN, .boolean = b}; }
static inline struct value value_number(double n) { return (struct value){.kind = VALUE_NUMBER, .number = n}; }
static inline struct value value_string(const struct string *s) {
  return (struct value){.kind = VALUE_STRING, .string = s};
}

bool value_truth(struct value value);
bool value_equal(struct value left, struct value right);
const char *value_kind_name(enum value_kind kind);
const struct string *value_to_string(struct string_pool *pool, struct value value);
size_t value_print(struct value value, char *buffer, size_t size);

#endif
