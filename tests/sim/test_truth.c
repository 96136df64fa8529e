/* Every shipped scenario on the simulator, over many seeds: what is measured is what happened, to
 * the tick and to the row, and it ends as it must. SIM_SEEDS says how many seeds a scenario; where
 * it does not, a hundred, or under sanitizers, which are there for other mistakes and make all of
 * it five times slower, two. `./dev test` runs both. */
#include "support/test.h"
#include "support/truth.h"

#include <glob.h>
#include <limits.h>

#define PATHS SIMULATED_CASES
#define SEEDS SIMULATED_SEEDS(100, 2)

struct result {
  struct truth_check check;
  enum verdict verdict;
  char why[256];
};
struct bench {
  struct simulated_scenario scenarios[PATHS];
  uint64_t compared[PATHS], wrong[PATHS], missed[PATHS], done[PATHS];
};

static int job(void *data, uint64_t index, const char *directory, void *ret, struct error *err) {
  struct bench *bench = data;
  struct result *result = ret;
  struct simulated run;
  int status =
      simulated_run(&run, &bench->scenarios[index % PATHS], index / PATHS + 1, directory, err);
  if (status == 0 && !simulated_cases[index % PATHS].no_ledger)
    status = truth_compare(&run, &result->check, err);
  if (status == 0) {
    result->verdict = run.result.verdict;
    snprintf(result->why, sizeof result->why, "%s", run.result.why ? run.result.why : "");
  }
  simulated_close(&run);
  return status;
}

static int deliver(void *data, const struct batch_outcome *outcome, struct error *err) {
  struct bench *bench = data;
  uint64_t which = outcome->index % PATHS, seed = outcome->index / PATHS + 1;
  int status = simulated_done(outcome, simulated_cases[which].path, seed, err);
  if (status < 0) return status;
  const struct result *result = outcome->result;
  bench->done[which]++;
  bench->compared[which] += result->check.compared;
  if (result->check.wrong > 0 && bench->wrong[which]++ < 3)
    print_message("%s, seed %llu: %s\n", simulated_cases[which].path, (unsigned long long)seed,
                  result->check.text);
  if (result->verdict != simulated_cases[which].verdict && bench->missed[which]++ < 3)
    print_message("%s, seed %llu: %s: %s\n", simulated_cases[which].path, (unsigned long long)seed,
                  verdict_name(result->verdict), result->why);
  return 0;
}

static void test_measured_is_true(void **state) {
  const struct scenario_override sets[] = {{.path = "cluster.sim.truth", .value = "true"}};
  const char *seeds = getenv("SIM_SEEDS");
  struct error err = ERROR_INIT;
  struct bench *bench = calloc(1, sizeof *bench);
  (void)state;
  assert_non_null(bench);
  for (size_t i = 0; i < PATHS; i++)
    assert_ok(simulated_load(&bench->scenarios[i], simulated_cases[i].path, sets,
                             simulated_cases[i].no_ledger ? 0 : 1, &err),
              &err);
  simulated_batch((struct batch_spec){.count = PATHS * (seeds ? strtoull(seeds, NULL, 10) : SEEDS),
                                      .result_size = sizeof(struct result),
                                      .job = job,
                                      .deliver = deliver,
                                      .data = bench});
  uint64_t wrong = 0;
  for (size_t i = 0; i < PATHS; i++) {
    print_message("%-46s %4llu seeds, %6llu values compared, %llu wrong, %llu ended otherwise\n",
                  simulated_cases[i].path, (unsigned long long)bench->done[i],
                  (unsigned long long)bench->compared[i], (unsigned long long)bench->wrong[i],
                  (unsigned long long)bench->missed[i]);
    wrong += bench->wrong[i] + bench->missed[i];
    simulated_release(&bench->scenarios[i]);
  }
  free(bench);
  assert_int_equal(wrong, 0);
}

static bool is_known(const char *path) {
  for (size_t i = 0; i < PATHS; i++)
    if (strcmp(simulated_cases[i].path, path) == 0) return true;
  return false;
}

/* Nobody ships a scenario that is not tried here. */
static void test_every_shipped_scenario(void **state) {
  const char *root = getenv("GAMEDAY_SOURCE");
  char pattern[PATH_MAX];
  glob_t found;
  (void)state;
  if (!root) root = ".";
  snprintf(pattern, sizeof pattern, "%s/scenarios/*/*.yaml", root);
  assert_int_equal(glob(pattern, 0, NULL, &found), 0);
  for (size_t i = 0; i < found.gl_pathc; i++) {
    const char *path = found.gl_pathv[i] + strlen(root) + 1;
    if (!is_known(path)) fail_msg("%s is not among the simulated cases", path);
  }
  assert_int_equal(found.gl_pathc, PATHS);
  globfree(&found);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_shipped_scenario),
                                     cmocka_unit_test(test_measured_is_true)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
