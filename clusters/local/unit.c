/* Units: daemons of a host. Their definitions are in the world, so that they vanish with it and are
 * found by every process that attaches; each runs in a control group of its own. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "local.h"

static void cleanup_json(json_t **json) {
  json_decref(*json);
}

static int units_path(const struct local_cluster *lc, const struct host *host, char *path,
                      struct error *err) {
  return local_world_path(lc, path, err, "units/%s/units.json", host->name);
}

static int units_read(const struct local_cluster *lc, const struct host *host, json_t **ret,
                      struct error *err) {
  char path[PATH_MAX];
  int status = units_path(lc, host, path, err);
  if (status < 0) return status;
  CLEANUP(cleanup_json) json_t *units = NULL;
  if (file_exists(path)) {
    CLEANUP(buf_release) struct buf text;
    buf_init(&text);
    status = file_read(path, 4u << 20, &text, err);
    if (status < 0) return status;
    units = json_loadb(text.data, text.length, 0, NULL);
  } else {
    units = json_array();
  }
  if (!json_is_array(units))
    return error_set(err, STATUS_INTERNAL, "the units of host %s are damaged", host->name);
  *ret = json_incref(units);
  return 0;
}

/* NULL when memory ran out. */
static json_t *strings_json(const char *const *strings) {
  json_t *list = json_array();
  for (; strings && *strings; strings++) {
    if (json_array_append_new(list, json_string(*strings)) == 0) continue;
    json_decref(list);
    return NULL;
  }
  return list;
}

static json_t *unit_find(json_t *units, const char *name) {
  size_t i;
  json_t *unit;
  json_array_foreach(units, i, unit) {
    const char *known = json_string_value(json_object_get(unit, "name"));
    if (known && strcmp(known, name) == 0) return unit;
  }
  return NULL;
}

static bool name_valid(const char *name) {
  size_t length = strlen(name);
  return length > 0 && length < 64 &&
         strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static int define_locked(struct local_cluster *lc, const struct host *host,
                         const struct host_unit *unit, struct error *err) {
  CLEANUP(cleanup_json) json_t *units = NULL;
  int status = units_read(lc, host, &units, err);
  if (status < 0) return status;
  CLEANUP(cleanup_json)
  json_t *entry = json_pack("{s:s, s:s, s:o, s:o, s:b}", "name", unit->name, "user",
                            unit->user ? unit->user : "root", "argv", strings_json(unit->argv),
                            "env", strings_json(unit->env), "by_hand", unit->by_hand);
  json_t *known = unit_find(units, unit->name);
  int result = !entry  ? -1
               : known ? json_object_update(known, entry)
                       : json_array_append(units, entry);
  CLEANUP_FREE char *text = result == 0 ? json_dumps(units, JSON_COMPACT) : NULL;
  if (!text) return error_set(err, STATUS_MEMORY, "unit %s cannot be written down", unit->name);
  char path[PATH_MAX];
  status = units_path(lc, host, path, err);
  return status < 0 ? status : file_puts(path, text, 0600, err);
}

int local_unit_define(struct cluster *cluster, const struct host *host,
                      const struct host_unit *unit, struct error *err) {
  if (!name_valid(unit->name) || !unit->argv || !unit->argv[0] || unit->argv[0][0] != '/')
    return error_set(err, STATUS_USAGE, "unit '%s' has a bad name or no absolute program",
                     unit->name);
  struct local_host *lh = local_host_of(cluster, host);
  pthread_mutex_lock(&lh->lock);
  int status = define_locked(local_of(cluster), host, unit, err);
  pthread_mutex_unlock(&lh->lock);
  return status;
}

/* The process that the unit's program became; false when it has ended. */
static bool main_process(const struct local_cluster *lc, const struct host *host, const char *name,
                         struct local_proc *ret) {
  char path[PATH_MAX];
  if (local_world_path(lc, path, NULL, "units/%s/%s.pid", host->name, name) < 0) return false;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  if (file_read(path, 64, &text, NULL) < 0) return false;
  pid_t inner = (pid_t)strtol(text.data, NULL, 10);
  if (path_format(path, sizeof path, NULL, "%s/gameday-%s/%s/unit-%s", lc->cgroups.main, lc->id,
                  host->name, name) < 0)
    return false;
  CLEANUP(local_pids_release) struct local_pids pids = {0};
  if (local_cgroup_pids(path, &pids, NULL) < 0) return false;
  for (uint32_t i = 0; i < pids.count; i++)
    if (local_proc_read(pids.items[i], ret) && ret->inner == inner) return true;
  return false;
}

static int add_strings(struct local_enter *enter, const char *option, json_t *list) {
  size_t i;
  json_t *text;
  json_array_foreach(list, i, text) {
    if (!json_is_string(text)) return -1;
    if (option) local_enter_add(enter, option);
    local_enter_add(enter, json_string_value(text));
  }
  return 0;
}

int local_unit_failed(const struct process_result *result, struct error *err) {
  size_t length = strcspn(result->err.data, "\n");
  if (length > 0) return error_set(err, STATUS_SERVER, "%.*s", (int)length, result->err.data);
  return error_set(err, STATUS_SERVER, "its start ended with exit code %d and said nothing",
                   result->exit_code);
}

static int start_entry(struct local_cluster *lc, struct local_host *lh, json_t *unit,
                       struct error *err) {
  const char *name = json_string_value(json_object_get(unit, "name"));
  const char *user = json_string_value(json_object_get(unit, "user"));
  struct local_proc running;
  if (!name || !user)
    return error_set(err, STATUS_INTERNAL, "the units of host %s are damaged", lh->host->name);
  if (main_process(lc, lh->host, name, &running)) return 0;
  CLEANUP_FREE struct local_enter *enter = calloc(1, sizeof *enter);
  if (!enter) return error_set(err, STATUS_MEMORY, "out of memory");
  char log[PATH_MAX], pid[PATH_MAX];
  int status = local_enter_init(enter, lc, lh, name, err);
  if (status == 0)
    status = path_format(log, sizeof log, err, "%s/logs/%s/%s.log", lc->run_directory,
                         lh->host->name, name);
  if (status == 0) status = local_world_path(lc, pid, err, "units/%s/%s.pid", lh->host->name, name);
  if (status < 0) return status;
  const char *const options[] = {"--detach", "--user", user, "--log", log};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) local_enter_add(enter, options[i]);
  bool bad = add_strings(enter, "--env", json_object_get(unit, "env")) < 0;
  local_enter_add(enter, "--");
  bad = add_strings(enter, NULL, json_object_get(unit, "argv")) < 0 || bad;
  if (enter->full || bad)
    return error_set(err, STATUS_USAGE, "unit %s has too many arguments", name);
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  struct process_spec spec = {.argv = enter->argv, .timeout_ns = LOCAL_WAIT_NS};
  status = local_world_run(lc, &spec, &result, err);
  if (status < 0) return status;
  if (result.exit_code != 0) return local_unit_failed(&result, err);
  return file_puts(pid, result.out.data, 0600, err);
}

static int start_wrapped(struct local_cluster *lc, struct local_host *lh, json_t *unit,
                         struct error *err) {
  int status = start_entry(lc, lh, unit, err);
  if (status == 0) return 0;
  return error_wrap(err, "start %s on host %s", json_string_value(json_object_get(unit, "name")),
                    lh->host->name);
}

int local_units_start(struct local_cluster *lc, struct local_host *lh, struct error *err) {
  CLEANUP(cleanup_json) json_t *units = NULL;
  int status = units_read(lc, lh->host, &units, err);
  if (status < 0) return status;
  size_t i;
  json_t *unit;
  json_array_foreach(units, i, unit) {
    if (json_is_true(json_object_get(unit, "by_hand"))) continue;
    status = start_wrapped(lc, lh, unit, err);
    if (status < 0) return status;
  }
  return 0;
}

static int start_locked(struct local_cluster *lc, struct local_host *lh, const char *name,
                        struct error *err) {
  CLEANUP(cleanup_json) json_t *units = NULL;
  int status = units_read(lc, lh->host, &units, err);
  if (status < 0) return status;
  json_t *unit = unit_find(units, name);
  if (!unit) return error_set(err, STATUS_USAGE, "host %s has no unit '%s'", lh->host->name, name);
  return start_wrapped(lc, lh, unit, err);
}

int local_unit_start(struct cluster *cluster, const struct host *host, const char *name,
                     struct error *err) {
  struct local_host *lh = local_host_of(cluster, host);
  pthread_mutex_lock(&lh->lock);
  int status = start_locked(local_of(cluster), lh, name, err);
  pthread_mutex_unlock(&lh->lock);
  return status;
}

int local_unit_running(struct cluster *cluster, const struct host *host, const char *name,
                       bool *ret_running, struct error *err) {
  (void)err;
  struct local_proc proc;
  *ret_running = main_process(local_of(cluster), host, name, &proc);
  return 0;
}
