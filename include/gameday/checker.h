/* A checker reads the record, event by event in the order of time, and gives a finding: measured
 * values, and whether they can be trusted. Objectives are bounds on those values. */
#ifndef GAMEDAY_CHECKER_H
#define GAMEDAY_CHECKER_H

#include "base/arena.h"
#include "base/bits.h"
#include "gameday/event.h"
#include "gameday/plugin.h"

enum verdict { VERDICT_PASS, VERDICT_UNKNOWN, VERDICT_FAIL }; /* combine by maximum */
const char *verdict_name(enum verdict verdict);

/* One measured value. Several of the same name (one a fault, one a host) are allowed. */
struct measure {
  const char *name; /* "failover_time", "replication_lag.p99": as objectives name it */
  enum unit unit;   /* durations in seconds here (double), ratios as fractions, sizes in bytes */
  double value;     /* meaningless unless known */
  bool known;       /* false: could not be measured; `why` says so */
  int32_t fault;    /* FAULT_NONE: of the whole run */
  uint16_t host;    /* HOST_NONE: of the whole cluster */
  const char *why;  /* when not known */
  /* Only when not known: */
  bool floor;          /* the true value is `value` or more (recovery never came) */
  bool not_applicable; /* there was nothing to measure (no failover happened): objectives skip it */
};

/* An interval on the run's time axis; end_ns TIME_NEVER: still open when the run ended. */
struct interval {
  const char *what; /* "write_outage", "read_outage", "dual_primary", "brownout" ... */
  uint64_t begin_ns, end_ns;
  int32_t fault; /* the fault it is charged to, or FAULT_NONE */
  uint16_t host, other_host;
  uint16_t shard; /* of which it is, from 1; 0: no single one */
  const char
      *of; /* whose it is, where there are several: "shard 2", "redis"; NULL: the only one's */
};

/* A fact that a person can check by hand: "row (identity 7, sequence 4312), acknowledged by pg1 at
 * 12.345 s on timeline 1, is on no host". */
struct witness {
  const char *what; /* "lost", "phantom", "corrupt", "diverged", ... */
  const char *text;
  uint64_t time_ns;
};

/* All text and arrays live in `arena`, owned by the engine. */
struct finding {
  const struct checker *checker;
  enum verdict verdict; /* FAIL: a safety rule of the checker itself is broken (phantom row);
                           UNKNOWN: could not decide; the objectives are judged apart */
  const char *why;      /* one sentence when not PASS */
  struct measure *measures;
  uint32_t measure_count, measure_capacity;
  struct interval *intervals;
  uint32_t interval_count, interval_capacity;
  struct witness *witnesses; /* the first WITNESSES_MAX of each `what`; the counts are measures */
  uint32_t witness_count, witness_capacity;
  struct arena *arena;
};
#define WITNESSES_MAX 1000

/* Adding to a finding; texts are copied. STATUS_MEMORY is the only error. core/engine/finding.c is
 * linked with every checker. */
int finding_measure(struct finding *finding, const struct measure *measure, struct error *err);
int finding_interval(struct finding *finding, const struct interval *interval, struct error *err);
int finding_witness(struct finding *finding, const struct witness *witness, struct error *err);

/* What a checker may know before the first event; borrowed. */
struct fault_info {
  const char *injector, *name;
  const char *target; /* as written */
  uint16_t host;      /* HOST_NONE until known */
  uint16_t set; /* of hosts, to which `host` belonged when it struck; SET_NONE: of no single one */
  bool planned; /* a step, not a fault */
  /* run times in ns; TIME_NEVER when it did not happen */
  uint64_t planned_ns, injected_ns, confirmed_ns, healed_ns, heal_confirmed_ns;
  uint64_t journaled_ns; /* the last moment before it began; a step has none */
};

#define SERVICES_MAX 16
#define SERVICE_NONE UINT8_MAX
#define SET_NONE UINT16_MAX

/* Hosts that have one primary among them: those of a service, or of one shard of a service.
 * Whatever is said of "the primary" is said within such a set; most clusters are a single one. */
struct host_set {
  uint8_t service;        /* index */
  uint16_t shard;         /* from 1; 0: the service has no shards */
  const char *name;       /* for messages: "shard 2", "redis", "redis shard 2"; "": the only set */
  struct bits hosts;      /* that belonged to it at the end */
  uint16_t final_primary; /* the primary when the rows were read; HOST_NONE: none, or several */
  double write_rate;      /* as record_info.write_rate, of writes whose shard is known */
};
struct workload_info {
  const char *name;
  uint8_t service; /* index */
  bool reads_back; /* its rows are read at the end: only then can they be missed */
};

struct record_info {
  const char *const *hosts;  /* by index */
  const uint8_t *host_kinds; /* enum host_kind */
  uint32_t host_count;
  const struct fault_info *faults;
  uint32_t fault_count;
  uint64_t load_begin_ns, load_end_ns; /* the measured time: warmup's end to settle's end */
  uint64_t end_ns;
  uint32_t identity_count;      /* identities are 1 .. identity_count */
  double write_rate, read_rate; /* scheduled on ROUTE_PRIMARY, operations a second */
  uint64_t outage_min_ns;       /* shorter gaps between successes are no outages */
  uint64_t lag_bound_bytes;
  uint32_t load_minimum;     /* operations before, during and after each fault */
  uint64_t latency_bound_ns; /* a window whose p99 is above it is a brownout; 0: 1 s */
  bool complete;             /* the run ended in order and no operation is missing */
  bool holes;                /* elements are missing in the middle: they could not be written */
  uint16_t final_primary;    /* the primary when the rows were read; HOST_NONE: none, or several, or
                               there are several sets of hosts, each with its own */
  struct bits final_hosts;   /* all of whose rows were read at the end */
  const char *const *services; /* at least one, called "" where the record does not name it */
  uint32_t service_count;
  const uint8_t *host_services;          /* by host; SERVICE_NONE: clients, the monitor */
  const struct workload_info *workloads; /* by index; may be fewer than operations tell of */
  uint32_t workload_count;
  const struct host_set *sets; /* by service, then by shard */
  uint32_t set_count;          /* at least one */
  const uint16_t *host_sets;   /* by host, at the end; SET_NONE */
};

/* With a single set everything is of it, and the answer is 0. SET_NONE: of none, or not known. */
uint16_t host_set_find(const struct record_info *info, uint8_t service, uint16_t shard);
/* The service that an operation is for. */
uint8_t operation_service(const struct record_info *info, const struct operation *operation);
/* The set whose primary an operation is for: by the shard of its key, else by who answered. What
 * was never sent to a service with shards has no key yet, and belongs to none. */
uint16_t operation_set(const struct record_info *info, const struct operation *operation);
/* Whether keys of the service are spread over several primaries. */
bool service_has_shards(const struct record_info *info, uint8_t service);

/* What a checker is given. Exactly one pointer is set. */
struct record_item {
  uint64_t time_ns; /* done_ns of operations; final rows come last, host by host */
  const struct operation *operation;
  const struct sample *sample;
  const struct event *event;
  const struct final_row *row;
  uint16_t row_host;
};
enum checker_wants {
  WANTS_OPERATIONS = 1,
  WANTS_SAMPLES = 2,
  WANTS_EVENTS = 4,
  WANTS_ROWS = 8,
  /* Final rows before everything else: who knows the final state first can judge each write as it
   * passes and need not remember it. */
  WANTS_ROWS_FIRST = 16,
};

struct checker {
  struct plugin plugin;
  uint32_t wants;
  const char *const *measures; /* names it can give, NULL-terminated: objectives may name these */
  int (*begin)(void *state, const struct record_info *info, struct error *err);
  int (*item)(void *state, const struct record_item *item, struct error *err);
  int (*finish)(void *state, struct finding *ret_finding, struct error *err);
  void (*release)(void *state); /* after finish or on failure; zeroed state is fine */
};

extern const struct checker *const checkers[]; /* checkers/checkers.c; NULL-terminated */

#endif
