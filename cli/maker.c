/* Reads who made a cluster. */
#include "maker.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"

static void copy(const json_t *run, const char *key, char *text, size_t size) {
  const char *value = json_string_value(json_object_get(run, key));
  snprintf(text, size, "%s", value && strlen(value) < size ? value : "");
}

int maker_read(const char *run_directory, struct maker *ret, struct error *err) {
  char path[PATH_MAX];
  json_error_t where;
  int status = path_format(path, sizeof path, err, "%s/run.json", run_directory);
  if (status < 0) return status;
  if (!file_exists(path))
    return error_set(err, STATUS_USAGE, "%s is not there: %s is no run directory", path,
                     run_directory);
  json_t *run = json_load_file(path, 0, &where);
  if (!run)
    return error_set(err, STATUS_USAGE, "%s is no run directory: %s: %s", run_directory, path,
                     where.text);
  struct maker maker = {.kept = json_is_true(json_object_get(run, "kept")),
                        .finished = json_is_true(json_object_get(run, "finished")),
                        .process = (pid_t)json_integer_value(json_object_get(run, "process"))};
  copy(run, "id", maker.id, sizeof maker.id);
  copy(run, "provider", maker.provider, sizeof maker.provider);
  copy(run, "scenario", maker.scenario, sizeof maker.scenario);
  json_decref(run);
  *ret = maker;
  return 0;
}

bool maker_is_busy(const struct maker *maker) {
  if (maker->kept || maker->finished || maker->process <= 0) return false;
  return kill(maker->process, 0) == 0 || errno == EPERM;
}
