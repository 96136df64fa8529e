/* Explorations with checkers of the test's own, which know what they want: what they convict is
 * found, grouped and made small; a simulation that dies is a result like any other. */
#include <signal.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/explore_internal.h"
#include "support/fake.h"
#include "support/simulated.h"
#include "support/test.h"

/* Convicts what has both a crash and a killed process, cannot decide on two pauses. */
struct picky {
  const struct record_info *info;
};

static uint32_t count_of(const struct record_info *info, const char *injector) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < info->fault_count; i++)
    count += strcmp(info->faults[i].injector, injector) == 0;
  return count;
}

static int picky_begin(void *state, const struct record_info *info, struct error *err) {
  struct picky *it = state;
  (void)err;
  it->info = info;
  return 0;
}

static int picky_item(void *state, const struct record_item *item, struct error *err) {
  (void)state;
  (void)item;
  (void)err;
  return 0;
}

static int picky_finish(void *state, struct finding *finding, struct error *err) {
  const struct picky *it = state;
  const struct measure none = {.name = "data_loss",
                               .unit = UNIT_COUNT,
                               .known = true,
                               .fault = FAULT_NONE,
                               .host = HOST_NONE};
  if (count_of(it->info, "host-crash") > 0 && count_of(it->info, "process-kill") > 0) {
    finding->verdict = VERDICT_FAIL;
    finding->why = "a crash\nand a kill"; /* which must not end a comment */
  } else if (count_of(it->info, "process-pause") > 1) {
    finding->verdict = VERDICT_UNKNOWN;
    finding->why = "two pauses";
  }
  return finding_measure(finding, &none, err);
}

/* The simulation of three faults dies, as a model with a bug would. */
static int deadly_begin(void *state, const struct record_info *info, struct error *err) {
  if (info->fault_count == 3) raise(SIGKILL);
  return picky_begin(state, info, err);
}

/* Nothing is good enough. */
static int bitter_finish(void *state, struct finding *finding, struct error *err) {
  int status = picky_finish(state, finding, err);
  finding->verdict = VERDICT_FAIL;
  finding->why = "it is as it is";
  return status;
}

#define CHECKER(named, begins, finishes)                                                  \
  {                                                                                       \
    .plugin = {.name = named, .summary = "A test's", .state_size = sizeof(struct picky)}, \
    .wants = WANTS_EVENTS, .begin = begins, .item = picky_item, .finish = finishes        \
  }
static const struct checker picky = CHECKER("picky", picky_begin, picky_finish);
static const struct checker deadly = CHECKER("deadly", deadly_begin, picky_finish);
static const struct checker bitter = CHECKER("bitter", picky_begin, bitter_finish);
static const struct checker *const picky_table[] = {&picky, NULL};
static const struct checker *const deadly_table[] = {&deadly, NULL};
static const struct checker *const bitter_table[] = {&bitter, NULL};

struct bench {
  struct simulated_scenario simulated;
  char directory[TEMPORARY_SIZE];
  struct log log;
  struct explore_spec spec;
};

static void bench_init(struct bench *bench, const struct checker *const *table) {
  static const struct scenario_override sets[] = {
      {.path = "workloads", .value = "[{pg-ledger: {rate: 20/s, clients: 2, pinned_rate: 10/s}}]"},
      {.path = "load.minimum", .value = "10"},
      {.path = "objectives", .value = "{data_loss: 0}"},
      {.path = "explore", .value = "{faults: 1..3, window: 10s..3min, for: 1s..5s}"}};
  struct error err = ERROR_INIT;
  *bench = (struct bench){.log = {.level = LOG_ERROR, .fd = STDERR_FILENO}};
  temporary_make(bench->directory);
  assert_ok(simulated_load(&bench->simulated, "scenarios/postgres/primary-crash.yaml", sets,
                           sizeof sets / sizeof *sets, &err),
            &err);
  bench->spec = (struct explore_spec){.scenario = &bench->simulated.scenario,
                                      .simulated = &bench->simulated.scenario,
                                      .injectors = injectors,
                                      .checkers = table,
                                      .first_seed = 1,
                                      .seed_count = 24,
                                      .jobs = 2,
                                      .shrink_count = 2,
                                      .directory = bench->directory,
                                      .log = &bench->log};
}

static void bench_release(struct bench *bench) {
  simulated_release(&bench->simulated);
  temporary_remove(bench->directory);
}

static struct explore_result explore(struct bench *bench, struct buf *summary) {
  struct explore_result result = {.schedules = 0};
  struct error err = ERROR_INIT;
  assert_ok(explore_run(&bench->spec, &result, summary, &err), &err);
  assert_int_equal(result.schedules, bench->spec.seed_count);
  assert_int_equal(result.pass + result.fail + result.unknown + result.crashed, result.schedules);
  return result;
}

static void assert_says(const struct buf *summary, const char *text) {
  if (!strstr(summary->data, text)) fail_msg("no '%s' in\n%s", text, summary->data);
}

/* The path of the first file that the summary names; to be freed. */
static char *first_path(const struct bench *bench, const struct buf *summary) {
  const char *path = strstr(summary->data, bench->directory);
  assert_non_null(path);
  return strndup(path, strcspn(path, "\n"));
}

static void test_what_a_checker_convicts_is_made_small(void **state) {
  struct bench bench;
  struct buf summary, file;
  struct error err = ERROR_INIT;
  (void)state;
  buf_init(&summary);
  buf_init(&file);
  bench_init(&bench, picky_table);
  struct explore_result result = explore(&bench, &summary);
  assert_true(result.fail > 0 && result.unknown > 0 && result.pass > 0);
  assert_int_equal(result.crashed, 0);
  assert_says(&summary, "violated: checker picky in ");
  assert_says(&summary, ", 2 faults, shrunk from ");
  assert_says(&summary, "; with 20 of the 20 seeds after it too\n");
  assert_says(&summary, "    host-crash postgres.primary at ");
  assert_says(&summary, " for 1s\n");
  assert_says(&summary, "not known:\n");
  assert_says(&summary, ": picky: two pauses\n");

  CLEANUP_FREE char *path = first_path(&bench, &summary);
  assert_ok(file_read(path, 1u << 20, &file, &err), &err);
  assert_says(&file, "# Violates checker picky: a crash and a kill\n");
  bench_release(&bench);
  buf_release(&summary);
  buf_release(&file);
}

/* What needs no fault at all is shrunk to none; its file could not be read. */
static void test_what_needs_no_fault_can_be_run_again(void **state) {
  struct bench bench;
  struct simulated_scenario again;
  struct buf summary;
  struct error err = ERROR_INIT;
  (void)state;
  buf_init(&summary);
  bench_init(&bench, bitter_table);
  bench.spec.seed_count = 2;
  (void)explore(&bench, &summary);
  assert_says(&summary, "violated: checker bitter in ");
  assert_says(&summary, ", 0 faults, shrunk from ");
  CLEANUP_FREE char *path = first_path(&bench, &summary);
  assert_ok(simulated_load(&again, path, NULL, 0, &err), &err);
  assert_int_equal(again.scenario.timeline_count, 0);
  assert_true(again.scenario.explore.given);
  assert_int_equal(again.scenario.explore.faults.high, 3);
  simulated_release(&again);
  bench_release(&bench);
  buf_release(&summary);
}

static void test_a_simulation_that_dies_is_a_result(void **state) {
  struct bench bench;
  struct buf once, again;
  (void)state;
  buf_init(&once);
  buf_init(&again);
  bench_init(&bench, deadly_table);
  bench.spec.shrink_count = 0;
  struct explore_result result = explore(&bench, &once);
  assert_true(result.crashed > 0 && result.pass > 0);
  assert_says(&once, "broken simulations (a bug in gameday):\n");
  assert_says(&once, ": it died by signal 9 (Killed)\n");
  bench.spec.jobs = 5;
  (void)explore(&bench, &again);
  assert_string_equal(once.data, again.data);
  bench_release(&bench);
  buf_release(&once);
  buf_release(&again);
}

/* The jobs in this very process, where a sanitizer sees what they leave behind. */
static void test_jobs_leave_nothing_behind(void **state) {
  struct bench bench;
  struct error err = ERROR_INIT;
  CLEANUP_FREE struct group *groups = calloc(1, sizeof *groups);
  CLEANUP_FREE struct verdict_message *message = calloc(1, sizeof *message);
  struct shrunk_message shrunk = {.chosen = 0};
  (void)state;
  assert_true(groups && message);
  bench_init(&bench, picky_table);
  struct explore it = {.spec = &bench.spec, .groups = groups};
  arena_init(&it.arena, 0);
  assert_ok(schedule_rules_init(&it.rules, bench.spec.simulated, injectors, &it.arena, &err), &err);
  for (uint64_t index = 0; message->verdict != VERDICT_FAIL; index++) {
    *message = (struct verdict_message){.violation_count = 0};
    assert_ok(explore_job_verdict(&it, index, bench.directory, message, &err), &err);
    groups->candidates[0].seed = bench.spec.first_seed + index;
  }
  groups->checker = true;
  snprintf(groups->what, sizeof groups->what, "%s", message->violations[0].what);
  groups->candidates[0].schedule = message->schedule;
  groups->candidate_count = 1;
  assert_ok(explore_job_shrink(&it, 0, bench.directory, &shrunk, &err), &err);
  assert_int_equal(shrunk.schedule.count, 2);
  arena_release(&it.arena);
  bench_release(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_a_checker_convicts_is_made_small),
      cmocka_unit_test(test_what_needs_no_fault_can_be_run_again),
      cmocka_unit_test(test_a_simulation_that_dies_is_a_result),
      cmocka_unit_test(test_jobs_leave_nothing_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
