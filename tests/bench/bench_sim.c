/* How fast the simulator is: virtual seconds and operations a second of one core, for primary-crash
 * as it is shipped and under more load, and for the crash of a master of Redis Clusters of up to
 * 1,000 hosts, everything recorded; and how both, and memory, grow with hosts and clients. Each in
 * a process of its own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/batch.h"
#include "engine/interrupt.h"
#include "engine/run.h"
#include "support/simulated.h"

#define CRASH "scenarios/postgres/primary-crash.yaml"
#define CLUSTER "scenarios/redis/cluster-master-crash.yaml"

struct load {
  const char *name, *scenario;
  struct scenario_override sets[10];
  uint32_t count;
};

/* A master of so many, each with a replica, loses power for 15 s; 20 operations a second and shard,
 * so that there is something to say of each. */
#define CLUSTER_OF(name, masters, rate, clients)                             \
  {                                                                          \
    name, CLUSTER,                                                           \
        {{.path = "cluster.services.redis.masters", .value = masters},       \
         {.path = "workloads[0].redis-ledger.rate", .value = rate},          \
         {.path = "workloads[0].redis-ledger.clients", .value = clients},    \
         {.path = "workloads[0].redis-ledger.pinned_rate", .value = "10/s"}, \
         {.path = "workloads[0].redis-ledger.heartbeat", .value = "500ms"},  \
         {.path = "timeline[0].at", .value = "5s"},                          \
         {.path = "timeline[0].for", .value = "15s"},                        \
         {.path = "load.warmup", .value = "2s"}},                            \
        8                                                                    \
  }

static const struct load loads[] = {
    {"as shipped: 3 hosts, 200/s", CRASH, {{.path = NULL}}, 0},
    {"3 hosts, 20,000/s, 64 clients",
     CRASH,
     {{.path = "workloads[0].pg-ledger.rate", .value = "20000/s"},
      {.path = "workloads[0].pg-ledger.clients", .value = "64"}},
     2},
    {"5 hosts, 20,000/s, 64 clients",
     CRASH,
     {{.path = "workloads[0].pg-ledger.rate", .value = "20000/s"},
      {.path = "workloads[0].pg-ledger.clients", .value = "64"},
      {.path = "cluster.services.postgres.instances", .value = "5"}},
     3},
    {"7 hosts, 20,000/s, 64 clients",
     CRASH,
     {{.path = "workloads[0].pg-ledger.rate", .value = "20000/s"},
      {.path = "workloads[0].pg-ledger.clients", .value = "64"},
      {.path = "cluster.services.postgres.instances", .value = "7"}},
     3},
    CLUSTER_OF("6 hosts, 60/s", "3", "60/s", "12"),
    CLUSTER_OF("30 hosts, 300/s", "15", "300/s", "60"),
    CLUSTER_OF("300 hosts, 3,000/s", "150", "3000/s", "60"),
    CLUSTER_OF("1,000 hosts, 10,000/s", "500", "10000/s", "100"),
    {"6 hosts, 20,000/s, 100,000 clients",
     CLUSTER,
     {{.path = "workloads[0].redis-ledger.rate", .value = "20000/s"},
      {.path = "workloads[0].redis-ledger.clients", .value = "100000"},
      {.path = "cluster.services.redis.maxclients", .value = "110000"},
      {.path = "timeline[0].at", .value = "5s"},
      {.path = "timeline[0].for", .value = "15s"},
      {.path = "load.warmup", .value = "2s"}},
     6},
};

static double cpu_s(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static double memory_mib(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_maxrss / 1024;
}

/* What the record says, as a run of the command line judges it. */
static int judge(const struct load *load, const struct scenario *scenario, const char *directory,
                 double run_s, struct error *err) {
  struct record record;
  double began_s = cpu_s();
  int status = record_open(directory, &record, err);
  if (status < 0) return status;
  struct arena arena;
  struct run_result result;
  arena_init(&arena, 0);
  status = judge_run(&record, scenario, checkers, &arena, &result, err);
  if (status == 0) {
    double virtual_s = (double)record.info.end_ns * 1e-9;
    printf("%-36s %10.0f %11llu %7.2f %9.1f %12.0f %8.2f %9.0f  %s\n", load->name, virtual_s,
           (unsigned long long)record.operations_written, run_s, virtual_s / run_s,
           (double)record.operations_written / run_s, cpu_s() - began_s, memory_mib(),
           verdict_name(result.verdict));
    if (result.verdict != VERDICT_PASS) printf("  %s\n", result.why);
  }
  arena_release(&arena);
  record_close(&record);
  return status;
}

static int measure(const struct load *load, struct error *err) {
  struct simulated_scenario scenario;
  int status = simulated_load(&scenario, load->scenario, load->sets, load->count, err);
  if (status < 0) return status;
  char directory[256];
  snprintf(directory, sizeof directory, "%s/gameday-bench-XXXXXX", batch_scratch_base());
  if (!mkdtemp(directory)) return error_set(err, STATUS_SYSTEM, "cannot make %s", directory);
  struct log log = {.level = LOG_ERROR, .fd = STDERR_FILENO};
  struct interrupt interrupt;
  interrupt_init(&interrupt);
  const struct run_spec spec = {.scenario = &scenario.scenario,
                                .seed = 1,
                                .run_directory = directory,
                                .cluster_id = "simulated",
                                .log = &log,
                                .interrupt = &interrupt};
  bool measured = false;
  double began_s = cpu_s();
  status = run_execute(&spec, &measured, err);
  double took_s = cpu_s() - began_s;
  if (status == 0) status = judge(load, &scenario.scenario, directory, took_s, err);
  struct error late = ERROR_INIT;
  int removed = directory_remove(directory, status == 0 ? err : &late);
  if (status == 0) status = removed;
  simulated_release(&scenario);
  return status;
}

/* In a child: the peak of its memory is its own. */
static bool measure_apart(const struct load *load) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    struct error err = ERROR_INIT;
    int status = measure(load, &err);
    if (status < 0) fprintf(stderr, "bench: %s\n", err.message);
    fflush(stdout);
    _exit(status < 0);
  }
  int result = 0;
  return child > 0 && waitpid(child, &result, 0) == child && WIFEXITED(result) &&
         WEXITSTATUS(result) == 0;
}

int main(int argc, char **argv) {
  printf("%-36s %10s %11s %7s %9s %12s %8s %9s  %s\n", "crash of a primary", "virtual s",
         "operations", "CPU s", "virtual/s", "operations/s", "judged s", "peak MiB", "verdict");
  const char *scenario = "";
  for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
    if (argc > 1 && !strstr(loads[i].name, argv[1])) continue; /* those of that name */
    if (strcmp(scenario, loads[i].scenario) != 0) printf("%s\n", loads[i].scenario);
    scenario = loads[i].scenario;
    if (!measure_apart(&loads[i])) return 1;
  }
  printf(
      "CPU s: the run, everything recorded; judged s: reading the record and judging it\n"
      "target: at least 1,000,000 operations/s on one core\n");
  return 0;
}
