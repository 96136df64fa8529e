/* What every injector must do, whatever it does: confirm, heal twice, heal after half an inject,
 * heal when the host is gone, heal from the journal alone; and need what it uses. */
#include "engine/timeline.h"
#include "gameday/injector.h"
#include "scenario/param.h"
#include "support/fake.h"
#include "support/test.h"
#include "support/virtual_time.h"

struct subject {
  const struct injector *injector;
  struct arena arena;
  struct fake fake;
  void *config;
  struct injection in;
  char directory[TEMPORARY_SIZE];
};

/* The configuration that a scenario gives which says as little as it may. */
static void *make_config(const struct injector *injector, const char *process,
                         struct arena *arena) {
  struct error err = ERROR_INIT;
  char *config = arena_alloc(arena, injector->plugin.config_size);
  assert_non_null(config);
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(injector->plugin.params, i)); i++) {
    assert_ok(param_set_default(row, arena, config, &err), &err);
    if (row->offset == injector->target_offset)
      assert_ok(param_parse(row, "fakedb.primary", arena, config, &err), &err);
    else if (row->offset == injector->process_offset && process)
      assert_ok(param_parse(row, process, arena, config, &err), &err);
    else if (row->required && row->offset != injector->process_offset)
      fail_msg("%s: this test does not know what to give for '%s'", injector->plugin.name,
               row->key);
  }
  if (injector->plugin.validate) assert_ok(injector->plugin.validate(config, &err), &err);
  return config;
}

/* `process` is NULL, or one of the service's. */
static void subject_init(struct subject *s, const struct injector *injector, const char *process) {
  *s = (struct subject){.injector = injector};
  arena_init(&s->arena, 0);
  temporary_make(s->directory);
  fake_init(&s->fake, s->directory);
  s->config = make_config(injector, process, &s->arena);
  s->in = (struct injection){.injector = injector,
                             .config = s->config,
                             .cluster = &s->fake.cluster,
                             .host = &s->fake.hosts[0],
                             .service = &s->fake.service,
                             .state = arena_alloc(&s->arena, injector->plugin.state_size + 1)};
  if (process) s->in.process = service_process_find(&fake_service, NULL, process);
  assert_non_null(s->in.state);
}

static void subject_release(struct subject *s) {
  temporary_remove(s->directory);
  arena_release(&s->arena);
}

static bool planned(const struct injector *injector) {
  return injector->flags & INJECTOR_PLANNED;
}

static bool active(const struct subject *s) {
  struct error err = ERROR_INIT;
  bool is_active = false;
  assert_ok(s->injector->confirm(&s->in, &is_active, &err), &err);
  return is_active;
}

/* Only what the guard has: what the journal holds. */
static void forget_all_but_journal(struct subject *s) {
  struct injection bare = {.injector = s->injector,
                           .cluster = s->in.cluster,
                           .host = s->in.host,
                           .process = s->in.process};
  memcpy(bare.note, s->in.note, sizeof bare.note);
  s->in = bare;
}

/* Calls `check` for every injector, with every kind of process where it takes one. `steps`: whether
 * for planned steps too. */
static void for_each(bool steps, void (*check)(struct subject *s)) {
  static const char *const processes[] = {NULL, "server", "agent"};
  for (const struct injector *const *row = injectors; *row; row++) {
    if (planned(*row) && !steps) continue;
    bool required = false;
    const struct param *p;
    for (uint32_t i = 0; (p = param_at((*row)->plugin.params, i)); i++)
      required = required || (p->offset == (*row)->process_offset && p->required);
    for (size_t i = 0; i < sizeof processes / sizeof *processes; i++) {
      if (processes[i] ? (*row)->process_offset == SIZE_MAX : required) continue;
      struct subject s;
      print_message("  %s %s\n", (*row)->plugin.name, processes[i] ? processes[i] : "");
      subject_init(&s, *row, processes[i]);
      check(&s);
      subject_release(&s);
    }
  }
}

/* --- the descriptor -------------------------------------------------------------------------- */

static void check_descriptor(struct subject *s) {
  const struct injector *injector = s->injector;
  const struct param *row, *target = NULL, *process = NULL;
  assert_non_null(injector->inject);
  assert_non_null(injector->confirm);
  assert_non_null(injector->heal);
  assert_true(injector->step < STEP_COUNT);
  if (planned(injector)) assert_int_equal(injector->flags, INJECTOR_PLANNED);
  for (uint32_t i = 0; (row = param_at(injector->plugin.params, i)); i++) {
    if (row->type == PARAM_TARGET) target = row;
    if (row->offset == injector->process_offset) process = row;
  }
  if (injector->target_offset == SIZE_MAX) {
    assert_null(target);
  } else {
    assert_non_null(target);
    assert_true(target->offset == injector->target_offset);
  }
  if (injector->process_offset != SIZE_MAX) {
    assert_non_null(process);
    assert_int_equal(process->type, PARAM_STRING);
    assert_string_equal(process->key, "process"); /* as scenarios and messages call it */
  }
  assert_true(injector->needs != 0 || planned(injector) || injector->flags & INJECTOR_MOMENT);
}

static void test_descriptors_are_complete(void **state) {
  (void)state;
  for_each(true, check_descriptor);
}

/* --- faults ---------------------------------------------------------------------------------- */

static void check_cycle(struct subject *s) {
  struct error err = ERROR_INIT;
  assert_false(active(s));
  assert_ok(s->injector->inject(&s->in, &err), &err);
  assert_true(active(s));
  assert_ok(s->injector->heal(&s->in, &err), &err);
  /* What the manager brings back, it brings back when it does. */
  if (s->in.process && !s->in.process->unit) s->fake.processes[0] = 2;
  assert_false(active(s));
  assert_ok(s->injector->heal(&s->in, &err), &err);
  assert_false(active(s));
}

static void test_inject_confirm_heal_twice(void **state) {
  (void)state;
  for_each(false, check_cycle);
}

static void check_heal_of_nothing(struct subject *s) {
  struct error err = ERROR_INIT;
  assert_ok(s->injector->heal(&s->in, &err), &err);
  assert_false(active(s));
}

static void test_heal_without_an_inject(void **state) {
  (void)state;
  for_each(false, check_heal_of_nothing);
}

/* The n-th call of a primitive fails, for every n that there is. */
static void check_half_inject(struct subject *s) {
  for (uint32_t n = 1;; n++) {
    struct error err = ERROR_INIT;
    fake_init(&s->fake, s->directory);
    s->fake.fail_at = n;
    int status = s->injector->inject(&s->in, &err);
    if (status == 0 && s->fake.called_count < n) break; /* there is no such call */
    assert_int_equal(status, STATUS_SERVER);
    assert_non_null(strstr(err.message, "told to fail"));
    s->fake.fail_at = 0;
    assert_ok(s->injector->heal(&s->in, &err), &err);
    assert_false(active(s));
  }
}

static void test_heal_after_half_an_inject(void **state) {
  (void)state;
  for_each(false, check_half_inject);
}

/* The request fails although it had its effect: an answer that was lost. */
static void check_lost_answer(struct subject *s) {
  struct error err = ERROR_INIT;
  assert_ok(s->injector->inject(&s->in, &err), &err);
  forget_all_but_journal(s);
  assert_ok(s->injector->heal(&s->in, &err), &err);
  if (s->in.process && !s->in.process->unit) s->fake.processes[0] = 2;
  assert_false(active(s));
}

static void test_heal_from_the_journal_alone(void **state) {
  (void)state;
  for_each(false, check_lost_answer);
}

static void check_host_gone(struct subject *s) {
  struct error err = ERROR_INIT;
  assert_ok(s->injector->inject(&s->in, &err), &err);
  s->fake.off[0] = true;
  s->fake.frozen[0] = false;
  s->fake.processes[0] = 0;
  assert_ok(s->injector->heal(&s->in, &err), &err);
}

static void test_heal_when_the_host_is_gone(void **state) {
  (void)state;
  for_each(false, check_host_gone);
}

/* A heal that did not work must not say that it did. */
static void check_heal_fails(struct subject *s) {
  struct error err = ERROR_INIT;
  assert_ok(s->injector->inject(&s->in, &err), &err);
  fake_forget(&s->fake);
  s->fake.failing = "*";
  int status = s->injector->heal(&s->in, &err);
  if (s->fake.called_count > 0) assert_int_equal(status, STATUS_SERVER);
  s->fake.failing = NULL;
  assert_ok(s->injector->heal(&s->in, &err), &err);
}

static void test_failed_heal_is_told_and_can_be_repeated(void **state) {
  (void)state;
  for_each(false, check_heal_fails);
}

static void check_confirm(struct subject *s) {
  struct error err = ERROR_INIT;
  bool is_active = true;
  char before[sizeof s->fake.off + sizeof s->fake.frozen + sizeof s->fake.processes];
  char after[sizeof before];
  for (int i = 0; i < 2; i++) {
    char *copy = i == 0 ? before : after;
    memcpy(copy, s->fake.off, sizeof s->fake.off);
    memcpy(copy + sizeof s->fake.off, s->fake.frozen, sizeof s->fake.frozen);
    memcpy(copy + sizeof s->fake.off + sizeof s->fake.frozen, s->fake.processes,
           sizeof s->fake.processes);
    if (i == 0) (void)active(s);
  }
  assert_memory_equal(before, after, sizeof before);
  s->fake.failing = "*";
  assert_int_equal(s->injector->confirm(&s->in, &is_active, &err), STATUS_SERVER);
  assert_true(is_active); /* untouched */
  /* No effect is seen as none. */
  s->fake.failing = NULL;
  s->fake.stubborn = true;
  assert_ok(s->injector->inject(&s->in, &err), &err);
  assert_false(active(s));
}

static void test_confirm_only_looks(void **state) {
  (void)state;
  for_each(false, check_confirm);
}

static void check_needs(struct subject *s) {
  struct error err = ERROR_INIT;
  assert_ok(s->injector->inject(&s->in, &err), &err);
  (void)active(s);
  assert_ok(s->injector->heal(&s->in, &err), &err);
  if (s->fake.used & ~s->injector->needs)
    fail_msg("%s uses what it does not say that it needs (%s):\n%s", s->injector->plugin.name,
             capability_name(s->fake.used & ~s->injector->needs), s->fake.calls);
}

static void test_what_is_used_is_needed(void **state) {
  (void)state;
  for_each(false, check_needs);
}

/* What is needed is used by some process at least; else scenarios are refused for nothing. */
static void test_what_is_needed_is_used(void **state) {
  (void)state;
  for (const struct injector *const *row = injectors; *row; row++) {
    static const char *const processes[] = {NULL, "server"};
    uint32_t used = 0;
    if (planned(*row)) continue;
    for (size_t i = 0; i < 2; i++) {
      struct subject s;
      struct error err = ERROR_INIT;
      if ((*row)->process_offset == SIZE_MAX && processes[i]) continue;
      if ((*row)->process_offset != SIZE_MAX && !processes[i]) continue;
      subject_init(&s, *row, processes[i]);
      assert_ok((*row)->inject(&s.in, &err), &err);
      (void)active(&s);
      assert_ok((*row)->heal(&s.in, &err), &err);
      used |= s.fake.used;
      subject_release(&s);
    }
    assert_int_equal(used, (*row)->needs);
  }
}

/* --- steps ----------------------------------------------------------------------------------- */

static void check_step(struct subject *s) {
  static const char *const names[STEP_COUNT] = {"switchover", "promote", "restart"};
  struct error err = ERROR_INIT;
  char call[64];
  if (!planned(s->injector)) return;
  snprintf(call, sizeof call, "%s db1\n", names[s->injector->step]);
  assert_false(active(s));
  assert_ok(s->injector->inject(&s->in, &err), &err);
  assert_string_equal(s->fake.calls, call);
  assert_false(active(s)); /* over when it returns */
  forget_all_but_journal(s);
  assert_ok(s->injector->heal(&s->in, &err), &err);
  assert_string_equal(s->fake.calls, call); /* there is nothing to heal */
}

static void test_steps_are_asked_of_the_service(void **state) {
  (void)state;
  for_each(true, check_step);
}

static void check_failed_step(struct subject *s) {
  struct error err = ERROR_INIT;
  if (!planned(s->injector)) return;
  s->fake.failing = "*";
  assert_int_equal(s->injector->inject(&s->in, &err), STATUS_SERVER);
}

static void test_failed_step_is_told(void **state) {
  (void)state;
  for_each(true, check_failed_step);
}

/* --- in the timeline ------------------------------------------------------------------------- */

static bool load_is_fine(void *data, uint64_t since_ns) {
  (void)data;
  (void)since_ns;
  return true;
}

static void timeline_over(void *data, int status, const struct error *err) {
  assert_ok(status, err);
  *(bool *)data = true;
}

static uint32_t open_faults(const char *directory) {
  struct journal_fault faults[4];
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  assert_ok(journal_read_open(directory, faults, 4, &count, &err), &err);
  return count;
}

static void check_timeline(struct subject *s) {
  struct virtual_time time;
  struct journal journal;
  struct timeline *timeline = NULL;
  struct error err = ERROR_INIT;
  bool done = false;
  struct timeline_entry entry = {
      .name = "only",
      .injector = s->injector,
      .config = s->config,
      .target = s->injector->target_offset == SIZE_MAX
                    ? NULL
                    : (void *)((char *)s->config + s->injector->target_offset)};
  struct scenario scenario = {
      .timeline = &entry, .timeline_count = 1, .recovery_timeout_ns = 60 * NS_PER_S};
  virtual_time_begin(&time);
  assert_ok(journal_open(&journal, s->directory, &err), &err);
  struct timeline_spec spec = {.loop = time.loop,
                               .scenario = &scenario,
                               .cluster = &s->fake.cluster,
                               .services = &s->fake.service,
                               .service_count = 1,
                               .sink = &s->fake.sink,
                               .journal = &journal,
                               .start_ns = time.now_ns,
                               .load_recovered = load_is_fine,
                               .done = timeline_over,
                               .data = &done};
  assert_ok(timeline_new(&spec, &timeline, &err), &err);
  assert_ok(timeline_begin(timeline, time.now_ns, &err), &err);
  virtual_time_run(&time, time.now_ns + 300 * NS_PER_S, &done);
  assert_true(done);
  assert_int_equal(fake_count(&s->fake, EVENT_FAULT_CONFIRMED), 1);
  bool over = planned(s->injector) || s->injector->flags & INJECTOR_MOMENT;
  assert_int_equal(open_faults(s->directory), over ? 0 : 1);
  if (s->in.process && !s->in.process->unit) s->fake.processes[0] = 2;
  assert_ok(timeline_heal_all(timeline, &err), &err);
  assert_int_equal(fake_count(&s->fake, EVENT_FAULT_HEAL_CONFIRMED), 1);
  assert_int_equal(open_faults(s->directory), 0);
  timeline_free(timeline);
  journal_close(&journal);
  virtual_time_release(&time);
}

static void test_timeline_journals_faults_and_no_steps(void **state) {
  (void)state;
  for_each(true, check_timeline);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_descriptors_are_complete),
      cmocka_unit_test(test_inject_confirm_heal_twice),
      cmocka_unit_test(test_heal_without_an_inject),
      cmocka_unit_test(test_heal_after_half_an_inject),
      cmocka_unit_test(test_heal_from_the_journal_alone),
      cmocka_unit_test(test_heal_when_the_host_is_gone),
      cmocka_unit_test(test_failed_heal_is_told_and_can_be_repeated),
      cmocka_unit_test(test_confirm_only_looks),
      cmocka_unit_test(test_what_is_used_is_needed),
      cmocka_unit_test(test_what_is_needed_is_used),
      cmocka_unit_test(test_steps_are_asked_of_the_service),
      cmocka_unit_test(test_failed_step_is_told),
      cmocka_unit_test(test_timeline_journals_faults_and_no_steps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
