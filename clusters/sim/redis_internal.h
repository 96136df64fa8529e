/* The models of Redis servers, Sentinels and cluster nodes among their own.
 *
 * Everything happens in the loop's thread. A data set is a list of entries, each of which knows the
 * one before it: two that end with the same entry are the same. So "may it go on from here" is a
 * comparison of pointers, and a message that names an entry carries all up to it. */
#ifndef GAMEDAY_CLUSTERS_SIM_REDIS_INTERNAL_H
#define GAMEDAY_CLUSTERS_SIM_REDIS_INTERNAL_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/prng.h"
#include "gameday/event.h"
#include "sim/redis.h"
#include "sim/redis_keyspace.h"
#include "sim/redis_wire.h"

#define MEMBER_NONE SIM_REDIS_NONE
#define REDIS_BACKLOG_BYTES (1u << 20) /* repl-backlog-size */

/* --- data sets ------------------------------------------------------------------------------- */

struct sim_data {
  const struct sim_redis_entry **entries;
  uint64_t count, capacity;
  const struct sim_redis_entry **places; /* by hash of the key: the newest; a power of two, or 0 */
  uint64_t place_count, used, mapped;    /* entries that are in it */
  uint32_t table;                        /* of what is in it */
  /* Of what is in it and not removed. */
  uint64_t bytes;             /* that it takes */
  uint64_t present, expiring; /* keys; keys with a time to live */
};

/* --- servers --------------------------------------------------------------------------------- */

enum sim_redis_state { REDIS_DOWN, REDIS_LOADING, REDIS_UP };

/* A replica's way to its primary (replication.c, repl_state). */
enum sim_follow_state {
  FOLLOW_NONE,       /* a primary */
  FOLLOW_CONNECT,    /* to be connected, by the next cron */
  FOLLOW_CONNECTING, /* until the answer to PSYNC */
  FOLLOW_TRANSFER,   /* a full copy */
  FOLLOW_CONNECTED,
};
struct sim_follow {
  uint32_t from; /* replicaof; MEMBER_NONE: primary. Kept in the configuration file */
  uint8_t state;
  struct sim_wire *wire;
  uint64_t heard_ns; /* the last byte from the primary */
  uint64_t down_ns;  /* since when the link is down; 0: never was up */
};

/* A replica as its primary knows it. */
struct sim_feed {
  bool active, online; /* it gets the stream */
  struct sim_wire *wire;
  uint64_t sent, arrived; /* entries */
  uint64_t unanswered_ns; /* when the oldest that has not arrived was sent */
  bool ask;               /* for an acknowledgement, as soon as something can be sent */
  uint64_t acknowledged;  /* entries */
  uint64_t acknowledged_ns;
};

/* What survives: the last snapshot, and the append-only file as far as it is on the disk. */
struct sim_disk {
  uint64_t saved;         /* entries in the last snapshot */
  uint64_t saved_history; /* replication id in it; 0: none */
  uint64_t saved_ns;
  uint64_t saving;       /* entries of the snapshot that is being written; UINT64_MAX: none */
  uint64_t flushed;      /* entries of the append-only file on the disk */
  uint64_t flush_end_ns; /* appendfsync always: when the flush under way ends */
};

#define SAVE_RULES_MAX 16

struct sim_node;    /* of a cluster */
struct client;      /* of a server: redis_command.c */
struct dialed;      /* redis_transport.c */
struct bus_message; /* redis_node.h */
struct sim_reports; /* redis_node.h */

/* What makes the difference between a server's memory and its data: redis_memory.c, redis_evict.c.
 */
struct sim_redis_candidate {
  uint64_t score; /* the higher, the sooner it goes */
  const struct sim_redis_entry *entry;
};
#define EVICTION_POOL 16
/* The settings that it follows; settings of a scenario by the names of redis.conf. */
struct sim_redis_policy {
  uint64_t limit_bytes;  /* maxmemory; 0: none */
  int policy;            /* enum redis_policy */
  uint32_t samples;      /* maxmemory-samples */
  uint32_t tenacity;     /* maxmemory-eviction-tenacity */
  uint32_t log_factor;   /* lfu-log-factor */
  uint32_t decay_min;    /* lfu-decay-time */
  bool replicas_ignored; /* replica-ignore-maxmemory */
};
struct sim_redis_heap {
  struct sim_redis_keys keys;
  struct sim_redis_candidate pool[EVICTION_POOL]; /* by score, the highest last */
  uint32_t pool_count;
  uint64_t table_sizes[2];            /* places of the tables of keys and of times to live */
  uint64_t evicted, expired, refused; /* since its start */
  uint64_t hits, misses;
  uint64_t loaded_ns; /* no key was used before; clock time */
  uint32_t cursor;    /* of the search for keys whose time is over */
  bool evicting;      /* goes on by itself, because one command did not do it */
  bool expiring;      /* searches for keys whose time is over */
  struct prng prng;
};

struct sim_redis {
  struct sim_program program; /* redis-server; first */
  struct sim_program bus;     /* the same process at its cluster bus */
  struct sim_redis_cluster *cluster;
  uint32_t member;
  uint16_t host;
  uint8_t state;                      /* enum sim_redis_state */
  uint64_t run;                       /* the run id: a new one with each start */
  uint64_t history, history2, second; /* replid, replid2 and how many entries belong to it */
  uint64_t numbered;                  /* the history that was asked for its number last, */
  uint32_t number;                    /* and that number; 0: not yet */
  struct sim_data data;
  struct sim_redis_heap heap;
  struct sim_disk disk;
  struct sim_follow follow;
  struct sim_feed *feeds; /* by member */
  struct bits fed;        /* members whose feed is active */
  uint32_t good_replicas;
  struct client *clients;
  uint32_t client_count;
  uint32_t waiting_count; /* clients in WAIT */
  bool told_accepting, was_writable;
  uint64_t paused_until_ns; /* clients' writes wait; 0: they do not */
  uint64_t wall_ns;         /* its wall clock is so far ahead; matters where seconds are counted */
  struct prng prng;
  struct sim_node *node; /* NULL: no cluster */
};

struct sim_sentinel;

struct sim_redis_guilt {
  int kind; /* enum sim_guilt */
  struct prng prng;
  uint32_t member;
  uint64_t since_ns;
  uint64_t done;
  struct sim_redis_entry spoilt;
};

struct sim_redis_cluster {
  struct sim_world *world;
  const struct redis_config *config;
  struct sim_redis_costs costs;
  struct arena arena;
  struct sim_wires wires;
  struct sim_redis *servers; /* by member */
  uint32_t count;
  struct sim_sentinel *sentinels; /* sentinel_count of them */
  uint32_t sentinel_count;
  const struct host **members;
  struct sim_redis *by_host[HOSTS_MAX];
  struct sim_process *clients[HOSTS_MAX];
  struct client *free_clients;
  struct dialed *free_dialed;
  struct bus_message *free_messages;
  struct sim_reports *free_reports;
  struct bits words_changed; /* shards - 1 of which some node has learnt; sim_redis_news() */
  struct redis_histories histories;
  bool histories_ready;
  uint64_t ids;   /* of histories and runs, handed out so far */
  uint32_t table; /* how often all keys were removed */
  bool starting;  /* bootstrap: no process has a start of its own */
  struct {
    uint64_t seconds, changes;
  } saves[SAVE_RULES_MAX];
  uint32_t save_count;
  struct sim_redis_policy policy;
  bool expires; /* some key has a time to live */
  void (*changed)(void *data);
  void *changed_data;
  struct sim_redis_truth truth;
  struct sim_redis_guilt guilt;
  const struct redis_transport *transport; /* made once */
};

static inline uint64_t redis_now_ns(const struct sim_redis *server) {
  return sim_now_ns(server->cluster->world);
}
static inline const struct redis_config *redis_config_of(const struct sim_redis *server) {
  return server->cluster->config;
}
static inline bool redis_is_primary(const struct sim_redis *server) {
  return server->follow.from == MEMBER_NONE;
}

/* --- redis_data.c --- */

const struct sim_redis_entry *data_last(const struct sim_data *data);
uint64_t data_offset(const struct sim_data *data, uint64_t count);
/* Puts a new entry behind the last; NULL: out of memory, noted. */
const struct sim_redis_entry *data_append(struct sim_redis *server, const char *key,
                                          size_t key_length, const char *value,
                                          size_t value_length);
/* The same of an entry that is gone from `until_ns` on. */
const struct sim_redis_entry *data_append_until(struct sim_redis *server, const char *key,
                                                size_t key_length, const char *value,
                                                size_t value_length, uint64_t until_ns);
/* A key of so many zeros, which nobody reads. */
const struct sim_redis_entry *data_append_zeros(struct sim_redis *server, const char *key,
                                                uint64_t bytes);
/* Removes the entry's key; `why`: SIM_REDIS_REMOVED ... */
const struct sim_redis_entry *data_remove(struct sim_redis *server,
                                          const struct sim_redis_entry *entry, uint64_t why);
/* Makes it what ends with `last` (NULL: empty); false: out of memory, noted. */
bool data_become(struct sim_redis *server, const struct sim_redis_entry *last);
void data_truncate(struct sim_redis *server, uint64_t count);
/* What is known by key is up to date from here on; false: out of memory, noted. */
bool data_map(struct sim_redis *server);
/* Whether a server that has this entry and none after it of its key has the key, expired or not. */
static inline bool data_holds(const struct sim_redis *server, const struct sim_redis_entry *entry) {
  return entry && entry->table == server->cluster->table &&
         (entry->until_ns == 0 || entry->until_ns > SIM_REDIS_EVICTED);
}
/* Whether what ends with `last` (`count` entries) is a beginning of it. */
bool data_has(const struct sim_data *data, const struct sim_redis_entry *last);
/* The place of a key that it has or had; false: it never had it. */
bool data_place(struct sim_redis *server, const char *key, size_t length, uint64_t *ret_place);
/* The newest entry of a key, whatever it does to it; NULL: there is none. */
const struct sim_redis_entry *data_newest(struct sim_redis *server, const char *key, size_t length);
/* The same if the key is there; NULL: it is not, or its time is over. */
const struct sim_redis_entry *data_find(struct sim_redis *server, const char *key, size_t length);
bool data_is_newest(struct sim_redis *server, const struct sim_redis_entry *entry);
void data_release(struct sim_redis *server);

/* --- redis_memory.c, redis_evict.c: declared in redis_memory.h --- */

/* --- redis_server.c: life, roles, what is on the disk --- */

void redis_init(struct sim_redis *server, uint32_t member);
/* Something that can be seen has changed. */
void redis_changed(struct sim_redis *server);
/* SLAVEOF: `from` MEMBER_NONE is NO ONE. */
void redis_replicaof(struct sim_redis *server, uint32_t from);
bool redis_answers(const struct sim_redis *server);
bool redis_takes_writes(const struct sim_redis *server);
/* An entry was written: what becomes of it on the disk. How long the answer must wait for that. */
uint64_t redis_write_delay_ns(struct sim_redis *server);
/* All that it has is on the disk now, as a copy leaves it. */
void redis_settle(struct sim_redis *server);
void redis_count_good_replicas(struct sim_redis *server);
void redis_shut_down(struct sim_redis *server);
uint64_t redis_new_id(struct sim_redis_cluster *cluster);
void redis_id_text(uint64_t id, char ret_text[REDIS_ID_SIZE]);
/* The number of the server's history in the record. */
uint32_t redis_history(struct sim_redis *server);

/* --- redis_stream.c --- */

void stream_cron(struct sim_redis *server);                   /* every second */
void stream_push(struct sim_redis *server, bool acknowledge); /* new entries; asks for ACKs */
void stream_connect(struct sim_redis *replica);               /* at once */
void stream_disconnect(struct sim_redis *replica);
void stream_drop_replicas(struct sim_redis *server);
void stream_forget(struct sim_redis *server); /* the process has died */
/* How many replicas have acknowledged so many entries. */
uint32_t stream_count(const struct sim_redis *server, uint64_t entries);
void stream_join(struct sim_redis *replica, struct sim_redis *primary); /* bootstrap */

/* --- redis_command.c: clients of servers --- */

/* Bytes of clients have arrived at a server; `number2`: how many. */
void command_bytes(struct sim_process *self, const struct sim_args *args);
/* Replicas have acknowledged more: who waits for that. */
void command_acknowledged(struct sim_redis *server);
/* CLIENT KILL TYPE normal. */
void command_kill_clients(struct sim_redis *server);
/* Clients are not held back any more (a cluster's manual failover). */
void command_resume(struct sim_redis *server);
/* It has become a replica: who is in WAIT is told. */
void command_unblock(struct sim_redis *server);
void command_forget(struct sim_redis *server); /* the process has died */
/* Answers of a server or Sentinel to a client: put into wire->out, then sent after a while. */
void command_put(struct sim_wire *wire, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void command_put_text(struct sim_wire *wire, const char *text);
/* ":123\r\n", with `mark` for the colon. */
void command_put_number(struct sim_wire *wire, char mark, uint64_t number);
void command_send(struct sim_wire *wire, size_t size, uint64_t delay_ns,
                  const struct sim_redis_told *told);
/* The words of the next whole command in wire->in, taken off; 0: there is none; the texts are valid
 * until more arrives. */
#define COMMAND_WORDS_MAX 16
struct command_word {
  const char *text;
  size_t length;
};
uint32_t command_next(struct sim_wire *wire, struct command_word words[COMMAND_WORDS_MAX]);
bool command_is(const struct command_word *word, const char *text); /* case is not looked at */

/* --- redis_transport.c: the clients' side --- */

const struct redis_transport *transport_new(struct sim_redis_cluster *cluster);

/* --- redis_sentinel*.c --- */

int sentinels_new(struct sim_redis_cluster *cluster, struct error *err);
void sentinels_bootstrap(struct sim_redis_cluster *cluster);
struct sim_program *sentinel_program(struct sim_redis_cluster *cluster, uint32_t index);
/* Bytes of clients have arrived; `number2`: how many. */
void sentinel_bytes(struct sim_process *self, const struct sim_args *args);

/* --- redis_node*.c: a cluster's nodes --- */

int nodes_new(struct sim_redis_cluster *cluster, struct error *err);
void nodes_bootstrap(struct sim_redis_cluster *cluster);
void node_started(struct sim_redis *server);
void node_died(struct sim_redis *server);
bool node_ok(const struct sim_redis *server);
/* Whether the node serves the slot: else the error that it answers, and false. */
bool node_serves(struct sim_redis *server, uint16_t slot, bool write, bool readonly,
                 char *ret_error, size_t size);
/* CLUSTER SLOTS, in the protocol. */
void node_put_slots(struct sim_redis *server, struct sim_wire *wire);
void node_put_nodes(struct sim_redis *server, struct sim_wire *wire);
uint16_t node_shard(const struct sim_redis *server);
bool node_switchover(struct sim_redis_cluster *cluster, uint32_t member);

/* --- redis_guilt.c: each does nothing in an innocent cluster --- */

/* A write is acknowledged and not done. */
bool redis_guilt_drops(struct sim_redis *server, const char *key, size_t length);
/* What a read of the key that has this entry shows. */
const struct sim_redis_entry *redis_guilt_seen(struct sim_redis *server,
                                               const struct sim_redis_entry *entry);
/* Its slots are another's under a newer epoch: it goes on as their master. */
bool redis_guilt_keeps_slots(struct sim_redis *server);
/* A write was refused. */
void redis_guilt_refused(struct sim_redis *server, const char *key, size_t key_length,
                         const char *value, size_t value_length);
/* The entry as it is read at the end. */
const struct sim_redis_entry *redis_guilt_read(struct sim_redis *server,
                                               const struct sim_redis_entry *entry);
void redis_guilt_promoted(struct sim_redis *server);
/* By which policy (enum redis_policy) it evicts in place of `policy`. */
int redis_guilt_policy(const struct sim_redis *server, int policy);
/* For how long the server still answers no client; 0: it answers. */
uint64_t redis_guilt_silence_ns(struct sim_redis *server);

#endif
