#include "builtins.h"

#include "number.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

static const char *want_number(struct value value) { return value.kind == VALUE_NUMBER ? NULL : "expected a number"; }

static const char *want_string(struct value value) { return value.kind == VALUE_STRING ? NULL : "expected a string"; }

/* One number to one number, defined everywhere. */
#define NUMBER_FUNCTION(name, expression)                                                                              \
  static const char *call_##name(struct string_pool *pool, const struct value *arguments, struct value *result) {      \
    (void)pool;                                                                                                        \
    const char *wrong = want_number(arguments[0]);                                                                     \
    if (wrong)                                                                                                         \
      return wrong;                                                                                                    \
    double x = arguments[0].number;                                                                                    \
    *result = value_number(expression);                                                                                \
    return NULL;                                                                                                       \
  }

NUMBER_FUNCTION(sin, sin(x))
NUMBER_FUNCTION(cos, cos(x))
NUMBER_FUNCTION(tan, tan(x))
NUMBER_FUNCTION(atan, atan(x))
NUMBER_FUNCTION(sinh, sinh(x))
NUMBER_FUNCTION(cosh, cosh(x))
NUMBER_FUNCTION(tanh, tanh(x))
NUMBER_FUNCTION(exp, exp(x))
NUMBER_FUNCTION(cbrt, cbrt(x))
NUMBER_FUNCTION(abs, fabs(x))
NUMBER_FUNCTION(floor, floor(x))
NUMBER_FUNCTION(ceil, ceil(x))
NUMBER_FUNCTION(round, round(x))
NUMBER_FUNCTION(sign, x > 0 ? 1 : x < 0 ? -1 : 0)
NUMBER_FUNCTION(degrees, x * 180 / PI)
NUMBER_FUNCTION(radians, x *PI / 180)

static const char *call_sqrt(struct string_pool *pool, const struct value *arguments, struct value *result) {
  (void)pool;
  if (want_number(arguments[0]))
    return want_number(arguments[0]);
  if (arguments[0].number < 0)
    return "a negative number has no square root here";
  *result = value_number(sqrt(arguments[0].number));
  return NULL;
}

static const char *call_log(struct string_pool *pool, const struct value *arguments, struct value *result) {
  (void)pool;
  if (want_number(arguments[0]))
    return want_number(arguments[0]);
  if (arguments[0].number <= 0)
    return "only a positive number has a logarithm";
  *result = value_number(log(arguments[0].number));
  return NULL;
}

#define NUMBERS_FUNCTION(name, expression)                                                                             \
  static const char *call_##name(struct string_pool *pool, const struct value *arguments, struct value *result) {      \
    (void)pool;                                                                                                        \
    if (want_number(arguments[0]) || want_number(arguments[1]))                                                        \
      return "expected two numbers";                                                                                   \
    double x = arguments[0].number, y = arguments[1].number;                                                           \
    *result = value_number(expression);                                                                                \
    return NULL;                                                                                                       \
  }

NUMBERS_FUNCTION(min, fmin(x, y))
NUMBERS_FUNCTION(max, fmax(x, y))
NUMBERS_FUNCTION(hypot, hypot(x, y))
NUMBERS_FUNCTION(atan2, atan2(x, y))

static const char *want_whole(const struct value *arguments, unsigned count) {
  for (unsigned i = 0; i < count; i++)
    if (arguments[i].kind != VALUE_NUMBER || !number_is_whole(arguments[i].number))
      return "expected whole numbers";
  return NULL;
}

static const char *call_gcd(struct string_pool *pool, const struct value *arguments, struct value *result) {
  (void)pool;
  if (want_whole(arguments, 2))
    return want_whole(arguments, 2);
  double a = fabs(arguments[0].number), b = fabs(arguments[1].number);
  while (b != 0) {
    double rest = fmod(a, b);
    a = b;
    b = rest;
  }
  *result = value_number(a);
  return NULL;
}

static const char *call_factorial(struct string_pool *pool, const struct value *arguments, struct value *result) {
  (void)pool;
  if (want_whole(arguments, 1))
    return want_whole(arguments, 1);
  if (arguments[0].number < 0 || arguments[0].number > 170)
    return "expected 0 to 170";
  double product = 1;
  for (double factor = 2; factor <= arguments[0].number; factor++)
    product *= factor;
  *result = value_number(product);
  return NULL;
}

static const char *call_choose(struct string_pool *pool, const struct value *arguments, struct value *result) {
  (void)pool;
  if (want_whole(arguments, 2))
    return want_whole(arguments, 2);
  double n = arguments[0].number, k = arguments[1].number;
  double ways = k < 0 || k > n ? 0 : 1;
  for (double i = 1; i <= k && ways > 0; i++)
    ways = ways * (n - k + i) / i;
  *result = value_number(round(ways));
  return NULL;
}

static bool is_prime(double n) {
  if (n < 2 || n > 9007199254740992.0)
    return false;
  if (fmod(n, 2) == 0)
    return n == 2;
  for (double d = 3; d * d <= n; d += 2)
    if (fmod(n, d) == 0)
      return false;
  return true;
}

static const char *call_prime(struct string_pool *pool, const struct value *arguments, struct value *result) {
  (void)pool;
  if (want_whole(arguments, 1))
    return want_whole(arguments, 1);
  *result = value_boolean(is_prime(arguments[0].number));
  return NULL;
}

static const char *call_length(struct string_pool *pool, const struct value *arguments, struct value *result) {
  (void)pool;
  if (want_string(arguments[0]))
    return want_string(arguments[0]);
  *result = value_number(arguments[0].string->length);
  return NULL;
}

#define STRING_FUNCTION(name, expression)                                                                              \
  static const char *call_##name(struct string_pool *pool, const struct value *arguments, struct value *result) {      \
    const char *wrong = want_string(arguments[0]);                                                                     \
    if (wrong)                                                                                                         \
      return wrong;                                                                                                    \
    const struct string *s = arguments[0].string;                                                                      \
    *result = value_string(expression);                                                                                \
    return NULL;                                                                                                       \
  }

STRING_FUNCTION(upper, string_map(pool, s, toupper))
STRING_FUNCTION(lower, string_map(pool, s, tolower))
STRING_FUNCTION(reverse, string_reverse(pool, s))

static const char *call_trim(struct string_pool *pool, const struct value *arguments, struct value *result) {
  if (want_string(arguments[0]))
    return want_string(arguments[0]);
  const struct string *text = arguments[0].string;
  uint32_t from = 0, to = text->length;
  while (from < to && isspace((unsigned char)text->bytes[from]))
    from++;
  while (to > from && isspace((unsigned char)text->bytes[to - 1]))
    to--;
  *result = value_string(string_slice(pool, text, from, to));
  return NULL;
}

static const char *call_slice(struct string_pool *pool, const struct value *arguments, struct value *result) {
  if (want_string(arguments[0]))
    return want_string(arguments[0]);
  if (want_whole(arguments + 1, 2))
    return want_whole(arguments + 1, 2);
  double length = arguments[0].string->length;
  double from = arguments[1].number < 0 ? length + arguments[1].number : arguments[1].number;
  double to = arguments[2].number < 0 ? length + arguments[2].number : arguments[2].number;
  from = fmin(fmax(from, 0), length);
  to = fmin(fmax(to, 0), length);
  *result = value_string(string_slice(pool, arguments[0].string, (uint32_t)from, (uint32_t)to));
  return NULL;
}

static const char *call_find(struct string_pool *pool, const struct value *arguments, struct value *result) {
  (void)pool;
  if (want_string(arguments[0]) || want_string(arguments[1]))
    return "expected two strings";
  *result = value_number((double)string_find(arguments[0].string, arguments[1].string));
  return NULL;
}

static const char *call_starts(struct string_pool *pool, const struct value *arguments, struct value *result) {
  (void)pool;
  if (want_string(arguments[0]) || want_string(arguments[1]))
    return "expected two strings";
  *result = value_boolean(string_starts_with(arguments[0].string, arguments[1].string));
  return NULL;
}

static const char *call_number(struct string_pool *pool, const struct value *arguments, struct value *result) {
  (void)pool;
  if (want_string(arguments[0]))
    return want_string(arguments[0]);
  const struct string *text = arguments[0].string;
  bool negative = text->length > 0 && text->bytes[0] == '-';
  double number = 0;
  size_t taken = number_read(text->bytes + negative, text->length - negative, &number);
  if (taken == 0 || taken + negative != text->length)
    return "this string is not a number";
  *result = value_number(negative ? -number : number);
  return NULL;
}

static const char *call_text(struct string_pool *pool, const struct value *arguments, struct value *result) {
  *result = value_string(value_to_string(pool, arguments[0]));
  return NULL;
}

static const char *call_kind(struct string_pool *pool, const struct value *arguments, struct value *result) {
  const char *name = value_kind_name(arguments[0].kind);
  *result = value_string(string_intern(pool, name, strlen(name)));
  return NULL;
}

static const struct builtin BUILTINS[] = {
    {"sin", call_sin, 1, "sine of an angle in radians"},
    {"cos", call_cos, 1, "cosine of an angle in radians"},
    {"tan", call_tan, 1, "tangent of an angle in radians"},
    {"atan", call_atan, 1, "the angle with this tangent"},
    {"atan2", call_atan2, 2, "the angle of the point (second, first)"},
    {"sinh", call_sinh, 1, "hyperbolic sine"},
    {"cosh", call_cosh, 1, "hyperbolic cosine"},
    {"tanh", call_tanh, 1, "hyperbolic tangent"},
    {"exp", call_exp, 1, "e to this power"},
    {"log", call_log, 1, "natural logarithm"},
    {"sqrt", call_sqrt, 1, "square root"},
    {"cbrt", call_cbrt, 1, "cube root"},
    {"abs", call_abs, 1, "distance from zero"},
    {"floor", call_floor, 1, "the whole number below"},
    {"ceil", call_ceil, 1, "the whole number above"},
    {"round", call_round, 1, "the nearest whole number"},
    {"sign", call_sign, 1, "-1, 0 or 1"},
    {"degrees", call_degrees, 1, "radians to degrees"},
    {"radians", call_radians, 1, "degrees to radians"},
    {"min", call_min, 2, "the smaller of two"},
    {"max", call_max, 2, "the larger of two"},
    {"hypot", call_hypot, 2, "length of a right triangle's third side"},
    {"gcd", call_gcd, 2, "greatest common divisor"},
    {"factorial", call_factorial, 1, "product of 1 to this"},
    {"choose", call_choose, 2, "ways to take k of n"},
    {"prime", call_prime, 1, "whether this is a prime number"},
    {"length", call_length, 1, "bytes of a string"},
    {"upper", call_upper, 1, "in capitals"},
    {"lower", call_lower, 1, "in small letters"},
    {"reverse", call_reverse, 1, "back to front"},
    {"trim", call_trim, 1, "without blanks around"},
    {"slice", call_slice, 3, "the part from one index to another, negative from the end"},
    {"find", call_find, 2, "index of the second string in the first, or -1"},
    {"starts", call_starts, 2, "whether the first string begins with the second"},
    {"number", call_number, 1, "the number that a string shows"},
    {"text", call_text, 1, "the string that shows a value"},
    {"kind", call_kind, 1, "what a value is"},
};

enum { BUILTIN_COUNT = sizeof BUILTINS / sizeof *BUILTINS };

void builtins_define(struct string_pool *pool, struct table *globals) {
  for (unsigned i = 0; i < BUILTIN_COUNT; i++) {
    struct value value = {.kind = VALUE_BUILTIN, .builtin = &BUILTINS[i]};
    table_set(globals, string_intern(pool, BUILTINS[i].name, strlen(BUILTINS[i].name)), value);
  }
  table_set(globals, string_intern(pool, "pi", 2), value_number(PI));
  table_set(globals, string_intern(pool, "e", 1), value_number(exp(1)));
}

void builtins_list(FILE *to) {
  for (unsigned i = 0; i < BUILTIN_COUNT; i++)
    fprintf(to, "  %-10s %u  %s\n", BUILTINS[i].name, BUILTINS[i].arity, BUILTINS[i].summary);
}
