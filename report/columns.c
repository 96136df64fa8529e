/* Padded cells and text broken at spaces. */
#include "report/columns.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "report/escape.h"
#include "report/output.h"

void columns_pad(struct buf *out, size_t count) {
  for (size_t i = 0; i < count; i++) buf_putc(out, ' ');
}

void columns_cell(struct buf *out, const char *text, size_t width, bool right) {
  CLEANUP(buf_release) struct buf plain;
  buf_init(&plain);
  escape_plain(&plain, text);
  output_join_failure(out, &plain);
  size_t have = escape_width(plain.data);
  if (right && have < width) columns_pad(out, width - have);
  buf_puts(out, plain.data);
  if (!right) columns_pad(out, have < width ? width - have : 1);
}

/* How many bytes from `at` on stay together: a word, and the unit after it where it ends a number.
 */
static size_t together(const char *at) {
  static const char *const units[] = {"ns",  "µs",  "ms",  "s",   "min", "h", "B",
                                      "KiB", "MiB", "GiB", "TiB", "PiB", "%", "/s"};
  size_t word = strcspn(at, " ");
  if (word == 0 || at[word] == '\0' || !isdigit((unsigned char)at[word - 1])) return word;
  const char *next = at + word + 1;
  size_t length = strcspn(next, " ,.;:)");
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
    if (strlen(units[i]) == length && memcmp(next, units[i], length) == 0)
      return word + 1 + strcspn(next, " ");
  return word;
}

void columns_wrapped(struct buf *out, const char *text, size_t column, size_t indent) {
  CLEANUP(buf_release) struct buf plain;
  buf_init(&plain);
  escape_plain(&plain, text);
  output_join_failure(out, &plain);
  const char *at = plain.data;
  bool first = true;
  while (*at) {
    at += strspn(at, " ");
    size_t bytes = together(at), width = 0;
    for (size_t i = 0; i < bytes; i++) width += ((unsigned char)at[i] & 0xc0) != 0x80;
    if (bytes == 0) break;
    if (!first && column + 1 + width > COLUMNS_MAX) {
      buf_putc(out, '\n');
      columns_pad(out, indent);
      column = indent;
    } else if (!first) {
      buf_putc(out, ' ');
      column++;
    }
    buf_add(out, at, bytes);
    column += width;
    at += bytes;
    first = false;
  }
  buf_putc(out, '\n');
}
