/* Plot `heatmap`: how many operations had which latency when. It shows what percentiles hide: two
 * modes, or a few slow ones in the crowd. */
#include <math.h>
#include <stdlib.h>

#include "report/plot_parts.h"

#define PANEL_HEIGHT 170
#define PANEL_GAP 30
#define FOOT 88
#define ROWS_A_DECADE 10
#define LEGEND_STEPS 5

static uint32_t heatmap_height(const struct plot_input *in, const char **ret_why) {
  uint32_t panels = 0;
  for (int class = 0; class < SERIES_CLASS_COUNT; class ++) {
    panels += in->series->latency_total[class] != NULL;
  }
  *ret_why = "no operation of the measured time succeeded";
  if (panels == 0) return 0;
  return PLOT_MARKS_HEIGHT + panels * (PANEL_HEIGHT + PANEL_GAP) - PANEL_GAP + FOOT;
}

struct grid {
  int low, high; /* decades of seconds */
  uint32_t rows, columns;
  uint64_t *cells; /* column by column */
  uint64_t maximum;
};

static void grid_fill(struct grid *grid, const struct series *series, enum series_class class) {
  for (uint32_t column = 0; column < grid->columns; column++) {
    const struct histogram *histogram = series->latency[class][column];
    if (!histogram) continue;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
      if (histogram->buckets[i] == 0) continue;
      double seconds = fmax((double)histogram_bucket_low(i), 1.0) / 1e9;
      double row = floor((log10(seconds) - grid->low) * ROWS_A_DECADE);
      if (row < 0) row = 0;
      if (row >= grid->rows) row = grid->rows - 1;
      uint64_t *cell = &grid->cells[column * grid->rows + (uint32_t)row];
      *cell += histogram->buckets[i];
      if (*cell > grid->maximum) grid->maximum = *cell;
    }
  }
}

/* How opaque a count is: on a logarithmic scale, and one operation is still seen. */
static unsigned opacity(uint64_t count, uint64_t maximum) {
  if (count == 0) return 0;
  double share = maximum > 1 ? log((double)count) / log((double)maximum) : 1.0;
  return (unsigned)lround(45.0 + 210.0 * share);
}

static void data(const struct grid *grid, const struct series *series, const char *name,
                 uint64_t maximum, struct buf *script) {
  plot_data_begin(script, name);
  double step_s = (double)series->columns.step_ns / 1e9;
  for (uint32_t column = 0; column < grid->columns; column++) {
    for (uint32_t row = 0; row < grid->rows; row++) {
      /* An image is a regular grid: the last column as wide as the others, cut off by the axis. */
      plot_number(script, axis_seconds(&series->columns, 0) + (column + 0.5) * step_s);
      plot_number(script, grid->low + (row + 0.5) / ROWS_A_DECADE);
      buf_printf(script, " %u\n", opacity(grid->cells[column * grid->rows + row], maximum));
    }
  }
  plot_data_end(script);
}

/* At the foot: boxes of rising opacity with the counts they stand for. */
static void legend(struct buf *script, const struct plot_frame *frame, uint64_t maximum) {
  double y = plot_screen_y(frame, frame->height - 14.0), half = 7.0 / frame->height;
  double x = 0.5 - (LEGEND_STEPS - 1) * 0.025, previous = 0;
  buf_printf(script,
             "set label 'operations in a cell' at screen %.5f, screen %.5f right textcolor rgb "
             "c_text\n",
             x - 0.015, y);
  for (int i = 0; i < LEGEND_STEPS; i++) {
    double count = round(pow((double)maximum, (double)i / (LEGEND_STEPS - 1)));
    if (count == previous) continue;
    previous = count;
    buf_printf(script,
               "set object rectangle from screen %.5f, screen %.5f to screen %.5f, screen %.5f "
               "fc rgb c_heat fs transparent solid %.3f noborder front\n",
               x, y - half, x + 0.015, y + half, opacity((uint64_t)count, maximum) / 255.0);
    buf_printf(script,
               "set label '%.0f' at screen %.5f, screen %.5f left textcolor rgb c_text front\n",
               count, x + 0.02, y);
    x += 0.075;
  }
}

static int grid_make(struct grid *grid, const struct series *series, enum series_class class) {
  const struct histogram *total = series->latency_total[class];
  double low_s = fmax((double)total->minimum, 1.0) / 1e9;
  double high_s = fmax((double)total->maximum / 1e9, low_s);
  *grid = (struct grid){.low = (int)floor(log10(low_s)), .columns = series->columns.count};
  grid->high = (int)floor(log10(high_s)) + 1;
  grid->rows = (uint32_t)(grid->high - grid->low) * ROWS_A_DECADE;
  grid->cells = calloc((size_t)grid->rows * grid->columns, sizeof *grid->cells);
  if (!grid->cells) return STATUS_MEMORY;
  grid_fill(grid, series, class);
  return 0;
}

static void panel(const struct plot_input *in, const struct plot_frame *frame,
                  enum series_class class, const struct grid *grid, bool first, bool last,
                  uint64_t maximum, struct buf *script) {
  const char *name = class == SERIES_WRITES ? "writes" : "reads";
  data(grid, in->series, name, maximum, script);
  plot_margins(script, frame);
  plot_time_axis(script, in->series, last);
  /* A little inside, so that the range is these decades and not the next ones. */
  plot_seconds_axis(script, pow(10.0, grid->low + 0.05), pow(10.0, grid->high - 0.05), true);
  plot_faults(script, in, frame, first);
  if (last) legend(script, frame, maximum);
  plot_y_label(script, frame, class == SERIES_WRITES ? "latency of writes" : "latency of reads");
  /* The image is not cut off by the axis: paper over what stands out on the right. */
  buf_puts(script,
           "set object rectangle from graph 1.0012, graph 0 to screen 1, graph 1 fc rgb "
           "c_paper fs solid 1 noborder front\n");
  unsigned heat = plot_colors[COLOR_HEAT].light;
  buf_printf(script, "plot $%s using 1:2:(%u):(%u):(%u):3 with rgbalpha notitle\n", name,
             heat >> 16, heat >> 8 & 255, heat & 255);
  plot_panel_end(script);
}

static void panels(const struct plot_input *in, uint32_t height, const struct grid *grids,
                   struct buf *script) {
  uint64_t maximum = 0;
  for (int class = 0; class < SERIES_CLASS_COUNT; class ++) {
    if (grids[class].maximum > maximum) maximum = grids[class].maximum;
  }
  plot_style(script);
  buf_puts(script, "set multiplot\n");
  uint32_t top = PLOT_MARKS_HEIGHT;
  for (enum series_class class = 0; class < SERIES_CLASS_COUNT; class ++) {
    if (!grids[class].cells) continue;
    struct plot_frame frame = plot_frame_panel(height, top, top + PANEL_HEIGHT);
    bool last = class == SERIES_READS || !grids[SERIES_READS].cells;
    panel(in, &frame, class, &grids[class], top == PLOT_MARKS_HEIGHT, last, maximum, script);
    top += PANEL_HEIGHT + PANEL_GAP;
  }
  buf_puts(script, "unset multiplot\n");
}

static void heatmap_script(const struct plot_input *in, uint32_t height, struct buf *script) {
  struct grid grids[SERIES_CLASS_COUNT] = {{.rows = 0}};
  int status = 0;
  for (enum series_class class = 0; class < SERIES_CLASS_COUNT && status == 0; class ++) {
    if (in->series->latency_total[class]) status = grid_make(&grids[class], in->series, class);
  }
  if (status == 0) {
    panels(in, height, grids, script);
  } else {
    script->failed = true; /* told by buf_ok() like any other allocation of the script */
  }
  for (int class = 0; class < SERIES_CLASS_COUNT; class ++) free(grids[class].cells);
}

const struct plot plot_heatmap = {
    .name = "heatmap",
    .title = "Latency heat map",
    .caption =
        "Each cell counts the operations of one interval that succeeded with one latency; "
        "stronger is more, on a logarithmic scale.",
    .height = heatmap_height,
    .script = heatmap_script,
};
