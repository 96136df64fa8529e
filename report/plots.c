/* Writer `plots`: each picture as a PNG file beside the page. */
#include <stdio.h>

#include "base/cleanup.h"
#include "report/output.h"
#include "report/plot.h"
#include "report/writers.h"

static int plots_write(const struct report_input *input, struct error *err) {
  CLEANUP(plotter_release) struct plotter plotter = {.png_by_gnuplot = false};
  CLEANUP(series_release) struct series series = {.warning_count = 0};
  int status = plotter_init(input, &plotter, err);
  if (status == 0) status = series_build(input, &series, err);
  struct plot_input in = {.report = input, .series = &series};
  for (size_t i = 0; status == 0 && plots[i]; i++) {
    const char *why = NULL;
    uint32_t height = plots[i]->height(&in, &why);
    if (height == 0) continue;
    CLEANUP(buf_release) struct buf picture;
    buf_init(&picture);
    char name[64];
    snprintf(name, sizeof name, "%s.png", plots[i]->name);
    status = plot_draw(&plotter, plots[i], &in, height, PLOT_PNG, &picture, err);
    if (status == 0) status = output_write(input, name, &picture, err);
  }
  return status;
}

const struct report report_plots = {
    .plugin = {.name = "plots", .summary = "Each picture of the page as a PNG file"},
    .file = "timeline.png",
    .write = plots_write,
};
