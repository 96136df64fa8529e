/* How clients reach a Redis service beyond addresses: struct access.context of driver_redis. Filled
 * by the service, used by every session, outlives them. */
#ifndef GAMEDAY_REDIS_ACCESS_H
#define GAMEDAY_REDIS_ACCESS_H

#include <pthread.h>

#include "gameday/driver.h"

enum redis_topology { REDIS_SENTINEL, REDIS_CLUSTER, REDIS_SINGLE };

#define REDIS_ID_SIZE 41 /* 40 hexadecimal digits: run id, replication id, node id */
#define REDIS_HISTORIES_MAX 4096
#define REDIS_HISTORY_PLACES 16384 /* a power of two, with room to spare */
#define REDIS_SLOTS 16384u
#define REDIS_TAG_SIZE 12

/* Redis tells its histories apart by random ids (master_replid) that have no order. Here they get
 * numbers, from 1, in the order in which a primary was first seen with one: what the record calls
 * the timeline. A primary that was left behind keeps its old id, and so its lower number. */
struct redis_histories {
  pthread_mutex_t mutex;
  char ids[REDIS_HISTORIES_MAX][REDIS_ID_SIZE];
  uint16_t places[REDIS_HISTORY_PLACES]; /* by hash of the id: its number; 0: none */
  uint32_t count;
};
int redis_histories_init(struct redis_histories *histories, struct error *err);
void redis_histories_release(struct redis_histories *histories);
/* The number of `id`, a new one when it was not seen before. 0: there is no room for more, or `id`
 * is none. Any thread. */
uint32_t redis_histories_number(struct redis_histories *histories, const char *id);

/* Connections that are no sockets: to the simulator's servers, which speak the protocol too. All in
 * the session's loop's thread. */
struct redis_dial {
  uint16_t from_host; /* the client host */
  const struct endpoint *endpoint;
  uint64_t tcp_user_timeout_ns; /* 0: the system's */
  void *owner;
  /* The connection is there, or (`why`) it could not be made and is closed. */
  void (*connected)(void *owner, const char *why);
  void (*received)(void *owner, const char *bytes, size_t size);
  void (*ended)(void *owner, const char *why); /* it broke and is closed */
};
struct redis_transport {
  void *data;
  /* Begins to connect; told later, never from the call. STATUS_MEMORY, STATUS_USAGE. */
  int (*open)(void *data, const struct redis_dial *dial, void **ret_wire, struct error *err);
  void (*send)(void *wire, const char *bytes, size_t size); /* takes all of it */
  void (*close)(void *wire);
  /* As those of struct driver. */
  int (*execute)(const struct access *access, const struct endpoint *endpoint, const char *text,
                 uint64_t timeout_ns, struct error *err);
  int (*read_rows)(const struct access *access, const struct endpoint *endpoint, const char *text,
                   uint64_t timeout_ns, row_callback *row, void *data, struct error *err);
};

struct tls_trust;
struct redis_access {
  enum redis_topology topology;
  /* REDIS_SENTINEL: */
  const struct endpoint *sentinels;
  uint32_t sentinel_count;
  const char *master_name;
  const char *sentinel_user, *sentinel_password; /* secret; NULL: as for the servers */
  /* REDIS_CLUSTER: the service made it with equal ranges of slots, shard s (from 0) owning
   * [s * 16384 / shards, (s + 1) * 16384 / shards), and nothing moves them between shards. */
  uint16_t shards;
  struct redis_histories *histories;
  const struct redis_transport *transport; /* NULL: sockets */
  const struct tls_trust *trust;           /* of plugin/tls.h, for sockets; NULL: no TLS */
};

/* The hash slot of a key, hash tags ({...}) respected: CRC16 (XMODEM) modulo 16384, as in the
 * cluster specification. */
uint16_t redis_key_slot(const char *key, size_t length);
/* The shard, from 1, that owns a slot; `shards` > 0. */
uint16_t redis_slot_shard(uint16_t slot, uint16_t shards);
/* A beginning of keys, "{17}:", with which a key belongs to `shard` (from 1) of `shards`, always
 * the same one; "" for shard 0. */
void redis_shard_tag(uint16_t shard, uint16_t shards, char ret_tag[REDIS_TAG_SIZE]);

/* The code of an error reply by its first word ("READONLY ..."), and whether a command that got it
 * was certainly not applied. Table and sources: core/plugin/redis_reply.c. */
uint32_t redis_error_code(const char *message);
enum outcome redis_error_outcome(const char *message);

#endif
