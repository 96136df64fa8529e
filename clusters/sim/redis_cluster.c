/* All simulated servers of one service: made, started, looked at. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/redis_memory.h"
#include "sim/redis_sentinel.h"

/* "3600 1 300 100": seconds and changes, in pairs. */
static void read_saves(struct sim_redis_cluster *cluster) {
  const char *at = cluster->config->save;
  while (at && cluster->save_count < SAVE_RULES_MAX) {
    char *end = NULL;
    uint64_t seconds = strtoull(at, &end, 10);
    if (end == at) return;
    at = end;
    uint64_t changes = strtoull(at, &end, 10);
    if (end == at) return;
    at = end;
    cluster->saves[cluster->save_count].seconds = seconds;
    cluster->saves[cluster->save_count++].changes = changes;
  }
}

static int make_room(struct sim_redis_cluster *cluster, const struct host *const *members,
                     struct error *err) {
  uint32_t hosts = redis_host_count(cluster->config);
  uint32_t count = redis_instances(cluster->config);
  cluster->members = arena_calloc(&cluster->arena, hosts, sizeof *cluster->members);
  cluster->servers = arena_calloc(&cluster->arena, count, sizeof *cluster->servers);
  struct sim_feed *feeds = arena_calloc(&cluster->arena, (size_t)count * count, sizeof *feeds);
  if (!cluster->members || !cluster->servers || !feeds)
    return error_set(err, STATUS_MEMORY, "out of memory for simulated servers");
  for (uint32_t i = 0; i < hosts; i++) cluster->members[i] = members[i];
  for (uint32_t i = 0; i < count; i++) cluster->servers[i].feeds = &feeds[(size_t)i * count];
  cluster->count = count;
  return 0;
}

int sim_redis_cluster_new(struct sim_world *world, const struct redis_config *config,
                          const struct sim_redis_costs *costs, const struct host *const *members,
                          struct sim_redis_cluster **ret_cluster, struct error *err) {
  struct sim_redis_cluster *cluster = calloc(1, sizeof *cluster);
  if (!cluster) return error_set(err, STATUS_MEMORY, "out of memory for simulated servers");
  cluster->world = world;
  cluster->config = config;
  cluster->costs = *costs;
  arena_init(&cluster->arena, 0);
  cluster->wires = (struct sim_wires){.world = world, .arena = &cluster->arena};
  read_saves(cluster);
  memory_read_settings(cluster);
  int status = redis_histories_init(&cluster->histories, err);
  cluster->histories_ready = status == 0;
  if (status == 0) status = make_room(cluster, members, err);
  cluster->transport = transport_new(cluster);
  if (status == 0 && !cluster->transport)
    status = error_set(err, STATUS_MEMORY, "out of memory for simulated servers");
  for (uint32_t i = 0; i < cluster->count && status == 0; i++) {
    cluster->servers[i].cluster = cluster;
    cluster->by_host[members[i]->index] = &cluster->servers[i];
    redis_init(&cluster->servers[i], i);
  }
  if (status == 0) status = sentinels_new(cluster, err);
  if (status == 0) status = nodes_new(cluster, err);
  if (status < 0) {
    sim_redis_cluster_free(cluster);
    return status;
  }
  *ret_cluster = cluster;
  return 0;
}

void sim_redis_cluster_free(struct sim_redis_cluster *cluster) {
  if (!cluster) return;
  for (uint32_t i = 0; i < cluster->count; i++) data_release(&cluster->servers[i]);
  sim_wires_release(&cluster->wires);
  if (cluster->histories_ready) redis_histories_release(&cluster->histories);
  arena_release(&cluster->arena);
  free(cluster);
}

void sim_redis_bootstrap(struct sim_redis_cluster *cluster) {
  uint32_t primaries = cluster->config->topology == REDIS_CLUSTER ? cluster->config->masters : 1;
  cluster->starting = true;
  for (uint32_t i = 0; i < cluster->count; i++) {
    struct sim_redis *server = &cluster->servers[i];
    sim_process_start(&server->program.kernel);
    sim_process_start(&server->bus.kernel);
    server->history = redis_new_id(cluster);
    sim_process_start(&server->program.process);
    redis_history(server); /* histories are numbered in the order of the members */
    redis_settle(server);
  }
  for (uint32_t i = primaries; i < cluster->count; i++)
    stream_join(&cluster->servers[i], &cluster->servers[i % primaries]);
  nodes_bootstrap(cluster);
  sentinels_bootstrap(cluster);
  cluster->starting = false;
}

void sim_redis_clients(struct sim_redis_cluster *cluster,
                       struct sim_process *const by_host[HOSTS_MAX]) {
  memcpy(cluster->clients, by_host, sizeof cluster->clients);
}

const struct redis_transport *sim_redis_transport(struct sim_redis_cluster *cluster) {
  return cluster->transport;
}

struct redis_histories *sim_redis_histories(struct sim_redis_cluster *cluster) {
  return &cluster->histories;
}

struct sim_process *sim_redis_process(struct sim_redis_cluster *cluster, uint32_t member) {
  return &cluster->servers[member].program.process;
}

void sim_redis_terminate(struct sim_redis_cluster *cluster, struct sim_process *process) {
  for (uint32_t i = 0; i < cluster->count; i++)
    if (process == &cluster->servers[i].program.process) {
      redis_shut_down(&cluster->servers[i]);
      return;
    }
  sim_process_kill(process);
}

void sim_redis_listen(struct sim_redis_cluster *cluster, void (*changed)(void *data), void *data) {
  cluster->changed = changed;
  cluster->changed_data = data;
}

void sim_redis_observe(struct sim_redis_cluster *cluster, const struct sim_redis_truth *truth) {
  cluster->truth = *truth;
  for (uint32_t i = 0; i < cluster->count; i++)
    if (cluster->servers[i].told_accepting && truth->accepting)
      truth->accepting(truth->data, i, true);
}

/* --- looking at it --------------------------------------------------------------------------- */

static void list_replicas(const struct sim_redis *server, struct sim_redis_view *ret) {
  for (uint32_t i = bits_next(&server->fed, 0); i < BITS_MAX; i = bits_next(&server->fed, i + 1)) {
    const struct sim_feed *feed = &server->feeds[i];
    if (!feed->online) continue;
    bits_add(&ret->listed, i);
    if (redis_now_ns(server) - feed->acknowledged_ns >= 3 * NS_PER_S) bits_add(&ret->overdue, i);
  }
}

void sim_redis_view(struct sim_redis_cluster *cluster, uint32_t member,
                    struct sim_redis_view *ret) {
  struct sim_redis *server = &cluster->servers[member];
  bool primary = redis_is_primary(server), up = server->follow.state == FOLLOW_CONNECTED;
  *ret = (struct sim_redis_view){.runs = server->program.process.running,
                                 .answers = redis_answers(server),
                                 .primary = primary,
                                 .writable = redis_takes_writes(server),
                                 .link_up = up,
                                 .from = server->follow.from,
                                 .shard = server->node ? node_shard(server) : 0,
                                 .history = primary || up ? redis_history(server) : 0,
                                 .offset = data_offset(&server->data, server->data.count),
                                 .clients = server->client_count,
                                 .cluster_ok = server->node && node_ok(server)};
  list_replicas(server, ret);
}

bool sim_redis_switchover(struct sim_redis_cluster *cluster, uint32_t member) {
  if (cluster->config->topology == REDIS_CLUSTER) return node_switchover(cluster, member);
  for (uint32_t i = 0; i < cluster->sentinel_count; i++) {
    const struct sim_process *process = &cluster->sentinels[i].program.process;
    if (process->running && !process->frozen) return failover_force(&cluster->sentinels[i], member);
  }
  return false;
}

int sim_redis_rows(struct sim_redis_cluster *cluster, uint32_t member,
                   int (*row)(void *data, const struct sim_redis_entry *entry, struct error *err),
                   void *data, struct error *err) {
  struct sim_redis *server = &cluster->servers[member];
  int status = 0;
  for (uint64_t i = 0; i < server->data.count && status == 0; i++) {
    const struct sim_redis_entry *entry = server->data.entries[i];
    if (entry->table != cluster->table || !data_is_newest(server, entry)) continue;
    status = row(data, redis_guilt_read(server, entry), err);
  }
  return status;
}
