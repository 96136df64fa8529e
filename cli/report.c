/* gameday report: every verdict and picture again, from the record alone. */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "cli.h"
#include "reporting.h"

#define REPEATS_MAX 1000

static const struct option_row rows[] = {{0}};

/* DIR/repeat-1, DIR/repeat-2, ... as far as they go; DIR itself when there are none. */
static int find_repeats(const char *directory, struct arena *arena, const char **ret_directories,
                        uint32_t *ret_count, struct error *err) {
  uint32_t count = 0;
  while (count < REPEATS_MAX) {
    const char *repeat = arena_printf(arena, "%s/repeat-%u", directory, count + 1);
    const char *file = repeat ? arena_printf(arena, "%s/run.json", repeat) : NULL;
    if (!file) return error_set(err, STATUS_MEMORY, "out of memory");
    if (!file_exists(file)) break;
    ret_directories[count++] = repeat;
  }
  if (count == 0) ret_directories[count++] = directory;
  *ret_count = count;
  return 0;
}

static int main_report(struct cli *cli, const void *data, int argc, char **argv) {
  const char *directories[REPEATS_MAX];
  char directory[PATH_MAX];
  struct error err = ERROR_INIT;
  CLEANUP(arena_release) struct arena arena;
  uint32_t count = 0;
  (void)data;
  arena_init(&arena, 0);
  if (argc != 1) return cli_usage(cli, &command_report);
  int status = cli_absolute(argv[0], directory, sizeof directory, &err);
  if (status < 0) return cli_fail(cli, &err);
  size_t length = strlen(directory);
  while (length > 1 && directory[length - 1] == '/') directory[--length] = '\0';
  status = find_repeats(directory, &arena, directories, &count, &err);
  if (status < 0) return cli_fail(cli, &err);
  return reporting_write(cli, directories, count, directory, STDOUT_FILENO);
}

const struct command command_report = {
    .name = "report",
    .usage = "report RUN_DIR",
    .summary = "Judge a record again and write all reports anew; needs no cluster.",
    .options = rows,
    .main = main_report,
};
