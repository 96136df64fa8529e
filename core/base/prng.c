/* xoshiro256**, SplitMix64 and the kernel's random bytes. */
#include "base/prng.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <sys/random.h>

static uint64_t rotate_left(uint64_t x, int k) {
  return (x << k) | (x >> (64 - k));
}

static uint64_t splitmix64(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

void prng_init(struct prng *prng, uint64_t seed, const char *stream) {
  /* The name is hashed (FNV-1a) and mixed into the state between two steps of SplitMix64, so that
   * neither neighbouring seeds nor similar names give related states. */
  uint64_t name = UINT64_C(0xCBF29CE484222325);
  for (const char *c = stream; *c; c++) name = (name ^ (unsigned char)*c) * UINT64_C(0x100000001B3);
  uint64_t state = seed;
  state = splitmix64(&state) ^ name;
  for (int i = 0; i < 4; i++) prng->state[i] = splitmix64(&state);
}

uint64_t prng_next(struct prng *prng) {
  uint64_t *s = prng->state;
  uint64_t result = rotate_left(s[1] * 5, 7) * 9;
  uint64_t t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = rotate_left(s[3], 45);
  return result;
}

uint64_t prng_below(struct prng *prng, uint64_t bound) {
  assert(bound > 0);
  /* The first 2^64 mod bound numbers are refused, so that every remainder is equally likely. They
   * are below `bound`, as few others are: mostly there is nothing to be divided but the number. */
  uint64_t number;
  do number = prng_next(prng);
  while (number < bound && number < (UINT64_C(0) - bound) % bound);
  return number % bound;
}

double prng_unit(struct prng *prng) {
  return (double)(prng_next(prng) >> 11) * 0x1p-53;
}

double prng_exponential(struct prng *prng, double mean) {
  return -mean * log1p(-prng_unit(prng));
}

int random_bytes(void *bytes, size_t length, struct error *err) {
  unsigned char *next = bytes;
  while (length > 0) {
    ssize_t got = getrandom(next, length, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error_set_errno(err, errno, "cannot get random bytes");
    next += got;
    length -= (size_t)got;
  }
  return 0;
}
