/* Plot `timeline`: what became of the operations that were scheduled, interval by interval. The
 * load is an open loop, so that the top of the stack is the schedule itself and what is not green
 * is what clients did not get. */
#include <math.h>
#include <stdio.h>

#include "report/format.h"
#include "report/plot_parts.h"

#define PANEL_HEIGHT 170
#define PANEL_GAP 30
#define FOOT 88

/* What the stack is made of, from the axis upwards. */
enum layer { LAYER_OK, LAYER_LATE, LAYER_UNKNOWN, LAYER_FAIL, LAYER_SKIPPED, LAYER_COUNT };
static const char *const layers[LAYER_COUNT] = {
    [LAYER_OK] = "ok",     [LAYER_LATE] = "late",       [LAYER_UNKNOWN] = "unknown",
    [LAYER_FAIL] = "fail", [LAYER_SKIPPED] = "skipped",
};

static uint64_t layer_count(const struct series_counts *counts, enum series_class class,
                            enum layer layer) {
  switch (layer) {
    case LAYER_OK: return counts->outcomes[class][OUTCOME_OK] - counts->late[class];
    case LAYER_LATE: return counts->late[class];
    case LAYER_UNKNOWN: return counts->outcomes[class][OUTCOME_UNKNOWN];
    case LAYER_FAIL: return counts->outcomes[class][OUTCOME_FAIL];
    case LAYER_SKIPPED: return counts->outcomes[class][OUTCOME_SKIPPED];
    case LAYER_COUNT: break;
  }
  return 0;
}

static bool has_class(const struct series *series, enum series_class class) {
  for (uint32_t i = 0; i < series->axis.count; i++) {
    for (int j = 0; j < OUTCOME_COUNT; j++) {
      if (series->counts[i].outcomes[class][j] > 0) return true;
    }
  }
  return false;
}

static uint32_t timeline_height(const struct plot_input *in, const char **ret_why) {
  uint32_t panels = 0;
  for (enum series_class class = 0; class < SERIES_CLASS_COUNT; class ++) {
    panels += has_class(in->series, class);
  }
  *ret_why = "the record holds no operation of the measured time";
  if (panels == 0) return 0;
  return PLOT_MARKS_HEIGHT + panels * (PANEL_HEIGHT + PANEL_GAP) - PANEL_GAP + FOOT;
}

/* Columns: time, then the height of the stack up to each layer, operations a second, from 0. Two
 * points an interval: stairs. Returns the highest. */
static double data(const struct series *series, enum series_class class, struct buf *script) {
  double highest = 0;
  plot_data_begin(script, class == SERIES_WRITES ? "writes" : "reads");
  for (uint32_t i = 0; i < 2 * series->axis.count; i++) {
    double seconds = axis_seconds(&series->axis, i / 2 + 1) - axis_seconds(&series->axis, i / 2);
    plot_number(script, axis_seconds(&series->axis, (i + 1) / 2));
    buf_puts(script, " 0");
    double sum = 0;
    for (enum layer layer = 0; layer < LAYER_COUNT; layer++) {
      sum += (double)layer_count(&series->counts[i / 2], class, layer);
      plot_number(script, sum / seconds);
    }
    highest = fmax(highest, sum / seconds);
    buf_putc(script, '\n');
  }
  plot_data_end(script);
  return highest;
}

/* At most five tics at 1, 2, 2.5 or 5 times a power of ten, and a little air above the stack. */
static void rate_axis(struct buf *script, double highest) {
  static const double steps[] = {1, 2, 2.5, 5, 10};
  highest = fmax(highest, 1e-3);
  double power = pow(10.0, floor(log10(highest))), step = power;
  for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
    step = steps[i] * power / 10;
    if (highest / step <= 5) break;
  }
  for (size_t i = 0; highest / step > 5 && i < sizeof steps / sizeof steps[0]; i++) {
    step = steps[i] * power;
  }
  buf_printf(script, "set yrange [0:%.9g]\nset ytics %.9g\n", highest * 1.1, step);
}

static void legend(struct buf *script, const struct plot_input *in,
                   const struct plot_frame *frame) {
  char late[FORMAT_SIZE], late_text[FORMAT_SIZE + 24];
  struct plot_key keys[LAYER_COUNT];
  format_seconds((double)series_late_ns(&in->report->result->info) / 1e9, late);
  snprintf(late_text, sizeof late_text, "ok after %s or more", late);
  for (enum layer layer = 0; layer < LAYER_COUNT; layer++) {
    keys[layer] = (struct plot_key){.color = layers[layer],
                                    .text = layer == LAYER_LATE ? late_text : layers[layer]};
  }
  plot_legend(script, frame, keys, LAYER_COUNT);
}

static void panel(const struct plot_input *in, const struct plot_frame *frame,
                  enum series_class class, bool first, bool last, struct buf *script) {
  const char *name = class == SERIES_WRITES ? "writes" : "reads";
  double highest = data(in->series, class, script);
  plot_margins(script, frame);
  plot_time_axis(script, in->series, last);
  plot_faults(script, in, frame, first);
  rate_axis(script, highest);
  plot_y_label(script, frame, class == SERIES_WRITES ? "writes per second" : "reads per second");
  if (last) legend(script, in, frame);
  /* Not quite opaque, so that the band of the fault is seen behind. */
  for (enum layer layer = 0; layer < LAYER_COUNT; layer++) {
    buf_printf(script,
               "%s$%s using 1:%d:%d with filledcurves fs transparent solid 0.8 noborder "
               "lc rgb c_%s notitle",
               layer == 0 ? "plot " : ", ", name, (int)layer + 2, (int)layer + 3, layers[layer]);
  }
  buf_putc(script, '\n');
  plot_panel_end(script);
}

static void timeline_script(const struct plot_input *in, uint32_t height, struct buf *script) {
  const struct series *series = in->series;
  plot_style(script);
  bool has[SERIES_CLASS_COUNT];
  for (enum series_class class = 0; class < SERIES_CLASS_COUNT; class ++) {
    has[class] = has_class(series, class);
  }
  buf_puts(script, "set multiplot\n");
  uint32_t top = PLOT_MARKS_HEIGHT;
  for (enum series_class class = 0; class < SERIES_CLASS_COUNT; class ++) {
    if (!has[class]) continue;
    struct plot_frame frame = plot_frame_panel(height, top, top + PANEL_HEIGHT);
    bool last = class == SERIES_READS || !has[SERIES_READS];
    panel(in, &frame, class, top == PLOT_MARKS_HEIGHT, last, script);
    top += PANEL_HEIGHT + PANEL_GAP;
  }
  buf_puts(script, "unset multiplot\n");
}

const struct plot plot_timeline = {
    .name = "timeline",
    .title = "Throughput and outcomes",
    .caption =
        "Operations by the moment they were scheduled, whatever became of them: the top of "
        "the stack is the schedule. So what waited for the recovery and then succeeded stands "
        "before it, as late. Unknown: sent, and nobody knows whether it was applied. Skipped: "
        "the client was still busy with earlier ones.",
    .height = timeline_height,
    .script = timeline_script,
};
