/* A set of small numbers as an array of words. */
#include "base/bits.h"

#include <assert.h>

#define WORDS (BITS_MAX / 64)

struct bits bits_below(uint32_t count) {
  assert(count <= BITS_MAX);
  struct bits set = {{0}};
  for (uint32_t i = 0; i < count / 64; i++) set.words[i] = UINT64_MAX;
  if (count % 64) set.words[count / 64] = (UINT64_C(1) << count % 64) - 1;
  return set;
}

void bits_add_all(struct bits *set, const struct bits *other) {
  for (uint32_t i = 0; i < WORDS; i++) set->words[i] |= other->words[i];
}

void bits_remove_all(struct bits *set, const struct bits *other) {
  for (uint32_t i = 0; i < WORDS; i++) set->words[i] &= ~other->words[i];
}

struct bits bits_both(const struct bits *a, const struct bits *b) {
  struct bits both = *a;
  for (uint32_t i = 0; i < WORDS; i++) both.words[i] &= b->words[i];
  return both;
}

uint32_t bits_count(const struct bits *set) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < WORDS; i++) count += (uint32_t)__builtin_popcountll(set->words[i]);
  return count;
}

bool bits_any(const struct bits *set) {
  for (uint32_t i = 0; i < WORDS; i++)
    if (set->words[i]) return true;
  return false;
}

uint32_t bits_next(const struct bits *set, uint32_t from) {
  if (from >= BITS_MAX) return BITS_MAX;
  uint64_t word = set->words[from / 64] >> from % 64 << from % 64;
  for (uint32_t i = from / 64;;) {
    if (word) return i * 64 + (uint32_t)__builtin_ctzll(word);
    if (++i == WORDS) return BITS_MAX;
    word = set->words[i];
  }
}
