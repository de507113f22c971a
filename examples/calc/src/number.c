#include "number.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int digit_of(char c, int base) {
  int digit = c >= '0' && c <= '9' ? c - '0' : isalpha((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : 99;
  return digit < base ? digit : -1;
}

static size_t read_in_base(const char *text, size_t length, int base, double *number) {
  size_t taken = 2;
  double value = 0;
  bool any = false;
  for (; taken < length; taken++) {
    if (text[taken] == '_' && any)
      continue;
    int digit = digit_of(text[taken], base);
    if (digit < 0)
      break;
    value = value * base + digit;
    any = true;
  }
  *number = value;
  return any ? taken : 0;
}

static size_t take_digits(const char *text, size_t length, size_t at, char *digits, size_t *count, size_t capacity) {
  for (; at < length && (isdigit((unsigned char)text[at]) || (text[at] == '_' && *count > 0)); at++)
    if (text[at] != '_' && *count + 1 < capacity)
      digits[(*count)++] = text[at];
  return at;
}

size_t number_read(const char *text, size_t length, double *number) {
  if (length > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
    return read_in_base(text, length, 16, number);
  if (length > 2 && text[0] == '0' && (text[1] == 'b' || text[1] == 'B'))
    return read_in_base(text, length, 2, number);
  char digits[64];
  size_t count = 0;
  size_t at = take_digits(text, length, 0, digits, &count, sizeof digits);
  if (at == 0)
    return 0;
  if (at + 1 < length && text[at] == '.' && isdigit((unsigned char)text[at + 1])) {
    if (count + 1 < sizeof digits)
      digits[count++] = '.';
    at = take_digits(text, length, at + 1, digits, &count, sizeof digits);
  }
  if (at < length && (text[at] == 'e' || text[at] == 'E')) {
    size_t after = at + 1;
    if (after < length && (text[after] == '+' || text[after] == '-'))
      after++;
    if (after < length && isdigit((unsigned char)text[after])) {
      if (count + 2 < sizeof digits) {
        digits[count++] = 'e';
        if (after == at + 2)
          digits[count++] = text[at + 1];
      }
      at = take_digits(text, length, after, digits, &count, sizeof digits);
    }
  }
  digits[count] = 0;
  *number = strtod(digits, NULL);
  return at;
}

bool number_is_whole(double number) { return isfinite(number) && floor(number) == number; }

size_t number_print(double number, char *buffer, size_t size) {
  if (isnan(number))
    return (size_t)snprintf(buffer, size, "nan");
  if (isinf(number))
    return (size_t)snprintf(buffer, size, number < 0 ? "-inf" : "inf");
  if (number_is_whole(number) && fabs(number) < 1e15)
    return (size_t)snprintf(buffer, size, "%.0f", number == 0 ? 0.0 : number);
  char digits[40];
  for (int precision = 1; precision <= 17; precision++) {
    snprintf(digits, sizeof digits, "%.*g", precision, number);
    if (strtod(digits, NULL) == number)
      break;
  }
  return (size_t)snprintf(buffer, size, "%s", digits);
}

/* Whole exponents by squaring: exact where the result is. */
double number_power(double base, double exponent) {
  if (!number_is_whole(exponent) || fabs(exponent) > 1024)
    return pow(base, exponent);
  unsigned left = (unsigned)fabs(exponent);
  double result = 1;
  for (double square = base; left > 0; left >>= 1, square *= square)
    if (left & 1)
      result *= square;
  return exponent < 0 ? 1 / result : result;
}

/* The sign of the divisor, as mathematicians write it. */
double number_modulo(double dividend, double divisor) {
  double rest = fmod(dividend, divisor);
  return rest != 0 && (rest < 0) != (divisor < 0) ? rest + divisor : rest;
}
