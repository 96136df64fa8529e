/* The final summary for a terminal: verdict, objectives, faults with their phases, load, outages,
 * data, warnings. */
#include "report/summary.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "report/bounds.h"
#include "report/caches.h"
#include "report/columns.h"
#include "report/escape.h"
#include "report/facts.h"
#include "report/output.h"
#include "report/series.h"
#include "report/statistics.h"

#define FAULTS_SHOWN 20
#define OUTAGES_SHOWN 10
#define WITNESSES_SHOWN 5

const char *summary_mark(enum verdict verdict) {
  switch (verdict) {
    case VERDICT_PASS: return "PASS";
    case VERDICT_UNKNOWN: return "UNKNOWN";
    case VERDICT_FAIL: return "FAIL";
  }
  return "UNKNOWN";
}

/* Of every service, what its settings call versions: of what was run, or what was modelled. */
static void versions(struct buf *out, const struct run_result *result) {
  json_t *root = recorded_json(result->settings_json);
  const char *service, *program;
  json_t *row, *version;
  json_object_foreach(root, service, row) {
    const char *before = ": ";
    CLEANUP(buf_release) struct buf line;
    buf_init(&line);
    buf_puts(&line, service);
    json_object_foreach(json_object_get(json_object_get(row, "settings"), "versions"), program,
                        version) {
      if (!json_is_string(version)) continue;
      buf_printf(&line, "%s%s %s", before, program, json_string_value(version));
      before = ", ";
    }
    if (*before == ':') continue;
    columns_pad(out, 9);
    output_join_failure(out, &line);
    columns_wrapped(out, line.data, 9, 9);
  }
  json_decref(root);
}

static void head(struct buf *out, const struct report_input *input) {
  const struct run_result *result = input->result;
  char when[32], duration[FORMAT_SIZE];
  const char *mark = summary_mark(result->verdict);
  columns_cell(out, mark, 9, false);
  CLEANUP(buf_release) struct buf line;
  buf_init(&line);
  buf_printf(&line, "%s%s%s", result->scenario ? result->scenario : "-",
             result->why && *result->why ? ": " : "", result->why ? result->why : "");
  output_join_failure(out, &line);
  columns_wrapped(out, line.data, 9, 9);
  clock_format_wall(result->wall_start_ns, when);
  format_seconds(result->duration_s, duration);
  buf_clear(&line);
  buf_printf(&line, "provider %s, seed %" PRIu64 ", began %s, took %s",
             result->provider ? result->provider : "-", result->seed, when, duration);
  if (input->repeat_count > 1) {
    buf_printf(&line, "; %" PRIu32 " repeats, details are of repeat %" PRIu32, input->repeat_count,
               result->repeat);
  }
  columns_pad(out, 9);
  output_join_failure(out, &line);
  columns_wrapped(out, line.data, 9, 9);
  versions(out, result);
  if (!result->trusted) {
    columns_pad(out, 9);
    columns_wrapped(out, "The measuring itself failed: do not trust these numbers.", 9, 9);
  }
}

static void objectives(struct buf *out, const struct run_result *result) {
  if (result->objective_count == 0) return;
  buf_puts(out, "\nOBJECTIVES                                   bound         measured\n");
  for (uint32_t i = 0; i < result->objective_count; i++) {
    const struct objective_result *objective = &result->objectives[i];
    char measured[FORMAT_SIZE] = "not measured", name[96];
    if (objective->known) {
      format_against(objective->measured, objective->bound_value, objective->unit, measured);
    }
    snprintf(name, sizeof name, "%.60s (%.20s)", objective->name,
             objective->statistic ? objective->statistic : "max");
    buf_puts(out, "  ");
    columns_cell(out, summary_mark(objective->verdict), 9, false);
    columns_cell(out, name, 34, false);
    columns_cell(out, objective->bound, 14, false);
    buf_puts(out, measured);
    buf_putc(out, '\n');
    if (objective->why && *objective->why) {
      columns_pad(out, 11);
      columns_wrapped(out, objective->why, 11, 11);
    }
  }
}

/* Labels and values below each other. Those that do not apply for one reason are one line. */
struct rows {
  struct buf *out;
  size_t indent, width;
  struct buf labels; /* that wait for their reason */
  uint32_t count;    /* of these */
  const char *why;
};

static void rows_flush(struct rows *rows) {
  if (rows->count == 0) return;
  CLEANUP(buf_release) struct buf line;
  buf_init(&line);
  columns_pad(rows->out, rows->indent);
  if (rows->count == 1) {
    columns_cell(rows->out, rows->labels.data, rows->width, false);
    buf_printf(&line, "does not apply: %s", rows->why);
    columns_wrapped(rows->out, line.data, rows->indent + rows->width, rows->indent + rows->width);
  } else {
    buf_printf(&line, "%s: do not apply: %s", rows->labels.data, rows->why);
    columns_wrapped(rows->out, line.data, rows->indent, rows->indent + 2);
  }
  output_join_failure(rows->out, &line);
  output_join_failure(rows->out, &rows->labels);
  buf_clear(&rows->labels);
  rows->count = 0;
}

static void rows_add(struct rows *rows, const char *label, const struct measure *measure) {
  if (measure && !measure->known && !measure->floor && measure->not_applicable) {
    const char *why = facts_why(measure);
    if (rows->count > 0 && strcmp(rows->why, why) != 0) rows_flush(rows);
    rows->why = why;
    buf_printf(&rows->labels, "%s%s", rows->count++ > 0 ? ", " : "", label);
    return;
  }
  char text[FACTS_TEXT_SIZE];
  rows_flush(rows);
  facts_text(measure, text);
  columns_pad(rows->out, rows->indent);
  columns_cell(rows->out, label, rows->width, false);
  columns_wrapped(rows->out, text, rows->indent + rows->width, rows->indent + rows->width);
}

static void rows_begin(struct rows *rows, struct buf *out, size_t indent, size_t width) {
  *rows = (struct rows){.out = out, .indent = indent, .width = width};
  buf_init(&rows->labels);
}

static void rows_end(struct rows *rows) {
  rows_flush(rows);
  buf_release(&rows->labels);
}

static void fault(struct buf *out, const struct run_result *result, uint32_t index) {
  const struct fault_info *info = &result->info.faults[index];
  char text[FORMAT_SIZE];
  CLEANUP(buf_release) struct buf line;
  buf_init(&line);
  buf_printf(&line, "%s", facts_fault(result, (int32_t)index));
  if (info->injector && strcmp(info->injector, facts_fault(result, (int32_t)index)) != 0) {
    buf_printf(&line, " (%s)", info->injector);
  }
  if (info->target) buf_printf(&line, " on %s", info->target);
  if (info->host != HOST_NONE) buf_printf(&line, " = %s", facts_host(result, info->host));
  format_moment(info->confirmed_ns, text);
  if (info->confirmed_ns == TIME_NEVER) {
    buf_puts(&line, ", never seen in effect");
  } else {
    buf_printf(&line, ", in effect at %s", text);
  }
  if (!info->planned) {
    format_moment(info->healed_ns, text);
    bool healed = info->healed_ns != TIME_NEVER;
    buf_printf(&line, "%s%s", healed ? ", healed at " : ", never healed", healed ? text : "");
  }
  buf_puts(out, "  ");
  output_join_failure(out, &line);
  columns_wrapped(out, line.data, 2, 4);
  struct rows rows;
  rows_begin(&rows, out, 4, 17);
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
    rows_add(&rows, phase_table[phase].label, facts_phase(result, index, phase));
  rows_end(&rows);
}

static void bound(void *data, const struct settings_bound *bound) {
  struct buf *out = data;
  CLEANUP(buf_release) struct buf line;
  buf_init(&line);
  char seconds[FORMAT_SIZE];
  format_seconds(bound->seconds, seconds);
  if (bound->known)
    buf_printf(&line, "By its settings %s fails over from a %s of its primary within %s: %s",
               bound->service, bound->injector, seconds, bound->because);
  else
    buf_printf(&line, "Its settings do not bound how %s fails over from a %s of its primary: %s",
               bound->service, bound->injector, bound->because);
  buf_puts(out, "  ");
  output_join_failure(out, &line);
  columns_wrapped(out, line.data, 2, 4);
}

static void faults(struct buf *out, const struct run_result *result) {
  if (result->info.fault_count == 0) return;
  buf_puts(out, "\nFAULTS, and the time from \"in effect\" to each phase\n");
  uint32_t shown[FAULTS_SHOWN];
  uint32_t count = facts_faults(result, FAULTS_SHOWN, shown);
  for (uint32_t i = 0; i < count; i++) fault(out, result, shown[i]);
  if (result->info.fault_count > FAULTS_SHOWN) {
    buf_printf(out, "  and %" PRIu32 " more: see result.json\n",
               result->info.fault_count - FAULTS_SHOWN);
  }
  if (!bounds_each(result, bound, out)) {
    buf_puts(out, "  ");
    columns_wrapped(out, "No bounds from the settings: " RECORDED_UNREADABLE, 2, 4);
  }
}

static void cache_of_fault(struct buf *out, const struct run_result *result, uint32_t index) {
  buf_puts(out, "  ");
  escape_plain(out, facts_fault(result, (int32_t)index));
  buf_putc(out, '\n');
  for (const struct cache_info *row = cache_table; row->measure; row++) {
    char text[FACTS_TEXT_SIZE];
    facts_text(facts_measure(result, row->measure, (int32_t)index), text);
    columns_pad(out, 4);
    columns_cell(out, row->label, 25, false);
    columns_wrapped(out, text, 29, 31);
  }
}

static void caches(struct buf *out, const struct run_result *result) {
  uint32_t shown[FAULTS_SHOWN], told = 0;
  uint32_t count = facts_faults(result, FAULTS_SHOWN, shown);
  for (uint32_t i = 0; i < count; i++) {
    if (!caches_told(result, shown[i])) continue;
    if (told++ == 0) buf_puts(out, "\nCACHES and the databases behind them, after each fault\n");
    cache_of_fault(out, result, shown[i]);
  }
}

static void load_row(struct buf *out, const char *name, const struct operation_counts *counts) {
  const uint64_t numbers[] = {counts->scheduled, counts->ok, counts->fail, counts->unknown,
                              counts->skipped};
  char text[FORMAT_SIZE];
  buf_puts(out, "  ");
  columns_cell(out, name, 9, false);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    format_count(numbers[i], text);
    columns_cell(out, text, 14, true);
  }
  double ratio;
  if (facts_availability(counts, &ratio)) {
    format_value(ratio, UNIT_RATIO, text);
  } else {
    snprintf(text, sizeof text, "none scheduled");
  }
  columns_cell(out, text, 16, true);
  buf_putc(out, '\n');
}

static void load(struct buf *out, const struct run_result *result) {
  buf_puts(out, "\nLOAD of " LOAD_POPULATION
                "\n"
                "                scheduled            ok          fail       unknown"
                "       skipped    availability\n");
  load_row(out, "writes", &result->writes);
  load_row(out, "reads", &result->reads);
}

struct outage_list {
  struct buf *out;
  const struct run_result *result;
  const char *name;
};

static void outage(void *data, const struct interval *interval) {
  struct outage_list *list = data;
  char begin[FORMAT_SIZE], end[FORMAT_SIZE], span[FORMAT_SIZE];
  format_moment(interval->begin_ns, begin);
  format_moment(interval->end_ns, end);
  format_seconds(facts_span_s(list->result, interval), span);
  buf_puts(list->out, "  ");
  columns_cell(list->out, list->name, 9, false);
  columns_cell(list->out, span, 14, true);
  buf_printf(list->out, "   from %s to %s", begin,
             interval->end_ns == TIME_NEVER ? "the end of the load" : end);
  if (interval->of) {
    buf_puts(list->out, ", ");
    escape_plain(list->out, interval->of);
  }
  if (interval->fault != FAULT_NONE) {
    buf_puts(list->out, ", ");
    escape_plain(list->out, facts_fault(list->result, interval->fault));
  }
  buf_putc(list->out, '\n');
}

static size_t outage_kind(struct buf *out, const struct run_result *result, const char *what,
                          const char *name) {
  struct outage_list list = {.out = out, .result = result, .name = name};
  size_t count = facts_longest(result, what, OUTAGES_SHOWN, outage, &list);
  if (count > OUTAGES_SHOWN) {
    buf_printf(out, "  These are the longest %d of %zu (%s); all are in result.json.\n",
               OUTAGES_SHOWN, count, name);
  }
  return count;
}

/* That nobody looked, or could, is no finding of none. */
static void outages_none(struct buf *out, const struct run_result *result) {
  static const char *const kinds[][2] = {{"write_outage", "writes"}, {"read_outage", "reads"}};
  bool none = false;
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    char text[FACTS_TEXT_SIZE];
    if (facts_none(result, kinds[i][0], FAULT_NONE, text)) {
      none = true;
      continue;
    }
    buf_puts(out, "  ");
    columns_cell(out, kinds[i][1], 9, false);
    columns_wrapped(out, text, 11, 11);
  }
  if (none) buf_puts(out, "  none was found\n");
}

static void outages(struct buf *out, const struct run_result *result) {
  buf_puts(out, "\nOUTAGES (no success at all)\n");
  size_t count = outage_kind(out, result, "write_outage", "writes");
  count += outage_kind(out, result, "read_outage", "reads");
  if (count == 0) outages_none(out, result);
  if (facts_intervals(result, "dual_primary", NULL, NULL) > 0) {
    buf_puts(out, "\nTWO PRIMARIES ACKNOWLEDGED WRITES\n");
    outage_kind(out, result, "dual_primary", "both");
  }
}

struct witness_list {
  struct buf *out;
  uint32_t shown;
};

static void witness(void *data, const struct witness *witness, const struct checker *checker) {
  (void)checker;
  struct witness_list *list = data;
  if (list->shown++ >= WITNESSES_SHOWN) return;
  columns_pad(list->out, 4);
  columns_cell(list->out, witness->what, 11, false);
  columns_wrapped(list->out, witness->text, 15, 15);
}

static void data_row(void *data, const char *label, const struct measure *measure) {
  rows_add(data, label, measure);
}

static void data_section(struct buf *out, const struct run_result *result) {
  buf_puts(out, "\nDATA of " DATA_POPULATION "\n");
  struct rows rows;
  rows_begin(&rows, out, 2, 36);
  data_values(result, data_row, &rows);
  rows_end(&rows);
  struct witness_list list = {.out = out};
  size_t count = data_witnesses(result, witness, &list);
  if (count > WITNESSES_SHOWN) {
    buf_printf(out, "    and %zu more examples in result.json\n", count - WITNESSES_SHOWN);
  }
}

static void phase_spread(void *data, const struct phase_info *phase, const struct spread *spread) {
  struct buf *out = data;
  if (spread->count == 0) return;
  char text[SPREAD_TEXT_SIZE];
  spread_text(spread, text);
  buf_puts(out, "  ");
  columns_cell(out, phase->label, 17, false);
  columns_wrapped(out, text, 19, 19);
}

static int repeats(struct buf *out, const struct report_input *input, struct error *err) {
  if (input->repeat_count < 2) return 0;
  buf_printf(out, "\nREPEATS (%" PRIu32 ")\n", input->repeat_count);
  return spread_phases(input, phase_spread, out, err);
}

static void findings(struct buf *out, const struct run_result *result) {
  bool any = false;
  for (uint32_t i = 0; i < result->finding_count; i++) {
    const struct finding *finding = &result->findings[i];
    if (finding->verdict == VERDICT_PASS) continue;
    if (!any) buf_puts(out, "\nCHECKS THAT DID NOT PASS\n");
    any = true;
    buf_puts(out, "  ");
    columns_cell(out, summary_mark(finding->verdict), 9, false);
    columns_cell(out, finding->checker ? finding->checker->plugin.name : "-", 16, false);
    columns_wrapped(out, finding->why && *finding->why ? finding->why : "no reason was given", 27,
                    27);
  }
}

static int warnings(struct buf *out, const struct report_input *input, struct error *err) {
  CLEANUP(series_release) struct series series = {.warning_count = 0};
  int status = series_warnings(input, &series, err);
  if (status != 0) return status;
  if (series.warnings_total == 0) return 0;
  buf_puts(out, "\nWARNINGS\n");
  for (uint32_t i = 0; i < series.warning_count && i < OUTAGES_SHOWN; i++) {
    char when[FORMAT_SIZE];
    format_moment(series.warnings[i].time_ns, when);
    columns_cell(out, when, 12, true);
    buf_puts(out, "  ");
    columns_wrapped(out, series.warnings[i].text, 14, 14);
  }
  if (series.warnings_total > OUTAGES_SHOWN) {
    buf_printf(out, "  and %" PRIu64 " more: see events.jsonl\n",
               series.warnings_total - OUTAGES_SHOWN);
  }
  return 0;
}

int summary_text(const struct report_input *input, struct buf *ret_text, struct error *err) {
  const struct run_result *result = input->result;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  head(&text, input);
  objectives(&text, result);
  faults(&text, result);
  caches(&text, result);
  load(&text, result);
  outages(&text, result);
  data_section(&text, result);
  findings(&text, result);
  int status = repeats(&text, input, err);
  if (status == 0) status = warnings(&text, input, err);
  if (status == 0) status = buf_ok(&text, err);
  if (status != 0) return status;
  buf_add(ret_text, text.data, text.length);
  return buf_ok(ret_text, err);
}
