/* Pieces of gnuplot scripts that several plots share. */
#include "report/plot_parts.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "report/escape.h"
#include "report/facts.h"

#define CHARACTER_WIDTH 7.0 /* of 12 pixel text, on the safe side */
#define MARK_ROWS 3
#define ROW_HEIGHT 16
#define FAULTS_DRAWN 200

struct plot_frame plot_frame_panel(uint32_t canvas_height, uint32_t top, uint32_t bottom) {
  return (struct plot_frame){.width = PLOT_WIDTH,
                             .height = canvas_height,
                             .left = 84,
                             .right = PLOT_WIDTH - 22,
                             .top = top,
                             .bottom = bottom};
}

void plot_style(struct buf *script) {
  for (int i = 0; i < COLOR_COUNT; i++) {
    char name[32];
    snprintf(name, sizeof name, "%s", plot_colors[i].name);
    for (char *c = name; *c; c++) {
      if (*c == '-') *c = '_';
    }
    buf_printf(script, "c_%s = '#%06x'\n", name, plot_colors[i].light);
  }
  buf_puts(script,
           "set encoding utf8\n"
           "set border 3 lc rgb c_muted lw 1\n"
           "set tics nomirror out scale 0.5 textcolor rgb c_muted\n"
           "set grid ytics lc rgb c_grid lt 1 lw 1\n"
           "unset key\n"
           "set style fill solid 1.0 noborder\n");
}

void plot_margins(struct buf *script, const struct plot_frame *frame) {
  buf_printf(script,
             "set lmargin at screen %.5f\nset rmargin at screen %.5f\n"
             "set tmargin at screen %.5f\nset bmargin at screen %.5f\n",
             (double)frame->left / frame->width, (double)frame->right / frame->width,
             plot_screen_y(frame, frame->top), plot_screen_y(frame, frame->bottom));
}

double plot_screen_y(const struct plot_frame *frame, double y) {
  return 1.0 - y / (double)frame->height;
}

static void time_range(const struct series *series, double *ret_begin_s, double *ret_end_s) {
  *ret_begin_s = axis_seconds(&series->axis, 0);
  *ret_end_s = axis_seconds(&series->axis, series->axis.count);
}

void plot_time_axis(struct buf *script, const struct series *series, bool labelled) {
  double begin_s, end_s;
  time_range(series, &begin_s, &end_s);
  buf_printf(script, "set xrange [%.6f:%.6f]\n", begin_s, end_s);
  if (labelled) {
    buf_puts(script,
             "set format x '%g'\n"
             "set xlabel 'seconds since the run began' textcolor rgb c_muted offset 0,0.4\n");
  } else {
    buf_puts(script, "set format x ''\nunset xlabel\n");
  }
}

/* A label and not `set ylabel`, whose place depends on how wide the terminal thinks the tics
 * are. */
void plot_y_label(struct buf *script, const struct plot_frame *frame, const char *text) {
  buf_printf(script,
             "set label '%s' at screen %.5f, screen %.5f center rotate by 90 textcolor rgb "
             "c_muted\n",
             text, 14.0 / frame->width, plot_screen_y(frame, (frame->top + frame->bottom) / 2.0));
}

struct mark {
  double time_s;
  const char *text;
  const char *color;
};
struct marks {
  double begin_s, end_s;
  double row_end[MARK_ROWS]; /* pixel up to which a row is taken */
};

static double pixel_of(const struct marks *marks, const struct plot_frame *frame, double time_s) {
  return frame->left +
         (time_s - marks->begin_s) / (marks->end_s - marks->begin_s) * (frame->right - frame->left);
}

/* The highest row with room for `width` pixels at `x` that a line reaches without crossing a name
 * in a lower row; -1: none. So the names of phases close together go down like stairs. */
static int row_for(struct marks *marks, double x, double width) {
  int row = -1;
  while (row + 1 < MARK_ROWS && marks->row_end[row + 1] <= x) row++;
  if (row >= 0) marks->row_end[row] = x + width + CHARACTER_WIDTH;
  return row;
}

/* A line from the axis up to the row of its name. */
static void mark_draw(struct buf *script, struct marks *marks, const struct plot_frame *frame,
                      const struct mark *mark, bool named) {
  if (mark->time_s < marks->begin_s || mark->time_s > marks->end_s) return;
  double x = pixel_of(marks, frame, mark->time_s);
  double width = (double)escape_width(mark->text) * CHARACTER_WIDTH;
  bool left = x + 4 + width > frame->width; /* no room to the right: it ends at the line */
  int row = named ? row_for(marks, left ? x - width - 4 : x, width + 4) : -1;
  double y = row < 0 ? frame->top : (double)frame->top - 4 - row * ROW_HEIGHT;
  buf_printf(script,
             "set arrow from first %.6f, screen %.5f to first %.6f, screen %.5f nohead front "
             "lc rgb c_%s lw 1.5 dt (6,3)\n",
             mark->time_s, plot_screen_y(frame, frame->bottom), mark->time_s,
             plot_screen_y(frame, row < 0 ? y : y - 11), mark->color);
  if (row < 0) return;
  buf_puts(script, "set label ");
  escape_gnuplot(script, mark->text, 40);
  buf_printf(script, " at screen %.5f, screen %.5f %s textcolor rgb c_text front\n",
             (left ? x - 4 : x + 4) / frame->width, plot_screen_y(frame, y - 5),
             left ? "right" : "left");
}

/* The band, and above the rows of marks a bar with the fault's name. */
static void fault_draw(struct buf *script, const struct run_result *result, struct marks *marks,
                       const struct plot_frame *frame, uint32_t index, double *name_end) {
  const struct fault_info *fault = &result->info.faults[index];
  if (fault->confirmed_ns == TIME_NEVER) return;
  double begin_s = (double)fault->confirmed_ns / (double)NS_PER_S;
  double end_s =
      fault->healed_ns == TIME_NEVER ? marks->end_s : (double)fault->healed_ns / (double)NS_PER_S;
  if (end_s > marks->end_s) end_s = marks->end_s;
  if (begin_s >= end_s || end_s <= marks->begin_s) return;
  if (begin_s < marks->begin_s) begin_s = marks->begin_s;
  if (!fault->planned) {
    buf_printf(script,
               "set object rectangle from first %.6f, screen %.5f to first %.6f, screen %.5f "
               "fc rgb c_fault fs transparent solid 0.13 noborder behind\n",
               begin_s, plot_screen_y(frame, frame->top), end_s,
               plot_screen_y(frame, frame->bottom));
  }
  if (!name_end) return;
  double y = frame->top - 4 - MARK_ROWS * ROW_HEIGHT;
  buf_printf(script,
             "set object rectangle from first %.6f, screen %.5f to first %.6f, screen %.5f "
             "fc rgb c_fault fs solid 1 noborder front\n",
             begin_s, plot_screen_y(frame, y), end_s, plot_screen_y(frame, y - 4));
  char text[160];
  snprintf(text, sizeof text, "%.100s%s%.50s", facts_fault(result, (int32_t)index),
           fault->host == HOST_NONE ? "" : " on ",
           fault->host == HOST_NONE ? "" : facts_host(result, fault->host));
  double x = pixel_of(marks, frame, begin_s);
  double width = (double)(escape_width(text) < 60 ? escape_width(text) : 60) * CHARACTER_WIDTH;
  if (x + width > frame->width) x = frame->width - width;
  if (x < *name_end) return;
  *name_end = x + width + CHARACTER_WIDTH;
  buf_puts(script, "set label ");
  escape_gnuplot(script, text, 60);
  buf_printf(script, " at screen %.5f, screen %.5f left textcolor rgb c_fault front\n",
             x / frame->width, plot_screen_y(frame, y - 12));
}

void plot_faults(struct buf *script, const struct plot_input *in, const struct plot_frame *frame,
                 bool named) {
  static const char *const colors[PHASE_COUNT] = {
      [PHASE_DETECTED] = "detected",
      [PHASE_PROMOTED] = "promoted",
      [PHASE_WRITTEN] = "written",
      [PHASE_REDUNDANT] = "redundant",
  };
  const struct run_result *result = in->report->result;
  struct marks marks = {.begin_s = 0};
  time_range(in->series, &marks.begin_s, &marks.end_s);
  double name_end = 0;
  for (uint32_t i = 0; i < result->info.fault_count && i < FAULTS_DRAWN; i++) {
    fault_draw(script, result, &marks, frame, i, named ? &name_end : NULL);
    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
      uint64_t time_ns = facts_phase_ns(result, i, phase);
      if (time_ns == TIME_NEVER || !colors[phase]) continue;
      struct mark mark = {.time_s = (double)time_ns / (double)NS_PER_S,
                          .text = phase_table[phase].label,
                          .color = colors[phase]};
      mark_draw(script, &marks, frame, &mark, named);
    }
  }
}

void plot_seconds_axis(struct buf *script, double minimum_s, double maximum_s, bool logarithms) {
  int low = (int)floor(log10(fmax(minimum_s, 1e-9))),
      high = (int)ceil(log10(fmax(maximum_s, 1e-9)));
  if (high <= low) high = low + 1;
  if (logarithms) {
    buf_printf(script, "unset logscale y\nset yrange [%d:%d]\n", low, high);
  } else {
    buf_printf(script, "set logscale y 10\nset yrange [1e%d:1e%d]\n", low, high);
  }
  /* Every decade has its name while there is room for them. */
  int step = high - low > 8 ? 2 : 1;
  buf_puts(script, "set ytics (");
  for (int decade = low; decade <= high; decade += step) {
    static const char *const units[] = {"ns", "µs", "ms", "s"};
    int unit = decade >= 0 ? 3 : (decade + 9) / 3;
    assert(unit >= 0); /* nothing is shorter than a nanosecond */
    double number = pow(10.0, decade - (unit - 3) * 3);
    buf_printf(script, "%s'%.0f %s' ", decade == low ? "" : ", ", number, units[unit]);
    buf_printf(script, logarithms ? "%d" : "1e%d", decade);
  }
  buf_puts(script, ")\n");
}

void plot_legend(struct buf *script, const struct plot_frame *frame, const struct plot_key *keys,
                 size_t count) {
  static const double swatch = 16, gap = 22;
  double width = -gap, height = frame->height;
  for (size_t i = 0; i < count; i++) {
    width += swatch + 6 + (double)escape_width(keys[i].text) * CHARACTER_WIDTH + gap;
  }
  double x = fmax((PLOT_WIDTH - width) / 2, 4), y = height - 14;
  for (size_t i = 0; i < count; i++) {
    double half = keys[i].line ? 1.2 : 5;
    buf_printf(script,
               "set object rectangle from screen %.5f, screen %.5f to screen %.5f, screen %.5f fc "
               "rgb c_%s fs solid %s noborder front\nset label ",
               x / PLOT_WIDTH, 1 - (y + half) / height, (x + swatch) / PLOT_WIDTH,
               1 - (y - half) / height, keys[i].color, keys[i].line ? "1" : "0.8");
    x += swatch + 6;
    escape_gnuplot(script, keys[i].text, 40);
    buf_printf(script, " at screen %.5f, screen %.5f left textcolor rgb c_text front\n",
               x / PLOT_WIDTH, 1 - y / height);
    x += (double)escape_width(keys[i].text) * CHARACTER_WIDTH + gap;
  }
}

void plot_data_begin(struct buf *script, const char *name) {
  buf_printf(script, "$%s << END_OF_DATA\n", name);
}

void plot_data_end(struct buf *script) {
  buf_puts(script, "END_OF_DATA\n");
}

void plot_number(struct buf *script, double number) {
  if (isfinite(number)) {
    buf_printf(script, " %.9g", number);
  } else {
    buf_puts(script, " NaN");
  }
}

void plot_panel_end(struct buf *script) {
  buf_puts(script, "unset object\nunset label\nunset arrow\n");
}
