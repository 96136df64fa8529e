/* Quoting for YAML. */
#include "scenario/yaml_text.h"

#include <stdint.h>
#include <string.h>

#define WORD "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

void yaml_put_indent(struct buf *out, unsigned indent) {
  for (unsigned i = 0; i < indent; i++) buf_puts(out, "  ");
}

/* The code point at `*text`, which is valid UTF-8; moves behind it. */
static uint32_t next_character(const char **text) {
  const unsigned char *at = (const unsigned char *)*text;
  unsigned size = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
  uint32_t code = size == 1 ? at[0] : at[0] & (0xffu >> (size + 1));
  for (unsigned i = 1; i < size; i++) code = code << 6 | (at[i] & 0x3fu);
  *text += size;
  return code;
}

/* What may not stand in a text as it is: controls, line ends that only YAML knows, marks. */
static bool is_special(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
         code == 0xfeff || code == 0xfffe || code == 0xffff;
}

static void put_quoted(struct buf *out, const char *text) {
  buf_putc(out, '"');
  while (*text) {
    const char *from = text;
    uint32_t code = next_character(&text);
    if (code == '"' || code == '\\')
      buf_printf(out, "\\%c", (char)code);
    else if (code == '\n')
      buf_puts(out, "\\n");
    else if (is_special(code))
      buf_printf(out, code < 0x100 ? "\\x%02X" : "\\u%04X", code);
    else
      buf_add(out, from, (size_t)(text - from));
  }
  buf_putc(out, '"');
}

void yaml_put_key(struct buf *out, const char *key) {
  bool plain = strspn(key, WORD ".-") == strlen(key) && *key && !strchr("-.", *key);
  if (plain)
    buf_puts(out, key);
  else
    put_quoted(out, key);
}

static bool is_null_word(const char *text) {
  return strcmp(text, "null") == 0 || strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

void yaml_put_value(struct buf *out, const char *text) {
  size_t length = strlen(text);
  bool plain = length > 0 && strspn(text, WORD "./%+=<>[]- ") == length &&
               strchr(WORD "<", text[0]) && text[length - 1] != ' ' && !is_null_word(text);
  if (plain)
    buf_puts(out, text);
  else
    put_quoted(out, text);
}

/* No line begins with a blank (it would set the indentation), none ends with a surprise. */
static bool is_block(const char *text) {
  size_t length = strlen(text);
  if (length == 0 || (length > 1 && text[length - 1] == '\n' && text[length - 2] == '\n'))
    return false;
  bool line_begins = true;
  while (*text) {
    uint32_t code = next_character(&text);
    if (line_begins && (code == ' ' || code == '\t' || code == '\n')) return false;
    if (is_special(code) && code != '\n') return false;
    line_begins = code == '\n';
  }
  return true;
}

void yaml_put_block(struct buf *out, const char *text, unsigned indent) {
  if (!strchr(text, '\n') || !is_block(text)) {
    yaml_put_value(out, text);
    buf_putc(out, '\n');
    return;
  }
  bool ends = text[strlen(text) - 1] == '\n';
  buf_puts(out, ends ? "|\n" : "|-\n");
  while (*text) {
    size_t length = strcspn(text, "\n");
    yaml_put_indent(out, indent);
    buf_add(out, text, length);
    buf_putc(out, '\n');
    text += length + (text[length] == '\n');
  }
}
