/* Events and samples of services. */
#include "gameday/tell.h"

#include <stdio.h>

void service_event(const struct service_instance *service, uint64_t now_ns, enum event_kind kind,
                   uint16_t host, enum role role, int64_t number, const char *text) {
  struct event event = {.time_ns = now_ns - service->start_ns,
                        .kind = kind,
                        .fault = FAULT_NONE,
                        .host = host,
                        .role = (uint8_t)role,
                        .number = number};
  snprintf(event.text, sizeof event.text, "%s", text);
  service->sink->event(service->sink, &event);
}

void service_sample(const struct service_instance *service, uint64_t now_ns, enum metric metric,
                    uint16_t host, double value) {
  const struct sample sample = {.time_ns = now_ns - service->start_ns,
                                .value = value,
                                .metric = (uint16_t)metric,
                                .host = host};
  service->sink->sample(service->sink, &sample);
}
