/* A sorted list of beats, searched by number. */
#include "heartbeats.h"

#include <stdlib.h>

void heartbeats_release(struct heartbeats *beats) {
  free(beats->items);
  *beats = (struct heartbeats){.items = NULL};
}

int heartbeats_written(struct heartbeats *beats, uint64_t number, uint64_t done_ns,
                       struct error *err) {
  if (beats->count > 0 && beats->items[beats->count - 1].number >= number) return 0;
  if (beats->count == beats->capacity) {
    uint32_t capacity = beats->capacity ? beats->capacity * 2 : 256;
    struct heartbeat *larger = realloc(beats->items, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for heartbeats");
    beats->items = larger;
    beats->capacity = capacity;
  }
  beats->items[beats->count++] = (struct heartbeat){.number = number, .done_ns = done_ns};
  return 0;
}

uint64_t heartbeats_age_ns(const struct heartbeats *beats, uint64_t number, uint64_t sent_ns) {
  uint32_t low = 0, high = beats->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (beats->items[middle].number > number)
      high = middle;
    else
      low = middle + 1;
  }
  if (low == beats->count) return 0;
  uint64_t done_ns = beats->items[low].done_ns;
  return done_ns < sent_ns ? sent_ns - done_ns : 0;
}
