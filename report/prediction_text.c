/* What `gameday predict` prints: one setting in full, or a sweep as a table. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "gameday/provider.h"
#include "report/columns.h"
#include "report/escape.h"
#include "report/format.h"
#include "report/output.h"
#include "report/prediction.h"
#include "report/summary.h"

#define MARK_WIDTH 9

enum verdict prediction_verdict(const struct prediction *prediction) {
  bool unknown = false, any = false;
  for (uint32_t i = 0; i < prediction->point_count; i++) {
    const struct prediction_point *point = &prediction->points[i];
    if (point->missed > 0) return VERDICT_FAIL;
    unknown = unknown || point->unknown > 0;
    any = any || !point->refused;
  }
  return any && !unknown ? VERDICT_PASS : VERDICT_UNKNOWN;
}

const struct predicted_value *prediction_value(const struct prediction_point *point,
                                               const char *name) {
  for (uint32_t i = 0; i < point->value_count; i++)
    if (strcmp(point->values[i].name, name) == 0) return &point->values[i];
  return NULL;
}

const struct predicted_objective *prediction_objective(const struct prediction_point *point,
                                                       const char *name) {
  for (uint32_t i = 0; i < point->objective_count; i++)
    if (strcmp(point->objectives[i].name, name) == 0) return &point->objectives[i];
  return NULL;
}

/* --- pieces ---------------------------------------------------------------------------------- */

static void right(struct buf *out, const char *text, size_t width) {
  buf_putc(out, ' '); /* cells on the right never touch */
  columns_cell(out, text, width - 1, true);
}

static void right_count(struct buf *out, uint32_t count, size_t width) {
  char text[FORMAT_SIZE];
  format_count(count, text);
  right(out, text, width);
}

/* "-" when it is not known. */
static void right_value(struct buf *out, bool known, double value, enum unit unit, size_t width) {
  char text[FORMAT_SIZE] = "-";
  if (known) format_value(value, unit, text);
  right(out, text, width);
}

static void interval(const struct share *share, char text[2 * FORMAT_SIZE + 8]) {
  char low[FORMAT_SIZE], high[FORMAT_SIZE];
  format_value(share->low, UNIT_RATIO, low);
  format_value(share->high, UNIT_RATIO, high);
  snprintf(text, 2 * FORMAT_SIZE + 8, "%s to %s", low, high);
}

/* A paragraph of the head, under the verdict's mark. */
static void paragraph(struct buf *out, const struct buf *line) {
  columns_pad(out, MARK_WIDTH);
  output_join_failure(out, line);
  columns_wrapped(out, line->data, MARK_WIDTH, MARK_WIDTH);
}

static void mark(struct buf *out, enum verdict verdict) {
  columns_cell(out, summary_mark(verdict), MARK_WIDTH, false);
}

/* --- one setting ----------------------------------------------------------------------------- */

static void verdict_line(const struct prediction *prediction, struct buf *line) {
  const struct prediction_point *point = &prediction->points[0];
  const struct share *missed = &point->missed_share;
  char between[2 * FORMAT_SIZE + 8], share[FORMAT_SIZE];
  interval(missed, between);
  buf_printf(line, "%s: ", prediction->scenario);
  if (missed->of == 0) {
    buf_printf(line, "not predicted: none of %" PRIu32 " simulated runs could be decided",
               prediction->seeds);
  } else if (missed->count > 0) {
    format_value((double)missed->count / missed->of, UNIT_RATIO, share);
    buf_printf(line,
               "predicted to miss in %s of %" PRIu32 " simulated runs (in %" PRIu32
               "; 95 %% interval of the true share: %s)",
               share, missed->of, missed->count, between);
  } else if (point->unknown > 0) {
    buf_printf(line,
               "not predicted: every objective is met in %" PRIu32 " simulated runs, but %" PRIu32
               " more could not be decided",
               missed->of, point->unknown);
  } else {
    buf_printf(line,
               "predicted to pass: every objective is met in all of %" PRIu32
               " simulated runs (95 %% interval of the true share that misses: %s)",
               missed->of, between);
  }
}

static void loss_line(const struct share *lost, struct buf *line) {
  char between[2 * FORMAT_SIZE + 8], share[FORMAT_SIZE];
  if (lost->of == 0) {
    buf_puts(line, "Whether acknowledged writes are lost could not be told in any run.");
    return;
  }
  interval(lost, between);
  format_value((double)lost->count / lost->of, UNIT_RATIO, share);
  buf_printf(line,
             "Acknowledged writes are lost in %" PRIu32 " of %" PRIu32
             " runs: %s (95 %% interval %s).",
             lost->count, lost->of, share, between);
}

static void example(struct buf *out, const struct prediction *prediction,
                    const struct prediction_point *point, const char *what,
                    const struct predicted_example *example) {
  if (!example->why) return;
  CLEANUP(buf_release) struct buf line;
  buf_init(&line);
  buf_printf(&line, "first %s: seed %" PRIu64 ": %s", what, example->seed, example->why);
  paragraph(out, &line);
  buf_clear(&line);
  buf_printf(&line, "again: %s", prediction->command);
  if (prediction->parameter) {
    CLEANUP(buf_release) struct buf set;
    buf_init(&set);
    buf_printf(&set, "%s=%s", prediction->parameter, point->value);
    output_join_failure(&line, &set);
    buf_puts(&line, " --set ");
    escape_shell(&line, set.data);
  }
  /* On one line, however long, so that it can be pasted. */
  buf_printf(&line, " --seed %" PRIu64, example->seed);
  columns_pad(out, MARK_WIDTH);
  columns_cell(out, line.data, 0, true);
  output_join_failure(out, &line);
  buf_putc(out, '\n');
}

static void examples(struct buf *out, const struct prediction *prediction,
                     const struct prediction_point *point) {
  example(out, prediction, point, "that misses", &point->first_missed);
  example(out, prediction, point, "unknown", &point->first_unknown);
  /* The same one, mostly. */
  if (point->first_crashed.why && point->first_crashed.seed != point->first_unknown.seed)
    example(out, prediction, point, "that broke the simulator", &point->first_crashed);
}

static void modelled(const struct prediction *prediction, struct buf *line) {
  if (prediction->modelled_count > 0) buf_puts(line, "; simulated: ");
  modelled_print(prediction->modelled, prediction->modelled_count, line);
}

static void head(struct buf *out, const struct prediction *prediction) {
  const struct prediction_point *point = &prediction->points[0];
  CLEANUP(buf_release) struct buf line;
  buf_init(&line);
  mark(out, prediction_verdict(prediction));
  verdict_line(prediction, &line);
  output_join_failure(out, &line);
  columns_wrapped(out, line.data, MARK_WIDTH, MARK_WIDTH);
  buf_clear(&line);
  buf_printf(&line, "in virtual time, seeds %" PRIu64 " to %" PRIu64, prediction->first_seed,
             prediction->first_seed + prediction->seeds - 1);
  if (point->missed > 0 && point->unknown > 0)
    buf_printf(&line, "; besides, %" PRIu32 " could not be decided", point->unknown);
  modelled(prediction, &line);
  paragraph(out, &line);
  buf_clear(&line);
  loss_line(&point->lost_share, &line);
  paragraph(out, &line);
  examples(out, prediction, point);
}

static void objectives(struct buf *out, const struct prediction_point *point) {
  buf_puts(out,
           "\nOBJECTIVES of each run                       bound                     met  missed"
           "  unknown\n");
  for (uint32_t i = 0; i < point->objective_count; i++) {
    const struct predicted_objective *objective = &point->objectives[i];
    uint32_t runs = objective->met + objective->missed + objective->unknown;
    if (runs == 0) continue; /* a standing one that never applied */
    char name[96];
    snprintf(name, sizeof name, "%.60s (%.20s)", objective->name, objective->statistic);
    buf_puts(out, "  ");
    mark(out, objective->missed > 0    ? VERDICT_FAIL
              : objective->unknown > 0 ? VERDICT_UNKNOWN
                                       : VERDICT_PASS);
    columns_cell(out, name, 34, false);
    columns_cell(out, objective->bound, 23, false);
    right_count(out, objective->met, 6);
    right_count(out, objective->missed, 8);
    right_count(out, objective->unknown, 9);
    buf_putc(out, '\n');
  }
}

static void values(struct buf *out, const struct prediction_point *point) {
  buf_puts(out,
           "\nVALUES, the worst of each run     min    median   its 95 % interval       p95"
           "       max unknown none\n");
  for (uint32_t i = 0; i < point->value_count; i++) {
    const struct predicted_value *value = &point->values[i];
    const struct distribution *of = &value->distribution;
    bool any = of->known > 0;
    char low[FORMAT_SIZE], high[FORMAT_SIZE], between[2 * FORMAT_SIZE + 8] = "-";
    if (!any && of->unknown == 0) continue; /* there was nothing to measure */
    format_value(of->low, value->unit, low);
    format_value(of->high, value->unit, high);
    if (of->interval_known) snprintf(between, sizeof between, "%s to %s", low, high);
    buf_puts(out, "  ");
    columns_cell(out, value->name, 26, false);
    right_value(out, any, of->minimum, value->unit, 9);
    right_value(out, any, of->median, value->unit, 10);
    right(out, between, 20);
    right_value(out, any, of->p95, value->unit, 10);
    right_value(out, any, of->maximum, value->unit, 10);
    right_count(out, of->unknown, 8);
    right_count(out, of->none, 5);
    buf_putc(out, '\n');
  }
}

/* --- a sweep --------------------------------------------------------------------------------- */

static void right_share(struct buf *out, const struct share *share, size_t width) {
  bool any = share->of > 0;
  right_value(out, any, any ? (double)share->count / share->of : 0, UNIT_RATIO, width);
}

/* The columns of a table row that tell of one value: as many as it has `what`. */
static void right_spread(struct buf *out, const struct prediction_point *point, const char *name,
                         bool whole) {
  const struct predicted_value *value = prediction_value(point, name);
  bool any = value && value->distribution.known > 0;
  if (whole) {
    right_value(out, any, any ? value->distribution.median : 0, UNIT_DURATION, 8);
    right_value(out, any, any ? value->distribution.p95 : 0, UNIT_DURATION, 8);
  }
  right_value(out, any, any ? value->distribution.maximum : 0, UNIT_DURATION, 8);
}

static void point_row(struct buf *out, const struct prediction_point *point) {
  buf_puts(out, "  ");
  columns_cell(out, point->value, 12, false);
  if (point->refused) {
    CLEANUP(buf_release) struct buf line;
    buf_init(&line);
    buf_printf(&line, "refused: %s", point->refused);
    output_join_failure(out, &line);
    columns_wrapped(out, line.data, 14, 14);
    return;
  }
  right_share(out, &point->missed_share, 7);
  right_count(out, point->unknown, 8);
  right_share(out, &point->lost_share, 7);
  right_spread(out, point, "failover_time", true);
  right_spread(out, point, "recovery_point", false);
  right_spread(out, point, "loss_window", false);
  CLEANUP(buf_release) struct buf names;
  buf_init(&names);
  for (uint32_t i = 0; i < point->objective_count; i++)
    if (point->objectives[i].missed > 0)
      buf_printf(&names, "%s%s", names.length > 0 ? ", " : "", point->objectives[i].name);
  output_join_failure(out, &names);
  buf_puts(out, names.length > 0 ? "  " : "");
  columns_wrapped(out, names.data, 78, 78);
}

/* The first point with a run that misses, or else one that is unknown; NULL: all is well. */
static const struct prediction_point *telling_point(const struct prediction *prediction) {
  const struct prediction_point *unknown = NULL;
  for (uint32_t i = 0; i < prediction->point_count; i++) {
    const struct prediction_point *point = &prediction->points[i];
    if (point->first_missed.why) return point;
    if (point->first_unknown.why && !unknown) unknown = point;
  }
  return unknown;
}

static void sweep(struct buf *out, const struct prediction *prediction) {
  CLEANUP(buf_release) struct buf line;
  buf_init(&line);
  mark(out, prediction_verdict(prediction));
  buf_printf(&line,
             "%s: %s at %" PRIu32 " values, each with %" PRIu32
             " simulated runs in virtual time, seeds %" PRIu64 " to %" PRIu64,
             prediction->scenario, prediction->parameter, prediction->point_count,
             prediction->seeds, prediction->first_seed,
             prediction->first_seed + prediction->seeds - 1);
  modelled(prediction, &line);
  output_join_failure(out, &line);
  columns_wrapped(out, line.data, MARK_WIDTH, MARK_WIDTH);
  const struct prediction_point *shown = telling_point(prediction);
  if (shown) examples(out, prediction, shown);
  buf_puts(
      out,
      "\n                                               failover_time recovery    loss\n"
      "VALUE          missed unknown   lost  median     p95     max   point  window  objectives\n");
  for (uint32_t i = 0; i < prediction->point_count; i++) point_row(out, &prediction->points[i]);
}

int prediction_text(const struct prediction *prediction, struct buf *out, struct error *err) {
  if (prediction->parameter) {
    sweep(out, prediction);
  } else {
    head(out, prediction);
    objectives(out, &prediction->points[0]);
    values(out, &prediction->points[0]);
  }
  return buf_ok(out, err);
}
