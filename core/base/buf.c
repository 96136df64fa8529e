/* A growing byte string. */
#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shared by all empty buffers and never written: the capacity is 0. */
#define NO_BYTES ((char *)"")

void buf_init(struct buf *buf) {
  *buf = (struct buf){.data = NO_BYTES};
}

void buf_release(struct buf *buf) {
  if (!buf) return;
  if (buf->capacity) free(buf->data);
  buf_init(buf);
}

void buf_clear(struct buf *buf) {
  buf->length = 0;
  buf->failed = false;
  if (buf->capacity)
    buf->data[0] = '\0';
  else
    buf->data = NO_BYTES;
}

/* Makes room for `more` bytes and the final NUL. */
static bool reserve(struct buf *buf, size_t more) {
  if (buf->failed) return false;
  if (more > SIZE_MAX / 4 || buf->length > SIZE_MAX / 4) {
    buf->failed = true;
    return false;
  }
  size_t need = buf->length + more + 1;
  if (need <= buf->capacity) return true;
  size_t capacity = buf->capacity ? buf->capacity : 64;
  while (capacity < need) capacity *= 2;
  char *data = realloc(buf->capacity ? buf->data : NULL, capacity);
  if (!data) {
    buf->failed = true;
    return false;
  }
  if (!buf->capacity) data[0] = '\0';
  buf->data = data;
  buf->capacity = capacity;
  return true;
}

void buf_add(struct buf *buf, const void *bytes, size_t length) {
  if (length == 0 || !reserve(buf, length)) return;
  memcpy(buf->data + buf->length, bytes, length);
  buf->length += length;
  buf->data[buf->length] = '\0';
}

void buf_puts(struct buf *buf, const char *text) {
  buf_add(buf, text, strlen(text));
}

void buf_putc(struct buf *buf, char c) {
  buf_add(buf, &c, 1);
}

void buf_vprintf(struct buf *buf, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  if (length < 0) buf->failed = true;
  if (length > 0 && reserve(buf, (size_t)length)) {
    vsnprintf(buf->data + buf->length, (size_t)length + 1, format, again);
    buf->length += (size_t)length;
  }
  va_end(again);
}

void buf_printf(struct buf *buf, const char *format, ...) {
  va_list args;
  va_start(args, format);
  buf_vprintf(buf, format, args);
  va_end(args);
}

int buf_ok(const struct buf *buf, struct error *err) {
  return buf->failed ? error_set(err, STATUS_MEMORY, "out of memory") : 0;
}

char *buf_steal(struct buf *buf) {
  if (!buf->capacity) reserve(buf, 0);
  if (buf->failed) {
    buf_release(buf);
    return NULL;
  }
  char *data = buf->data;
  buf_init(buf);
  return data;
}
