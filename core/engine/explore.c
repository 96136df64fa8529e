/* The two batches of an exploration: the search, and the shrinking of what was found. */
#include "engine/explore.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/explore_internal.h"

/* A simulated run takes a fraction of a second, a shrunk schedule some hundred runs. */
#define TRIAL_TIMEOUT_NS (120 * NS_PER_S)
#define SHRINK_TIMEOUT_NS (3600 * NS_PER_S)
/* How often a line of progress is logged where none can be redrawn. */
#define TELL_NS (10 * NS_PER_S)

#define COPY(to, from) snprintf(to, sizeof(to), "%.*s", (int)sizeof(to) - 1, from)

/* --- groups ---------------------------------------------------------------------------------- */

static struct group *group_for(struct explore *explore, const struct violation *violation) {
  for (uint32_t i = 0; i < explore->group_count; i++) {
    struct group *group = &explore->groups[i];
    if (group->checker == violation->checker && strcmp(group->what, violation->what) == 0)
      return group;
  }
  if (explore->group_count == GROUPS_MAX) return NULL;
  struct group *group = &explore->groups[explore->group_count++];
  group->checker = violation->checker;
  COPY(group->what, violation->what);
  return group;
}

/* Keeps those with the fewest faults, the lowest seeds first. Their lengths do not matter here: the
 * longer ones may show it more reliably, and are shortened anyway. */
static void keep_smallest(struct group *group, uint32_t keep, uint64_t seed,
                          const struct schedule *schedule, const char *text) {
  struct candidate *all = group->candidates;
  uint32_t place = group->candidate_count;
  while (place > 0 && schedule->count < all[place - 1].schedule.count) place--;
  if (place >= keep) return;
  if (group->candidate_count < keep) group->candidate_count++;
  memmove(&all[place + 1], &all[place], (group->candidate_count - 1 - place) * sizeof *all);
  all[place] = (struct candidate){.seed = seed, .schedule = *schedule};
  COPY(all[place].text, text);
}

static void take_violation(struct explore *explore, uint64_t seed, const struct schedule *schedule,
                           const struct violation *violation) {
  struct group *group = group_for(explore, violation);
  if (!group) {
    explore->groups_left_out++;
    return;
  }
  if (group->count < SEEDS_SHOWN) group->seeds[group->count] = seed;
  if (group->count++ == 0)
    log_print(explore->spec->log, LOG_INFO, "seed %" PRIu64 ": %s: %s", seed, violation->what,
              violation->text);
  uint32_t keep = explore->spec->shrink_count > 0 ? explore->spec->shrink_count : 1;
  keep_smallest(group, keep, seed, schedule, violation->text);
}

static int compare_groups(const void *left, const void *right) {
  const struct group *a = left, *b = right;
  if (a->checker != b->checker) return a->checker ? -1 : 1;
  return strcmp(a->what, b->what);
}

/* --- the search ------------------------------------------------------------------------------ */

static void take_verdict(struct explore *explore, uint64_t seed,
                         const struct verdict_message *message) {
  struct explore_result *result = &explore->result;
  coverage_add(&explore->coverage, &message->schedule);
  switch (message->verdict) {
    case VERDICT_PASS: result->pass++; break;
    case VERDICT_FAIL: result->fail++; break;
    case VERDICT_UNKNOWN:
      result->unknown++;
      if (explore->unknown_count == REMARKS_MAX) break;
      struct remark *remark = &explore->unknown[explore->unknown_count++];
      remark->seed = seed;
      remark->schedule = message->schedule;
      COPY(remark->text, message->why);
      break;
  }
  for (uint32_t i = 0; i < message->violation_count; i++)
    take_violation(explore, seed, &message->schedule, &message->violations[i]);
}

static void describe_death(const struct batch_outcome *outcome, uint64_t timeout_ns, char *text,
                           size_t size) {
  if (outcome->end == BATCH_FAILED)
    snprintf(text, size, "%.*s", (int)size - 1, outcome->error->message);
  else if (outcome->end == BATCH_HUNG)
    snprintf(text, size, "it did not come to its end within %u s of real time",
             (unsigned)(timeout_ns / NS_PER_S));
  else if (outcome->signal)
    snprintf(text, size, "it died by signal %d (%s)", outcome->signal, strsignal(outcome->signal));
  else
    snprintf(text, size, "it ended with exit code %d", outcome->exit_code);
}

/* A bug in gameday: the schedule is written down, so that it can be looked at. */
static int take_crash(struct explore *explore, uint64_t seed, const struct batch_outcome *outcome,
                      struct error *err) {
  struct remark remark = {.seed = seed};
  explore->result.crashed++;
  int status = schedule_draw(&explore->rules, seed, &remark.schedule, err);
  if (status < 0) return status;
  coverage_add(&explore->coverage, &remark.schedule);
  describe_death(outcome, TRIAL_TIMEOUT_NS, remark.text, sizeof remark.text);
  if (explore->crashed_count == REMARKS_MAX) return 0;
  log_print(explore->spec->log, LOG_ERROR, "seed %" PRIu64 ": the simulation is broken: %s", seed,
            remark.text);
  status = explore_write_remark(explore, "broke the simulation", &remark, err);
  explore->crashed[explore->crashed_count++] = remark;
  return status;
}

static int deliver_verdict(void *data, const struct batch_outcome *outcome, struct error *err) {
  struct explore *explore = data;
  uint64_t seed = explore->spec->first_seed + outcome->index;
  bool failed = outcome->end == BATCH_FAILED && outcome->error->status != STATUS_INTERNAL;
  if (failed) { /* nothing to draw, no room on the disk: it will be the same for the next */
    if (err) *err = *outcome->error;
    return outcome->error->status;
  }
  explore->result.schedules++;
  if (outcome->end != BATCH_DONE) return take_crash(explore, seed, outcome, err);
  take_verdict(explore, seed, outcome->result);
  return 0;
}

static void tell(struct explore *explore, const char *line) {
  struct log *log = explore->spec->log;
  uint64_t now_ns = clock_now_ns(&clock_monotonic);
  if (log->live) {
    log_status(log, line);
  } else if (now_ns - explore->told_ns >= TELL_NS) {
    explore->told_ns = now_ns;
    log_print(log, LOG_INFO, "%s", line);
  }
}

static void tick_search(void *data) {
  struct explore *explore = data;
  const struct explore_result *result = &explore->result;
  char line[256];
  double seconds = (double)(clock_now_ns(&clock_monotonic) - explore->start_ns) / (double)NS_PER_S;
  snprintf(line, sizeof line,
           "%" PRIu64 " schedules, %.1f/s: %" PRIu64 " violate, %" PRIu64
           " unknown; %u of %u kinds, %u of %u pairs",
           result->schedules, seconds > 0 ? (double)result->schedules / seconds : 0, result->fail,
           result->unknown, coverage_kinds(&explore->coverage), explore->coverage.kinds,
           coverage_pairs(&explore->coverage, false),
           explore->coverage.kinds * explore->coverage.kinds);
  tell(explore, line);
}

static int search(struct explore *explore, struct error *err) {
  const struct explore_spec *spec = explore->spec;
  struct batch_spec batch = {.workers = spec->jobs,
                             .count = spec->seed_count,
                             .budget_ns = spec->budget_ns,
                             .job_timeout_ns = TRIAL_TIMEOUT_NS,
                             .result_size = sizeof(struct verdict_message),
                             .job = explore_job_verdict,
                             .deliver = deliver_verdict,
                             .tick = tick_search,
                             .data = explore};
  struct batch_summary summary = {.delivered = 0};
  struct schedule first;
  /* What can never be drawn is found out before anything is started. */
  int status = schedule_draw(&explore->rules, spec->first_seed, &first, err);
  if (status == 0) status = batch_run(&batch, &summary, err);
  explore->result.signal = summary.signal;
  log_status(spec->log, "");
  return status;
}

/* --- shrinking ------------------------------------------------------------------------------- */

static int deliver_shrunk(void *data, const struct batch_outcome *outcome, struct error *err) {
  struct explore *explore = data;
  struct group *group = &explore->groups[outcome->index];
  explore->shrunk_count++;
  if (outcome->end == BATCH_DONE) {
    memcpy(&group->shrunk, outcome->result, sizeof group->shrunk);
    group->is_shrunk = true;
  } else {
    describe_death(outcome, SHRINK_TIMEOUT_NS, group->error, sizeof group->error);
  }
  return explore_write_group(explore, group, err);
}

static void tick_shrink(void *data) {
  struct explore *explore = data;
  char line[128];
  if (!explore->spec->log->live && explore->told_count == explore->shrunk_count) return;
  explore->told_count = explore->shrunk_count;
  snprintf(line, sizeof line, "shrinking: %u of %u kinds of violations are minimal",
           explore->shrunk_count, explore->group_count);
  tell(explore, line);
}

static int shrink_groups(struct explore *explore, struct error *err) {
  const struct explore_spec *spec = explore->spec;
  struct batch_spec batch = {.workers = spec->jobs,
                             .count = explore->group_count,
                             .job_timeout_ns = SHRINK_TIMEOUT_NS,
                             .result_size = sizeof(struct shrunk_message),
                             .job = explore_job_shrink,
                             .deliver = deliver_shrunk,
                             .tick = tick_shrink,
                             .data = explore};
  struct batch_summary summary = {.delivered = 0};
  int status = batch_run(&batch, &summary, err);
  explore->result.signal = summary.signal;
  log_status(spec->log, "");
  return status;
}

/* Everything that was found becomes a file; what an interrupt left no time to shrink, as it was
 * found. */
static int write_found(struct explore *explore, struct error *err) {
  int status = 0;
  for (uint32_t i = 0; i < explore->unknown_count && status == 0; i++)
    status = explore_write_remark(explore, "could not be judged", &explore->unknown[i], err);
  qsort(explore->groups, explore->group_count, sizeof *explore->groups, compare_groups);
  if (status == 0 && explore->spec->shrink_count > 0 && explore->result.signal == 0)
    status = shrink_groups(explore, err);
  for (uint32_t i = 0; i < explore->group_count && status == 0; i++)
    if (!explore->groups[i].path[0])
      status = explore_write_group(explore, &explore->groups[i], err);
  return status;
}

/* --- the whole ------------------------------------------------------------------------------- */

static void release(struct explore *explore) {
  coverage_release(&explore->coverage);
  arena_release(&explore->arena);
}

int explore_run(const struct explore_spec *spec, struct explore_result *ret,
                struct buf *ret_summary, struct error *err) {
  CLEANUP(release) struct explore explore = {.spec = spec};
  explore.start_ns = explore.told_ns = clock_now_ns(&clock_monotonic);
  arena_init(&explore.arena, 0);
  explore.groups = arena_calloc(&explore.arena, GROUPS_MAX, sizeof *explore.groups);
  if (!explore.groups) return error_set(err, STATUS_MEMORY, "out of memory to explore");
  int status =
      schedule_rules_init(&explore.rules, spec->simulated, spec->injectors, &explore.arena, err);
  if (status == 0) status = coverage_init(&explore.coverage, explore.rules.kind_count, err);
  if (status == 0) status = search(&explore, err);
  if (status == 0) status = write_found(&explore, err);
  if (status < 0) return status;
  explore_print_summary(&explore, ret_summary);
  *ret = explore.result;
  return buf_ok(ret_summary, err);
}
