/* The top of the page: the verdict and one sentence why, the objectives, the repeats. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "report/html.h"
#include "report/statistics.h"
#include "report/summary.h"

#define REPEATS_SHOWN 200

static void meta(struct html_page *page, const char *name, const char *value) {
  buf_printf(page->out, "<li>%s <b>", name);
  html_text(page, value);
  buf_puts(page->out, "</b></li>");
}

static void navigation(struct html_page *page) {
  static const struct {
    const char *id, *name;
  } links[] = {
      {"objectives", "objectives"}, {"repeats", "repeats"},
      {"faults", "faults"},         {"load", "load"},
      {"latency", "latency"},       {"lag", "lag"},
      {"outages", "outages"},       {"data", "data"},
      {"connect", "connections"},   {"checks", "checks"},
      {"settings", "settings"},     {"reproduce", "reproduce"},
  };
  buf_puts(page->out, "<nav>");
  for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) {
    if (strcmp(links[i].id, "repeats") == 0 && page->input->repeat_count < 2) continue;
    buf_printf(page->out, "<a href=\"#%s\">%s</a>\n", links[i].id, links[i].name);
  }
  buf_puts(page->out, "</nav>");
}

void html_banner(struct html_page *page) {
  const struct run_result *result = page->result;
  char when[32], text[FORMAT_SIZE];
  buf_puts(page->out, "<header>\n<h1>");
  html_text(page, result->scenario);
  buf_printf(page->out, "</h1>\n<div class=\"banner %s\"><span class=\"word\">%s</span>",
             verdict_name(result->verdict), summary_mark(result->verdict));
  buf_puts(page->out, "<p class=\"why\">");
  html_text(page, result->why && *result->why ? result->why : "All objectives were met.");
  buf_puts(page->out, "</p></div>\n<ul class=\"meta\">");
  meta(page, "provider", result->provider);
  snprintf(text, sizeof text, "%" PRIu64, result->seed);
  meta(page, "seed", text);
  clock_format_wall(result->wall_start_ns, when);
  meta(page, "began", when);
  format_seconds(result->duration_s, text);
  meta(page, "took", text);
  if (result->info.load_begin_ns != TIME_NEVER && result->info.load_end_ns != TIME_NEVER) {
    char from[FORMAT_SIZE], to[FORMAT_SIZE], measured[2 * FORMAT_SIZE + 8];
    format_moment(result->info.load_begin_ns, from);
    format_moment(result->info.load_end_ns, to);
    snprintf(measured, sizeof measured, "%s to %s", from, to);
    meta(page, "measured", measured);
  }
  if (page->input->repeat_count > 1) {
    snprintf(text, sizeof text, "%" PRIu32 " (details: of repeat %" PRIu32 ")",
             page->input->repeat_count, result->repeat);
    meta(page, "repeats", text);
  }
  buf_puts(page->out, "</ul>\n");
  if (!result->trusted) {
    buf_puts(page->out,
             "<p class=\"warn\">The measuring itself failed: do not trust the numbers "
             "on this page.</p>\n");
  }
  navigation(page);
  buf_puts(page->out, "</header>\n");
}

void html_objectives(struct html_page *page) {
  const struct run_result *result = page->result;
  static const char *const columns[] = {"verdict", "objective", ">measured", "bound",
                                        "of",      "why",       NULL};
  html_section(page, "objectives", "Objectives");
  if (result->objective_count == 0) {
    html_note(page, "The scenario sets none.");
    html_section_end(page);
    return;
  }
  html_table(page, columns);
  for (uint32_t i = 0; i < result->objective_count; i++) {
    const struct objective_result *objective = &result->objectives[i];
    char measured[FORMAT_SIZE] = "not measured";
    if (objective->known) {
      format_against(objective->measured, objective->bound_value, objective->unit, measured);
    }
    html_row(page);
    html_verdict(page, objective->verdict);
    html_cell(page, objective->name);
    html_number(page, measured);
    html_cell(page, objective->bound);
    html_cell(page, objective->statistic ? objective->statistic : "max");
    html_cell(page, objective->why);
    html_row_end(page);
  }
  html_table_end(page);
  html_section_end(page);
}

static void phase_row(void *data, const struct phase_info *phase, const struct spread *spread) {
  struct html_page *page = data;
  html_row(page);
  html_cell(page, phase->label);
  if (spread->count > 0) {
    char text[SPREAD_TEXT_SIZE];
    spread_text(spread, text);
    html_cell(page, text);
  } else {
    html_cell(page, "not measured in any repeat");
  }
  html_row_end(page);
}

static void distributions(struct html_page *page) {
  static const char *const columns[] = {"from the fault in effect until", "distribution", NULL};
  html_table(page, columns);
  struct error err = ERROR_INIT;
  if (spread_phases(page->input, phase_row, page, &err) != 0) {
    page->out->failed = true; /* memory: told at the end like any other append */
    return;
  }
  html_table_end(page);
}

void html_repeats(struct html_page *page) {
  if (page->input->repeat_count < 2) return;
  static const char *const columns[] = {"#",
                                        "verdict",
                                        ">seed",
                                        ">detected",
                                        ">promoted",
                                        ">writes back",
                                        ">clients back",
                                        ">full redundancy",
                                        ">lost",
                                        "why",
                                        NULL};
  html_section(page, "repeats", "Repeats");
  html_plot(page, &plot_repeats);
  distributions(page);
  html_note(page, "Each row: the worst over the faults of one repeat.");
  html_table(page, columns);
  for (uint32_t i = 0; i < page->input->repeat_count && i < REPEATS_SHOWN; i++) {
    const struct run_result *repeat = &page->input->repeats[i];
    char text[FORMAT_SIZE];
    struct measure worst;
    html_row(page);
    snprintf(text, sizeof text, "%" PRIu32, repeat->repeat);
    html_cell(page, text);
    html_verdict(page, repeat->verdict);
    snprintf(text, sizeof text, "%" PRIu64, repeat->seed);
    html_number(page, text);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
      html_measure(page, facts_worst(repeat, phase_table[phase].measure, &worst));
    }
    html_measure(page, facts_worst(repeat, "data_loss", &worst));
    html_cell(page, repeat->why);
    html_row_end(page);
  }
  html_table_end(page);
  if (page->input->repeat_count > REPEATS_SHOWN) html_note(page, "The rest: see result.json.");
  html_section_end(page);
}
