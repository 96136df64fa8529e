/* Making, keeping and finding the passwords of a run. */
#include "services/secrets.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/prng.h"

#define SECRETS_FILE_MAX 65536

static size_t count_of(const struct secrets *secrets) {
  size_t count = 0;
  while (secrets->fields[count].name) count++;
  assert(count <= SECRETS_MAX);
  return count;
}

int secrets_make(const struct secrets *secrets, void *ret_values, struct error *err) {
  unsigned char bytes[SECRETS_MAX][(SECRET_SIZE - 1) / 2];
  size_t count = count_of(secrets);
  int status = random_bytes(bytes, count * sizeof bytes[0], err);
  if (status < 0) return status;
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < sizeof bytes[i]; j++)
      snprintf((char *)ret_values + secrets->fields[i].offset + 2 * j, 3, "%02x", bytes[i][j]);
  explicit_bzero(bytes, sizeof bytes);
  return 0;
}

int secrets_save(const struct secrets *secrets, const void *values, const char *path,
                 struct error *err) {
  char text[1024];
  int length = snprintf(text, sizeof text, "{");
  for (const struct secret_field *field = secrets->fields; field->name; field++)
    length += snprintf(text + length, sizeof text - (size_t)length, "%s\n  \"%s\": \"%s\"",
                       field > secrets->fields ? "," : "", field->name,
                       (const char *)values + field->offset);
  length += snprintf(text + length, sizeof text - (size_t)length, "\n}\n");
  assert((size_t)length < sizeof text);
  int status = file_write(path, text, (size_t)length, 0600, err);
  explicit_bzero(text, sizeof text);
  return status;
}

int secrets_load(const struct secrets *secrets, const char *path, void *ret_values,
                 struct error *err) {
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  int status = file_read(path, SECRETS_FILE_MAX, &content, err);
  if (status < 0) return error_wrap(err, "cannot attach to the service %s", secrets->service);
  json_t *root = json_loadb(content.data, content.length, 0, NULL);
  const char *found[SECRETS_MAX] = {NULL};
  size_t count = count_of(secrets);
  for (size_t i = 0; i < count && status == 0; i++) {
    const char *name = secrets->fields[i].name;
    found[i] = json_string_value(json_object_get(root, name));
    if (!found[i] || strlen(found[i]) != SECRET_SIZE - 1)
      status =
          error_set(err, STATUS_USAGE, "%s is no secrets file of this service: no %s", path, name);
  }
  for (size_t i = 0; i < count && status == 0; i++)
    memcpy((char *)ret_values + secrets->fields[i].offset, found[i], SECRET_SIZE);
  json_decref(root);
  return status;
}
