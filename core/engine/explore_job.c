/* What the child processes of an exploration do: one schedule run and judged, or one shrunk. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/explore_internal.h"
#include "engine/shrink.h"
#include "engine/trial.h"

/* Shrinking looks whether a schedule shows the violation with so many seeds beside its own. */
#define SEEDS_COMPARED 4
#define SEEDS_AFTERWARDS 20
#define TRIES_MAX 150

#define COPY(to, from) snprintf(to, sizeof(to), "%.*s", (int)sizeof(to) - 1, (from) ? (from) : "")

static void add_violation(struct verdict_message *message, bool checker, const char *what,
                          const char *text) {
  if (message->violation_count == VIOLATIONS_MAX) return;
  struct violation *violation = &message->violations[message->violation_count++];
  violation->checker = checker;
  COPY(violation->what, what);
  COPY(violation->text, text);
}

static void take_result(const struct run_result *result, struct verdict_message *message) {
  message->verdict = result->verdict;
  COPY(message->why, result->why);
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    if (finding->verdict == VERDICT_FAIL)
      add_violation(message, true, finding->checker->plugin.name, finding->why);
  }
  for (uint32_t i = 0; i < result->objective_count; i++) {
    const struct objective_result *objective = &result->objectives[i];
    if (objective->verdict == VERDICT_FAIL)
      add_violation(message, false, objective->name, objective->why);
  }
}

/* Runs message->schedule with `seed` in the directory, which is made for it and removed again. */
static int run_schedule(const struct explore *explore, uint64_t seed, const char *directory,
                        struct verdict_message *message, struct error *err) {
  CLEANUP(arena_release) struct arena arena;
  struct scenario scenario;
  struct trial trial;
  struct error why = ERROR_INIT;
  arena_init(&arena, 0);
  int status = schedule_apply(&explore->rules, &message->schedule, seed, explore->spec->simulated,
                              &arena, &scenario, err);
  if (status == 0) status = directory_make(directory, 0700, err);
  if (status < 0) return status;
  struct trial_spec spec = {.scenario = &scenario,
                            .seed = seed,
                            .directory = directory,
                            .checkers = explore->spec->checkers};
  status = trial_run(&spec, &trial, &why);
  if (status == 0) take_result(&trial.result, message);
  trial_release(&trial);
  int removed = directory_remove(directory, err);
  if (removed < 0) return removed;
  if (status == STATUS_MEMORY || status == STATUS_INTERNAL) {
    if (err) *err = why;
    return status;
  }
  if (status < 0) {
    message->verdict = VERDICT_UNKNOWN;
    COPY(message->why, why.message);
  }
  return 0;
}

int explore_job_verdict(void *data, uint64_t index, const char *directory, void *ret_message,
                        struct error *err) {
  const struct explore *explore = data;
  struct verdict_message *message = ret_message;
  uint64_t seed = explore->spec->first_seed + index;
  int status = schedule_draw(&explore->rules, seed, &message->schedule, err);
  if (status < 0) return status;
  return run_schedule(explore, seed, directory, message, err);
}

/* --- shrinking ------------------------------------------------------------------------------- */

struct shrinking {
  const struct explore *explore;
  const struct group *group;
  uint64_t seed;
  const char *directory;
  char text[200]; /* of the last time it was violated */
};

/* Whether the group's violation shows with `seed`. */
static int is_violated(struct shrinking *shrinking, const struct schedule *schedule, uint64_t seed,
                       bool *ret_violated, struct error *err) {
  struct verdict_message message = {.schedule = *schedule};
  int status = run_schedule(shrinking->explore, seed, shrinking->directory, &message, err);
  *ret_violated = false;
  for (uint32_t i = 0; status == 0 && i < message.violation_count; i++) {
    const struct violation *violation = &message.violations[i];
    if (violation->checker != shrinking->group->checker ||
        strcmp(violation->what, shrinking->group->what) != 0)
      continue;
    *ret_violated = true;
    memcpy(shrinking->text, violation->text, sizeof shrinking->text);
  }
  return status;
}

/* How many of the `count` seeds after its own show it too; gives up when `least` cannot be reached
 * any more. */
static int count_others(struct shrinking *shrinking, const struct schedule *schedule,
                        uint32_t count, uint32_t least, uint32_t *ret_shown, struct error *err) {
  uint32_t shown = 0;
  int status = 0;
  for (uint32_t i = 1; i <= count && status == 0 && shown + (count - i) + 1 >= least; i++) {
    bool violated = false;
    status = is_violated(shrinking, schedule, shrinking->seed + i, &violated, err);
    shown += violated;
  }
  *ret_shown = shown;
  return status;
}

static int score(void *data, const struct schedule *schedule, uint32_t least, uint32_t *ret_score,
                 struct error *err) {
  struct shrinking *shrinking = data;
  bool violated = false;
  uint32_t others = 0;
  *ret_score = 0;
  int status = is_violated(shrinking, schedule, shrinking->seed, &violated, err);
  if (status < 0 || !violated) return status;
  status = count_others(shrinking, schedule, SEEDS_COMPARED, least - 1, &others, err);
  *ret_score = 1 + others;
  return status;
}

/* Of the candidates with the fewest faults, the one that shows it most reliably. */
static int choose(struct shrinking *shrinking, const struct group *group, uint32_t *ret_chosen,
                  struct error *err) {
  uint32_t best = 0;
  int status = 0;
  for (uint32_t i = 0; i < group->candidate_count && status == 0 && best <= SEEDS_COMPARED; i++) {
    const struct candidate *candidate = &group->candidates[i];
    uint32_t shown = 0;
    if (candidate->schedule.count > group->candidates[0].schedule.count) break;
    shrinking->seed = candidate->seed;
    status = score(shrinking, &candidate->schedule, best + 1, &shown, err);
    if (status < 0 || shown <= best) continue;
    best = shown;
    *ret_chosen = i;
  }
  shrinking->seed = group->candidates[*ret_chosen].seed;
  return status;
}

int explore_job_shrink(void *data, uint64_t index, const char *directory, void *ret_message,
                       struct error *err) {
  const struct explore *explore = data;
  const struct group *group = &explore->groups[index];
  struct shrunk_message *message = ret_message;
  char below[PATH_MAX];
  struct shrinking shrinking = {.explore = explore, .group = group, .directory = below};
  struct shrink_spec spec = {
      .rules = &explore->rules, .tries_max = TRIES_MAX, .score = score, .data = &shrinking};
  int status = path_format(below, sizeof below, err, "%s/run", directory);
  if (status == 0) status = choose(&shrinking, group, &message->chosen, err);
  message->schedule = group->candidates[message->chosen].schedule;
  if (status == 0) status = shrink_schedule(&spec, &message->schedule, &message->tries, err);
  bool violated = false;
  message->seeds = SEEDS_AFTERWARDS;
  if (status == 0)
    status = count_others(&shrinking, &message->schedule, message->seeds, 0, &message->shown, err);
  if (status == 0)
    status = is_violated(&shrinking, &message->schedule, shrinking.seed, &violated, err);
  if (status == 0 && !violated)
    status = error_set(err, STATUS_INTERNAL, "the same seed did not give the same run");
  memcpy(message->text, shrinking.text, sizeof message->text);
  return status;
}
