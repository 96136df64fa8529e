/* Payloads and checksums of ledger rows. */
#include "workload/ledger_row.h"

#include <string.h>

#include "base/checksum.h"

/* SplitMix64 (https://prng.di.unimi.it/splitmix64.c), for the beginning of a payload. */
static uint64_t next_bits(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/* Eight characters from '0' to 'O' at once: five bits of a multiplicative hash in each byte, added
 * to '0'. A payload is made for every write, so its making must be cheap. */
static uint64_t next_text(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 32)) * UINT64_C(0xBF58476D1CE4E5B9);
  z ^= z >> 29;
  return (z & UINT64_C(0x1F1F1F1F1F1F1F1F)) + UINT64_C(0x3030303030303030);
}

void ledger_payload(uint64_t seed, uint32_t identity, uint64_t sequence, size_t size,
                    char *ret_text) {
  uint64_t state = seed;
  state = next_bits(&state) ^ identity;
  state = next_bits(&state) ^ sequence;
  state = next_bits(&state);
  size_t done = 0;
  for (; size - done >= sizeof(uint64_t); done += sizeof(uint64_t)) {
    uint64_t text = next_text(&state);
    memcpy(ret_text + done, &text, sizeof text);
  }
  if (done < size) {
    uint64_t text = next_text(&state);
    memcpy(ret_text + done, &text, size - done);
  }
  ret_text[size] = '\0';
}

uint32_t ledger_checksum(uint32_t identity, uint64_t sequence, const char *payload, size_t length) {
  unsigned char head[12];
  for (int i = 0; i < 4; i++) head[i] = (unsigned char)(identity >> (8 * i));
  for (int i = 0; i < 8; i++) head[4 + i] = (unsigned char)(sequence >> (8 * i));
  return checksum_crc32c(checksum_crc32c(0, head, sizeof head), payload, length);
}
