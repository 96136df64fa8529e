/* The timeline in virtual time, on a cluster in memory: what becomes of faults that go wrong, and
 * of those that are still there at the end. */
#include <fcntl.h>
#include <unistd.h>

#include "support/faults.h"
#include "support/test.h"

/* --- what goes wrong ------------------------------------------------------------------------- */

static void test_no_effect_is_unconfirmed(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_primary, 5, 20);
  f->fake.stubborn = true;
  faults_begin(f);
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_CONFIRMED), 0);
  faults_assert_at(f, EVENT_FAULT_UNCONFIRMED, 0, 15);
  faults_assert_at(f, EVENT_FAULT_HEALED, 0, 35);
}

/* A request to shut down that waited for clients was taken as followed when somebody else killed
 * the process. */
static void test_the_effect_of_a_later_fault_confirms_no_earlier_one(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_kill, faults_primary, 5, 0);
  faults_add(f, &faults_kill, faults_primary, 8, 0);
  for (int i = 0; i < 2; i++) f->configs[i].process = "managed";
  f->fake.stubborn = true;
  faults_begin(f);
  faults_go_on(f, 7);
  f->fake.stubborn = false;
  faults_go_on(f, 5);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_UNCONFIRMED), 1);
  faults_assert_at(f, EVENT_FAULT_UNCONFIRMED, 0, 8);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_UNCONFIRMED, 0)->fault, 0);
  assert_non_null(strstr(fake_event(&f->fake, EVENT_FAULT_UNCONFIRMED, 0)->text, "second began"));
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_CONFIRMED), 1);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_CONFIRMED, 0)->fault, 1);
}

/* A process takes a moment to die. */
static void obey_after_50_ms(struct fake *fake, const char *primitive) {
  const struct faults *f = fake->data;
  (void)primitive;
  if (f->time.now_ns < f->start_ns + 15 * NS_PER_S + 50 * NS_PER_MS || !fake->stubborn) return;
  fake->stubborn = false;
  fake->processes[0] = 0;
}

static void test_a_fault_waits_for_the_one_before_it_to_be_seen(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_kill, faults_primary, 5, 0);
  faults_add(f, &faults_power, faults_primary, 5, 1);
  f->configs[0].process = "managed";
  f->fake.stubborn = true;
  f->fake.called = obey_after_50_ms;
  f->fake.data = f;
  faults_begin(f);
  faults_go_on(f, 6);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_UNCONFIRMED), 0);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_CONFIRMED, 0)->fault, 0);
  double seen = faults_when(f, EVENT_FAULT_CONFIRMED, 0);
  assert_true(seen > 5.04 && seen < 5.06);
  double next = faults_when(f, EVENT_FAULT_JOURNALED, 1);
  assert_true(next >= seen && next < 5.06);
}

static void test_unconfirmed_says_why_the_look_failed(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_primary, 5, 1);
  f->fake.failing = "host_running";
  faults_begin(f);
  faults_go_on(f, 20);
  assert_non_null(strstr(fake_event(&f->fake, EVENT_FAULT_UNCONFIRMED, 0)->text, "told to fail"));
}

static void test_failed_inject_is_healed_at_the_end(void **state) {
  struct faults *f = *state;
  struct error err = ERROR_INIT;
  faults_add(f, &faults_power, faults_primary, 5, 1);
  f->fake.failing = "host_stop";
  faults_begin(f);
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, STATUS_SERVER);
  assert_non_null(strstr(f->error.message, "power on db1: host_stop was told to fail"));
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 0);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_UNCONFIRMED), 1);
  assert_int_equal(faults_open(f), 1);
  assert_ok(timeline_heal_all(f->timeline, &err), &err);
  faults_assert_calls(f, "host_start db1");
  assert_int_equal(faults_open(f), 0);
}

static void test_nothing_begins_after_a_failure(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_primary, 5, 1);
  faults_add(f, &faults_power, faults_db3, 10, 1);
  f->fake.failing = "host_stop";
  faults_begin(f);
  faults_go_on(f, 300);
  assert_true(f->done);
  f->fake.failing = NULL;
  virtual_time_run(&f->time, f->time.now_ns + 60 * NS_PER_S, NULL);
  assert_null(strstr(f->fake.calls, "host_stop db3"));
}

static void test_failed_heal_is_tried_again_at_the_end(void **state) {
  struct faults *f = *state;
  struct error err = ERROR_INIT;
  faults_add(f, &faults_power, faults_primary, 5, 1);
  f->fake.failing = "host_start";
  faults_begin(f);
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, STATUS_SERVER);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 0);
  assert_non_null(strstr(fake_event(&f->fake, EVENT_FAULT_HEAL_FAILED, 0)->text, "told to fail"));
  assert_int_equal(timeline_heal_all(f->timeline, &err), STATUS_SERVER);
  /* the reason, not only that there is one */
  assert_non_null(strstr(err.message, "first could not be healed: host_start was told to fail"));
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEAL_FAILED), 2);
  assert_int_equal(faults_open(f), 1);
}

static void test_heal_without_effect_is_reported(void **state) {
  struct faults *f = *state;
  faults_add(f, &faults_power, faults_primary, 5, 3);
  faults_begin(f);
  faults_go_on(f, 6);
  f->fake.stubborn = true;
  faults_go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  faults_assert_at(f, EVENT_FAULT_HEAL_FAILED, 0, 38);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEAL_CONFIRMED), 0);
}

/* The journal could not be written, so the heal was never asked for. */
static void test_full_disk_does_not_keep_a_fault_in_effect(void **state) {
  struct faults *f = *state;
  int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full < 0) skip_because("there is no /dev/full");
  faults_add(f, &faults_power, faults_primary, 5, 10);
  faults_begin(f);
  faults_go_on(f, 6);
  assert_true(f->fake.off[0]);
  assert_true(dup2(full, f->journal.fd) >= 0);
  close(full);
  faults_go_on(f, 300);
  assert_false(f->fake.off[0]);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 1);
  assert_int_equal(f->status, STATUS_SYSTEM);
}

static void test_fault_is_not_injected_without_a_journal(void **state) {
  struct faults *f = *state;
  int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full < 0) skip_because("there is no /dev/full");
  assert_true(dup2(full, f->journal.fd) >= 0);
  close(full);
  faults_add(f, &faults_power, faults_primary, 5, 10);
  faults_begin(f);
  faults_go_on(f, 300);
  assert_int_equal(f->status, STATUS_SYSTEM);
  assert_string_equal(f->fake.calls, "");
}

/* --- the end --------------------------------------------------------------------------------- */

static void test_last_injected_is_healed_first(void **state) {
  struct faults *f = *state;
  struct error err = ERROR_INIT;
  faults_add(f, &faults_power, faults_db3, 9, 0);
  faults_add(f, &faults_power, faults_primary, 5, 0);
  faults_add(f, &faults_power, faults_replica, 7, 0);
  faults_begin(f);
  faults_go_on(f, 10);
  fake_forget(&f->fake);
  assert_ok(timeline_heal_all(f->timeline, &err), &err);
  assert_string_equal(f->fake.calls,
                      "host_start db3\nhost_running db3\n"
                      "host_start db2\nhost_running db2\n"
                      "host_start db1\nhost_running db1\n");
}

static void test_heal_all_goes_on_after_a_failure(void **state) {
  struct faults *f = *state;
  struct error err = ERROR_INIT;
  faults_add(f, &faults_pause, faults_primary, 5, 0);
  faults_add(f, &faults_power, faults_db3, 6, 0);
  faults_begin(f);
  faults_go_on(f, 7);
  f->fake.failing = "host_start";
  assert_int_equal(timeline_heal_all(f->timeline, &err), STATUS_SERVER);
  assert_false(f->fake.frozen[0]);
  assert_int_equal(faults_open(f), 1);
}

static void test_heal_all_in_the_middle_stops_everything(void **state) {
  struct faults *f = *state;
  struct error err = ERROR_INIT;
  faults_add(f, &faults_power, faults_primary, 5, 100);
  faults_add(f, &faults_power, faults_db3, 50, 1);
  faults_begin(f);
  faults_go_on(f, 10);
  assert_ok(timeline_heal_all(f->timeline, &err), &err);
  virtual_time_run(&f->time, f->time.now_ns + 300 * NS_PER_S, NULL);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 1);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 1);
  assert_false(f->done);
  assert_ok(timeline_heal_all(f->timeline, &err), &err); /* twice is fine */
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, faults_setup, faults_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_no_effect_is_unconfirmed),
      TEST(test_the_effect_of_a_later_fault_confirms_no_earlier_one),
      TEST(test_a_fault_waits_for_the_one_before_it_to_be_seen),
      TEST(test_unconfirmed_says_why_the_look_failed),
      TEST(test_failed_inject_is_healed_at_the_end),
      TEST(test_nothing_begins_after_a_failure),
      TEST(test_failed_heal_is_tried_again_at_the_end),
      TEST(test_heal_without_effect_is_reported),
      TEST(test_full_disk_does_not_keep_a_fault_in_effect),
      TEST(test_fault_is_not_injected_without_a_journal),
      TEST(test_last_injected_is_healed_first),
      TEST(test_heal_all_goes_on_after_a_failure),
      TEST(test_heal_all_in_the_middle_stops_everything),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
