/* Plot `timeline`: what became of the operations that were scheduled, interval by interval. The
 * load is an open loop, so that the top of the stack is the schedule itself and what is not green
 * is what clients did not get. */
#include "report/plot_parts.h"

#define PANEL_HEIGHT 170
#define PANEL_GAP 30
#define FOOT 88

/* From the axis upwards. */
static const enum outcome order[OUTCOME_COUNT] = {OUTCOME_OK, OUTCOME_UNKNOWN, OUTCOME_FAIL,
                                                  OUTCOME_SKIPPED};

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

/* Columns: time, then the height of the stack up to each outcome, operations a second, from 0. Two
 * points an interval: stairs. */
static void data(const struct series *series, enum series_class class, struct buf *script) {
  double seconds = (double)series->axis.step_ns / 1e9;
  plot_data_begin(script, class == SERIES_WRITES ? "writes" : "reads");
  for (uint32_t i = 0; i < 2 * series->axis.count; i++) {
    plot_number(script, axis_seconds(&series->axis, (i + 1) / 2));
    buf_puts(script, " 0");
    double sum = 0;
    for (int j = 0; j < OUTCOME_COUNT; j++) {
      sum += (double)series->counts[i / 2].outcomes[class][order[j]];
      plot_number(script, sum / seconds);
    }
    buf_putc(script, '\n');
  }
  plot_data_end(script);
}

static void panel(const struct plot_input *in, const struct plot_frame *frame,
                  enum series_class class, bool first, bool last, struct buf *script) {
  const char *name = class == SERIES_WRITES ? "writes" : "reads";
  plot_margins(script, frame);
  plot_time_axis(script, in->series, last);
  plot_faults(script, in, frame, first);
  buf_puts(script, "set yrange [0:*]\nset offsets 0, 0, graph 0.08, 0\n");
  plot_y_label(script, frame, class == SERIES_WRITES ? "writes per second" : "reads per second");
  if (last) {
    buf_printf(script,
               "set key at screen 0.5, screen %.5f center bottom horizontal Left reverse "
               "samplen 1.4 width 2\n",
               plot_screen_y(frame, frame->height - 6));
  } else {
    buf_puts(script, "unset key\n");
  }
  /* Not quite opaque, so that the band of the fault is seen behind. */
  buf_puts(script, "plot ");
  for (int j = 0; j < OUTCOME_COUNT; j++) {
    buf_printf(script,
               "$%s using 1:%d:%d with filledcurves fs transparent solid 0.8 noborder "
               "lc rgb c_%s notitle, ",
               name, j + 2, j + 3, outcome_name(order[j]));
  }
  for (int j = 0; j < OUTCOME_COUNT; j++) {
    buf_printf(script, "%skeyentry with boxes fs solid 0.8 noborder lc rgb c_%s title '%s'",
               j == 0 ? "" : ", ", outcome_name(order[j]), outcome_name(order[j]));
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
    if (has[class]) data(series, class, script);
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
        "the stack is the schedule. Unknown: sent, and nobody knows whether it was applied. "
        "Skipped: the client was still busy with earlier ones.",
    .height = timeline_height,
    .script = timeline_script,
};
