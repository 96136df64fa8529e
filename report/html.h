/* The pieces of report.html. Each appends one section to page->out; a section with nothing to say
 * appends nothing, or says so. */
#ifndef GAMEDAY_REPORT_HTML_H
#define GAMEDAY_REPORT_HTML_H

#include "base/buf.h"
#include "report/facts.h"
#include "report/plot.h"
#include "report/series.h"

struct html_page {
  const struct report_input *input;
  const struct run_result *result;
  const struct series *series;
  const struct plotter *plotter; /* NULL: no pictures, because of `plot_problem` */
  struct error plot_problem;     /* the first reason why a picture is missing */
  struct buf *out;
  const char *const *columns; /* of the open table */
  uint32_t column;            /* of these, the next cell's */
};

extern const char html_style[]; /* CSS but for the colours */
/* The colours of the plots and of the page as CSS variables, light and dark. */
void html_colors(struct buf *out);

/* Everything up to <body>; the title is "WORD: TITLE (gameday)". */
void html_head(struct html_page *page, const char *word, const char *title);

/* --- small parts; text is escaped --- */
void html_text(struct html_page *page, const char *text);
/* <section> with its heading; and its end. */
void html_section(struct html_page *page, const char *id, const char *title);
void html_section_end(struct html_page *page);
/* A table with these columns (NULL-terminated; one that begins with '>' holds numbers). Borrowed
 * until its end. */
void html_table(struct html_page *page, const char *const columns[]);
void html_table_end(struct html_page *page);
void html_row(struct html_page *page);
void html_row_end(struct html_page *page);
void html_cell(struct html_page *page, const char *text);
/* A cell's begin, for one that holds more than a text; the caller writes </td>. `class` "": none.
 */
void html_cell_begin(struct html_page *page, const char *class);
void html_number(struct html_page *page, const char *text);
void html_count(struct html_page *page, uint64_t count);
void html_seconds(struct html_page *page, double seconds);
void html_moment(struct html_page *page, uint64_t time_ns);
void html_verdict(struct html_page *page, enum verdict verdict); /* a cell */
void html_verdict_word(struct html_page *page, enum verdict verdict);
/* A cell: the value, or in grey why there is none. */
void html_measure(struct html_page *page, const struct measure *measure);
void html_note(struct html_page *page, const char *text);
/* A picture with its caption, or why it is missing. Never fails: a plot that cannot be drawn leaves
 * its reason in the page and in page->plot_problem. */
void html_plot(struct html_page *page, const struct plot *plot);

/* --- sections, in the order of the page --- */
void html_banner(struct html_page *page);
void html_objectives(struct html_page *page);
void html_repeats(struct html_page *page);
void html_faults(struct html_page *page);
void html_load(struct html_page *page);
void html_latency(struct html_page *page);
void html_lag(struct html_page *page);
void html_outages(struct html_page *page);
void html_data(struct html_page *page);
void html_connect(struct html_page *page);
void html_checks(struct html_page *page);
void html_settings(struct html_page *page);
void html_reproduce(struct html_page *page);

#endif
