/* The picture of a sweep: failover time, recovery point and shares of runs against the parameter.
 * Numbers are drawn as curves with a band, a choice as one bar a value. */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "report/escape.h"
#include "report/format.h"
#include "report/output.h"
#include "report/plot_parts.h"
#include "report/prediction.h"

#define TOP 40
#define PANEL_HEIGHT 190
#define PANEL_GAP 34
#define FOOT 96
#define PANELS 3
#define HEIGHT (TOP + PANELS * (PANEL_HEIGHT + PANEL_GAP) - PANEL_GAP + FOOT)
/* A bound so far above everything measured is named, not drawn: the curves would lie flat. */
#define BOUND_FAR 4.0
/* So many points have room for a word each. */
#define UNKNOWN_WORDS_MAX 10

struct canvas {
  const struct prediction *prediction;
  struct buf *script;
  bool bars;    /* one bar a value instead of curves */
  double scale; /* of the parameter's numbers */
  const char *x_unit;
  double low, high; /* of the upright axes' foot: the parameter, with room at both ends */
  double half;      /* half the room of one value */
};

/* --- the parameter's axis -------------------------------------------------------------------- */

static double x_of(const struct canvas *canvas, uint32_t index) {
  if (!canvas->prediction->numeric) return index + 1;
  return canvas->prediction->points[index].number * canvas->scale;
}

static double largest_number(const struct prediction *prediction) {
  double largest = 0;
  for (uint32_t i = 0; i < prediction->point_count; i++)
    largest = fmax(largest, fabs(prediction->points[i].number));
  return largest;
}

/* The unit in which the numbers are easy to read. */
static void choose_scale(struct canvas *canvas) {
  double largest = largest_number(canvas->prediction);
  canvas->scale = 1;
  canvas->x_unit = "";
  if (!canvas->prediction->numeric) return;
  switch (canvas->prediction->unit) {
    case UNIT_DURATION:
      canvas->scale = largest < 1 ? 1e3 : 1;
      canvas->x_unit = largest < 1 ? ", milliseconds" : ", seconds";
      break;
    case UNIT_SIZE:
      canvas->scale = largest < 0x1p20 ? 0x1p-10 : largest < 0x1p30 ? 0x1p-20 : 0x1p-30;
      canvas->x_unit = largest < 0x1p20 ? ", KiB" : largest < 0x1p30 ? ", MiB" : ", GiB";
      break;
    case UNIT_RATE: canvas->x_unit = ", a second"; break;
    case UNIT_RATIO:
      canvas->scale = 100;
      canvas->x_unit = ", %";
      break;
    case UNIT_NONE:
    case UNIT_COUNT: break;
  }
}

static void lay_out(struct canvas *canvas) {
  const struct prediction *prediction = canvas->prediction;
  uint32_t live = 0, last = prediction->point_count - 1;
  for (uint32_t i = 0; i <= last; i++) live += prediction->points[i].refused == NULL;
  choose_scale(canvas);
  canvas->bars = !prediction->numeric || live < 2;
  double span = x_of(canvas, last) - x_of(canvas, 0), nearest = last > 0 ? span : 1;
  for (uint32_t i = 0; i < last; i++)
    nearest = fmin(nearest, x_of(canvas, i + 1) - x_of(canvas, i));
  canvas->half = nearest > 0 ? nearest / 2 : 0.5;
  double room = canvas->bars ? canvas->half * 1.2 : fmax(span * 0.03, canvas->half * 0.5);
  canvas->low = x_of(canvas, 0) - room;
  canvas->high = x_of(canvas, last) + room;
}

static void x_axis(const struct canvas *canvas, bool labelled) {
  const struct prediction *prediction = canvas->prediction;
  struct buf *script = canvas->script;
  buf_printf(script, "set xrange [%.9g:%.9g]\n", canvas->low, canvas->high);
  if (!labelled) {
    buf_puts(script, "set format x ''\nunset xlabel\n");
    if (prediction->numeric) return;
  }
  if (!prediction->numeric) {
    buf_puts(script, "set xtics (");
    for (uint32_t i = 0; i < prediction->point_count; i++) {
      buf_puts(script, i > 0 ? ", " : "");
      escape_gnuplot(script, labelled ? prediction->points[i].value : "", 24);
      buf_printf(script, " %u", i + 1);
    }
    buf_puts(script, ")\n");
  } else {
    buf_puts(script, "set format x '%g'\n");
  }
  if (!labelled) return;
  char label[200];
  snprintf(label, sizeof label, "%.160s%s", prediction->parameter, canvas->x_unit);
  buf_puts(script, "set xlabel ");
  escape_gnuplot(script, label, 110);
  buf_puts(script, " textcolor rgb c_muted offset 0,0.2\n");
}

/* Where the scenario was refused nothing is drawn, and a grey field says why. */
static void refusals(const struct canvas *canvas, const struct plot_frame *frame, bool named) {
  const struct prediction *prediction = canvas->prediction;
  bool told = !named;
  for (uint32_t i = 0; i < prediction->point_count; i++) {
    if (!prediction->points[i].refused) continue;
    double from = fmax(x_of(canvas, i) - canvas->half, canvas->low);
    double to = fmin(x_of(canvas, i) + canvas->half, canvas->high);
    buf_printf(canvas->script,
               "set object rectangle from first %.9g, graph 0 to first %.9g, graph 1 fc rgb "
               "c_grid fs solid 0.6 noborder behind\n",
               from, to);
    if (told) continue;
    told = true;
    buf_printf(canvas->script,
               "set label 'refused' at first %.9g, screen %.5f left offset 0.6,0 textcolor rgb "
               "c_muted front\n",
               from, plot_screen_y(frame, frame->bottom - 14));
  }
}

/* --- panels of a value ----------------------------------------------------------------------- */

struct panel {
  const char *measure, *title, *data;
  const char *beside; /* a measure of which the largest is drawn, too; NULL: none */
  double scale, top;  /* of the upright axis: from measured seconds, and its upper end */
  bool any;           /* something was measured at some point */
};

static const struct distribution *known_values(const struct prediction_point *point,
                                               const char *measure) {
  const struct predicted_value *value = measure ? prediction_value(point, measure) : NULL;
  return value && value->distribution.known > 0 ? &value->distribution : NULL;
}

/* Columns: x, smallest, median, p95, largest, largest of what is beside it. A point without values
 * ends the curve. */
static void value_data(const struct canvas *canvas, struct panel *panel) {
  const struct prediction *prediction = canvas->prediction;
  double largest = 0;
  for (uint32_t i = 0; i < prediction->point_count; i++) {
    const struct distribution *of = known_values(&prediction->points[i], panel->measure);
    const struct distribution *beside = known_values(&prediction->points[i], panel->beside);
    panel->any = panel->any || of;
    if (of) largest = fmax(largest, of->maximum);
    if (beside) largest = fmax(largest, beside->maximum);
  }
  panel->scale = largest < 1 ? 1e3 : 1;
  panel->top = largest > 0 ? largest * panel->scale : 1;
  plot_data_begin(canvas->script, panel->data);
  for (uint32_t i = 0; i < prediction->point_count; i++) {
    const struct distribution *of = known_values(&prediction->points[i], panel->measure);
    const struct distribution *beside = known_values(&prediction->points[i], panel->beside);
    if (of) {
      const double columns[] = {of->minimum, of->median, of->p95, of->maximum,
                                beside ? beside->maximum : NAN};
      plot_number(canvas->script, x_of(canvas, i));
      for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
        plot_number(canvas->script, columns[c] * panel->scale);
    }
    buf_putc(canvas->script, '\n');
  }
  plot_data_end(canvas->script);
}

/* The bound of the objective at each point, where it is the same at all of them; NAN: no bound, or
 * several. */
static double bound_of(const struct prediction *prediction, const char *name) {
  double bound = NAN;
  for (uint32_t i = 0; i < prediction->point_count; i++) {
    const struct prediction_point *point = &prediction->points[i];
    const struct predicted_objective *objective = prediction_objective(point, name);
    if (point->refused) continue;
    if (!objective || objective->at_least) return NAN;
    if (!isnan(bound) && bound != objective->bound_value) return NAN;
    bound = objective->bound_value;
  }
  return bound;
}

static void bound_line(const struct canvas *canvas, struct panel *panel) {
  double seconds = bound_of(canvas->prediction, panel->measure), bound = seconds * panel->scale;
  bool far = bound > panel->top * BOUND_FAR;
  char text[FORMAT_SIZE], name[96];
  if (isnan(bound)) return;
  format_seconds(seconds, text);
  snprintf(name, sizeof name, "objective: at most %s%s", text, far ? ", far above" : "");
  if (far) {
    buf_puts(canvas->script, "set label ");
    escape_gnuplot(canvas->script, name, 60);
    buf_puts(canvas->script, " at graph 0.995, graph 0.93 right textcolor rgb c_fail front\n");
    return;
  }
  panel->top = fmax(panel->top, bound);
  buf_printf(canvas->script,
             "set arrow from graph 0, first %.9g to graph 1, first %.9g nohead front lc rgb c_fail "
             "lw 1.5 dt (6,3)\nset label ",
             bound, bound);
  escape_gnuplot(canvas->script, name, 60);
  buf_printf(canvas->script,
             " at graph 0.995, first %.9g right offset 0,0.55 textcolor rgb c_fail front\n", bound);
}

/* How many runs the curves do not tell of: a gap is not a nought. */
static void unknowns(const struct canvas *canvas, const struct panel *panel) {
  const struct prediction *prediction = canvas->prediction;
  for (uint32_t i = 0; i < prediction->point_count; i++) {
    const struct predicted_value *value = prediction_value(&prediction->points[i], panel->measure);
    if (!value || value->distribution.unknown == 0) continue;
    buf_printf(canvas->script, "set label '%u%s' at first %.9g, graph 0.07 center ",
               value->distribution.unknown,
               prediction->point_count > UNKNOWN_WORDS_MAX ? " ?" : " unknown", x_of(canvas, i));
    buf_puts(canvas->script, "textcolor rgb c_unknown front\n");
  }
}

static void value_curves(const struct canvas *canvas, const struct panel *panel) {
  if (canvas->bars)
    buf_printf(canvas->script,
               "plot $%s using 1:3:($1-%.9g):($1+%.9g):2:5 with boxxyerror fc rgb c_series_1 fs "
               "transparent solid 0.22 noborder notitle, "
               "$%s using 1:3 with points pt 7 ps 1 lc rgb c_series_1 notitle, "
               "$%s using 1:4 with points pt 9 ps 1.1 lc rgb c_series_2 notitle",
               panel->data, canvas->half * 0.4, canvas->half * 0.4, panel->data, panel->data);
  else
    buf_printf(canvas->script,
               "plot $%s using 1:2:5 with filledcurves fc rgb c_series_1 fs transparent solid "
               "0.18 noborder notitle, "
               "$%s using 1:4 with linespoints lc rgb c_series_2 lw 2 pt 7 ps 0.5 notitle, "
               "$%s using 1:3 with linespoints lc rgb c_series_1 lw 2.5 pt 7 ps 0.6 notitle",
               panel->data, panel->data, panel->data);
  if (panel->beside)
    buf_printf(canvas->script, ", $%s using 1:6 with %s lc rgb c_series_3 pt 5 ps 0.6 notitle",
               panel->data, canvas->bars ? "points" : "linespoints lw 1.8");
  buf_putc(canvas->script, '\n');
}

static void value_panel(const struct canvas *canvas, const struct plot_frame *frame,
                        struct panel *panel, bool first) {
  char label[96];
  snprintf(label, sizeof label, "%s, %s", panel->title, panel->scale > 1 ? "ms" : "seconds");
  plot_margins(canvas->script, frame);
  x_axis(canvas, false);
  refusals(canvas, frame, first);
  bound_line(canvas, panel);
  unknowns(canvas, panel);
  plot_y_label(canvas->script, frame, label);
  buf_printf(canvas->script, "set format y '%%g'\nset ytics autofreq\nset yrange [0:%.9g]\n",
             panel->top * 1.14);
  if (panel->any) {
    value_curves(canvas, panel);
  } else {
    buf_puts(canvas->script,
             "set label 'it was measured in no run' at graph 0.5, graph 0.5 center textcolor rgb "
             "c_muted\nplot NaN notitle\n");
  }
  plot_panel_end(canvas->script);
}

/* --- the panel of shares --------------------------------------------------------------------- */

/* Columns: x, then share, low and high in percent, of what is missed and of what is lost. */
static void share_data(const struct canvas *canvas) {
  const struct prediction *prediction = canvas->prediction;
  plot_data_begin(canvas->script, "shares");
  for (uint32_t i = 0; i < prediction->point_count; i++) {
    const struct prediction_point *point = &prediction->points[i];
    const struct share *const shares[] = {&point->missed_share, &point->lost_share};
    if (!point->refused) plot_number(canvas->script, x_of(canvas, i));
    for (size_t s = 0; s < 2 && !point->refused; s++) {
      bool any = shares[s]->of > 0;
      plot_number(canvas->script, any ? 100.0 * shares[s]->count / shares[s]->of : NAN);
      plot_number(canvas->script, any ? 100 * shares[s]->low : NAN);
      plot_number(canvas->script, any ? 100 * shares[s]->high : NAN);
    }
    buf_putc(canvas->script, '\n');
  }
  plot_data_end(canvas->script);
}

/* Neither hides the other: beside each other where the values are words; at the very number, the
 * one small upon the other, where they are numbers. */
static void share_panel(const struct canvas *canvas, const struct plot_frame *frame) {
  double shift = canvas->bars ? canvas->half * 0.15 : 0;
  const char *style = canvas->bars ? "yerrorbars" : "yerrorlines";
  plot_margins(canvas->script, frame);
  x_axis(canvas, true);
  refusals(canvas, frame, false);
  plot_y_label(canvas->script, frame, "runs, % (with 95 % interval)");
  buf_printf(canvas->script,
             "set format y '%%g'\nset yrange [-3:103]\nset ytics 0,25,100\nset bars 0.5\n"
             "plot $shares using ($1-%.9g):2:3:4 with %s lc rgb c_fail lw %g pt 7 ps %g notitle, "
             "$shares using ($1+%.9g):5:6:7 with %s lc rgb c_redundant lw 1.8 pt 5 ps %g notitle\n",
             shift, style, canvas->bars ? 1.8 : 3.6, canvas->bars ? 0.6 : 1.1, shift, style,
             canvas->bars ? 0.6 : 0.5);
  plot_panel_end(canvas->script);
}

static void legend(const struct canvas *canvas, const struct plot_frame *frame) {
  const struct plot_key keys[] = {
      {.color = "series_1", .text = "smallest to largest"},
      {.color = "series_1", .text = "median", .line = true},
      {.color = "series_2", .text = "p95", .line = true},
      {.color = "series_3", .text = "largest loss window", .line = true},
      {.color = "fail", .text = "runs that miss an objective", .line = true},
      {.color = "redundant", .text = "runs that lose writes", .line = true},
  };
  plot_legend(canvas->script, frame, keys, sizeof keys / sizeof *keys);
}

static void title(const struct canvas *canvas, const struct plot_frame *frame) {
  const struct prediction *prediction = canvas->prediction;
  char text[200];
  snprintf(text, sizeof text, "%.100s, simulated: %u runs a value", prediction->scenario,
           prediction->seeds);
  buf_puts(canvas->script, "set label ");
  escape_gnuplot(canvas->script, text, 110);
  buf_printf(canvas->script, " at screen %.5f, screen %.5f left textcolor rgb c_text\n",
             (double)frame->left / frame->width, plot_screen_y(frame, 14));
}

static void draw_script(const struct prediction *prediction, struct buf *script) {
  struct canvas canvas = {.prediction = prediction, .script = script};
  struct panel panels[] = {
      {.measure = "failover_time", .title = "failover time", .data = "failover"},
      {.measure = "recovery_point",
       .title = "recovery point",
       .data = "loss",
       .beside = "loss_window"},
  };
  lay_out(&canvas);
  plot_style(script);
  for (size_t i = 0; i < PANELS - 1; i++) value_data(&canvas, &panels[i]);
  share_data(&canvas);
  buf_puts(script, "set multiplot\n");
  uint32_t top = TOP;
  for (size_t i = 0; i < PANELS; i++) {
    struct plot_frame frame = plot_frame_panel(HEIGHT, top, top + PANEL_HEIGHT);
    if (i == 0) title(&canvas, &frame);
    if (i == PANELS - 1) {
      legend(&canvas, &frame);
      share_panel(&canvas, &frame);
    } else {
      value_panel(&canvas, &frame, &panels[i], i == 0);
    }
    top += PANEL_HEIGHT + PANEL_GAP;
  }
  buf_puts(script, "unset multiplot\n");
}

static const struct {
  enum plot_format format;
  const char *name;
} files[] = {{PLOT_SVG, PREDICTION_PLOT ".svg"}, {PLOT_PNG, PREDICTION_PLOT ".png"}};

int prediction_remove_pictures(const char *directory, struct error *err) {
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[PATH_MAX];
    int status = path_format(path, sizeof path, err, "%s/%s", directory, files[i].name);
    if (status < 0) return status;
    if (unlink(path) != 0 && errno != ENOENT)
      return error_set_errno(err, errno, "cannot remove %s", path);
  }
  return 0;
}

int prediction_draw(const struct prediction *prediction, const char *directory, int cancel_fd,
                    struct error *err) {
  CLEANUP(plotter_release) struct plotter plotter = {.png_by_gnuplot = false};
  CLEANUP(buf_release) struct buf script;
  buf_init(&script);
  draw_script(prediction, &script);
  int status = plotter_init(directory, cancel_fd, &plotter, err);
  for (size_t i = 0; i < sizeof files / sizeof *files && status == 0; i++) {
    CLEANUP(buf_release) struct buf picture;
    buf_init(&picture);
    status = plot_draw_script(&plotter, PREDICTION_PLOT, &script, HEIGHT, files[i].format, &picture,
                              err);
    if (status == 0) status = output_put(directory, files[i].name, &picture, err);
  }
  return status;
}
