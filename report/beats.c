/* End-to-end lag from heartbeats: a ring of the acknowledged beats, searched by number. */
#include "report/beats.h"

#include <stdlib.h>

#include "base/clock.h"

struct beat {
  uint64_t number, done_ns;
};
struct beats {
  struct beat *ring;
  uint32_t capacity, first, count; /* grows up to BEATS_MAX, then forgets the oldest */
};

static struct beat *beat_at(const struct beats *beats, uint32_t position) {
  return &beats->ring[(beats->first + position) % beats->capacity];
}

struct beats *beats_new(void) {
  return calloc(1, sizeof(struct beats));
}

void beats_free(struct beats *beats) {
  if (!beats) return;
  free(beats->ring);
  free(beats);
}

int beats_written(struct beats *beats, uint64_t number, uint64_t done_ns, struct error *err) {
  /* Out of order: an older beat whose answer came late tells nothing that the newer did not. */
  if (beats->count > 0 && beat_at(beats, beats->count - 1)->number >= number) return 0;
  if (beats->count == beats->capacity && beats->capacity < BEATS_MAX) {
    uint32_t capacity = beats->capacity ? beats->capacity * 2 : 256;
    struct beat *ring = realloc(beats->ring, capacity * sizeof *ring);
    if (!ring) return error_set(err, STATUS_MEMORY, "no memory for heartbeats");
    beats->ring = ring; /* it never wrapped before it was full, so that the order holds */
    beats->capacity = capacity;
  }
  if (beats->count == beats->capacity) {
    beats->first = (beats->first + 1) % beats->capacity;
    beats->count--;
  }
  *beat_at(beats, beats->count++) = (struct beat){.number = number, .done_ns = done_ns};
  return 0;
}

double beats_age_s(const struct beats *beats, uint64_t number, uint64_t sent_ns) {
  /* The first acknowledged beat after the one that was read. */
  uint32_t low = 0, high = beats->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (beat_at(beats, middle)->number > number) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (low == beats->count) return 0.0;
  uint64_t done_ns = beat_at(beats, low)->done_ns;
  return done_ns < sent_ns ? (double)(sent_ns - done_ns) / (double)NS_PER_S : 0.0;
}
