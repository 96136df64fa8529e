/* The timeline in virtual time, on a cluster in memory: when faults begin, whom they hit, what is
 * told of them. What goes wrong is in test_timeline_failures.c. */
#include "base/file.h"
#include "support/faults.h"
#include "support/test.h"

/* --- when ------------------------------------------------------------------------------------ */

static void test_a_fault_goes_through_all_its_states(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_primary, 5, 20);
  faults_begin(f);
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  faults_assert_at(f, EVENT_FAULT_PLANNED, 0, 0);
  faults_assert_at(f, EVENT_FAULT_JOURNALED, 0, 5);
  faults_assert_at(f, EVENT_FAULT_INJECTED, 0, 5);
  faults_assert_at(f, EVENT_FAULT_CONFIRMED, 0, 5);
  faults_assert_at(f, EVENT_FAULT_HEALED, 0, 25);
  faults_assert_at(f, EVENT_FAULT_HEAL_CONFIRMED, 0, 25);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host, 0);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->fault, 0);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_UNCONFIRMED), 0);
  assert_int_equal(faults_open(f), 0);
}

/* The event was of now, without the time for which the fault is planned. */
static void test_planned_event_says_for_when(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_primary, 5, 1);
  faults_add(f, &faults_power, faults_primary, 3, 1)->after_recovery = true;
  faults_begin(f);
  faults_go_on(f, 300);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_PLANNED, 0)->number, 15 * NS_PER_S);
  const struct event *second = fake_event(&f->fake, EVENT_FAULT_PLANNED, 1);
  assert_int_equal(second->number, second->time_ns + 3 * NS_PER_S);
  faults_assert_at(f, EVENT_FAULT_INJECTED, 1, (double)second->number / 1e9 - 10);
}

static double first_injection(uint64_t seed) {
  struct faults *f = NULL;
  faults_setup((void **)&f);
  f->seed = seed;
  faults_add(f, &faults_power, faults_primary, 5, 1)->jitter_ns = 30 * NS_PER_S;
  faults_begin(f);
  faults_go_on(f, 300);
  double at = faults_when(f, EVENT_FAULT_INJECTED, 0);
  faults_teardown((void **)&f);
  return at;
}

static void test_jitter_comes_from_the_seed(void **state) {
  (void)state;
  double least = 1e9, most = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    double at = first_injection(seed);
    assert_true(at == first_injection(seed));
    assert_true(at >= 5 && at < 35.001);
    if (at < least) least = at;
    if (at > most) most = at;
  }
  assert_true(least < 10 && most > 30); /* spread over the whole of it */
}

static void test_recovery_sequence_waits_for_the_entry_before(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_primary, 5, 10);
  faults_add(f, &faults_power, faults_replica, 4, 2)->after_recovery = true;
  faults_add(f, &faults_power, faults_db3, 1, 2)->after_recovery = true;
  f->fake.view.redundant = false;
  faults_begin(f);
  faults_go_on(f, 30); /* healed at 15 s, but not redundant */
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 1);
  f->fake.view.redundant = true;
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  faults_assert_at(f, EVENT_FAULT_INJECTED, 1, 34);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 1)->host, 1);
  /* healed 36, looked at 2 s later, then 1 s */
  faults_assert_at(f, EVENT_FAULT_INJECTED, 2, 39);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 2)->host, 2);
}

static void test_recovery_needs_successful_load(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_primary, 5, 1);
  f->load_fails = true;
  faults_begin(f);
  faults_go_on(f, 30);
  assert_false(f->done);
  f->load_fails = false;
  faults_go_on(f, 1);
  assert_true(f->done);
  assert_int_equal(fake_count(&f->fake, EVENT_WARNING), 0);
}

static void test_recovery_timeout_warns_and_goes_on(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_primary, 5, 1);
  faults_add(f, &faults_power, faults_primary, 1, 1)->after_recovery = true;
  f->load_fails = true;
  faults_begin(f);
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  assert_int_equal(fake_count(&f->fake, EVENT_WARNING), 2);
  faults_assert_at(f, EVENT_WARNING, 0, 66);
  faults_assert_at(f, EVENT_FAULT_INJECTED, 1, 67);
}

/* With something still broken full redundancy cannot be asked for. */
static void test_fault_without_for_recovers_before_it_is_healed(void **state) {
  struct faults *f = *state;
  struct error err = ERROR_INIT;
  faults_add(f, &faults_power, faults_primary, 5, 0);
  f->fake.view.redundant = false;
  faults_begin(f);
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 0);
  assert_int_equal(faults_open(f), 1);
  assert_ok(timeline_heal_all(f->timeline, &err), &err);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEAL_CONFIRMED), 1);
  assert_int_equal(faults_open(f), 0);
}

/* db1 and db3 are primaries of the two shards, db2 is a replica of the second, whose primary is to
 * be hit at 5 s. */
static void hit_second_shard(struct faults *f) {
  struct target second = faults_primary;
  second.index = 1;
  f->fake.view.primary = HOST_NONE;
  f->fake.view.shards = 2;
  f->fake.view.hosts[0].shard = 1;
  f->fake.view.hosts[1].shard = f->fake.view.hosts[2].shard = 2;
  f->fake.view.hosts[2].role = ROLE_PRIMARY;
  f->fake.view.hosts[2].writable = true;
  faults_add(f, &faults_power, second, 5, 1);
}

static void test_the_primary_of_a_shard_is_hit(void **state) {
  struct faults *f = *state;
  hit_second_shard(f);
  faults_add(f, &faults_power, faults_primary, 8, 1);
  faults_begin(f);
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host, 2);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 1)->host, 0);
  /* Nobody is the one primary, and recovery was seen all the same. */
  assert_int_equal(fake_count(&f->fake, EVENT_WARNING), 0);
}

/* The replaced primary of the shard still calls itself one, and refuses writes. */
static void test_of_two_primaries_of_a_shard_the_one_that_writes_is_hit(void **state) {
  struct faults *f = *state;
  hit_second_shard(f);
  f->fake.view.hosts[1].role = ROLE_PRIMARY;
  faults_begin(f);
  faults_go_on(f, 300);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host, 2);
}

static void test_a_shard_without_a_primary_is_waited_for(void **state) {
  struct faults *f = *state;
  hit_second_shard(f);
  f->fake.view.hosts[2].role = ROLE_REPLICA;
  faults_begin(f);
  faults_go_on(f, 20);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 0);
  f->fake.view.hosts[1].role = ROLE_PRIMARY;
  faults_go_on(f, 300);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host, 1);
}

/* A kill that is never healed on purpose used to count as broken for ever: what came after it did
 * not wait for redundancy, and hit a cluster that was not whole. */
static void test_what_a_manager_restarts_is_healed_and_redundancy_awaited(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_kill, faults_primary, 5, 0);
  f->configs[0].process = "managed";
  faults_add(f, &faults_power, faults_replica, 1, 2)->after_recovery = true;
  f->fake.view.redundant = false;
  faults_begin(f);
  faults_go_on(f, 15); /* the load recovered on another host, the manager is not there yet */
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 0);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 1);
  f->fake.processes[0] = 2; /* at 15 s */
  faults_go_on(f, 15);
  faults_assert_at(f, EVENT_FAULT_HEALED, 0, 15.1);
  faults_assert_at(f, EVENT_FAULT_HEAL_CONFIRMED, 0, 15.1);
  assert_int_equal(faults_open(f), 0);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 1); /* still not redundant */
  f->fake.view.redundant = true;
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 2);
  faults_assert_at(f, EVENT_FAULT_INJECTED, 1, 31);
}

static void test_empty_timeline_is_over_at_once(void **state) {
  struct faults *f = *state;
  faults_begin(f);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
}

/* --- whom ------------------------------------------------------------------------------------ */

static void test_target_waits_until_somebody_has_the_role(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_primary, 5, 1);
  f->fake.view.primary = HOST_NONE;
  faults_begin(f);
  faults_go_on(f, 20);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 0);
  f->fake.view.primary = 2;
  faults_go_on(f, 60);
  assert_true(f->done);
  faults_assert_at(f, EVENT_FAULT_INJECTED, 0, 20);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host, 2);
}

static void test_target_that_never_comes_ends_the_timeline(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_replica, 5, 1);
  f->configs[0].target.index = 2; /* there are two: 0 and 1 */
  faults_begin(f);
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, STATUS_TIMEOUT);
  assert_non_null(strstr(f->error.message, "first: nobody had the target's role"));
  faults_assert_at(f, EVENT_FAULT_UNCONFIRMED, 0, 65);
  assert_int_equal(faults_open(f), 0);
}

static void test_replica_is_counted_among_replicas(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_replica, 5, 1);
  f->configs[0].target.index = 1;
  f->fake.view.hosts[0].role = ROLE_REPLICA;
  f->fake.view.hosts[1].role = ROLE_PRIMARY;
  faults_begin(f);
  faults_go_on(f, 60);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host, 2);
}

static uint16_t any_host(uint64_t seed) {
  struct faults *f = NULL;
  faults_setup((void **)&f);
  f->seed = seed;
  faults_add(f, &faults_power, (struct target){.kind = TARGET_ANY, .service = "fakedb"}, 5, 1);
  faults_begin(f);
  faults_go_on(f, 60);
  uint16_t host = fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host;
  faults_teardown((void **)&f);
  return host;
}

static void test_any_is_drawn_from_the_seed(void **state) {
  (void)state;
  unsigned seen = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    uint16_t host = any_host(seed);
    assert_true(host < FAKE_SERVERS);
    assert_int_equal(host, any_host(seed));
    seen |= 1u << host;
  }
  assert_int_equal(seen, 7);
}

/* It drew a host that has a vote and no server, and had nothing to break there. */
static void test_any_is_no_host_without_a_server(void **state) {
  (void)state;
  const struct endpoint servers[] = {{.host = 0}, {.host = 2}};
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct faults *f = NULL;
    faults_setup((void **)&f);
    f->seed = seed;
    f->fake.service.access.endpoints = servers;
    f->fake.service.access.endpoint_count = 2;
    faults_add(f, &faults_power, (struct target){.kind = TARGET_ANY, .service = "fakedb"}, 5, 1);
    faults_begin(f);
    faults_go_on(f, 60);
    assert_int_not_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host, 1);
    faults_teardown((void **)&f);
  }
}

/* It went on without a process, which for a pause means the whole host. */
static void test_unknown_process_does_not_hit_the_whole_host(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_pause, faults_primary, 5, 1);
  f->configs[0].process = "nobody";
  faults_begin(f);
  faults_go_on(f, 60);
  assert_true(f->done);
  assert_int_equal(f->status, STATUS_USAGE);
  assert_non_null(strstr(f->error.message, "'nobody'"));
  assert_string_equal(f->fake.calls, "");
}

static void test_process_of_a_host_without_a_service(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_pause, (struct target){.kind = TARGET_HOST, .host = "client1"}, 5, 1);
  f->configs[0].process = "server";
  faults_begin(f);
  faults_go_on(f, 60);
  assert_int_equal(f->status, STATUS_USAGE);
  assert_string_equal(f->fake.calls, "");
}

static void test_process_is_found_and_journaled(void **state) {
  struct faults *f = *state;
  struct journal_fault faults[1];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  faults_add(f, &faults_pause, faults_primary, 5, 0);
  f->configs[0].process = "server";
  faults_begin(f);
  faults_go_on(f, 6);
  assert_ok(journal_read_open(f->directory, faults, 1, &count, &err), &err);
  assert_int_equal(count, 1);
  assert_string_equal(faults[0].process, "server");
  assert_string_equal(faults[0].note, "of server"); /* as inject() left it */
}

/* --- steps, journal, description ------------------------------------------------------------- */

static void test_step_is_taken_and_never_journaled(void **state) {
  struct faults *f = *state;
  char path[TEMPORARY_SIZE + 32];
  struct buf content;
  struct error err = ERROR_INIT;
  faults_add(f, &faults_step, faults_replica, 5, 0);
  faults_begin(f);
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  assert_string_equal(f->fake.calls, "switchover db2\n");
  faults_assert_at(f, EVENT_FAULT_CONFIRMED, 0, 5);
  faults_assert_at(f, EVENT_FAULT_HEAL_CONFIRMED, 0, 5);
  snprintf(path, sizeof path, "%s/journal.jsonl", f->directory);
  buf_init(&content);
  assert_ok(file_read(path, 1u << 20, &content, &err), &err);
  assert_string_equal(content.data, "");
  buf_release(&content);
}

static void test_failed_step_ends_the_timeline(void **state) {
  struct faults *f = *state;
  struct error err = ERROR_INIT;
  faults_add(f, &faults_step, faults_replica, 5, 0);
  f->fake.failing = "switchover";
  faults_begin(f);
  faults_go_on(f, 300);
  assert_int_equal(f->status, STATUS_SERVER);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_UNCONFIRMED), 1);
  assert_ok(timeline_heal_all(f->timeline, &err), &err);
}

static void read_journal_in_inject(struct fake *fake, const char *primitive) {
  struct faults *f = fake->data;
  struct journal_fault faults[FAULTS_MAX];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  if (strcmp(primitive, "host_stop") != 0) return;
  assert_ok(journal_read_open(f->directory, faults, FAULTS_MAX, &count, &err), &err);
  assert_int_equal(count, 1);
  assert_string_equal(faults[0].injector, "power");
  assert_string_equal(faults[0].host, "db1");
  assert_int_equal(fake_count(fake, EVENT_FAULT_JOURNALED), 1);
}

static void test_journal_is_written_before_the_fault(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_primary, 5, 1);
  f->fake.called = read_journal_in_inject;
  f->fake.data = f;
  faults_begin(f);
  faults_go_on(f, 6);
  faults_assert_calls(f, "host_stop db1");
}

static void test_description_follows_the_state(void **state) {
  struct faults *f = *state;
  char text[64];
  faults_add(f, &faults_power, faults_primary, 5, 10);
  faults_begin(f);
  timeline_describe(f->timeline, text, sizeof text);
  assert_string_equal(text, "power planned");
  faults_go_on(f, 6);
  timeline_describe(f->timeline, text, sizeof text);
  assert_string_equal(text, "power on db1 in effect");
  faults_go_on(f, 10);
  timeline_describe(f->timeline, text, sizeof text);
  assert_string_equal(text, "power on db1 recovery awaited");
  faults_go_on(f, 300);
  timeline_describe(f->timeline, text, sizeof text);
  assert_string_equal(text, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, faults_setup, faults_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_a_fault_goes_through_all_its_states),
      TEST(test_planned_event_says_for_when),
      cmocka_unit_test(test_jitter_comes_from_the_seed),
      TEST(test_recovery_sequence_waits_for_the_entry_before),
      TEST(test_recovery_needs_successful_load),
      TEST(test_recovery_timeout_warns_and_goes_on),
      TEST(test_fault_without_for_recovers_before_it_is_healed),
      TEST(test_what_a_manager_restarts_is_healed_and_redundancy_awaited),
      TEST(test_empty_timeline_is_over_at_once),
      TEST(test_target_waits_until_somebody_has_the_role),
      TEST(test_target_that_never_comes_ends_the_timeline),
      TEST(test_replica_is_counted_among_replicas),
      cmocka_unit_test(test_any_is_drawn_from_the_seed),
      cmocka_unit_test(test_any_is_no_host_without_a_server),
      TEST(test_unknown_process_does_not_hit_the_whole_host),
      TEST(test_process_of_a_host_without_a_service),
      TEST(test_the_primary_of_a_shard_is_hit),
      TEST(test_of_two_primaries_of_a_shard_the_one_that_writes_is_hit),
      TEST(test_a_shard_without_a_primary_is_waited_for),
      TEST(test_process_is_found_and_journaled),
      TEST(test_step_is_taken_and_never_journaled),
      TEST(test_failed_step_ends_the_timeline),
      TEST(test_journal_is_written_before_the_fault),
      TEST(test_description_follows_the_state),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
