/* What became of the database behind a cache when the cache had nothing: how many calls there were
 * for each value that was missing, how many at once, how many were refused, and when hit ratio and
 * latency were back to what they were before the fault. */
#include "checkers.h"
#include "faults.h"
#include "measures.h"
#include "stampede_parts.h"

#define BEFORE_NS (10 * NS_PER_S)
#define STEP_NS (100 * NS_PER_MS)
#define WINDOW_NS NS_PER_S
#define READS_MIN 20u /* in a window: fewer say nothing of a ratio or a percentile */
/* Back to what it was, give or take what chance does in a second. */
#define RATIO_SLACK 0.02
#define LATENCY_FACTOR 2.0
#define LATENCY_SLACK_NS (10 * NS_PER_MS)

struct stampede {
  const struct record_info *info;
  struct stampede_log log;
};

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct stampede *it = state;
  (void)err;
  it->info = info;
  return 0;
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct stampede *it = state;
  const struct operation *operation = item->operation;
  if (operation->route != ROUTE_PRIMARY) return 0;
  if (operation->kind == OPERATION_ORIGIN) return stampede_add_call(&it->log, operation, err);
  if (operation->kind != OPERATION_READ_NEWEST || !is_measured(it->info, operation)) return 0;
  return stampede_add_read(&it->log, operation, err);
}

/* --- one fault ------------------------------------------------------------------------------- */

struct course {
  const struct stampede *it;
  int32_t fault;
  uint64_t begin_ns, confirmed_ns, end_ns;
  struct stampede_view before;
  uint64_t window_ns; /* in which there are reads enough */
  bool back;
  uint64_t back_ns; /* not `back`: the end of the load or of the fault's epoch */
};

static bool is_back(const struct course *course, uint64_t from_ns) {
  struct stampede_view view;
  stampede_look(&course->it->log, from_ns, from_ns + course->window_ns, &view);
  double bound_ns = (double)course->before.p99_ns * LATENCY_FACTOR;
  if (bound_ns < (double)(course->before.p99_ns + LATENCY_SLACK_NS))
    bound_ns = (double)(course->before.p99_ns + LATENCY_SLACK_NS);
  return view.reads >= READS_MIN && view.ratio >= course->before.ratio - RATIO_SLACK &&
         (double)view.p99_ns <= bound_ns;
}

/* A fault that takes a moment to show must not be over before it began: the first window after it
 * that is not as before comes first, where there is one within two seconds. */
static uint64_t first_bad_ns(const struct course *course) {
  for (uint64_t at = course->begin_ns; at < course->begin_ns + 2 * WINDOW_NS; at += STEP_NS)
    if (!is_back(course, at)) return at;
  return course->begin_ns;
}

static void find_back(struct course *course) {
  uint64_t end_ns = course->end_ns;
  if (end_ns > course->it->info->load_end_ns) end_ns = course->it->info->load_end_ns;
  course->back_ns = end_ns;
  for (uint64_t at = first_bad_ns(course); at + course->window_ns <= end_ns; at += STEP_NS) {
    if (!is_back(course, at)) continue;
    course->back = true;
    course->back_ns = at;
    return;
  }
}

static const char not_back[] =
    "hit ratio and latency were not back when the load or the fault's time ended";

static bool course_init(struct course *course, const struct stampede *it, int32_t fault) {
  const struct record_info *info = it->info;
  *course = (struct course){.it = it,
                            .fault = fault,
                            .begin_ns = fault_begin_ns(&info->faults[fault]),
                            .confirmed_ns = info->faults[fault].confirmed_ns,
                            .end_ns = fault_epoch_end_ns(info, fault)};
  uint64_t from_ns = difference_ns(course->begin_ns, BEFORE_NS);
  if (from_ns < info->load_begin_ns) from_ns = info->load_begin_ns;
  if (course->begin_ns <= from_ns) return false;
  stampede_look(&it->log, from_ns, course->begin_ns, &course->before);
  if (course->before.reads < READS_MIN) return false;
  double rate = (double)course->before.reads / seconds_of(course->begin_ns - from_ns);
  double enough_ns = 1e9 * 1.5 * READS_MIN / rate;
  course->window_ns = enough_ns > (double)WINDOW_NS ? (uint64_t)enough_ns : WINDOW_NS;
  find_back(course);
  return true;
}

/* A value of all the time until the cache was back. Where that never came it may become smaller as
 * well as larger. */
static int give_whole(const struct course *course, struct finding *finding, const char *name,
                      enum unit unit, double value, struct error *err) {
  if (!course->back) return measure_unknown(finding, name, unit, course->fault, not_back, err);
  return measure_known(finding, name, unit, value, course->fault, err);
}

/* One that can only become larger. */
static int give_growing(const struct course *course, struct finding *finding, const char *name,
                        enum unit unit, double value, struct error *err) {
  if (!course->back) return measure_floor(finding, name, unit, value, course->fault, not_back, err);
  return measure_known(finding, name, unit, value, course->fault, err);
}

static int give_ratios(const struct course *course, struct finding *finding, struct error *err) {
  const struct stampede_log *log = &course->it->log;
  struct stampede_view after;
  stampede_look(log, course->back_ns, course->back_ns + BEFORE_NS, &after);
  double worst = stampede_worst_ratio(log, course->begin_ns, course->back_ns, READS_MIN);
  int32_t fault = course->fault;
  int status =
      measure_known(finding, "hit_ratio.before", UNIT_RATIO, course->before.ratio, fault, err);
  if (status == 0)
    status = give_whole(course, finding, "hit_ratio.worst", UNIT_RATIO,
                        worst < course->before.ratio ? worst : course->before.ratio, err);
  if (status < 0) return status;
  if (!course->back || after.reads < READS_MIN)
    return measure_unknown(finding, "hit_ratio.after", UNIT_RATIO, fault, not_back, err);
  return measure_known(finding, "hit_ratio.after", UNIT_RATIO, after.ratio, fault, err);
}

static int give_recovery(const struct course *course, struct finding *finding, struct error *err) {
  double seconds = seconds_of(difference_ns(course->back_ns, course->confirmed_ns));
  return give_growing(course, finding, "cache_recovery_time", UNIT_DURATION, seconds, err);
}

static int give_latency(const struct course *course, struct finding *finding, struct error *err) {
  struct stampede_view during;
  stampede_look(&course->it->log, course->begin_ns, course->back_ns, &during);
  if (during.reads == 0) during = course->before;
  int status = give_whole(course, finding, "cache_latency.p50", UNIT_DURATION,
                          seconds_of(during.p50_ns), err);
  if (status == 0)
    status = give_whole(course, finding, "cache_latency.p99", UNIT_DURATION,
                        seconds_of(during.p99_ns), err);
  if (status < 0) return status;
  return give_growing(course, finding, "cache_latency.max", UNIT_DURATION,
                      seconds_of(during.max_ns), err);
}

static int give_calls(const struct course *course, struct finding *finding, struct error *err) {
  const struct stampede_log *log = &course->it->log;
  int32_t fault = course->fault;
  struct stampede_calls until_back = {.calls = 0}, later = {.calls = 0};
  int status = stampede_count_calls(log, course->begin_ns, course->back_ns, &until_back, err);
  if (status == 0) status = stampede_count_calls(log, course->back_ns, course->end_ns, &later, err);
  if (status == 0 && until_back.keys == 0)
    status = measure_none(finding, "origin_amplification", UNIT_NONE, fault,
                          "nobody called the origin after the fault", err);
  else if (status == 0)
    status = give_whole(course, finding, "origin_amplification", UNIT_NONE,
                        (double)until_back.calls / (double)until_back.keys, err);
  if (status == 0)
    status =
        give_growing(course, finding, "origin_calls", UNIT_COUNT, (double)until_back.calls, err);
  if (status == 0)
    status = give_growing(course, finding, "origin_concurrency", UNIT_COUNT,
                          (double)until_back.most, err);
  if (status == 0)
    status = give_whole(course, finding, "origin_concurrency.later", UNIT_COUNT, (double)later.most,
                        err);
  const struct {
    const char *name;
    uint64_t value;
  } counts[] = {{"origin_refused", until_back.refused + later.refused},
                {"origin_failed", until_back.failed + later.failed},
                {"stale_reads", stampede_stale(log, course->begin_ns, course->end_ns)}};
  for (size_t i = 0; i < sizeof counts / sizeof *counts && status == 0; i++)
    status =
        measure_known(finding, counts[i].name, UNIT_COUNT, (double)counts[i].value, fault, err);
  if (status < 0) return status;
  char label[128];
  fault_label(course->it->info, fault, label);
  return witness_add(finding, "stampede", course->begin_ns, err,
                     "after %s the origin was called %llu times for %llu keys from %.3f s to %.3f "
                     "s, at most %llu at a time, and %llu of them were refused for want of "
                     "connections",
                     label, (unsigned long long)until_back.calls,
                     (unsigned long long)until_back.keys, seconds_of(course->begin_ns),
                     seconds_of(course->back_ns), (unsigned long long)until_back.most,
                     (unsigned long long)until_back.refused);
}

/* --- the finding ----------------------------------------------------------------------------- */

static const char *const measures[] = {
    "origin_amplification",     "origin_calls",      "origin_concurrency",
    "origin_concurrency.later", "origin_refused",    "origin_failed",
    "hit_ratio.before",         "hit_ratio.worst",   "hit_ratio.after",
    "cache_recovery_time",      "cache_latency.p50", "cache_latency.p99",
    "cache_latency.max",        "stale_reads",       NULL};

/* In the order of `measures`. */
static const enum unit units[] = {
    UNIT_NONE,  UNIT_COUNT, UNIT_COUNT,    UNIT_COUNT,    UNIT_COUNT,    UNIT_COUNT,    UNIT_RATIO,
    UNIT_RATIO, UNIT_RATIO, UNIT_DURATION, UNIT_DURATION, UNIT_DURATION, UNIT_DURATION, UNIT_COUNT};

static int give_none(struct finding *finding, const char *why, struct error *err) {
  int status = 0;
  for (size_t i = 0; measures[i] && status == 0; i++)
    status = measure_none(finding, measures[i], units[i], FAULT_NONE, why, err);
  return status;
}

static int give_unknown(struct finding *finding, int32_t fault, const char *why,
                        struct error *err) {
  int status = 0;
  for (size_t i = 0; measures[i] && status == 0; i++)
    status = measure_unknown(finding, measures[i], units[i], fault, why, err);
  return status;
}

static int give_fault(const struct stampede *it, int32_t fault, struct finding *finding,
                      struct error *err) {
  struct course course;
  if (it->info->faults[fault].confirmed_ns == TIME_NEVER)
    return give_unknown(finding, fault, "the fault was not confirmed in effect", err);
  if (!course_init(&course, it, fault))
    return give_unknown(finding, fault, "too few reads through the cache before the fault", err);
  int status = give_calls(&course, finding, err);
  if (status == 0) status = give_ratios(&course, finding, err);
  if (status == 0) status = give_recovery(&course, finding, err);
  if (status == 0) status = give_latency(&course, finding, err);
  return status;
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct stampede *it = state;
  stampede_settle(&it->log);
  if (it->log.read_count == 0) return give_none(finding, "no workload reads through a cache", err);
  if (it->info->fault_count == 0) return give_none(finding, "there was no fault", err);
  int status = 0;
  for (uint32_t f = 0; f < it->info->fault_count && status == 0; f++)
    status = give_fault(it, (int32_t)f, finding, err);
  return status;
}

static void release(void *state) {
  stampede_release(&((struct stampede *)state)->log);
}

const struct checker checker_stampede = {
    .plugin = {.name = "stampede",
               .summary = "What the database behind a cache went through, and when it was over",
               .state_size = sizeof(struct stampede)},
    .wants = WANTS_OPERATIONS,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
