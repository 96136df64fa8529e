/* What a service says to the record while it is watched. */
#ifndef GAMEDAY_TELL_H
#define GAMEDAY_TELL_H

#include "gameday/service.h"

/* Both stamp with clock time `now_ns`, in the thread that watches. `text` is cut where an event has
 * no more room. */
void service_event(const struct service_instance *service, uint64_t now_ns, enum event_kind kind,
                   uint16_t host, enum role role, int64_t number, const char *text);
void service_sample(const struct service_instance *service, uint64_t now_ns, enum metric metric,
                    uint16_t host, double value);

#endif
