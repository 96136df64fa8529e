/* A set of small numbers, below BITS_MAX: hosts, shards. A value without ownership; all zero is the
 * empty set. */
#ifndef GAMEDAY_BASE_BITS_H
#define GAMEDAY_BASE_BITS_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define BITS_MAX 1024

struct bits {
  uint64_t words[BITS_MAX / 64];
};

/* `number` is below BITS_MAX; everything else is a bug. */
static inline void bits_add(struct bits *set, uint32_t number) {
  assert(number < BITS_MAX);
  set->words[number / 64] |= UINT64_C(1) << number % 64;
}
static inline void bits_remove(struct bits *set, uint32_t number) {
  assert(number < BITS_MAX);
  set->words[number / 64] &= ~(UINT64_C(1) << number % 64);
}
static inline bool bits_has(const struct bits *set, uint32_t number) {
  assert(number < BITS_MAX);
  return set->words[number / 64] >> number % 64 & 1;
}
/* All numbers below `count`, which is at most BITS_MAX. */
struct bits bits_below(uint32_t count);
/* Adds all numbers of `other`. */
void bits_add_all(struct bits *set, const struct bits *other);
/* Removes all numbers of `other`. */
void bits_remove_all(struct bits *set, const struct bits *other);
/* The numbers that are in both. */
struct bits bits_both(const struct bits *a, const struct bits *b);
uint32_t bits_count(const struct bits *set);
bool bits_any(const struct bits *set);
/* The lowest number that is not below `from`; BITS_MAX: there is none. For loops:
 * for (uint32_t i = bits_next(&set, 0); i < BITS_MAX; i = bits_next(&set, i + 1)) */
uint32_t bits_next(const struct bits *set, uint32_t from);

#endif
