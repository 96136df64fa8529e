/* Plot `repeats`: the failover time of each repeat, and their distribution beside it. */
#include <math.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "report/facts.h"
#include "report/plot_parts.h"
#include "report/statistics.h"

#define PANEL_HEIGHT 240
#define TOP 34
#define FOOT 60
#define MEASURE "failover_time"
#define SPLIT 610 /* where the right panel begins */

static uint32_t repeats_height(const struct plot_input *in, const char **ret_why) {
  struct spread spread;
  *ret_why = "the scenario was run once";
  if (in->report->repeat_count < 2) return 0;
  *ret_why = "there is no memory for the values of all repeats";
  if (spread_of_repeats(in->report, MEASURE, &spread, NULL) != 0) return 0;
  *ret_why = "no repeat has a failover time";
  if (spread.count == 0) return 0;
  return TOP + PANEL_HEIGHT + FOOT;
}

/* Columns: the number of the repeat (faults of one side by side), the time. */
static void data(const struct report_input *input, struct buf *script) {
  plot_data_begin(script, "dots");
  for (uint32_t i = 0; i < input->repeat_count; i++) {
    const struct run_result *result = &input->repeats[i];
    uint32_t faults = result->info.fault_count;
    for (uint32_t j = 0; j < faults; j++) {
      const struct measure *measure = facts_measure(result, MEASURE, (int32_t)j);
      if (!measure || !measure->known) continue;
      double shift = faults > 1 ? 0.6 * ((double)j / (faults - 1) - 0.5) : 0;
      plot_number(script, result->repeat + shift);
      plot_number(script, measure->value);
      buf_putc(script, '\n');
    }
  }
  plot_data_end(script);
}

/* Columns: the share of the recoveries that took no longer, in percent; the time. */
static void distribution(const struct report_input *input, struct buf *script) {
  CLEANUP_FREE double *values = malloc(SPREAD_VALUES_MAX * sizeof *values);
  if (!values) {
    script->failed = true; /* told by buf_ok() like any other allocation of the script */
    return;
  }
  uint32_t count = spread_values(input, MEASURE, values, SPREAD_VALUES_MAX);
  plot_data_begin(script, "shares");
  for (uint32_t i = 0; i < count; i++) {
    /* Two points a value: a stair. */
    buf_printf(script, "%.6g %.9g\n%.6g %.9g\n", 100.0 * i / count, values[i],
               100.0 * (i + 1) / count, values[i]);
  }
  plot_data_end(script);
}

/* A line through both panels; its name stands at the right end of the right one. */
static void level(struct buf *script, double value, const char *name, bool named) {
  buf_printf(script,
             "set arrow from graph 0, first %.9g to graph 1, first %.9g nohead lc rgb c_muted lw "
             "1.2 dt (4,3)\n",
             value, value);
  if (!named) return;
  char text[FORMAT_SIZE];
  format_value(value, UNIT_DURATION, text);
  buf_printf(script,
             "set label '%s %s' at graph 0.02, first %.9g left offset 0,0.55 textcolor rgb c_text "
             "front\n",
             name, text, value);
}

static void levels(struct buf *script, const struct spread *spread, bool named) {
  level(script, spread->median, "median", named);
  /* Names that would lie on each other: one is enough. */
  bool apart = spread->p95 - spread->median > 0.06 * (spread->maximum * 1.05 + 1e-9);
  if (spread->has_p95) level(script, spread->p95, "p95", named && apart);
}

/* The numbers of those that are missing have no dots. */
static uint32_t last_repeat(const struct report_input *input) {
  uint32_t last = 0;
  for (uint32_t i = 0; i < input->repeat_count; i++)
    if (input->repeats[i].repeat > last) last = input->repeats[i].repeat;
  return last;
}

static void repeats_script(const struct plot_input *in, uint32_t height, struct buf *script) {
  struct spread spread;
  if (spread_of_repeats(in->report, MEASURE, &spread, NULL) != 0) {
    script->failed = true;
    return;
  }
  struct plot_frame left = plot_frame_panel(height, TOP, TOP + PANEL_HEIGHT), right = left;
  left.right = SPLIT - 24;
  right.left = SPLIT;
  plot_style(script);
  data(in->report, script);
  distribution(in->report, script);
  double top = spread.maximum > 0 ? spread.maximum * 1.12 : 1.0;
  buf_printf(script, "set multiplot\nunset key\nset yrange [0:%.9g]\n", top);
  plot_margins(script, &left);
  levels(script, &spread, false);
  plot_y_label(script, &left, "failover time, seconds");
  buf_printf(script,
             "set xrange [0.4:%.1f]\nset xtics %d\nset format x '%%.0f'\nset xlabel 'repeat' "
             "textcolor rgb c_muted offset 0,0.4\n"
             "plot $dots using 1:2 with points pt 7 ps 0.8 lc rgb c_series_1\n",
             last_repeat(in->report) + 0.6, (int)fmax(1.0, ceil(last_repeat(in->report) / 12.0)));
  plot_panel_end(script);
  plot_margins(script, &right);
  levels(script, &spread, true);
  buf_puts(script,
           "set xrange [0:100]\nset xtics 25\nset format x '%g %%'\nset format y ''\n"
           "set xlabel 'share of recoveries that took no longer' textcolor rgb c_muted "
           "offset 0,0.4\nplot $shares using 1:2 with lines lc rgb c_series_1 lw 2\n");
  plot_panel_end(script);
  buf_puts(script, "unset multiplot\n");
}

const struct plot plot_repeats = {
    .name = "repeats",
    .title = "Failover time over the repeats",
    .caption =
        "Each dot is one recovery; dashed: the median and, from 20 values on, the 95th percentile.",
    .height = repeats_height,
    .script = repeats_script,
};
