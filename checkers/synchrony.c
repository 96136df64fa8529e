/* Synchronous is not always synchronous: a cluster that may degrade goes on without a synchronous
 * replica. How long was there none, where there had been one? */
#include <stdlib.h>

#include "checkers.h"
#include "faults.h"
#include "measures.h"

/* Of the time between looks that are further apart nothing is known. */
#define LOOKS_APART_MAX_NS (5 * NS_PER_S)
/* METRIC_SYNC_STATE: 2 is sync, 3 quorum. */
#define SYNC_STATE_MIN 2

/* A time without a synchronous replica. */
struct gap {
  uint64_t begin_ns, end_ns;
};
/* The replicas of one service. */
struct watched {
  uint64_t look_ns; /* samples of one time are one look at all replicas; TIME_NEVER: none yet */
  bool sync;        /* that look found a synchronous one */
  bool looked, ever_sync;
  struct gap *gaps;
  uint32_t gap_count, gap_capacity;
};
struct synchrony {
  const struct record_info *info;
  struct watched services[SERVICES_MAX];
};

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct synchrony *it = state;
  (void)err;
  it->info = info;
  for (int i = 0; i < SERVICES_MAX; i++) it->services[i].look_ns = TIME_NEVER;
  return 0;
}

static int add_gap(struct watched *it, uint64_t begin_ns, uint64_t end_ns, struct error *err) {
  if (it->gap_count > 0 && it->gaps[it->gap_count - 1].end_ns == begin_ns) {
    it->gaps[it->gap_count - 1].end_ns = end_ns;
    return 0;
  }
  if (it->gap_count == it->gap_capacity) {
    uint32_t capacity = it->gap_capacity ? it->gap_capacity * 2 : 16;
    struct gap *larger = realloc(it->gaps, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for degraded times");
    it->gaps = larger;
    it->gap_capacity = capacity;
  }
  it->gaps[it->gap_count++] = (struct gap){.begin_ns = begin_ns, .end_ns = end_ns};
  return 0;
}

/* What the last look found holds until the next one, or until the load ends. */
static int close_look(const struct record_info *info, struct watched *it, uint64_t until_ns,
                      struct error *err) {
  if (it->look_ns == TIME_NEVER || info->load_begin_ns == TIME_NEVER) return 0;
  it->looked = true;
  it->ever_sync = it->ever_sync || it->sync;
  if (it->sync || until_ns - it->look_ns > LOOKS_APART_MAX_NS) return 0;
  uint64_t begin_ns = it->look_ns > info->load_begin_ns ? it->look_ns : info->load_begin_ns;
  uint64_t end_ns = until_ns < info->load_end_ns ? until_ns : info->load_end_ns;
  return end_ns > begin_ns ? add_gap(it, begin_ns, end_ns, err) : 0;
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct synchrony *checker = state;
  const struct record_info *info = checker->info;
  const struct sample *sample = item->sample;
  if (sample->metric != METRIC_STREAMING && sample->metric != METRIC_SYNC_STATE) return 0;
  uint8_t service = sample->host < info->host_count ? info->host_services[sample->host] : 0;
  struct watched *it = &checker->services[service == SERVICE_NONE ? 0 : service];
  if (sample->time_ns != it->look_ns) {
    int status = close_look(info, it, sample->time_ns, err);
    if (status < 0) return status;
    it->look_ns = sample->time_ns;
    it->sync = false;
  }
  if (sample->metric == METRIC_SYNC_STATE && sample->value >= SYNC_STATE_MIN) it->sync = true;
  return 0;
}

static int give_gap(const struct synchrony *it, const struct gap *gap, struct finding *finding,
                    struct error *err) {
  const struct interval interval = {.what = "sync_degraded",
                                    .begin_ns = gap->begin_ns,
                                    .end_ns = gap->end_ns,
                                    .fault = fault_at(it->info, gap->begin_ns),
                                    .host = HOST_NONE,
                                    .other_host = HOST_NONE};
  int status = finding_interval(finding, &interval, err);
  if (status < 0) return status;
  return witness_add(finding, "sync_degraded", gap->begin_ns, err,
                     "from %.3f s to %.3f s the primary reported no synchronous replica",
                     seconds_of(gap->begin_ns), seconds_of(gap->end_ns));
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct synchrony *checker = state;
  static const char *const name = "sync_degraded";
  uint64_t sum_ns = 0;
  bool looked = false, ever_sync = false;
  int status = 0;
  for (uint32_t s = 0; s < SERVICES_MAX && status == 0; s++) {
    struct watched *it = &checker->services[s];
    status = close_look(checker->info, it, checker->info->load_end_ns, err);
    looked = looked || it->looked;
    ever_sync = ever_sync || it->ever_sync;
    for (uint32_t i = 0; i < it->gap_count && it->ever_sync && status == 0; i++) {
      sum_ns += it->gaps[i].end_ns - it->gaps[i].begin_ns;
      status = give_gap(checker, &it->gaps[i], finding, err);
    }
  }
  if (status < 0) return status;
  if (!looked)
    return measure_none(finding, name, UNIT_DURATION, FAULT_NONE,
                        "no primary reported its replicas", err);
  if (!ever_sync)
    return measure_none(finding, name, UNIT_DURATION, FAULT_NONE, "no replica was ever synchronous",
                        err);
  return measure_known(finding, name, UNIT_DURATION, seconds_of(sum_ns), FAULT_NONE, err);
}

static void release(void *state) {
  struct synchrony *it = state;
  for (int i = 0; i < SERVICES_MAX; i++) free(it->services[i].gaps);
}

static const char *const measures[] = {"sync_degraded", NULL};

const struct checker checker_synchrony = {
    .plugin = {.name = "synchrony",
               .summary = "Times without a synchronous replica, where there had been one",
               .state_size = sizeof(struct synchrony)},
    .wants = WANTS_SAMPLES,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
