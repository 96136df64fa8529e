/* Text from outside made safe for where it is printed. */
#include "report/escape.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define REPLACEMENT UINT32_C(0xfffd)

/* Decodes one character at `text` (not at its end): its code point, or U+FFFD for a byte that
 * begins no valid sequence. */
static uint32_t decode(const unsigned char *text, size_t *ret_length) {
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  *ret_length = 1;
  if (text[0] < 0x80) return text[0];
  size_t length = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
  if (text[0] < 0xc2 || text[0] > 0xf4) return REPLACEMENT;
  uint32_t code = text[0] & (0xffu >> (length + 1));
  for (size_t i = 1; i < length; i++) {
    if ((text[i] & 0xc0) != 0x80) return REPLACEMENT; /* stops at the NUL too */
    code = code << 6 | (text[i] & 0x3fu);
  }
  if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
    return REPLACEMENT;
  }
  *ret_length = length;
  return code;
}

/* Takes the next character as it may be printed anywhere; false at the end. `ret_bytes` holds its
 * UTF-8, NUL-terminated. */
static bool next_clean(const char **text, char ret_bytes[5]) {
  if (!*text || !**text) return false;
  size_t length;
  uint32_t code = decode((const unsigned char *)*text, &length);
  bool space = code == '\t' || code == '\n' || code == '\r';
  /* C0 and C1 controls, and the characters that XML 1.0 does not have. Bidirectional overrides
   * could make a line read as what it is not. */
  bool bad = code < 0x20 || (code >= 0x7f && code < 0xa0) || (code & 0xfffe) == 0xfffe ||
             (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
  if (space) {
    memcpy(ret_bytes, " ", 2);
  } else if (bad || code == REPLACEMENT) {
    memcpy(ret_bytes, "\xef\xbf\xbd", 4);
  } else {
    memcpy(ret_bytes, *text, length);
    ret_bytes[length] = '\0';
  }
  *text += length;
  return true;
}

void escape_plain(struct buf *out, const char *text) {
  char c[5];
  while (next_clean(&text, c)) buf_puts(out, c);
}

void escape_html(struct buf *out, const char *text) {
  char c[5];
  while (next_clean(&text, c)) {
    switch (c[0]) {
      case '&': buf_puts(out, "&amp;"); break;
      case '<': buf_puts(out, "&lt;"); break;
      case '>': buf_puts(out, "&gt;"); break;
      case '"': buf_puts(out, "&quot;"); break;
      case '\'': buf_puts(out, "&#39;"); break;
      default: buf_puts(out, c);
    }
  }
}

void escape_markdown(struct buf *out, const char *text) {
  char c[5];
  while (next_clean(&text, c)) {
    if (c[0] == '<') {
      buf_puts(out, "&lt;");
    } else if (c[0] == '&') {
      buf_puts(out, "&amp;");
    } else if (c[0] == '@') {
      buf_puts(out, "&#64;"); /* notifies nobody */
    } else {
      if (strchr("\\`*_{}[]#|!~$>", c[0])) buf_putc(out, '\\');
      buf_puts(out, c);
    }
  }
}

void escape_gnuplot(struct buf *out, const char *text, size_t columns) {
  char c[5];
  buf_putc(out, '\'');
  for (size_t i = 0; next_clean(&text, c); i++) {
    if (i + 1 >= columns && text && *text) {
      buf_puts(out, "…");
      break;
    }
    switch (c[0]) {
      case '\'': buf_puts(out, "''"); break;
      case '<': buf_puts(out, "‹"); break;
      case '>': buf_puts(out, "›"); break;
      case '&': buf_puts(out, "+"); break;
      case '`': buf_puts(out, "´"); break;
      default: buf_puts(out, c);
    }
  }
  buf_putc(out, '\'');
}

void escape_shell(struct buf *out, const char *text) {
  static const char harmless[] =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
      "_-./:=,%+@";
  if (*text && text[strspn(text, harmless)] == '\0') {
    buf_puts(out, text);
    return;
  }
  buf_putc(out, '\'');
  for (; *text; text++) {
    if (*text == '\'')
      buf_puts(out, "'\\''");
    else
      buf_putc(out, *text);
  }
  buf_putc(out, '\'');
}

size_t escape_width(const char *text) {
  size_t width = 0;
  for (; text && *text; text++) width += ((unsigned char)*text & 0xc0) != 0x80;
  return width;
}
