/* Placeholder until the nodes are here. */
#include "sim/redis_internal.h"

int nodes_new(struct sim_redis_cluster *cluster, struct error *err) {
  if (cluster->config->topology != REDIS_CLUSTER) return 0;
  return error_set(err, STATUS_ENVIRONMENT, "Redis Cluster is not simulated");
}
void nodes_bootstrap(struct sim_redis_cluster *cluster) {
  (void)cluster;
}
void node_started(struct sim_redis *server) {
  (void)server;
}
void node_died(struct sim_redis *server) {
  (void)server;
}
bool node_ok(const struct sim_redis *server) {
  (void)server;
  return true;
}
bool node_serves(struct sim_redis *server, uint16_t slot, bool write, bool readonly,
                 char *ret_error, size_t size) {
  (void)server, (void)slot, (void)write, (void)readonly, (void)ret_error, (void)size;
  return true;
}
void node_put_slots(struct sim_redis *server, struct sim_wire *wire) {
  (void)server, (void)wire;
}
uint8_t node_shard(const struct sim_redis *server) {
  (void)server;
  return 0;
}
bool node_switchover(struct sim_redis_cluster *cluster, uint32_t member) {
  (void)cluster, (void)member;
  return false;
}
void sim_node_word(struct sim_redis_cluster *cluster, uint32_t member, uint8_t shard,
                   struct sim_node_word *ret) {
  (void)cluster, (void)member, (void)shard;
  *ret = (struct sim_node_word){.primary = MEMBER_NONE};
}
