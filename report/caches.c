/* Caches and the databases behind them, for the writers. */
#include "report/caches.h"

#include "report/facts.h"

const struct cache_info cache_table[] = {
    {"cache_recovery_time", "back as before"},
    {"hit_ratio.before", "hit ratio before"},
    {"hit_ratio.worst", "hit ratio, worst"},
    {"hit_ratio.after", "hit ratio after"},
    {"origin_calls", "calls of the origin"},
    {"origin_amplification", "calls for each key"},
    {"origin_concurrency", "calls at a time"},
    {"origin_concurrency.later", "calls at a time, later"},
    {"origin_refused", "calls refused"},
    {"origin_failed", "calls that failed"},
    {"stale_reads", "stale answers"},
    {"cache_latency.p50", "latency until back, p50"},
    {"cache_latency.p99", "latency until back, p99"},
    {NULL, NULL},
};

bool caches_told(const struct run_result *result, uint32_t fault) {
  const struct measure *measure = facts_measure(result, "origin_calls", (int32_t)fault);
  return measure && !measure->not_applicable;
}
