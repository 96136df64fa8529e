/* A comparison as one page that needs nothing else. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report/comparison.h"
#include "report/html.h"
#include "report/summary.h"

static void run_row(struct html_page *page, const struct compared_run *run, uint32_t number) {
  const struct run_result *result = run->input.result;
  char text[FORMAT_SIZE];
  html_row(page);
  snprintf(text, sizeof text, "%" PRIu32, number);
  html_number(page, text);
  html_cell(page, run->label);
  html_verdict(page, result->verdict);
  html_cell(page, result->scenario);
  html_cell(page, result->provider);
  snprintf(text, sizeof text, "%" PRIu64, result->seed);
  html_number(page, text);
  html_count(page, run->input.repeat_count);
  html_cell(page, result->trusted ? result->why
                                  : "The measuring itself failed: do not trust these numbers.");
  html_row_end(page);
}

static void runs(struct html_page *page, const struct comparison *comparison) {
  static const char *const columns[] = {">",     "run",      "verdict", "scenario", "provider",
                                        ">seed", ">repeats", "why",     NULL};
  html_section(page, "runs", "Runs");
  html_table(page, columns);
  for (uint32_t i = 0; i < comparison->run_count; i++) run_row(page, &comparison->runs[i], i + 1);
  html_table_end(page);
  html_note(page, comparison_caution(comparison));
  html_section_end(page);
}

static void cell(struct html_page *page, const struct compared_row *row, uint32_t run) {
  const struct compared_cell *cell = &row->cells[run];
  char change[FORMAT_SIZE];
  compared_change(row, run, change);
  html_cell_begin(page, row->group == COMPARED_SETTINGS ? "w" : "n");
  html_text(page, cell->text);
  if (row->apart && cell->interval_known) buf_puts(page->out, " *");
  if (*change) {
    buf_puts(page->out, "<br><span class=\"none\">");
    html_text(page, change);
    buf_puts(page->out, "</span>");
  }
  if (cell->why) {
    buf_puts(page->out, "<br><span class=\"none\">");
    html_text(page, cell->why);
    buf_puts(page->out, "</span>");
  }
  if (cell->judged) {
    buf_puts(page->out, "<br>");
    html_verdict_word(page, cell->verdict);
  }
  buf_puts(page->out, "</td>");
}

/* Returns the row after the group's last. */
static uint32_t group(struct html_page *page, const struct comparison *comparison, uint32_t first,
                      const char *const columns[]) {
  enum compared_group which = comparison->rows[first].group;
  char id[16];
  snprintf(id, sizeof id, "group-%d", (int)which);
  html_section(page, id, compared_groups[which]);
  html_table(page, columns);
  uint32_t i = first;
  for (; i < comparison->row_count && comparison->rows[i].group == which; i++) {
    html_row(page);
    html_cell(page, comparison->rows[i].label);
    for (uint32_t run = 0; run < comparison->run_count; run++)
      cell(page, &comparison->rows[i], run);
    html_row_end(page);
  }
  html_table_end(page);
  if (which == COMPARED_SETTINGS && comparison->settings_cut > 0) {
    char text[64];
    snprintf(text, sizeof text, "and %" PRIu32 " more settings", comparison->settings_cut);
    html_note(page, text);
  }
  html_section_end(page);
  return i;
}

int comparison_html(const struct comparison *comparison, struct buf *out, struct error *err) {
  struct html_page page = {.out = out, .plot_problem = ERROR_INIT};
  char numbers[COMPARISON_RUNS_MAX][16];
  const char *columns[COMPARISON_RUNS_MAX + 2] = {""};
  for (uint32_t i = 0; i < comparison->run_count; i++) {
    snprintf(numbers[i], sizeof numbers[i], ">run %" PRIu32, i + 1);
    columns[i + 1] = numbers[i];
  }
  html_head(&page, "compare", comparison->runs[0].label);
  buf_puts(out, "<header><h1>Runs side by side</h1></header>\n<main>\n");
  runs(&page, comparison);
  for (uint32_t i = 0; i < comparison->row_count;) i = group(&page, comparison, i, columns);
  buf_puts(out,
           "</main>\n<footer>Small below a value: how it differs from run 1. The same as "
           "data: compare.json.</footer>\n</body>\n</html>\n");
  return buf_ok(out, err);
}
