/* Text from outside (names, server messages) made safe for the place where it is printed. All of
 * them turn invalid UTF-8 and control characters into U+FFFD first, and take NULL for "". */
#ifndef GAMEDAY_REPORT_ESCAPE_H
#define GAMEDAY_REPORT_ESCAPE_H

#include <stddef.h>

#include "base/buf.h"

/* Plain text on one line: tabs and line ends become spaces. For terminals and JSON. */
void escape_plain(struct buf *out, const char *text);
/* HTML and XML, element content and quoted attributes alike. */
void escape_html(struct buf *out, const char *text);
/* Inside a Markdown table cell. */
void escape_markdown(struct buf *out, const char *text);
/* A single-quoted gnuplot string with its quotes, at most `columns` characters of the text. In
 * single quotes gnuplot substitutes nothing; angle brackets are replaced as well, so that no
 * gnuplot version can let them through to an SVG. */
void escape_gnuplot(struct buf *out, const char *text, size_t columns);
/* A word of a command for a POSIX shell: as it stands, or in single quotes. */
void escape_shell(struct buf *out, const char *text);
/* Characters (not bytes) of a text that escape_plain() made. */
size_t escape_width(const char *text);

#endif
