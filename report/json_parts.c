/* Values as JSON, and what to do when memory runs out. */
#include "report/json_parts.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "report/escape.h"

void cleanup_json(json_t **json) {
  json_decref(*json);
}

void maker_put(struct maker *maker, json_t *object, const char *key, json_t *value) {
  if (json_object_set_new(object, key, value) != 0) maker->lost = true;
}

void maker_push(struct maker *maker, json_t *array, json_t *value) {
  if (json_array_append_new(array, value) != 0) maker->lost = true;
}

/* Into our own buffer, which remembers what it had no memory for: json_dumps() of Jansson 2.14 goes
 * on after some such failures, and gives a document that lacks a key. */
static int append(const char *text, size_t length, void *data) {
  buf_add(data, text, length);
  return 0;
}

int maker_print(const struct maker *maker, const json_t *root, struct buf *out, struct error *err) {
  const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(12);
  if (maker->lost || json_dump_callback(root, append, out, flags) != 0)
    return error_set(err, STATUS_MEMORY, "no memory for a JSON document");
  buf_putc(out, '\n');
  return buf_ok(out, err);
}

json_t *text_json(const char *text) {
  if (!text) return json_null();
  CLEANUP(buf_release) struct buf plain;
  buf_init(&plain);
  escape_plain(&plain, text);
  return plain.failed ? NULL : json_string(plain.data);
}

json_t *count_json(uint64_t count) {
  if (count <= INT64_MAX) return json_integer((json_int_t)count);
  char text[24]; /* beyond what JSON readers take as an integer */
  snprintf(text, sizeof text, "%" PRIu64, count);
  return json_string(text);
}

/* To the microsecond of the largest span, and no binary noise: 22.3, not 22.300000000000001. */
json_t *number_json(double value) {
  if (!isfinite(value)) return json_null();
  if (value == floor(value) && fabs(value) < 9e15) return json_integer((json_int_t)value);
  return json_real(value);
}

json_t *moment_json(uint64_t time_ns) {
  if (time_ns == TIME_NEVER) return json_null();
  return number_json((double)time_ns / (double)NS_PER_S);
}
