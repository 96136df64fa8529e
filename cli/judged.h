/* The records of a run, or of all repeats of a series, opened and judged. */
#ifndef GAMEDAY_CLI_JUDGED_H
#define GAMEDAY_CLI_JUDGED_H

#include "base/arena.h"
#include "cli.h"
#include "gameday/report.h"

struct judged {
  struct run_result result;   /* of all together */
  struct run_result *results; /* one a repeat */
  uint32_t count;
  struct scenario scenario; /* of the first run: the repeats share it */
  bool scenario_loaded;
  struct record *records;
  uint32_t opened;
  struct arena arena;
};

/* Judges the records of all `count` run directories (`missing`: which repeats are not there, in
 * words, and a pass is UNKNOWN; NULL: all are). To be released also when it fails; the caller keeps
 * `directories`. */
int judged_load(struct cli *cli, const char *const *directories, uint32_t count,
                const char *missing, struct judged *ret, struct error *err);
void judged_release(struct judged *judged);

/* For writers: of the combined result, with the record that it shows. Borrows both arguments. */
struct report_input judged_input(const struct judged *judged, const char *directory);

#endif
