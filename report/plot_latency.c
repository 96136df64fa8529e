/* Plot `latency`: percentiles over time of the operations that succeeded, from when they should
 * have been sent, so that a server that stalls is not hidden by clients that wait. */
#include <math.h>

#include "report/plot_parts.h"

#define PANEL_HEIGHT 170
#define PANEL_GAP 30
#define FOOT 88

static uint32_t latency_height(const struct plot_input *in, const char **ret_why) {
  uint32_t panels = 0;
  for (int class = 0; class < SERIES_CLASS_COUNT; class ++) {
    panels += in->series->latency_total[class] != NULL;
  }
  *ret_why = "no operation of the measured time succeeded";
  if (panels == 0) return 0;
  return PLOT_MARKS_HEIGHT + panels * (PANEL_HEIGHT + PANEL_GAP) - PANEL_GAP + FOOT;
}

static const struct {
  double quantile;
  const char *name, *color, *style;
} lines[] = {
    {1.0, "maximum", "skipped", "lw 1 pt 7 ps 0.2"},
    {0.99, "p99", "series_4", "lw 1.5 pt 7 ps 0.2"},
    {0.95, "p95", "series_2", "lw 1.5 pt 7 ps 0.2"},
    {0.5, "median", "series_1", "lw 2.5 pt 7 ps 0.3"},
};
#define LINE_COUNT (sizeof lines / sizeof lines[0])

/* Columns: the middle of the interval, then the quantiles in seconds. */
static void data(const struct series *series, enum series_class class, struct buf *script) {
  plot_data_begin(script, class == SERIES_WRITES ? "writes" : "reads");
  for (uint32_t i = 0; i < series->columns.count; i++) {
    plot_number(script, axis_middle(&series->columns, i));
    const struct histogram *histogram = series->latency[class][i];
    for (size_t j = 0; j < LINE_COUNT; j++) {
      uint64_t ns = histogram ? histogram_quantile(histogram, lines[j].quantile) : 0;
      /* A logarithmic axis has no zero. */
      plot_number(script, histogram ? fmax((double)ns, 1.0) / 1e9 : NAN);
    }
    buf_putc(script, '\n');
  }
  plot_data_end(script);
}

static void legend(struct buf *script, const struct plot_frame *frame) {
  struct plot_key keys[LINE_COUNT];
  for (size_t j = 0; j < LINE_COUNT; j++) {
    keys[j] = (struct plot_key){.color = lines[j].color, .text = lines[j].name, .line = true};
  }
  plot_legend(script, frame, keys, LINE_COUNT);
}

static void panel(const struct plot_input *in, const struct plot_frame *frame,
                  enum series_class class, bool first, bool last, struct buf *script) {
  const char *name = class == SERIES_WRITES ? "writes" : "reads";
  const struct histogram *total = in->series->latency_total[class];
  plot_margins(script, frame);
  plot_time_axis(script, in->series, last);
  plot_seconds_axis(script, (double)histogram_quantile(total, 0.05) / 1e9,
                    (double)total->maximum / 1e9, false);
  plot_faults(script, in, frame, first);
  plot_y_label(script, frame, class == SERIES_WRITES ? "latency of writes" : "latency of reads");
  if (last) legend(script, frame);
  buf_puts(script, "plot ");
  for (size_t j = 0; j < LINE_COUNT; j++) {
    buf_printf(script, "%s$%s using 1:%zu with linespoints lc rgb c_%s %s notitle",
               j == 0 ? "" : ", ", name, j + 2, lines[j].color, lines[j].style);
  }
  buf_putc(script, '\n');
  plot_panel_end(script);
}

static void latency_script(const struct plot_input *in, uint32_t height, struct buf *script) {
  plot_style(script);
  uint32_t top = PLOT_MARKS_HEIGHT;
  for (enum series_class class = 0; class < SERIES_CLASS_COUNT; class ++) {
    if (in->series->latency_total[class]) data(in->series, class, script);
  }
  buf_puts(script, "set multiplot\n");
  for (enum series_class class = 0; class < SERIES_CLASS_COUNT; class ++) {
    if (!in->series->latency_total[class]) continue;
    struct plot_frame frame = plot_frame_panel(height, top, top + PANEL_HEIGHT);
    bool last = class == SERIES_READS || !in->series->latency_total[SERIES_READS];
    panel(in, &frame, class, top == PLOT_MARKS_HEIGHT, last, script);
    top += PANEL_HEIGHT + PANEL_GAP;
  }
  buf_puts(script, "unset multiplot\n");
}

const struct plot plot_latency = {
    .name = "latency",
    .title = "Latency percentiles",
    .caption =
        "Of the operations that succeeded, from the moment they should have been sent (no "
        "coordinated omission), logarithmic. A gap: nothing succeeded.",
    .height = latency_height,
    .script = latency_script,
};
