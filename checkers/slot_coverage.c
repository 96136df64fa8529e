/* Whether the keys of a service with shards were all served: the time in which some shard had no
 * primary that acknowledged anything, by the operations on its keys, and where nobody asked, by
 * what the hosts said of their roles. */
#include <stdlib.h>

#include "checkers.h"
#include "faults.h"
#include "measures.h"
#include "outage.h"
#include "sets.h"

/* A time in which a shard was not served. */
struct unserved {
  uint64_t begin_ns, end_ns;
  int32_t fault; /* charged to it, or FAULT_NONE */
  uint32_t part; /* index of its shard */
  bool open;     /* until the load ended */
  bool starved;  /* its length says more of the harness */
};
struct unserved_list {
  struct unserved *items;
  uint32_t count, capacity;
};

/* A shard; or all shards of a service, for what was never sent and so has no key. */
struct part {
  uint16_t set; /* SET_NONE: all shards */
  uint8_t service;
  uint16_t shard;
  struct outage_tracker writes, reads;
  uint64_t writes_asked;
  /* By the roles that hosts told: */
  struct bits primaries; /* hosts that say that they are one */
  uint64_t quiet_ns; /* without a primary, and without a success since; TIME_NEVER: it has one */
  struct unserved_list unled;
};
struct slot_coverage {
  const struct record_info *info;
  struct part *parts; /* those of single shards, then those of all shards of a service */
  uint32_t part_count, shard_count;
  struct part **of_sets; /* by set: its part; NULL: it is no shard */
  struct set_watch watch;
  uint64_t asked; /* operations on the primaries */
  struct unserved_list all;
};

static void add_part(struct slot_coverage *it, uint16_t set, uint8_t service, uint16_t shard) {
  struct part *part = &it->parts[it->part_count++];
  *part = (struct part){.set = set, .service = service, .shard = shard, .quiet_ns = TIME_NEVER};
  outage_init(&part->writes, it->info, set);
  outage_init(&part->reads, it->info, set);
}

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct slot_coverage *it = state;
  it->info = info;
  set_watch_init(&it->watch, info);
  it->parts = calloc((size_t)info->set_count + info->service_count + 1, sizeof *it->parts);
  it->of_sets = calloc((size_t)info->set_count + 1, sizeof(struct part *));
  if (!it->parts || !it->of_sets) return error_set(err, STATUS_MEMORY, "out of memory for shards");
  for (uint32_t i = 0; i < info->set_count; i++) {
    if (info->sets[i].shard == 0) continue;
    it->of_sets[i] = &it->parts[it->part_count];
    add_part(it, (uint16_t)i, info->sets[i].service, info->sets[i].shard);
  }
  it->shard_count = it->part_count;
  for (uint32_t i = 0; i < info->service_count && it->part_count > 0; i++)
    if (service_has_shards(info, (uint8_t)i)) add_part(it, SET_NONE, (uint8_t)i, 0);
  return 0;
}

static int add(struct unserved_list *list, const struct unserved *item, struct error *err) {
  if (list->count == list->capacity) {
    uint32_t capacity = list->capacity ? list->capacity * 2 : 16;
    struct unserved *larger = realloc(list->items, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for shards");
    list->items = larger;
    list->capacity = capacity;
  }
  list->items[list->count++] = *item;
  return 0;
}

/* --- what roles and successes say ------------------------------------------------------------ */

/* The quiet time of a shard without a primary ends: somebody answered, or is primary again. */
static int end_quiet(const struct slot_coverage *it, struct part *part, uint64_t time_ns, bool open,
                     struct error *err) {
  const struct record_info *info = it->info;
  if (part->quiet_ns == TIME_NEVER || info->load_begin_ns == TIME_NEVER) return 0;
  uint64_t begin_ns = part->quiet_ns > info->load_begin_ns ? part->quiet_ns : info->load_begin_ns;
  uint64_t end_ns = time_ns < info->load_end_ns ? time_ns : info->load_end_ns;
  if (end_ns < begin_ns + info->outage_min_ns) return 0;
  const struct unserved item = {.begin_ns = begin_ns, .end_ns = end_ns, .open = open};
  return add(&part->unled, &item, err);
}

static int take_role(struct slot_coverage *it, const struct event *event, struct error *err) {
  set_watch_event(&it->watch, event);
  if (event->kind != EVENT_ROLE || event->host >= it->info->host_count) return 0;
  uint16_t set = set_watch_of(&it->watch, event);
  int status = 0;
  for (uint32_t i = 0; i < it->part_count && status == 0; i++) {
    struct part *part = &it->parts[i];
    if (part->set == SET_NONE) continue;
    bool led = bits_any(&part->primaries);
    bits_remove(&part->primaries, event->host);
    if (part->set == set && event->role == ROLE_PRIMARY) bits_add(&part->primaries, event->host);
    if (led && !bits_any(&part->primaries)) part->quiet_ns = event->time_ns;
    if (led || !bits_any(&part->primaries)) continue;
    status = end_quiet(it, part, event->time_ns, false, err);
    part->quiet_ns = TIME_NEVER;
  }
  return status;
}

static int take_success(struct slot_coverage *it, struct part *part,
                        const struct operation *operation, struct error *err) {
  if (part->quiet_ns == TIME_NEVER || operation->done_ns <= part->quiet_ns) return 0;
  int status = end_quiet(it, part, operation->done_ns, false, err);
  part->quiet_ns = operation->done_ns;
  return status;
}

static int take_in_part(struct slot_coverage *it, struct part *part,
                        const struct operation *operation, struct error *err) {
  bool read = operation_is_read(operation), measured = is_measured(it->info, operation);
  int status = 0;
  if (measured) it->asked++;
  if (measured && !read) part->writes_asked++;
  if (operation->outcome == OUTCOME_OK) status = take_success(it, part, operation, err);
  if (status < 0) return status;
  return outage_operation(read ? &part->reads : &part->writes, operation, err);
}

static int take_operation(struct slot_coverage *it, const struct operation *operation,
                          struct error *err) {
  bool wanted = operation->kind == OPERATION_WRITE || operation_is_read(operation);
  if (operation->route != ROUTE_PRIMARY || !wanted) return 0;
  uint16_t set = operation_set(it->info, operation);
  uint8_t service = operation_service(it->info, operation);
  struct part *own = set < it->info->set_count ? it->of_sets[set] : NULL;
  int status = own && own->service == service ? take_in_part(it, own, operation, err) : 0;
  for (uint32_t i = it->shard_count; i < it->part_count && status == 0; i++)
    if (it->parts[i].service == service) status = take_in_part(it, &it->parts[i], operation, err);
  return status;
}

static int take_sample(struct slot_coverage *it, const struct sample *sample, struct error *err) {
  int status = 0;
  if (!outage_wants(sample)) return 0;
  for (uint32_t i = 0; i < it->part_count && status == 0; i++) {
    status = outage_sample(&it->parts[i].writes, sample, err);
    if (status == 0) status = outage_sample(&it->parts[i].reads, sample, err);
  }
  return status;
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct slot_coverage *it = state;
  if (item->operation) return take_operation(it, item->operation, err);
  return item->event ? take_role(it, item->event, err) : take_sample(it, item->sample, err);
}

/* --- the finding ----------------------------------------------------------------------------- */

static int compare_unserved(const void *left, const void *right) {
  const struct unserved *a = left, *b = right;
  if (a->begin_ns != b->begin_ns) return a->begin_ns < b->begin_ns ? -1 : 1;
  return a->end_ns < b->end_ns ? -1 : a->end_ns > b->end_ns;
}

/* Whether some shard was not served at that time already: then nothing more is to be said of all.
 */
static bool is_told(const struct slot_coverage *it, const struct unserved *one) {
  for (uint32_t i = 0; i < it->all.count; i++)
    if (it->all.items[i].begin_ns < one->end_ns && one->begin_ns < it->all.items[i].end_ns)
      return it->parts[it->all.items[i].part].service == it->parts[one->part].service;
  return false;
}

/* Writes say it, because a shard that only answers reads takes nothing in; without any, reads. */
static int settle_part(struct slot_coverage *it, uint32_t index, struct error *err) {
  struct part *part = &it->parts[index];
  struct outage_tracker *tracker = part->writes_asked > 0 ? &part->writes : &part->reads;
  struct unserved_list *list = &part->unled;
  int status = end_quiet(it, part, TIME_NEVER, true, err);
  if (status == 0) status = outage_finish(tracker, err);
  for (uint32_t i = 0; i < tracker->count && status == 0; i++) {
    const struct outage *outage = &tracker->outages[i];
    const struct unserved unserved = {
        .begin_ns = outage->begin_ns,
        .end_ns = outage->begin_ns + outage_length_ns(tracker, outage),
        .open = outage->end_ns == TIME_NEVER,
        .starved = outage_starved(tracker, outage)};
    status = add(list, &unserved, err);
  }
  if (list->count > 1) qsort(list->items, list->count, sizeof *list->items, compare_unserved);
  for (uint32_t i = 0; i < list->count && status == 0;) {
    struct unserved whole = list->items[i++];
    for (; i < list->count && list->items[i].begin_ns <= whole.end_ns; i++) {
      if (list->items[i].end_ns > whole.end_ns) whole.end_ns = list->items[i].end_ns;
      whole.open = whole.open || list->items[i].open;
      whole.starved = whole.starved || list->items[i].starved;
    }
    whole.part = index;
    if (part->set == SET_NONE && is_told(it, &whole)) continue;
    whole.fault = fault_at_set(it->info, part->set, whole.begin_ns + it->info->outage_min_ns);
    status = add(&it->all, &whole, err);
  }
  return status;
}

static int give_value(struct finding *finding, const char *name, uint64_t ns, bool starved,
                      bool open, int32_t fault, struct error *err) {
  if (starved)
    return measure_unknown(finding, name, UNIT_DURATION, fault,
                           "the harness itself was starved while a shard was not served", err);
  if (open)
    return measure_floor(finding, name, UNIT_DURATION, seconds_of(ns), fault,
                         "a shard was not served yet when the load ended", err);
  return measure_known(finding, name, UNIT_DURATION, seconds_of(ns), fault, err);
}

/* Of those charged to `fault`, or of all (FAULT_NONE): the longest of one shard, and the time in
 * which any was not served, counted once however many they were. `all` is sorted. */
static int give_values(const struct slot_coverage *it, int32_t fault, struct finding *finding,
                       struct error *err) {
  uint64_t longest_ns = 0, starved_ns = 0, sum_ns = 0, seen_ns = 0;
  bool open = false, starved = false;
  for (uint32_t i = 0; i < it->all.count; i++) {
    const struct unserved *one = &it->all.items[i];
    if (fault != FAULT_NONE && one->fault != fault) continue;
    uint64_t length_ns = difference_ns(one->end_ns, one->begin_ns);
    uint64_t *longest = one->starved ? &starved_ns : &longest_ns;
    if (length_ns > *longest) *longest = length_ns;
    sum_ns += difference_ns(one->end_ns, one->begin_ns > seen_ns ? one->begin_ns : seen_ns);
    if (one->end_ns > seen_ns) seen_ns = one->end_ns;
    open = open || one->open;
    starved = starved || one->starved;
  }
  int status =
      give_value(finding, "slots_unserved", longest_ns, starved_ns > longest_ns, open, fault, err);
  if (status < 0) return status;
  return give_value(finding, "slots_unserved.sum", sum_ns, starved, open, fault, err);
}

static int give_interval(const struct slot_coverage *it, const struct unserved *one,
                         struct finding *finding, struct error *err) {
  const struct part *part = &it->parts[one->part];
  const char *name = part->set < it->info->set_count ? it->info->sets[part->set].name : "";
  const struct interval interval = {.what = "slots_unserved",
                                    .begin_ns = one->begin_ns,
                                    .end_ns = one->open ? TIME_NEVER : one->end_ns,
                                    .fault = one->fault,
                                    .host = HOST_NONE,
                                    .other_host = HOST_NONE,
                                    .shard = part->shard,
                                    .of = name[0] ? name : NULL};
  int status = finding_interval(finding, &interval, err);
  if (status < 0) return status;
  if (!name[0]) name = part->set == SET_NONE ? "any shard" : "the shard";
  return witness_add(finding, "slots_unserved", one->begin_ns, err,
                     "from %.6f s %s %.6f s, for %.3f s, no primary of %s acknowledged anything",
                     seconds_of(one->begin_ns), one->open ? "until the load ended at" : "until",
                     seconds_of(one->end_ns), seconds_of(one->end_ns - one->begin_ns), name);
}

static int give_none(struct finding *finding, const char *why, struct error *err) {
  int status = measure_none(finding, "slots_unserved", UNIT_DURATION, FAULT_NONE, why, err);
  if (status < 0) return status;
  return measure_none(finding, "slots_unserved.sum", UNIT_DURATION, FAULT_NONE, why, err);
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct slot_coverage *it = state;
  if (it->part_count == 0) return give_none(finding, "the service has no shards", err);
  if (it->asked == 0)
    return give_none(finding, "nothing was scheduled on the primaries in the measured time", err);
  int status = 0;
  for (uint32_t i = 0; i < it->part_count && status == 0; i++) status = settle_part(it, i, err);
  if (it->all.count > 1)
    qsort(it->all.items, it->all.count, sizeof *it->all.items, compare_unserved);
  for (int32_t f = FAULT_NONE; f < (int32_t)it->info->fault_count && status == 0; f++)
    status = give_values(it, f, finding, err);
  for (uint32_t i = 0; i < it->all.count && status == 0; i++)
    status = give_interval(it, &it->all.items[i], finding, err);
  return status;
}

static void release(void *state) {
  struct slot_coverage *it = state;
  for (uint32_t i = 0; i < it->part_count; i++) {
    outage_release(&it->parts[i].writes);
    outage_release(&it->parts[i].reads);
    free(it->parts[i].unled.items);
  }
  free(it->parts);
  free(it->of_sets);
  free(it->all.items);
}

static const char *const measures[] = {"slots_unserved", "slots_unserved.sum", NULL};

const struct checker checker_slot_coverage = {
    .plugin = {.name = "slot-coverage",
               .summary = "Times in which some shard had no primary that acknowledged",
               .state_size = sizeof(struct slot_coverage)},
    .wants = WANTS_OPERATIONS | WANTS_SAMPLES | WANTS_EVENTS,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
