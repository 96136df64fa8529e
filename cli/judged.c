/* Opens records and judges them. */
#include "judged.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/judge.h"
#include "engine/record_seal.h"
#include "series.h"

void judged_release(struct judged *judged) {
  for (uint32_t i = 0; i < judged->opened; i++) record_close(&judged->records[i]);
  if (judged->scenario_loaded) scenario_release(&judged->scenario);
  free(judged->records);
  free(judged->results);
  arena_release(&judged->arena);
}

static int load_recorded_scenario(struct cli *cli, const char *run_directory, struct judged *judged,
                                  struct error *err) {
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/scenario.yaml", run_directory);
  if (status < 0) return status;
  if (!file_exists(path))
    return error_set(err, STATUS_USAGE, "%s is not there: %s is no run directory", path,
                     run_directory);
  struct stat file;
  if (stat(path, &file) < 0) return error_set_errno(err, errno, "cannot stat %s", path);
  if (!S_ISREG(file.st_mode)) /* a FIFO would hang */
    return error_set(err, STATUS_USAGE, "%s is not a regular file", path);
  struct scenario_tables tables = cli->tables;
  tables.measure_missing = NULL; /* what was run is judged, whatever can be measured of it */
  CLEANUP_FREE struct scenario_errors *errors = calloc(1, sizeof *errors);
  if (!errors) return error_set(err, STATUS_MEMORY, "out of memory");
  status = scenario_load(path, &tables, NULL, 0, &judged->scenario, errors, err);
  judged->scenario_loaded = true; /* to be released in both cases */
  return status;
}

static int judge_all(struct cli *cli, const char *const *directories, struct judged *judged,
                     struct error *err) {
  judged->records = calloc(judged->count, sizeof *judged->records);
  judged->results = calloc(judged->count, sizeof *judged->results);
  if (!judged->records || !judged->results)
    return error_set(err, STATUS_MEMORY, "out of memory for %u records", judged->count);
  int status = load_recorded_scenario(cli, directories[0], judged, err);
  for (uint32_t i = 0; i < judged->count && status == 0; i++) {
    status = record_open_sealed(directories[i], &judged->records[i], err);
    if (status < 0) break;
    judged->opened++;
    status = judge_run(&judged->records[i], &judged->scenario, checkers, &judged->arena,
                       &judged->results[i], err);
    uint32_t number = series_number(directories[i]);
    judged->results[i].repeat = number ? number : i + 1;
  }
  if (status < 0) return status;
  return judge_repeats(judged->results, judged->count, &judged->scenario, &judged->arena,
                       &judged->result, err);
}

/* What was measured may be all right; it is not all that was asked for. */
static int add_missing(const char *missing, struct arena *arena, struct run_result *result,
                       struct error *err) {
  if (!missing) return 0;
  result->trusted = false;
  if (result->verdict == VERDICT_FAIL) return 0;
  const char *also = result->verdict == VERDICT_UNKNOWN ? "; " : "";
  result->why = arena_printf(arena, "%s%s%s", missing, also, *also ? result->why : "");
  if (!result->why) return error_set(err, STATUS_MEMORY, "out of memory for a verdict");
  result->verdict = VERDICT_UNKNOWN;
  return 0;
}

int judged_load(struct cli *cli, const char *const *directories, uint32_t count,
                const char *missing, struct judged *ret, struct error *err) {
  *ret = (struct judged){.count = count};
  arena_init(&ret->arena, 0);
  int status = judge_all(cli, directories, ret, err);
  return status < 0 ? status : add_missing(missing, &ret->arena, &ret->result, err);
}

/* The record that a combined result shows: the one of the repeat it was copied from. */
static const struct record *record_of(const struct judged *judged) {
  for (uint32_t i = 0; i < judged->count; i++)
    if (strcmp(judged->records[i].directory, judged->result.run_directory) == 0)
      return &judged->records[i];
  return &judged->records[0];
}

struct report_input judged_input(const struct judged *judged, const char *directory) {
  return (struct report_input){.result = &judged->result,
                               .repeats = judged->results,
                               .repeat_count = judged->count,
                               .record = record_of(judged),
                               .visit = record_visit_all,
                               .directory = directory};
}
