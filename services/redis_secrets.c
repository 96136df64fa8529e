/* The passwords of one run: made from the kernel's random bytes, kept in one private file so that a
 * later process can attach to the running service. */
#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/prng.h"
#include "services/redis.h"

#define SECRETS_FILE_MAX 65536

struct secret_field {
  const char *name;
  size_t offset;
};
static const struct secret_field fields[] = {
    {"client", offsetof(struct redis_secrets, client)},
    {"replication", offsetof(struct redis_secrets, replication)},
    {"sentinel", offsetof(struct redis_secrets, sentinel)},
    {"observer", offsetof(struct redis_secrets, observer)},
};
#define FIELD_COUNT (sizeof fields / sizeof fields[0])

static char *field_of(struct redis_secrets *secrets, size_t i) {
  return (char *)secrets + fields[i].offset;
}

int redis_secrets_make(struct redis_secrets *ret, struct error *err) {
  unsigned char bytes[FIELD_COUNT][(REDIS_PASSWORD_SIZE - 1) / 2];
  int status = random_bytes(bytes, sizeof bytes, err);
  if (status < 0) return status;
  for (size_t i = 0; i < FIELD_COUNT; i++)
    for (size_t j = 0; j < sizeof bytes[i]; j++)
      snprintf(field_of(ret, i) + 2 * j, 3, "%02x", bytes[i][j]);
  explicit_bzero(bytes, sizeof bytes);
  return 0;
}

int redis_secrets_save(const struct redis_secrets *secrets, const char *path, struct error *err) {
  char text[1024];
  int length = snprintf(text, sizeof text, "{");
  for (size_t i = 0; i < FIELD_COUNT; i++)
    length += snprintf(text + length, sizeof text - (size_t)length, "%s\n  \"%s\": \"%s\"",
                       i ? "," : "", fields[i].name, (const char *)secrets + fields[i].offset);
  length += snprintf(text + length, sizeof text - (size_t)length, "\n}\n");
  int status = file_write(path, text, (size_t)length, 0600, err);
  explicit_bzero(text, sizeof text);
  return status;
}

int redis_secrets_load(const char *path, struct redis_secrets *ret, struct error *err) {
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  int status = file_read(path, SECRETS_FILE_MAX, &content, err);
  if (status < 0) return error_wrap(err, "cannot attach to the service redis");
  json_t *root = json_loadb(content.data, content.length, 0, NULL);
  struct redis_secrets secrets;
  for (size_t i = 0; i < FIELD_COUNT; i++) {
    const char *value = json_string_value(json_object_get(root, fields[i].name));
    if (!value || strlen(value) != REDIS_PASSWORD_SIZE - 1) {
      json_decref(root);
      return error_set(err, STATUS_USAGE, "%s is no secrets file of this service: no %s", path,
                       fields[i].name);
    }
    memcpy(field_of(&secrets, i), value, REDIS_PASSWORD_SIZE);
  }
  json_decref(root);
  *ret = secrets;
  explicit_bzero(&secrets, sizeof secrets);
  return 0;
}
