/* Reads a record back: the only input of checkers and reports. */
#ifndef GAMEDAY_ENGINE_RECORD_H
#define GAMEDAY_ENGINE_RECORD_H

#include "base/arena.h"
#include "base/error.h"
#include "gameday/checker.h"
#include "gameday/report.h"

/* docs/record.md describes all files.
 *
 * run.json is written by the engine at the start of a run and again (atomically) when it learns
 * more. Keys: schema "gameday/run/v1", id, scenario, scenario_file, provider, seed, wall_start_ns,
 * gameday_version, versions {}, hosts [{name, kind, address}], faults [{name, injector, target,
 * planned}], workloads [], identity_count, dropped, finished (bool), stopped_because (string or
 * null), outage_min_ns, lag_bound_bytes, load_minimum, settings {}; optional: write_rate,
 * read_rate (else counted from the operations), latency_bound_ns. */
struct record {
  const char *directory;
  struct record_info info;
  const char *id, *scenario, *scenario_file, *provider, *gameday_version;
  uint64_t seed, wall_start_ns;
  uint64_t dropped;
  /* How many run.json says were written; UINT64_MAX: it does not say. */
  uint64_t operations_written, samples_written;
  const char *damage;          /* in what it is not what was written; NULL: nothing is known */
  bool changed;                /* it differs from its seal; `damage` says in what */
  bool finished;               /* false: the harness died, or was stopped, in the middle */
  const char *stopped_because; /* NULL: it ran to its end */
  uint32_t load_minimum;
  const char *settings_json, *versions_json; /* NULL: none */
  struct arena arena;
  /* The rest is the reader's: open files and decoded events. */
  struct record_files *files;
};

/* Opens and validates a run directory: STATUS_USAGE with the file's name when it is no record, or a
 * damaged one. Torn last elements are dropped. Faults' times come from events.jsonl. */
int record_open(const char *run_directory, struct record *ret, struct error *err);
void record_close(struct record *record);
/* Whether its files are of a version that this reader refuses: nothing is wrong with the record. */
bool record_is_of_other_version(const char *run_directory);

/* Calls `item` for everything wanted (enum checker_wants) in the order of time; final rows last,
 * host by host (WANTS_ROWS_FIRST: first, and not again). STATUS_UNTRUSTED when operations are
 * further out of order than the reader repairs (2 s). Memory does not grow with the length.
 * Any thread, several at once; what `item` returns other than 0 ends the visit and is returned. */
int record_visit_all(const struct record *record, uint32_t wants, record_visit *item, void *data,
                     struct error *err);

/* Scheduled / ok / fail / unknown / skipped of writes and of reads on ROUTE_PRIMARY in the measured
 * time (load_begin_ns <= scheduled_ns < load_end_ns). */
int record_count(const struct record *record, struct operation_counts *ret_writes,
                 struct operation_counts *ret_reads, struct error *err);

/* One pass over the record with all checkers. `ret_findings` are in the order of `table`, in
 * `arena`; a checker that fails gives an UNKNOWN finding with the reason, never nothing. */
int record_check(const struct record *record, const struct checker *const *table,
                 struct arena *arena, struct finding **ret_findings, uint32_t *ret_count,
                 struct error *err);

#endif
