/* What writers do with their text: put it into the report directory, and lose nothing silently. */
#ifndef GAMEDAY_REPORT_OUTPUT_H
#define GAMEDAY_REPORT_OUTPUT_H

#include "base/buf.h"
#include "gameday/report.h"

/* Where writers write to. */
const char *output_directory(const struct report_input *input);
/* Replaces `name` in output_directory() by the content, or leaves it as it was; 0644: a report
 * holds no secret. Also reports an append to `content` that failed. */
int output_write(const struct report_input *input, const char *name, const struct buf *content,
                 struct error *err);
/* The same into any directory. */
int output_put(const char *directory, const char *name, const struct buf *content,
               struct error *err);

/* A part that lost text for want of memory makes the whole fail. */
void output_join_failure(struct buf *whole, const struct buf *part);

#endif
