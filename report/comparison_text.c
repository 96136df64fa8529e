/* A comparison for a terminal, and for pull requests. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/columns.h"
#include "report/comparison.h"
#include "report/escape.h"
#include "report/output.h"
#include "report/summary.h"

#define INDENT 9
#define LABEL_WIDTH 40
#define RUNS_ACROSS 4 /* further runs come below, with their own labels */

/* --- the terminal ---------------------------------------------------------------------------- */

static void run_line(struct buf *out, const struct comparison *comparison, uint32_t run) {
  const struct report_input *input = &comparison->runs[run].input;
  const struct run_result *result = input->result;
  CLEANUP(buf_release) struct buf line;
  buf_init(&line);
  buf_printf(&line, "[%" PRIu32 "] %s: %s", run + 1, comparison->runs[run].label,
             result->scenario ? result->scenario : "-");
  buf_printf(&line, ", provider %s, seed %" PRIu64, result->provider ? result->provider : "-",
             result->seed);
  if (input->repeat_count > 1) buf_printf(&line, ", %" PRIu32 " repeats", input->repeat_count);
  if (result->why && *result->why) buf_printf(&line, ": %s", result->why);
  columns_cell(out, summary_mark(result->verdict), INDENT, false);
  output_join_failure(out, &line);
  columns_wrapped(out, line.data, INDENT, INDENT + 4);
  if (result->trusted) return;
  columns_pad(out, INDENT + 4);
  columns_wrapped(out, "The measuring itself failed: do not trust these numbers.", INDENT + 4,
                  INDENT + 4);
}

/* What stands in a cell: "22.3 s *"; an objective's verdict is told where it is not met. */
static void cell_text(const struct compared_row *row, uint32_t run, struct buf *out) {
  const struct compared_cell *cell = &row->cells[run];
  buf_puts(out, cell->text);
  if (cell->judged) buf_printf(out, " %s", summary_mark(cell->verdict));
  if (row->apart && cell->interval_known) buf_puts(out, " *");
}

static void row_line(struct buf *out, const struct comparison *comparison,
                     const struct compared_row *row, uint32_t first, uint32_t across) {
  size_t width = (COLUMNS_MAX - LABEL_WIDTH) / across;
  columns_pad(out, 2);
  if (escape_width(row->label) + 2 >= LABEL_WIDTH) {
    columns_wrapped(out, row->label, 2, 4);
    columns_pad(out, LABEL_WIDTH);
  } else {
    columns_cell(out, row->label, LABEL_WIDTH - 2, false);
  }
  for (uint32_t i = first; i < first + across && i < comparison->run_count; i++) {
    CLEANUP(buf_release) struct buf cell;
    buf_init(&cell);
    cell_text(row, i, &cell);
    output_join_failure(out, &cell);
    buf_putc(out, ' ');
    columns_cell(out, cell.data, width - 1, true);
  }
  if (comparison->run_count == 2) {
    char change[FORMAT_SIZE];
    compared_change(row, 1, change);
    if (*change) buf_putc(out, ' ');
    columns_cell(out, change, *change ? width - 1 : 0, true);
  }
  buf_putc(out, '\n');
}

static void heads(struct buf *out, const struct comparison *comparison, uint32_t first,
                  uint32_t across) {
  size_t width = (COLUMNS_MAX - LABEL_WIDTH) / across;
  columns_pad(out, LABEL_WIDTH);
  for (uint32_t i = first; i < first + across && i < comparison->run_count; i++) {
    char number[16];
    snprintf(number, sizeof number, "[%" PRIu32 "]", i + 1);
    columns_cell(out, number, width, true);
  }
  if (comparison->run_count == 2) columns_cell(out, "[2] to [1]", width, true);
  buf_putc(out, '\n');
}

static void block(struct buf *out, const struct comparison *comparison, uint32_t first) {
  uint32_t across = comparison->run_count - first;
  if (across > RUNS_ACROSS) across = RUNS_ACROSS;
  if (comparison->run_count <= 3) across = 3; /* the same width for two and their difference */
  enum compared_group group = COMPARED_GROUPS;
  buf_putc(out, '\n');
  heads(out, comparison, first, across);
  for (uint32_t i = 0; i < comparison->row_count; i++) {
    const struct compared_row *row = &comparison->rows[i];
    if (row->group != group) {
      group = row->group;
      buf_printf(out, "%s\n", compared_groups[group]);
    }
    row_line(out, comparison, row, first, across);
  }
}

int comparison_text(const struct comparison *comparison, struct buf *out, struct error *err) {
  for (uint32_t i = 0; i < comparison->run_count; i++) run_line(out, comparison, i);
  for (uint32_t i = 0; i < comparison->run_count; i += RUNS_ACROSS) block(out, comparison, i);
  if (comparison->settings_cut > 0)
    buf_printf(out, "  and %" PRIu32 " more settings\n", comparison->settings_cut);
  buf_putc(out, '\n');
  columns_wrapped(out, comparison_caution(comparison), 0, 0);
  return buf_ok(out, err);
}

/* --- pull requests --------------------------------------------------------------------------- */

static void markdown_runs(struct buf *out, const struct comparison *comparison) {
  for (uint32_t i = 0; i < comparison->run_count; i++) {
    const struct run_result *result = comparison->runs[i].input.result;
    buf_printf(out, "%" PRIu32 ". **%s** ", i + 1, summary_mark(result->verdict));
    escape_markdown(out, comparison->runs[i].label);
    buf_puts(out, ": ");
    escape_markdown(out, result->scenario);
    buf_printf(out, ", seed %" PRIu64 ", %" PRIu32 " repeat%s", result->seed,
               comparison->runs[i].input.repeat_count,
               comparison->runs[i].input.repeat_count == 1 ? "" : "s");
    if (!result->trusted) buf_puts(out, "; **the measuring itself failed**");
    if (result->why && *result->why) {
      buf_puts(out, ": ");
      escape_markdown(out, result->why);
    }
    buf_putc(out, '\n');
  }
}

static void markdown_head(struct buf *out, const struct comparison *comparison,
                          enum compared_group group) {
  buf_printf(out, "\n| %s |", compared_groups[group]);
  for (uint32_t i = 0; i < comparison->run_count; i++) buf_printf(out, " %" PRIu32 " |", i + 1);
  buf_puts(out, "\n| --- |");
  for (uint32_t i = 0; i < comparison->run_count; i++) buf_puts(out, " ---: |");
  buf_putc(out, '\n');
}

static void markdown_row(struct buf *out, const struct comparison *comparison,
                         const struct compared_row *row) {
  buf_puts(out, "| ");
  escape_markdown(out, row->label);
  buf_puts(out, " |");
  for (uint32_t i = 0; i < comparison->run_count; i++) {
    char change[FORMAT_SIZE];
    CLEANUP(buf_release) struct buf cell;
    buf_init(&cell);
    cell_text(row, i, &cell);
    compared_change(row, i, change);
    if (*change) buf_printf(&cell, " (%s)", change);
    output_join_failure(out, &cell);
    buf_putc(out, ' ');
    escape_markdown(out, cell.data);
    buf_puts(out, " |");
  }
  buf_putc(out, '\n');
}

int comparison_markdown(const struct comparison *comparison, struct buf *out, struct error *err) {
  enum compared_group group = COMPARED_GROUPS;
  buf_puts(out, "## Runs side by side\n\n");
  markdown_runs(out, comparison);
  for (uint32_t i = 0; i < comparison->row_count; i++) {
    const struct compared_row *row = &comparison->rows[i];
    if (row->group != group) markdown_head(out, comparison, group = row->group);
    markdown_row(out, comparison, row);
  }
  if (comparison->settings_cut > 0)
    buf_printf(out, "\nand %" PRIu32 " more settings\n", comparison->settings_cut);
  buf_printf(out, "\n%s\n", comparison_caution(comparison));
  return buf_ok(out, err);
}
