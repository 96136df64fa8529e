/* A single-producer single-consumer ring of fixed-size elements, between a worker and the recorder.
 * Never blocks: a push into a full ring fails, and the producer counts it. */
#ifndef GAMEDAY_BASE_RING_H
#define GAMEDAY_BASE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct ring {
  unsigned char *elements;
  size_t element_size;
  uint32_t mask;
  /* The two ends are a cache line apart, by padding: a ring may live in memory of any alignment. */
  unsigned char before_head[64];
  _Atomic uint32_t head; /* next to read: the consumer's */
  unsigned char before_tail[64];
  _Atomic uint32_t tail; /* next to write: the producer's */
  unsigned char after_tail[64];
};

/* `count` is rounded up to a power of two, at most 2^24. */
int ring_init(struct ring *ring, size_t element_size, uint32_t count, struct error *err);
void ring_release(struct ring *ring);
bool ring_push(struct ring *ring, const void *element); /* false: full */
/* Copies up to `count` elements to `elements`; returns how many. */
uint32_t ring_pop(struct ring *ring, void *elements, uint32_t count);
uint32_t ring_length(const struct ring *ring);

#endif
