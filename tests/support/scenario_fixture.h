/* Small tables of plug-ins for the tests of the scenario language: a parameter of every type, two
 * providers of different ability, two services, steps, faults, measures. */
#ifndef GAMEDAY_TESTS_SUPPORT_SCENARIO_FIXTURE_H
#define GAMEDAY_TESTS_SUPPORT_SCENARIO_FIXTURE_H

#include "scenario/scenario.h"

struct store_config {
  int topology;
  uint32_t instances;
  uint64_t ttl_ns;
  bool synchronous;
  double weight;
  int64_t offset;
  uint64_t memory_bytes;
  const char *suite;
  struct settings parameters;
};

struct ledger_config {
  double rate, reads;
  uint32_t clients;
  uint64_t patience_ns;
};

struct fault_config {
  struct target target;
  const char *process;
  int signal;
  double level;
};

struct lab_config {
  uint64_t memory_bytes;
  int shelf;
};

extern const struct scenario_tables fixture_tables;

/* A scenario that is right and short. */
extern const char fixture_minimal[];

/* What differs between two scenarios of these tables, for a test's message; NULL: nothing. */
const char *fixture_difference(const struct scenario *a, const struct scenario *b);

/* Parses a text as "s.yaml" and gives all messages, one a line; "" when it is right. `text` is
 * freed by the caller. */
char *fixture_mistakes(const char *yaml, const struct scenario_override *overrides,
                       uint32_t override_count);

#endif
