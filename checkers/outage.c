/* Outages. Operations arrive in the order of completion, but what counts as demand is when they
 * were scheduled; so every gap between two successes that is long enough is kept, and operations
 * that complete later still lend it their schedule. */
#include "outage.h"

#include <stdlib.h>

#include "base/clock.h"
#include "faults.h"
#include "measures.h"

/* Timers that fire less late than this are the machine's ordinary noise. */
#define DELAY_NOISE_S 0.1
/* Delays are reported once in so long, as the worst of that time. */
#define DELAY_PERIOD_NS NS_PER_S

void outage_init(struct outage_tracker *tracker, const struct record_info *info, uint16_t set) {
  bool shard = info->set_count > 1 && set < info->set_count && info->sets[set].shard > 0;
  *tracker = (struct outage_tracker){.by_sent = shard,
                                     .info = info,
                                     .set = set,
                                     .last_success_ns = info->load_begin_ns,
                                     .tail_ns = TIME_NEVER};
}

void outage_release(struct outage_tracker *tracker) {
  free(tracker->outages);
  free(tracker->gap_begins);
  free(tracker->delays);
  *tracker = (struct outage_tracker){.info = NULL};
}

static int add_gap(struct outage_tracker *tracker, uint64_t end_ns, struct error *err) {
  if (tracker->count == tracker->capacity) {
    uint32_t capacity = tracker->capacity ? tracker->capacity * 2 : 64;
    struct outage *outages = realloc(tracker->outages, capacity * sizeof *outages);
    if (outages) tracker->outages = outages;
    uint64_t *begins = realloc(tracker->gap_begins, capacity * sizeof *begins);
    if (begins) tracker->gap_begins = begins;
    if (!outages || !begins) return error_set(err, STATUS_MEMORY, "out of memory for outages");
    tracker->capacity = capacity;
  }
  tracker->gap_begins[tracker->count] = tracker->last_success_ns;
  tracker->outages[tracker->count++] =
      (struct outage){.begin_ns = tracker->tail_ns, .end_ns = end_ns, .fault = FAULT_NONE};
  return 0;
}

/* Lends the gaps that it was scheduled in its demand. Few operations are older than the last
 * gap. */
static void lend_demand(struct outage_tracker *tracker, uint64_t scheduled_ns) {
  for (uint32_t i = tracker->count; i-- > 0;) {
    struct outage *gap = &tracker->outages[i];
    if (gap->end_ns <= scheduled_ns) break;
    if (scheduled_ns >= tracker->gap_begins[i] && scheduled_ns < gap->begin_ns)
      gap->begin_ns = scheduled_ns;
  }
}

int outage_operation(struct outage_tracker *tracker, const struct operation *operation,
                     struct error *err) {
  return outage_operation_from(tracker, operation, operation->scheduled_ns, err);
}

int outage_operation_from(struct outage_tracker *tracker, const struct operation *operation,
                          uint64_t demand_ns, struct error *err) {
  const struct record_info *info = tracker->info;
  uint64_t done_ns = operation->done_ns;
  if (tracker->by_sent && operation->sent_ns > demand_ns) demand_ns = operation->sent_ns;
  bool success = operation->outcome == OUTCOME_OK;
  bool measured = is_measured(info, operation);
  /* What was scheduled before the measured time is no demand, but when it succeeds late it is a
   * success like any other: what follows it is not the end of an outage. */
  if (!measured && !(success && operation->scheduled_ns < info->load_begin_ns)) return 0;
  if (success && done_ns >= tracker->last_success_ns + info->outage_min_ns) {
    int status = add_gap(tracker, done_ns, err);
    if (status < 0) return status;
  }
  if (measured) lend_demand(tracker, demand_ns);
  if (!success) {
    if (demand_ns >= tracker->last_success_ns && demand_ns < tracker->tail_ns)
      tracker->tail_ns = demand_ns;
    return 0;
  }
  /* Whatever came before this success was scheduled before it. */
  if (done_ns > tracker->last_success_ns) tracker->last_success_ns = done_ns;
  tracker->tail_ns = TIME_NEVER;
  return 0;
}

bool outage_wants(const struct sample *sample) {
  return sample->metric == METRIC_HARNESS_DELAY && sample->value > DELAY_NOISE_S;
}

int outage_sample(struct outage_tracker *tracker, const struct sample *sample, struct error *err) {
  if (!outage_wants(sample)) return 0;
  if (tracker->delay_count == tracker->delay_capacity) {
    uint32_t capacity = tracker->delay_capacity ? tracker->delay_capacity * 2 : 64;
    struct outage_delay *delays = realloc(tracker->delays, capacity * sizeof *delays);
    if (!delays) return error_set(err, STATUS_MEMORY, "out of memory for delays");
    tracker->delays = delays;
    tracker->delay_capacity = capacity;
  }
  double reach_ns = sample->value * (double)NS_PER_S;
  uint64_t delay_ns = reach_ns < (double)sample->time_ns ? (uint64_t)reach_ns : sample->time_ns;
  tracker->delays[tracker->delay_count++] =
      (struct outage_delay){.begin_ns = sample->time_ns - delay_ns, .end_ns = sample->time_ns};
  return 0;
}

static int compare_delays(const void *left, const void *right) {
  const struct outage_delay *a = left, *b = right;
  return a->begin_ns < b->begin_ns ? -1 : a->begin_ns > b->begin_ns;
}

int outage_finish(struct outage_tracker *tracker, struct error *err) {
  const struct record_info *info = tracker->info;
  if (tracker->tail_ns != TIME_NEVER) {
    int status = add_gap(tracker, TIME_NEVER, err);
    if (status < 0) return status;
  }
  uint32_t kept = 0;
  for (uint32_t i = 0; i < tracker->count; i++) {
    struct outage outage = tracker->outages[i];
    if (outage.begin_ns == TIME_NEVER) continue; /* nobody wanted anything */
    if (outage_length_ns(tracker, &outage) < info->outage_min_ns) continue;
    /* What was in flight when the fault struck was scheduled before it. */
    outage.fault = fault_at_set(info, tracker->set, outage.begin_ns + info->outage_min_ns);
    tracker->outages[kept++] = outage;
  }
  tracker->count = kept;
  if (tracker->delay_count > 1)
    qsort(tracker->delays, tracker->delay_count, sizeof *tracker->delays, compare_delays);
  return 0;
}

static uint64_t later(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

uint64_t outage_length_ns(const struct outage_tracker *tracker, const struct outage *outage) {
  uint64_t end_ns = outage->end_ns;
  if (end_ns == TIME_NEVER) end_ns = tracker->info->load_end_ns;
  return difference_ns(end_ns, outage->begin_ns);
}

bool outage_starved(const struct outage_tracker *tracker, const struct outage *outage) {
  uint64_t length_ns = outage_length_ns(tracker, outage);
  /* The worst delay of a second may have been anywhere in it. */
  uint64_t from_ns = difference_ns(outage->begin_ns, DELAY_PERIOD_NS);
  uint64_t to_ns = outage->begin_ns + length_ns + DELAY_PERIOD_NS;
  uint64_t sum_ns = 0, counted_ns = from_ns;
  for (uint32_t i = 0; i < tracker->delay_count; i++) {
    uint64_t begin_ns = later(tracker->delays[i].begin_ns, counted_ns);
    uint64_t end_ns = tracker->delays[i].end_ns < to_ns ? tracker->delays[i].end_ns : to_ns;
    if (end_ns <= begin_ns) continue;
    sum_ns += end_ns - begin_ns;
    counted_ns = end_ns;
  }
  return sum_ns > length_ns / 10;
}
