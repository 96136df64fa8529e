/* Questions that every writer asks of a result: the measured value of a name, the phases of a
 * fault, the intervals of a kind. Answers are borrowed from the result. Pure; any thread. */
#ifndef GAMEDAY_REPORT_FACTS_H
#define GAMEDAY_REPORT_FACTS_H

#include <stddef.h>

#include "gameday/report.h"
#include "report/format.h"

/* The first measure of this name charged to `fault` (FAULT_NONE: to the whole run) and to no single
 * host; NULL when no checker gave one. */
const struct measure *facts_measure(const struct run_result *result, const char *name,
                                    int32_t fault);
/* As facts_measure(), of one host (HOST_NONE: of none). */
const struct measure *facts_host_measure(const struct run_result *result, const char *name,
                                         int32_t fault, uint16_t host);
/* The largest value (known, or a floor) of this name over faults and hosts: a floor where another
 * one is not known, and may be larger, or where the rest of a run that broke off could only have
 * made it larger. When there is none, one that says why; NULL when no checker
 * gave the name at all. `ret` is room for it: what is returned lives as long as that and `result`.
 */
const struct measure *facts_worst(const struct run_result *result, const char *name,
                                  struct measure *ret);

/* The milestones of one recovery, in the order in which they are expected. */
enum phase {
  PHASE_DETECTED,
  PHASE_PROMOTED,
  PHASE_WRITTEN,
  PHASE_CLIENTS, /* mostly milliseconds after WRITTEN: in tables, not drawn over time */
  PHASE_REDUNDANT,
  PHASE_COUNT
};
struct phase_info {
  const char *measure; /* "detection_time" */
  const char *label;   /* "detected" */
  const char *meaning; /* one clause for people */
};
extern const struct phase_info phase_table[PHASE_COUNT];
/* NULL: not measured by anybody. */
const struct measure *facts_phase(const struct run_result *result, uint32_t fault,
                                  enum phase phase);
/* The moment of a phase on the run's axis; TIME_NEVER when not known. */
uint64_t facts_phase_ns(const struct run_result *result, uint32_t fault, enum phase phase);

/* "22.3 s", "at least 60 s: reason", "does not apply: reason", or "not measured: reason". `measure`
 * may be NULL. */
#define FACTS_TEXT_SIZE 256
void facts_text(const struct measure *measure, char text[FACTS_TEXT_SIZE]);
/* Why a value is missing; never NULL. */
const char *facts_why(const struct measure *measure);

/* Calls `each` for all intervals of `what` in all findings, in their order. */
typedef void facts_interval(void *data, const struct interval *interval);
size_t facts_intervals(const struct run_result *result, const char *what, facts_interval *each,
                       void *data);
/* The same for the `max` longest of them (at most FACTS_LONGEST_MAX), in the order of time; returns
 * how many there are in all. */
#define FACTS_LONGEST_MAX 100
size_t facts_longest(const struct run_result *result, const char *what, size_t max,
                     facts_interval *each, void *data);
/* Where no interval of `what` was found: whether there was none. If nobody knows, `text` says why.
 * What is asked is the measure of that name, of `fault` or, where it has none, of the run. */
bool facts_none(const struct run_result *result, const char *what, int32_t fault,
                char text[FACTS_TEXT_SIZE]);
/* As facts_intervals() for witnesses; `what` NULL: all. */
typedef void facts_witness(void *data, const struct witness *witness,
                           const struct checker *checker);
size_t facts_witnesses(const struct run_result *result, const char *what, facts_witness *each,
                       void *data);

/* The indices of the `max` earliest faults in the order in which they began, or were to (in
 * the order of the scenario where that is the same; those with no time come last). Returns how
 * many: `max`, or all there are. */
uint32_t facts_faults(const struct run_result *result, uint32_t max, uint32_t *ret_faults);

/* "pg1", or "-" for HOST_NONE and for an index that the record does not have. */
const char *facts_host(const struct run_result *result, uint16_t host);
/* What the fault is called: its name, else its injector. */
const char *facts_fault(const struct run_result *result, int32_t fault);
/* The span of an interval in seconds; one still open is seen until the load ends, as in the
 * measures of it. */
double facts_span_s(const struct run_result *result, const struct interval *interval);
/* ok / scheduled; false when nothing was scheduled. */
bool facts_availability(const struct operation_counts *counts, double *ret_ratio);
/* What a code means, in a few words; "" for one that is not known here. */
const char *facts_code_meaning(const char code[6]);

#endif
