#include "hash.h"

#include <string.h>

/* Names are short: eight bytes a step, each step a multiply and a rotation, and one finisher at the end. */
static const uint64_t STEP = 0x9e3779b97f4a7c15u;

static uint64_t load(const unsigned char *bytes, size_t count) {
  uint64_t word = 0;
  memcpy(&word, bytes, count);
  return word;
}

static uint64_t mix(uint64_t state, uint64_t word) {
  state = (state ^ word) * STEP;
  return (state << 29) | (state >> 35);
}

static uint32_t finish(uint64_t state, size_t length) {
  state ^= length;
  state ^= state >> 33;
  state *= 0xff51afd7ed558ccdu;
  state ^= state >> 33;
  state *= 0xc4ceb9fe1a85ec53u;
  state ^= state >> 33;
  return (uint32_t)state;
}

uint32_t hash_bytes(const void *bytes, size_t length) {
  const unsigned char *next = bytes;
  uint64_t state = STEP;
  size_t left = length;
  for (; left >= sizeof state; left -= sizeof state, next += sizeof state)
    state = mix(state, load(next, sizeof state));
  if (left > 0)
    state = mix(state, load(next, left));
  return finish(state, length);
}

uint32_t hash_combine(uint32_t left, uint32_t right) { return finish(mix(mix(STEP, left), right), 2); }
