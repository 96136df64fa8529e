/* How much of what was scheduled succeeded, and the outages: when no scheduled write, or read,
 * succeeded at all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "behind.h"
#include "checkers.h"
#include "measures.h"
#include "outage.h"
#include "sets.h"

enum { CLASS_WRITES, CLASS_READS, CLASS_COUNT };

/* What may be out on its own: a set of hosts, and where a service has shards, all of it: what was
 * never sent counts there alone, because its key was not known yet. */
struct scope {
  uint8_t service;
  uint16_t shard;
  char of[SET_LABEL_SIZE]; /* " of shard 2"; "": there is but one */
  struct outage_tracker classes[CLASS_COUNT];
  struct outage_tracker unblocked; /* reads, but for those behind something of their client */
};
struct counts {
  uint64_t scheduled[CLASS_COUNT], ok[CLASS_COUNT];
};
struct availability {
  const struct record_info *info;
  struct counts *services; /* by index */
  struct scope *scopes;    /* the sets, then the services with shards */
  uint32_t scope_count;
  struct behind behind;
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

/* `set`: SET_NONE of all shards. */
static void add_scope(struct availability *it, uint8_t service, uint16_t shard, uint16_t set,
                      const char *of) {
  struct scope *scope = &it->scopes[it->scope_count++];
  *scope = (struct scope){.service = service, .shard = shard};
  snprintf(scope->of, sizeof scope->of, "%s", of);
  for (int i = 0; i < CLASS_COUNT; i++) outage_init(&scope->classes[i], it->info, set);
  outage_init(&scope->unblocked, it->info, set);
}

static int give_read(void *state, const struct operation *read, uint64_t demand_ns,
                     struct error *err);

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct availability *it = state;
  it->info = info;
  behind_init(&it->behind, info, give_read, it);
  uint32_t sets = set_count_of(info);
  it->scopes = calloc((size_t)sets + info->service_count, sizeof *it->scopes);
  it->services = calloc(service_count_of(info), sizeof *it->services);
  if (!it->scopes || !it->services)
    return error_set(err, STATUS_MEMORY, "out of memory for outages");
  char of[SET_LABEL_SIZE];
  for (uint32_t i = 0; i < sets; i++) {
    set_label(info, (uint16_t)i, of);
    add_scope(it, sets > 1 ? info->sets[i].service : 0, sets > 1 ? info->sets[i].shard : 0,
              (uint16_t)i, of);
  }
  for (uint32_t i = 0; i < info->service_count && sets > 1; i++) {
    if (!service_has_shards(info, (uint8_t)i)) continue;
    bool named = info->service_count > 1;
    snprintf(of, sizeof of, " of all shards%s%.40s", named ? " of " : "",
             named ? info->services[i] : "");
    add_scope(it, (uint8_t)i, 0, SET_NONE, of);
  }
  return 0;
}

/* The first scope from `from` on that an operation on `set` of `service` is one of; the count of
 * scopes: there is no more. */
static uint32_t next_scope(const struct availability *it, uint32_t from, uint16_t set,
                           uint8_t service) {
  uint32_t sets = set_count_of(it->info);
  if (from <= set && set < sets) return set;
  if (from < sets) from = sets;
  while (from < it->scope_count && it->scopes[from].service != service) from++;
  return from;
}

static int give_read(void *state, const struct operation *read, uint64_t demand_ns,
                     struct error *err) {
  struct availability *it = state;
  uint16_t set = operation_set(it->info, read);
  uint8_t service = operation_service(it->info, read);
  int status = 0;
  for (uint32_t i = next_scope(it, 0, set, service); i < it->scope_count && status == 0;
       i = next_scope(it, i + 1, set, service))
    status = outage_operation_from(&it->scopes[i].unblocked, read, demand_ns, err);
  return status;
}

static int take_sample(struct availability *it, const struct sample *sample, struct error *err) {
  int status = 0;
  if (!outage_wants(sample)) return 0;
  for (uint32_t i = 0; i < it->scope_count && status == 0; i++) {
    status = outage_sample(&it->scopes[i].unblocked, sample, err);
    for (int c = 0; c < CLASS_COUNT && status == 0; c++)
      status = outage_sample(&it->scopes[i].classes[c], sample, err);
  }
  return status;
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct availability *it = state;
  if (item->sample) return take_sample(it, item->sample, err);
  const struct operation *operation = item->operation;
  if (operation->route != ROUTE_PRIMARY) return 0;
  bool read = operation_is_read(operation);
  if (operation->kind != OPERATION_WRITE && !read) return 0;
  int class = read ? CLASS_READS : CLASS_WRITES;
  uint16_t set = operation_set(it->info, operation);
  uint8_t service = operation_service(it->info, operation);
  if (is_measured(it->info, operation)) {
    it->services[service].scheduled[class]++;
    if (operation->outcome == OUTCOME_OK) it->services[service].ok[class]++;
  }
  int status = behind_operation(&it->behind, operation, read, err);
  for (uint32_t i = next_scope(it, 0, set, service); i < it->scope_count && status == 0;
       i = next_scope(it, i + 1, set, service))
    status = outage_operation(&it->scopes[i].classes[class], operation, err);
  return status;
}

/* Of the classes in [first, last]: of several services the share of the one that fared worst, so
 * that the many operations of one do not hide the trouble of another. */
static int give_ratio(const struct availability *it, struct finding *finding, const char *name,
                      const char *plural, int first, int last, struct error *err) {
  double lowest = 2;
  for (uint32_t s = 0; s < service_count_of(it->info); s++) {
    uint64_t ok = 0, scheduled = 0;
    for (int c = first; c <= last; c++) {
      ok += it->services[s].ok[c];
      scheduled += it->services[s].scheduled[c];
    }
    double share = scheduled > 0 ? (double)ok / (double)scheduled : 2;
    if (share < lowest) lowest = share;
  }
  char why[96];
  snprintf(why, sizeof why, "no %s were scheduled on the primary in the measured time", plural);
  if (lowest > 1) return measure_none(finding, name, UNIT_RATIO, FAULT_NONE, why, err);
  return measure_known(finding, name, UNIT_RATIO, lowest, FAULT_NONE, err);
}

static bool any_scheduled(const struct availability *it, int class) {
  for (uint32_t s = 0; s < service_count_of(it->info); s++)
    if (it->services[s].scheduled[class] > 0) return true;
  return false;
}

/* What a set of outages adds up to. */
struct outage_sum {
  uint64_t longest_ns, longest_starved_ns, sum_ns;
  uint32_t count;
  bool open, starved;
};
enum { TRACKER_UNBLOCKED = CLASS_COUNT };

static const struct outage_tracker *tracker_of(const struct scope *scope, int which) {
  return which == TRACKER_UNBLOCKED ? &scope->unblocked : &scope->classes[which];
}

static int compare_spans(const void *left, const void *right) {
  const struct outage *a = left, *b = right;
  return a->begin_ns < b->begin_ns ? -1 : a->begin_ns > b->begin_ns;
}

/* Outages of several shards at the same time are one while they overlap: time is counted once. */
static void cover(struct outage *spans, uint32_t count, struct outage_sum *sum) {
  uint64_t end_ns = 0;
  if (count > 1) qsort(spans, count, sizeof *spans, compare_spans);
  for (uint32_t i = 0; i < count; i++) {
    uint64_t begin_ns = spans[i].begin_ns;
    if (i == 0 || begin_ns >= end_ns)
      sum->count++;
    else
      begin_ns = end_ns;
    sum->sum_ns += difference_ns(spans[i].end_ns, begin_ns);
    if (spans[i].end_ns > end_ns) end_ns = spans[i].end_ns;
  }
}

/* Of those charged to `fault`, or of all (FAULT_NONE). */
static int add_up(const struct availability *it, int which, int32_t fault,
                  struct outage_sum *ret_sum, struct error *err) {
  struct outage_sum sum = {.count = 0};
  uint32_t count = 0, room = 1;
  for (uint32_t s = 0; s < it->scope_count; s++) room += tracker_of(&it->scopes[s], which)->count;
  CLEANUP_FREE struct outage *spans = calloc(room, sizeof *spans);
  if (!spans) return error_set(err, STATUS_MEMORY, "out of memory for outages");
  for (uint32_t s = 0; s < it->scope_count; s++) {
    const struct outage_tracker *tracker = tracker_of(&it->scopes[s], which);
    for (uint32_t i = 0; i < tracker->count; i++) {
      const struct outage *outage = &tracker->outages[i];
      if (fault != FAULT_NONE && outage->fault != fault) continue;
      uint64_t length_ns = outage_length_ns(tracker, outage);
      bool starved = outage_starved(tracker, outage);
      uint64_t *longest_ns = starved ? &sum.longest_starved_ns : &sum.longest_ns;
      if (length_ns > *longest_ns) *longest_ns = length_ns;
      spans[count++] =
          (struct outage){.begin_ns = outage->begin_ns, .end_ns = outage->begin_ns + length_ns};
      sum.open = sum.open || outage->end_ns == TIME_NEVER;
      sum.starved = sum.starved || starved;
    }
  }
  cover(spans, count, &sum);
  *ret_sum = sum;
  return 0;
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
    struct outage_sum sum;
    status = add_up(it, TRACKER_UNBLOCKED, f, &sum, err);
    if (status < 0) break;
    bool doubtful = sum.longest_starved_ns > sum.longest_ns;
    status = give_length(finding, UNBLOCKED, sum.longest_ns, doubtful, &sum, f, err);
  }
  return status;
}

static int give_outages(const struct availability *it, int class, struct finding *finding,
                        struct error *err) {
  const struct class_info *names = &class_infos[class];
  struct outage_sum sum;
  int status = add_up(it, class, FAULT_NONE, &sum, err);
  if (status == 0) status = give_sum(names, &sum, finding, FAULT_NONE, err);
  if (status == 0)
    status = measure_known(finding, names->count, UNIT_COUNT, sum.count, FAULT_NONE, err);
  for (uint32_t f = 0; f < it->info->fault_count && status == 0; f++) {
    status = add_up(it, class, (int32_t)f, &sum, err);
    if (status == 0) status = give_sum(names, &sum, finding, (int32_t)f, err);
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

static int give_intervals(const struct scope *scope, int class, struct finding *finding,
                          struct error *err) {
  const struct class_info *names = &class_infos[class];
  const struct outage_tracker *tracker = &scope->classes[class];
  int status = 0;
  for (uint32_t i = 0; i < tracker->count && status == 0; i++) {
    const struct outage *outage = &tracker->outages[i];
    const struct interval interval = {.what = names->outage,
                                      .begin_ns = outage->begin_ns,
                                      .end_ns = outage->end_ns,
                                      .fault = outage->fault,
                                      .host = HOST_NONE,
                                      .other_host = HOST_NONE,
                                      .shard = scope->shard,
                                      .of = scope->of[0] ? scope->of + strlen(" of ") : NULL};
    status = finding_interval(finding, &interval, err);
    if (status < 0) break;
    double begin = seconds_of(outage->begin_ns);
    char alone[160];
    say_unblocked(tracker, outage, class == CLASS_READS ? &scope->unblocked : NULL, alone);
    if (outage->end_ns == TIME_NEVER)
      status = witness_add(finding, names->outage, outage->begin_ns, err,
                           "no %s%s that were scheduled from %.6f s on succeeded until the load "
                           "ended at %.6f s%s",
                           names->plural, scope->of, begin, seconds_of(tracker->info->load_end_ns),
                           alone);
    else
      status = witness_add(finding, names->outage, outage->begin_ns, err,
                           "%s%s were scheduled from %.6f s on, and the next success came at %.6f "
                           "s, %.3f s later%s",
                           names->plural, scope->of, begin, seconds_of(outage->end_ns),
                           seconds_of(outage_length_ns(tracker, outage)), alone);
  }
  return status;
}

static int give_none(const struct class_info *names, struct finding *finding, struct error *err) {
  char why[96];
  snprintf(why, sizeof why, "no %s were scheduled on the primary in the measured time",
           names->plural);
  int status = measure_none(finding, names->outage, UNIT_DURATION, FAULT_NONE, why, err);
  if (status == 0) status = measure_none(finding, names->sum, UNIT_DURATION, FAULT_NONE, why, err);
  if (status == 0) status = measure_none(finding, names->count, UNIT_COUNT, FAULT_NONE, why, err);
  return status;
}

static int finish_trackers(struct availability *it, struct error *err) {
  int status = behind_finish(&it->behind, err);
  for (uint32_t i = 0; i < it->scope_count && status == 0; i++) {
    status = outage_finish(&it->scopes[i].unblocked, err);
    for (int c = 0; c < CLASS_COUNT && status == 0; c++)
      status = outage_finish(&it->scopes[i].classes[c], err);
  }
  return status;
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct availability *it = state;
  int status = give_ratio(it, finding, "availability", "operations", 0, CLASS_COUNT - 1, err);
  if (status == 0) status = finish_trackers(it, err);
  for (int i = 0; i < CLASS_COUNT && status == 0; i++) {
    const struct class_info *names = &class_infos[i];
    status = give_ratio(it, finding, names->availability, names->plural, i, i, err);
    if (status == 0 && !any_scheduled(it, i)) {
      status = give_none(names, finding, err);
      continue;
    }
    if (status == 0) status = give_outages(it, i, finding, err);
    for (uint32_t s = 0; s < it->scope_count && status == 0; s++)
      status = give_intervals(&it->scopes[s], i, finding, err);
  }
  if (status < 0) return status;
  return any_scheduled(it, CLASS_READS)
             ? give_unblocked(it, finding, err)
             : measure_none(finding, UNBLOCKED, UNIT_DURATION, FAULT_NONE,
                            "no reads were scheduled on the primary in the measured time", err);
}

static void release(void *state) {
  struct availability *it = state;
  for (uint32_t s = 0; s < it->scope_count; s++) {
    for (int i = 0; i < CLASS_COUNT; i++) outage_release(&it->scopes[s].classes[i]);
    outage_release(&it->scopes[s].unblocked);
  }
  free(it->scopes);
  free(it->services);
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
