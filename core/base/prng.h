/* Pseudo-random numbers from a seed: xoshiro256** seeded by SplitMix64 (Blackman and Vigna,
 * https://prng.di.unimi.it/). Streams of one seed are independent, so that every part of a run has
 * its own and adding a consumer does not disturb the others. */
#ifndef GAMEDAY_BASE_PRNG_H
#define GAMEDAY_BASE_PRNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct prng {
  uint64_t state[4];
};

/* `stream` names the consumer ("timeline", "client/7"); the same pair gives the same numbers. */
void prng_init(struct prng *prng, uint64_t seed, const char *stream);
uint64_t prng_next(struct prng *prng);
uint64_t prng_below(struct prng *prng, uint64_t bound); /* uniform in [0, bound); bound > 0 */
double prng_unit(struct prng *prng);                    /* uniform in [0, 1) */
double prng_exponential(struct prng *prng, double mean);

/* Bytes from the kernel, for secrets and for a seed nobody chose. */
int random_bytes(void *bytes, size_t length, struct error *err);

#endif
