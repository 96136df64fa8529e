/* Plot `connect`: what a fresh connection costs, step by step: the client's part of a failover. */
#include <math.h>

#include "report/plot_parts.h"

#define PANEL_HEIGHT 200
#define FOOT 88

static const char *const colors[PROBE_STEP_COUNT] = {
    [PROBE_RESOLVE] = "series_5", [PROBE_CONNECT] = "series_3", [PROBE_AUTHENTICATE] = "series_1",
    [PROBE_READ] = "series_2",    [PROBE_WRITE] = "series_4",
};

static uint32_t connect_height(const struct plot_input *in, const char **ret_why) {
  *ret_why = "no fresh connection succeeded, or none was tried";
  for (int step = 0; step < PROBE_STEP_COUNT; step++) {
    if (in->series->steps[step]) return PLOT_MARKS_HEIGHT + PANEL_HEIGHT + FOOT;
  }
  return 0;
}

static void data(const struct series *series, struct buf *script, double *ret_minimum,
                 double *ret_maximum) {
  *ret_minimum = INFINITY;
  *ret_maximum = 0;
  plot_data_begin(script, "steps");
  for (uint32_t i = 0; i < series->axis.count; i++) {
    plot_number(script, axis_middle(&series->axis, i));
    for (int step = 0; step < PROBE_STEP_COUNT; step++) {
      double value = series->steps[step] ? series->steps[step][i] : NAN;
      if (!isnan(value)) value = fmax(value, 1e-6);
      *ret_minimum = fmin(*ret_minimum, value); /* fmin() and fmax() ignore NAN */
      *ret_maximum = fmax(*ret_maximum, value);
      plot_number(script, value);
    }
    buf_putc(script, '\n');
  }
  plot_data_end(script);
}

static void connect_script(const struct plot_input *in, uint32_t height, struct buf *script) {
  struct plot_frame frame =
      plot_frame_panel(height, PLOT_MARKS_HEIGHT, PLOT_MARKS_HEIGHT + PANEL_HEIGHT);
  double minimum, maximum;
  plot_style(script);
  data(in->series, script, &minimum, &maximum);
  plot_margins(script, &frame);
  plot_time_axis(script, in->series, true);
  plot_seconds_axis(script, fmin(minimum, maximum), maximum, false);
  plot_faults(script, in, &frame, true);
  plot_y_label(script, &frame, "time of a step");
  struct plot_key keys[PROBE_STEP_COUNT];
  for (enum probe_step step = 0; step < PROBE_STEP_COUNT; step++) {
    keys[step] =
        (struct plot_key){.color = colors[step], .text = probe_step_name(step), .line = true};
  }
  plot_legend(script, &frame, keys, PROBE_STEP_COUNT);
  for (enum probe_step step = 0; step < PROBE_STEP_COUNT; step++) {
    buf_printf(script,
               "%s$steps using 1:%d with linespoints lc rgb c_%s lw 1.5 pt 7 ps 0.25 notitle",
               step == 0 ? "plot " : ", ", (int)step + 2, colors[step]);
  }
  buf_putc(script, '\n');
}

const struct plot plot_connect = {
    .name = "connect",
    .title = "Fresh connections",
    .caption =
        "A probe opens a new connection each time; the slowest of each interval, step by "
        "step, logarithmic. This is the client's own part of a failover.",
    .height = connect_height,
    .script = connect_script,
};
