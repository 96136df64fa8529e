/* Memory on simulated hosts as the injector memory-fill sees it: processes that take a host's, keys
 * that fill a server's, and what becomes of them when somebody else is primary. */
#include <signal.h>

#include "sim/sim.h"
#include "support/config.h"
#include "support/test.h"
#include "support/virtual_time.h"

#define SERVERS 3
#define MIB (UINT64_C(1) << 20)
#define EATERS "memory-fill"

/* Redis behind Sentinels, on hosts of 64 MiB. */
struct lab {
  struct sink sink;
  struct virtual_time time;
  struct arena arena;
  struct cluster *cluster;
  struct service_instance service;
  const struct host *members[HOSTS_MAX];
};

static void take_event(struct sink *sink, const struct event *event) {
  (void)sink;
  (void)event;
}

static void take_sample(struct sink *sink, const struct sample *sample) {
  (void)sink;
  (void)sample;
}

static void *redis_config_of(struct lab *lab) {
  static const char *const settings[][2] = {
      {"topology", "sentinel"}, {"maxmemory", "16MiB"}, {"memory", "64MiB"}, {"down_after", "1s"}};
  const struct plugin *plugin = &sim_service_redis.plugin;
  void *config = config_new(plugin, &lab->arena);
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    config_set(plugin, &lab->arena, config, settings[i][0], settings[i][1]);
  return config;
}

static void lab_begin(struct lab *lab) {
  struct error err = ERROR_INIT;
  struct host_spec hosts[HOSTS_MAX];
  uint32_t count = 0;
  *lab = (struct lab){.sink = {.event = take_event, .sample = take_sample}};
  virtual_time_begin(&lab->time);
  arena_init(&lab->arena, 0);
  const void *config = redis_config_of(lab);
  assert_ok(sim_service_redis.plan(config, hosts, &count, &err), &err);
  const struct cluster_spec spec = {.id = "gd-test",
                                    .run_directory = "/nonexistent",
                                    .hosts = hosts,
                                    .host_count = count,
                                    .loop = lab->time.loop,
                                    .seed = 7};
  assert_ok(
      provider_sim.up(config_new(&provider_sim.plugin, &lab->arena), &spec, &lab->cluster, &err),
      &err);
  for (uint32_t i = 0; i < count; i++) lab->members[i] = &lab->cluster->hosts[i];
  lab->service = (struct service_instance){.service = &sim_service_redis,
                                           .config = config,
                                           .cluster = lab->cluster,
                                           .members = lab->members,
                                           .member_count = count,
                                           .sink = &lab->sink,
                                           .clock = &lab->time.clock,
                                           .start_ns = lab->time.now_ns,
                                           .lag_bound_bytes = MIB};
  lab->service.state = arena_alloc(&lab->arena, sim_service_redis.plugin.state_size);
  assert_non_null(lab->service.state);
  assert_ok(sim_service_redis.start(&lab->service, &err), &err);
  assert_ok(sim_service_redis.watch(&lab->service, lab->time.loop, &err), &err);
}

static void lab_end(struct lab *lab) {
  sim_service_redis.unwatch(&lab->service);
  assert_false(sim_cluster_of(lab->cluster)->world.out_of_memory);
  sim_service_redis.release(&lab->service);
  provider_sim.detach(lab->cluster);
  virtual_time_release(&lab->time);
  arena_release(&lab->arena);
}

static void run(struct lab *lab, uint64_t for_ns) {
  virtual_time_run(&lab->time, lab->time.now_ns + for_ns, NULL);
}

static uint32_t send_signal(struct lab *lab, const struct host *host, const char *unit,
                            int number) {
  struct error err = ERROR_INIT;
  const struct process_match match = {.unit = unit, .tree = true};
  uint32_t count = 0;
  assert_ok(provider_sim.process_signal(lab->cluster, host, &match, number, &count, &err), &err);
  return count;
}

static const struct host *primary_of(struct lab *lab) {
  struct service_view view;
  sim_service_redis.view(&lab->service, &view);
  assert_int_not_equal(view.primary, HOST_NONE);
  return &lab->cluster->hosts[view.primary];
}

static uint64_t fillers_at(struct lab *lab, const struct host *host) {
  struct error err = ERROR_INIT;
  struct service_memory memory;
  assert_ok(sim_service_redis.memory->look(&lab->service, host, &memory, &err), &err);
  return memory.fillers;
}

/* Sixteen processes with as much each. */
static void take_memory(struct lab *lab, const struct host *host, uint64_t each_bytes) {
  struct error err = ERROR_INIT;
  const struct host_unit unit = {.name = EATERS,
                                 .argv = (const char *const[]){"/bin/sh", NULL},
                                 .by_hand = true,
                                 .memory_processes = 16,
                                 .memory_bytes = each_bytes};
  assert_ok(provider_sim.unit_define(lab->cluster, host, &unit, &err), &err);
  assert_ok(provider_sim.unit_start(lab->cluster, host, unit.name, &err), &err);
  run(lab, NS_PER_S);
  assert_true(send_signal(lab, host, EATERS, 0) > 0);
}

/* Together they have too much only when the server has more than in the beginning. */
static void test_a_server_that_grows_beside_them_is_killed(void **state) {
  (void)state;
  struct lab lab;
  lab_begin(&lab);
  run(&lab, NS_PER_S);
  const struct host *host = primary_of(&lab);
  take_memory(&lab, host, 3 * MIB);
  assert_true(send_signal(&lab, host, "redis", 0) > 0);
  /* It may be killed while it is filled, or just after. */
  (void)sim_service_redis.memory->fill(&lab.service, host, 0, NULL);
  run(&lab, NS_PER_S);
  assert_int_equal(send_signal(&lab, host, "redis", 0), 0);
  assert_true(send_signal(&lab, host, EATERS, 0) > 0);
  lab_end(&lab);
}

/* The kernel kills the server while they are there, and not when its host boots after the heal. */
static void test_who_takes_memory_does_not_come_back_with_the_power(void **state) {
  (void)state;
  struct lab lab;
  struct error err = ERROR_INIT;
  lab_begin(&lab);
  const struct host *host = lab.members[0];
  take_memory(&lab, host, 8 * MIB);
  assert_int_equal(send_signal(&lab, host, "redis", 0), 0);
  assert_true(send_signal(&lab, host, EATERS, SIGKILL) > 0);
  assert_ok(provider_sim.host_stop(lab.cluster, host, &err), &err);
  assert_ok(provider_sim.host_start(lab.cluster, host, &err), &err);
  run(&lab, 30 * NS_PER_S);
  assert_int_equal(send_signal(&lab, host, EATERS, 0), 0);
  assert_true(send_signal(&lab, host, "redis", 0) > 0);
  lab_end(&lab);
}

/* As a real one refuses: READONLY. */
static void test_a_replica_cannot_be_filled(void **state) {
  (void)state;
  struct lab lab;
  struct error err = ERROR_INIT;
  lab_begin(&lab);
  run(&lab, NS_PER_S);
  const struct host *primary = primary_of(&lab);
  for (uint32_t i = 0; i < SERVERS; i++) {
    if (lab.members[i] == primary) continue;
    assert_int_equal(sim_service_redis.memory->fill(&lab.service, lab.members[i], 0, &err),
                     STATUS_SERVER);
    assert_int_equal(fillers_at(&lab, lab.members[i]), 0);
  }
  lab_end(&lab);
}

static void test_keys_go_from_who_has_become_primary(void **state) {
  (void)state;
  struct lab lab;
  struct error err = ERROR_INIT;
  const struct service_memory_hooks *hooks = sim_service_redis.memory;
  lab_begin(&lab);
  run(&lab, NS_PER_S);
  const struct host *old = primary_of(&lab);
  assert_ok(hooks->fill(&lab.service, old, 0, &err), &err);
  run(&lab, NS_PER_S);
  uint64_t count = fillers_at(&lab, old);
  assert_true(count > 0);
  assert_true(send_signal(&lab, old, "redis", SIGKILL) > 0);
  run(&lab, 30 * NS_PER_S);
  const struct host *new = primary_of(&lab);
  assert_ptr_not_equal(new, old);
  assert_int_equal(fillers_at(&lab, new), count);
  assert_ok(hooks->clear(&lab.service, old, &err), &err);
  assert_int_equal(fillers_at(&lab, new), 0);
  /* Back as a replica it has what its primary has. */
  assert_ok(provider_sim.unit_start(lab.cluster, old, "redis", &err), &err);
  run(&lab, 60 * NS_PER_S);
  assert_int_equal(fillers_at(&lab, old), 0);
  lab_end(&lab);
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
