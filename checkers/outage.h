/* Finds outages in a stream of operations: maximal intervals in which operations were scheduled and
 * none succeeded. Definition and reasons: docs/measurement.md. */
#ifndef GAMEDAY_CHECKERS_OUTAGE_H
#define GAMEDAY_CHECKERS_OUTAGE_H

#include "gameday/checker.h"

struct outage {
  uint64_t begin_ns; /* the first operation scheduled after the last success */
  uint64_t end_ns;   /* the next success; TIME_NEVER: none came */
  int32_t fault;     /* charged to it, or FAULT_NONE */
};

/* A time in which the harness itself did not get to run. */
struct outage_delay {
  uint64_t begin_ns, end_ns;
};

struct outage_tracker {
  const struct record_info *info;
  uint16_t set; /* of hosts, whose operations these are; SET_NONE: of several */
  bool by_sent; /* of one shard: what waited behind another's operations in the client asked for
                   nothing until it was sent */
  uint64_t last_success_ns;
  uint64_t tail_ns;       /* the earliest operation scheduled since, TIME_NEVER: none */
  struct outage *outages; /* while collecting: gaps; begin_ns TIME_NEVER without demand */
  uint64_t *gap_begins;   /* the success before each gap */
  uint32_t count, capacity;
  struct outage_delay *delays;
  uint32_t delay_count, delay_capacity;
};

void outage_init(struct outage_tracker *tracker, const struct record_info *info, uint16_t set);
void outage_release(struct outage_tracker *tracker);

/* One operation of the population, in the order of done_ns. Those outside the measured time are
 * no demand; the late successes of those scheduled before it count as successes. */
int outage_operation(struct outage_tracker *tracker, const struct operation *operation,
                     struct error *err);
/* The same, as if it had been scheduled at `demand_ns`: whether it is of the measured time is told
 * by its own schedule. */
int outage_operation_from(struct outage_tracker *tracker, const struct operation *operation,
                          uint64_t demand_ns, struct error *err);
/* Whether outage_sample() does anything with it: whether it tells of a harness that was late. */
bool outage_wants(const struct sample *sample);
/* Any sample. */
int outage_sample(struct outage_tracker *tracker, const struct sample *sample, struct error *err);

/* After the last operation: `outages` holds the outages, sorted, and nothing else. */
int outage_finish(struct outage_tracker *tracker, struct error *err);

/* How long it was; an open one is seen until the load ends: after that nobody asks. */
uint64_t outage_length_ns(const struct outage_tracker *tracker, const struct outage *outage);
/* Whether the harness was starved for more than a tenth of it, so that its length says more of the
 * machine that measured than of the cluster. */
bool outage_starved(const struct outage_tracker *tracker, const struct outage *outage);

#endif
