/* Runs gnuplot on the scripts of the plots. */
#include "report/plot.h"

#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"

#define PICTURE_BYTES_MAX (32u << 20)
#define DRAW_TIMEOUT_NS (60 * NS_PER_S)

const struct plot *const plots[] = {
    &plot_waterfall, &plot_timeline, &plot_latency, &plot_heatmap,
    &plot_lag,       &plot_connect,  &plot_repeats, NULL,
};

const struct plot_color_info plot_colors[COLOR_COUNT] = {
    [COLOR_TEXT] = {"text", 0x1f2933, 0xe4eaf0},
    [COLOR_MUTED] = {"muted", 0x566370, 0x9fadba},
    [COLOR_GRID] = {"grid", 0xdde3e9, 0x333d47},
    [COLOR_PAPER] = {"paper", 0xffffff, 0x161b21},
    [COLOR_OK] = {"ok", 0x009e73, 0x21a67e},
    [COLOR_LATE] = {"late", 0x9bd770, 0xa5d977},
    [COLOR_UNKNOWN] = {"unknown", 0xcc79a7, 0xd98bb6},
    [COLOR_FAIL] = {"fail", 0xd55e00, 0xe8741c},
    [COLOR_SKIPPED] = {"skipped", 0xa3adb8, 0x6c7884},
    [COLOR_FAULT] = {"fault", 0xa4343a, 0xf08080},
    [COLOR_DETECTED] = {"detected", 0x56b4e9, 0x6cc0ef},
    [COLOR_PROMOTED] = {"promoted", 0x0072b2, 0x3d9ad6},
    [COLOR_WRITTEN] = {"written", 0x00875f, 0x2cc295},
    [COLOR_REDUNDANT] = {"redundant", 0x6a4c93, 0xb197d9},
    [COLOR_HEAT] = {"heat", 0x2585c7, 0x2585c7},
    [COLOR_SERIES] = {"series-1", 0x0073b3, 0x4aa8e0},
    [COLOR_SERIES + 1] = {"series-2", 0xe69f00, 0xf0b030},
    [COLOR_SERIES + 2] = {"series-3", 0x009f74, 0x2dbd92},
    [COLOR_SERIES + 3] = {"series-4", 0xcc7aa8, 0xe09ac2},
    [COLOR_SERIES + 4] = {"series-5", 0x57b5ea, 0x85cdf5},
    [COLOR_SERIES + 5] = {"series-6", 0x7a5c2e, 0xc2a06a},
};

/* gnuplot reads no settings of the user (-d) and prints numbers with points. */
static const char *const gnuplot_env[] = {"LC_ALL=C.UTF-8", NULL};

static int gnuplot_has_pngcairo(struct plotter *plotter, struct error *err) {
  const char *const argv[] = {"gnuplot", "-d", "-e", "set terminal pngcairo", NULL};
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  struct process_spec spec = {.argv = argv,
                              .env_extra = gnuplot_env,
                              .cancel_fd = plotter->cancel_fd,
                              .timeout_ns = DRAW_TIMEOUT_NS};
  int status = process_run(&spec, &result, err);
  if (status != 0) return status;
  plotter->png_by_gnuplot = result.exit_code == 0;
  return 0;
}

int plotter_init(const char *report_directory, int cancel_fd, struct plotter *ret,
                 struct error *err) {
  struct plotter plotter = {.cancel_fd = cancel_fd};
  if (!process_exists("gnuplot")) {
    return error_set(err, STATUS_ENVIRONMENT,
                     "no pictures: gnuplot is missing (Debian, Ubuntu: apt-get install "
                     "gnuplot-nox)");
  }
  int status = gnuplot_has_pngcairo(&plotter, err);
  if (status == 0) status = staging_make(report_directory, &plotter.staging, err);
  if (status == 0) *ret = plotter;
  return status;
}

void plotter_release(struct plotter *plotter) {
  if (plotter) staging_remove(&plotter->staging);
}

/* The terminal's line. PNG is drawn at twice the size, for sharp text on any screen. */
static void terminal(struct buf *script, enum plot_format format, uint32_t height) {
  if (format == PLOT_SVG) {
    buf_printf(script,
               "set terminal svg size %d,%u dynamic noenhanced font 'sans-serif,12' "
               "name 'plot'\n",
               PLOT_WIDTH, height);
  } else {
    buf_printf(script,
               "set terminal pngcairo size %d,%u noenhanced font 'DejaVu Sans,9' fontscale 2 "
               "linewidth 2 pointscale 2 background rgb '#%06x'\n",
               2 * PLOT_WIDTH, 2 * height, plot_colors[COLOR_PAPER].light);
  }
}

static int run_in(const struct plotter *plotter, const char *const argv[], struct error *err) {
  struct process_spec spec = {.argv = argv,
                              .env_extra = gnuplot_env,
                              .directory = plotter->staging.directory,
                              .cancel_fd = plotter->cancel_fd,
                              .timeout_ns = DRAW_TIMEOUT_NS};
  return process_check(&spec, err);
}

static int run_gnuplot(const struct plotter *plotter, const char *name, const struct buf *commands,
                       uint32_t height, enum plot_format format, struct error *err) {
  CLEANUP(buf_release) struct buf script;
  buf_init(&script);
  terminal(&script, format, height);
  buf_printf(&script, "set output '%s.%s'\n", name, format == PLOT_SVG ? "svg" : "png");
  buf_add(&script, commands->data, commands->length);
  buf_puts(&script, "set output\n");
  char path[PATH_MAX], file[64];
  snprintf(file, sizeof file, "%s.gp", name);
  int status = buf_ok(&script, err);
  if (status == 0)
    status = path_format(path, sizeof path, err, "%s/%s", plotter->staging.directory, file);
  if (status == 0) status = file_write(path, script.data, script.length, 0644, err);
  const char *const argv[] = {"gnuplot", "-d", file, NULL};
  return status == 0 ? run_in(plotter, argv, err) : status;
}

/* For a gnuplot without pngcairo. */
static int svg_to_png(const struct plotter *plotter, const char *name, struct error *err) {
  char from[64], to[64], width[16];
  snprintf(from, sizeof from, "%s.svg", name);
  snprintf(to, sizeof to, "%s.png", name);
  snprintf(width, sizeof width, "%d", 2 * PLOT_WIDTH);
  const char *const argv[] = {
      "rsvg-convert", "--background-color", "white", "--width", width, "--output", to, from, NULL};
  if (!process_exists(argv[0])) {
    return error_set(err, STATUS_ENVIRONMENT,
                     "gnuplot has no terminal pngcairo, and rsvg-convert is missing (Debian, "
                     "Ubuntu: apt-get install librsvg2-bin)");
  }
  return run_in(plotter, argv, err);
}

int plot_draw_script(const struct plotter *plotter, const char *name, const struct buf *commands,
                     uint32_t height, enum plot_format format, struct buf *ret_picture,
                     struct error *err) {
  bool convert = format == PLOT_PNG && !plotter->png_by_gnuplot;
  int status = buf_ok(commands, err);
  if (status == 0)
    status = run_gnuplot(plotter, name, commands, height, convert ? PLOT_SVG : format, err);
  if (status == 0 && convert) status = svg_to_png(plotter, name, err);
  char path[PATH_MAX];
  if (status == 0) {
    status = path_format(path, sizeof path, err, "%s/%s.%s", plotter->staging.directory, name,
                         format == PLOT_SVG ? "svg" : "png");
  }
  if (status == 0) status = file_read(path, PICTURE_BYTES_MAX, ret_picture, err);
  return status == 0 ? 0 : error_wrap(err, "cannot draw %s", name);
}

int plot_draw(const struct plotter *plotter, const struct plot *plot, const struct plot_input *in,
              uint32_t height, enum plot_format format, struct buf *ret_picture,
              struct error *err) {
  CLEANUP(buf_release) struct buf commands;
  buf_init(&commands);
  plot->script(in, height, &commands);
  return plot_draw_script(plotter, plot->name, &commands, height, format, ret_picture, err);
}
