/* Reads what etcd's JSON gateway answers: a stream of objects, keys and values in base64. Pure. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "services/postgres_watch.h"

#define OBJECT_MAX (1u << 20)

void etcd_stream_reset(struct etcd_stream *stream) {
  buf_clear(&stream->object);
  stream->depth = 0;
  stream->in_string = stream->escaped = false;
}

/* Follows the nesting; true when `c` ends an object. */
static bool follow(struct etcd_stream *stream, char c) {
  if (stream->in_string) {
    if (stream->escaped)
      stream->escaped = false;
    else if (c == '\\')
      stream->escaped = true;
    else if (c == '"')
      stream->in_string = false;
    return false;
  }
  if (c == '"') stream->in_string = true;
  if (c == '{' || c == '[') stream->depth++;
  if (c != '}' && c != ']') return false;
  return --stream->depth == 0;
}

bool etcd_stream_feed(struct etcd_stream *stream, const char *bytes, size_t length,
                      void (*object)(void *data, const char *text, size_t length), void *data) {
  for (size_t i = 0; i < length; i++) {
    char c = bytes[i];
    if (stream->depth == 0) {
      if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
      if (c != '{') return false;
    }
    buf_putc(&stream->object, c);
    if (stream->object.failed || stream->object.length > OBJECT_MAX) return false;
    if (!follow(stream, c)) continue;
    object(data, stream->object.data, stream->object.length);
    etcd_stream_reset(stream);
  }
  return true;
}

/* The gateway writes 64-bit numbers as strings, as protobuf's JSON mapping says. */
static uint64_t number_of(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  if (json_is_integer(value)) return (uint64_t)json_integer_value(value);
  const char *text = json_string_value(value);
  return text ? strtoull(text, NULL, 10) : 0;
}

static bool take_value(const json_t *kv, struct etcd_news *news) {
  const char *value = json_string_value(json_object_get(kv, "value"));
  news->revision = number_of(kv, "mod_revision");
  news->value[0] = '\0';
  return !value || base64_decode(value, news->value, sizeof news->value);
}

bool etcd_parse_range(const char *text, size_t length, struct etcd_news *ret) {
  json_t *root = json_loadb(text, length, 0, NULL);
  const json_t *header = json_object_get(root, "header");
  const json_t *kv = json_array_get(json_object_get(root, "kvs"), 0);
  struct etcd_news news = {.change = ETCD_ABSENT, .revision = number_of(header, "revision")};
  news.store = news.revision;
  bool ok = json_is_object(header) && news.revision > 0;
  if (ok && kv) {
    news.change = ETCD_PUT;
    ok = take_value(kv, &news);
  }
  json_decref(root);
  if (ok) *ret = news;
  return ok;
}

bool etcd_parse_watch(const char *text, size_t length,
                      void (*news)(void *data, const struct etcd_news *news), void *data) {
  json_t *root = json_loadb(text, length, 0, NULL);
  const json_t *result = json_object_get(root, "result");
  bool ok = json_is_object(result);
  if (json_is_true(json_object_get(result, "canceled")))
    news(data, &(struct etcd_news){.change = ETCD_CANCELED});
  size_t count = json_array_size(json_object_get(result, "events"));
  for (size_t i = 0; ok && i < count; i++) {
    const json_t *event = json_array_get(json_object_get(result, "events"), i);
    const char *type = json_string_value(json_object_get(event, "type")); /* absent: PUT */
    struct etcd_news one = {.change =
                                type && strcmp(type, "DELETE") == 0 ? ETCD_DELETED : ETCD_PUT};
    ok = take_value(json_object_get(event, "kv"), &one) && one.revision > 0;
    if (ok) news(data, &one);
  }
  json_decref(root);
  return ok;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(const char *text, char *ret, size_t size, struct error *err) {
  size_t length = strlen(text), at = 0;
  if (size < (length + 2) / 3 * 4 + 1)
    return error_set(err, STATUS_USAGE, "a key of %zu bytes is too long for etcd", length);
  for (size_t i = 0; i < length; i += 3) {
    unsigned bits = (unsigned)(unsigned char)text[i] << 16;
    if (i + 1 < length) bits |= (unsigned)(unsigned char)text[i + 1] << 8;
    if (i + 2 < length) bits |= (unsigned)(unsigned char)text[i + 2];
    ret[at++] = alphabet[bits >> 18];
    ret[at++] = alphabet[bits >> 12 & 63];
    ret[at++] = i + 1 < length ? alphabet[bits >> 6 & 63] : '=';
    ret[at++] = i + 2 < length ? alphabet[bits & 63] : '=';
  }
  ret[at] = '\0';
  return 0;
}

bool base64_decode(const char *text, char *ret, size_t size) {
  size_t length = strlen(text), at = 0;
  if (length % 4) return false;
  if (size == 0 || length / 4 * 3 >= size + 2) return false;
  for (size_t i = 0; i < length; i += 4) {
    unsigned bits = 0, given = 0;
    for (size_t j = 0; j < 4; j++) {
      const char *place = text[i + j] == '=' ? NULL : strchr(alphabet, text[i + j]);
      bool last = i + 4 == length;
      if (!place && !(text[i + j] == '=' && last && j >= 2)) return false;
      if (place && given < j) return false; /* a letter after padding */
      bits = bits << 6 | (place ? (unsigned)(place - alphabet) : 0);
      if (place) given++;
    }
    for (unsigned j = 0; j + 1 < given; j++) {
      if (at + 1 >= size) return false;
      ret[at++] = (char)(bits >> (16 - 8 * j) & 255);
    }
  }
  ret[at] = '\0';
  return true;
}
