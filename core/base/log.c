/* Lines for a person on a terminal, or in a file. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ERASE_LINE "\r\033[K"
#define LINE_BYTES 4096

void log_init(struct log *log, int fd, enum log_level level) {
  const char *terminal = getenv("TERM");
  const char *no_color = getenv("NO_COLOR");
  bool live = isatty(fd) && terminal && strcmp(terminal, "dumb") != 0;
  *log = (struct log){
      .level = level, .live = live, .color = live && !(no_color && *no_color), .fd = fd};
}

/* The log is the last resort: what cannot be written is lost, and nobody can be told. */
static void write_out(int fd, const char *text, size_t length) {
  while (length > 0) {
    ssize_t written = write(fd, text, length);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text += written;
    length -= (size_t)written;
  }
}

/* Servers' words are logged too: control characters must not reach the terminal, neither those of
 * ASCII nor U+0080 to U+009F, which UTF-8 writes as C2 80 to C2 9F. New lines and tabs stay. */
static void make_harmless(char *text) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7F) *text = '?';
    if (c == 0xC2 && next >= 0x80 && next < 0xA0) text[0] = text[1] = '?';
  }
}

static const char *prefix_of(enum log_level level, bool color) {
  switch (level) {
    case LOG_ERROR: return color ? "\033[1;31merror:\033[0m " : "error: ";
    case LOG_WARNING: return color ? "\033[1;33mwarning:\033[0m " : "warning: ";
    case LOG_INFO: return "";
    case LOG_DEBUG: return color ? "\033[2mdebug:\033[0m " : "debug: ";
  }
  return "";
}

void log_print(struct log *log, enum log_level level, const char *format, ...) {
  if (level > log->level) return;
  char message[LINE_BYTES];
  va_list args;
  va_start(args, format);
  int printed = vsnprintf(message, sizeof message, format, args);
  va_end(args);
  if (printed < 0) return;
  make_harmless(message);
  size_t length = strlen(message);
  while (length > 0 && message[length - 1] == '\n') message[--length] = '\0';
  char line[LINE_BYTES + 64];
  bool erase = __atomic_exchange_n(&log->status_shown, false, __ATOMIC_RELAXED);
  int size = snprintf(line, sizeof line, "%s%s%s\n", erase ? ERASE_LINE : "",
                      prefix_of(level, log->color), message);
  if (size > 0) write_out(log->fd, line, (size_t)size);
}

/* Bytes of `text` that fill at most `columns`, one a character. */
static size_t fit_columns(const char *text, size_t columns) {
  size_t used = 0, i = 0;
  for (; text[i]; i++) {
    bool begins = ((unsigned char)text[i] & 0xC0) != 0x80;
    if (begins && used++ == columns) break;
  }
  return i;
}

void log_status(struct log *log, const char *text) {
  if (!log->live) return;
  bool shown = *text != '\0';
  bool was_shown = __atomic_exchange_n(&log->status_shown, shown, __ATOMIC_RELAXED);
  if (!shown && !was_shown) return;
  struct winsize window;
  size_t columns = 80;
  if (ioctl(log->fd, TIOCGWINSZ, &window) == 0 && window.ws_col > 1) columns = window.ws_col;
  char message[LINE_BYTES];
  snprintf(message, sizeof message, "%s", text);
  for (char *c = message; *c; c++)
    if (*c == '\n' || *c == '\t') *c = ' '; /* it must stay one line to be erased */
  make_harmless(message);
  message[fit_columns(message, columns - 1)] = '\0';
  char line[LINE_BYTES + 16];
  int size = snprintf(line, sizeof line, ERASE_LINE "%s", message);
  if (size > 0) write_out(log->fd, line, (size_t)size);
}
