/* A sink that adds the service. */
#include "engine/service_sink.h"

static void take_event(struct sink *sink, const struct event *event) {
  const struct service_sink *it = (const struct service_sink *)(const void *)sink;
  struct event told = *event;
  if (told.kind == EVENT_REDUNDANT) told.number2 = it->service + 1;
  it->inner->event(it->inner, &told);
}

static void take_sample(struct sink *sink, const struct sample *sample) {
  const struct service_sink *it = (const struct service_sink *)(const void *)sink;
  it->inner->sample(it->inner, sample);
}

void service_sink_init(struct service_sink *it, struct sink *inner, uint8_t service) {
  *it = (struct service_sink){
      .sink = {.event = take_event, .sample = take_sample}, .inner = inner, .service = service};
}
