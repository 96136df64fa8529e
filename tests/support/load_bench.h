/* Clients of the load in virtual time, against the database in memory of fake_driver.h. Failures
 * abort the test. */
#ifndef GAMEDAY_TESTS_SUPPORT_LOAD_BENCH_H
#define GAMEDAY_TESTS_SUPPORT_LOAD_BENCH_H

#include "engine/load_group.h"
#include "support/fake_driver.h"
#include "support/virtual_time.h"

#define LOAD_BENCH_SEED 4711u
#define LOAD_BENCH_WORKLOAD 3 /* its index */
#define LOAD_BENCH_OPERATIONS_MAX 200000u

/* One group of clients and everything that it leaves behind. */
struct load_bench {
  struct virtual_time time;
  struct fake_database database;
  struct access access;
  struct fake_config config;
  struct workload_env env;
  struct load_roster roster;
  struct load_group group;
  _Atomic uint32_t identities;
  struct sink sink;
  struct operation *operations;
  uint32_t count;
  uint32_t identity_events, samples[METRIC_COUNT];
  double last_sample[METRIC_COUNT];
  bool ready, drained, stopped;
  uint64_t start_ns;
  const struct host *const *client_hosts; /* that the clients are spread over; may be none */
  uint32_t client_host_count;
};

/* One class of writers, to be changed by the test before load_bench_start(); so are `env` and
 * `access`. */
struct load_bench *load_bench_new(uint32_t clients, double rate);
void load_bench_free(struct load_bench *bench); /* also when it was never made */

/* The clients, without a connection yet; load_bench_free() unmakes them. */
int load_bench_make(struct load_bench *bench, uint64_t seed, struct error *err);
void load_bench_unmake(struct load_bench *bench);
/* Makes them, and they begin to connect. */
void load_bench_prepare(struct load_bench *bench, uint64_t seed);
/* Prepares, and begins at once when everybody is ready. */
void load_bench_start(struct load_bench *bench, uint64_t seed);
void load_bench_run(struct load_bench *bench, uint64_t duration_ns);
/* Ends now, waits for the drain and the stop; then every operation is accounted for. */
void load_bench_finish(struct load_bench *bench);

/* `code` NULL: any. */
uint32_t load_bench_count(const struct load_bench *bench, enum outcome outcome, const char *code);
/* By the time for which they were scheduled. */
void load_bench_sort(struct load_bench *bench);

#endif
