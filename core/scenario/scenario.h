/* The scenario: a YAML file as one struct. Parsing is pure: bytes in, struct or located errors out;
 * no file, clock, host or server is touched. */
#ifndef GAMEDAY_SCENARIO_SCENARIO_H
#define GAMEDAY_SCENARIO_SCENARIO_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "gameday/injector.h"
#include "gameday/plugin.h"
#include "gameday/provider.h"
#include "gameday/service.h"
#include "gameday/workload.h"

#define SCENARIO_BYTES_MAX (1u << 20)
#define SCENARIO_DEPTH_MAX 16
#define SCENARIO_NODES_MAX 20000
#define SCENARIO_ALIASES_MAX 64
#define SCENARIO_ERRORS_MAX 100

struct scenario;
/* The tables that a scenario is checked against; the real ones, or a test's. NULL-terminated. */
struct scenario_tables {
  const struct provider *const *providers;
  const struct service *const *services;
  const struct workload *const *workloads;
  const struct injector *const *injectors;
  /* Name -> unit and natural direction of a measured value; false: no such name. */
  bool (*measure)(const char *name, enum unit *ret_unit, bool *ret_at_least);
  const char *const *measure_names; /* for suggestions */
  /* Why no run of the scenario, which is right otherwise, can measure it; NULL: one can. A NULL
   * function: all can. */
  const char *(*measure_missing)(const char *name, const struct scenario *scenario);
};

struct scenario_service {
  const struct service *service;
  void *config;
  int line, column;
};
struct scenario_workload {
  const struct workload *workload;
  void *config;
  int line, column;
};

/* When an entry of the timeline begins. Exactly one of: at; after (the end of recovery of the entry
 * before it, plus at_ns). */
struct timeline_entry {
  const char *name; /* given, or "<injector>-<index>" */
  const struct injector *injector;
  void *config;
  const struct target *target; /* inside config; NULL: the injector has none */
  uint64_t at_ns;              /* after the start of the measured load, or after recovery */
  bool after_recovery;         /* `at: recovery + 5s`: of the entry before */
  uint64_t jitter_ns;          /* a random delay in [0, jitter) from the seed is added */
  uint64_t for_ns;             /* heal this long after confirmation; 0: healed at the end */
  int line, column;
};

struct scenario_objective {
  const char *name;      /* as written, e.g. "failover_time" or "replication_lag.p99" */
  const char *statistic; /* "max" (default for <=), "min" (default for >=), "median", "p95", ... */
  const char *text;      /* the bound as written */
  enum unit unit;
  bool at_least;
  double bound; /* seconds, bytes, fractions, counts */
  int line, column;
};

/* The parameters of a provider that was not chosen: kept, so that what is printed serves it too. */
struct scenario_provider {
  const struct provider *provider;
  void *config;
};

/* Bounds of random timelines: the section `explore`, its defaults where it is not given. */
struct scenario_explore {
  bool given;
  struct param_range faults, window_ns, for_ns;
  uint64_t rest_ns;
  struct names names;                /* none: all that scenario_can_explore() */
  const struct injector **injectors; /* of these names, in their order */
  bool steps, allow_quorum_loss;
};

struct scenario {
  struct arena arena; /* owns everything below */
  const char *file;   /* for messages */
  const char *name, *description;
  uint64_t seed;
  bool seed_given;
  uint32_t repeat;
  const struct provider *provider;
  void *provider_config;
  struct scenario_provider *other_providers;
  uint32_t other_provider_count;
  uint32_t client_hosts; /* hosts for clients */
  uint32_t workers;      /* threads for clients; 0: one a client host */
  uint64_t start_timeout_ns, recovery_timeout_ns, converge_timeout_ns;
  uint64_t warmup_ns;   /* load before the measured time */
  uint64_t settle_ns;   /* measured load after the last fault has recovered and healed */
  uint64_t duration_ns; /* at least so long is the measured time; 0: as the timeline needs */
  uint64_t outage_min_ns;
  uint64_t latency_bound_ns; /* a second with a higher 99th percentile is a brownout */
  uint64_t lag_bound_bytes;
  uint32_t load_minimum; /* operations before, during and after each fault (vacuous passes) */
  struct scenario_service *services;
  uint32_t service_count;
  struct scenario_workload *workloads;
  uint32_t workload_count;
  struct timeline_entry *timeline;
  uint32_t timeline_count;
  struct scenario_explore explore;
  struct scenario_objective *objectives;
  uint32_t objective_count;
};

/* All mistakes of one file, in the order of their places. */
struct scenario_errors {
  struct error errors[SCENARIO_ERRORS_MAX];
  uint32_t count; /* stored */
  uint32_t total; /* found */
};

/* `--set path=value` and `--provider P` of the command line; applied to the tree before checking.
 * A path is dotted keys and [index]: cluster.services.postgres.ttl, timeline[0].at */
struct scenario_override {
  const char *path, *value;
  const char *argument; /* what the user wrote, for messages; NULL: "--set path=value" */
};

/* Parses `length` bytes. On failure (STATUS_USAGE) `ret_errors` has every mistake, and `ret` must
 * still be released. `err` gets the first one. */
int scenario_parse(const char *file, const char *bytes, size_t length,
                   const struct scenario_tables *tables, const struct scenario_override *overrides,
                   uint32_t override_count, struct scenario *ret,
                   struct scenario_errors *ret_errors, struct error *err);
/* Reads the file and parses it. */
int scenario_load(const char *path, const struct scenario_tables *tables,
                  const struct scenario_override *overrides, uint32_t override_count,
                  struct scenario *ret, struct scenario_errors *ret_errors, struct error *err);
void scenario_release(struct scenario *scenario);

/* The resolved scenario as YAML: every default written out, so that it gives the same run again. */
int scenario_print(const struct scenario *scenario, struct buf *ret_yaml, struct error *err);

/* Whether a rule can choose all that a timeline entry of this injector needs: it has a target, and
 * requires nothing but that and a process. */
bool scenario_can_explore(const struct injector *injector);

/* The JSON Schema (draft-07) of scenario files, from the same tables. */
int scenario_schema(const struct scenario_tables *tables, struct buf *ret_json, struct error *err);

#endif
