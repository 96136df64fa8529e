/* What a scenario says of the service `postgres`, and what follows from it alone: shared by the
 * service on real hosts and by its model in the simulator. */
#ifndef GAMEDAY_SERVICES_POSTGRES_PARAMETERS_H
#define GAMEDAY_SERVICES_POSTGRES_PARAMETERS_H

#include <stdbool.h>
#include <stdint.h>

#include "gameday/service.h"

#define POSTGRES_INSTANCES_MAX 7
#define POSTGRES_PORT 5432
#define PATRONI_PORT 8008
#define ETCD_CLIENT_PORT 2379
#define ETCD_PEER_PORT 2380
#define ETCD_HEARTBEAT_MS 100 /* etcd's own defaults, given explicitly: bounds follow from them */
#define ETCD_ELECTION_MS 1000

enum postgres_topology { TOPOLOGY_PATRONI, TOPOLOGY_STREAMING, TOPOLOGY_SINGLE };

struct postgres_config {
  int topology; /* enum postgres_topology */
  uint32_t instances;
  const char *version; /* "auto" or a major version */
  uint64_t ttl_ns, loop_wait_ns, retry_timeout_ns, primary_start_timeout_ns;
  uint64_t maximum_lag_on_failover_bytes;
  bool synchronous_mode, synchronous_mode_strict;
  uint32_t synchronous_node_count;
  bool use_pg_rewind, data_checksums;
  uint32_t max_connections;
  uint64_t memory_bytes, disk_bytes;
  struct settings parameters; /* free server parameters */
};

/* Members 0 .. instances - 1 carry PostgreSQL; a last one carries only etcd when there are two. */
uint32_t postgres_instances(const struct postgres_config *config);
uint32_t postgres_etcd_count(const struct postgres_config *config); /* the first so many members */
uint32_t postgres_host_count(const struct postgres_config *config);

/* What the descriptors of the service and of its model share; as in struct plugin and service. */
extern const struct param postgres_params[];
extern const struct service_process postgres_processes[]; /* under Patroni */
const struct service_process *postgres_processes_for(const void *config);
int postgres_plan_hosts(const void *config, struct host_spec *ret_hosts, uint32_t *ret_count,
                        struct error *err);
bool postgres_can_step(const void *config, enum service_step step);
const uint16_t *postgres_store_ports(const void *config);
uint32_t postgres_replicas(const void *config);
uint32_t postgres_connections(const void *config, char *because, size_t size);

#endif
