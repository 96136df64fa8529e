/* Finds in the recorded settings {"SERVICE": {"bounds": {"failover_time_s": 42, "because": "...",
 * "INJECTOR": {the same}}}} the bounds for the injectors of a run. */
#include "report/bounds.h"

#include <jansson.h>
#include <string.h>

#include "report/facts.h"

static void bound_tell(const char *service, const char *injector, const json_t *bounds,
                       bounds_each_fn *each, void *data) {
  const json_t *own = json_object_get(bounds, injector);
  if (!json_is_object(own)) own = bounds;
  const json_t *seconds = json_object_get(own, "failover_time_s");
  const json_t *because = json_object_get(own, "because");
  if (!seconds && !because) return;
  struct settings_bound bound = {.service = service,
                                 .injector = injector,
                                 .known = json_is_number(seconds),
                                 .seconds = json_number_value(seconds),
                                 .because = json_string_value(because)};
  if (!bound.because) bound.because = "";
  each(data, &bound);
}

/* Whether there was, or may have been, a failover of the service after the fault. */
static bool may_fail_over(const struct run_result *result, uint32_t fault, const char *service) {
  const struct record_info *info = &result->info;
  uint16_t host = info->faults[fault].host;
  if (info->service_count > 1 && host < info->host_count) {
    uint8_t of = info->host_services[host];
    if (of < info->service_count && strcmp(info->services[of], service) != 0) return false;
  }
  const struct measure *time = facts_measure(result, "failover_time", (int32_t)fault);
  if (!time) return true;
  return time->known ? time->value > 0 : !time->not_applicable;
}

static bool told_before(const struct run_result *result, uint32_t index, const char *service) {
  const struct fault_info *faults = result->info.faults;
  for (uint32_t i = 0; i < index; i++) {
    if (strcmp(faults[i].injector, faults[index].injector) == 0 &&
        may_fail_over(result, i, service))
      return true;
  }
  return false;
}

json_t *recorded_json(const char *text) {
  return text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
}

const json_t *recorded_parameter(const json_t *parameter) {
  const json_t *value = json_object_get(parameter, "value");
  return value ? value : parameter;
}

bool bounds_each(const struct run_result *result, bounds_each_fn *each, void *data) {
  const struct record_info *info = &result->info;
  json_t *root = recorded_json(result->settings_json);
  if (result->settings_json && !root) return false;
  const char *service;
  json_t *settings;
  json_object_foreach(root, service, settings) {
    const json_t *bounds = json_object_get(settings, "bounds");
    for (uint32_t i = 0; json_is_object(bounds) && i < info->fault_count; i++) {
      if (!may_fail_over(result, i, service) || told_before(result, i, service)) continue;
      bound_tell(service, info->faults[i].injector, bounds, each, data);
    }
  }
  json_decref(root);
  return true;
}
