/* What Redis says of itself in text: INFO, CLUSTER NODES, CLUSTER INFO, Sentinel's messages. Pure;
 * the texts come from servers and may be anything. */
#ifndef GAMEDAY_SERVICES_REDIS_INFO_H
#define GAMEDAY_SERVICES_REDIS_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gameday/redis_access.h"

#define REDIS_ADDRESS_SIZE 48
#define REDIS_LISTED_MAX 16

/* A replica as its primary lists it. */
struct redis_listed {
  char address[REDIS_ADDRESS_SIZE];
  bool online;
  uint64_t offset; /* that it acknowledged last */
  uint32_t lag_s;  /* whole seconds since then */
};

struct redis_info {
  /* section Replication */
  bool has_role;
  bool primary;                  /* role:master */
  char history[REDIS_ID_SIZE];   /* master_replid; "" when absent */
  uint64_t offset;               /* a primary's written, or what a replica has received */
  char from[REDIS_ADDRESS_SIZE]; /* of a replica: its primary's address */
  bool link_up, syncing;
  struct redis_listed listed[REDIS_LISTED_MAX];
  uint32_t listed_count;
  bool has_good_replicas;
  uint32_t good_replicas; /* min_slaves_good_slaves */
  /* the other sections, with INFO of all */
  bool loading;
  bool has_stats;
  uint64_t memory_used, evicted_keys, expired_keys, keyspace_hits, keyspace_misses, clients;
  uint64_t memory_limit;    /* maxmemory; 0: none */
  uint64_t memory_refusals; /* commands refused with OOM since its start; 0 before Redis 6.2 */
  bool snapshot_failed;     /* rdb_last_bgsave_status is not ok */
  char version[32];
  bool valkey;
};
/* False: not the text of INFO. */
bool redis_parse_info(const char *text, size_t length, struct redis_info *ret);

/* One line of CLUSTER NODES. */
struct redis_node {
  char id[REDIS_ID_SIZE];
  char master_id[REDIS_ID_SIZE]; /* of a replica; else "" */
  char address[REDIS_ADDRESS_SIZE];
  bool myself, master, failed /* not merely suspected */, suspected, handshake, connected;
  uint64_t epoch;
  uint32_t slot_count; /* that it serves */
  uint16_t first_slot; /* meaningless without slots */
};
/* At most `size` nodes; the count of those found. Lines that are none are passed over. */
uint32_t redis_parse_nodes(const char *text, size_t length, struct redis_node *ret, uint32_t size);

/* Of CLUSTER INFO. */
struct redis_cluster_info {
  bool ok; /* cluster_state:ok */
  uint32_t slots_assigned, known_nodes, size;
};
bool redis_parse_cluster_info(const char *text, size_t length, struct redis_cluster_info *ret);

/* What a Sentinel publishes of its primary: "+odown" with "master NAME IP PORT ...", and
 * "+switch-master" with "NAME OLD-IP OLD-PORT NEW-IP NEW-PORT". */
enum redis_notice { REDIS_NOTICE_OTHER, REDIS_NOTICE_DOWN, REDIS_NOTICE_BACK, REDIS_NOTICE_SWITCH };
struct redis_message {
  enum redis_notice notice;
  char address[REDIS_ADDRESS_SIZE];     /* of the primary that is spoken of */
  char new_address[REDIS_ADDRESS_SIZE]; /* REDIS_NOTICE_SWITCH */
};
void redis_parse_message(const char *channel, const char *text, const char *master_name,
                         struct redis_message *ret);

#endif
