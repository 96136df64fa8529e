/* Several services, one record: what is said of a whole service says which. */
#include "engine/service_sink.h"
#include "support/test.h"

struct caught {
  struct sink sink; /* first */
  struct event event;
  struct sample sample;
};

static void catch_event(struct sink *sink, const struct event *event) {
  ((struct caught *)(void *)sink)->event = *event;
}

static void catch_sample(struct sink *sink, const struct sample *sample) {
  ((struct caught *)(void *)sink)->sample = *sample;
}

static void test_redundancy_names_the_service(void **state) {
  struct caught caught = {.sink = {.event = catch_event, .sample = catch_sample}};
  struct service_sink it;
  (void)state;
  service_sink_init(&it, &caught.sink, 1);
  const struct event redundant = {.kind = EVENT_REDUNDANT, .host = HOST_NONE, .number = 1};
  it.sink.event(&it.sink, &redundant);
  assert_int_equal(caught.event.number, 1);
  assert_int_equal(caught.event.number2, 2);
}

/* Of a role the second number is the shard, and the host tells the service. */
static void test_all_else_goes_on_as_it_is(void **state) {
  struct caught caught = {.sink = {.event = catch_event, .sample = catch_sample}};
  struct service_sink it;
  (void)state;
  service_sink_init(&it, &caught.sink, 1);
  const struct event role = {.kind = EVENT_ROLE, .host = 4, .number = 7, .number2 = 3};
  it.sink.event(&it.sink, &role);
  assert_memory_equal(&caught.event, &role, sizeof role);
  const struct sample sample = {.time_ns = 5, .value = 0.5, .metric = METRIC_LAG_BYTES, .host = 2};
  it.sink.sample(&it.sink, &sample);
  assert_memory_equal(&caught.sample, &sample, sizeof sample);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_redundancy_names_the_service),
      cmocka_unit_test(test_all_else_goes_on_as_it_is),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
