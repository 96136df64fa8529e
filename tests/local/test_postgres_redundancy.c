/* A replica that has come back from a power cut is redundant when it streams, not when it answers:
 * on real local hosts, in synchronous mode. */
#include "support/test.h"

#include <poll.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "services/postgres.h"
#include "support/service_fixture.h"

extern const struct service service_postgres;

static struct error err;
static struct service_fixture f;

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

static uint32_t wait_event(uint32_t from, enum event_kind kind, uint16_t host) {
  return service_fixture_wait_event(&f, from, kind, host, 60 * NS_PER_S);
}

static void begin(void) {
  service_fixture_begin(&f, &service_postgres);
  struct postgres_config *config = f.config;
  static struct setting retry = {.name = "wal_retrieve_retry_interval", .value = "500ms"};
  config->parameters = (struct settings){.items = &retry, .count = 1};
  config->instances = 2;
  config->synchronous_mode = true;
  config->ttl_ns = 20 * NS_PER_S;
  config->loop_wait_ns = 2 * NS_PER_S;
  config->retry_timeout_ns = 5 * NS_PER_S;
  service_fixture_start(&f, "patroni, 2 hosts, synchronous");
  service_fixture_watch(&f);
}

static double seconds(uint32_t event, uint32_t since) {
  return ((double)f.events[event].time_ns - (double)f.events[since].time_ns) / 1e9;
}

static void test_a_replica_that_answers_but_does_not_stream_is_not_redundant(void **state) {
  (void)state;
  begin();
  const struct provider *provider = f.cluster->provider;
  const struct host *primary = service_fixture_host(&f, service_fixture_primary(&f));
  const struct host *replica = f.members[primary == f.members[0] ? 1 : 0];
  uint32_t streamed = log_count(replica, "started streaming WAL");
  uint32_t from = service_fixture_event_count(&f);

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
  assert_int_equal(service_fixture_find_event(&f, gone + 1, EVENT_REDUNDANT, HOST_NONE, 0),
                   UINT32_MAX);

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
  service_fixture_execute(&f, "create table t (i int)");
}

static int end(void **state) {
  (void)state;
  service_fixture_down(&f);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_a_replica_that_answers_but_does_not_stream_is_not_redundant,
                                end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
