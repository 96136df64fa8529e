/* gameday compare: runs, or series of repeats, side by side, from their records alone. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cli.h"
#include "judged.h"
#include "replacing.h"
#include "report/comparison.h"
#include "report/output.h"
#include "series.h"

struct compare_options {
  const char *out;
  bool json;
};

static const struct option_row rows[] = {
    {"out", OPTION_TEXT, offsetof(struct compare_options, out), "DIR",
     "Also write compare.html, compare.md and compare.json there."},
    {"json", OPTION_FLAG, offsetof(struct compare_options, json), NULL,
     "Print compare.json instead of a table."},
    {0},
};

/* One column. */
struct column {
  char directory[PATH_MAX]; /* absolute, no slash at the end */
  struct series series;
  struct judged judged;
  bool loaded;
};
struct work {
  struct column columns[COMPARISON_RUNS_MAX];
  struct compared_run runs[COMPARISON_RUNS_MAX];
  uint32_t count;
  struct arena arena;
};

static void work_free(struct work **work) {
  for (uint32_t i = 0; *work && i < (*work)->count; i++)
    if ((*work)->columns[i].loaded) judged_release(&(*work)->columns[i].judged);
  if (*work) arena_release(&(*work)->arena);
  free(*work);
}

static int load_column(struct cli *cli, struct work *work, uint32_t index, const char *path,
                       struct error *err) {
  struct column *column = &work->columns[index];
  int status = cli_absolute(path, column->directory, sizeof column->directory, err);
  if (status < 0) return status;
  size_t length = strlen(column->directory);
  while (length > 1 && column->directory[length - 1] == '/') column->directory[--length] = '\0';
  status = series_find(column->directory, &work->arena, &column->series, err);
  if (status < 0) return status;
  column->loaded = true;
  status = judged_load(cli, column->series.directories, column->series.count,
                       column->series.missing, &column->judged, err);
  if (status < 0) return status;
  work->runs[index].input = judged_input(&column->judged, column->directory);
  return 0;
}

/* The shortest end of each path that no other one has; whole paths at the worst. */
static const char *label_of(const struct work *work, uint32_t index) {
  const char *path = work->columns[index].directory;
  const char *label = path + strlen(path);
  while (label > path) {
    label--;
    while (label > path && label[-1] != '/') label--;
    bool alone = true;
    for (uint32_t i = 0; i < work->count; i++) {
      const char *other = work->columns[i].directory;
      size_t length = strlen(other), of = strlen(label);
      if (i == index || length < of || strcmp(other + length - of, label) != 0) continue;
      alone = alone && length > of && other[length - of - 1] != '/';
    }
    if (alone) return label;
  }
  return path;
}

typedef int comparison_writer(const struct comparison *comparison, struct buf *out,
                              struct error *err);

static int write_file(const struct comparison *comparison, comparison_writer *writer,
                      const char *directory, const char *name, struct error *err) {
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  int status = writer(comparison, &content, err);
  return status < 0 ? status : output_put(directory, name, &content, err);
}

static int make_files(void *data, const char *directory, int cancel_fd, struct error *err) {
  const struct comparison *comparison = data;
  (void)cancel_fd; /* it takes no time */
  int status = write_file(comparison, comparison_markdown, directory, "compare.md", err);
  if (status == 0) status = write_file(comparison, comparison_html, directory, "compare.html", err);
  if (status == 0) status = write_file(comparison, comparison_json, directory, "compare.json", err);
  return status;
}

static int tell(struct cli *cli, const struct work *work, const struct compare_options *options,
                int *ret_signal, struct error *err) {
  CLEANUP(comparison_release) struct comparison comparison = {0};
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  int status = comparison_build(work->runs, work->count, &comparison, err);
  if (status == 0)
    status = options->json ? comparison_json(&comparison, &text, err)
                           : comparison_text(&comparison, &text, err);
  if (status == 0) fwrite(text.data, 1, text.length, stdout);
  if (status < 0 || !options->out) return status;
  const struct replacing files = {.make = make_files, .data = &comparison};
  return replacing_files(&cli->log, options->out, &files, ret_signal, err);
}

static int main_compare(struct cli *cli, const void *data, int argc, char **argv) {
  const struct compare_options *options = data;
  struct error err = ERROR_INIT;
  if (argc < 2) return cli_usage(cli, &command_compare);
  int status = cli_check_out(options->out, &err);
  if (status == 0 && argc > COMPARISON_RUNS_MAX)
    status = error_set(&err, STATUS_USAGE, "at most %d runs can be compared, not %d",
                       COMPARISON_RUNS_MAX, argc);
  if (status < 0) return cli_fail(cli, &err);
  CLEANUP(work_free) struct work *work = calloc(1, sizeof *work);
  if (!work) status = error_set(&err, STATUS_MEMORY, "out of memory");
  if (work) arena_init(&work->arena, 0);
  for (int i = 0; i < argc && status == 0; i++) {
    work->count++;
    status = load_column(cli, work, (uint32_t)i, argv[i], &err);
  }
  if (status < 0) return cli_fail(cli, &err);
  int code = EXIT_MET;
  for (uint32_t i = 0; i < work->count; i++) {
    work->runs[i].label = label_of(work, i);
    if (!work->columns[i].judged.result.trusted) code = EXIT_UNTRUSTED;
  }
  int number = SIGINT;
  status = tell(cli, work, options, &number, &err);
  if (status == 0) return code;
  (void)cli_fail(cli, &err);
  return (int)cli_exit_code(err.status, number);
}

const struct command command_compare = {
    .name = "compare",
    .usage = "compare RUN_DIR RUN_DIR... [--out DIR]",
    .summary = "Put runs, or series of repeats, side by side; needs no cluster.",
    .more =
        "Each record is judged again. A directory of repeats is one column: objectives by their\n"
        "statistic, recovery as median and maximum over all faults and repeats, load and data\n"
        "of the repeat that its report shows. Settings that differ are listed. Exit code 0 says\n"
        "that all could be compared, whatever their verdicts; 4 that the measuring failed in\n"
        "one of them.",
    .options = rows,
    .options_size = sizeof(struct compare_options),
    .main = main_compare,
};
