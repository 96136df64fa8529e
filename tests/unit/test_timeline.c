/* The timeline in virtual time, on a cluster in memory: when faults begin, whom they hit, what
 * becomes of each that goes wrong. */
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/timeline.h"
#include "support/fake.h"
#include "support/test.h"
#include "support/virtual_time.h"

#define ENTRIES 4

struct test_config {
  struct target target;
  const char *process;
};

/* --- injectors ------------------------------------------------------------------------------- */

static int power_inject(struct injection *in, struct error *err) {
  return in->cluster->provider->host_stop(in->cluster, in->host, err);
}

static int power_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  bool running = false;
  int status = in->cluster->provider->host_running(in->cluster, in->host, &running, err);
  if (status == 0) *ret_active = !running;
  return status;
}

static int power_heal(struct injection *in, struct error *err) {
  return in->cluster->provider->host_start(in->cluster, in->host, err);
}

static const struct injector injector_power = {
    .plugin = {.name = "power", .config_size = sizeof(struct test_config)},
    .target_offset = offsetof(struct test_config, target),
    .process_offset = SIZE_MAX,
    .inject = power_inject,
    .confirm = power_confirm,
    .heal = power_heal,
};

static int pause_inject(struct injection *in, struct error *err) {
  snprintf(in->note, sizeof in->note, "of %s", in->process ? in->process->name : "the host");
  return in->cluster->provider->freeze(in->cluster, in->host, NULL, true, err);
}

static int pause_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  return in->cluster->provider->frozen(in->cluster, in->host, NULL, ret_active, err);
}

static int pause_heal(struct injection *in, struct error *err) {
  return in->cluster->provider->freeze(in->cluster, in->host, NULL, false, err);
}

static const struct injector injector_pause = {
    .plugin = {.name = "pause", .config_size = sizeof(struct test_config)},
    .target_offset = offsetof(struct test_config, target),
    .process_offset = offsetof(struct test_config, process),
    .inject = pause_inject,
    .confirm = pause_confirm,
    .heal = pause_heal,
};

static int kill_inject(struct injection *in, struct error *err) {
  return in->cluster->provider->process_signal(in->cluster, in->host, &in->process->match, 9, NULL,
                                               err);
}

static int kill_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  uint32_t count = 0;
  int status = in->cluster->provider->process_signal(in->cluster, in->host, &in->process->match, 0,
                                                     &count, err);
  if (status == 0) *ret_active = count == 0;
  return status;
}

static int kill_heal(struct injection *in, struct error *err) {
  (void)in;
  (void)err;
  return 0;
}

static const struct injector injector_kill = {
    .plugin = {.name = "kill", .config_size = sizeof(struct test_config)},
    .flags = INJECTOR_PASSES,
    .target_offset = offsetof(struct test_config, target),
    .process_offset = offsetof(struct test_config, process),
    .inject = kill_inject,
    .confirm = kill_confirm,
    .heal = kill_heal,
};

static int step_inject(struct injection *in, struct error *err) {
  return in->service->service->step(in->service, in->injector->step, in->host, err);
}

static int step_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  (void)in;
  (void)err;
  *ret_active = false;
  return 0;
}

static int step_heal(struct injection *in, struct error *err) {
  (void)in;
  (void)err;
  return 0;
}

static const struct injector injector_step = {
    .plugin = {.name = "step", .config_size = sizeof(struct test_config)},
    .flags = INJECTOR_PLANNED,
    .step = STEP_SWITCHOVER,
    .target_offset = offsetof(struct test_config, target),
    .process_offset = SIZE_MAX,
    .inject = step_inject,
    .confirm = step_confirm,
    .heal = step_heal,
};

/* --- the fixture ----------------------------------------------------------------------------- */

struct fixture {
  struct virtual_time time;
  struct fake fake;
  struct scenario scenario;
  struct timeline_entry entries[ENTRIES];
  struct test_config configs[ENTRIES];
  struct journal journal;
  struct timeline *timeline;
  char directory[TEMPORARY_SIZE];
  uint64_t start_ns; /* of the run: ten seconds before the timeline begins */
  uint64_t seed;
  bool load_fails;
  bool done;
  int status;
  struct error error;
};

static int setup(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  struct error err = ERROR_INIT;
  assert_non_null(f);
  temporary_make(f->directory);
  virtual_time_begin(&f->time);
  fake_init(&f->fake, f->directory);
  f->start_ns = f->time.now_ns - 10 * NS_PER_S;
  assert_ok(journal_open(&f->journal, f->directory, &err), &err);
  f->scenario = (struct scenario){.timeline = f->entries, .recovery_timeout_ns = 60 * NS_PER_S};
  f->seed = 7;
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  timeline_free(f->timeline);
  journal_close(&f->journal);
  virtual_time_release(&f->time);
  temporary_remove(f->directory);
  free(f);
  return 0;
}

static const struct target target_primary = {.kind = TARGET_PRIMARY, .service = "fakedb"};
static const struct target target_replica = {.kind = TARGET_REPLICA, .service = "fakedb"};
static const struct target target_db3 = {.kind = TARGET_HOST, .host = "db3"};

/* Adds an entry that begins at `at_s`; change the returned one for more. */
static struct timeline_entry *add(struct fixture *f, const struct injector *injector,
                                  struct target target, uint64_t at_s, uint64_t for_s) {
  static const char *const names[ENTRIES] = {"first", "second", "third", "fourth"};
  uint32_t i = f->scenario.timeline_count++;
  assert_true(i < ENTRIES);
  f->configs[i].target = target;
  f->entries[i] = (struct timeline_entry){.name = names[i],
                                          .injector = injector,
                                          .config = &f->configs[i],
                                          .target = &f->configs[i].target,
                                          .at_ns = at_s * NS_PER_S,
                                          .for_ns = for_s * NS_PER_S};
  return &f->entries[i];
}

static bool load_recovered(void *data, uint64_t since_ns) {
  struct fixture *f = data;
  assert_true(since_ns <= f->time.now_ns);
  return !f->load_fails;
}

static void over(void *data, int status, const struct error *err) {
  struct fixture *f = data;
  assert_false(f->done);
  f->done = true;
  f->status = status;
  if (status < 0) f->error = *err;
}

static void begin(struct fixture *f) {
  struct error err = ERROR_INIT;
  struct timeline_spec spec = {.loop = f->time.loop,
                               .scenario = &f->scenario,
                               .cluster = &f->fake.cluster,
                               .services = &f->fake.service,
                               .service_count = 1,
                               .sink = &f->fake.sink,
                               .journal = &f->journal,
                               .start_ns = f->start_ns,
                               .seed = f->seed,
                               .load_recovered = load_recovered,
                               .done = over,
                               .data = f};
  assert_ok(timeline_new(&spec, &f->timeline, &err), &err);
  assert_ok(timeline_begin(f->timeline, f->time.now_ns, &err), &err);
}

/* Goes on for so long, or until the timeline is over. */
static void go_on(struct fixture *f, uint64_t seconds) {
  virtual_time_run(&f->time, f->time.now_ns + seconds * NS_PER_S, &f->done);
}

/* Seconds after the timeline's begin at which the n-th event of a kind happened. */
static double when(const struct fixture *f, enum event_kind kind, uint32_t n) {
  const struct event *event = fake_event(&f->fake, kind, n);
  if (!event) fail_msg("there is no event %s number %u", event_kind_name(kind), n);
  return (double)event->time_ns / (double)NS_PER_S - 10;
}

static void assert_at(const struct fixture *f, enum event_kind kind, uint32_t n, double seconds) {
  double at = when(f, kind, n);
  if (at < seconds - 1e-6 || at > seconds + 0.1)
    fail_msg("%s number %u is at %.3f s, not at %.3f s", event_kind_name(kind), n, at, seconds);
}

static uint32_t open_faults(const struct fixture *f) {
  struct journal_fault faults[ENTRIES];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  assert_ok(journal_read_open(f->directory, faults, ENTRIES, &count, &err), &err);
  return count;
}

static void assert_calls(const struct fixture *f, const char *text) {
  if (!strstr(f->fake.calls, text)) fail_msg("no call '%s' in:\n%s", text, f->fake.calls);
}

/* --- when ------------------------------------------------------------------------------------ */

static void test_a_fault_goes_through_all_its_states(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_primary, 5, 20);
  begin(f);
  go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  assert_at(f, EVENT_FAULT_PLANNED, 0, 0);
  assert_at(f, EVENT_FAULT_JOURNALED, 0, 5);
  assert_at(f, EVENT_FAULT_INJECTED, 0, 5);
  assert_at(f, EVENT_FAULT_CONFIRMED, 0, 5);
  assert_at(f, EVENT_FAULT_HEALED, 0, 25);
  assert_at(f, EVENT_FAULT_HEAL_CONFIRMED, 0, 25);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host, 0);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->fault, 0);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_UNCONFIRMED), 0);
  assert_int_equal(open_faults(f), 0);
}

/* The event was of now, without the time for which the fault is planned. */
static void test_planned_event_says_for_when(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_primary, 5, 1);
  add(f, &injector_power, target_primary, 3, 1)->after_recovery = true;
  begin(f);
  go_on(f, 300);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_PLANNED, 0)->number, 15 * NS_PER_S);
  const struct event *second = fake_event(&f->fake, EVENT_FAULT_PLANNED, 1);
  assert_int_equal(second->number, second->time_ns + 3 * NS_PER_S);
  assert_at(f, EVENT_FAULT_INJECTED, 1, (double)second->number / 1e9 - 10);
}

static double first_injection(uint64_t seed) {
  struct fixture *f = NULL;
  setup((void **)&f);
  f->seed = seed;
  add(f, &injector_power, target_primary, 5, 1)->jitter_ns = 30 * NS_PER_S;
  begin(f);
  go_on(f, 300);
  double at = when(f, EVENT_FAULT_INJECTED, 0);
  teardown((void **)&f);
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
  struct fixture *f = *state;
  add(f, &injector_power, target_primary, 5, 10);
  add(f, &injector_power, target_replica, 4, 2)->after_recovery = true;
  add(f, &injector_power, target_db3, 1, 2)->after_recovery = true;
  f->fake.view.redundant = false;
  begin(f);
  go_on(f, 30); /* healed at 15 s, but not redundant */
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 1);
  f->fake.view.redundant = true;
  go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  assert_at(f, EVENT_FAULT_INJECTED, 1, 34);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 1)->host, 1);
  /* healed 36, looked at 2 s later, then 1 s */
  assert_at(f, EVENT_FAULT_INJECTED, 2, 39);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 2)->host, 2);
}

static void test_recovery_needs_successful_load(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_primary, 5, 1);
  f->load_fails = true;
  begin(f);
  go_on(f, 30);
  assert_false(f->done);
  f->load_fails = false;
  go_on(f, 1);
  assert_true(f->done);
  assert_int_equal(fake_count(&f->fake, EVENT_WARNING), 0);
}

static void test_recovery_timeout_warns_and_goes_on(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_primary, 5, 1);
  add(f, &injector_power, target_primary, 1, 1)->after_recovery = true;
  f->load_fails = true;
  begin(f);
  go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  assert_int_equal(fake_count(&f->fake, EVENT_WARNING), 2);
  assert_at(f, EVENT_WARNING, 0, 66);
  assert_at(f, EVENT_FAULT_INJECTED, 1, 67);
}

/* With something still broken full redundancy cannot be asked for. */
static void test_fault_without_for_recovers_before_it_is_healed(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  add(f, &injector_power, target_primary, 5, 0);
  f->fake.view.redundant = false;
  begin(f);
  go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 0);
  assert_int_equal(open_faults(f), 1);
  assert_ok(timeline_heal_all(f->timeline, &err), &err);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEAL_CONFIRMED), 1);
  assert_int_equal(open_faults(f), 0);
}

/* A kill that is never healed on purpose used to count as broken for ever: what came after it did
 * not wait for redundancy, and hit a cluster that was not whole. */
static void test_what_a_manager_restarts_is_healed_and_redundancy_awaited(void **state) {
  struct fixture *f = *state;
  add(f, &injector_kill, target_primary, 5, 0);
  f->configs[0].process = "managed";
  add(f, &injector_power, target_replica, 1, 2)->after_recovery = true;
  f->fake.view.redundant = false;
  begin(f);
  go_on(f, 15); /* the load recovered on another host, the manager is not there yet */
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 0);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 1);
  f->fake.processes[0] = 2; /* at 15 s */
  go_on(f, 15);
  assert_at(f, EVENT_FAULT_HEALED, 0, 15.1);
  assert_at(f, EVENT_FAULT_HEAL_CONFIRMED, 0, 15.1);
  assert_int_equal(open_faults(f), 0);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 1); /* still not redundant */
  f->fake.view.redundant = true;
  go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 2);
  assert_at(f, EVENT_FAULT_INJECTED, 1, 31);
}

static void test_empty_timeline_is_over_at_once(void **state) {
  struct fixture *f = *state;
  begin(f);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
}

/* --- whom ------------------------------------------------------------------------------------ */

static void test_target_waits_until_somebody_has_the_role(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_primary, 5, 1);
  f->fake.view.primary = HOST_NONE;
  begin(f);
  go_on(f, 20);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 0);
  f->fake.view.primary = 2;
  go_on(f, 60);
  assert_true(f->done);
  assert_at(f, EVENT_FAULT_INJECTED, 0, 20);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host, 2);
}

static void test_target_that_never_comes_ends_the_timeline(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_replica, 5, 1);
  f->configs[0].target.index = 2; /* there are two: 0 and 1 */
  begin(f);
  go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, STATUS_TIMEOUT);
  assert_non_null(strstr(f->error.message, "first: nobody had the target's role"));
  assert_at(f, EVENT_FAULT_UNCONFIRMED, 0, 65);
  assert_int_equal(open_faults(f), 0);
}

static void test_replica_is_counted_among_replicas(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_replica, 5, 1);
  f->configs[0].target.index = 1;
  f->fake.view.hosts[0].role = ROLE_REPLICA;
  f->fake.view.hosts[1].role = ROLE_PRIMARY;
  begin(f);
  go_on(f, 60);
  assert_int_equal(fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host, 2);
}

static uint8_t any_host(uint64_t seed) {
  struct fixture *f = NULL;
  setup((void **)&f);
  f->seed = seed;
  add(f, &injector_power, (struct target){.kind = TARGET_ANY, .service = "fakedb"}, 5, 1);
  begin(f);
  go_on(f, 60);
  uint8_t host = fake_event(&f->fake, EVENT_FAULT_INJECTED, 0)->host;
  teardown((void **)&f);
  return host;
}

static void test_any_is_drawn_from_the_seed(void **state) {
  (void)state;
  unsigned seen = 0;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    uint8_t host = any_host(seed);
    assert_true(host < FAKE_SERVERS);
    assert_int_equal(host, any_host(seed));
    seen |= 1u << host;
  }
  assert_int_equal(seen, 7);
}

/* It went on without a process, which for a pause means the whole host. */
static void test_unknown_process_does_not_hit_the_whole_host(void **state) {
  struct fixture *f = *state;
  add(f, &injector_pause, target_primary, 5, 1);
  f->configs[0].process = "nobody";
  begin(f);
  go_on(f, 60);
  assert_true(f->done);
  assert_int_equal(f->status, STATUS_USAGE);
  assert_non_null(strstr(f->error.message, "'nobody'"));
  assert_string_equal(f->fake.calls, "");
}

static void test_process_of_a_host_without_a_service(void **state) {
  struct fixture *f = *state;
  add(f, &injector_pause, (struct target){.kind = TARGET_HOST, .host = "client1"}, 5, 1);
  f->configs[0].process = "server";
  begin(f);
  go_on(f, 60);
  assert_int_equal(f->status, STATUS_USAGE);
  assert_string_equal(f->fake.calls, "");
}

static void test_process_is_found_and_journaled(void **state) {
  struct fixture *f = *state;
  struct journal_fault faults[1];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  add(f, &injector_pause, target_primary, 5, 0);
  f->configs[0].process = "server";
  begin(f);
  go_on(f, 6);
  assert_ok(journal_read_open(f->directory, faults, 1, &count, &err), &err);
  assert_int_equal(count, 1);
  assert_string_equal(faults[0].process, "server");
  assert_string_equal(faults[0].note, "of server"); /* as inject() left it */
}

/* --- what goes wrong ------------------------------------------------------------------------- */

static void test_no_effect_is_unconfirmed(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_primary, 5, 20);
  f->fake.stubborn = true;
  begin(f);
  go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_CONFIRMED), 0);
  assert_at(f, EVENT_FAULT_UNCONFIRMED, 0, 15);
  assert_at(f, EVENT_FAULT_HEALED, 0, 35);
}

static void test_unconfirmed_says_why_the_look_failed(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_primary, 5, 1);
  f->fake.failing = "host_running";
  begin(f);
  go_on(f, 20);
  assert_non_null(strstr(fake_event(&f->fake, EVENT_FAULT_UNCONFIRMED, 0)->text, "told to fail"));
}

static void test_failed_inject_is_healed_at_the_end(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  add(f, &injector_power, target_primary, 5, 1);
  f->fake.failing = "host_stop";
  begin(f);
  go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, STATUS_SERVER);
  assert_non_null(strstr(f->error.message, "power on db1: host_stop was told to fail"));
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 0);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_UNCONFIRMED), 1);
  assert_int_equal(open_faults(f), 1);
  assert_ok(timeline_heal_all(f->timeline, &err), &err);
  assert_calls(f, "host_start db1");
  assert_int_equal(open_faults(f), 0);
}

static void test_nothing_begins_after_a_failure(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_primary, 5, 1);
  add(f, &injector_power, target_db3, 10, 1);
  f->fake.failing = "host_stop";
  begin(f);
  go_on(f, 300);
  assert_true(f->done);
  f->fake.failing = NULL;
  virtual_time_run(&f->time, f->time.now_ns + 60 * NS_PER_S, NULL);
  assert_null(strstr(f->fake.calls, "host_stop db3"));
}

static void test_failed_heal_is_tried_again_at_the_end(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  add(f, &injector_power, target_primary, 5, 1);
  f->fake.failing = "host_start";
  begin(f);
  go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, STATUS_SERVER);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 0);
  assert_non_null(strstr(fake_event(&f->fake, EVENT_FAULT_HEAL_FAILED, 0)->text, "told to fail"));
  assert_int_equal(timeline_heal_all(f->timeline, &err), STATUS_SERVER);
  /* the reason, not only that there is one */
  assert_non_null(strstr(err.message, "first could not be healed: host_start was told to fail"));
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEAL_FAILED), 2);
  assert_int_equal(open_faults(f), 1);
}

static void test_heal_without_effect_is_reported(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_primary, 5, 3);
  begin(f);
  go_on(f, 6);
  f->fake.stubborn = true;
  go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  assert_at(f, EVENT_FAULT_HEAL_FAILED, 0, 38);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEAL_CONFIRMED), 0);
}

/* The journal could not be written, so the heal was never asked for. */
static void test_full_disk_does_not_keep_a_fault_in_effect(void **state) {
  struct fixture *f = *state;
  int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full < 0) skip_because("there is no /dev/full");
  add(f, &injector_power, target_primary, 5, 10);
  begin(f);
  go_on(f, 6);
  assert_true(f->fake.off[0]);
  assert_true(dup2(full, f->journal.fd) >= 0);
  close(full);
  go_on(f, 300);
  assert_false(f->fake.off[0]);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 1);
  assert_int_equal(f->status, STATUS_SYSTEM);
}

static void test_fault_is_not_injected_without_a_journal(void **state) {
  struct fixture *f = *state;
  int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
  if (full < 0) skip_because("there is no /dev/full");
  assert_true(dup2(full, f->journal.fd) >= 0);
  close(full);
  add(f, &injector_power, target_primary, 5, 10);
  begin(f);
  go_on(f, 300);
  assert_int_equal(f->status, STATUS_SYSTEM);
  assert_string_equal(f->fake.calls, "");
}

/* --- the end --------------------------------------------------------------------------------- */

static void test_last_injected_is_healed_first(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  add(f, &injector_power, target_db3, 9, 0);
  add(f, &injector_power, target_primary, 5, 0);
  add(f, &injector_power, target_replica, 7, 0);
  begin(f);
  go_on(f, 10);
  fake_forget(&f->fake);
  assert_ok(timeline_heal_all(f->timeline, &err), &err);
  assert_string_equal(f->fake.calls,
                      "host_start db3\nhost_running db3\n"
                      "host_start db2\nhost_running db2\n"
                      "host_start db1\nhost_running db1\n");
}

static void test_heal_all_goes_on_after_a_failure(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  add(f, &injector_pause, target_primary, 5, 0);
  add(f, &injector_power, target_db3, 6, 0);
  begin(f);
  go_on(f, 7);
  f->fake.failing = "host_start";
  assert_int_equal(timeline_heal_all(f->timeline, &err), STATUS_SERVER);
  assert_false(f->fake.frozen[0]);
  assert_int_equal(open_faults(f), 1);
}

static void test_heal_all_in_the_middle_stops_everything(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  add(f, &injector_power, target_primary, 5, 100);
  add(f, &injector_power, target_db3, 50, 1);
  begin(f);
  go_on(f, 10);
  assert_ok(timeline_heal_all(f->timeline, &err), &err);
  virtual_time_run(&f->time, f->time.now_ns + 300 * NS_PER_S, NULL);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_INJECTED), 1);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 1);
  assert_false(f->done);
  assert_ok(timeline_heal_all(f->timeline, &err), &err); /* twice is fine */
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_HEALED), 1);
}

/* --- steps, journal, description ------------------------------------------------------------- */

static void test_step_is_taken_and_never_journaled(void **state) {
  struct fixture *f = *state;
  char path[TEMPORARY_SIZE + 32];
  struct buf content;
  struct error err = ERROR_INIT;
  add(f, &injector_step, target_replica, 5, 0);
  begin(f);
  go_on(f, 300);
  assert_true(f->done);
  assert_int_equal(f->status, 0);
  assert_string_equal(f->fake.calls, "switchover db2\n");
  assert_at(f, EVENT_FAULT_CONFIRMED, 0, 5);
  assert_at(f, EVENT_FAULT_HEAL_CONFIRMED, 0, 5);
  snprintf(path, sizeof path, "%s/journal.jsonl", f->directory);
  buf_init(&content);
  assert_ok(file_read(path, 1u << 20, &content, &err), &err);
  assert_string_equal(content.data, "");
  buf_release(&content);
}

static void test_failed_step_ends_the_timeline(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  add(f, &injector_step, target_replica, 5, 0);
  f->fake.failing = "switchover";
  begin(f);
  go_on(f, 300);
  assert_int_equal(f->status, STATUS_SERVER);
  assert_int_equal(fake_count(&f->fake, EVENT_FAULT_UNCONFIRMED), 1);
  assert_ok(timeline_heal_all(f->timeline, &err), &err);
}

static void read_journal_in_inject(struct fake *fake, const char *primitive) {
  struct fixture *f = fake->data;
  struct journal_fault faults[ENTRIES];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  if (strcmp(primitive, "host_stop") != 0) return;
  assert_ok(journal_read_open(f->directory, faults, ENTRIES, &count, &err), &err);
  assert_int_equal(count, 1);
  assert_string_equal(faults[0].injector, "power");
  assert_string_equal(faults[0].host, "db1");
  assert_int_equal(fake_count(fake, EVENT_FAULT_JOURNALED), 1);
}

static void test_journal_is_written_before_the_fault(void **state) {
  struct fixture *f = *state;
  add(f, &injector_power, target_primary, 5, 1);
  f->fake.called = read_journal_in_inject;
  f->fake.data = f;
  begin(f);
  go_on(f, 6);
  assert_calls(f, "host_stop db1");
}

static void test_description_follows_the_state(void **state) {
  struct fixture *f = *state;
  char text[64];
  add(f, &injector_power, target_primary, 5, 10);
  begin(f);
  timeline_describe(f->timeline, text, sizeof text);
  assert_string_equal(text, "power planned");
  go_on(f, 6);
  timeline_describe(f->timeline, text, sizeof text);
  assert_string_equal(text, "power on db1 in effect");
  go_on(f, 10);
  timeline_describe(f->timeline, text, sizeof text);
  assert_string_equal(text, "power on db1 recovery awaited");
  go_on(f, 300);
  timeline_describe(f->timeline, text, sizeof text);
  assert_string_equal(text, "");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
      TEST(test_unknown_process_does_not_hit_the_whole_host),
      TEST(test_process_of_a_host_without_a_service),
      TEST(test_process_is_found_and_journaled),
      TEST(test_no_effect_is_unconfirmed),
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
      TEST(test_step_is_taken_and_never_journaled),
      TEST(test_failed_step_ends_the_timeline),
      TEST(test_journal_is_written_before_the_fault),
      TEST(test_description_follows_the_state),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
