/* gameday report: every verdict and picture again, from the record alone. */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "cli.h"
#include "reporting.h"
#include "series.h"

static const struct option_row rows[] = {{0}};

static int main_report(struct cli *cli, const void *data, int argc, char **argv) {
  char directory[PATH_MAX];
  struct error err = ERROR_INIT;
  CLEANUP(arena_release) struct arena arena;
  struct series series;
  (void)data;
  arena_init(&arena, 0);
  if (argc != 1) return cli_usage(cli, &command_report);
  int status = cli_absolute(argv[0], directory, sizeof directory, &err);
  if (status < 0) return cli_fail(cli, &err);
  size_t length = strlen(directory);
  while (length > 1 && directory[length - 1] == '/') directory[--length] = '\0';
  status = series_find(directory, &arena, &series, &err);
  if (status < 0) {
    reporting_remove(directory);
    return cli_fail(cli, &err);
  }
  return reporting_write(cli, series.directories, series.count, series.missing, directory,
                         STDOUT_FILENO);
}

const struct command command_report = {
    .name = "report",
    .usage = "report RUN_DIR",
    .summary = "Judge a record again and write all reports anew; needs no cluster.",
    .options = rows,
    .main = main_report,
};
