/* Filling and formatting struct error. */
#include "base/error.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Cuts an unfinished UTF-8 sequence off the end of a text that was truncated at `length`. */
static void cut_partial_character(char *text, size_t length) {
  size_t start = length;
  while (start > 0 && length - start < 4) {
    unsigned char c = (unsigned char)text[--start];
    if ((c & 0xC0) == 0x80) continue;
    size_t needs = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
    if (length - start < needs) text[start] = '\0';
    return;
  }
}

/* Copies with truncation at a character. */
static void copy_text(char *into, size_t size, const char *text) {
  size_t length = strlen(text);
  if (length < size) {
    memcpy(into, text, length + 1);
    return;
  }
  memcpy(into, text, size - 1);
  into[size - 1] = '\0';
  cut_partial_character(into, size - 1);
}

/* Formats apart from `err`, because an argument may be a text inside it. */
static void set_formatted(struct error *err, const char *suffix, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static void set_formatted(struct error *err, const char *suffix, const char *format, va_list args) {
  char text[ERROR_MESSAGE_SIZE + 8];
  int length = vsnprintf(text, sizeof text, format, args);
  if (length < 0) {
    copy_text(text, sizeof text, format);
    length = (int)strlen(text);
  }
  size_t used = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
  if (suffix) snprintf(text + used, sizeof text - used, "%s", suffix);
  copy_text(err->message, sizeof err->message, text);
}

int error_set(struct error *err, enum status status, const char *format, ...) {
  if (!err) return status;
  va_list args;
  va_start(args, format);
  set_formatted(err, NULL, format, args);
  va_end(args);
  err->status = status;
  err->errnum = 0;
  err->line = err->column = 0;
  err->file[0] = '\0';
  return status;
}

int error_set_errno(struct error *err, int errnum, const char *format, ...) {
  if (!err) return STATUS_SYSTEM;
  char space[128], suffix[136];
  snprintf(suffix, sizeof suffix, ": %s", strerror_r(errnum, space, sizeof space));
  va_list args;
  va_start(args, format);
  set_formatted(err, suffix, format, args);
  va_end(args);
  err->status = STATUS_SYSTEM;
  err->errnum = errnum;
  err->line = err->column = 0;
  err->file[0] = '\0';
  return STATUS_SYSTEM;
}

int error_set_at(struct error *err, const char *file, int line, int column, const char *format,
                 ...) {
  if (!err) return STATUS_USAGE;
  va_list args;
  va_start(args, format);
  set_formatted(err, NULL, format, args);
  va_end(args);
  err->status = STATUS_USAGE;
  err->errnum = 0;
  err->line = line;
  err->column = column;
  char place[ERROR_FILE_SIZE] = ""; /* `file` may be err->file */
  copy_text(place, sizeof place, file ? file : "");
  memcpy(err->file, place, sizeof place);
  return STATUS_USAGE;
}

int error_wrap(struct error *err, const char *format, ...) {
  if (!err || err->status == STATUS_OK) return STATUS_INTERNAL;
  char inner[ERROR_MESSAGE_SIZE + 2];
  snprintf(inner, sizeof inner, ": %s", err->message);
  va_list args;
  va_start(args, format);
  set_formatted(err, inner, format, args);
  va_end(args);
  return err->status;
}

void error_format(const struct error *err, char *text, unsigned long size) {
  if (size == 0) return;
  char place[ERROR_FILE_SIZE + 32] = "";
  if (err->file[0] != '\0' && err->line > 0 && err->column > 0)
    snprintf(place, sizeof place, "%s:%d:%d: ", err->file, err->line, err->column);
  else if (err->file[0] != '\0' && err->line > 0)
    snprintf(place, sizeof place, "%s:%d: ", err->file, err->line);
  else if (err->file[0] != '\0')
    snprintf(place, sizeof place, "%s: ", err->file);
  int length = snprintf(text, size, "%s%s", place, err->message);
  if (length >= 0 && (unsigned long)length >= size) cut_partial_character(text, size - 1);
}

const char *status_name(enum status status) {
  switch (status) {
    case STATUS_OK: return "ok";
    case STATUS_USAGE: return "usage";
    case STATUS_ENVIRONMENT: return "environment";
    case STATUS_SYSTEM: return "system";
    case STATUS_SERVER: return "server";
    case STATUS_TIMEOUT: return "timeout";
    case STATUS_UNTRUSTED: return "untrusted";
    case STATUS_INTERRUPTED: return "interrupted";
    case STATUS_MEMORY: return "memory";
    case STATUS_INTERNAL: return "internal";
  }
  return "internal";
}
