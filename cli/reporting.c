/* Judges records and writes all reports. */
#include "reporting.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/record.h"
#include "judged.h"
#include "report/output.h"
#include "report/staging.h"
#include "report/summary.h"
#include "series.h"
#include "stopping.h"

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

static bool is_lost(const struct failures *failures, uint32_t index) {
  return failures->lost >> index & 1;
}

/* Logs it, and returns the exit code that stands for it. */
static int lose_report(struct cli *cli, uint32_t index, struct failures *failures,
                       struct error *why) {
  failures->lost |= UINT64_C(1) << index;
  (void)error_wrap(why, "report %s", reports[index]->plugin.name);
  if (failures->first.status == STATUS_OK) failures->first = *why;
  return cli_fail(cli, why);
}

/* What writes the reports, and where to. */
struct writing {
  struct cli *cli;
  struct stopping *stopping;
  struct staging staging; /* one directory a report, of its name */
  struct failures failures;
};

static void writing_release(struct writing *writing) {
  staging_remove(&writing->staging);
}

/* Writes one report into a directory of its own. */
static int stage_report(const struct writing *writing, const struct report_input *input,
                        const struct report *report, struct error *err) {
  char into[PATH_MAX];
  int status =
      path_format(into, sizeof into, err, "%s/%s", writing->staging.directory, report->plugin.name);
  if (status == 0) status = directory_make(into, 0755, err);
  if (status < 0) return status;
  struct report_input staged = *input;
  staged.into = into;
  staged.cancel_fd = writing->stopping->fd;
  return report->write(&staged, err);
}

/* Writes all reports but those that are lost, until a signal comes. Returns the exit code that
 * stands for what failed. */
static int stage_reports(struct writing *writing, const struct report_input *input) {
  int code = EXIT_MET;
  for (uint32_t i = 0; reports[i]; i++) {
    if (is_lost(&writing->failures, i)) continue;
    struct error failed = ERROR_INIT;
    int status = stage_report(writing, input, reports[i], &failed);
    if (stopping_now(writing->stopping)) return code;
    if (status == STATUS_ENVIRONMENT) warn_of_pictures(writing->cli, &writing->failures, &failed);
    if (status < 0 && status != STATUS_ENVIRONMENT)
      code = cli_worse(code, lose_report(writing->cli, i, &writing->failures, &failed));
  }
  return code;
}

/* Moves all that were written to where they belong, and removes there what they did not write. */
static int publish_reports(struct writing *writing, const char *directory) {
  int code = EXIT_MET;
  for (uint32_t i = 0; reports[i]; i++) {
    char from[PATH_MAX];
    struct error failed = ERROR_INIT;
    bool lost = is_lost(&writing->failures, i);
    if (lost || reports[i]->remove) remove_report(reports[i], directory);
    if (lost) continue;
    int status = path_format(from, sizeof from, &failed, "%s/%s", writing->staging.directory,
                             reports[i]->plugin.name);
    if (status == 0) status = directory_move_files(from, directory, &failed);
    if (status == 0) continue;
    remove_report(reports[i], directory);
    code = cli_worse(code, lose_report(writing->cli, i, &writing->failures, &failed));
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

/* Judges, writes and tells. `stopping` has begun. */
static int judge_and_write(struct cli *cli, const char *const *run_directories, uint32_t count,
                           const char *missing, const char *directory, int summary_fd,
                           struct stopping *stopping) {
  CLEANUP(judged_release) struct judged judged;
  CLEANUP(writing_release) struct writing writing = {.cli = cli, .stopping = stopping};
  struct error err = ERROR_INIT;
  int status = judged_load(cli, run_directories, count, missing, &judged, &err);
  if (status < 0) {
    /* What the gameday that wrote them said of its records stands. */
    bool others = false;
    for (uint32_t i = 0; i < count; i++)
      others = others || record_is_of_other_version(run_directories[i]);
    if (!others) reporting_remove(directory);
    return cli_fail(cli, &err);
  }
  struct run_result *result = &judged.result;
  struct report_input input = judged_input(&judged, directory);
  (void)stopping_enter(stopping, STOPPING_BY_FD);
  status = staging_make(directory, &writing.staging, &err);
  int code = status < 0 ? cli_fail(cli, &err) : EXIT_MET;
  if (status < 0) writing.failures = (struct failures){.lost = UINT64_MAX, .first = err};
  code = cli_worse(code, stage_reports(&writing, &input));
  /* All reports of one judging, or none: until they are complete those of an earlier one stay, and
   * once they begin to be replaced, nothing ends it. */
  if (stopping_enter(stopping, STOPPING_LATER)) return EXIT_MET;
  code = cli_worse(code, publish_reports(&writing, directory));
  if (code != EXIT_MET && result->verdict == VERDICT_PASS) {
    /* The exit code will not be that of a pass, and the word is to be the same everywhere. */
    result->verdict = VERDICT_UNKNOWN;
    result->why =
        arena_printf(&judged.arena, "objectives were met, but the reports are incomplete: %s",
                     writing.failures.first.message);
    code = cli_worse(code, stage_reports(&writing, &input));
    code = cli_worse(code, publish_reports(&writing, directory));
  }
  /* What is missing in a report takes nothing from an objective that was missed. */
  if (result->verdict == VERDICT_FAIL) code = EXIT_MET;
  code = cli_worse(code, verdict_code(result->verdict));
  return cli_worse(code, print_summary(cli, &input, summary_fd));
}

int reporting_write(struct cli *cli, const char *const *run_directories, uint32_t count,
                    const char *missing, const char *directory, int summary_fd) {
  static const char kept[] = "the reports are as they were; gameday report writes them anew";
  struct stopping stopping;
  struct error err = ERROR_INIT;
  if (stopping_begin(&stopping, &cli->log, kept, &err) < 0) return cli_fail(cli, &err);
  int code =
      judge_and_write(cli, run_directories, count, missing, directory, summary_fd, &stopping);
  bool complete = stopping.phase == STOPPING_LATER;
  int number = stopping_end(&stopping);
  if (number == 0) return code;
  log_print(&cli->log, LOG_ERROR, "interrupted: %s", complete ? "the reports are complete" : kept);
  return (int)cli_exit_code(STATUS_INTERRUPTED, number);
}
