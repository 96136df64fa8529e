/* Text in columns for a terminal. Texts from outside are made harmless. All append to `out`. */
#ifndef GAMEDAY_REPORT_COLUMNS_H
#define GAMEDAY_REPORT_COLUMNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define COLUMNS_MAX 100

void columns_pad(struct buf *out, size_t count);

/* A cell of `width` characters, which never runs into the next one. */
void columns_cell(struct buf *out, const char *text, size_t width, bool right);

/* Text broken at spaces before COLUMNS_MAX, but not before a number's unit, and a line end; the
 * cursor stands at `column`, further lines begin at `indent`. */
void columns_wrapped(struct buf *out, const char *text, size_t column, size_t indent);

#endif
