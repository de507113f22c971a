/* Hashing of byte strings. */
#ifndef CALC_HASH_H
#define CALC_HASH_H

#include <stddef.h>
#include <stdint.h>

uint32_t hash_bytes(const void *bytes, size_t length);
uint32_t hash_combine(uint32_t left, uint32_t right);

#endif
