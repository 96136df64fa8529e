/* The search for the write that ends a failover. Whether a recovery was sustained is asked on a
 * grid of scheduled time, so that memory follows the length of the load and not the number of
 * writes; the times that are given out are exact. */
#include "recovery.h"

#include <stdlib.h>

#include "base/clock.h"
#include "faults.h"
#include "measures.h"
#include "sets.h"

#define GRID_STEP_MAX_NS (10 * NS_PER_MS)
#define GRID_STEP_MIN_NS NS_PER_MS
#define SUSTAINED_NS NS_PER_S
/* A slow load is watched longer, so that the ratio is one of several operations. */
#define SUSTAINED_OPERATIONS 10.0
#define SUSTAINED_OPERATIONS_MIN 5
#define SUSTAINED_PERCENT 99

static int compare_times(const void *left, const void *right) {
  uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return a < b ? -1 : a > b;
}

static void stream_init(struct recovery_stream *stream, const struct record_info *info,
                        uint16_t set) {
  *stream = (struct recovery_stream){.cell = UINT64_MAX};
  outage_init(&stream->outages, info, set);
}

static void stream_release(struct recovery_stream *stream) {
  outage_release(&stream->outages);
  free(stream->candidates);
}

int recovery_init(struct recovery_tracker *tracker, const struct record_info *info, uint16_t set,
                  struct error *err) {
  *tracker = (struct recovery_tracker){.info = info, .set = set};
  stream_init(&tracker->route, info, set);
  uint64_t step_ns = info->outage_min_ns / 2;
  if (step_ns > GRID_STEP_MAX_NS) step_ns = GRID_STEP_MAX_NS;
  if (step_ns < GRID_STEP_MIN_NS) step_ns = GRID_STEP_MIN_NS;
  grid_init(&tracker->grid, step_ns);
  tracker->window_ns = SUSTAINED_NS;
  double rate = set_write_rate(info, set);
  double slow_s = rate > 0 ? SUSTAINED_OPERATIONS / rate : 0;
  if (slow_s > seconds_of(SUSTAINED_NS) && slow_s < 1e6)
    tracker->window_ns = (uint64_t)(slow_s * (double)NS_PER_S);
  tracker->confirmed = calloc((size_t)info->fault_count + 1, sizeof *tracker->confirmed);
  if (!tracker->confirmed) return error_set(err, STATUS_MEMORY, "out of memory for faults");
  for (uint32_t i = 0; i < info->fault_count; i++)
    if (info->faults[i].confirmed_ns != TIME_NEVER)
      tracker->confirmed[tracker->confirmed_count++] = info->faults[i].confirmed_ns;
  qsort(tracker->confirmed, tracker->confirmed_count, sizeof *tracker->confirmed, compare_times);
  return 0;
}

void recovery_release(struct recovery_tracker *tracker) {
  stream_release(&tracker->route);
  for (uint32_t i = 0; i < tracker->pinned_count; i++) stream_release(&tracker->pinned[i]);
  free(tracker->pinned);
  grid_release(&tracker->grid);
  free(tracker->confirmed);
  *tracker = (struct recovery_tracker){.info = NULL};
}

/* How many faults were confirmed at or before `time_ns`. */
static uint32_t faults_before(const struct recovery_tracker *tracker, uint64_t time_ns) {
  uint32_t low = 0, high = tracker->confirmed_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (tracker->confirmed[middle] <= time_ns)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

/* Kept: of each cell of completion time the first success, and each later one that was scheduled
 * after more faults. So the first success of a cell scheduled after any given fault is kept. */
static int add_candidate(const struct recovery_tracker *tracker, struct recovery_stream *stream,
                         const struct operation *operation, struct error *err) {
  uint32_t faults = faults_before(tracker, operation->scheduled_ns);
  uint64_t cell = operation->done_ns / tracker->grid.step_ns;
  if (faults == 0 || (cell == stream->cell && faults <= stream->highest)) return 0;
  stream->cell = cell;
  stream->highest = faults;
  if (stream->candidate_count == stream->candidate_capacity) {
    uint32_t capacity = stream->candidate_capacity ? stream->candidate_capacity * 2 : 1024;
    struct recovery_candidate *larger = realloc(stream->candidates, capacity * sizeof *larger);
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for recoveries");
    stream->candidates = larger;
    stream->candidate_capacity = capacity;
  }
  stream->candidates[stream->candidate_count++] =
      (struct recovery_candidate){.done_ns = operation->done_ns,
                                  .scheduled_ns = operation->scheduled_ns,
                                  .faults = faults,
                                  .timeline = operation->timeline,
                                  .host = operation->host};
  return 0;
}

static struct recovery_stream *pinned_stream(struct recovery_tracker *tracker, uint32_t client,
                                             struct error *err) {
  /* One a host: few. */
  for (uint32_t i = 0; i < tracker->pinned_count; i++)
    if (tracker->pinned[i].client == client) return &tracker->pinned[i];
  struct recovery_stream *more =
      realloc(tracker->pinned, (tracker->pinned_count + 1) * sizeof *more);
  if (!more) {
    error_set(err, STATUS_MEMORY, "out of memory for pinned clients");
    return NULL;
  }
  tracker->pinned = more;
  struct recovery_stream *stream = &more[tracker->pinned_count++];
  stream_init(stream, tracker->info, tracker->set);
  stream->client = client;
  return stream;
}

static int count_in_grid(struct recovery_tracker *tracker, const struct operation *operation,
                         struct error *err) {
  struct grid_cell *cell = grid_cell(&tracker->grid, operation->scheduled_ns, err);
  if (!cell) return STATUS_MEMORY;
  cell->scheduled++;
  if (operation->outcome == OUTCOME_OK) cell->ok++;
  return 0;
}

int recovery_operation(struct recovery_tracker *tracker, const struct operation *operation,
                       struct error *err) {
  if (operation->kind != OPERATION_WRITE) return 0;
  bool route = operation->route == ROUTE_PRIMARY;
  if (!route && operation->route != ROUTE_PINNED) return 0;
  struct recovery_stream *stream =
      route ? &tracker->route : pinned_stream(tracker, operation->client, err);
  if (!stream) return STATUS_MEMORY;
  int status = outage_operation(&stream->outages, operation, err);
  if (status < 0 || !is_measured(tracker->info, operation)) return status;
  if (route) status = count_in_grid(tracker, operation, err);
  if (status < 0 || operation->outcome != OUTCOME_OK) return status;
  return add_candidate(tracker, stream, operation, err);
}

int recovery_sample(struct recovery_tracker *tracker, const struct sample *sample,
                    struct error *err) {
  return outage_sample(&tracker->route.outages, sample, err);
}

int recovery_finish(struct recovery_tracker *tracker, struct error *err) {
  int status = outage_finish(&tracker->route.outages, err);
  for (uint32_t i = 0; i < tracker->pinned_count && status == 0; i++)
    status = outage_finish(&tracker->pinned[i].outages, err);
  return status;
}

/* --- the search ------------------------------------------------------------------------------ */

enum window { WINDOW_GOOD, WINDOW_BAD, WINDOW_THIN, WINDOW_CUT };

/* How writes scheduled in the window after `from_ns` fared. */
static enum window look_after(const struct recovery_tracker *tracker, uint64_t from_ns) {
  if (from_ns + tracker->window_ns > tracker->info->load_end_ns) return WINDOW_CUT;
  uint64_t step_ns = tracker->grid.step_ns;
  struct grid_cell sum =
      grid_sum(&tracker->grid, (from_ns + step_ns - 1) / step_ns, tracker->window_ns / step_ns);
  if (sum.scheduled < SUSTAINED_OPERATIONS_MIN) return WINDOW_THIN;
  return (uint64_t)sum.ok * 100 >= (uint64_t)sum.scheduled * SUSTAINED_PERCENT ? WINDOW_GOOD
                                                                               : WINDOW_BAD;
}

/* Whether a further outage lies within the window: writes that succeed late, after it, do not make
 * the recovery a sustained one. */
static bool outage_follows(const struct recovery_tracker *tracker, uint64_t from_ns) {
  for (uint32_t i = 0; i < tracker->route.outages.count; i++) {
    const struct outage *outage = &tracker->route.outages.outages[i];
    if (outage->begin_ns >= from_ns + tracker->window_ns) break;
    if (outage->end_ns > from_ns) return true;
  }
  return false;
}

/* Whether a pinned client's write is of the recovery that `clients` begins on the route: the same
 * host answered it as the same primary. */
static bool same_reign(const struct recovery_candidate *pinned,
                       const struct recovery_candidate *clients) {
  return pinned->host == clients->host && pinned->timeline == clients->timeline;
}

/* The first acknowledgement after the last outage that this pinned client saw before `clients`.
 * NULL: it saw none that ended between `from_ns` and then, so it says nothing of this recovery. A
 * pinned client that was served all through an outage of the route was served by somebody else, or
 * the clients' way was broken and not the cluster. */
static const struct recovery_candidate *pinned_first(const struct recovery_stream *stream,
                                                     uint32_t faults, uint64_t from_ns,
                                                     const struct recovery_candidate *clients) {
  uint64_t back_ns = 0;
  for (uint32_t i = 0; i < stream->outages.count; i++) {
    const struct outage *outage = &stream->outages.outages[i];
    if (outage->begin_ns >= clients->done_ns) break;
    if (outage->end_ns > clients->done_ns) return NULL;
    back_ns = outage->end_ns;
  }
  if (back_ns <= from_ns) return NULL;
  for (uint32_t i = 0; i < stream->candidate_count; i++) {
    const struct recovery_candidate *candidate = &stream->candidates[i];
    if (candidate->done_ns >= clients->done_ns) break;
    if (candidate->done_ns >= back_ns && candidate->faults >= faults)
      return same_reign(candidate, clients) ? candidate : NULL;
  }
  return NULL;
}

static struct recovery recovered(const struct recovery_tracker *tracker, uint32_t faults,
                                 uint64_t from_ns, const struct outage *outage,
                                 const struct recovery_candidate *clients) {
  const struct recovery_candidate *first = clients;
  for (uint32_t i = 0; outage && i < tracker->pinned_count; i++) {
    const struct recovery_candidate *pinned =
        pinned_first(&tracker->pinned[i], faults, from_ns, clients);
    if (pinned && pinned->done_ns < first->done_ns) first = pinned;
  }
  return (struct recovery){.kind = RECOVERY_DONE,
                           .at_ns = first->done_ns,
                           .scheduled_ns = first->scheduled_ns,
                           .clients_ns = clients->done_ns,
                           .pinned = first != clients,
                           .outage = outage};
}

static struct recovery search(const struct recovery_tracker *tracker, uint64_t confirmed_ns,
                              uint64_t from_ns, const struct outage *outage) {
  uint32_t faults = faults_before(tracker, confirmed_ns);
  for (uint32_t i = 0; i < tracker->route.candidate_count; i++) {
    const struct recovery_candidate *candidate = &tracker->route.candidates[i];
    if (candidate->done_ns < from_ns || candidate->faults < faults) continue;
    enum window window = look_after(tracker, candidate->done_ns);
    bool good = window == WINDOW_GOOD && !outage_follows(tracker, candidate->done_ns);
    if (!good && window != WINDOW_CUT) continue;
    struct recovery recovery = recovered(tracker, faults, from_ns, outage, candidate);
    if (!good) recovery.kind = RECOVERY_CUT;
    return recovery;
  }
  uint64_t end_ns = tracker->info->load_end_ns;
  return (struct recovery){
      .kind = RECOVERY_NEVER, .at_ns = end_ns, .clients_ns = end_ns, .outage = outage};
}

static bool mark_between(const uint64_t *marks, uint32_t count, uint64_t from_ns, uint64_t to_ns) {
  for (uint32_t i = 0; i < count; i++)
    if (marks[i] >= from_ns && marks[i] <= to_ns) return true;
  return false;
}

/* The outage that is this fault's doing: charged to it, or under way when it struck; begun before
 * it was healed; and at once, or explained by a change of leader. One that such a change explains
 * goes before a stall that merely came first: a cut link may be felt at once and bite a lease
 * later. */
static const struct outage *outage_of(const struct recovery_tracker *tracker, int32_t fault,
                                      const uint64_t *marks, uint32_t mark_count) {
  const struct fault_info *info = &tracker->info->faults[fault];
  uint64_t confirmed_ns = info->confirmed_ns;
  uint64_t soon_ns = 2 * tracker->info->outage_min_ns;
  if (soon_ns < NS_PER_S) soon_ns = NS_PER_S;
  const struct outage *first = NULL;
  for (uint32_t i = 0; i < tracker->route.outages.count; i++) {
    const struct outage *outage = &tracker->route.outages.outages[i];
    bool under_way = outage->begin_ns < confirmed_ns && outage->end_ns > confirmed_ns;
    if (outage->fault != fault && !under_way) continue;
    /* A step is over when it returns; what it breaks, it breaks by then. */
    uint64_t grace_ns = info->planned ? soon_ns : 0;
    if (info->healed_ns != TIME_NEVER && outage->begin_ns >= info->healed_ns + grace_ns) continue;
    bool at_once = outage->begin_ns <= confirmed_ns + soon_ns;
    /* Observers may be a little later than clients. */
    uint64_t seen_ns = outage->end_ns;
    if (at_once && seen_ns != TIME_NEVER) seen_ns += soon_ns;
    if (mark_between(marks, mark_count, fault_begin_ns(info), seen_ns)) return outage;
    if (at_once && !first) first = outage;
  }
  return first;
}

struct recovery recovery_of(const struct recovery_tracker *tracker, int32_t fault,
                            const uint64_t *marks, uint32_t mark_count) {
  uint64_t confirmed_ns = tracker->info->faults[fault].confirmed_ns;
  const struct outage *outage = outage_of(tracker, fault, marks, mark_count);
  if (outage && outage_starved(&tracker->route.outages, outage))
    return (struct recovery){.kind = RECOVERY_STARVED, .outage = outage};
  if (outage) {
    uint64_t from_ns = outage->begin_ns > confirmed_ns ? outage->begin_ns : confirmed_ns;
    return search(tracker, confirmed_ns, from_ns, outage);
  }
  enum window window = look_after(tracker, confirmed_ns);
  if (window == WINDOW_GOOD) return (struct recovery){.kind = RECOVERY_NOT_NEEDED};
  if (window == WINDOW_BAD) return search(tracker, confirmed_ns, confirmed_ns, NULL);
  return (struct recovery){.kind = RECOVERY_THIN};
}
