/* Finds in the recorded settings {"SERVICE": {"bounds": {"failover_time_s": 42, "because": "...",
 * "INJECTOR": {the same}}}} the bounds for the injectors of a run. */
#include "report/bounds.h"

#include <jansson.h>
#include <string.h>

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

static bool named_before(const struct record_info *info, uint32_t index) {
  for (uint32_t i = 0; i < index; i++) {
    if (strcmp(info->faults[i].injector, info->faults[index].injector) == 0) return true;
  }
  return false;
}

json_t *recorded_json(const char *text) {
  return text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
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
      if (named_before(info, i)) continue;
      bound_tell(service, info->faults[i].injector, bounds, each, data);
    }
  }
  json_decref(root);
  return true;
}
