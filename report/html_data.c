/* Sections about the data and the checks: what was lost, and who judged. */
#include <inttypes.h>
#include <string.h>

#include "report/html.h"
#include "report/statistics.h"

#define WITNESSES_SHOWN 100 /* of each kind */
#define KINDS_MAX 16

struct kinds {
  const char *names[KINDS_MAX];
  uint32_t count;
};

static void kind_add(void *data, const struct witness *witness, const struct checker *checker) {
  (void)checker;
  struct kinds *kinds = data;
  for (uint32_t i = 0; i < kinds->count; i++) {
    if (strcmp(kinds->names[i], witness->what) == 0) return;
  }
  if (kinds->count < KINDS_MAX) kinds->names[kinds->count++] = witness->what;
}

struct list {
  struct html_page *page;
  uint32_t shown;
};

static void witness_row(void *data, const struct witness *witness, const struct checker *checker) {
  (void)checker;
  struct list *list = data;
  if (list->shown++ >= WITNESSES_SHOWN) return;
  html_row(list->page);
  html_moment(list->page, witness->time_ns);
  html_cell(list->page, witness->text);
  html_row_end(list->page);
}

static bool is_about_data(const char *what) {
  for (const char *const *kind = data_witness_kinds; *kind; kind++) {
    if (strcmp(*kind, what) == 0) return true;
  }
  return false;
}

/* The kinds about data stand open, what other checkers say is folded. */
static void witnesses(struct html_page *page, bool about_data) {
  static const char *const columns[] = {">when", "what can be checked by hand", NULL};
  struct kinds kinds = {.count = 0};
  facts_witnesses(page->result, NULL, kind_add, &kinds);
  for (uint32_t i = 0; i < kinds.count; i++) {
    if (is_about_data(kinds.names[i]) != about_data) continue;
    buf_printf(page->out, "<details%s><summary>", about_data ? " open" : "");
    html_text(page, kinds.names[i]);
    buf_printf(page->out, ": %zu examples</summary>\n",
               facts_witnesses(page->result, kinds.names[i], NULL, NULL));
    html_table(page, columns);
    struct list list = {.page = page};
    size_t count = facts_witnesses(page->result, kinds.names[i], witness_row, &list);
    html_table_end(page);
    if (count > WITNESSES_SHOWN) {
      buf_printf(page->out,
                 "<p class=\"note\">The first %d of %zu that were kept; the rest are in "
                 "result.json.</p>\n",
                 WITNESSES_SHOWN, count);
    }
    buf_puts(page->out, "</details>\n");
  }
}

static void data_row(void *data, const char *label, const struct measure *measure) {
  struct html_page *page = data;
  html_row(page);
  html_cell(page, label);
  html_measure(page, measure);
  html_row_end(page);
}

void html_data(struct html_page *page) {
  static const char *const columns[] = {"data", ">measured", NULL};
  html_section(page, "data", "Data: lost, unknown, wrong");
  html_note(page, "Of " DATA_POPULATION ".");
  html_table(page, columns);
  data_values(page->result, data_row, page);
  html_table_end(page);
  witnesses(page, true);
  html_section_end(page);
}

static void warnings(struct html_page *page) {
  static const char *const columns[] = {">when", "warning", NULL};
  const struct series *series = page->series;
  if (series->warning_count == 0) return;
  buf_puts(page->out, "<h3>Warnings during the run</h3>\n");
  html_table(page, columns);
  for (uint32_t i = 0; i < series->warning_count; i++) {
    html_row(page);
    html_moment(page, series->warnings[i].time_ns);
    html_cell(page, series->warnings[i].text);
    html_row_end(page);
  }
  html_table_end(page);
  if (series->warnings_total > series->warning_count) {
    buf_printf(page->out,
               "<p class=\"note\">The first %" PRIu32 " of %" PRIu64
               "; the rest are in "
               "events.jsonl.</p>\n",
               series->warning_count, series->warnings_total);
  }
}

static void all_measures(struct html_page *page) {
  static const char *const columns[] = {"measured", "fault", "host", ">value", "checker", NULL};
  buf_puts(page->out, "<details><summary>All measured values</summary>\n");
  html_table(page, columns);
  for (uint32_t i = 0; i < page->result->finding_count; i++) {
    const struct finding *finding = &page->result->findings[i];
    for (uint32_t j = 0; j < finding->measure_count; j++) {
      const struct measure *measure = &finding->measures[j];
      html_row(page);
      html_cell(page, measure->name);
      html_cell(page, facts_fault(page->result, measure->fault));
      html_cell(page, facts_host(page->result, measure->host));
      html_measure(page, measure);
      html_cell(page, finding->checker ? finding->checker->plugin.name : "-");
      html_row_end(page);
    }
  }
  html_table_end(page);
  buf_puts(page->out, "</details>\n");
}

void html_checks(struct html_page *page) {
  static const char *const columns[] = {"verdict", "checker", "why", NULL};
  html_section(page, "checks", "Checks");
  html_table(page, columns);
  for (uint32_t i = 0; i < page->result->finding_count; i++) {
    const struct finding *finding = &page->result->findings[i];
    html_row(page);
    html_verdict(page, finding->verdict);
    html_cell(page, finding->checker ? finding->checker->plugin.name : "-");
    html_cell(page, finding->why);
    html_row_end(page);
  }
  html_table_end(page);
  warnings(page);
  buf_puts(page->out, "<h3>What the checkers go by</h3>\n");
  witnesses(page, false);
  all_measures(page);
  html_section_end(page);
}
