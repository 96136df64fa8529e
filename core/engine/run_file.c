/* Writes run.json and the resolved scenario. */
#include "engine/run_file.h"

#include <jansson.h>
#include <limits.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/version.h"
#include "engine/modelled.h"
#include "scenario/param.h"

/* Bytes that are no UTF-8 (in a file's name, in a server's words) become question marks: JSON has
 * no place for them, and the text is not to be lost for their sake. */
static json_t *text_json(const char *text) {
  json_t *value = json_string(text);
  if (value) return value;
  CLEANUP_FREE char *plain = strdup(text);
  for (char *c = plain; c && *c; c++)
    if ((unsigned char)*c >= 0x80) *c = '?';
  return plain ? json_string(plain) : NULL;
}

/* The service that planned the host; NULL: none did. */
static const char *service_of(const struct scenario *scenario, const struct host *host) {
  for (uint32_t i = 0; i < scenario->service_count && host->kind == HOST_SERVER; i++) {
    const struct scenario_service *row = &scenario->services[i];
    struct host_spec planned[HOSTS_MAX];
    uint32_t count = 0;
    if (row->service->plan(row->config, planned, &count, NULL) < 0) continue;
    for (uint32_t h = 0; h < count; h++)
      if (strcmp(planned[h].name, host->name) == 0) return row->service->plugin.name;
  }
  return NULL;
}

static json_t *hosts_json(const struct scenario *scenario, const struct cluster *cluster) {
  static const char *const kinds[] = {"server", "client", "monitor"};
  json_t *array = json_array();
  for (uint32_t i = 0; cluster && i < cluster->host_count; i++) {
    const struct host *host = &cluster->hosts[i];
    json_array_append_new(
        array, json_pack("{s:s, s:s, s:s, s:s*}", "name", host->name, "kind", kinds[host->kind],
                         "address", host->address, "service", service_of(scenario, host)));
  }
  return array;
}

static json_t *faults_json(const struct scenario *scenario) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < scenario->timeline_count; i++) {
    const struct timeline_entry *entry = &scenario->timeline[i];
    CLEANUP(buf_release) struct buf target;
    buf_init(&target);
    if (entry->target) target_print(entry->target, &target);
    json_array_append_new(array,
                          json_pack("{s:s, s:s, s:s, s:b}", "name", entry->name, "injector",
                                    entry->injector->plugin.name, "target", target.data, "planned",
                                    (entry->injector->flags & INJECTOR_PLANNED) != 0));
  }
  return array;
}

static json_t *workloads_json(const struct scenario *scenario) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < scenario->workload_count; i++)
    json_array_append_new(array, json_string(scenario->workloads[i].workload->plugin.name));
  return array;
}

/* What else is to be known of each workload, in the same order. */
static json_t *workload_facts_json(const struct scenario *scenario) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < scenario->workload_count; i++) {
    const struct workload *workload = scenario->workloads[i].workload;
    json_array_append_new(array, json_pack("{s:s*, s:b}", "service", workload->service,
                                           "reads_back", workload->final_read != NULL));
  }
  return array;
}

static json_t *services_json(const struct scenario *scenario) {
  json_t *array = json_array();
  for (uint32_t i = 0; i < scenario->service_count; i++)
    json_array_append_new(array, json_string(scenario->services[i].service->plugin.name));
  return array;
}

/* Nothing of the machine matters to virtual time, and the same seed gives the same bytes: there, it
 * is what is modelled. */
static json_t *versions_json(const struct scenario *scenario) {
  struct utsname machine;
  json_t *object = json_object();
  if (scenario->provider->virtual_time) {
    struct modelled_program programs[MODELLED_MAX];
    uint32_t count = modelled_programs(scenario, programs);
    for (uint32_t i = 0; i < count; i++)
      json_object_set_new(object, programs[i].command,
                          json_sprintf("%s (simulated)", programs[i].version));
    return object;
  }
  if (uname(&machine) == 0) {
    json_object_set_new(object, "kernel", json_string(machine.release));
    json_object_set_new(object, "machine", json_string(machine.machine));
  }
  json_object_set_new(object, "processors", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
  return object;
}

int run_file_write(const struct run_file *file, struct error *err) {
  const struct scenario *scenario = file->scenario;
  bool simulated = scenario->provider->virtual_time;
  int failed = 0;
  json_t *root = json_object();
  failed |= json_object_set_new(root, "schema", json_string("gameday/run/v1"));
  failed |= json_object_set_new(root, "id", json_string(file->cluster_id));
  failed |= json_object_set_new(root, "scenario", json_string(scenario->name));
  failed |= json_object_set_new(root, "scenario_file", text_json(scenario->file));
  failed |= json_object_set_new(root, "provider", json_string(scenario->provider->plugin.name));
  failed |= json_object_set_new(root, "seed", json_integer((json_int_t)file->seed));
  failed |=
      json_object_set_new(root, "wall_start_ns", json_integer((json_int_t)file->wall_start_ns));
  failed |= json_object_set_new(root, "monotonic_start_ns",
                                json_integer((json_int_t)file->monotonic_start_ns));
  failed |= json_object_set_new(root, "gameday_version", json_string(GAMEDAY_VERSION));
  failed |= json_object_set_new(root, "versions", versions_json(scenario));
  failed |= json_object_set_new(root, "process", json_integer(simulated ? 0 : getpid()));
  failed |= json_object_set_new(root, "kept", json_boolean(file->kept));
  failed |= json_object_set_new(root, "hosts", hosts_json(scenario, file->cluster));
  failed |= json_object_set_new(root, "faults", faults_json(scenario));
  failed |= json_object_set_new(root, "services", services_json(scenario));
  failed |= json_object_set_new(root, "workloads", workloads_json(scenario));
  failed |= json_object_set_new(root, "workload_facts", workload_facts_json(scenario));
  failed |= json_object_set_new(root, "identity_count", json_integer(file->identity_count));
  failed |= json_object_set_new(root, "dropped", json_integer((json_int_t)file->dropped));
  if (file->finished) {
    failed |= json_object_set_new(root, "operations", json_integer((json_int_t)file->operations));
    failed |= json_object_set_new(root, "samples", json_integer((json_int_t)file->samples));
  }
  failed |= json_object_set_new(root, "finished", json_boolean(file->finished));
  failed |=
      json_object_set_new(root, "stopped_because",
                          file->stopped_because ? text_json(file->stopped_because) : json_null());
  failed |=
      json_object_set_new(root, "outage_min_ns", json_integer((json_int_t)scenario->outage_min_ns));
  failed |= json_object_set_new(root, "latency_bound_ns",
                                json_integer((json_int_t)scenario->latency_bound_ns));
  failed |= json_object_set_new(root, "lag_bound_bytes",
                                json_integer((json_int_t)scenario->lag_bound_bytes));
  failed |= json_object_set_new(root, "load_minimum", json_integer(scenario->load_minimum));
  json_t *facts = file->provider_json ? json_loads(file->provider_json, 0, NULL) : NULL;
  failed |= json_object_set_new(root, "provider_facts", facts ? facts : json_object());
  json_t *settings = file->settings_json ? json_loads(file->settings_json, 0, NULL) : NULL;
  failed |= json_object_set_new(root, "settings", settings ? settings : json_object());
  CLEANUP_FREE char *text = failed ? NULL : json_dumps(root, JSON_INDENT(2));
  json_decref(root);
  if (!text) return error_set(err, STATUS_MEMORY, "out of memory for run.json");
  char path[PATH_MAX];
  int status = path_format(path, sizeof path, err, "%s/run.json", file->run_directory);
  if (status < 0) return status;
  return file_puts(path, text, 0644, err);
}

int run_file_write_scenario(const struct scenario *scenario, const char *run_directory,
                            struct error *err) {
  CLEANUP(buf_release) struct buf yaml;
  buf_init(&yaml);
  int status = scenario_print(scenario, &yaml, err);
  if (status < 0) return status;
  char path[PATH_MAX];
  status = path_format(path, sizeof path, err, "%s/scenario.yaml", run_directory);
  if (status < 0) return status;
  return file_write(path, yaml.data, yaml.length, 0644, err);
}
