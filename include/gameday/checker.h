/* A checker reads the record, event by event in the order of time, and gives a finding: measured
 * values, and whether they can be trusted. Objectives are bounds on those values. */
#ifndef GAMEDAY_CHECKER_H
#define GAMEDAY_CHECKER_H

#include "base/arena.h"
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
  uint8_t host;     /* HOST_NONE: of the whole cluster */
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
  uint8_t host, other_host;
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
  uint8_t host;       /* HOST_NONE until known */
  bool planned;       /* a step, not a fault */
  /* run times in ns; TIME_NEVER when it did not happen */
  uint64_t planned_ns, injected_ns, confirmed_ns, healed_ns, heal_confirmed_ns;
  uint64_t journaled_ns; /* the last moment before it began; a step has none */
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
  uint8_t final_primary;     /* the primary when the rows were read; HOST_NONE: none, or several */
  uint64_t final_hosts;      /* bit h: all rows of host h were read at the end */
};

/* What a checker is given. Exactly one pointer is set. */
struct record_item {
  uint64_t time_ns; /* done_ns of operations; final rows come last, host by host */
  const struct operation *operation;
  const struct sample *sample;
  const struct event *event;
  const struct final_row *row;
  uint8_t row_host;
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
