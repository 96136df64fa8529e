/* What is known of Redis to go wrong, and how far its settings bound it, over some seeds of the
 * shipped scenarios: docs/track-record.md has the figures of real servers and the sources. */
#include "support/simulated.h"
#include "support/test.h"

#define SEEDS SIMULATED_SEEDS(12, 3)

/* Of every seed, the value of the whole run lies between the two. */
struct known {
  const char *scenario, *measure;
  double least, most;
};
static const struct known table[] = {
    /* The side of two goes on for the whole minute, and loses it all. */
    {"sentinel-split", "loss_ratio.pinned", 0.35, 0.55},
    {"sentinel-split", "loss_ratio.primary", 0.01, 0.15},
    {"sentinel-split", "dual_primary", 60, 80},
    /* max-lag 2 s in whole seconds, looked at every second. */
    {"sentinel-split-min-replicas", "loss_window", 0.5, 4.1},
    {"sentinel-split-min-replicas", "loss_ratio.pinned", 0.001, 0.06},
    {"sentinel-split-wait", "data_loss", 0, 0},
    /* It wakes up as a primary, until the second INFO, 10 s after the first. */
    {"sentinel-primary-freeze", "dual_primary", 8, 13},
    {"sentinel-empty-restart", "loss_ratio", 0.3, 1},
    /* The node timeout is 5 s, and pings go every half of it at the latest. */
    {"cluster-minority", "loss_window", 4.5, 8},
    {"cluster-minority", "dual_primary", 0, 2},
    {"aof-everysec-restart", "data_loss", 0, 0},
    {"aof-everysec-host-crash", "loss_window", 0, 1.2},
    {"aof-always-host-crash", "data_loss", 0, 0},
};
#define ROWS (sizeof table / sizeof *table)

struct result {
  double value;
  bool known;
};
struct bench {
  struct simulated_scenario scenarios[ROWS];
  double least[ROWS], most[ROWS];
  uint32_t outside[ROWS], unknown[ROWS];
};

static int job(void *data, uint64_t index, const char *directory, void *ret, struct error *err) {
  struct bench *bench = data;
  struct result *result = ret;
  uint64_t row = index / SEEDS;
  struct simulated run;
  int status = simulated_run(&run, &bench->scenarios[row], index % SEEDS + 1, directory, err);
  if (status == 0) {
    const struct measure *measure = simulated_measure(&run, table[row].measure, FAULT_NONE);
    result->known = measure && measure->known;
    if (result->known) result->value = measure->value;
  }
  simulated_close(&run);
  return status;
}

static int deliver(void *data, const struct batch_outcome *outcome, struct error *err) {
  struct bench *bench = data;
  uint64_t row = outcome->index / SEEDS;
  int status = simulated_done(outcome, table[row].scenario, outcome->index % SEEDS + 1, err);
  if (status < 0) return status;
  const struct result *result = outcome->result;
  bool first = outcome->index % SEEDS == 0;
  bench->unknown[row] += !result->known;
  bench->outside[row] += result->value < table[row].least || result->value > table[row].most;
  if (first || result->value < bench->least[row]) bench->least[row] = result->value;
  if (first || result->value > bench->most[row]) bench->most[row] = result->value;
  return 0;
}

static void test_known_results_are_reproduced(void **state) {
  struct error err = ERROR_INIT;
  struct bench *bench = calloc(1, sizeof *bench);
  bool all = true;
  (void)state;
  assert_non_null(bench);
  for (size_t i = 0; i < ROWS; i++) {
    char path[128];
    snprintf(path, sizeof path, "scenarios/redis/%s.yaml", table[i].scenario);
    assert_ok(simulated_load(&bench->scenarios[i], path, NULL, 0, &err), &err);
  }
  simulated_batch((struct batch_spec){.count = ROWS * SEEDS,
                                      .result_size = sizeof(struct result),
                                      .job = job,
                                      .deliver = deliver,
                                      .data = bench});
  print_message("%-28s %-20s %20s %22s\n", "scenario", "value", "must be within", "of all seeds");
  for (size_t i = 0; i < ROWS; i++) {
    print_message("%-28s %-20s %9g .. %7g %10.4g .. %8.4g%s\n", table[i].scenario, table[i].measure,
                  table[i].least, table[i].most, bench->least[i], bench->most[i],
                  bench->outside[i] || bench->unknown[i] ? "  <-" : "");
    all = all && bench->outside[i] == 0 && bench->unknown[i] == 0;
    simulated_release(&bench->scenarios[i]);
  }
  free(bench);
  assert_true(all);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_results_are_reproduced)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
