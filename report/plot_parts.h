/* Pieces of gnuplot scripts that several plots share. All append to `script`. */
#ifndef GAMEDAY_REPORT_PLOT_PARTS_H
#define GAMEDAY_REPORT_PLOT_PARTS_H

#include "report/plot.h"

/* The drawing area in pixels of the canvas, from its top left corner. */
struct plot_frame {
  uint32_t width, height; /* of the canvas */
  uint32_t left, right;   /* x of the area's sides */
  uint32_t top, bottom;   /* y of its upper and lower side */
};
/* A panel of the width that all plots over time have, so that they stand one below the other. */
struct plot_frame plot_frame_panel(uint32_t canvas_height, uint32_t top, uint32_t bottom);

/* The names c_text, c_fail ... for colours, and borders, tics and grid in them. Once a script. */
void plot_style(struct buf *script);
/* The margins of a panel. */
void plot_margins(struct buf *script, const struct plot_frame *frame);
/* y of a pixel row in gnuplot's screen coordinates. */
double plot_screen_y(const struct plot_frame *frame, double y);

/* The axis of time: range, and on the last panel its label. */
void plot_time_axis(struct buf *script, const struct series *series, bool labelled);
/* Names the upright axis, in the middle of the panel's height. */
void plot_y_label(struct buf *script, const struct plot_frame *frame, const char *text);
/* What stands above a plot over time: PLOT_MARKS_HEIGHT pixels for names of faults and phases. */
#define PLOT_MARKS_HEIGHT 76
/* Shades the faults from confirmed to healed and draws a line at each phase; with `named`, their
 * names above the panel, as many as have room. */
void plot_faults(struct buf *script, const struct plot_input *in, const struct plot_frame *frame,
                 bool named);

/* Tics of a logarithmic axis of seconds ("10 ms"), and the range of whole decades around the
 * values. `logarithms`: the axis holds log10 of the seconds on a linear axis. */
void plot_seconds_axis(struct buf *script, double minimum_s, double maximum_s, bool logarithms);
/* One row at the foot of the canvas that tells what colours mean. Text is escaped. Laid out here
 * and not by `set key`, which breaks its row differently on each terminal. */
struct plot_key {
  const char *color; /* as in plot_colors, with '_' for '-' */
  const char *text;
  bool line; /* a line rather than an area */
};
void plot_legend(struct buf *script, const struct plot_frame *frame, const struct plot_key *keys,
                 size_t count);
/* Begins and ends a data block `$name`. */
void plot_data_begin(struct buf *script, const char *name);
void plot_data_end(struct buf *script);
/* " <number>", or " NaN". */
void plot_number(struct buf *script, double number);
/* Removes objects, labels and arrows before the next panel. */
void plot_panel_end(struct buf *script);

#endif
