/* Makes an SVG of gnuplot's fit for a page that holds several of them, in light and dark. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"
#include "report/plot.h"

/* If `text` begins with `prefix`: its length; else 0. */
static size_t begins(const char *text, const char *prefix) {
  size_t length = strlen(prefix);
  return strncmp(text, prefix, length) == 0 ? length : 0;
}

/* "rgb(  0, 158, 115)" -> var(--ok). One that is not in the table is gnuplot's own, of a group
 * without anything in it. Returns how many bytes were taken; 0: it is no colour. */
static size_t color_replace(const char *text, struct buf *out) {
  unsigned red, green, blue;
  int length = 0;
  char head[24]; /* sscanf() would measure the whole text each time */
  snprintf(head, sizeof head, "%.*s", (int)sizeof head - 1, text);
  if (sscanf(head, "rgb(%3u,%3u,%3u)%n", &red, &green, &blue, &length) != 3 || length == 0) {
    return 0;
  }
  unsigned color = (red & 255) << 16 | (green & 255) << 8 | (blue & 255);
  for (int i = 0; i < COLOR_COUNT; i++) {
    if (plot_colors[i].light == color) {
      buf_printf(out, "var(--%s)", plot_colors[i].name);
      return (size_t)length;
    }
  }
  buf_puts(out, "currentColor");
  return (size_t)length;
}

/* Attributes that need another value here. */
static size_t attribute_replace(const char *text, const char *name, struct buf *out) {
  static const struct {
    const char *from, *to;
  } fixed[] = {
      {"color=\"black\"", "color=\"var(--text)\""},
      {"fill=\"black\"", "fill=\"var(--text)\""},
      {"stroke=\"black\"", "stroke=\"var(--text)\""},
      {"color=\"white\"", "color=\"var(--paper)\""},
      {" font-family=\"sans-serif\"", ""}, /* the page's */
      {" id=\"gnuplot_canvas\"", ""},
  };
  for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
    size_t length = begins(text, fixed[i].from);
    if (length > 0) {
      buf_puts(out, fixed[i].to);
      return length;
    }
  }
  size_t length = begins(text, "id='gp");
  if (length > 0) {
    buf_printf(out, "id='%s-gp", name);
    return length;
  }
  length = begins(text, "href='#gp");
  if (length > 0) buf_printf(out, "href='#%s-gp", name);
  if (length == 0 && begins(text, "id=\"plot_plot_") > 0) {
    /* One of several curves; nothing refers to it, and every plot has it. */
    const char *end = strchr(text + 4, '"');
    if (end) length = (size_t)(end - text) + 1;
  }
  return length;
}

/* <title> would show as a tooltip; filters and their white are for text boxes, which none uses. */
static size_t element_skip(const char *text) {
  static const char *const elements[][2] = {
      {"<title>", "</title>"}, {"<desc>", "</desc>"}, {"<filter", "</filter>"}};
  for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
    if (begins(text, elements[i][0]) == 0) continue;
    const char *end = strstr(text, elements[i][1]);
    if (end) return (size_t)(end - text) + strlen(elements[i][1]);
  }
  return 0;
}

/* One step over what is inside the root element. */
static size_t step(const char *text, const char *name, struct buf *out) {
  size_t taken = 0;
  if (*text == '<') taken = element_skip(text);
  if (taken == 0 && *text == 'r') taken = color_replace(text, out);
  if (taken == 0 && strchr("cfsih ", *text)) taken = attribute_replace(text, name, out);
  if (taken == 0) {
    buf_putc(out, *text);
    taken = 1;
  }
  return taken;
}

int plot_svg_embed(const char *svg, const char *name, const char *label, struct buf *out,
                   struct error *err) {
  const char *root = strstr(svg, "<svg");
  const char *body = root ? strchr(root, '>') : NULL;
  const char *box = root ? strstr(root, "viewBox=\"") : NULL;
  unsigned width, height;
  if (!body || !box || box > body || sscanf(box, "viewBox=\"0 0 %5u %5u\"", &width, &height) != 2) {
    return error_set(err, STATUS_INTERNAL, "what gnuplot made of %s is no SVG", name);
  }
  buf_printf(out,
             "<svg class=\"plot\" viewBox=\"0 0 %u %u\" role=\"img\" "
             "xmlns=\"http://www.w3.org/2000/svg\" "
             "xmlns:xlink=\"http://www.w3.org/1999/xlink\" aria-label=\"",
             width, height);
  escape_html(out, label);
  buf_puts(out, "\">");
  const char *at = body + 1;
  while (*at) at += step(at, name, out);
  return buf_ok(out, err);
}
