/* Where each of several services puts what it sees: what is said of a whole service, and of no
 * host, gets the service's number on its way into the record. */
#ifndef GAMEDAY_ENGINE_SERVICE_SINK_H
#define GAMEDAY_ENGINE_SERVICE_SINK_H

#include "gameday/event.h"

struct service_sink {
  struct sink sink; /* first */
  struct sink *inner;
  uint8_t service; /* index in the scenario */
};
/* `inner` is borrowed; any thread may use the sink afterwards. */
void service_sink_init(struct service_sink *it, struct sink *inner, uint8_t service);

#endif
