/* Memory on simulated hosts as the injector memory-fill sees it: processes that take a host's, keys
 * that fill a server's, and what becomes of them when somebody else is primary. */
#include <signal.h>

#include "support/config.h"
#include "support/sim_lab.h"
#include "support/test.h"

#define SERVERS 3
#define MIB (UINT64_C(1) << 20)
#define EATERS "memory-fill"

/* Redis behind Sentinels, on hosts of 64 MiB. */
static void *redis_config_of(struct sim_lab *lab) {
  static const char *const settings[][2] = {
      {"topology", "sentinel"}, {"maxmemory", "16MiB"}, {"memory", "64MiB"}, {"down_after", "1s"}};
  const struct plugin *plugin = &sim_service_redis.plugin;
  void *config = config_new(plugin, &lab->arena);
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    config_set(plugin, &lab->arena, config, settings[i][0], settings[i][1]);
  return config;
}

static void lab_begin(struct sim_lab *lab) {
  sim_lab_init(lab);
  sim_lab_begin(lab, config_new(&provider_sim.plugin, &lab->arena), &sim_service_redis,
                redis_config_of(lab), NULL);
}

static uint32_t send_signal(struct sim_lab *lab, const struct host *host, const char *unit,
                            int number) {
  struct error err = ERROR_INIT;
  const struct process_match match = {.unit = unit, .tree = true};
  uint32_t count = 0;
  assert_ok(provider_sim.process_signal(lab->cluster, host, &match, number, &count, &err), &err);
  return count;
}

static const struct host *primary_of(struct sim_lab *lab) {
  struct service_view view;
  sim_service_redis.view(&lab->service, &view);
  assert_int_not_equal(view.primary, HOST_NONE);
  return &lab->cluster->hosts[view.primary];
}

static uint64_t fillers_at(struct sim_lab *lab, const struct host *host) {
  struct error err = ERROR_INIT;
  struct service_memory memory;
  assert_ok(sim_service_redis.memory->look(&lab->service, host, &memory, &err), &err);
  return memory.fillers;
}

/* Sixteen processes with as much each. */
static void take_memory(struct sim_lab *lab, const struct host *host, uint64_t each_bytes) {
  struct error err = ERROR_INIT;
  const struct host_unit unit = {.name = EATERS,
                                 .argv = (const char *const[]){"/bin/sh", NULL},
                                 .by_hand = true,
                                 .memory_processes = 16,
                                 .memory_bytes = each_bytes};
  assert_ok(provider_sim.unit_define(lab->cluster, host, &unit, &err), &err);
  assert_ok(provider_sim.unit_start(lab->cluster, host, unit.name, &err), &err);
  sim_lab_run(lab, NS_PER_S);
  assert_true(send_signal(lab, host, EATERS, 0) > 0);
}

/* Together they have too much only when the server has more than in the beginning. */
static void test_a_server_that_grows_beside_them_is_killed(void **state) {
  (void)state;
  struct sim_lab lab;
  lab_begin(&lab);
  sim_lab_run(&lab, NS_PER_S);
  const struct host *host = primary_of(&lab);
  take_memory(&lab, host, 3 * MIB);
  assert_true(send_signal(&lab, host, "redis", 0) > 0);
  /* It may be killed while it is filled, or just after. */
  (void)sim_service_redis.memory->fill(&lab.service, host, 0, NULL);
  sim_lab_run(&lab, NS_PER_S);
  assert_int_equal(send_signal(&lab, host, "redis", 0), 0);
  assert_true(send_signal(&lab, host, EATERS, 0) > 0);
  sim_lab_end(&lab);
}

/* The kernel kills the server while they are there, and not when its host boots after the heal. */
static void test_who_takes_memory_does_not_come_back_with_the_power(void **state) {
  (void)state;
  struct sim_lab lab;
  struct error err = ERROR_INIT;
  lab_begin(&lab);
  const struct host *host = lab.members[0];
  take_memory(&lab, host, 8 * MIB);
  assert_int_equal(send_signal(&lab, host, "redis", 0), 0);
  assert_true(send_signal(&lab, host, EATERS, SIGKILL) > 0);
  assert_ok(provider_sim.host_stop(lab.cluster, host, &err), &err);
  assert_ok(provider_sim.host_start(lab.cluster, host, &err), &err);
  sim_lab_run(&lab, 30 * NS_PER_S);
  assert_int_equal(send_signal(&lab, host, EATERS, 0), 0);
  assert_true(send_signal(&lab, host, "redis", 0) > 0);
  sim_lab_end(&lab);
}

/* As a real one refuses: READONLY. */
static void test_a_replica_cannot_be_filled(void **state) {
  (void)state;
  struct sim_lab lab;
  struct error err = ERROR_INIT;
  lab_begin(&lab);
  sim_lab_run(&lab, NS_PER_S);
  const struct host *primary = primary_of(&lab);
  for (uint32_t i = 0; i < SERVERS; i++) {
    if (lab.members[i] == primary) continue;
    assert_int_equal(sim_service_redis.memory->fill(&lab.service, lab.members[i], 0, &err),
                     STATUS_SERVER);
    assert_int_equal(fillers_at(&lab, lab.members[i]), 0);
  }
  sim_lab_end(&lab);
}

static void test_keys_go_from_who_has_become_primary(void **state) {
  (void)state;
  struct sim_lab lab;
  struct error err = ERROR_INIT;
  const struct service_memory_hooks *hooks = sim_service_redis.memory;
  lab_begin(&lab);
  sim_lab_run(&lab, NS_PER_S);
  const struct host *old = primary_of(&lab);
  assert_ok(hooks->fill(&lab.service, old, 0, &err), &err);
  sim_lab_run(&lab, NS_PER_S);
  uint64_t count = fillers_at(&lab, old);
  assert_true(count > 0);
  assert_true(send_signal(&lab, old, "redis", SIGKILL) > 0);
  sim_lab_run(&lab, 30 * NS_PER_S);
  const struct host *new = primary_of(&lab);
  assert_ptr_not_equal(new, old);
  assert_int_equal(fillers_at(&lab, new), count);
  assert_ok(hooks->clear(&lab.service, old, &err), &err);
  assert_int_equal(fillers_at(&lab, new), 0);
  /* Back as a replica it has what its primary has. */
  assert_ok(provider_sim.unit_start(lab.cluster, old, "redis", &err), &err);
  sim_lab_run(&lab, 60 * NS_PER_S);
  assert_int_equal(fillers_at(&lab, old), 0);
  sim_lab_end(&lab);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_server_that_grows_beside_them_is_killed),
      cmocka_unit_test(test_who_takes_memory_does_not_come_back_with_the_power),
      cmocka_unit_test(test_a_replica_cannot_be_filled),
      cmocka_unit_test(test_keys_go_from_who_has_become_primary),
  };
  return cmocka_run_group_tests_name("sim_memory", tests, NULL, NULL);
}
