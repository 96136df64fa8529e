/* Several runs side by side: what `gameday compare` tells. One row a value, one cell a run. */
#ifndef GAMEDAY_REPORT_COMPARISON_H
#define GAMEDAY_REPORT_COMPARISON_H

#include "base/arena.h"
#include "base/buf.h"
#include "gameday/report.h"
#include "report/format.h"

#define COMPARISON_RUNS_MAX 16

struct compared_run {
  struct report_input input; /* judged; what it points to outlives the comparison */
  const char *label;         /* at the head of its column */
};

/* Of one run, or of all of its repeats where the row's label says so. */
struct compared_cell {
  const char *text; /* for people; never NULL */
  const char *why;  /* there is no value, or only a floor; NULL: there is one */
  bool known;
  double value; /* in the row's unit; a duration in seconds */
  bool judged;  /* it is that of an objective: */
  enum verdict verdict;
  bool interval_known; /* of a median: its 95 % confidence interval */
  double low, high;
};

enum compared_group {
  COMPARED_OBJECTIVES,
  COMPARED_PHASES,
  COMPARED_CACHES,
  COMPARED_LOAD,
  COMPARED_DATA,
  COMPARED_SETTINGS, /* those that differ; texts without values */
  COMPARED_GROUPS
};

struct compared_row {
  enum compared_group group;
  const char *name;  /* for programs: "failover_time.median" */
  const char *label; /* for people */
  enum unit unit;
  struct compared_cell *cells; /* one a run */
  bool apart;                  /* the intervals of two medians do not meet */
};

struct comparison {
  const struct compared_run *runs;
  uint32_t run_count;
  struct compared_row *rows; /* by group */
  uint32_t row_count, row_capacity;
  bool single;           /* a run that was not repeated is among them */
  uint32_t settings_cut; /* differing settings beyond those that are shown */
  struct arena arena;
};

/* Borrows `runs`. STATUS_MEMORY is the only error; nothing is left to release then. */
int comparison_build(const struct compared_run *runs, uint32_t count, struct comparison *ret,
                     struct error *err);
void comparison_release(struct comparison *comparison);

extern const char *const compared_groups[COMPARED_GROUPS]; /* headings */
/* What must be known before anything is concluded from it; one sentence. */
const char *comparison_caution(const struct comparison *comparison);
/* How a cell differs from the first run's: "+12 %", "-48 %", "x13", "same"; "" where there is
 * nothing to say, as of two zeros. */
void compared_change(const struct compared_row *row, uint32_t run, char text[FORMAT_SIZE]);

/* All append to `out`. STATUS_MEMORY is the only error. */
int comparison_text(const struct comparison *comparison, struct buf *out, struct error *err);
int comparison_markdown(const struct comparison *comparison, struct buf *out, struct error *err);
int comparison_html(const struct comparison *comparison, struct buf *out, struct error *err);
int comparison_json(const struct comparison *comparison, struct buf *out, struct error *err);

#endif
