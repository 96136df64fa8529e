/* The configuration of pg-ledger, for its tests and benchmarks. */
#ifndef GAMEDAY_WORKLOAD_PG_LEDGER_H
#define GAMEDAY_WORKLOAD_PG_LEDGER_H

#include "workload/ledger.h"

struct pg_ledger_config {
  struct ledger_config common; /* first */
  double replica_rate;
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
