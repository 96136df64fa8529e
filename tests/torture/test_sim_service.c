/* The provider `sim` and its services under failing allocations, from bringing it up over a crash
 * and a failover to its end: what could not be had is an error at the beginning, and later makes
 * the run one that is not to be trusted. */
#include "base/arena.h"
#include "sim/sim.h"
#include "support/config.h"
#include "support/virtual_time.h"
#include "torture/allocations.h"

struct town {
  struct sink sink;
  struct virtual_time time;
  struct sim_config config;
  const struct service *model;
  union {
    struct postgres_config postgres;
    struct redis_config redis;
  } service_config;
  struct cluster *cluster;
  const struct host *members[HOSTS_MAX];
  struct service_instance service;
  char state[1 << 20]; /* of the service */
  uint32_t promoted;
};

static void take_event(struct sink *sink, const struct event *event) {
  ((struct town *)sink)->promoted += event->kind == EVENT_PROMOTED;
}

static void take_sample(struct sink *sink, const struct sample *sample) {
  (void)sink;
  (void)sample;
}

static int bring_up(struct town *town, struct error *err) {
  struct host_spec hosts[HOSTS_MAX];
  uint32_t count = 0;
  int status = town->model->plan(&town->service_config, hosts, &count, err);
  if (status < 0) return status;
  const struct cluster_spec spec = {.id = "gd-test",
                                    .run_directory = "/nonexistent",
                                    .hosts = hosts,
                                    .host_count = count,
                                    .loop = town->time.loop,
                                    .seed = 3};
  status = provider_sim.up(&town->config, &spec, &town->cluster, err);
  if (status < 0) return status;
  for (uint32_t i = 0; i < count; i++) town->members[i] = &town->cluster->hosts[i];
  assert_true(town->model->plugin.state_size <= sizeof town->state);
  memset(town->state, 0, sizeof town->state);
  town->service = (struct service_instance){.service = town->model,
                                            .config = &town->service_config,
                                            .cluster = town->cluster,
                                            .members = town->members,
                                            .member_count = count,
                                            .sink = &town->sink,
                                            .clock = &town->time.clock,
                                            .start_ns = town->time.now_ns,
                                            .lag_bound_bytes = 1 << 20,
                                            .state = town->state};
  status = town->model->start(&town->service, err);
  if (status == 0) status = town->model->watch(&town->service, town->time.loop, err);
  return status;
}

static void reach(struct timer *timer, uint64_t now_ns) {
  (void)now_ns;
  *(bool *)timer->owner = true;
}

static int run(struct town *town, uint64_t for_ns, struct error *err) {
  bool reached = false;
  struct timer end = {.fire = reach, .owner = &reached};
  int status = loop_timer_arm(town->time.loop, &end, town->time.now_ns + for_ns, err);
  while (status == 0 && !reached) status = loop_turn(town->time.loop, TIME_NEVER, err);
  loop_timer_cancel(town->time.loop, &end);
  return status;
}

static int live(struct town *town, struct error *err) {
  struct buf settings;
  buf_init(&settings);
  int status = town->model->settings(&town->service, &settings, err);
  buf_release(&settings);
  if (status == 0) status = run(town, 12 * NS_PER_S, err);
  if (status == 0) status = provider_sim.host_stop(town->cluster, town->members[0], err);
  if (status == 0) status = run(town, 45 * NS_PER_S, err);
  if (status == 0) status = provider_sim.host_start(town->cluster, town->members[0], err);
  if (status == 0) status = run(town, 20 * NS_PER_S, err);
  return status;
}

static int attempt_life(void *data, struct error *err) {
  struct town *town = data;
  town->cluster = NULL;
  town->promoted = 0;
  town->service = (struct service_instance){.state = NULL};
  int status = virtual_time_init(&town->time, err);
  if (status == 0) status = bring_up(town, err);
  if (status == 0) status = live(town, err);
  if (status == 0 && sim_cluster_of(town->cluster)->world.out_of_memory)
    status = error_set(err, STATUS_MEMORY, "out of memory for a simulation");
  if (town->service.state) {
    town->model->unwatch(&town->service);
    town->model->release(&town->service);
  }
  provider_sim.detach(town->cluster);
  virtual_time_release(&town->time);
  return status;
}

static void survive(struct town *town, const struct service *model, int topology) {
  struct arena arena;
  arena_init(&arena, 0);
  town->model = model;
  config_defaults(&provider_sim.plugin, &arena, &town->config);
  config_defaults(&model->plugin, &arena, &town->service_config);
  if (model == &sim_service_redis) town->service_config.redis.topology = topology;
  town->sink = (struct sink){.event = take_event, .sample = take_sample};
  fail_each_allocation(attempt_life, town);
  arena_release(&arena);
}

static void test_a_simulated_service_survives_each_failure(void **state) {
  static struct town town;
  (void)state;
  survive(&town, &sim_service_postgres, 0);
  assert_int_equal(town.promoted, 2); /* in the beginning, and after the crash */
}

static void test_simulated_sentinels_survive_each_failure(void **state) {
  static struct town town;
  (void)state;
  survive(&town, &sim_service_redis, REDIS_SENTINEL);
  assert_true(town.promoted >= 2); /* the old one too, until it is told */
}

static void test_a_simulated_redis_cluster_survives_each_failure(void **state) {
  static struct town town;
  (void)state;
  survive(&town, &sim_service_redis, REDIS_CLUSTER);
  assert_int_equal(town.promoted, 4); /* three in the beginning, and after the crash */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_simulated_service_survives_each_failure),
      cmocka_unit_test(test_simulated_sentinels_survive_each_failure),
      cmocka_unit_test(test_a_simulated_redis_cluster_survives_each_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
