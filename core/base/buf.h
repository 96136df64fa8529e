/* A growing byte string, always NUL-terminated. A failed allocation is remembered (`failed`), later
 * appends do nothing, and the owner asks once at the end with buf_ok(). */
#ifndef GAMEDAY_BASE_BUF_H
#define GAMEDAY_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct buf {
  char *data; /* "" before the first append; owned */
  size_t length, capacity;
  bool failed;
};

void buf_init(struct buf *buf);
void buf_release(struct buf *buf);
void buf_clear(struct buf *buf); /* length 0, memory kept, `failed` reset */

void buf_add(struct buf *buf, const void *bytes, size_t length);
void buf_puts(struct buf *buf, const char *text);
void buf_putc(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* 0, or STATUS_MEMORY when any append failed. */
int buf_ok(const struct buf *buf, struct error *err);

/* Gives the bytes to the caller (free()) and empties the buffer; NULL when an append failed. */
char *buf_steal(struct buf *buf);

#endif
