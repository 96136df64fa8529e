/* Sections about operations: what became of them, how long they took, lag, fresh connections. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "gameday/provider.h"
#include "report/html.h"
#include "report/statistics.h"

static const char *const class_names[SERIES_CLASS_COUNT] = {
    [SERIES_WRITES] = "writes",
    [SERIES_READS] = "reads",
};

static void counts_row(struct html_page *page, const char *name,
                       const struct operation_counts *counts) {
  char text[FORMAT_SIZE] = "none scheduled";
  double ratio;
  if (facts_availability(counts, &ratio)) format_value(ratio, UNIT_RATIO, text);
  html_row(page);
  html_cell(page, name);
  html_count(page, counts->scheduled);
  html_count(page, counts->ok);
  html_count(page, counts->fail);
  html_count(page, counts->unknown);
  html_count(page, counts->skipped);
  html_number(page, text);
  html_row_end(page);
}

static void codes(struct html_page *page) {
  static const char *const columns[] = {"of",     "outcome", "code",  "meaning",
                                        ">count", ">first",  ">last", NULL};
  const struct series *series = page->series;
  if (series->code_count == 0) return;
  buf_puts(page->out, "<h3>Why operations did not succeed</h3>\n");
  html_table(page, columns);
  for (uint32_t i = 0; i < series->code_count; i++) {
    const struct series_code *code = &series->codes[i];
    char name[6] = "-";
    if (code->code != 0) code_unpack(code->code, name);
    html_row(page);
    html_cell(page, class_names[code->class]);
    html_cell(page, outcome_name((enum outcome)code->outcome));
    html_cell(page, name);
    html_cell(page, facts_code_meaning(name));
    html_count(page, code->count);
    html_moment(page, code->first_ns);
    html_moment(page, code->last_ns);
    html_row_end(page);
  }
  html_table_end(page);
  if (series->codes_beyond > 0) html_note(page, "There were further codes, not counted here.");
}

static void line_keys(struct html_page *page) {
  static const enum plot_color colors[PHASE_COUNT] = {
      [PHASE_DETECTED] = COLOR_DETECTED,
      [PHASE_PROMOTED] = COLOR_PROMOTED,
      [PHASE_WRITTEN] = COLOR_WRITTEN,
      [PHASE_REDUNDANT] = COLOR_REDUNDANT,
  };
  if (page->result->info.fault_count == 0) return;
  buf_puts(page->out,
           "<ul class=\"keys\"><li><i style=\"--k:var(--fault);opacity:.35\"></i>fault in "
           "effect</li>");
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
    if (phase == PHASE_CLIENTS) continue;
    buf_printf(page->out, "<li><i class=\"line\" style=\"--k:var(--%s)\"></i>%s</li>",
               plot_colors[colors[phase]].name, phase_table[phase].label);
  }
  buf_puts(page->out, "</ul>\n");
}

void html_load(struct html_page *page) {
  static const char *const columns[] = {"operations", ">scheduled", ">ok",           ">fail",
                                        ">unknown",   ">skipped",   ">availability", NULL};
  html_section(page, "load", "Load and outcomes");
  html_plot(page, &plot_timeline);
  line_keys(page);
  buf_puts(page->out, "<h3>Measured time</h3>\n");
  html_note(page, "Of " LOAD_POPULATION ".");
  html_table(page, columns);
  counts_row(page, "writes", &page->result->writes);
  counts_row(page, "reads", &page->result->reads);
  html_table_end(page);
  codes(page);
  html_section_end(page);
}

static void quantiles(struct html_page *page, const struct histogram *histogram) {
  static const double points[] = {0.5, 0.95, 0.99, 0.999};
  for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
    /* A quantile of fewer values than it divides is only the maximum. */
    if ((double)histogram->count * (1.0 - points[i]) < 1.0) {
      html_number(page, "too few");
    } else {
      html_seconds(page, (double)histogram_quantile(histogram, points[i]) / 1e9);
    }
  }
  html_seconds(page, (double)histogram->maximum / 1e9);
}

static void latency_table(struct html_page *page) {
  static const char *const columns[] = {
      "operations that succeeded", ">count", ">median", ">p95", ">p99", ">p99.9", ">maximum", NULL};
  html_table(page, columns);
  for (int class = 0; class < SERIES_CLASS_COUNT; class ++) {
    const struct histogram *histogram = page->series->latency_total[class];
    if (!histogram) continue;
    html_row(page);
    html_cell(page, class_names[class]);
    html_count(page, histogram->count);
    quantiles(page, histogram);
    html_row_end(page);
  }
  html_table_end(page);
}

void html_latency(struct html_page *page) {
  html_section(page, "latency", "Latency");
  html_plot(page, &plot_latency);
  html_plot(page, &plot_heatmap);
  if (page->series->latency_total[SERIES_WRITES] || page->series->latency_total[SERIES_READS]) {
    latency_table(page);
  }
  html_section_end(page);
}

static const char *const lag_statistics[] = {"p50", "p95", "p99", "max"};
#define LAG_STATISTIC_COUNT (sizeof lag_statistics / sizeof lag_statistics[0])

/* One kind of lag of one host (HOST_NONE: over all); no row where no checker gave any. */
static void lag_row(struct html_page *page, const char *kind, const char *label, uint16_t host) {
  const struct measure *measures[LAG_STATISTIC_COUNT];
  bool any = false;
  for (size_t i = 0; i < LAG_STATISTIC_COUNT; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", kind, lag_statistics[i]);
    measures[i] = facts_host_measure(page->result, name, FAULT_NONE, host);
    any = any || measures[i];
  }
  if (!any) return;
  html_row(page);
  html_cell(page, label);
  html_cell(page, host == HOST_NONE ? "all" : facts_host(page->result, host));
  for (size_t i = 0; i < LAG_STATISTIC_COUNT; i++) html_measure(page, measures[i]);
  html_row_end(page);
}

#define LAG_HOSTS_SHOWN 24u

static int compare_descending(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return a > b ? -1 : a < b;
}

/* How far behind the host was at most; negative: not known. */
static double largest_lag(const struct html_page *page, const char *kind, uint32_t host) {
  char name[64];
  snprintf(name, sizeof name, "%s.max", kind);
  const struct measure *largest =
      facts_host_measure(page->result, name, FAULT_NONE, (uint16_t)host);
  return largest && largest->known ? largest->value : -1;
}

/* The hosts' rows; of many those that were furthest behind, and how many more there are. */
static void lag_rows(struct html_page *page, const char *kind, const char *label) {
  uint32_t count = page->result->info.host_count, known = 0, shown = 0;
  double largest[HOSTS_MAX] = {0};
  for (uint32_t host = 0; host < count && host < HOSTS_MAX; host++) {
    double lag = largest_lag(page, kind, host);
    if (lag >= 0) largest[known++] = lag;
  }
  qsort(largest, known, sizeof *largest, compare_descending);
  double least = known > LAG_HOSTS_SHOWN ? largest[LAG_HOSTS_SHOWN - 1] : -1;
  for (uint32_t host = 0; host < count && (least < 0 || shown < LAG_HOSTS_SHOWN); host++) {
    if (least >= 0 && largest_lag(page, kind, host) < least) continue;
    lag_row(page, kind, label, (uint16_t)host);
    shown++;
  }
  if (known <= LAG_HOSTS_SHOWN) return;
  char text[64];
  snprintf(text, sizeof text, "%u more, none further behind", known - shown);
  html_row(page);
  html_cell(page, label);
  html_cell(page, text);
  for (size_t i = 0; i < LAG_STATISTIC_COUNT; i++) html_number(page, "");
  html_row_end(page);
}

void html_lag(struct html_page *page) {
  static const char *const columns[] = {"lag", "host", ">median", ">p95", ">p99", ">maximum", NULL};
  static const struct {
    const char *measure, *label;
  } kinds[] = {{"replication_lag", "end to end, by heartbeat"},
               {"replication_lag.bytes", "reported, bytes"},
               {"replication_lag.seconds", "reported, time"},
               {"staleness", "staleness of reads"}};
  html_section(page, "lag", "Replication lag");
  html_plot(page, &plot_lag);
  html_table(page, columns);
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    lag_row(page, kinds[i].measure, kinds[i].label, HOST_NONE);
    lag_rows(page, kinds[i].measure, kinds[i].label);
  }
  html_table_end(page);
  html_section_end(page);
}

static void connect_row(struct html_page *page, enum probe_step step, enum series_period period) {
  const struct histogram *histogram = page->series->step_times[step][period];
  html_row(page);
  html_cell(page, probe_step_name(step));
  html_cell(page, period == PERIOD_CALM ? "otherwise" : "fault until full redundancy");
  if (histogram) {
    html_count(page, histogram->count);
    html_seconds(page, (double)histogram_quantile(histogram, 0.5) / 1e9);
    if (histogram->count >= 20) {
      html_seconds(page, (double)histogram_quantile(histogram, 0.95) / 1e9);
    } else {
      html_number(page, "too few");
    }
    html_seconds(page, (double)histogram->maximum / 1e9);
  } else {
    html_count(page, 0);
    for (int i = 0; i < 3; i++) html_number(page, "-");
  }
  html_row_end(page);
}

void html_connect(struct html_page *page) {
  static const char *const columns[] = {"step", "when",     ">count", ">median",
                                        ">p95", ">maximum", NULL};
  html_section(page, "connect", "Fresh connections");
  html_plot(page, &plot_connect);
  bool any = false;
  for (int step = 0; step < PROBE_STEP_COUNT; step++) any = any || page->series->steps[step];
  if (any) {
    html_table(page, columns);
    for (enum probe_step step = 0; step < PROBE_STEP_COUNT; step++) {
      connect_row(page, step, PERIOD_CALM);
      connect_row(page, step, PERIOD_FAULT);
    }
    html_table_end(page);
  }
  html_section_end(page);
}
