/* Numbers as text, both ways. */
#ifndef CALC_NUMBER_H
#define CALC_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* Reads 12, 1_000, 1.5e-3, 0xff, 0b101; returns the characters taken, 0 where there is no number. */
size_t number_read(const char *text, size_t length, double *number);

/* The shortest decimal that reads back as the same number; as snprintf. */
size_t number_print(double number, char *buffer, size_t size);

bool number_is_whole(double number);
double number_power(double base, double exponent);
double number_modulo(double dividend, double divisor);

#endif
