/* Loading, running and judging on the simulator. */
#include "support/simulated.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/interrupt.h"
#include "engine/run.h"

const struct simulated_case simulated_cases[SIMULATED_CASES] = {
    {.path = "scenarios/postgres/primary-crash.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/postgres/primary-crash-sync.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/postgres/primary-process-kill.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/postgres/primary-freeze.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/postgres/manager-freeze.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/postgres/replica-crash.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/postgres/switchover.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/postgres/rolling-restart.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/postgres/streaming-promote.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/network/primary-isolated.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/network/primary-from-replicas.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/aof-always-host-crash.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/aof-always-restart.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/aof-everysec-host-crash.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/aof-everysec-restart.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/cluster-master-crash.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/cluster-minority.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/cluster-shard-loss.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/eviction-allkeys-lru.yaml", .verdict = VERDICT_FAIL},
    {.path = "scenarios/redis/eviction-noeviction.yaml", .verdict = VERDICT_FAIL},
    {.path = "scenarios/redis/eviction-volatile-ttl.yaml", .verdict = VERDICT_FAIL},
    {.path = "scenarios/redis/out-of-memory.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/sentinel-empty-restart.yaml", .verdict = VERDICT_FAIL},
    {.path = "scenarios/redis/sentinel-loss.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/sentinel-primary-crash.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/sentinel-primary-crash-tls.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/sentinel-primary-freeze.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/sentinel-split-min-replicas.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/sentinel-split-wait.yaml", .verdict = VERDICT_PASS},
    {.path = "scenarios/redis/sentinel-split.yaml", .verdict = VERDICT_FAIL},
    {.path = "scenarios/cache/cold-cache.yaml", .verdict = VERDICT_PASS, .no_ledger = true},
    {.path = "scenarios/cache/flush.yaml", .verdict = VERDICT_PASS, .no_ledger = true},
    {.path = "scenarios/cache/stampede-jitter.yaml", .verdict = VERDICT_PASS, .no_ledger = true},
    {.path = "scenarios/cache/stampede-lock.yaml", .verdict = VERDICT_PASS, .no_ledger = true},
    {.path = "scenarios/cache/stampede-none.yaml", .verdict = VERDICT_PASS, .no_ledger = true},
    {.path = "scenarios/cache/stampede-single-flight.yaml",
     .verdict = VERDICT_PASS,
     .no_ledger = true},
    {.path = "scenarios/cache/stampede-stale.yaml", .verdict = VERDICT_PASS, .no_ledger = true},
    {.path = "scenarios/cache/stampede-xfetch.yaml", .verdict = VERDICT_PASS, .no_ledger = true},
};

static int measure_names(const char ***ret_names, struct error *err) {
  size_t count = 0;
  while (measure_table[count].name) count++;
  const char **names = calloc(count + 1, sizeof *names);
  if (!names) return error_set(err, STATUS_MEMORY, "out of memory");
  for (size_t i = 0; i < count; i++) names[i] = measure_table[i].name;
  *ret_names = names;
  return 0;
}

int simulated_load(struct simulated_scenario *it, const char *path,
                   const struct scenario_override *sets, uint32_t count, struct error *err) {
  struct scenario_override all[16] = {{.path = "cluster.provider", .value = "sim"}};
  const char *root = getenv("GAMEDAY_SOURCE");
  char full[PATH_MAX];
  *it = (struct simulated_scenario){.measure_names = NULL};
  if (count + 1 > sizeof all / sizeof *all)
    return error_set(err, STATUS_INTERNAL, "%u overrides are too many", count);
  for (uint32_t i = 0; i < count; i++) all[i + 1] = sets[i];
  int status = path[0] == '/'
                   ? path_format(full, sizeof full, err, "%s", path)
                   : path_format(full, sizeof full, err, "%s/%s", root ? root : ".", path);
  if (status == 0) status = measure_names(&it->measure_names, err);
  if (status < 0) return status;
  const struct scenario_tables tables = {.providers = providers,
                                         .services = services,
                                         .workloads = workloads,
                                         .injectors = injectors,
                                         .measure = measure_lookup,
                                         .measure_missing = measure_missing,
                                         .measure_names = it->measure_names};
  struct scenario_errors *mistakes = calloc(1, sizeof *mistakes);
  if (!mistakes) return error_set(err, STATUS_MEMORY, "out of memory");
  status = scenario_load(full, &tables, all, count + 1, &it->scenario, mistakes, err);
  for (uint32_t i = 0; i < mistakes->count; i++)
    fprintf(stderr, "%s: %s\n", path, mistakes->errors[i].message);
  free(mistakes);
  return status;
}

void simulated_release(struct simulated_scenario *it) {
  scenario_release(&it->scenario);
  free(it->measure_names);
}

int simulated_run(struct simulated *run, const struct simulated_scenario *it, uint64_t seed,
                  const char *directory, struct error *err) {
  struct log log = {.level = LOG_ERROR, .fd = STDERR_FILENO};
  struct interrupt interrupt;
  interrupt_init(&interrupt);
  const struct run_spec spec = {.scenario = &it->scenario,
                                .seed = seed,
                                .run_directory = directory,
                                .cluster_id = "simulated",
                                .log = &log,
                                .interrupt = &interrupt};
  bool measured = false;
  *run = (struct simulated){.open = false};
  int status = run_execute(&spec, &measured, err);
  if (status < 0) return status;
  status = record_open(directory, &run->record, err);
  if (status < 0) return status;
  run->open = true;
  arena_init(&run->arena, 0);
  return judge_run(&run->record, &it->scenario, checkers, &run->arena, &run->result, err);
}

void simulated_close(struct simulated *run) {
  if (!run->open) return;
  record_close(&run->record);
  arena_release(&run->arena);
  run->open = false;
}

const struct measure *simulated_measure(const struct simulated *run, const char *name,
                                        int32_t fault) {
  for (uint32_t i = 0; i < run->result.finding_count; i++) {
    const struct finding *finding = &run->result.findings[i];
    for (uint32_t j = 0; j < finding->measure_count; j++) {
      const struct measure *measure = &finding->measures[j];
      if (strcmp(measure->name, name) == 0 && (fault < FAULT_NONE || measure->fault == fault))
        return measure;
    }
  }
  return NULL;
}
