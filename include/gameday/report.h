/* A report writer turns the result and the record into one file. It sees no cluster. */
#ifndef GAMEDAY_REPORT_H
#define GAMEDAY_REPORT_H

#include "gameday/checker.h"
#include "gameday/plugin.h"

/* One objective, judged. */
struct objective_result {
  const char *name;  /* "failover_time" */
  const char *bound; /* "<= 45 s", "p95 <= 45 s" */
  enum unit unit;
  double bound_value;
  bool at_least;         /* >= rather than <= */
  const char *statistic; /* over repeats and faults: "max", "median", "p95", "min", "mean" */
  bool known;
  double measured;
  enum verdict verdict;
  const char *why;     /* when not PASS */
  uint32_t count;      /* values that the statistic was taken over */
  bool interval_known; /* six values or more: a 95 % confidence interval for their median */
  double interval_low, interval_high;
};

/* Counts of one class of operations: scheduled = ok + fail + unknown + skipped. */
struct operation_counts {
  uint64_t scheduled, ok, fail, unknown, skipped;
};

/* The result of one run (or of one repeat): what result.json says. */
struct run_result {
  const char *run_directory;
  const char *scenario, *scenario_file, *provider;
  uint64_t seed;
  uint32_t
      repeat; /* its number in its series, from 1, whichever others are missing; 0: not known */
  uint64_t wall_start_ns; /* since 1970 */
  double duration_s;
  enum verdict verdict;
  const char *why; /* one sentence */
  bool trusted;    /* false: the measuring itself failed (ring full, starved harness) */
  bool changed;    /* the record is not what was written: nothing in it proves anything */
  struct record_info info;
  struct operation_counts writes, reads;
  const struct finding *findings;
  uint32_t finding_count;
  const struct objective_result *objectives;
  uint32_t objective_count;
  const char *settings_json; /* of the services, as read back; NULL: none */
  const char *versions_json;
};

struct record; /* the record reader, core/engine/record.h; opaque here */
/* Streams the record again, for plots: calls `item` in the order of time. */
typedef int record_visit(void *data, const struct record_item *item, struct error *err);

struct report_input {
  const struct run_result *result;  /* the run, or the worst of the repeats */
  const struct run_result *repeats; /* all repeats; count 1 when there are none */
  uint32_t repeat_count;
  const struct record *record; /* of `result` */
  int (*visit)(const struct record *record, uint32_t wants, record_visit *item, void *data,
               struct error *err);
  const char *directory; /* the reports' own */
  const char *into;      /* where to write them until they are moved there; NULL: `directory` */
  int cancel_fd;         /* once it is readable, drawing may be given up; 0: never */
};

struct report {
  struct plugin plugin;
  const char *file; /* name of the file it writes, "result.json" */
  int (*write)(const struct report_input *input, struct error *err);
  /* Removes all files that write() may have written into this directory; none is fine. NULL: there
   * is `file` alone. */
  int (*remove)(const char *directory, struct error *err);
};

extern const struct report *const reports[]; /* report/reports.c; NULL-terminated */

#endif
