/* Writer `plots`: each picture as a PNG file beside the page. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "report/output.h"
#include "report/plot.h"
#include "report/writers.h"

/* What cannot be drawn this time must not be taken for a picture of this judging. */
static int plots_remove(const char *directory, struct error *err) {
  for (size_t i = 0; plots[i]; i++) {
    char path[PATH_MAX];
    int status = path_format(path, sizeof path, err, "%s/%s.png", directory, plots[i]->name);
    if (status != 0) return status;
    if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
      return error_set_errno(err, errno, "cannot remove %s", path);
  }
  return 0;
}

static int plots_write(const struct report_input *input, struct error *err) {
  CLEANUP(plotter_release) struct plotter plotter = {.png_by_gnuplot = false};
  CLEANUP(series_release) struct series series = {.warning_count = 0};
  int status = plots_remove(output_directory(input), err);
  if (status == 0) status = plotter_init(output_directory(input), input->cancel_fd, &plotter, err);
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
    if (status == STATUS_MEMORY) return status;
    if (status != 0 && err) err->status = STATUS_ENVIRONMENT; /* as where the page is written */
    if (status != 0) return STATUS_ENVIRONMENT;
    status = output_write(input, name, &picture, err);
  }
  return status;
}

const struct report report_plots = {
    .plugin = {.name = "plots", .summary = "Each picture of the page as a PNG file"},
    .file = "timeline.png",
    .write = plots_write,
    .remove = plots_remove,
};
