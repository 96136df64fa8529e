/* Reads run.json: what was run, on which hosts, with which faults. It may be damaged or made by
 * hand, so every value is checked before it is believed. */
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/record_internal.h"

#define RUN_BYTES_MAX ((size_t)16 << 20)
#define OUTAGE_MIN_DEFAULT_NS (500 * NS_PER_MS)

struct run_reader {
  struct record *record;
  const char *path;
};

static int damaged(const struct run_reader *reader, struct error *err, const char *what) {
  return error_set_at(err, reader->path, 0, 0, "%s", what);
}

static void free_json(json_t **json) {
  json_decref(*json);
}

/* An optional string; NULL when it is absent, null or of another type. */
static int get_string(const struct run_reader *reader, const json_t *object, const char *key,
                      const char **ret_text, struct error *err) {
  const char *text = json_string_value(json_object_get(object, key));
  if (!text) return 0;
  *ret_text = arena_strdup(&reader->record->arena, text);
  if (!*ret_text) return error_set(err, STATUS_MEMORY, "out of memory for %s", reader->path);
  return 0;
}

/* An optional whole number in [0, maximum]. */
static int get_integer(const struct run_reader *reader, const json_t *object, const char *key,
                       uint64_t maximum, uint64_t *ret_number, struct error *err) {
  const json_t *value = json_object_get(object, key);
  if (!value || json_is_null(value)) return 0;
  json_int_t number = json_integer_value(value);
  if (!json_is_integer(value) || number < 0 || (uint64_t)number > maximum)
    return error_set_at(err, reader->path, 0, 0, "%s must be a whole number from 0 to %" PRIu64,
                        key, maximum);
  *ret_number = (uint64_t)number;
  return 0;
}

static int get_rate(const struct run_reader *reader, const json_t *object, const char *key,
                    double *ret_rate, struct error *err) {
  const json_t *value = json_object_get(object, key);
  if (!value || json_is_null(value)) return 0;
  double rate = json_number_value(value);
  if (!json_is_number(value) || !(rate >= 0 && rate <= 1e9))
    return error_set_at(err, reader->path, 0, 0, "%s must be operations a second", key);
  *ret_rate = rate;
  return 0;
}

/* The text of a value of any type; NULL when it is absent, null or empty. */
static int get_json(const struct run_reader *reader, const json_t *object, const char *key,
                    const char **ret_text, struct error *err) {
  const json_t *value = json_object_get(object, key);
  if (!json_is_object(value) || json_object_size(value) == 0) return 0;
  CLEANUP_FREE char *text = json_dumps(value, JSON_INDENT(2));
  if (text) *ret_text = arena_strdup(&reader->record->arena, text);
  if (!text || !*ret_text)
    return error_set(err, STATUS_MEMORY, "out of memory for %s", reader->path);
  return 0;
}

static int host_kind_of(const char *name, uint8_t *ret_kind) {
  static const char *const names[] = {
      [HOST_SERVER] = "server", [HOST_CLIENT] = "client", [HOST_MONITOR] = "monitor"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (name && strcmp(name, names[i]) == 0) {
      *ret_kind = (uint8_t)i;
      return 0;
    }
  return -1;
}

/* A host's name is part of a file name. */
static bool is_host_name(const char *name) {
  return name && name[0] && name[0] != '.' && strlen(name) < HOST_NAME_SIZE && !strchr(name, '/');
}

static int service_index(const struct record_info *info, const char *name, uint8_t *ret_index) {
  for (uint32_t i = 0; name && i < info->service_count; i++)
    if (strcmp(info->services[i], name) == 0) {
      *ret_index = (uint8_t)i;
      return 0;
    }
  return -1;
}

/* A record that names none has one, to which everything belongs. */
static int read_services(const struct run_reader *reader, const json_t *services,
                         struct error *err) {
  struct record_info *info = &reader->record->info;
  size_t count = json_array_size(services);
  if ((services && !json_is_array(services)) || count > SERVICES_MAX)
    return damaged(reader, err, "services must be a list of at most 16");
  const char **names = arena_calloc(&reader->record->arena, count + 1, sizeof *names);
  if (!names) return error_set(err, STATUS_MEMORY, "out of memory for %s", reader->path);
  names[0] = "";
  for (size_t i = 0; i < count; i++) {
    const char *name = json_string_value(json_array_get(services, i));
    if (!name) return damaged(reader, err, "a service's name must be text");
    names[i] = arena_strdup(&reader->record->arena, name);
    if (!names[i]) return error_set(err, STATUS_MEMORY, "out of memory for %s", reader->path);
  }
  info->services = names;
  info->service_count = count > 0 ? (uint32_t)count : 1;
  return 0;
}

/* Of what a record does not say it is assumed that it is of the first service, and is read back. */
static int read_workload(const struct run_reader *reader, const json_t *name, const json_t *facts,
                         struct workload_info *ret, struct error *err) {
  struct workload_info workload = {.name = "", .reads_back = true};
  const char *text = json_string_value(name);
  if (text) workload.name = arena_strdup(&reader->record->arena, text);
  if (!workload.name) return error_set(err, STATUS_MEMORY, "out of memory for %s", reader->path);
  const char *service = json_string_value(json_object_get(facts, "service"));
  if (service && service_index(&reader->record->info, service, &workload.service) < 0)
    return damaged(reader, err, "a workload's service is not in services");
  if (json_is_false(json_object_get(facts, "reads_back"))) workload.reads_back = false;
  *ret = workload;
  return 0;
}

static int read_workloads(const struct run_reader *reader, const json_t *names, const json_t *facts,
                          struct error *err) {
  struct record_info *info = &reader->record->info;
  size_t count = json_array_size(names);
  if (count > WORKLOADS_MAX) return damaged(reader, err, "workloads must be a list of at most 64");
  struct workload_info *list = arena_calloc(&reader->record->arena, count + 1, sizeof *list);
  if (!list) return error_set(err, STATUS_MEMORY, "out of memory for %s", reader->path);
  for (size_t i = 0; i < count; i++) {
    int status =
        read_workload(reader, json_array_get(names, i), json_array_get(facts, i), &list[i], err);
    if (status < 0) return status;
  }
  info->workloads = list;
  info->workload_count = (uint32_t)count;
  return 0;
}

/* Clients and the monitor belong to no service; a server of which nothing is told, to the first. */
static int read_host_service(const struct run_reader *reader, const json_t *host, uint8_t kind,
                             uint8_t *ret_service, struct error *err) {
  const char *service = json_string_value(json_object_get(host, "service"));
  *ret_service = kind == HOST_SERVER ? 0 : SERVICE_NONE;
  if (service && service_index(&reader->record->info, service, ret_service) < 0)
    return damaged(reader, err, "a host's service is not in services");
  return 0;
}

static int read_hosts(const struct run_reader *reader, const json_t *hosts, struct error *err) {
  struct record_info *info = &reader->record->info;
  size_t count = json_array_size(hosts);
  if (!json_is_array(hosts) || count > HOSTS_MAX)
    return damaged(reader, err, "hosts must be a list of at most 1024");
  const char **names = arena_calloc(&reader->record->arena, count + 1, sizeof *names);
  uint8_t *kinds = arena_calloc(&reader->record->arena, count + 1, sizeof *kinds);
  uint8_t *services = arena_calloc(&reader->record->arena, count + 1, sizeof *services);
  if (!names || !kinds || !services)
    return error_set(err, STATUS_MEMORY, "out of memory for %s", reader->path);
  for (size_t i = 0; i < count; i++) {
    const json_t *host = json_array_get(hosts, i);
    int status = get_string(reader, host, "name", &names[i], err);
    if (status < 0) return status;
    if (!is_host_name(names[i])) return damaged(reader, err, "a host has no usable name");
    if (host_kind_of(json_string_value(json_object_get(host, "kind")), &kinds[i]) < 0)
      return damaged(reader, err, "a host's kind must be server, client or monitor");
    status = read_host_service(reader, host, kinds[i], &services[i], err);
    if (status < 0) return status;
    for (size_t j = 0; j < i; j++)
      if (strcmp(names[i], names[j]) == 0)
        return damaged(reader, err, "two hosts have the same name");
  }
  info->hosts = names;
  info->host_kinds = kinds;
  info->host_services = services;
  info->host_count = (uint32_t)count;
  return 0;
}

static int read_faults(const struct run_reader *reader, const json_t *faults, struct error *err) {
  struct record_info *info = &reader->record->info;
  size_t count = json_array_size(faults);
  if (!json_is_array(faults) || count > RECORD_FAULTS_MAX)
    return damaged(reader, err, "faults must be a list of at most 10000");
  struct fault_info *array = arena_calloc(&reader->record->arena, count + 1, sizeof *array);
  if (!array) return error_set(err, STATUS_MEMORY, "out of memory for %s", reader->path);
  for (size_t i = 0; i < count; i++) {
    const json_t *fault = json_array_get(faults, i);
    array[i] = (struct fault_info){.injector = "",
                                   .name = "",
                                   .target = "",
                                   .host = HOST_NONE,
                                   .planned = json_is_true(json_object_get(fault, "planned")),
                                   .planned_ns = TIME_NEVER,
                                   .journaled_ns = TIME_NEVER,
                                   .injected_ns = TIME_NEVER,
                                   .confirmed_ns = TIME_NEVER,
                                   .healed_ns = TIME_NEVER,
                                   .heal_confirmed_ns = TIME_NEVER};
    int status = get_string(reader, fault, "injector", &array[i].injector, err);
    if (status == 0) status = get_string(reader, fault, "name", &array[i].name, err);
    if (status == 0) status = get_string(reader, fault, "target", &array[i].target, err);
    if (status < 0) return status;
  }
  info->faults = reader->record->files->faults = array;
  info->fault_count = (uint32_t)count;
  return 0;
}

static int read_numbers(const struct run_reader *reader, const json_t *root, struct error *err) {
  struct record *record = reader->record;
  struct record_info *info = &record->info;
  uint64_t identities = 0, minimum = 0;
  info->outage_min_ns = OUTAGE_MIN_DEFAULT_NS;
  /* 64 random bits, printed as the signed number that JSON libraries keep. */
  record->seed = (uint64_t)json_integer_value(json_object_get(root, "seed"));
  int status = get_integer(reader, root, "wall_start_ns", INT64_MAX, &record->wall_start_ns, err);
  if (status == 0)
    status = get_integer(reader, root, "identity_count", RECORD_IDENTITY_MAX, &identities, err);
  if (status == 0) status = get_integer(reader, root, "dropped", INT64_MAX, &record->dropped, err);
  record->operations_written = record->samples_written = UINT64_MAX;
  if (status == 0)
    status = get_integer(reader, root, "operations", INT64_MAX, &record->operations_written, err);
  if (status == 0)
    status = get_integer(reader, root, "samples", INT64_MAX, &record->samples_written, err);
  if (status == 0)
    status = get_integer(reader, root, "outage_min_ns", RECORD_TIME_MAX, &info->outage_min_ns, err);
  if (status == 0)
    status = get_integer(reader, root, "lag_bound_bytes", INT64_MAX, &info->lag_bound_bytes, err);
  if (status == 0)
    status = get_integer(reader, root, "latency_bound_ns", RECORD_TIME_MAX, &info->latency_bound_ns,
                         err);
  if (status == 0) status = get_integer(reader, root, "load_minimum", UINT32_MAX, &minimum, err);
  if (status == 0) status = get_rate(reader, root, "write_rate", &info->write_rate, err);
  if (status == 0) status = get_rate(reader, root, "read_rate", &info->read_rate, err);
  if (status < 0) return status;
  info->identity_count = (uint32_t)identities;
  record->load_minimum = info->load_minimum = (uint32_t)minimum;
  record->finished = json_is_true(json_object_get(root, "finished"));
  info->holes = record->dropped > 0;
  info->complete = record->finished && !info->holes;
  if (info->outage_min_ns == 0) info->outage_min_ns = 1;
  return 0;
}

static int read_texts(const struct run_reader *reader, const json_t *root, struct error *err) {
  struct record *record = reader->record;
  record->id = record->scenario = record->scenario_file = record->provider = "";
  record->gameday_version = "";
  int status = get_string(reader, root, "id", &record->id, err);
  if (status == 0) status = get_string(reader, root, "scenario", &record->scenario, err);
  if (status == 0) status = get_string(reader, root, "scenario_file", &record->scenario_file, err);
  if (status == 0) status = get_string(reader, root, "provider", &record->provider, err);
  if (status == 0)
    status = get_string(reader, root, "gameday_version", &record->gameday_version, err);
  if (status == 0)
    status = get_string(reader, root, "stopped_because", &record->stopped_because, err);
  if (status == 0) status = get_json(reader, root, "settings", &record->settings_json, err);
  if (status == 0) status = get_json(reader, root, "versions", &record->versions_json, err);
  return status;
}

int record_read_run(struct record *record, struct error *err) {
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/run.json", record->directory);
  if (status < 0) return status;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  if (!file_exists(path))
    return error_set(err, STATUS_USAGE, "%s is not there: %s is no run directory", path,
                     record->directory);
  status = file_read_regular(path, RUN_BYTES_MAX, &text, err);
  if (status < 0) return status;
  json_error_t place;
  CLEANUP(free_json)
  json_t *root = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &place);
  if (!root) return error_set_at(err, path, place.line, place.column, "%s", place.text);
  struct run_reader reader = {.record = record, .path = path};
  const char *schema = json_string_value(json_object_get(root, "schema"));
  if (!schema || strcmp(schema, "gameday/run/v1") != 0)
    return damaged(&reader, err, "schema is not gameday/run/v1");
  status = read_services(&reader, json_object_get(root, "services"), err);
  if (status == 0) status = read_hosts(&reader, json_object_get(root, "hosts"), err);
  if (status == 0)
    status = read_workloads(&reader, json_object_get(root, "workloads"),
                            json_object_get(root, "workload_facts"), err);
  if (status == 0) status = read_faults(&reader, json_object_get(root, "faults"), err);
  if (status == 0) status = read_numbers(&reader, root, err);
  if (status == 0) status = read_texts(&reader, root, err);
  return status;
}
