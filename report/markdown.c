/* Writer `markdown`: summary.md, short enough for the step summary of a CI server. */
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "report/escape.h"
#include "report/facts.h"
#include "report/output.h"
#include "report/statistics.h"
#include "report/summary.h"
#include "report/writers.h"

#define FAULTS_SHOWN 50
#define WITNESSES_SHOWN 10

static const char *symbol(enum verdict verdict) {
  switch (verdict) {
    case VERDICT_PASS: return "✅ pass";
    case VERDICT_UNKNOWN: return "❔ unknown";
    case VERDICT_FAIL: return "❌ fail";
  }
  return "❔ unknown";
}

static void cell(struct buf *out, const char *text) {
  buf_puts(out, "| ");
  escape_markdown(out, text);
  buf_putc(out, ' ');
}

static void head(struct buf *out, const struct report_input *input) {
  const struct run_result *result = input->result;
  char when[32], duration[FORMAT_SIZE];
  clock_format_wall(result->wall_start_ns, when);
  format_seconds(result->duration_s, duration);
  buf_printf(out, "## %s: ", symbol(result->verdict));
  escape_markdown(out, result->scenario);
  buf_puts(out, "\n\n");
  if (result->why && *result->why) {
    escape_markdown(out, result->why);
    buf_puts(out, "\n\n");
  }
  if (!result->trusted) {
    buf_puts(out, "**The measuring itself failed: do not trust these numbers.**\n\n");
  }
  buf_puts(out, "Provider ");
  escape_markdown(out, result->provider);
  buf_printf(out, ", seed %" PRIu64 ", began %s, took %s", result->seed, when, duration);
  if (input->repeat_count > 1) {
    buf_printf(out, "; %" PRIu32 " repeats, details are of repeat %" PRIu32, input->repeat_count,
               result->repeat);
  }
  buf_puts(out, ".\n\n");
}

static void objectives(struct buf *out, const struct run_result *result) {
  if (result->objective_count == 0) return;
  buf_puts(out, "| objective | bound | measured | verdict |\n| --- | --- | --- | --- |\n");
  for (uint32_t i = 0; i < result->objective_count; i++) {
    const struct objective_result *objective = &result->objectives[i];
    char measured[FORMAT_SIZE] = "not measured";
    if (objective->known) {
      format_against(objective->measured, objective->bound_value, objective->unit, measured);
    }
    buf_puts(out, "| ");
    escape_markdown(out, objective->name);
    buf_puts(out, " (");
    escape_markdown(out, objective->statistic ? objective->statistic : "max");
    buf_puts(out, ") ");
    cell(out, objective->bound);
    buf_printf(out, "| %s | %s", measured, symbol(objective->verdict));
    if (objective->why && *objective->why) {
      buf_puts(out, ": ");
      escape_markdown(out, objective->why);
    }
    buf_puts(out, " |\n");
  }
  buf_putc(out, '\n');
}

static void faults(struct buf *out, const struct run_result *result) {
  if (result->info.fault_count == 0) return;
  buf_puts(out, "| fault | target | in effect at |");
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
    buf_printf(out, " %s |", phase_table[phase].label);
  }
  buf_puts(out, "\n| --- | --- | --- |");
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++) buf_puts(out, " --- |");
  buf_putc(out, '\n');
  uint32_t shown[FAULTS_SHOWN];
  uint32_t count = facts_faults(result, FAULTS_SHOWN, shown);
  for (uint32_t i = 0; i < count; i++) {
    const struct fault_info *fault = &result->info.faults[shown[i]];
    char text[FORMAT_SIZE];
    cell(out, facts_fault(result, (int32_t)shown[i]));
    cell(out, fault->target);
    if (fault->host != HOST_NONE) {
      buf_puts(out, "= ");
      escape_markdown(out, facts_host(result, fault->host));
      buf_putc(out, ' ');
    }
    format_moment(fault->confirmed_ns, text);
    cell(out, text);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
      char value[FACTS_TEXT_SIZE];
      facts_text(facts_phase(result, shown[i], phase), value);
      cell(out, value);
    }
    buf_puts(out, "|\n");
  }
  if (result->info.fault_count > FAULTS_SHOWN) {
    buf_printf(out, "\nand %" PRIu32 " more faults.\n", result->info.fault_count - FAULTS_SHOWN);
  }
  buf_putc(out, '\n');
}

static void load_row(struct buf *out, const char *name, const struct operation_counts *counts) {
  const uint64_t numbers[] = {counts->scheduled, counts->ok, counts->fail, counts->unknown,
                              counts->skipped};
  char text[FORMAT_SIZE];
  buf_printf(out, "| %s ", name);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    format_count(numbers[i], text);
    cell(out, text);
  }
  double ratio;
  if (facts_availability(counts, &ratio)) {
    format_value(ratio, UNIT_RATIO, text);
  } else {
    snprintf(text, sizeof text, "none scheduled");
  }
  cell(out, text);
  buf_puts(out, "|\n");
}

struct witness_list {
  struct buf *out;
  uint32_t shown;
};

static void witness(void *data, const struct witness *witness, const struct checker *checker) {
  (void)checker;
  struct witness_list *list = data;
  if (list->shown++ >= WITNESSES_SHOWN) return;
  buf_puts(list->out, "- ");
  escape_markdown(list->out, witness->what);
  buf_puts(list->out, ": ");
  escape_markdown(list->out, witness->text);
  buf_putc(list->out, '\n');
}

static void data_row(void *data, const char *label, const struct measure *measure) {
  struct buf *out = data;
  char text[FACTS_TEXT_SIZE];
  facts_text(measure, text);
  cell(out, label);
  cell(out, text);
  buf_puts(out, "|\n");
}

static void data_section(struct buf *out, const struct run_result *result) {
  buf_puts(out, "Data of " DATA_POPULATION ":\n\n| data | measured |\n| --- | --- |\n");
  data_values(result, data_row, out);
  buf_putc(out, '\n');
  struct witness_list list = {.out = out};
  size_t count = data_witnesses(result, witness, &list);
  if (count > WITNESSES_SHOWN) {
    buf_printf(out, "- and %zu more examples in result.json\n", count - WITNESSES_SHOWN);
  }
}

static void phase_spread(void *data, const struct phase_info *phase, const struct spread *spread) {
  struct buf *out = data;
  if (spread->count == 0) return;
  char text[SPREAD_TEXT_SIZE];
  spread_text(spread, text);
  buf_printf(out, "- %s: %s\n", phase->label, text);
}

static int repeats(struct buf *out, const struct report_input *input, struct error *err) {
  if (input->repeat_count < 2) return 0;
  buf_printf(out, "\nOver %" PRIu32 " repeats:\n\n", input->repeat_count);
  return spread_phases(input, phase_spread, out, err);
}

static int markdown_write(const struct report_input *input, struct error *err) {
  CLEANUP(buf_release) struct buf out;
  buf_init(&out);
  head(&out, input);
  objectives(&out, input->result);
  faults(&out, input->result);
  buf_puts(&out, "Load of " LOAD_POPULATION
                 ":\n\n"
                 "| load | scheduled | ok | fail | unknown | skipped | availability |\n"
                 "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
  load_row(&out, "writes", &input->result->writes);
  load_row(&out, "reads", &input->result->reads);
  buf_putc(&out, '\n');
  data_section(&out, input->result);
  int status = repeats(&out, input, err);
  return status == 0 ? output_write(input, report_markdown.file, &out, err) : status;
}

const struct report report_markdown = {
    .plugin = {.name = "markdown", .summary = "A short summary for pull requests and CI steps"},
    .file = "summary.md",
    .write = markdown_write,
};
