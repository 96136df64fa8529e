/* gameday report: every verdict and picture again, from the record alone. */
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "cli.h"
#include "reporting.h"

#define REPEATS_MAX 1000

static const struct option_row rows[] = {{0}};

static int main_report(struct cli *cli, const void *data, int argc, char **argv) {
  static char paths[REPEATS_MAX][PATH_MAX];
  const char *directories[REPEATS_MAX];
  char directory[PATH_MAX], file[PATH_MAX + 16];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  (void)data;
  if (argc != 1) return cli_usage(cli, &command_report);
  if (cli_absolute(argv[0], directory, sizeof directory, &err) < 0) return cli_fail(cli, &err);
  size_t length = strlen(directory);
  while (length > 1 && directory[length - 1] == '/') directory[--length] = '\0';
  while (count < REPEATS_MAX) {
    int status = path_format(paths[count], PATH_MAX, &err, "%s/repeat-%u", directory, count + 1);
    if (status == 0) status = path_format(file, sizeof file, &err, "%s/run.json", paths[count]);
    if (status < 0) return cli_fail(cli, &err);
    if (!file_exists(file)) break;
    directories[count] = paths[count];
    count++;
  }
  if (count == 0) directories[count++] = directory;
  return reporting_write(cli, directories, count, directory);
}

const struct command command_report = {
    .name = "report",
    .usage = "report RUN_DIR",
    .summary = "Judge a record again and write all reports anew; needs no cluster.",
    .options = rows,
    .main = main_report,
};
