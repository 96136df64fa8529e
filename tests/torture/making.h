/* The clients of a workload are made while each allocation in turn fails. */
#ifndef GAMEDAY_TESTS_TORTURE_MAKING_H
#define GAMEDAY_TESTS_TORTURE_MAKING_H

#include "support/load_bench.h"
#include "torture/allocations.h"

static int attempt_making(void *data, struct error *err) {
  struct load_bench *bench = data;
  int status = load_bench_make(bench, LOAD_BENCH_SEED, err);
  if (status < 0) return status;
  load_bench_unmake(bench);
  return 0;
}

static void fail_making(const struct workload *workload, const void *config,
                        const struct access *access) {
  struct load_bench *bench = load_bench_new(0, 0);
  bench->env.workload = workload;
  bench->env.config = config;
  bench->env.access = access;
  fail_each_allocation(attempt_making, bench);
  load_bench_free(bench);
}

#endif
