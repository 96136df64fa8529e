/* Pictures, drawn by gnuplot from scripts that carry their data. A plot is one file that ends
 * in one descriptor, and a row in plot.c. Colours come from one table with a light and a dark
 * value; an SVG for the HTML page refers to them by name, so that it follows the reader's
 * colour scheme. */
#ifndef GAMEDAY_REPORT_PLOT_H
#define GAMEDAY_REPORT_PLOT_H

#include "base/buf.h"
#include "gameday/report.h"
#include "report/series.h"
#include "report/staging.h"

#define PLOT_WIDTH 960 /* pixels, as everything that follows */

enum plot_color {
  COLOR_TEXT,
  COLOR_MUTED,
  COLOR_GRID,
  COLOR_PAPER,
  COLOR_OK,
  COLOR_LATE,
  COLOR_UNKNOWN,
  COLOR_FAIL,
  COLOR_SKIPPED,
  COLOR_FAULT,
  COLOR_DETECTED,
  COLOR_PROMOTED,
  COLOR_WRITTEN,
  COLOR_REDUNDANT,
  COLOR_HEAT,   /* the same in light and dark: cells of a heat map are part of an image */
  COLOR_SERIES, /* the first of COLOR_SERIES_COUNT */
  COLOR_SERIES_LAST = COLOR_SERIES + 5,
  COLOR_COUNT
};
#define COLOR_SERIES_COUNT (COLOR_SERIES_LAST - COLOR_SERIES + 1)
struct plot_color_info {
  const char *name;     /* of the CSS variable, without its dashes */
  unsigned light, dark; /* 0xrrggbb; no two light ones are equal */
};
/* After Okabe and Ito's palette for all kinds of colour vision:
 * https://jfly.uni-koeln.de/color/ */
extern const struct plot_color_info plot_colors[COLOR_COUNT];

struct plot_input {
  const struct report_input *report;
  const struct series *series;
};

struct plot {
  const char *name;    /* of the PNG, without .png */
  const char *title;   /* heading in the page */
  const char *caption; /* how to read it */
  /* The picture's height, or 0 when there is nothing to draw; then `ret_why` (static) says why. */
  uint32_t (*height)(const struct plot_input *in, const char **ret_why);
  /* Appends the gnuplot commands that follow the choice of terminal. */
  void (*script)(const struct plot_input *in, uint32_t height, struct buf *script);
};

extern const struct plot plot_waterfall, plot_timeline, plot_latency, plot_heatmap, plot_lag,
    plot_connect, plot_repeats;
extern const struct plot *const plots[]; /* NULL-terminated, in the order of the page */

enum plot_format { PLOT_SVG, PLOT_PNG };

/* A place to draw: a directory of its own inside the one where reports go. */
struct plotter {
  struct staging staging;
  int cancel_fd;       /* as in struct process_spec */
  bool png_by_gnuplot; /* has the terminal pngcairo; else rsvg-convert makes PNG of SVG */
};
/* STATUS_ENVIRONMENT: gnuplot is missing, and the message says how to get it. Once `cancel_fd` (0:
 * none) is readable, drawing fails with STATUS_INTERRUPTED. */
int plotter_init(const char *report_directory, int cancel_fd, struct plotter *ret,
                 struct error *err);
void plotter_release(struct plotter *plotter); /* removes the directory; zeroed is fine */

/* Draws one plot and appends the picture's bytes. `height` as plot->height() gave it. */
int plot_draw(const struct plotter *plotter, const struct plot *plot, const struct plot_input *in,
              uint32_t height, enum plot_format format, struct buf *ret_picture, struct error *err);

/* The same from the commands that follow the choice of terminal. `name` is one of a file. */
int plot_draw_script(const struct plotter *plotter, const char *name, const struct buf *commands,
                     uint32_t height, enum plot_format format, struct buf *ret_picture,
                     struct error *err);

/* Appends an SVG of gnuplot's made fit for a page that holds several: no prologue, its ids begin
 * with `name`, colours are CSS variables, and a label for readers that do not see it.
 * STATUS_INTERNAL when it is no SVG. */
int plot_svg_embed(const char *svg, const char *name, const char *label, struct buf *out,
                   struct error *err);

#endif
