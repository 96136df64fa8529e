/* Writer `html`: report.html, one file that needs nothing else: what a reader asks first stands
 * first. Without gnuplot it has its tables, and says which pictures are missing and why. */
#include "report/html.h"

#include "base/cleanup.h"
#include "report/output.h"
#include "report/writers.h"

void html_head(struct html_page *page, const char *word, const char *title) {
  /* A policy of its own: even if something slipped through the escaping, nothing runs or loads. */
  buf_puts(page->out,
           "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
           "style-src 'unsafe-inline'; img-src data:\">\n"
           "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
           "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
  buf_printf(page->out, "%s: ", word);
  html_text(page, title);
  buf_puts(page->out, " (gameday)</title>\n<style>\n");
  html_colors(page->out);
  buf_puts(page->out, html_style);
  buf_puts(page->out, "</style>\n</head>\n<body>\n");
}

static void page_write(struct html_page *page) {
  html_head(page, verdict_name(page->result->verdict), page->result->scenario);
  html_banner(page);
  buf_puts(page->out, "<main>\n");
  html_objectives(page);
  html_repeats(page);
  html_faults(page);
  html_load(page);
  html_latency(page);
  html_lag(page);
  html_outages(page);
  html_data(page);
  html_connect(page);
  html_checks(page);
  html_settings(page);
  html_reproduce(page);
  buf_puts(page->out,
           "</main>\n<footer>Times without a date are seconds since the run began, on "
           "one monotonic clock. The same as data: result.json.</footer>\n"
           "</body>\n</html>\n");
}

static int html_write(const struct report_input *input, struct error *err) {
  CLEANUP(plotter_release) struct plotter plotter = {.png_by_gnuplot = false};
  CLEANUP(series_release) struct series series = {.warning_count = 0};
  CLEANUP(buf_release) struct buf out;
  buf_init(&out);
  int status = series_build(input, &series, err);
  if (status != 0) return status;
  struct html_page page = {.input = input,
                           .result = input->result,
                           .series = &series,
                           .plot_problem = ERROR_INIT,
                           .out = &out};
  if (plotter_init(output_directory(input), input->cancel_fd, &plotter, &page.plot_problem) == 0)
    page.plotter = &plotter;
  page_write(&page);
  status = output_write(input, report_html.file, &out, err);
  if (status != 0 || page.plot_problem.status == STATUS_OK) return status;
  /* The page is there; the caller warns. */
  return error_set(err, STATUS_ENVIRONMENT, "report.html has not all pictures: %s",
                   page.plot_problem.message);
}

const struct report report_html = {
    .plugin = {.name = "html", .summary = "Everything on one self-contained page, with pictures"},
    .file = "report.html",
    .write = html_write,
};
