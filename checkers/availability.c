/* How much of what was scheduled succeeded, and the outages: when no scheduled write, or read,
 * succeeded at all. */
#include <stdio.h>

#include "behind.h"
#include "checkers.h"
#include "measures.h"
#include "outage.h"

struct class_state {
  struct outage_tracker outages;
  uint64_t scheduled, ok;
};
enum { CLASS_WRITES, CLASS_READS, CLASS_COUNT };
struct availability {
  const struct record_info *info;
  struct class_state classes[CLASS_COUNT];
  struct behind behind;
  struct outage_tracker unblocked; /* reads, but for those behind something of their client */
};

/* How each class is called in measures and sentences. */
struct class_info {
  const char *availability, *outage, *sum, *count, *plural;
};
static const struct class_info class_infos[CLASS_COUNT] = {
    [CLASS_WRITES] = {"availability.writes", "write_outage", "write_outage.sum",
                      "write_outage.count", "writes"},
    [CLASS_READS] = {"availability.reads", "read_outage", "read_outage.sum", "read_outage.count",
                     "reads"},
};

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct availability *it = state;
  (void)err;
  it->info = info;
  for (int i = 0; i < CLASS_COUNT; i++) outage_init(&it->classes[i].outages, info);
  outage_init(&it->unblocked, info);
  behind_init(&it->behind, info);
  return 0;
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct availability *it = state;
  if (item->sample) {
    int status = outage_sample(&it->unblocked, item->sample, err);
    for (int i = 0; i < CLASS_COUNT && status == 0; i++)
      status = outage_sample(&it->classes[i].outages, item->sample, err);
    return status;
  }
  const struct operation *operation = item->operation;
  if (operation->route != ROUTE_PRIMARY) return 0;
  struct class_state *class = NULL;
  if (operation->kind == OPERATION_WRITE) class = &it->classes[CLASS_WRITES];
  if (operation->kind == OPERATION_READ_OWN || operation->kind == OPERATION_READ_NEWEST)
    class = &it->classes[CLASS_READS];
  if (!class) return 0;
  if (is_measured(it->info, operation)) {
    class->scheduled++;
    if (operation->outcome == OUTCOME_OK) class->ok++;
  }
  bool read = class == &it->classes[CLASS_READS];
  int status = behind_operation(&it->behind, &it->unblocked, operation, read, err);
  return status < 0 ? status : outage_operation(&class->outages, operation, err);
}

static int ratio(struct finding *finding, const char *name, const char *plural, uint64_t ok,
                 uint64_t scheduled, struct error *err) {
  char why[96];
  snprintf(why, sizeof why, "no %s were scheduled on the primary in the measured time", plural);
  if (scheduled == 0) return measure_none(finding, name, UNIT_RATIO, FAULT_NONE, why, err);
  return measure_known(finding, name, UNIT_RATIO, (double)ok / (double)scheduled, FAULT_NONE, err);
}

/* What a set of outages adds up to. */
struct outage_sum {
  uint64_t longest_ns, longest_starved_ns, sum_ns;
  uint32_t count;
  bool open, starved;
};

/* Of those charged to `fault`, or of all (FAULT_NONE). */
static struct outage_sum add_up(const struct outage_tracker *tracker, int32_t fault) {
  struct outage_sum sum = {.count = 0};
  for (uint32_t i = 0; i < tracker->count; i++) {
    const struct outage *outage = &tracker->outages[i];
    if (fault != FAULT_NONE && outage->fault != fault) continue;
    uint64_t length_ns = outage_length_ns(tracker, outage);
    bool starved = outage_starved(tracker, outage);
    uint64_t *longest_ns = starved ? &sum.longest_starved_ns : &sum.longest_ns;
    if (length_ns > *longest_ns) *longest_ns = length_ns;
    sum.sum_ns += length_ns;
    sum.count++;
    sum.open = sum.open || outage->end_ns == TIME_NEVER;
    sum.starved = sum.starved || starved;
  }
  return sum;
}

/* A starved harness makes an outage seem longer than it was: the longest is known as long as one
 * that can be trusted is longer than all that cannot. */
static int give_length(struct finding *finding, const char *name, uint64_t ns, bool starved,
                       const struct outage_sum *sum, int32_t fault, struct error *err) {
  if (starved)
    return measure_unknown(finding, name, UNIT_DURATION, fault,
                           "the harness itself was starved during an outage", err);
  if (sum->open)
    return measure_floor(finding, name, UNIT_DURATION, seconds_of(ns), fault,
                         "an outage was not over when the load ended", err);
  return measure_known(finding, name, UNIT_DURATION, seconds_of(ns), fault, err);
}

static int give_sum(const struct class_info *names, const struct outage_sum *sum,
                    struct finding *finding, int32_t fault, struct error *err) {
  bool doubtful = sum->longest_starved_ns > sum->longest_ns;
  int status = give_length(finding, names->outage, sum->longest_ns, doubtful, sum, fault, err);
  if (status < 0) return status;
  return give_length(finding, names->sum, sum->sum_ns, sum->starved, sum, fault, err);
}

#define UNBLOCKED "read_outage.unblocked"

static int give_unblocked(const struct availability *it, struct finding *finding,
                          struct error *err) {
  int status = 0;
  for (int32_t f = FAULT_NONE; f < (int32_t)it->info->fault_count && status == 0; f++) {
    struct outage_sum sum = add_up(&it->unblocked, f);
    bool doubtful = sum.longest_starved_ns > sum.longest_ns;
    status = give_length(finding, UNBLOCKED, sum.longest_ns, doubtful, &sum, f, err);
  }
  return status;
}

static int give_outages(const struct availability *it, const struct class_info *names,
                        const struct outage_tracker *tracker, struct finding *finding,
                        struct error *err) {
  struct outage_sum all = add_up(tracker, FAULT_NONE);
  int status = give_sum(names, &all, finding, FAULT_NONE, err);
  if (status == 0)
    status = measure_known(finding, names->count, UNIT_COUNT, all.count, FAULT_NONE, err);
  for (uint32_t f = 0; f < it->info->fault_count && status == 0; f++) {
    struct outage_sum sum = add_up(tracker, (int32_t)f);
    status = give_sum(names, &sum, finding, (int32_t)f, err);
  }
  return status;
}

/* The longest outage of `tracker` that began in this one. */
static uint64_t longest_within_ns(const struct outage_tracker *tracker,
                                  const struct outage *outage) {
  uint64_t longest_ns = 0;
  for (uint32_t i = 0; i < tracker->count; i++) {
    const struct outage *inner = &tracker->outages[i];
    if (inner->begin_ns < outage->begin_ns || inner->begin_ns >= outage->end_ns) continue;
    uint64_t length_ns = outage_length_ns(tracker, inner);
    if (length_ns > longest_ns) longest_ns = length_ns;
  }
  return longest_ns;
}

/* How much of an outage of reads is the clients' own doing; "" when nothing is, and for writes. */
static void say_unblocked(const struct outage_tracker *tracker, const struct outage *outage,
                          const struct outage_tracker *unblocked, char text[160]) {
  text[0] = '\0';
  if (!unblocked) return;
  uint64_t alone_ns = longest_within_ns(unblocked, outage);
  if (alone_ns >= outage_length_ns(tracker, outage)) return;
  snprintf(text, 160,
           "; reads that did not wait behind an unanswered operation of their own client went "
           "unanswered for %.3f s of it",
           seconds_of(alone_ns));
}

static int give_intervals(const struct class_info *names, const struct outage_tracker *tracker,
                          const struct outage_tracker *unblocked, struct finding *finding,
                          struct error *err) {
  int status = 0;
  for (uint32_t i = 0; i < tracker->count && status == 0; i++) {
    const struct outage *outage = &tracker->outages[i];
    const struct interval interval = {.what = names->outage,
                                      .begin_ns = outage->begin_ns,
                                      .end_ns = outage->end_ns,
                                      .fault = outage->fault,
                                      .host = HOST_NONE,
                                      .other_host = HOST_NONE};
    status = finding_interval(finding, &interval, err);
    if (status < 0) break;
    double begin = seconds_of(outage->begin_ns);
    char alone[160];
    say_unblocked(tracker, outage, unblocked, alone);
    if (outage->end_ns == TIME_NEVER)
      status = witness_add(finding, names->outage, outage->begin_ns, err,
                           "no %s that were scheduled from %.6f s on succeeded until the load "
                           "ended at %.6f s%s",
                           names->plural, begin, seconds_of(tracker->info->load_end_ns), alone);
    else
      status = witness_add(finding, names->outage, outage->begin_ns, err,
                           "%s were scheduled from %.6f s on, and the next success came at %.6f s, "
                           "%.3f s later%s",
                           names->plural, begin, seconds_of(outage->end_ns),
                           seconds_of(outage_length_ns(tracker, outage)), alone);
  }
  return status;
}

static int give_none(const struct availability *it, const struct class_info *names,
                     struct finding *finding, struct error *err) {
  char why[96];
  snprintf(why, sizeof why, "no %s were scheduled on the primary in the measured time",
           names->plural);
  (void)it;
  int status = measure_none(finding, names->outage, UNIT_DURATION, FAULT_NONE, why, err);
  if (status == 0) status = measure_none(finding, names->sum, UNIT_DURATION, FAULT_NONE, why, err);
  if (status == 0) status = measure_none(finding, names->count, UNIT_COUNT, FAULT_NONE, why, err);
  return status;
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct availability *it = state;
  struct class_state *writes = &it->classes[CLASS_WRITES], *reads = &it->classes[CLASS_READS];
  int status = ratio(finding, "availability", "operations", writes->ok + reads->ok,
                     writes->scheduled + reads->scheduled, err);
  if (status == 0) status = behind_finish(&it->behind, &it->unblocked, err);
  if (status == 0) status = outage_finish(&it->unblocked, err);
  for (int i = 0; i < CLASS_COUNT && status == 0; i++) {
    const struct class_info *names = &class_infos[i];
    struct class_state *class = &it->classes[i];
    status = outage_finish(&class->outages, err);
    if (status == 0)
      status = ratio(finding, names->availability, names->plural, class->ok, class->scheduled, err);
    if (status == 0 && class->scheduled == 0) {
      status = give_none(it, names, finding, err);
      continue;
    }
    if (status == 0) status = give_outages(it, names, &class->outages, finding, err);
    const struct outage_tracker *unblocked = i == CLASS_READS ? &it->unblocked : NULL;
    if (status == 0) status = give_intervals(names, &class->outages, unblocked, finding, err);
  }
  if (status < 0) return status;
  return reads->scheduled > 0 ? give_unblocked(it, finding, err)
                              : measure_none(finding, UNBLOCKED, UNIT_DURATION, FAULT_NONE,
                                             "no reads were scheduled on the primary in the "
                                             "measured time",
                                             err);
}

static void release(void *state) {
  struct availability *it = state;
  for (int i = 0; i < CLASS_COUNT; i++) outage_release(&it->classes[i].outages);
  outage_release(&it->unblocked);
  behind_release(&it->behind);
}

static const char *const measures[] = {"availability",
                                       "availability.writes",
                                       "availability.reads",
                                       "write_outage",
                                       "write_outage.sum",
                                       "write_outage.count",
                                       "read_outage",
                                       "read_outage.sum",
                                       "read_outage.count",
                                       UNBLOCKED,
                                       NULL};

const struct checker checker_availability = {
    .plugin = {.name = "availability",
               .summary = "Share of scheduled operations that succeeded, and every outage",
               .state_size = sizeof(struct availability)},
    .wants = WANTS_OPERATIONS | WANTS_SAMPLES,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
