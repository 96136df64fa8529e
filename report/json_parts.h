/* Pieces of JSON documents for programs: the same value always gives the same bytes. */
#ifndef GAMEDAY_REPORT_JSON_PARTS_H
#define GAMEDAY_REPORT_JSON_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

void cleanup_json(json_t **json); /* for CLEANUP() */

/* Jansson takes NULL children and reports them, so that one check at the end finds any allocation
 * that failed: an object that lost a key is told by `lost`. */
struct maker {
  bool lost;
};
/* Both take over the reference to `value`. */
void maker_put(struct maker *maker, json_t *object, const char *key, json_t *value);
void maker_push(struct maker *maker, json_t *array, json_t *value);
/* Appends the document, indented, with a line end. STATUS_MEMORY when any of it was lost. */
int maker_print(const struct maker *maker, const json_t *root, struct buf *out, struct error *err);

/* Each gives a new reference, or NULL without memory. */
json_t *text_json(const char *text); /* null for NULL; control characters replaced */
json_t *count_json(uint64_t count);
json_t *number_json(double value);     /* null when it is not finite */
json_t *moment_json(uint64_t time_ns); /* in seconds; null for TIME_NEVER */

#endif
