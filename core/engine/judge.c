/* From findings and objectives to a verdict, for one run and for repeats. */
#include "engine/judge.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "engine/judge_internal.h"

/* Beyond this, latencies are the harness's own; the checker `load` says so too. */
#define HARNESS_DELAY_MAX_S 1.0

/* What no user would knowingly accept: these are objectives of every run in which they apply,
 * unless the scenario itself has a say on the matter. */
struct standing {
  struct scenario_objective objective;
  const char *const *ruled_by; /* the scenario names one of these (or a value below one) */
};

static const char *const says_dual_primary[] = {"dual_primary", NULL};
static const char *const says_loss[] = {"lost_after_fault", "loss_window", "data_loss", NULL};

/* Two hosts that acknowledge writes at once break every promise of a cluster with one primary. A
 * crash may take what replicas had not received yet (recovery_point bounds that); what is
 * acknowledged after the fault and then lost was written into the void. */
static const struct standing standings[] = {
    {.objective = {.name = "dual_primary",
                   .statistic = "max",
                   .text = "<= 0s (of every run)",
                   .unit = UNIT_DURATION},
     .ruled_by = says_dual_primary},
    {.objective = {.name = "lost_after_fault",
                   .statistic = "max",
                   .text = "<= 0 (of every run)",
                   .unit = UNIT_COUNT},
     .ruled_by = says_loss},
};
#define STANDING_COUNT (sizeof standings / sizeof *standings)

const struct scenario_objective *judge_standing(uint32_t index) {
  return index < STANDING_COUNT ? &standings[index].objective : NULL;
}

static const struct measure *find_measure(const struct run_result *run, const char *name) {
  for (uint32_t f = 0; f < run->finding_count; f++)
    for (uint32_t m = 0; m < run->findings[f].measure_count; m++)
      if (strcmp(run->findings[f].measures[m].name, name) == 0)
        return &run->findings[f].measures[m];
  return NULL;
}

static bool is_below(const char *name, const char *of) {
  size_t length = strlen(of);
  return strncmp(name, of, length) == 0 && (name[length] == '\0' || name[length] == '.');
}

/* A standing objective applies where there was something to measure and the scenario has no say. */
static bool applies(const struct standing *standing, const struct scenario *scenario,
                    const struct run_result *runs, uint32_t run_count) {
  for (uint32_t i = 0; scenario && i < scenario->objective_count; i++)
    for (const char *const *name = standing->ruled_by; *name; name++)
      if (is_below(scenario->objectives[i].name, *name)) return false;
  for (uint32_t r = 0; r < run_count; r++) {
    const struct measure *measure = find_measure(&runs[r], standing->objective.name);
    if (measure && !measure->not_applicable) return true;
  }
  return false;
}

static int judge_objectives(const struct scenario *scenario, const struct run_result *runs,
                            uint32_t run_count, struct arena *arena,
                            const struct objective_result **ret_objectives, uint32_t *ret_count,
                            struct error *err) {
  uint32_t given = scenario ? scenario->objective_count : 0, count = 0;
  struct objective_result *results =
      arena_calloc(arena, (size_t)given + STANDING_COUNT, sizeof *results);
  if (!results) return error_set(err, STATUS_MEMORY, "out of memory for objectives");
  for (uint32_t i = 0; i < given + STANDING_COUNT; i++) {
    const struct standing *standing = i < given ? NULL : &standings[i - given];
    if (standing && !applies(standing, scenario, runs, run_count)) continue;
    const struct scenario_objective *objective =
        standing ? &standing->objective : &scenario->objectives[i];
    int status = judge_objective(objective, runs, run_count, arena, &results[count], err);
    if (status < 0) return status;
    count++;
  }
  *ret_objectives = results;
  *ret_count = count;
  return 0;
}

/* --- the verdict ----------------------------------------------------------------------------- */

/* The highest verdict so far and one sentence for it. */
struct summary {
  struct arena *arena;
  enum verdict verdict;
  const char *why;
  bool no_memory;
};

static void raise(struct summary *summary, enum verdict verdict, const char *who, const char *why) {
  if (verdict <= summary->verdict) return;
  summary->verdict = verdict;
  summary->why = arena_printf(summary->arena, "%s: %s", who, why ? why : "no reason was given");
  summary->no_memory = summary->no_memory || !summary->why;
}

static void add_objectives(struct summary *summary, const struct objective_result *objectives,
                           uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    raise(summary, objectives[i].verdict, objectives[i].name, objectives[i].why);
}

static void add_findings(struct summary *summary, const struct run_result *run) {
  for (uint32_t i = 0; i < run->finding_count; i++)
    raise(summary, run->findings[i].verdict, run->findings[i].checker->plugin.name,
          run->findings[i].why);
}

static int close_summary(const struct summary *summary, struct run_result *ret, struct error *err) {
  if (summary->no_memory) return error_set(err, STATUS_MEMORY, "out of memory for a verdict");
  ret->verdict = summary->verdict;
  ret->why = summary->why ? summary->why : "every objective was met";
  if (!summary->why && ret->objective_count == 0) ret->why = "nothing was found wrong";
  return 0;
}

/* Why the measuring itself failed; NULL: it did not. */
static const char *why_untrusted(const struct record *record, const struct run_result *run,
                                 struct arena *arena) {
  if (!record->finished)
    return arena_printf(arena, "the run did not come to its end%s%s",
                        record->stopped_because ? ": " : "",
                        record->stopped_because ? record->stopped_because : "");
  if (record->damage) return record->damage;
  if (record->dropped > 0)
    return arena_printf(arena, "%" PRIu64 " elements did not fit into the record", record->dropped);
  const struct measure *delay = find_measure(run, "harness_delay.max");
  if (delay && delay->known && delay->value > HARNESS_DELAY_MAX_S)
    return arena_printf(arena, "the harness itself was starved: its timers fired up to %.2f s late",
                        delay->value);
  return NULL;
}

int judge_run(const struct record *record, const struct scenario *scenario,
              const struct checker *const *table, struct arena *arena, struct run_result *ret,
              struct error *err) {
  struct run_result run = {.run_directory = record->directory,
                           .scenario = record->scenario,
                           .scenario_file = record->scenario_file,
                           .provider = record->provider,
                           .seed = record->seed,
                           .wall_start_ns = record->wall_start_ns,
                           .duration_s = (double)record->info.end_ns / (double)NS_PER_S,
                           .changed = record->changed,
                           .info = record->info,
                           .settings_json = record->settings_json,
                           .versions_json = record->versions_json};
  struct finding *findings = NULL;
  int status = record_count(record, &run.writes, &run.reads, err);
  if (status == 0) status = record_check(record, table, arena, &findings, &run.finding_count, err);
  if (status < 0) return status;
  run.findings = findings;
  status = judge_objectives(scenario, &run, 1, arena, &run.objectives, &run.objective_count, err);
  if (status < 0) return status;
  struct summary summary = {.arena = arena};
  const char *untrusted = why_untrusted(record, &run, arena);
  run.trusted = untrusted == NULL;
  /* First of its rank: what follows from it is not the reason. */
  if (untrusted) raise(&summary, VERDICT_UNKNOWN, "record", untrusted);
  if (!run.changed) {
    add_objectives(&summary, run.objectives, run.objective_count);
    add_findings(&summary, &run);
  }
  status = close_summary(&summary, &run, err);
  if (status == 0) *ret = run;
  return status;
}

/* The repeats whose record is what was written. */
static int keep_unchanged(const struct run_result *repeats, uint32_t count, struct arena *arena,
                          struct run_result **ret_kept, uint32_t *ret_count, struct error *err) {
  struct run_result *kept = arena_calloc(arena, count, sizeof *kept);
  uint32_t kept_count = 0;
  if (!kept) return error_set(err, STATUS_MEMORY, "out of memory for %u repeats", count);
  for (uint32_t i = 0; i < count; i++)
    if (!repeats[i].changed) kept[kept_count++] = repeats[i];
  *ret_kept = kept;
  *ret_count = kept_count;
  return 0;
}

/* What cannot be trusted in any of the repeats comes first: the rest may follow from it. */
static void add_untrusted(struct summary *summary, const struct run_result *repeats,
                          uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    const struct run_result *run = &repeats[i];
    char who[32];
    if (run->trusted) continue;
    snprintf(who, sizeof who, "repeat %" PRIu32, run->repeat ? run->repeat : i + 1);
    raise(summary, VERDICT_UNKNOWN, who,
          run->verdict == VERDICT_UNKNOWN ? run->why : "the measuring itself failed");
    if (count == 1 && run->verdict == VERDICT_UNKNOWN) summary->why = run->why; /* not "repeat 1" */
  }
}

static enum verdict verdict_of_findings(const struct run_result *run) {
  enum verdict verdict = VERDICT_PASS;
  for (uint32_t i = 0; i < run->finding_count; i++)
    if (run->findings[i].verdict > verdict) verdict = run->findings[i].verdict;
  return verdict;
}

/* The repeat whose findings are shown beside the verdict: the worst; but where objectives over all
 * repeats do not give the verdict, one whose findings do. What the worst one missed alone may have
 * been met by the median, and then nothing of it would say why. */
static const struct run_result *find_shown(const struct run_result *repeats, uint32_t count,
                                           enum verdict verdict, const struct run_result *judged) {
  const struct run_result *worst = &repeats[0], *telling = NULL;
  for (uint32_t i = 0; i < judged->objective_count; i++)
    if (judged->objectives[i].verdict == verdict) verdict = VERDICT_PASS;
  for (uint32_t i = 0; i < count; i++) {
    const struct run_result *run = &repeats[i];
    bool tells = !run->changed && verdict_of_findings(run) == verdict;
    if (run->verdict > worst->verdict) worst = run;
    if (tells && (!telling || run->verdict > telling->verdict)) telling = run;
  }
  return verdict != VERDICT_PASS && telling ? telling : worst;
}

int judge_repeats(const struct run_result *repeats, uint32_t count, const struct scenario *scenario,
                  struct arena *arena, struct run_result *ret, struct error *err) {
  assert(count > 0);
  uint32_t kept_count = 0;
  struct run_result *kept = NULL, judged = {.objective_count = 0};
  struct summary summary = {.arena = arena};
  int status = keep_unchanged(repeats, count, arena, &kept, &kept_count, err);
  if (status == 0 && kept_count > 0)
    status = judge_objectives(scenario, kept, kept_count, arena, &judged.objectives,
                              &judged.objective_count, err);
  if (status < 0) return status;
  add_untrusted(&summary, repeats, count);
  add_objectives(&summary, judged.objectives, judged.objective_count);
  for (uint32_t i = 0; i < kept_count; i++) add_findings(&summary, &kept[i]);
  struct run_result result = *find_shown(repeats, count, summary.verdict, &judged);
  if (kept_count > 0) {
    result.objectives = judged.objectives;
    result.objective_count = judged.objective_count;
  }
  for (uint32_t i = 0; i < count; i++) result.trusted = result.trusted && repeats[i].trusted;
  status = close_summary(&summary, &result, err);
  if (status == 0) *ret = result;
  return status;
}
