/* The service `postgres` on real local hosts: every topology is started, watched and acted on. */
#include "support/test.h"

#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "gameday/driver.h"
#include "support/postgres_fixture.h"

static struct error err;

static void say_times(const struct postgres_fixture *f, const char *what) {
  print_message("%s: hosts up %.2f s, service ready %.2f s\n", what, f->up_s, f->start_s);
}

static bool begin(struct postgres_fixture *f) {
  assert_ok(fixture_init(f, &err), &err);
  if (fixture_probe(f, &err) < 0) {
    print_message("skipped: %s\n", err.message);
    return false;
  }
  return true;
}

/* Calls access->driver's blocking helpers from the monitor's network, as workloads do. */
struct statement_call {
  struct postgres_fixture *fixture;
  const char *text;
  const struct endpoint *endpoint;
};
static int execute(struct service_instance *service, void *data, struct error *error) {
  const struct statement_call *call = data;
  return service->access.driver->execute(&service->access, call->endpoint, call->text,
                                         10 * NS_PER_S, error);
}
static int run_sql(struct postgres_fixture *f, const char *text) {
  struct statement_call call = {.fixture = f, .text = text};
  return postgres_on_monitor(&f->service, execute, &call, &err);
}

static uint8_t primary_of(struct postgres_fixture *f) {
  struct service_view view;
  f->service.service->view(&f->service, &view);
  return view.primary;
}

static void patroni(struct postgres_fixture *f) {
  struct service_view view;
  assert_ok(fixture_up(f, &err), &err);
  assert_ok(fixture_start(f, &err), &err);
  say_times(f, "patroni, 3 hosts");
  const struct service *service = f->service.service;
  assert_ok(run_sql(f, "create schema gameday; create table gameday.t (i int)"), &err);
  assert_ok(run_sql(f, "insert into gameday.t select generate_series(1, 1000)"), &err);

  assert_ok(fixture_watch(f, &err), &err);
  assert_true(fixture_wait_redundant(f, 10 * NS_PER_S));
  uint32_t promoted = fixture_wait_event(f, 0, EVENT_PROMOTED, HOST_NONE, 0);
  assert_int_not_equal(promoted, UINT32_MAX);
  assert_int_not_equal(fixture_wait_event(f, 0, EVENT_LEADER, HOST_NONE, 5 * NS_PER_S), UINT32_MAX);
  service->view(&f->service, &view);
  assert_int_equal(view.primary, view.leader);
  assert_int_equal(f->events[promoted].host, view.primary);
  assert_true(fixture_wait_converged(f, 10 * NS_PER_S));

  /* A switchover to a named replica: the key moves, the timeline rises, all stream again. */
  uint8_t old = view.primary;
  const struct host *target = f->members[(old + 1) % 3];
  uint32_t from = fixture_event_count(f);
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(service->step(&f->service, STEP_SWITCHOVER, target, &err), &err);
  print_message("switchover: %.2f s\n", (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e9);
  uint32_t lost = fixture_wait_event(f, from, EVENT_LEADER_LOST, old, 5 * NS_PER_S);
  assert_int_not_equal(lost, UINT32_MAX);
  assert_int_not_equal(fixture_wait_event(f, lost, EVENT_LEADER, target->index, 5 * NS_PER_S),
                       UINT32_MAX);
  promoted = fixture_wait_event(f, from, EVENT_PROMOTED, target->index, 5 * NS_PER_S);
  assert_int_not_equal(promoted, UINT32_MAX);
  assert_int_equal(f->events[promoted].number, 2);
  assert_true(fixture_wait_converged(f, 60 * NS_PER_S));
  assert_true(fixture_wait_redundant(f, 10 * NS_PER_S));
  assert_int_equal(primary_of(f), target->index);
  assert_true(service->step(&f->service, STEP_SWITCHOVER, target, &err) < 0);

  /* A restart of a replica. */
  from = fixture_event_count(f);
  const struct host *replica = f->members[(target->index + 1) % 3];
  assert_ok(service->step(&f->service, STEP_RESTART, replica, &err), &err);
  assert_int_not_equal(fixture_wait_event(f, from, EVENT_ROLE, replica->index, 5 * NS_PER_S),
                       UINT32_MAX);
  assert_true(fixture_wait_converged(f, 60 * NS_PER_S));
  for (int i = 0; i < METRIC_PROBE_RESOLVE; i++)
    print_message("metric %d: %llu samples\n", i, (unsigned long long)f->samples[i]);
  for (uint32_t i = 0; i < f->event_count; i++)
    print_message("%8.3f %-12s %s %s %lld %s\n", (double)f->events[i].time_ns / 1e9,
                  event_kind_name(f->events[i].kind),
                  f->events[i].host == HOST_NONE ? "-" : f->cluster->hosts[f->events[i].host].name,
                  role_name(f->events[i].role), (long long)f->events[i].number, f->events[i].text);
}

static void test_patroni(void **state) {
  (void)state;
  static struct postgres_fixture f;
  if (!begin(&f)) skip();
  patroni(&f);
  fixture_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_patroni),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
