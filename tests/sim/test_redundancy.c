/* Redundancy after a power cut on the simulator, held against what it cannot be earlier than: of
 * two members in synchronous mode the writes wait for the only replica, so they are back first. */
#include "support/simulated.h"
#include "support/test.h"

#define SEEDS 12

struct result {
  double failover_s, redundancy_s;
  bool known;
};
struct bench {
  struct simulated_scenario scenario;
  uint32_t early;
  double least_s, most_s;
};

static int job(void *data, uint64_t index, const char *directory, void *ret, struct error *err) {
  const struct bench *bench = data;
  struct result *result = ret;
  struct simulated run;
  int status = simulated_run(&run, &bench->scenario, index + 1, directory, err);
  if (status == 0) {
    const struct measure *failover = simulated_measure(&run, "failover_time", 0);
    const struct measure *redundancy = simulated_measure(&run, "time_to_full_redundancy", 0);
    result->known = failover && failover->known && redundancy && redundancy->known;
    if (result->known) {
      result->failover_s = failover->value;
      result->redundancy_s = redundancy->value;
    }
  }
  simulated_close(&run);
  return status;
}

static int deliver(void *data, const struct batch_outcome *outcome, struct error *err) {
  struct bench *bench = data;
  int status = simulated_done(outcome, "replica-crash", outcome->index + 1, err);
  if (status < 0) return status;
  const struct result *result = outcome->result;
  /* The replica still has to report what it has, and the answer to travel to the client. */
  bool early =
      !result->known || result->failover_s < 20 || result->redundancy_s < result->failover_s - 0.1;
  if (early)
    print_message("seed %llu: writes back after %.3f s, redundant after %.3f s\n",
                  (unsigned long long)outcome->index + 1, result->failover_s, result->redundancy_s);
  if (early) bench->early++;
  if (result->redundancy_s > bench->most_s) bench->most_s = result->redundancy_s;
  if (bench->least_s <= 0 || result->redundancy_s < bench->least_s)
    bench->least_s = result->redundancy_s;
  return 0;
}

static void test_not_redundant_before_synchronous_writes_return(void **state) {
  (void)state;
  const struct scenario_override sets[] = {
      {.path = "cluster.services.postgres.instances", .value = "2"},
      {.path = "cluster.services.postgres.synchronous_mode", .value = "true"}};
  struct error err = ERROR_INIT;
  struct bench bench = {.early = 0};
  assert_ok(simulated_load(&bench.scenario, "scenarios/postgres/replica-crash.yaml", sets, 2, &err),
            &err);
  simulated_batch((struct batch_spec){.count = SEEDS,
                                      .result_size = sizeof(struct result),
                                      .job = job,
                                      .deliver = deliver,
                                      .data = &bench});
  print_message("%u seeds: redundant after %.1f to %.1f s\n", (unsigned)SEEDS, bench.least_s,
                bench.most_s);
  simulated_release(&bench.scenario);
  assert_int_equal(bench.early, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_not_redundant_before_synchronous_writes_return)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
