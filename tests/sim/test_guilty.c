/* Clusters with one named bug built in: the checker that is there for it must convict each, with a
 * witness that a person can follow where there is one, and must acquit the innocent twin: the same
 * scenario, the same seed, without the bug. Prints the table. */
#include "support/simulated.h"
#include "support/test.h"

#define SEEDS SIMULATED_SEEDS(8, 3)

/* A bug, where it is looked for (below scenarios/), and the value that must give it away: above
 * `most`. `minus`: less this value; NULL: as it is, "-": its opposite. */
struct guilty {
  const char *bug, *scenario, *measure, *minus;
  double most;
  const char *witness;      /* kind of witness; NULL: the value speaks for itself */
  const char *path, *value; /* an override that both twins need; NULL: none */
};
static const struct guilty table[] = {
    {"early-ack", "postgres/primary-crash-sync", "data_loss", NULL, 0, "lost", NULL, NULL},
    /* Its twin answers what had been sent before it was frozen: milliseconds. */
    {"two-primaries", "postgres/primary-freeze", "dual_primary", NULL, 1, "dual_primary", NULL,
     NULL},
    {"stale-read", "postgres/primary-crash", "replication_lag.p99", NULL, 5, NULL, NULL, NULL},
    {"resurrected", "postgres/primary-crash", "phantom", NULL, 0, "phantom", NULL, NULL},
    {"corrupt", "postgres/primary-crash", "corrupt", NULL, 0, "corrupt", NULL, NULL},
    {"duplicate", "postgres/primary-crash", "duplicate", NULL, 0, "duplicate", NULL, NULL},
    /* The first success is not recovery: it served for a moment and fell silent for 5 s. */
    {"flapping", "postgres/primary-crash", "failover_time", "promotion_time", 4, "failover", NULL,
     NULL},
    {"blink", "postgres/primary-process-kill", "write_outage.count", NULL, 1, "write_outage",
     "measure.outage_min", "20ms"},
    {"loss-at-heal", "postgres/primary-crash", "lost_after_fault", NULL, 0, "lost", NULL, NULL},
    {"stale-read", "postgres/switchover", "staleness.p99", NULL, 5, NULL, NULL, NULL},
    {"slow", "postgres/primary-crash", "brownout", NULL, 8, "brownout", "measure.latency_bound",
     "20ms"},
    {"unsynced", "postgres/primary-crash-sync", "sync_degraded", NULL, 30, "sync_degraded", NULL,
     NULL},
    {"immune", "postgres/primary-process-kill", "faults_confirmed", "-", -0.5, "unconfirmed", NULL,
     NULL},
    {"flapping", "redis/cluster-master-crash", "slots_unserved.sum", "promotion_time", 4,
     "slots_unserved", NULL, NULL},
    {"early-ack", "redis/aof-always-restart", "data_loss", NULL, 0, "lost", NULL, NULL},
    /* Its twin takes no writes for 2 s after its start, and learns by then who has replaced it. */
    {"two-primaries", "redis/cluster-master-crash", "dual_primary", NULL, 1, "dual_primary", NULL,
     NULL},
    {"stale-read", "redis/cluster-master-crash", "replication_lag.p99", NULL, 5, NULL, NULL, NULL},
    {"resurrected", "redis/sentinel-primary-crash", "phantom", NULL, 0, "phantom", NULL, NULL},
    {"corrupt", "redis/sentinel-primary-crash", "corrupt", NULL, 0, "corrupt", NULL, NULL},
    {"flapping", "redis/sentinel-primary-crash", "failover_time", "promotion_time", 4, "failover",
     NULL, NULL},
    {"blink", "redis/aof-everysec-host-crash", "write_outage.count", NULL, 1, "write_outage",
     "measure.outage_min", "20ms"},
    {"evict-any", "redis/eviction-noeviction", "sessions_lost", NULL, 0, "session_lost", NULL,
     NULL},
    /* Its twin evicts sessions, then refuses: entries without a time to live stay. */
    {"evict-any", "redis/eviction-volatile-ttl", "cache_evicted", NULL, 0, NULL,
     "workloads[0].session-store.cache_ttl", "0s"},
};
#define ROWS (sizeof table / sizeof *table)
#define JOBS (ROWS * SEEDS * 2)

struct result {
  char checker[32]; /* that gave the value */
  double value;
  bool known, witnessed;
  enum verdict verdict;
};
struct bench {
  struct simulated_scenario scenarios[ROWS][2]; /* innocent, guilty */
  uint32_t convicted[ROWS], acquitted[ROWS], unwitnessed[ROWS];
  double least[ROWS], most[ROWS];
  char checkers[ROWS][32]; /* that convicted */
};

/* `ret_checker`: who gave it. */
static double largest(const struct simulated *run, const char *name, bool *ret_known,
                      char ret_checker[32]) {
  double value = 0;
  *ret_known = false;
  for (uint32_t i = 0; i < run->result.finding_count; i++) {
    const struct finding *finding = &run->result.findings[i];
    for (uint32_t j = 0; j < finding->measure_count; j++) {
      const struct measure *measure = &finding->measures[j];
      if (strcmp(measure->name, name) != 0 || !measure->known) continue;
      *ret_known = true;
      snprintf(ret_checker, 32, "%.31s", finding->checker->plugin.name);
      if (measure->value > value) value = measure->value;
    }
  }
  return value;
}

static bool has_witness(const struct simulated *run, const char *what) {
  for (uint32_t i = 0; i < run->result.finding_count; i++)
    for (uint32_t j = 0; j < run->result.findings[i].witness_count; j++)
      if (strcmp(run->result.findings[i].witnesses[j].what, what) == 0) return true;
  return false;
}

static int job(void *data, uint64_t index, const char *directory, void *ret, struct error *err) {
  struct bench *bench = data;
  struct result *result = ret;
  uint64_t row = index / (SEEDS * 2), seed = index / 2 % SEEDS + 1;
  struct simulated run;
  int status = simulated_run(&run, &bench->scenarios[row][index % 2], seed, directory, err);
  if (status == 0) {
    bool known = true;
    char other[32];
    result->value = largest(&run, table[row].measure, &result->known, result->checker);
    if (table[row].minus && strcmp(table[row].minus, "-") == 0)
      result->value = -result->value;
    else if (table[row].minus)
      result->value -= largest(&run, table[row].minus, &known, other);
    result->known = result->known && known;
    result->witnessed = !table[row].witness || has_witness(&run, table[row].witness);
    result->verdict = run.result.verdict;
  }
  simulated_close(&run);
  return status;
}

static int deliver(void *data, const struct batch_outcome *outcome, struct error *err) {
  struct bench *bench = data;
  uint64_t row = outcome->index / (SEEDS * 2);
  int status = simulated_done(outcome, table[row].bug, outcome->index / 2 % SEEDS + 1, err);
  if (status < 0) return status;
  const struct result *result = outcome->result;
  bool above = result->known && result->value > table[row].most;
  if (outcome->index % 2 == 0) {
    bench->acquitted[row] += result->known && !above;
    if (bench->acquitted[row] == 1 || result->value > bench->most[row])
      bench->most[row] = result->value;
  } else {
    bench->convicted[row] += above;
    if (above) memcpy(bench->checkers[row], result->checker, sizeof result->checker);
    bench->unwitnessed[row] += above && !result->witnessed;
    if (bench->convicted[row] == 1 || result->value < bench->least[row])
      bench->least[row] = result->value;
  }
  return 0;
}

static void load(struct bench *bench) {
  struct error err = ERROR_INIT;
  for (size_t i = 0; i < ROWS; i++) {
    char path[128];
    snprintf(path, sizeof path, "scenarios/%s.yaml", table[i].scenario);
    for (int guilty = 0; guilty < 2; guilty++) {
      struct scenario_override sets[2] = {
          {.path = "cluster.sim.guilty", .value = guilty ? table[i].bug : "no"},
          {.path = table[i].path, .value = table[i].value}};
      assert_ok(
          simulated_load(&bench->scenarios[i][guilty], path, sets, table[i].path ? 2 : 1, &err),
          &err);
    }
  }
}

/* What `load` convicts is the harness; `stampede`, caches without a remedy: test_cache.py. */
static bool all_checkers_convict(const struct bench *bench) {
  bool all = true;
  for (size_t c = 0; checkers[c]; c++) {
    const char *name = checkers[c]->plugin.name;
    bool convicts = strcmp(name, "load") == 0 || strcmp(name, "stampede") == 0;
    for (size_t i = 0; i < ROWS && !convicts; i++) convicts = strcmp(bench->checkers[i], name) == 0;
    if (!convicts) print_message("the checker %s has convicted nobody\n", name);
    all = all && convicts;
  }
  return all;
}

static void test_guilty_are_convicted_and_twins_acquitted(void **state) {
  struct bench *bench = calloc(1, sizeof *bench);
  (void)state;
  assert_non_null(bench);
  load(bench);
  simulated_batch((struct batch_spec){.count = JOBS,
                                      .result_size = sizeof(struct result),
                                      .job = job,
                                      .deliver = deliver,
                                      .data = bench});
  print_message("%-14s %-28s %-20s %10s %10s %18s %18s\n", "bug", "scenario", "value", "convicted",
                "acquitted", "least when guilty", "most when not");
  bool all = true;
  for (size_t i = 0; i < ROWS; i++) {
    print_message("%-14s %-28s %-20s %7u/%u %8u/%u %18g %18g%s\n", table[i].bug, table[i].scenario,
                  table[i].measure, bench->convicted[i], SEEDS, bench->acquitted[i], SEEDS,
                  bench->least[i], bench->most[i],
                  bench->unwitnessed[i] ? "  without a witness" : "");
    all = all && bench->convicted[i] == SEEDS && bench->acquitted[i] == SEEDS &&
          bench->unwitnessed[i] == 0;
    for (int guilty = 0; guilty < 2; guilty++) simulated_release(&bench->scenarios[i][guilty]);
  }
  bool by_all = all_checkers_convict(bench);
  free(bench);
  assert_true(all && by_all);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_guilty_are_convicted_and_twins_acquitted)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
