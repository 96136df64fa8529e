/* Plot `lag`: how far each replica is behind, in the three ways that it is measured. */
#include <math.h>
#include <stdio.h>

#include "report/facts.h"
#include "report/plot_parts.h"

#define PANEL_HEIGHT 140
#define PANEL_GAP 30
#define FOOT 88
/* Below these, lag is noise: drawn as "no more than". */
#define FLOOR_BYTES 1024.0
#define FLOOR_SECONDS 1e-3
#define HOSTS_NAMED 8 /* as many as have room */

static bool has_lag(const struct series *series, enum series_lag lag) {
  for (uint32_t host = 0; host < series->host_count; host++) {
    if (series->lag[lag][host]) return true;
  }
  return false;
}

static bool has_host(const struct series *series, uint32_t host) {
  for (int lag = 0; lag < LAG_COUNT; lag++) {
    if (series->lag[lag][host]) return true;
  }
  return false;
}

static uint32_t lag_height(const struct plot_input *in, const char **ret_why) {
  uint32_t panels = 0;
  for (enum series_lag lag = 0; lag < LAG_COUNT; lag++) panels += has_lag(in->series, lag);
  *ret_why = "the record holds no lag of any replica";
  if (panels == 0) return 0;
  return PLOT_MARKS_HEIGHT + panels * (PANEL_HEIGHT + PANEL_GAP) - PANEL_GAP + FOOT;
}

static double lag_floor(enum series_lag lag) {
  return lag == LAG_BYTES ? FLOOR_BYTES : FLOOR_SECONDS;
}

/* Columns: the middle of the interval, then the lag of each host that has any of any kind. */
static double data(const struct series *series, enum series_lag lag, struct buf *script) {
  char name[16];
  snprintf(name, sizeof name, "lag%d", (int)lag);
  double maximum = 0;
  plot_data_begin(script, name);
  for (uint32_t i = 0; i < series->axis.count; i++) {
    plot_number(script, axis_middle(&series->axis, i));
    for (uint32_t host = 0; host < series->host_count; host++) {
      if (!has_host(series, host)) continue;
      double value = series->lag[lag][host] ? series->lag[lag][host][i] : NAN;
      plot_number(script, isnan(value) ? NAN : fmax(value, lag_floor(lag)));
      if (value > maximum) maximum = value;
    }
    buf_putc(script, '\n');
  }
  plot_data_end(script);
  return maximum;
}

/* 1 KiB, 32 KiB, 1 MiB ... : a factor of 32 is one and a half decades. */
static void bytes_axis(struct buf *script, double maximum) {
  static const char *const names[] = {"1 KiB", "32 KiB", "1 MiB", "32 MiB",
                                      "1 GiB", "32 GiB", "1 TiB", "32 TiB"};
  double top = FLOOR_BYTES * 32;
  while (top < maximum) top *= 32;
  buf_printf(script, "set logscale y 2\nset yrange [%.0f:%.0f]\nset ytics ('≤ 1 KiB' %.0f",
             FLOOR_BYTES, top, FLOOR_BYTES);
  double tic = FLOOR_BYTES * 32;
  for (size_t i = 1; i < sizeof names / sizeof names[0] && tic <= top; i++, tic *= 32) {
    buf_printf(script, ", '%s' %.0f", names[i], tic);
  }
  buf_puts(script, ")\n");
}

static void lag_axis(struct buf *script, enum series_lag lag, double maximum) {
  if (lag == LAG_BYTES) {
    bytes_axis(script, maximum);
    return;
  }
  plot_seconds_axis(script, FLOOR_SECONDS, fmax(maximum, FLOOR_SECONDS * 10), false);
  buf_puts(script, "set ytics add ('≤ 1 ms' 1e-3)\n");
}

/* The n-th host that is drawn has the n-th colour, in every panel. */
static const char *const host_colors[COLOR_SERIES_COUNT] = {"series_1", "series_2", "series_3",
                                                            "series_4", "series_5", "series_6"};

static void legend(const struct plot_input *in, const struct plot_frame *frame,
                   struct buf *script) {
  struct plot_key keys[HOSTS_NAMED];
  size_t count = 0;
  for (uint32_t host = 0; host < in->series->host_count && count < HOSTS_NAMED; host++) {
    if (!has_host(in->series, host)) continue;
    keys[count] = (struct plot_key){.color = host_colors[count % COLOR_SERIES_COUNT],
                                    .text = facts_host(in->report->result, (uint16_t)host),
                                    .line = true};
    count++;
  }
  plot_legend(script, frame, keys, count);
}

static void curves(const struct plot_input *in, enum series_lag lag, struct buf *script) {
  const struct series *series = in->series;
  uint32_t column = 0;
  for (uint32_t host = 0; host < series->host_count; host++) {
    if (!has_host(series, host)) continue;
    buf_printf(script,
               "%s$lag%d using 1:%u with linespoints lc rgb c_%s lw 1.8 pt %u ps 0.25 notitle",
               column == 0 ? "plot " : ", ", (int)lag, column + 2,
               host_colors[column % COLOR_SERIES_COUNT], column % 2 == 0 ? 7 : 5);
    column++;
  }
  buf_putc(script, '\n');
}

static void panel(const struct plot_input *in, const struct plot_frame *frame, enum series_lag lag,
                  bool first, bool last, struct buf *script) {
  static const char *const labels[LAG_COUNT] = {
      [LAG_BYTES] = "reported, bytes",
      [LAG_SECONDS] = "reported, time",
      [LAG_HEARTBEAT] = "end to end, time",
  };
  double maximum = data(in->series, lag, script);
  uint64_t bound = in->report->result->info.lag_bound_bytes;
  bool bounded = lag == LAG_BYTES && bound > 0;
  if (bounded && maximum < (double)bound) maximum = (double)bound;
  plot_margins(script, frame);
  plot_time_axis(script, in->series, last);
  lag_axis(script, lag, maximum);
  plot_faults(script, in, frame, first);
  plot_y_label(script, frame, labels[lag]);
  if (bounded) {
    buf_printf(script,
               "set arrow from graph 0, first %.0f to graph 1, first %.0f nohead lc rgb c_muted "
               "lw 1.2 dt (2,3)\nset label 'bound of full redundancy' at graph 0.005, first %.0f "
               "left offset 0,0.5 textcolor rgb c_muted\n",
               (double)bound, (double)bound, (double)bound);
  }
  if (last) legend(in, frame, script);
  curves(in, lag, script);
  plot_panel_end(script);
}

static void lag_script(const struct plot_input *in, uint32_t height, struct buf *script) {
  enum series_lag last = 0;
  for (enum series_lag lag = 0; lag < LAG_COUNT; lag++) {
    if (has_lag(in->series, lag)) last = lag;
  }
  plot_style(script);
  buf_puts(script, "set multiplot\n");
  bool first = true;
  uint32_t top = PLOT_MARKS_HEIGHT;
  for (enum series_lag lag = 0; lag < LAG_COUNT; lag++) {
    if (!has_lag(in->series, lag)) continue;
    struct plot_frame frame = plot_frame_panel(height, top, top + PANEL_HEIGHT);
    panel(in, &frame, lag, first, lag == last, script);
    first = false;
    top += PANEL_HEIGHT + PANEL_GAP;
  }
  buf_puts(script, "unset multiplot\n");
}

const struct plot plot_lag = {
    .name = "lag",
    .title = "Replication lag",
    .caption =
        "The largest of each interval, logarithmic. Reported: what the primary says of its "
        "replicas. End to end: the age of the oldest acknowledged heartbeat that a read on "
        "the replica does not show yet. A gap: the host was the primary, or did not answer.",
    .height = lag_height,
    .script = lag_script,
};
