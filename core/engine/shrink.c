/* One pass after another until none of them changes anything. */
#include "engine/shrink.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"

/* A schedule that was tried and did not score `least`. */
struct rejected {
  struct schedule schedule;
  uint32_t least;
};

struct shrink {
  const struct shrink_spec *spec;
  struct rejected *rejected; /* room for tries_max */
  uint32_t rejected_count;
  struct schedule best;
  uint32_t score, tries;
  bool changed; /* in this round */
};

static bool is_over(const struct shrink *shrink) {
  return shrink->tries >= shrink->spec->tries_max;
}

static bool was_rejected(const struct shrink *shrink, const struct schedule *candidate,
                         uint32_t least) {
  for (uint32_t i = 0; i < shrink->rejected_count; i++)
    if (shrink->rejected[i].least <= least &&
        schedule_is_equal(&shrink->rejected[i].schedule, candidate))
      return true;
  return false;
}

/* Takes `candidate` over when it is allowed and shows it: at least as well as now, or at all. */
static int try_candidate(struct shrink *shrink, const struct schedule *candidate, uint32_t least,
                         bool *ret_taken, struct error *err) {
  uint32_t score = 0;
  *ret_taken = false;
  if (is_over(shrink) || was_rejected(shrink, candidate, least)) return 0;
  if (!schedule_is_allowed(shrink->spec->rules, candidate)) return 0;
  shrink->tries++;
  int status = shrink->spec->score(shrink->spec->data, candidate, least, &score, err);
  if (status < 0) return status;
  if (score < least) {
    shrink->rejected[shrink->rejected_count++] =
        (struct rejected){.schedule = *candidate, .least = least};
    return 0;
  }
  shrink->best = *candidate;
  shrink->score = score;
  shrink->changed = *ret_taken = true;
  return 0;
}

/* --- fewer faults ---------------------------------------------------------------------------- */

static struct schedule without(const struct schedule *from, uint32_t first, uint32_t count) {
  struct schedule less = *from;
  memmove(&less.faults[first], &from->faults[first + count],
          (from->count - first - count) * sizeof less.faults[0]);
  less.count -= count;
  return less;
}

/* Pieces of half the length first, then of half of that; when one could go, from the start. */
static int drop_faults(struct shrink *shrink, struct error *err) {
  uint32_t piece = shrink->best.count;
  while (piece > 0 && !is_over(shrink)) {
    bool taken = false;
    for (uint32_t first = 0; first < shrink->best.count && !taken; first += piece) {
      uint32_t rest = shrink->best.count - first;
      struct schedule candidate = without(&shrink->best, first, piece < rest ? piece : rest);
      int status = try_candidate(shrink, &candidate, 1, &taken, err);
      if (status < 0) return status;
    }
    if (!taken)
      piece /= 2;
    else if (piece > shrink->best.count)
      piece = shrink->best.count;
  }
  return 0;
}

/* --- simpler targets ------------------------------------------------------------------------- */

/* From a named host to a role, from a later replica to the first. */
static int simplify_target(struct shrink *shrink, uint32_t index, struct error *err) {
  const struct schedule_fault *fault = &shrink->best.faults[index];
  const struct schedule_kind *kind = &shrink->spec->rules->kinds[fault->kind];
  bool step = kind->injector->flags & INJECTOR_PLANNED;
  const struct schedule_fault simpler[] = {{.target = TARGET_PRIMARY}, {.target = TARGET_REPLICA}};
  for (size_t i = step ? 1 : 0; i < sizeof simpler / sizeof simpler[0]; i++) {
    if (fault->target == simpler[i].target && fault->index == 0) return 0;
    if (shrink->spec->rules->services[kind->service].host_count == 1 && i > 0) return 0;
    struct schedule candidate = shrink->best;
    bool taken = false;
    candidate.faults[index].target = simpler[i].target;
    candidate.faults[index].index = 0;
    int status = try_candidate(shrink, &candidate, shrink->score, &taken, err);
    if (status < 0 || taken) return status;
  }
  return 0;
}

/* --- shorter and rounder --------------------------------------------------------------------- */

/* Durations that people would choose. */
static const uint64_t plain_ms[] = {1,     2,     5,     10,     20,     50,     100,   200,
                                    500,   1000,  2000,  5000,   10000,  15000,  20000, 30000,
                                    45000, 60000, 90000, 120000, 180000, 300000, 600000};

static int try_duration(struct shrink *shrink, uint32_t index, uint64_t for_ns, bool *ret_taken,
                        struct error *err) {
  struct schedule candidate = shrink->best;
  candidate.faults[index].for_ns = for_ns;
  return try_candidate(shrink, &candidate, shrink->score, ret_taken, err);
}

/* The shortest duration within the bounds that will do, of those in the table; else whole seconds,
 * or tenths. */
static int shorten(struct shrink *shrink, uint32_t index, struct error *err) {
  uint64_t now_ns = shrink->best.faults[index].for_ns;
  uint64_t low_ns = shrink->spec->rules->bounds.for_ns.low;
  bool taken = false;
  if (now_ns <= low_ns) return 0;
  int status = try_duration(shrink, index, low_ns, &taken, err);
  for (size_t i = 0; i < sizeof plain_ms / sizeof plain_ms[0] && status == 0 && !taken; i++) {
    uint64_t for_ns = plain_ms[i] * NS_PER_MS;
    if (for_ns <= low_ns) continue;
    if (for_ns == now_ns) return 0;
    if (for_ns > now_ns) break;
    status = try_duration(shrink, index, for_ns, &taken, err);
  }
  static const uint64_t steps_ns[] = {NS_PER_S, 100 * NS_PER_MS};
  for (size_t i = 0; i < 2 && status == 0 && !taken; i++) {
    uint64_t for_ns = now_ns - now_ns % steps_ns[i];
    if (for_ns == now_ns || for_ns <= low_ns) break;
    status = try_duration(shrink, index, for_ns, &taken, err);
  }
  return status;
}

static void move_from(struct schedule *schedule, uint32_t first, uint64_t back_ns) {
  for (uint32_t i = first; i < schedule->count; i++) schedule->faults[i].at_ns -= back_ns;
}

/* Fault `index` and all that come after it begin earlier: right after the one before or at the
 * start of the window, else at a round time. Distances after it stay as they are. */
static int move_earlier(struct shrink *shrink, uint32_t index, struct error *err) {
  static const uint64_t rounds_ns[] = {60 * NS_PER_S, 10 * NS_PER_S, 5 * NS_PER_S, NS_PER_S,
                                       100 * NS_PER_MS};
  uint64_t now_ns = shrink->best.faults[index].at_ns;
  uint64_t least_ns =
      index > 0 ? shrink->best.faults[index - 1].at_ns : shrink->spec->rules->bounds.window_ns.low;
  bool taken = false;
  int status = 0;
  if (now_ns <= least_ns) return 0;
  if (index == 0) {
    struct schedule candidate = shrink->best;
    move_from(&candidate, 0, now_ns - least_ns);
    status = try_candidate(shrink, &candidate, shrink->score, &taken, err);
  }
  for (size_t i = 0; i < sizeof rounds_ns / sizeof rounds_ns[0] && status == 0 && !taken; i++) {
    uint64_t at_ns = now_ns - now_ns % rounds_ns[i];
    if (at_ns == now_ns) break; /* as round as can be */
    if (at_ns < least_ns) continue;
    struct schedule candidate = shrink->best;
    move_from(&candidate, index, now_ns - at_ns);
    status = try_candidate(shrink, &candidate, shrink->score, &taken, err);
  }
  return status;
}

/* --- all of it ------------------------------------------------------------------------------- */

static int simplify(struct shrink *shrink, struct error *err) {
  int status = 0;
  for (uint32_t i = 0; i < shrink->best.count && status == 0; i++)
    status = simplify_target(shrink, i, err);
  for (uint32_t i = 0; i < shrink->best.count && status == 0; i++) status = shorten(shrink, i, err);
  for (uint32_t i = 0; i < shrink->best.count && status == 0; i++)
    status = move_earlier(shrink, i, err);
  return status;
}

int shrink_schedule(const struct shrink_spec *spec, struct schedule *schedule, uint32_t *ret_tries,
                    struct error *err) {
  CLEANUP_FREE struct rejected *rejected = calloc(spec->tries_max + 1u, sizeof *rejected);
  if (!rejected) return error_set(err, STATUS_MEMORY, "out of memory to shrink a schedule");
  struct shrink shrink = {
      .spec = spec, .rejected = rejected, .best = *schedule, .score = 1, .tries = 1};
  int status = spec->score(spec->data, schedule, 1, &shrink.score, err);
  shrink.changed = status == 0;
  while (shrink.changed && status == 0 && !is_over(&shrink)) {
    shrink.changed = false;
    status = drop_faults(&shrink, err);
    if (status == 0) status = simplify(&shrink, err);
  }
  *schedule = shrink.best;
  *ret_tries = shrink.tries;
  return status;
}
