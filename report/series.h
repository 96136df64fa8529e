/* The record of a run condensed for drawing, in one pass and in memory that does not grow with the
 * record: counts and latency histograms an interval, lag an interval and host, the codes of what
 * failed, the steps of fresh connections, and the warnings. */
#ifndef GAMEDAY_REPORT_SERIES_H
#define GAMEDAY_REPORT_SERIES_H

#include "base/histogram.h"
#include "gameday/report.h"

#define SERIES_INTERVALS_MAX 600 /* of counts and lag */
#define SERIES_COLUMNS_MAX 120   /* of latency: histograms are large */
#define SERIES_CODES_MAX 64
#define SERIES_WARNINGS_MAX 100

enum series_class { SERIES_WRITES, SERIES_READS, SERIES_CLASS_COUNT };
enum series_lag { LAG_BYTES, LAG_SECONDS, LAG_HEARTBEAT, LAG_COUNT };
enum probe_step {
  PROBE_RESOLVE,
  PROBE_CONNECT,
  PROBE_AUTHENTICATE,
  PROBE_READ,
  PROBE_WRITE,
  PROBE_STEP_COUNT
};
/* When a fresh connection was tried: inside is from a fault's confirmation to its full redundancy
 * (its heal where that is not known). */
enum series_period { PERIOD_CALM, PERIOD_FAULT, PERIOD_COUNT };

/* Operations of the measured time on ROUTE_PRIMARY, by when they were scheduled. */
struct series_counts {
  uint64_t outcomes[SERIES_CLASS_COUNT][OUTCOME_COUNT];
  uint64_t late[SERIES_CLASS_COUNT]; /* of those that are ok: slower than the latency bound */
};
struct series_code {
  uint32_t code;
  uint8_t class, outcome;
  uint64_t count;
  uint64_t first_ns, last_ns; /* done */
};
struct series_warning {
  uint64_t time_ns;
  char *text; /* owned */
};
/* The heartbeat of one workload on one primary. */
struct series_pulse {
  struct beats *beats; /* NULL: none was acknowledged yet */
  uint16_t primary;    /* who acknowledged the latest */
};
struct series_axis {
  uint64_t begin_ns, step_ns;
  uint64_t end_ns; /* the last interval ends here: it may be shorter or longer than a step */
  uint32_t count;
};

struct series {
  struct series_axis axis;      /* of counts, lag and steps: whole seconds or parts of one */
  struct series_axis columns;   /* of latency */
  struct series_counts *counts; /* by interval */
  /* Latency from scheduled of the operations that succeeded, ns, by column of their scheduled time;
   * NULL: none succeeded in it. */
  struct histogram **latency[SERIES_CLASS_COUNT];
  struct histogram *latency_total[SERIES_CLASS_COUNT]; /* NULL: none */
  /* The largest of each interval by host index; NAN where there is none. NULL: none of this
   * host. */
  double **lag[LAG_COUNT];
  uint32_t host_count;
  /* Largest time of each step of fresh connections by interval, s; NAN where there is none. */
  double *steps[PROBE_STEP_COUNT];
  struct histogram *step_times[PROBE_STEP_COUNT][PERIOD_COUNT]; /* ns; NULL: none */
  struct series_code codes[SERIES_CODES_MAX];
  uint32_t code_count;
  uint64_t codes_beyond; /* not ok, with a code for which there was no room */
  struct series_warning warnings[SERIES_WARNINGS_MAX];
  uint32_t warning_count;
  uint64_t warnings_total;
  uint64_t operations, samples, events; /* visited */
  struct series_pulse *pulses;          /* private: by set of hosts, then by workload */
  uint32_t pulse_count;
};

/* Visits the record once. On failure nothing is left to release. */
int series_build(const struct report_input *input, struct series *ret_series, struct error *err);
void series_release(struct series *series);

/* The index of an interval, or UINT32_MAX outside the axis. */
uint32_t axis_index(const struct series_axis *axis, uint64_t time_ns);
/* Where an interval begins, in seconds of the run; with index = count, where the axis ends. */
double axis_seconds(const struct series_axis *axis, uint32_t index);
/* The middle of an interval. */
double axis_middle(const struct series_axis *axis, uint32_t index);
/* What counts as late, ns. */
uint64_t series_late_ns(const struct record_info *info);

const char *probe_step_name(enum probe_step step); /* "resolve" */
const char *series_lag_name(enum series_lag lag);  /* "server-reported bytes" */

/* The warnings of the run alone (a short pass over its events); for writers that draw nothing. */
int series_warnings(const struct report_input *input, struct series *ret_series, struct error *err);

#endif
