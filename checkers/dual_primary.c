/* Times in which two hosts acknowledged writes: one that had been replaced goes on. A host's
 * reign is told by the timeline under which it acknowledges; server clocks play no part. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "checkers.h"
#include "faults.h"
#include "measures.h"
#include "notes.h"
#include "sets.h"

#define REIGNS_MAX 4096
/* Stale acknowledgements closer than this belong to one interval. */
#define JOIN_NS NS_PER_S

/* Acknowledgements of one host under one timeline. Hosts of different shards, or of different
 * services, are primaries at the same time in all innocence. */
struct reign {
  uint16_t host, set;
  uint32_t timeline;
  uint64_t first_done_ns, last_sent_ns;
  uint64_t overtaken_ns; /* when another host's newer reign first acknowledged; TIME_NEVER */
  uint32_t overtaken_by; /* index of that reign */
  uint32_t last_overlap; /* index + 1 of its latest overlap; 0: none */
  uint64_t alone;        /* stale acknowledgements since a successor was last heard of */
};
/* A time in which a reign went on after another had overtaken it. */
struct overlap {
  uint64_t begin_ns, end_ns;
  uint32_t reign, by; /* indices */
};
struct dual_primary {
  const struct record_info *info;
  struct reign *reigns; /* in the order of their first acknowledgement */
  uint32_t reign_count, reign_capacity;
  uint32_t latest[HOSTS_MAX]; /* by host: index + 1 of the reign that it was heard of under last */
  uint32_t alone_count;       /* reigns that are alone */
  struct overlap *overlaps;
  uint32_t overlap_count, overlap_capacity;
  struct notes notes;
  uint64_t acknowledged, stale; /* stale: those after which a successor was heard of again */
  uint64_t returned;            /* without a timeline: a host that took turns with another */
  bool too_many;
};

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct dual_primary *it = state;
  (void)err;
  it->info = info;
  return 0;
}

static int add_reign(struct dual_primary *it, const struct operation *operation,
                     struct error *err) {
  if (it->reign_count == it->reign_capacity) {
    uint32_t capacity = it->reign_capacity ? it->reign_capacity * 2 : 16;
    struct reign *larger = realloc(it->reigns, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for reigns");
    it->reigns = larger;
    it->reign_capacity = capacity;
  }
  struct reign reign = {.host = operation->host,
                        .set = operation_set(it->info, operation),
                        .timeline = operation->timeline,
                        .first_done_ns = operation->done_ns,
                        .overtaken_ns = TIME_NEVER};
  for (uint32_t i = 0; i < it->reign_count; i++) {
    struct reign *other = &it->reigns[i];
    if (other->host == reign.host || other->set != reign.set) continue;
    /* A timeline is only ever left for a higher one; without it, who came later is newer. */
    bool newer = !reign.timeline || !other->timeline || reign.timeline >= other->timeline;
    if (newer && other->overtaken_ns == TIME_NEVER) {
      other->overtaken_ns = reign.first_done_ns;
      other->overtaken_by = it->reign_count;
    } else if (!newer && other->first_done_ns < reign.overtaken_ns) {
      reign.overtaken_ns = other->first_done_ns;
      reign.overtaken_by = i;
    }
  }
  it->reigns[it->reign_count++] = reign;
  return 0;
}

static int add_overlap(struct dual_primary *it, struct reign *reign,
                       const struct operation *operation, struct error *err) {
  if (reign->last_overlap > 0) {
    struct overlap *last = &it->overlaps[reign->last_overlap - 1];
    if (operation->sent_ns <= last->end_ns + JOIN_NS) {
      if (operation->done_ns > last->end_ns) last->end_ns = operation->done_ns;
      return 0;
    }
  }
  if (it->overlap_count == it->overlap_capacity) {
    uint32_t capacity = it->overlap_capacity ? it->overlap_capacity * 2 : 16;
    struct overlap *larger = realloc(it->overlaps, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for intervals");
    it->overlaps = larger;
    it->overlap_capacity = capacity;
  }
  uint64_t end_ns = operation->done_ns;
  if (end_ns <= operation->sent_ns) end_ns = operation->sent_ns + 1; /* never nothing */
  it->overlaps[it->overlap_count++] = (struct overlap){.begin_ns = operation->sent_ns,
                                                       .end_ns = end_ns,
                                                       .reign = (uint32_t)(reign - it->reigns),
                                                       .by = reign->overtaken_by};
  reign->last_overlap = it->overlap_count;
  return 0;
}

static int take_stale(struct dual_primary *it, struct reign *reign,
                      const struct operation *operation, struct error *err) {
  const struct reign *other = &it->reigns[reign->overtaken_by];
  if (reign->alone++ == 0) it->alone_count++;
  int status = add_overlap(it, reign, operation, err);
  if (status < 0 || !notes_want(&it->notes, "dual_primary")) return status;
  return notes_add(
      &it->notes, "dual_primary", operation->done_ns, err,
      "%.60s (timeline %" PRIu32 ") acknowledged %s (identity %" PRIu32 ", sequence %" PRIu64
      ") sent at %.6f s, after %.60s (timeline %" PRIu32 ") had acknowledged one at %.6f s",
      host_name_of(it->info, reign->host), reign->timeline, operation_kind_name(operation->kind),
      operation->identity, operation->sequence, seconds_of(operation->sent_ns),
      host_name_of(it->info, other->host), other->timeline, seconds_of(other->first_done_ns));
}

/* A reign is heard of: those that it succeeds were not alone until now. */
static void end_solitude(struct dual_primary *it, const struct reign *heard) {
  for (uint32_t i = 0; i < it->reign_count && it->alone_count > 0; i++) {
    struct reign *older = &it->reigns[i];
    if (older->alone == 0 || older->host == heard->host || older->set != heard->set ||
        heard->timeline < older->timeline)
      continue;
    it->stale += older->alone;
    older->alone = 0;
    it->alone_count--;
  }
}

static bool is_reign(const struct reign *reign, const struct operation *operation, uint16_t set) {
  return reign->host == operation->host && reign->timeline == operation->timeline &&
         reign->set == set;
}

static struct reign *find_reign(struct dual_primary *it, const struct operation *operation) {
  uint16_t set = operation_set(it->info, operation);
  uint32_t *latest = operation->host < HOSTS_MAX ? &it->latest[operation->host] : NULL;
  if (latest && *latest > 0 && is_reign(&it->reigns[*latest - 1], operation, set))
    return &it->reigns[*latest - 1];
  for (uint32_t i = it->reign_count; i-- > 0;) {
    if (!is_reign(&it->reigns[i], operation, set)) continue;
    if (latest) *latest = i + 1;
    return &it->reigns[i];
  }
  return NULL;
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct dual_primary *it = state;
  const struct operation *operation = item->operation;
  bool write = appends_row(operation) || operation->kind == OPERATION_HEARTBEAT_WRITE;
  if (!write || operation->outcome != OUTCOME_OK || operation->host == HOST_NONE) return 0;
  it->acknowledged++;
  struct reign *reign = find_reign(it, operation);
  if (!reign) {
    it->too_many = it->too_many || it->reign_count == REIGNS_MAX;
    int status = it->too_many ? 0 : add_reign(it, operation, err);
    if (status < 0 || it->too_many) return status;
    reign = &it->reigns[it->reign_count - 1];
    if (operation->host < HOSTS_MAX) it->latest[operation->host] = it->reign_count;
  }
  if (operation->sent_ns > reign->last_sent_ns) reign->last_sent_ns = operation->sent_ns;
  end_solitude(it, reign);
  /* An answer may be read late; a write that was *sent* after another host had answered cannot have
   * been acknowledged before that host took over. */
  if (reign->overtaken_ns == TIME_NEVER || operation->sent_ns < reign->overtaken_ns) return 0;
  if (operation->timeline != 0 && it->reigns[reign->overtaken_by].timeline != 0)
    return take_stale(it, reign, operation, err);
  it->returned++;
  return 0;
}

/* When the last of the reigns that came after `reign` was last heard of. */
static uint64_t last_of_successors_ns(const struct dual_primary *it, const struct reign *reign) {
  uint64_t last_ns = 0;
  for (uint32_t i = 0; i < it->reign_count; i++) {
    const struct reign *other = &it->reigns[i];
    if (other->host == reign->host || other->set != reign->set) continue;
    if (other->timeline < reign->timeline) continue;
    if (other->last_sent_ns > last_ns) last_ns = other->last_sent_ns;
  }
  return last_ns;
}

/* Only the time in which both acknowledged counts. A replaced primary that goes on when its
 * successors have fallen silent is the only one then: history went back to it, and the writes of
 * the successors are lost, which is another finding. */
static void settle_overlaps(struct dual_primary *it) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < it->overlap_count; i++) {
    struct overlap overlap = it->overlaps[i];
    uint64_t last_ns = last_of_successors_ns(it, &it->reigns[overlap.reign]);
    if (overlap.end_ns > last_ns) overlap.end_ns = last_ns;
    if (overlap.end_ns > overlap.begin_ns) it->overlaps[kept++] = overlap;
  }
  it->overlap_count = kept;
}

static int compare_overlaps(const void *left, const void *right) {
  const struct overlap *a = left, *b = right;
  if (a->begin_ns != b->begin_ns) return a->begin_ns < b->begin_ns ? -1 : 1;
  return a->end_ns < b->end_ns ? -1 : a->end_ns > b->end_ns;
}

/* Overlaps of several old primaries may overlap: time is counted once. */
static uint64_t covered_ns(const struct overlap *overlaps, uint32_t count) {
  uint64_t sum_ns = 0, seen_ns = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint64_t begin_ns = overlaps[i].begin_ns > seen_ns ? overlaps[i].begin_ns : seen_ns;
    if (overlaps[i].end_ns <= begin_ns) continue;
    sum_ns += overlaps[i].end_ns - begin_ns;
    seen_ns = overlaps[i].end_ns;
  }
  return sum_ns;
}

static int give_overlap(const struct dual_primary *it, const struct overlap *overlap,
                        struct finding *finding, struct error *err) {
  const struct reign *reign = &it->reigns[overlap->reign];
  uint16_t shard = reign->set == SET_NONE ? 0 : set_shard(it->info, reign->set);
  const char *of = reign->set < it->info->set_count ? it->info->sets[reign->set].name : "";
  const struct interval interval = {.what = "dual_primary",
                                    .begin_ns = overlap->begin_ns,
                                    .end_ns = overlap->end_ns,
                                    .fault = fault_at_set(it->info, reign->set, overlap->begin_ns),
                                    .host = reign->host,
                                    .other_host = it->reigns[overlap->by].host,
                                    .shard = shard,
                                    .of = of[0] ? of : NULL};
  return finding_interval(finding, &interval, err);
}

/* Witnesses of what counts: a primary that acknowledged alone is a witness of loss. */
static int give_notes(const struct dual_primary *it, struct finding *finding, struct error *err) {
  int status = 0;
  for (uint32_t i = 0; i < it->notes.count && status == 0; i++) {
    const struct note *note = &it->notes.items[i];
    bool counts = false;
    for (uint32_t j = 0; j < it->overlap_count; j++)
      counts = counts || (note->time_ns >= it->overlaps[j].begin_ns &&
                          note->time_ns <= it->overlaps[j].end_ns);
    const struct witness witness = {
        .what = note->what, .text = note->text, .time_ns = note->time_ns};
    if (counts) status = finding_witness(finding, &witness, err);
  }
  return status;
}

static int give_undecided(const struct dual_primary *it, struct finding *finding, double seconds,
                          struct error *err) {
  const char *why = it->too_many
                        ? "more timelines acknowledged writes than a cluster can have had"
                        : "hosts took turns in acknowledging writes without telling a timeline: a "
                          "return and two primaries at once cannot be told apart";
  int status = measure_floor(finding, "dual_primary", UNIT_DURATION, seconds, FAULT_NONE, why, err);
  if (status == 0)
    status = measure_floor(finding, "dual_primary.writes", UNIT_COUNT, (double)it->stale,
                           FAULT_NONE, why, err);
  return status < 0 ? status : finding_raise(finding, VERDICT_UNKNOWN, err, "%s", why);
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct dual_primary *it = state;
  settle_overlaps(it);
  if (it->overlap_count > 1)
    qsort(it->overlaps, it->overlap_count, sizeof *it->overlaps, compare_overlaps);
  double seconds = seconds_of(covered_ns(it->overlaps, it->overlap_count));
  int status = 0;
  for (uint32_t i = 0; i < it->overlap_count && status == 0; i++)
    status = give_overlap(it, &it->overlaps[i], finding, err);
  if (status == 0) status = give_notes(it, finding, err);
  if (status < 0) return status;
  if (it->too_many || it->returned > 0) return give_undecided(it, finding, seconds, err);
  if (it->acknowledged == 0) {
    const char *why = "no write was acknowledged";
    status = measure_none(finding, "dual_primary", UNIT_DURATION, FAULT_NONE, why, err);
    return status < 0
               ? status
               : measure_none(finding, "dual_primary.writes", UNIT_COUNT, FAULT_NONE, why, err);
  }
  status = measure_known(finding, "dual_primary", UNIT_DURATION, seconds, FAULT_NONE, err);
  if (status == 0)
    status = measure_known(finding, "dual_primary.writes", UNIT_COUNT, (double)it->stale,
                           FAULT_NONE, err);
  return status;
}

static void release(void *state) {
  struct dual_primary *it = state;
  free(it->reigns);
  free(it->overlaps);
  notes_release(&it->notes);
}

static const char *const measures[] = {"dual_primary", "dual_primary.writes", NULL};

const struct checker checker_dual_primary = {
    .plugin = {.name = "dual-primary",
               .summary = "Times in which a replaced primary went on to acknowledge writes",
               .state_size = sizeof(struct dual_primary)},
    .wants = WANTS_OPERATIONS,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
