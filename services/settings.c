/* Building and printing of settings as JSON. */
#include "services/settings.h"

#include <stdlib.h>

json_t *settings_bound(double seconds, const char *because) {
  return json_pack("{s:f, s:s}", "failover_time_s", seconds, "because", because);
}

int settings_put_host(json_t *hosts, const char *name, bool primary, const char *version,
                      json_t *parameters) {
  return json_object_set_new(hosts, name,
                             json_pack("{s:s, s:s, s:o}", "role", primary ? "primary" : "replica",
                                       "server_version", version, "parameters", parameters));
}

int settings_print(json_t *root, struct buf *json, struct error *err) {
  char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
  json_decref(root);
  if (!text) return error_set(err, STATUS_MEMORY, "out of memory for settings");
  buf_puts(json, text);
  free(text);
  return buf_ok(json, err);
}

int settings_collect(struct service_instance *service, const struct host *monitor,
                     monitor_call *collect, struct buf *json, struct error *err) {
  json_t *root = json_object();
  if (!root) return error_set(err, STATUS_MEMORY, "out of memory for settings");
  int status = service_on_monitor(service, monitor, collect, root, err);
  if (status == 0) return settings_print(root, json, err);
  json_decref(root);
  return status;
}
