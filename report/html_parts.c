/* Small parts of the HTML page: tables, cells, pictures. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/html.h"

void html_text(struct html_page *page, const char *text) {
  escape_html(page->out, text);
}

void html_section(struct html_page *page, const char *id, const char *title) {
  buf_printf(page->out, "<section id=\"%s\">\n<h2>%s</h2>\n", id, title);
}

void html_section_end(struct html_page *page) {
  buf_puts(page->out, "</section>\n");
}

/* So many columns are too wide for a narrow screen: there, each row is a list of names and values.
 */
#define COLUMNS_NARROW 3

static bool is_wide(const char *const columns[]) {
  uint32_t count = 0;
  while (columns[count]) count++;
  return count > COLUMNS_NARROW;
}

void html_table(struct html_page *page, const char *const columns[]) {
  page->columns = columns;
  buf_printf(page->out, "<div class=\"scroll\"><table%s>\n<thead><tr>",
             is_wide(columns) ? " class=\"wide\"" : "");
  for (; *columns; columns++) {
    bool number = **columns == '>';
    buf_printf(page->out, "<th%s scope=\"col\">", number ? " class=\"n\"" : "");
    html_text(page, *columns + number);
    buf_puts(page->out, "</th>");
  }
  buf_puts(page->out, "</tr></thead>\n<tbody>\n");
}

void html_table_end(struct html_page *page) {
  buf_puts(page->out, "</tbody></table></div>\n");
  page->columns = NULL;
}

void html_row(struct html_page *page) {
  page->column = 0;
  buf_puts(page->out, "<tr>");
}
void html_row_end(struct html_page *page) {
  buf_puts(page->out, "</tr>\n");
}

void html_cell_begin(struct html_page *page, const char *class) {
  buf_puts(page->out, "<td");
  if (class[0]) buf_printf(page->out, " class=\"%s\"", class);
  if (page->columns && is_wide(page->columns)) {
    const char *name = page->columns[page->column++];
    buf_puts(page->out, " data-c=\"");
    html_text(page, name[0] == '>' ? name + 1 : name);
    buf_putc(page->out, '"');
  }
  buf_putc(page->out, '>');
}

static void cell(struct html_page *page, const char *class, const char *text) {
  html_cell_begin(page, class);
  html_text(page, text);
  buf_puts(page->out, "</td>");
}

void html_cell(struct html_page *page, const char *text) {
  cell(page, text && strlen(text) > 32 ? "w" : "", text);
}

void html_number(struct html_page *page, const char *text) {
  cell(page, "n", text);
}

void html_count(struct html_page *page, uint64_t count) {
  char text[FORMAT_SIZE];
  format_count(count, text);
  html_number(page, text);
}

void html_seconds(struct html_page *page, double seconds) {
  char text[FORMAT_SIZE];
  format_seconds(seconds, text);
  html_number(page, text);
}

void html_moment(struct html_page *page, uint64_t time_ns) {
  char text[FORMAT_SIZE];
  format_moment(time_ns, text);
  html_number(page, text);
}

/* A sign and a word: colour is never the only mark. */
void html_verdict_word(struct html_page *page, enum verdict verdict) {
  static const char *const signs[] = {
      [VERDICT_PASS] = "✓", [VERDICT_UNKNOWN] = "?", [VERDICT_FAIL] = "✗"};
  const char *name = verdict_name(verdict);
  buf_printf(page->out, "<span class=\"v %s\">%s %s</span>", name, signs[verdict], name);
}

void html_verdict(struct html_page *page, enum verdict verdict) {
  html_cell_begin(page, "");
  html_verdict_word(page, verdict);
  buf_puts(page->out, "</td>");
}

void html_measure(struct html_page *page, const struct measure *measure) {
  char text[FACTS_TEXT_SIZE];
  facts_text(measure, text);
  cell(page, measure && measure->known ? "n" : "none", text);
}

void html_note(struct html_page *page, const char *text) {
  buf_puts(page->out, "<p class=\"note\">");
  html_text(page, text);
  buf_puts(page->out, "</p>\n");
}

static void missing(struct html_page *page, const struct plot *plot, const char *why) {
  buf_printf(page->out, "<p class=\"missing\">No picture \"%s\": ", plot->title);
  html_text(page, why);
  buf_puts(page->out, "</p>\n");
}

/* Appends the embedded SVG. */
static int draw(struct html_page *page, const struct plot *plot, uint32_t height,
                struct error *err) {
  struct plot_input in = {.report = page->input, .series = page->series};
  CLEANUP(buf_release) struct buf svg, embedded;
  buf_init(&svg);
  buf_init(&embedded);
  int status = plot_draw(page->plotter, plot, &in, height, PLOT_SVG, &svg, err);
  if (status == 0) status = plot_svg_embed(svg.data, plot->name, plot->title, &embedded, err);
  if (status != 0) return status;
  buf_puts(page->out, "<figure><div class=\"scroll\">\n");
  buf_add(page->out, embedded.data, embedded.length);
  buf_puts(page->out, "</div>\n<figcaption>");
  html_text(page, plot->caption);
  buf_puts(page->out, "</figcaption></figure>\n");
  return 0;
}

void html_plot(struct html_page *page, const struct plot *plot) {
  struct plot_input in = {.report = page->input, .series = page->series};
  const char *why = "";
  uint32_t height = plot->height(&in, &why);
  if (height == 0) {
    missing(page, plot, why);
    return;
  }
  if (!page->plotter) {
    missing(page, plot, page->plot_problem.message);
    return;
  }
  struct error err = ERROR_INIT;
  if (draw(page, plot, height, &err) != 0) {
    missing(page, plot, err.message);
    if (page->plot_problem.status == STATUS_OK) page->plot_problem = err;
  }
}
