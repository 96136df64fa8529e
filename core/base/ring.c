/* The ends are numbers that only grow (modulo 2^32); their difference is the length. Each end is
 * written by one side only, with release, so that the other sees the elements before the number. */
#include "base/ring.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RING_COUNT_MAX (UINT32_C(1) << 24)

int ring_init(struct ring *ring, size_t element_size, uint32_t count, struct error *err) {
  assert(element_size > 0);
  if (count > RING_COUNT_MAX)
    return error_set(err, STATUS_INTERNAL, "a ring of %u elements is too long (at most %u)", count,
                     RING_COUNT_MAX);
  uint32_t rounded = 1;
  while (rounded < count) rounded *= 2;
  unsigned char *elements = NULL;
  if (element_size <= SIZE_MAX / rounded) elements = malloc(element_size * rounded);
  if (!elements)
    return error_set(err, STATUS_MEMORY, "out of memory for a ring of %u elements of %zu bytes",
                     rounded, element_size);
  /* Touched now, so that no page fault delays a worker later. */
  memset(elements, 0, element_size * rounded);
  *ring = (struct ring){.elements = elements, .element_size = element_size, .mask = rounded - 1};
  return 0;
}

void ring_release(struct ring *ring) {
  if (!ring) return;
  free(ring->elements);
  ring->elements = NULL;
}

static unsigned char *element_at(const struct ring *ring, uint32_t number) {
  return ring->elements + (size_t)(number & ring->mask) * ring->element_size;
}

bool ring_push(struct ring *ring, const void *element) {
  uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
  uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
  if (tail - head > ring->mask) return false;
  memcpy(element_at(ring, tail), element, ring->element_size);
  atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
  return true;
}

uint32_t ring_pop(struct ring *ring, void *elements, uint32_t count) {
  uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
  uint32_t length = atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
  if (count > length) count = length;
  if (count == 0) return 0;
  uint32_t to_end = ring->mask + 1 - (head & ring->mask);
  uint32_t first = count < to_end ? count : to_end;
  size_t first_bytes = (size_t)first * ring->element_size;
  memcpy(elements, element_at(ring, head), first_bytes);
  if (count > first)
    memcpy((unsigned char *)elements + first_bytes, ring->elements,
           (size_t)(count - first) * ring->element_size);
  atomic_store_explicit(&ring->head, head + count, memory_order_release);
  return count;
}

uint32_t ring_length(const struct ring *ring) {
  /* The head first: it only grows, so the difference is never negative. */
  uint32_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
  return atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
}
