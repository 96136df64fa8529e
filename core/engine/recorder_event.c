/* One event as a line of JSON. Texts come from servers, so every byte is escaped with care: what is
 * no UTF-8 becomes U+FFFD, so that each line is valid JSON whatever a server said. */
#include <inttypes.h>
#include <string.h>

#include "engine/recorder_internal.h"

/* Length of the well-formed UTF-8 sequence at `text` (Unicode 15, table 3-7); 0 when there is none.
 * A NUL ends every sequence, so that nothing behind the text is read. */
static size_t sequence_length(const unsigned char *text) {
  unsigned char first = text[0];
  if (first < 0x80) return 1;
  size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4) return 0;
  unsigned char low = 0x80, high = 0xbf;
  if (first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  for (size_t i = 1; i < length; i++, low = 0x80, high = 0xbf)
    if (text[i] < low || text[i] > high) return 0;
  return length;
}

static void print_string(struct buf *line, const char *text) {
  buf_putc(line, '"');
  for (const unsigned char *next = (const unsigned char *)text; *next;) {
    size_t length = sequence_length(next);
    if (length == 0) {
      buf_puts(line, "\xef\xbf\xbd");
      next++;
    } else if (*next == '"' || *next == '\\') {
      buf_printf(line, "\\%c", *next++);
    } else if (*next < 0x20 || *next == 0x7f) {
      buf_printf(line, "\\u%04x", (unsigned)*next++);
    } else {
      buf_add(line, next, length);
      next += length;
    }
  }
  buf_putc(line, '"');
}

void recorder_print_event(const struct event *event, struct buf *line) {
  buf_printf(line, "{\"time_ns\":%" PRIu64 ",\"kind\":\"%s\"", event->time_ns,
             event_kind_name(event->kind));
  if (event->fault != FAULT_NONE) buf_printf(line, ",\"fault\":%" PRId32, event->fault);
  if (event->host != HOST_NONE) buf_printf(line, ",\"host\":%u", (unsigned)event->host);
  if (event->kind == EVENT_ROLE)
    buf_printf(line, ",\"role\":\"%s\"", role_name((enum role)event->role));
  if (event->number != 0) buf_printf(line, ",\"number\":%" PRId64, event->number);
  if (event->number2 != 0) buf_printf(line, ",\"number2\":%" PRId64, event->number2);
  if (event->text[0] != '\0') {
    char text[EVENT_TEXT_SIZE];
    memcpy(text, event->text, sizeof text);
    text[sizeof text - 1] = '\0';
    buf_puts(line, ",\"text\":");
    print_string(line, text);
  }
  buf_puts(line, "}\n");
}
