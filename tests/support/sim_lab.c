/* One simulated cluster and its service. */
#include "support/sim_lab.h"

#include "support/test.h"

static void take_event(struct sink *sink, const struct event *event) {
  (void)sink;
  (void)event;
}

static void take_sample(struct sink *sink, const struct sample *sample) {
  (void)sink;
  (void)sample;
}

void sim_lab_init(struct sim_lab *lab) {
  *lab = (struct sim_lab){.silent = {.event = take_event, .sample = take_sample}};
  virtual_time_begin(&lab->time);
  arena_init(&lab->arena, 0);
}

void sim_lab_begin(struct sim_lab *lab, const void *provider_config, const struct service *service,
                   const void *config, struct sink *sink) {
  struct error err = ERROR_INIT;
  struct host_spec hosts[HOSTS_MAX];
  uint32_t count = 0;
  assert_ok(service->plan(config, hosts, &count, &err), &err);
  const uint32_t member_count = count;
  hosts[count++] = (struct host_spec){.name = "client1", .kind = HOST_CLIENT};
  hosts[count++] = (struct host_spec){.name = "monitor", .kind = HOST_MONITOR};
  const struct cluster_spec spec = {.id = "gd-test",
                                    .run_directory = "/nonexistent",
                                    .hosts = hosts,
                                    .host_count = count,
                                    .loop = lab->time.loop,
                                    .seed = 7};
  assert_ok(provider_sim.probe(provider_config, &err), &err);
  assert_ok(provider_sim.up(provider_config, &spec, &lab->cluster, &err), &err);
  for (uint32_t i = 0; i < member_count; i++) lab->members[i] = &lab->cluster->hosts[i];
  lab->service = (struct service_instance){.service = service,
                                           .config = config,
                                           .cluster = lab->cluster,
                                           .members = lab->members,
                                           .member_count = member_count,
                                           .sink = sink ? sink : &lab->silent,
                                           .clock = &lab->time.clock,
                                           .start_ns = lab->time.now_ns,
                                           .lag_bound_bytes = 1 << 20};
  lab->service.state = arena_alloc(&lab->arena, service->plugin.state_size);
  assert_non_null(lab->service.state);
  assert_ok(service->start(&lab->service, &err), &err);
  assert_ok(service->watch(&lab->service, lab->time.loop, &err), &err);
}

void sim_lab_end(struct sim_lab *lab) {
  const struct service *service = lab->service.service;
  service->unwatch(&lab->service);
  assert_false(sim_cluster_of(lab->cluster)->world.out_of_memory);
  service->release(&lab->service);
  provider_sim.detach(lab->cluster);
  virtual_time_release(&lab->time);
  arena_release(&lab->arena);
}

void sim_lab_run(struct sim_lab *lab, uint64_t for_ns) {
  virtual_time_run(&lab->time, lab->time.now_ns + for_ns, NULL);
}
