/* The order in which a session tries its endpoints. */
#include "gameday/endpoints.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"

int endpoint_round_init(struct endpoint_round *round, const struct session_spec *spec,
                        struct error *err) {
  const struct access *access = spec->access;
  uint32_t *order = calloc(access->endpoint_count + 1, sizeof *order);
  if (!order) return error_set(err, STATUS_MEMORY, "out of memory for a session");
  bool one_host = spec->pinned_host != HOST_NONE &&
                  (spec->route == ROUTE_PINNED || spec->route == ROUTE_REPLICA);
  uint32_t count = 0;
  for (uint32_t i = 0; i < access->endpoint_count; i++) {
    if (one_host && access->endpoints[i].host != spec->pinned_host) continue;
    order[count++] = i;
  }
  if (count > 0) {
    *round = (struct endpoint_round){
        .spec = spec, .order = order, .count = count, .last_good = UINT32_MAX};
    return 0;
  }
  free(order);
  if (!one_host) return error_set(err, STATUS_USAGE, "the service has no endpoint to connect to");
  return error_set(err, STATUS_USAGE, "the service has no endpoint on host number %u",
                   (unsigned)spec->pinned_host);
}

void endpoint_round_release(struct endpoint_round *round) {
  free(round->order);
  round->order = NULL;
  round->count = 0;
}

static void shuffle(struct endpoint_round *round) {
  struct prng prng;
  prng_init(&prng, round->spec->seed, "endpoints");
  for (uint32_t i = round->count; i > 1; i--) {
    uint32_t j = (uint32_t)prng_below(&prng, i);
    uint32_t held = round->order[i - 1];
    round->order[i - 1] = round->order[j];
    round->order[j] = held;
  }
}

void endpoint_round_begin(struct endpoint_round *round) {
  round->tried = 0;
  round->why.status = STATUS_OK;
  round->why.message[0] = '\0';
  if (round->spec->route == ROUTE_REPLICA && round->last_good == UINT32_MAX) {
    shuffle(round);
    return;
  }
  /* The last good one moves to the front, the others keep their order. */
  for (uint32_t i = 1; i < round->count; i++) {
    if (round->order[i] != round->last_good) continue;
    memmove(&round->order[1], &round->order[0], i * sizeof *round->order);
    round->order[0] = round->last_good;
  }
}

bool endpoint_round_next(struct endpoint_round *round) {
  if (round->tried == round->count) return false;
  round->tried++;
  return true;
}

const struct endpoint *endpoint_round_at(const struct endpoint_round *round) {
  assert(round->tried > 0);
  return &round->spec->access->endpoints[round->order[round->tried - 1]];
}

void endpoint_round_failed(struct endpoint_round *round, const char *why) {
  struct error *all = &round->why;
  size_t length = strlen(all->message);
  all->status = STATUS_SERVER;
  snprintf(all->message + length, sizeof all->message - length, "%s%s: %s", length > 0 ? "; " : "",
           endpoint_round_at(round)->name, why);
}

void endpoint_round_succeeded(struct endpoint_round *round) {
  assert(round->tried > 0);
  round->last_good = round->order[round->tried - 1];
}
