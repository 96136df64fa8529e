/* Distributions over the repeats of a scenario, and the values that a summary lists. One number
 * proves nothing (the phase of a fault against a lease is uniform), so that repeats are told as
 * median, 95th percentile, maximum and the interval in which the median lies. */
#ifndef GAMEDAY_REPORT_STATISTICS_H
#define GAMEDAY_REPORT_STATISTICS_H

#include "report/facts.h"

#define SPREAD_VALUES_MAX 10000

/* Of all known values of one name, over all repeats and faults. */
struct spread {
  uint32_t count, unknown; /* known values; values that could not be measured */
  enum unit unit;
  double minimum, median, p95, maximum; /* p95 by nearest rank */
  bool has_p95;                         /* at least 20 values: of fewer it is but the maximum */
  bool has_interval; /* at least 6 values: fewer cannot bracket the median with 95 % */
  double low, high;  /* 95 % confidence interval of the median, by order statistics */
};

/* With count 0 only `unknown` means something. STATUS_MEMORY is the only error. */
int spread_of_repeats(const struct report_input *input, const char *name, struct spread *ret,
                      struct error *err);
/* The known values in rising order, at most `max`; returns how many. */
uint32_t spread_values(const struct report_input *input, const char *name, double *ret_values,
                       uint32_t max);
/* "median 22.3 s (95 % interval 21.0 s to 23.1 s), p95 24.0 s, max 24.2 s of 20"; without what so
 * few values cannot tell. */
#define SPREAD_TEXT_SIZE 400
void spread_text(const struct spread *spread, char text[SPREAD_TEXT_SIZE]);
/* Calls `each` with the spread of every phase, in their order. STATUS_MEMORY is the only error. */
typedef void spread_phase(void *data, const struct phase_info *phase, const struct spread *spread);
int spread_phases(const struct report_input *input, spread_phase *each, void *data,
                  struct error *err);

/* Calls `each` for all that is said about data and lag, in its order; `measure` may be NULL. */
typedef void data_value(void *data, const char *label, const struct measure *measure);
void data_values(const struct run_result *result, data_value *each, void *data);
/* The same names in the same order, whatever was measured; texts are static. */
typedef void data_name(void *data, const char *measure, const char *label);
void data_names(data_name *each, void *data);

/* Whose operations are counted where. They differ on purpose: what a pinned client or a probe wrote
 * must not be lost either, but has no part in the availability. */
#define LOAD_POPULATION "the clients that follow the primary, in the measured time"
#define DATA_POPULATION "all clients (pinned ones and probes too), over the whole run"
/* The kinds of witnesses about data, worst first; NULL-terminated. */
extern const char *const data_witness_kinds[];
/* As facts_witnesses() for all of these kinds, in their order. */
size_t data_witnesses(const struct run_result *result, facts_witness *each, void *data);

#endif
