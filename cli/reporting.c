/* Judges records and writes all reports. */
#include "reporting.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/judge.h"
#include "engine/record_seal.h"
#include "report/summary.h"
#include "series.h"

struct judged {
  struct scenario scenario; /* of the first run: the repeats share it */
  bool scenario_loaded;
  struct record *records;
  uint32_t opened;
  struct run_result *results;
  struct arena arena;
};

static void judged_release(struct judged *judged) {
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
  CLEANUP_FREE struct scenario_errors *errors = calloc(1, sizeof *errors);
  if (!errors) return error_set(err, STATUS_MEMORY, "out of memory");
  status = scenario_load(path, &cli->tables, NULL, 0, &judged->scenario, errors, err);
  judged->scenario_loaded = true; /* to be released in both cases */
  return status;
}

static int judge_all(struct cli *cli, const char *const *directories, uint32_t count,
                     struct judged *judged, struct run_result *ret, struct error *err) {
  judged->records = calloc(count, sizeof *judged->records);
  judged->results = calloc(count, sizeof *judged->results);
  if (!judged->records || !judged->results)
    return error_set(err, STATUS_MEMORY, "out of memory for %u records", count);
  int status = load_recorded_scenario(cli, directories[0], judged, err);
  for (uint32_t i = 0; i < count && status == 0; i++) {
    status = record_open_sealed(directories[i], &judged->records[i], err);
    if (status < 0) break;
    judged->opened++;
    status = judge_run(&judged->records[i], &judged->scenario, checkers, &judged->arena,
                       &judged->results[i], err);
    uint32_t number = series_number(directories[i]);
    judged->results[i].repeat = number ? number : i + 1;
  }
  if (status < 0) return status;
  return judge_repeats(judged->results, count, &judged->scenario, &judged->arena, ret, err);
}

/* The record that a combined result shows: the one of the repeat it was copied from. */
static const struct record *record_of(const struct judged *judged, const struct run_result *result,
                                      uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (strcmp(judged->records[i].directory, result->run_directory) == 0)
      return &judged->records[i];
  return &judged->records[0];
}

static int verdict_code(enum verdict verdict) {
  switch (verdict) {
    case VERDICT_PASS: return EXIT_MET;
    case VERDICT_UNKNOWN: return EXIT_UNTRUSTED;
    case VERDICT_FAIL: return EXIT_MISSED;
  }
  return EXIT_INTERNAL;
}

/* After a judging every report in the directory is of that judging: one that could not be written
 * must not be taken for an earlier one, with its verdict. */
static void remove_report(const struct report *report, const char *directory) {
  char path[PATH_MAX];
  if (report->remove)
    (void)report->remove(directory, NULL);
  else if (path_format(path, sizeof path, NULL, "%s/%s", directory, report->file) == 0)
    unlink(path);
}

void reporting_remove(const char *directory) {
  if (!series_is_record(directory)) return; /* what is there may be anybody's */
  for (uint32_t i = 0; reports[i]; i++) remove_report(reports[i], directory);
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

/* What went wrong in writing reports. */
struct failures {
  uint64_t lost;         /* bit i: report i could not be written */
  struct error first;    /* of these; STATUS_OK: none */
  struct error pictures; /* why there are none; STATUS_OK: there are */
};

/* A picture that cannot be drawn here takes nothing from the verdict, and one warning for it is
 * enough: the page and the files want the same program. */
static void warn_of_pictures(struct cli *cli, struct failures *failures, struct error *why) {
  if (failures->pictures.status != STATUS_OK && strstr(failures->pictures.message, why->message))
    return;
  failures->pictures = *why;
  log_print(&cli->log, LOG_WARNING, "%s", why->message);
}

/* Writes all reports but those that could not be written before. Returns the exit code that stands
 * for what failed now. */
static int write_reports(struct cli *cli, const struct report_input *input,
                         struct failures *failures) {
  int code = EXIT_MET;
  for (uint32_t i = 0; reports[i]; i++) {
    if (failures->lost >> i & 1) continue;
    struct error failed = ERROR_INIT;
    int status = reports[i]->write(input, &failed);
    if (status == STATUS_ENVIRONMENT) warn_of_pictures(cli, failures, &failed);
    if (status == 0 || status == STATUS_ENVIRONMENT) continue;
    failures->lost |= UINT64_C(1) << i;
    remove_report(reports[i], input->directory);
    (void)error_wrap(&failed, "report %s", reports[i]->plugin.name);
    code = cli_worse(code, cli_fail(cli, &failed));
    if (failures->first.status == STATUS_OK) failures->first = failed;
  }
  return code;
}

/* Not from the file, which may be what could not be written. */
static int print_summary(struct cli *cli, const struct report_input *input, int fd) {
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  int status = summary_text(input, &text, &err);
  if (status == 0) status = file_write_all(fd, text.data, text.length, "the summary", &err);
  if (status < 0 && err.errnum == EPIPE) return EXIT_MET; /* `| head`: the reader has left */
  return status < 0 ? cli_fail(cli, &err) : EXIT_MET;
}

int reporting_write(struct cli *cli, const char *const *run_directories, uint32_t count,
                    const char *missing, const char *directory, int summary_fd) {
  CLEANUP(judged_release) struct judged judged = {.opened = 0};
  struct run_result result;
  struct error err = ERROR_INIT;
  struct failures failures = {.lost = 0};
  arena_init(&judged.arena, 0);
  int status = judge_all(cli, run_directories, count, &judged, &result, &err);
  if (status == 0) status = add_missing(missing, &judged.arena, &result, &err);
  if (status < 0) {
    reporting_remove(directory);
    return cli_fail(cli, &err);
  }
  struct report_input input = {.result = &result,
                               .repeats = judged.results,
                               .repeat_count = count,
                               .record = record_of(&judged, &result, count),
                               .visit = record_visit_all,
                               .directory = directory};
  int code = write_reports(cli, &input, &failures);
  if (code != EXIT_MET && result.verdict == VERDICT_PASS) {
    /* The exit code will not be that of a pass, and the word is to be the same everywhere. */
    result.verdict = VERDICT_UNKNOWN;
    result.why =
        arena_printf(&judged.arena, "objectives were met, but the reports are incomplete: %s",
                     failures.first.message);
    code = cli_worse(code, write_reports(cli, &input, &failures));
  }
  /* What is missing in a report takes nothing from an objective that was missed. */
  if (result.verdict == VERDICT_FAIL) code = EXIT_MET;
  code = cli_worse(code, verdict_code(result.verdict));
  return cli_worse(code, print_summary(cli, &input, summary_fd));
}
