/* Whether there was enough load to say anything: a cluster that nobody asks has no outage and loses
 * nothing. And whether the harness itself got to run. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkers.h"
#include "faults.h"
#include "measures.h"
#include "sets.h"

/* The shortest time after a fault in which there must be load. */
#define DURING_MIN_NS NS_PER_S
/* Later than this, and the latencies are the harness's own. */
#define HARNESS_DELAY_MAX_S 1.0

/* A fault and the operations around it. */
struct span {
  int32_t fault;
  uint64_t begin_ns;     /* journaled */
  uint64_t confirmed_ns; /* in effect */
  uint64_t during_end_ns;
  uint64_t before, during, after;
  uint64_t asked; /* scheduled from then on until the next fault */
};
/* The faults that may have hit one set of hosts, and the operations on its primary. */
struct load_set {
  uint16_t set;       /* SET_NONE: all faults, all operations */
  struct span *spans; /* of confirmed faults, by begin_ns */
  uint32_t span_count;
};
struct load {
  const struct record_info *info;
  struct load_set *sets; /* by set, and a last one for faults that are of no single set */
  uint32_t set_count;
  uint32_t confirmed; /* faults */
  uint64_t scheduled;
  double delay_max_s;
  bool delay_known;
};

static int compare_spans(const void *left, const void *right) {
  const struct span *a = left, *b = right;
  if (a->begin_ns != b->begin_ns) return a->begin_ns < b->begin_ns ? -1 : 1;
  return a->fault < b->fault ? -1 : a->fault > b->fault;
}

/* A fault of no single set may have hit each of them, and parts their time as their own do. */
static int begin_set(const struct record_info *info, struct load_set *it, uint16_t set,
                     struct error *err) {
  it->set = set;
  it->spans = calloc((size_t)info->fault_count + 1, sizeof *it->spans);
  if (!it->spans) return error_set(err, STATUS_MEMORY, "out of memory for faults");
  for (uint32_t i = 0; i < info->fault_count; i++) {
    const struct fault_info *fault = &info->faults[i];
    uint16_t own = fault_set(info, (int32_t)i);
    if (fault->confirmed_ns == TIME_NEVER) continue;
    if (own != set && own != SET_NONE && set != SET_NONE) continue;
    uint64_t end_ns = fault->healed_ns;
    if (fault->planned || end_ns < fault->confirmed_ns + DURING_MIN_NS)
      end_ns = fault->confirmed_ns + DURING_MIN_NS;
    it->spans[it->span_count++] = (struct span){.fault = (int32_t)i,
                                                .begin_ns = fault_begin_ns(fault),
                                                .confirmed_ns = fault->confirmed_ns,
                                                .during_end_ns = end_ns};
  }
  qsort(it->spans, it->span_count, sizeof *it->spans, compare_spans);
  return 0;
}

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct load *it = state;
  it->info = info;
  uint32_t count = set_count_of(info);
  it->sets = calloc((size_t)count + 1, sizeof *it->sets);
  if (!it->sets) return error_set(err, STATUS_MEMORY, "out of memory for faults");
  it->set_count = count > 1 ? count + 1 : 1;
  int status = 0;
  for (uint32_t i = 0; i < it->set_count && status == 0; i++)
    status = begin_set(info, &it->sets[i], i < count ? (uint16_t)i : SET_NONE, err);
  for (uint32_t i = 0; i < info->fault_count; i++)
    if (info->faults[i].confirmed_ns != TIME_NEVER) it->confirmed++;
  return status;
}

/* How many faults had begun at `time_ns`. */
static uint32_t begun_at(const struct load_set *it, uint64_t time_ns) {
  uint32_t low = 0, high = it->span_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (it->spans[middle].begin_ns <= time_ns)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static void take_operation(struct load_set *it, const struct operation *operation) {
  bool ok = operation->outcome == OUTCOME_OK;
  uint32_t done = begun_at(it, operation->done_ns);
  if (ok && done < it->span_count) it->spans[done].before++;
  uint32_t scheduled = begun_at(it, operation->scheduled_ns);
  if (scheduled == 0) return;
  for (uint32_t i = 0; i < scheduled; i++)
    if (operation->scheduled_ns >= it->spans[i].confirmed_ns &&
        operation->scheduled_ns < it->spans[i].during_end_ns)
      it->spans[i].during++;
  struct span *span = &it->spans[scheduled - 1];
  span->asked++;
  if (ok && done == scheduled && operation->scheduled_ns >= span->confirmed_ns) span->after++;
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct load *it = state;
  (void)err;
  if (item->sample) {
    const struct sample *sample = item->sample;
    if (sample->metric != METRIC_HARNESS_DELAY || it->info->load_begin_ns == TIME_NEVER ||
        sample->time_ns < it->info->load_begin_ns || sample->time_ns >= it->info->load_end_ns)
      return 0;
    it->delay_known = true;
    if (sample->value > it->delay_max_s) it->delay_max_s = sample->value;
    return 0;
  }
  const struct operation *operation = item->operation;
  bool counts = operation->kind == OPERATION_WRITE || operation_is_read(operation);
  if (!counts || operation->route != ROUTE_PRIMARY || !is_measured(it->info, operation)) return 0;
  it->scheduled++;
  uint16_t set = operation_set(it->info, operation);
  if (set < it->set_count) take_operation(&it->sets[set], operation);
  struct load_set *last = &it->sets[it->set_count - 1];
  if (last->set == SET_NONE) take_operation(last, operation);
  return 0;
}

/* Whether two faults have no time of their own between them, so that nothing need have succeeded in
 * it: the later one begins while an earlier one is in effect, until `end_ns` (they strike together,
 * some milliseconds apart; a step answers a fault, as a promotion by hand), or in the outage that
 * the earlier one left, in which all that was asked for failed. */
static bool together(const struct span *earlier, uint64_t end_ns, const struct span *later) {
  return later->begin_ns < end_ns || (earlier->after == 0 && earlier->asked > 0);
}

/* Such faults share the load before the first and after the last of them. */
static void share(struct load_set *it) {
  for (uint32_t first = 0, next; first < it->span_count; first = next) {
    uint64_t end_ns = it->spans[first].during_end_ns, after = it->spans[first].after;
    for (next = first + 1; next < it->span_count; next++) {
      if (!together(&it->spans[next - 1], end_ns, &it->spans[next])) break;
      if (it->spans[next].during_end_ns > end_ns) end_ns = it->spans[next].during_end_ns;
      it->spans[next].before += it->spans[next - 1].before;
      after += it->spans[next].after;
    }
    for (uint32_t i = first; i < next; i++) {
      uint64_t own = it->spans[i].after;
      it->spans[i].after = after;
      after -= own;
    }
  }
}

static int judge_span(const struct load *it, uint16_t set, const struct span *span,
                      struct finding *finding, struct error *err) {
  char of[SET_LABEL_SIZE], on[SET_LABEL_SIZE + 16] = "";
  set_label(it->info, set, of);
  if (of[0]) snprintf(on, sizeof on, " on%s", of + strlen(" of"));
  const struct {
    const char *measure, *when, *end; /* around the fault's name */
    uint64_t count;
  } parts[] = {{"load_before", "acknowledged before", "", span->before},
               {"load_during", "scheduled during", "", span->during},
               {"load_after", "scheduled after", " and acknowledged", span->after}};
  int status = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts && status == 0; i++) {
    status = measure_known(finding, parts[i].measure, UNIT_COUNT, (double)parts[i].count,
                           span->fault, err);
    if (status < 0 || parts[i].count >= it->info->load_minimum) continue;
    char label[128];
    fault_label(it->info, span->fault, label);
    status = finding_raise(finding, VERDICT_UNKNOWN, err,
                           "too little load: %" PRIu64 " operations%s were %s %s%s, and %" PRIu32
                           " are the least to go by",
                           parts[i].count, on, parts[i].when, label, parts[i].end,
                           it->info->load_minimum);
    if (status == 0)
      status = witness_add(finding, "vacuous", span->confirmed_ns, err,
                           "%" PRIu64 " operations on the primary%s were %s %s%s", parts[i].count,
                           of, parts[i].when, label, parts[i].end);
  }
  return status;
}

static int give_none(const struct load *it, struct finding *finding, struct error *err) {
  static const char *const names[] = {"load_before", "load_during", "load_after"};
  int status = 0;
  for (size_t i = 0; i < sizeof names / sizeof *names && status == 0; i++)
    status = measure_none(finding, names[i], UNIT_COUNT, FAULT_NONE,
                          "no fault was confirmed in effect", err);
  if (status == 0 && it->scheduled < it->info->load_minimum)
    status = finding_raise(finding, VERDICT_UNKNOWN, err,
                           "too little load: %" PRIu64
                           " operations were scheduled on the primary, "
                           "and %" PRIu32 " are the least to go by",
                           it->scheduled, it->info->load_minimum);
  return status;
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct load *it = state;
  int status = it->confirmed == 0 ? give_none(it, finding, err) : 0;
  for (uint32_t s = 0; s < it->set_count && status == 0; s++) {
    struct load_set *set = &it->sets[s];
    share(set);
    for (uint32_t i = 0; i < set->span_count && status == 0; i++)
      if (fault_set(it->info, set->spans[i].fault) == set->set)
        status = judge_span(it, set->set, &set->spans[i], finding, err);
  }
  if (status < 0) return status;
  if (!it->delay_known)
    return measure_none(finding, "harness_delay.max", UNIT_DURATION, FAULT_NONE,
                        "the harness's own delay was not sampled", err);
  status =
      measure_known(finding, "harness_delay.max", UNIT_DURATION, it->delay_max_s, FAULT_NONE, err);
  if (status == 0 && it->delay_max_s > HARNESS_DELAY_MAX_S)
    status = finding_raise(finding, VERDICT_UNKNOWN, err,
                           "the harness itself was starved: its timers fired up to %.2f s late",
                           it->delay_max_s);
  return status;
}

static void release(void *state) {
  struct load *it = state;
  for (uint32_t i = 0; i < it->set_count; i++) free(it->sets[i].spans);
  free(it->sets);
}

static const char *const measures[] = {"load_before", "load_during", "load_after",
                                       "harness_delay.max", NULL};

const struct checker checker_load = {
    .plugin = {.name = "load",
               .summary = "Whether there was enough load around each fault, and a harness that ran",
               .state_size = sizeof(struct load)},
    .wants = WANTS_OPERATIONS | WANTS_SAMPLES,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
