/* Sections about what was broken and what came of it: faults, outages, two primaries. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "report/bounds.h"
#include "report/caches.h"
#include "report/html.h"

#define FAULTS_SHOWN 200
#define OUTAGES_SHOWN FACTS_LONGEST_MAX

static void fault_times(struct html_page *page) {
  static const char *const columns[] = {"fault",           "injector",  "target",     "host",
                                        ">planned",        ">injected", ">in effect", ">healed",
                                        ">heal in effect", NULL};
  uint32_t shown[FAULTS_SHOWN];
  uint32_t count = facts_faults(page->result, FAULTS_SHOWN, shown);
  html_table(page, columns);
  for (uint32_t i = 0; i < count; i++) {
    const struct fault_info *fault = &page->result->info.faults[shown[i]];
    html_row(page);
    html_cell(page, facts_fault(page->result, (int32_t)shown[i]));
    html_cell(page, fault->injector);
    html_cell(page, fault->target);
    html_cell(page, facts_host(page->result, fault->host));
    html_moment(page, fault->planned_ns);
    html_moment(page, fault->injected_ns);
    html_moment(page, fault->confirmed_ns);
    if (fault->planned && fault->healed_ns == TIME_NEVER) {
      html_number(page, "a step");
      html_number(page, "a step");
    } else {
      html_moment(page, fault->healed_ns);
      html_moment(page, fault->heal_confirmed_ns);
    }
    html_row_end(page);
  }
  html_table_end(page);
}

static void fault_phases(struct html_page *page) {
  static const char *const columns[] = {
      "fault", ">detected", ">promoted", ">writes back", ">clients back", ">full redundancy", NULL};
  uint32_t shown[FAULTS_SHOWN];
  uint32_t count = facts_faults(page->result, FAULTS_SHOWN, shown);
  html_table(page, columns);
  for (uint32_t i = 0; i < count; i++) {
    html_row(page);
    html_cell(page, facts_fault(page->result, (int32_t)shown[i]));
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
      html_measure(page, facts_phase(page->result, shown[i], phase));
    }
    html_row_end(page);
  }
  html_table_end(page);
}

static void fault_caches(struct html_page *page) {
  static const char *const columns[] = {"fault", "of the cache and what is behind it", ">measured",
                                        NULL};
  uint32_t shown[FAULTS_SHOWN], told = 0;
  uint32_t count = facts_faults(page->result, FAULTS_SHOWN, shown);
  for (uint32_t i = 0; i < count; i++) told += caches_told(page->result, shown[i]) ? 1 : 0;
  if (told == 0) return;
  buf_puts(page->out, "<h3>Caches and the databases behind them</h3>\n");
  html_table(page, columns);
  for (uint32_t i = 0; i < count; i++) {
    if (!caches_told(page->result, shown[i])) continue;
    for (const struct cache_info *row = cache_table; row->measure; row++) {
      html_row(page);
      html_cell(page, facts_fault(page->result, (int32_t)shown[i]));
      html_cell(page, row->label);
      html_measure(page, facts_measure(page->result, row->measure, (int32_t)shown[i]));
      html_row_end(page);
    }
  }
  html_table_end(page);
}

static void bound_row(void *data, const struct settings_bound *bound) {
  struct html_page *page = data;
  html_row(page);
  html_cell(page, bound->service);
  html_cell(page, bound->injector);
  if (bound->known) {
    html_seconds(page, bound->seconds);
  } else {
    html_number(page, "none");
  }
  html_cell(page, bound->because);
  html_row_end(page);
}

static void bound_seen(void *data, const struct settings_bound *bound) {
  (void)bound;
  *(bool *)data = true;
}

static void fault_bounds(struct html_page *page) {
  static const char *const columns[] = {"service", "fault", ">failover at most", "because", NULL};
  bool any = false;
  bounds_each(page->result, bound_seen, &any); /* what cannot be read is said under "settings" */
  if (!any) return;
  buf_puts(page->out, "<h3>What the settings in effect promise</h3>\n");
  html_table(page, columns);
  if (!bounds_each(page->result, bound_row, page)) page->out->failed = true;
  html_table_end(page);
}

void html_faults(struct html_page *page) {
  html_section(page, "faults", "Faults");
  if (page->result->info.fault_count == 0) {
    html_note(page, "The scenario has none.");
    html_section_end(page);
    return;
  }
  html_plot(page, &plot_waterfall);
  buf_puts(page->out, "<h3>Time from the fault in effect</h3>\n");
  fault_phases(page);
  buf_puts(page->out, "<ul class=\"keys\">");
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
    buf_printf(page->out, "<li>%s: %s</li>", phase_table[phase].label, phase_table[phase].meaning);
  }
  buf_puts(page->out, "</ul>\n");
  fault_bounds(page);
  fault_caches(page);
  buf_puts(page->out, "<h3>When it happened</h3>\n");
  fault_times(page);
  html_section_end(page);
}

struct list {
  struct html_page *page;
  const char *name;
  bool hosts;
};

static void outage(void *data, const struct interval *interval) {
  struct list *list = data;
  struct html_page *page = list->page;
  char name[128];
  snprintf(name, sizeof name, "%s%s%.80s", list->name, interval->of ? " of " : "",
           interval->of ? interval->of : "");
  html_row(page);
  html_cell(page, name);
  html_seconds(page, facts_span_s(page->result, interval));
  html_moment(page, interval->begin_ns);
  if (interval->end_ns == TIME_NEVER) {
    html_number(page, "never ended");
  } else {
    html_moment(page, interval->end_ns);
  }
  html_cell(page, facts_fault(page->result, interval->fault));
  if (list->hosts) {
    char hosts[2 * 64 + 8];
    bool two = interval->other_host != HOST_NONE;
    snprintf(hosts, sizeof hosts, "%.60s%s%.60s", facts_host(page->result, interval->host),
             two ? " and " : "", two ? facts_host(page->result, interval->other_host) : "");
    html_cell(page, hosts);
  }
  html_row_end(page);
}

static void list_of(struct html_page *page, const char *what, const char *name, bool hosts) {
  struct list list = {.page = page, .name = name, .hosts = hosts};
  facts_longest(page->result, what, OUTAGES_SHOWN, outage, &list);
}

static size_t count_of(struct html_page *page, const char *what) {
  return facts_intervals(page->result, what, NULL, NULL);
}

/* That nobody looked, or could, is no finding of none. */
static void outages_none(struct html_page *page) {
  char writes[FACTS_TEXT_SIZE], reads[FACTS_TEXT_SIZE], note[2 * FACTS_TEXT_SIZE];
  bool no_write = facts_none(page->result, "write_outage", FAULT_NONE, writes);
  bool no_read = facts_none(page->result, "read_outage", FAULT_NONE, reads);
  if (no_write || no_read)
    html_note(page, "None was found: no interval in which nothing succeeded.");
  snprintf(note, sizeof note, "Outages of writes: %s", writes);
  if (!no_write) html_note(page, note);
  snprintf(note, sizeof note, "Outages of reads: %s", reads);
  if (!no_read) html_note(page, note);
}

void html_outages(struct html_page *page) {
  static const char *const columns[] = {"of", ">lasted", ">from", ">to", "charged to", NULL};
  static const char *const dual_columns[] = {"what",       ">lasted", ">from", ">to",
                                             "charged to", "hosts",   NULL};
  html_section(page, "outages", "Outages");
  size_t writes = count_of(page, "write_outage"), reads = count_of(page, "read_outage");
  size_t brownouts = count_of(page, "brownout"), dual = count_of(page, "dual_primary");
  if (writes + reads + brownouts > 0) {
    html_table(page, columns);
    list_of(page, "write_outage", "writes", false);
    list_of(page, "read_outage", "reads", false);
    list_of(page, "brownout", "brownout (slow, not down)", false);
    html_table_end(page);
  } else {
    outages_none(page);
  }
  buf_puts(page->out, "<h3>Two primaries</h3>\n");
  if (dual > 0) {
    html_table(page, dual_columns);
    list_of(page, "dual_primary", "both acknowledged writes", true);
    html_table_end(page);
  } else {
    char text[FACTS_TEXT_SIZE];
    struct measure worst;
    const struct measure *measure = facts_worst(page->result, "dual_primary", &worst);
    facts_text(measure, text);
    html_note(page, measure && measure->known
                        ? "No interval in which two hosts acknowledged writes."
                        : text);
  }
  if (writes > OUTAGES_SHOWN || reads > OUTAGES_SHOWN || brownouts > OUTAGES_SHOWN ||
      dual > OUTAGES_SHOWN) {
    html_note(page, "Only the longest of each kind are listed; all are in result.json.");
  }
  html_section_end(page);
}
