/* How fast the simulator is: virtual seconds and operations a second of one core, for primary-crash
 * as it is shipped and under more load, everything recorded; and how both grow with the hosts. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/batch.h"
#include "engine/interrupt.h"
#include "engine/run.h"
#include "support/simulated.h"

struct load {
  const char *name;
  struct scenario_override sets[4];
  uint32_t count;
};

static const struct load loads[] = {
    {"as shipped: 3 hosts, 200/s", {{.path = NULL}}, 0},
    {"3 hosts, 20,000/s, 64 clients",
     {{.path = "workloads[0].pg-ledger.rate", .value = "20000/s"},
      {.path = "workloads[0].pg-ledger.clients", .value = "64"}},
     2},
    {"5 hosts, 20,000/s, 64 clients",
     {{.path = "workloads[0].pg-ledger.rate", .value = "20000/s"},
      {.path = "workloads[0].pg-ledger.clients", .value = "64"},
      {.path = "cluster.services.postgres.instances", .value = "5"}},
     3},
    {"7 hosts, 20,000/s, 64 clients",
     {{.path = "workloads[0].pg-ledger.rate", .value = "20000/s"},
      {.path = "workloads[0].pg-ledger.clients", .value = "64"},
      {.path = "cluster.services.postgres.instances", .value = "7"}},
     3},
};

static double cpu_s(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static int measure(const struct load *load, struct error *err) {
  struct simulated_scenario scenario;
  int status = simulated_load(&scenario, "scenarios/postgres/primary-crash.yaml", load->sets,
                              load->count, err);
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
  struct record record;
  if (status == 0) status = record_open(directory, &record, err);
  if (status == 0) {
    double virtual_s = (double)record.info.end_ns * 1e-9;
    printf("%-34s %10.0f %12llu %8.3f %12.0f %14.0f\n", load->name, virtual_s,
           (unsigned long long)record.operations_written, took_s, virtual_s / took_s,
           (double)record.operations_written / took_s);
    record_close(&record);
  }
  struct error late = ERROR_INIT;
  int removed = directory_remove(directory, status == 0 ? err : &late);
  if (status == 0) status = removed;
  simulated_release(&scenario);
  return status;
}

int main(void) {
  struct error err = ERROR_INIT;
  printf("%-34s %10s %12s %8s %12s %14s\n", "primary-crash", "virtual s", "operations", "CPU s",
         "virtual/real", "operations/s");
  for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
    if (measure(&loads[i], &err) == 0) continue;
    fprintf(stderr, "bench: %s\n", err.message);
    return 1;
  }
  printf("target: at least 1,000,000 operations/s on one core\n");
  return 0;
}
