/* The configuration of pg-ledger, for its tests and benchmarks. */
#ifndef GAMEDAY_WORKLOAD_PG_LEDGER_H
#define GAMEDAY_WORKLOAD_PG_LEDGER_H

#include "gameday/workload.h"

struct pg_ledger_config {
  double rate;
  uint32_t clients;
  double read_ratio;
  int arrival;
  uint64_t payload;
  struct client_options options;
  double pinned_rate, replica_rate;
  uint64_t heartbeat_ns, probe_interval_ns;
};

/* Indices of its statements. */
enum pg_ledger_statement {
  PG_LEDGER_APPEND,
  PG_LEDGER_APPEND_HERE, /* where the host takes writes */
  PG_LEDGER_READ_OWN,
  PG_LEDGER_READ_NEWEST,
  PG_LEDGER_HEARTBEAT_SET,
  PG_LEDGER_HEARTBEAT_GET,
};

extern const struct workload workload_pg_ledger;

#endif
