/* A replica that has come back from a power cut is redundant when it streams, not when it answers:
 * on real local hosts, in synchronous mode. */
#include "support/test.h"

#include <poll.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "support/postgres_fixture.h"

static struct error err;
static struct postgres_fixture f;

/* The primary's end of the connection: how long it takes to learn that the replica's host went down
 * depends on when TCP sends again. Frozen, it does not learn it before it is thawed. */
static const struct process_match sender = {.program = "postgres", .argument = "walsender"};

/* How often `text` stands in a host's log. */
static uint32_t log_count(const struct host *host, const char *text) {
  char path[256];
  uint32_t count = 0;
  CLEANUP(buf_release) struct buf log;
  buf_init(&log);
  snprintf(path, sizeof path, "%s/logs/%s/patroni.log", f.directory, host->name);
  assert_ok(file_read(path, 64u << 20, &log, &err), &err);
  for (const char *at = log.data; (at = strstr(at, text)); at++) count++;
  return count;
}

static void await_log(const struct host *host, const char *text, uint32_t count) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + 30 * NS_PER_S;
  while (log_count(host, text) < count) {
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      fail_msg("%s: '%s' not %u times", host->name, text, count);
    poll(NULL, 0, 20); /* a log can only be read again */
  }
}

static uint32_t wait_event(uint32_t from, enum event_kind kind, uint8_t host) {
  uint32_t found = fixture_wait_event(&f, from, kind, host, 60 * NS_PER_S);
  assert_int_not_equal(found, UINT32_MAX);
  return found;
}

static void begin(void) {
  assert_ok(fixture_init(&f, &err), &err);
  if (fixture_probe(&f, &err) < 0) {
    print_message("skipped: %s\n", err.message);
    skip();
  }
  static struct setting retry = {.name = "wal_retrieve_retry_interval", .value = "500ms"};
  f.config.parameters = (struct settings){.items = &retry, .count = 1};
  f.config.instances = 2;
  f.config.synchronous_mode = true;
  f.config.ttl_ns = 20 * NS_PER_S;
  f.config.loop_wait_ns = 2 * NS_PER_S;
  f.config.retry_timeout_ns = 5 * NS_PER_S;
  assert_ok(fixture_up(&f, &err), &err);
  assert_ok(fixture_start(&f, &err), &err);
  assert_ok(fixture_watch(&f, &err), &err);
  assert_true(fixture_wait_redundant(&f, 10 * NS_PER_S));
}

static double seconds(uint32_t event, uint32_t since) {
  return ((double)f.events[event].time_ns - (double)f.events[since].time_ns) / 1e9;
}

static void test_a_replica_that_answers_but_does_not_stream_is_not_redundant(void **state) {
  (void)state;
  begin();
  const struct provider *provider = f.cluster->provider;
  struct service_view view;
  f.service.service->view(&f.service, &view);
  const struct host *primary = fixture_host(&f, view.primary);
  const struct host *replica = f.members[primary == f.members[0] ? 1 : 0];
  uint32_t streamed = log_count(replica, "started streaming WAL");
  uint32_t from = fixture_event_count(&f);

  assert_ok(provider->host_stop(f.cluster, replica, &err), &err);
  assert_ok(provider->freeze(f.cluster, primary, &sender, true, &err), &err);
  uint32_t gone = wait_event(from, EVENT_REDUNDANT, HOST_NONE);
  assert_int_equal(f.events[gone].number, 0);
  assert_ok(provider->host_start(f.cluster, replica, &err), &err);

  /* It answers, the primary still shows the old row, and the slot is the old sender's. */
  uint32_t answers = wait_event(gone, EVENT_ROLE, replica->index);
  assert_int_equal(f.events[answers].role, ROLE_REPLICA);
  await_log(primary, "is active for PID", 3);
  assert_int_equal(log_count(replica, "started streaming WAL"), streamed);
  assert_int_equal(fixture_wait_event(&f, gone + 1, EVENT_REDUNDANT, HOST_NONE, 0), UINT32_MAX);

  assert_ok(provider->freeze(f.cluster, primary, &sender, false, &err), &err);
  uint32_t back = wait_event(gone + 1, EVENT_REDUNDANT, HOST_NONE);
  assert_true(log_count(replica, "started streaming WAL") > streamed);
  assert_int_equal(f.events[back].number, 1);
  print_message(
      "redundancy lost at 0 s; the replica answers at %.2f s, is turned away %u times, "
      "and all is redundant at %.2f s\n",
      seconds(answers, gone), log_count(primary, "is active for PID"), seconds(back, gone));
  /* 2 is sync: a write that waits for the replica is acknowledged. */
  assert_true(f.last[METRIC_SYNC_STATE][replica->index] >= 2);
  assert_ok(fixture_sql(&f, "create table t (i int)", &err), &err);
}

static int end(void **state) {
  (void)state;
  fixture_down(&f);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_a_replica_that_answers_but_does_not_stream_is_not_redundant,
                                end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
