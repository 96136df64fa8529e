/* Sections about the data, the checks, and the run itself: what was lost, who judged, which
 * settings, and how to do it again. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
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

static void witnesses(struct html_page *page) {
  static const char *const columns[] = {">when", "what can be checked by hand", NULL};
  struct kinds kinds = {.count = 0};
  facts_witnesses(page->result, NULL, kind_add, &kinds);
  for (uint32_t i = 0; i < kinds.count; i++) {
    buf_puts(page->out, "<h3>");
    html_text(page, kinds.names[i]);
    buf_puts(page->out, "</h3>\n");
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
  }
}

void html_data(struct html_page *page) {
  static const char *const columns[] = {"data", ">measured", NULL};
  html_section(page, "data", "Data: lost, unknown, wrong");
  html_table(page, columns);
  for (const struct data_value *value = data_value_table; value->measure; value++) {
    const struct measure *measure = facts_worst(page->result, value->measure);
    if (!measure && value->optional) continue;
    html_row(page);
    html_cell(page, value->label);
    html_measure(page, measure);
    html_row_end(page);
  }
  html_table_end(page);
  witnesses(page);
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
  all_measures(page);
  html_section_end(page);
}

/* JSON as the servers gave it, indented; what is no JSON as it stands. */
static void embedded(struct html_page *page, const char *title, const char *json) {
  buf_printf(page->out, "<h3>%s</h3>\n", title);
  if (!json) {
    html_note(page, "The record holds none.");
    return;
  }
  json_error_t error;
  json_t *value = json_loads(json, JSON_DECODE_ANY, &error);
  char *pretty = value ? json_dumps(value, JSON_INDENT(2) | JSON_ENCODE_ANY) : NULL;
  json_decref(value);
  buf_puts(page->out, "<pre>");
  /* escape_html() joins lines: line by line, then. */
  for (const char *line = pretty ? pretty : json; line && *line;) {
    size_t length = strcspn(line, "\n");
    CLEANUP(buf_release) struct buf copy;
    buf_init(&copy);
    buf_add(&copy, line, length);
    html_text(page, copy.data);
    buf_putc(page->out, '\n');
    line += length + (line[length] == '\n');
  }
  buf_puts(page->out, "</pre>\n");
  free(pretty);
}

void html_settings(struct html_page *page) {
  html_section(page, "settings", "Settings in effect");
  html_note(page,
            "As read back from the servers during the run, with the bounds on failover that "
            "follow from them.");
  embedded(page, "Services", page->result->settings_json);
  embedded(page, "Versions", page->result->versions_json);
  html_section_end(page);
}

/* A word for a POSIX shell: quoted unless it needs no quotes. */
static void shell_word(struct html_page *page, const char *word) {
  static const char plain[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,";
  if (word && *word && strspn(word, plain) == strlen(word)) {
    html_text(page, word);
    return;
  }
  html_text(page, "'");
  while (word && *word) {
    if (*word == '\'') {
      html_text(page, "'\\''");
      word++;
      continue;
    }
    CLEANUP(buf_release) struct buf part;
    buf_init(&part);
    size_t length = strcspn(word, "'");
    buf_add(&part, word, length);
    html_text(page, part.data);
    word += length;
  }
  html_text(page, "'");
}

void html_reproduce(struct html_page *page) {
  const struct run_result *result = page->result;
  html_section(page, "reproduce", "Do it again");
  html_note(page, "The same schedule of load and faults, from the same seed:");
  buf_puts(page->out, "<pre>gameday run ");
  shell_word(page, result->scenario_file ? result->scenario_file : result->scenario);
  buf_puts(page->out, " --provider ");
  shell_word(page, result->provider);
  buf_printf(page->out, " --seed %" PRIu64, page->input->repeats[0].seed);
  if (page->input->repeat_count > 1) {
    buf_printf(page->out, " --repeat %" PRIu32, page->input->repeat_count);
  }
  buf_puts(page->out, "</pre>\n");
  html_note(page,
            "The resolved scenario, with every default and override, is scenario.yaml in the "
            "run directory. Verdict and pictures again from the record alone:");
  buf_puts(page->out, "<pre>gameday report ");
  shell_word(page, page->input->directory);
  buf_puts(page->out, "</pre>\n");
  html_section_end(page);
}
