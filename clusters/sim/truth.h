/* What really happened in a simulated run, written down by the world itself and not by the clients,
 * the observer or the checkers: tests hold every measured value against it. One file, truth.bin, in
 * the run directory, when the provider's parameter `truth` asks for it. */
#ifndef GAMEDAY_CLUSTERS_SIM_TRUTH_H
#define GAMEDAY_CLUSTERS_SIM_TRUTH_H

#include "sim/postgres.h"
#include "sim/redis.h"

#define SIM_TRUTH_FILE "truth.bin"
#define SIM_TRUTH_MAGIC "GDTRU\0\0\2"

/* All times are run times in ns. The file: this head, the acknowledgements, the events, the rows,
 * the keys. */
struct sim_truth_head {
  char magic[8];
  uint64_t ack_count, event_count, row_count, key_count;
  uint16_t primary; /* host that was the primary when the run ended; HOST_NONE: none, or several */
  uint8_t reserved[22];
};

/* A write's acknowledgement that has reached its client. */
struct sim_truth_ack {
  uint64_t time_ns; /* of the arrival */
  uint64_t sequence;
  uint32_t identity, timeline;
  uint16_t host;
  uint16_t shard; /* of its key, from 1; 0: there are none */
  uint8_t reserved[4];
};

enum sim_truth_kind {
  SIM_TRUTH_POWER_OFF,
  SIM_TRUTH_POWER_ON, /* asked for: it boots from now */
  SIM_TRUTH_KILLED,
  SIM_TRUTH_CUT,    /* a link of this host, by a rule */
  SIM_TRUTH_FILLED, /* memory-fill: the server has reached its limit, and the fill has ended */
  SIM_TRUTH_FROZEN,
  SIM_TRUTH_THAWED,
  SIM_TRUTH_PROMOTED,  /* number: timeline */
  SIM_TRUTH_ACCEPTING, /* number: 1 takes writes from now on, 0 no longer */
  SIM_TRUTH_LEADER,    /* leads from now on, number: its shard; host HOST_NONE: nobody does */
};
struct sim_truth_event {
  uint64_t time_ns;
  uint32_t number;
  uint16_t host;
  uint8_t kind, reserved;
};

/* What the primary holds in the end, in its order. */
struct sim_truth_row {
  uint64_t sequence;
  uint32_t identity, checksum;
};

/* What became of a key of the workload session-store. */
enum sim_truth_key_kind {
  SIM_TRUTH_KEY_WRITTEN, /* its acknowledgement has reached the client */
  SIM_TRUTH_KEY_FOUND,   /* the answer to a read has: it was there */
  SIM_TRUTH_KEY_NEVER,   /* ... it never was there, or a client had removed it */
  SIM_TRUTH_KEY_OVER,    /* ... its time was over */
  SIM_TRUTH_KEY_MISSING, /* ... the server had thrown it away for want of memory */
  SIM_TRUTH_KEY_REFUSED, /* a write of it was refused for want of memory: that has reached it */
  SIM_TRUTH_KEY_EVICTED, /* the server throws it away for want of memory, now */
};
enum sim_truth_key_class { SIM_TRUTH_SESSION, SIM_TRUTH_CACHE, SIM_TRUTH_OTHER };
struct sim_truth_key {
  uint64_t time_ns;
  uint64_t sequence;
  uint64_t until_ns;   /* WRITTEN, EVICTED: when its time is over; 0: never */
  uint64_t written_ns; /* WRITTEN, EVICTED: at the server */
  uint32_t identity;
  uint16_t host;
  uint8_t kind, class;
};

struct sim_truth;

/* `start_ns`: clock time of the run's zero. */
int sim_truth_new(struct sim_world *world, uint64_t start_ns, struct sim_truth **ret_truth,
                  struct error *err);
void sim_truth_free(struct sim_truth *truth); /* NULL is fine */
/* Listens to the servers; `members` by member. */
void sim_truth_listen(struct sim_truth *truth, struct sim_postgres_cluster *servers,
                      const struct host *const *members);
void sim_truth_listen_redis(struct sim_truth *truth, struct sim_redis_cluster *servers,
                            uint32_t count, uint16_t shards, const struct host *const *members);
/* NULL truth: nothing. What memory has no room for makes the writing fail. */
void sim_truth_note(struct sim_truth *truth, enum sim_truth_kind kind, uint16_t host,
                    uint32_t number);
/* At the end, while the servers are still there. */
int sim_truth_write(struct sim_truth *truth, const char *run_directory, struct error *err);

#endif
