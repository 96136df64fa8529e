/* memory-fill beyond what every injector must do: what it refuses, when it is in effect, and how it
 * takes a host's memory. */
#include "injectors/injectors.h"
#include "support/config.h"
#include "support/fake.h"
#include "support/test.h"

struct fill {
  struct arena arena;
  struct fake fake;
  char *config;
  struct injection in;
};

static void set(struct fill *fill, const char *key, const char *text) {
  config_set(&injector_memory_fill.plugin, &fill->arena, fill->config, key, text);
}

static void fill_init(struct fill *fill) {
  *fill = (struct fill){.config = NULL};
  arena_init(&fill->arena, 0);
  fake_init(&fill->fake, "");
  fill->config = config_new(&injector_memory_fill.plugin, &fill->arena);
  fill->in = (struct injection){.injector = &injector_memory_fill,
                                .config = fill->config,
                                .cluster = &fill->fake.cluster,
                                .host = &fill->fake.hosts[0],
                                .service = &fill->fake.service};
}

static void fill_release(struct fill *fill) {
  arena_release(&fill->arena);
}

static void assert_refused(const struct fill *fill, const char *words) {
  struct error err = ERROR_INIT;
  assert_int_equal(injector_memory_fill.plugin.validate(fill->config, &err), STATUS_USAGE);
  if (!strstr(err.message, words)) fail_msg("'%s' says nothing of '%s'", err.message, words);
}

static bool active(const struct fill *fill) {
  struct error err = ERROR_INIT;
  bool is_active = false;
  assert_ok(injector_memory_fill.confirm(&fill->in, &is_active, &err), &err);
  return is_active;
}

static void test_what_contradicts_itself_is_refused(void **state) {
  (void)state;
  struct fill fill;
  struct error err = ERROR_INIT;
  fill_init(&fill);
  assert_ok(injector_memory_fill.plugin.validate(fill.config, &err), &err);
  set(&fill, "size", "1GiB");
  assert_refused(&fill, "size: is of until: oom");
  set(&fill, "until", "oom");
  assert_refused(&fill, "process:");
  set(&fill, "process", "server");
  assert_ok(injector_memory_fill.plugin.validate(fill.config, &err), &err);
  set(&fill, "size", "0B");
  assert_refused(&fill, "size: until: oom takes as much");
  fill_release(&fill);
}

static uint64_t no_limit(const void *config) {
  (void)config;
  return 0;
}

static void test_a_limit_is_needed_to_reach_it(void **state) {
  (void)state;
  struct fill fill;
  struct error err = ERROR_INIT;
  const struct service_memory_hooks unlimited = {.limit = no_limit};
  struct service on_disk = {.plugin = {.name = "disk"}},
                 endless = {.plugin = {.name = "endless"}, .memory = &unlimited};
  struct fault_place place = {.service = &fake_service, .host_count = 3};
  fill_init(&fill);
  assert_ok(injector_memory_fill.fits(fill.config, &place, &err), &err);
  ((struct target *)(void *)(fill.config + injector_memory_fill.target_offset))->kind =
      TARGET_REPLICA;
  assert_int_equal(injector_memory_fill.fits(fill.config, &place, &err), STATUS_USAGE);
  assert_non_null(strstr(err.message, "target: a replica takes no keys but its primary's"));
  set(&fill, "until", "oom");
  assert_ok(injector_memory_fill.fits(fill.config, &place, &err), &err);
  set(&fill, "until", "maxmemory");
  set(&fill, "target", "fakedb.primary");
  place.service = &on_disk;
  assert_int_equal(injector_memory_fill.fits(fill.config, &place, &err), STATUS_USAGE);
  assert_non_null(strstr(err.message, "disk has no memory that could be filled"));
  place.service = &endless;
  assert_int_equal(injector_memory_fill.fits(fill.config, &place, &err), STATUS_USAGE);
  assert_non_null(strstr(err.message, "endless has no limit of its own"));
  set(&fill, "until", "oom");
  assert_ok(injector_memory_fill.fits(fill.config, &place, &err), &err);
  fill_release(&fill);
}

/* A server that is as full as before for other reasons proves nothing. */
static void test_it_is_in_effect_while_its_keys_are_there(void **state) {
  (void)state;
  struct fill fill;
  struct error err = ERROR_INIT;
  fill_init(&fill);
  fill.fake.filled[0] = true; /* not by this fault: nothing was noted */
  assert_false(active(&fill));
  fill.fake.filled[0] = false;
  assert_ok(injector_memory_fill.inject(&fill.in, &err), &err);
  assert_string_equal(fill.in.note, "0 evicted, 0 refused");
  assert_true(active(&fill));
  assert_ok(injector_memory_fill.heal(&fill.in, &err), &err);
  assert_false(active(&fill));
  fill_release(&fill);
}

/* Whatever its processes are doing, or not, is not this fault's doing then. */
static void test_nothing_is_in_effect_on_a_host_that_is_off(void **state) {
  (void)state;
  struct fill fill;
  struct error err = ERROR_INIT;
  fill_init(&fill);
  assert_ok(injector_memory_fill.inject(&fill.in, &err), &err);
  assert_true(active(&fill));
  fill.fake.off[0] = true;
  assert_false(active(&fill));
  fill.fake.off[0] = false;
  set(&fill, "until", "oom");
  fill.in.process = service_process_find(&fake_service, NULL, "server");
  fill.fake.processes[0] = 0;
  assert_true(active(&fill));
  fill.fake.off[0] = true;
  assert_false(active(&fill));
  fill_release(&fill);
}

/* Sizes that do not divide are taken by no more processes, and hardly more than was asked for. */
static void test_the_processes_take_what_was_asked_for(void **state) {
  (void)state;
  struct fill fill;
  struct error err = ERROR_INIT;
  fill_init(&fill);
  set(&fill, "until", "oom");
  set(&fill, "size", "100000001B");
  assert_ok(injector_memory_fill.inject(&fill.in, &err), &err);
  assert_non_null(strstr(fill.fake.unit_script, "n=16;"));
  assert_non_null(strstr(fill.fake.unit_script, "head -c 6250001 /dev/zero"));
  fill_release(&fill);
}

static void test_a_host_without_such_a_service_cannot_be_filled(void **state) {
  (void)state;
  struct fill fill;
  struct error err = ERROR_INIT;
  fill_init(&fill);
  fill.in.service = NULL;
  assert_int_equal(injector_memory_fill.inject(&fill.in, &err), STATUS_USAGE);
  fill_release(&fill);
}

static void test_oom_is_in_effect_when_the_process_is_gone(void **state) {
  (void)state;
  struct fill fill;
  struct error err = ERROR_INIT;
  fill_init(&fill);
  set(&fill, "until", "oom");
  set(&fill, "size", "100MiB");
  fill.in.process = service_process_find(&fake_service, NULL, "server");
  assert_ok(injector_memory_fill.inject(&fill.in, &err), &err);
  assert_string_equal(fill.fake.calls, "unit_define db1\nunit_start db1\n");
  assert_non_null(strstr(fill.fake.unit_script, "n=16;"));
  assert_non_null(strstr(fill.fake.unit_script, "head -c 6553600 /dev/zero"));
  assert_false(active(&fill));
  fill.fake.processes[0] = 0; /* the kernel's doing */
  assert_true(active(&fill));
  assert_ok(injector_memory_fill.heal(&fill.in, &err), &err);
  assert_false(active(&fill)); /* its unit was started again */
  fill_release(&fill);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_contradicts_itself_is_refused),
      cmocka_unit_test(test_a_limit_is_needed_to_reach_it),
      cmocka_unit_test(test_it_is_in_effect_while_its_keys_are_there),
      cmocka_unit_test(test_nothing_is_in_effect_on_a_host_that_is_off),
      cmocka_unit_test(test_the_processes_take_what_was_asked_for),
      cmocka_unit_test(test_a_host_without_such_a_service_cannot_be_filled),
      cmocka_unit_test(test_oom_is_in_effect_when_the_process_is_gone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
