/* predict.csv: one line a point and value, for spreadsheets and plotting programs. */
#include <inttypes.h>
#include <string.h>

#include "report/prediction.h"

/* As RFC 4180 has it: quotes around what holds a separator, doubled inside. */
static void field(struct buf *out, const char *text) {
  if (!text) return;
  if (!strpbrk(text, ",\"\r\n")) {
    buf_puts(out, text);
    return;
  }
  buf_putc(out, '"');
  for (; *text; text++) {
    if (*text == '"') buf_putc(out, '"');
    buf_putc(out, *text);
  }
  buf_putc(out, '"');
}

static void number(struct buf *out, bool known, double value) {
  buf_putc(out, ',');
  if (known) buf_printf(out, "%.12g", value);
}

/* The columns that all lines of a point have. */
static void head(struct buf *out, const struct prediction *prediction,
                 const struct prediction_point *point) {
  field(out, prediction->parameter);
  buf_putc(out, ',');
  field(out, point->value);
  number(out, prediction->parameter && prediction->numeric, point->number);
  buf_putc(out, ',');
  field(out, point->refused);
}

static void line(struct buf *out, const struct prediction *prediction,
                 const struct prediction_point *point, const struct predicted_value *value) {
  const struct distribution *of = &value->distribution;
  head(out, prediction, point);
  buf_printf(out, ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",", point->met,
             point->missed, point->unknown, point->lost_share.count, point->lost_share.of);
  field(out, value->name);
  buf_printf(out, ",%s,%" PRIu32 ",%" PRIu32 ",%" PRIu32, unit_name(value->unit), of->known,
             of->unknown, of->none);
  bool any = of->known > 0;
  number(out, any, of->minimum);
  number(out, any, of->median);
  number(out, of->interval_known, of->low);
  number(out, of->interval_known, of->high);
  number(out, any, of->p95);
  number(out, any, of->maximum);
  buf_putc(out, '\n');
}

int prediction_csv(const struct prediction *prediction, struct buf *out, struct error *err) {
  buf_puts(out,
           "parameter,value,number,refused,runs_met,runs_missed,runs_unknown,runs_lost,"
           "runs_lost_of,measure,unit,known,unknown,not_applicable,min,median,median_low95,"
           "median_high95,p95,max\n");
  for (uint32_t p = 0; p < prediction->point_count; p++) {
    const struct prediction_point *point = &prediction->points[p];
    for (uint32_t i = 0; i < point->value_count; i++)
      line(out, prediction, point, &point->values[i]);
    if (!point->refused) continue;
    head(out, prediction, point);
    buf_puts(out, ",,,,,,,,,,,,,,,,\n");
  }
  return buf_ok(out, err);
}
