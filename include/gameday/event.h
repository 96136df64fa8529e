/* What a run writes down. These structs are the record (design section 6): operations and samples
 * are written as they stand (little-endian, documented in docs/record.md), events as JSON Lines.
 * All times are nanoseconds since the start of the run on its one monotonic clock. */
#ifndef GAMEDAY_EVENT_H
#define GAMEDAY_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define HOST_NONE UINT16_MAX
#define FAULT_NONE (-1)

enum operation_kind {
  OPERATION_WRITE,    /* a unique row */
  OPERATION_READ_OWN, /* the client's own last write, through its route */
  /* The newest row a host shows. Through a cache: the value of the key read_identity, sequence says
   * where it came from (enum cache_source), value when it was made (run time). */
  OPERATION_READ_NEWEST,
  OPERATION_HEARTBEAT_WRITE, /* the heartbeat on the primary; sequence is the beat */
  OPERATION_HEARTBEAT_READ,  /* the heartbeat as one host shows it; value is the beat */
  OPERATION_PROBE,           /* a fresh connection: connect, read, write, close */
  /* A key that was written to stay until its time to live is over, by one who asks for that key and
   * no other: sequence (of read_identity) says which. value is the sequence that was found. */
  OPERATION_READ_KEY,
  /* An entry of a cache, which may be gone at any time. sequence is the key's number, from 1. */
  OPERATION_CACHE_WRITE,
  OPERATION_CACHE_READ, /* value is the key's number, or 0: it is not there */
  OPERATION_ORIGIN,     /* a request that an operation of the same client sent to the workload's
                           second service: the database behind a cache */
  /* A register that many write, at once. `value` has its number in the upper 16 bits, and below the
   * sequence of the write (of read_identity) that it held; 0: of none. */
  OPERATION_REGISTER_READ,
  /* Writes what identity and sequence say, when the register holds what read_identity and value do;
   * else it fails (CODE_CONDITION). A plain write is an OPERATION_WRITE. */
  OPERATION_REGISTER_CAS,
  OPERATION_KIND_COUNT,
};
/* Where the answer to a read through a cache came from. */
enum cache_source {
  CACHE_NONE,   /* there was no answer; or no cache to ask */
  CACHE_HIT,    /* the cache, within its time to live */
  CACHE_STALE,  /* the cache, beyond it */
  CACHE_EARLY,  /* the cache had it, and it was made anew before its time was over */
  CACHE_WAITED, /* somebody else's recomputation */
  CACHE_MISS,   /* a recomputation of its own */
  CACHE_BYPASS, /* the origin, because the cache did not answer */
  CACHE_SOURCE_COUNT,
};
enum outcome {
  OUTCOME_OK,
  OUTCOME_FAIL,    /* certainly not applied */
  OUTCOME_UNKNOWN, /* may be applied */
  OUTCOME_SKIPPED, /* never attempted: the client was still busy with earlier ones */
  OUTCOME_COUNT,
};
enum route { ROUTE_PRIMARY, ROUTE_PINNED, ROUTE_REPLICA, ROUTE_PROXY, ROUTE_COUNT };

/* One request, written when it is done. 64 bytes. */
struct operation {
  uint64_t scheduled_ns;  /* when it should have been sent: the open-loop schedule */
  uint64_t sent_ns;       /* stamped before the send; 0: never sent */
  uint64_t done_ns;       /* stamped after the receive, or when it was given up */
  uint64_t sequence;      /* of a write: from 1, unique within its identity; of others as their kind
                             says */
  uint64_t value;         /* write: checksum of the payload; read: the sequence that was read
                             (0: no row); heartbeat read: the beat that was read */
  uint32_t identity;      /* who wrote: a client until its first unknown, then a new one */
  uint32_t read_identity; /* reads: whose row was read; writes of any kind: the time to live that
                             the row was given, ms (0: it stays) */
  uint32_t code;          /* why not ok: code_pack() of an SQLSTATE or of a GD... code; else 0 */
  uint32_t timeline;      /* of the server that answered: PostgreSQL's timeline, or the number of a
                             Redis history (redis_access.h); 0: not known */
  /* 64 bits, which is what keeps it at one cache line. The fields of an enum have room for its
   * COUNT: a damaged record is found by comparing with it. */
  uint32_t client : 20;  /* index of the client in the run: below CLIENTS_MAX */
  uint32_t workload : 6; /* index of the workload in the scenario: below WORKLOADS_MAX */
  enum outcome outcome : 3;
  enum route route : 3;
  uint16_t host;       /* index of the host that answered; HOST_NONE: none did */
  uint16_t shard : 11; /* from 1 to SHARDS_MAX: that owns the key; 0: the service has no shards */
  enum operation_kind kind : 5;
};
#define CLIENTS_MAX (UINT32_C(1) << 20)
#define WORKLOADS_MAX UINT32_C(64)
#define SHARDS_MAX 1024
#define SHARD_MASK 2047u /* all that the field holds */
_Static_assert(sizeof(struct operation) == 64, "documented in docs/record.md");

/* Codes of our own, beside SQLSTATEs: five characters too. */
#define CODE_NO_CONNECTION "GDCON"   /* fail: no connection until the operation's deadline */
#define CODE_TIMEOUT "GDTMO"         /* unknown: sent, no answer until the deadline */
#define CODE_CONNECTION_LOST "GDEOF" /* unknown: the connection broke after the send */
#define CODE_NOT_REPLICATED "GDWAI"  /* unknown: applied, on fewer replicas than WAIT asked for */
#define CODE_QUEUE_FULL "GDQUE"      /* skipped */
#define CODE_LOAD_ENDED "GDEND"      /* skipped: the load was ended before its turn came */
#define CODE_CONDITION "RDNIL"       /* fail: a conditional write whose condition did not hold */
#define CODE_TOO_MANY "53300"        /* fail: too_many_connections */
#define CODE_OUT_OF_MEMORY "RDOOM"   /* fail: refused for want of memory */
#define CODE_READ_ONLY "25006"       /* fail: read_only_sql_transaction */

uint32_t code_pack(const char code[5]); /* [0-9A-Z]{5} in base 36, plus 1; 0 for anything else */
void code_unpack(uint32_t packed, char ret_code[6]);

const char *operation_kind_name(enum operation_kind kind);
const char *outcome_name(enum outcome outcome);
const char *route_name(enum route route);
bool operation_is_write(const struct operation *operation);
/* A read whose success says that the service is there for reads. */
bool operation_is_read(const struct operation *operation);

/* A measured value at a moment. 24 bytes. Names and units are in the table metric_info(). */
enum metric {
  METRIC_LAG_BYTES,    /* server-reported: primary's WAL position - replica's replayed */
  METRIC_LAG_SECONDS,  /* server-reported: pg_stat_replication.replay_lag */
  METRIC_WAL_POSITION, /* the host's WAL position (written on a primary, replayed on a replica) */
  METRIC_TIMELINE,
  METRIC_SYNC_STATE,  /* of a replica as the primary reports it: 0 async 1 potential 2 sync 3 quorum
                       */
  METRIC_STREAMING,   /* 1: this replica streams, by the primary's word and its own */
  METRIC_CONNECTIONS, /* client backends */
  METRIC_PROBE_RESOLVE,      /* fresh-connection probe, seconds: name resolution */
  METRIC_PROBE_CONNECT,      /* TCP handshake */
  METRIC_PROBE_AUTHENTICATE, /* TLS and authentication until ready */
  METRIC_PROBE_READ,         /* first read */
  METRIC_PROBE_WRITE,        /* first write */
  METRIC_HARNESS_DELAY,      /* seconds by which a worker's timers fired late: is the harness itself
                                starved? */
  METRIC_MEMORY_USED,        /* bytes that a server of data in memory has allocated for them */
  METRIC_EVICTED_KEYS,       /* removed for want of memory, since the server's start */
  METRIC_EXPIRED_KEYS,       /* removed because their time was over, since the server's start */
  METRIC_KEYSPACE_HITS,      /* reads that found their key, since the server's start */
  METRIC_KEYSPACE_MISSES,    /* reads that found none, since the server's start */
  METRIC_SNAPSHOT_FAILED,    /* 1: the last snapshot of data in memory could not be made */
  METRIC_COUNT,
};
struct sample {
  uint64_t time_ns;
  double value;
  uint16_t metric; /* enum metric */
  uint16_t host;   /* HOST_NONE: the whole run */
  uint8_t reserved[4];
};
_Static_assert(sizeof(struct sample) == 24, "documented in docs/record.md");
struct metric_info {
  const char *name; /* "replication_lag_bytes" */
  const char *unit; /* "B", "s", "1" */
};
const struct metric_info *metric_info(enum metric metric);

enum role { ROLE_NONE, ROLE_PRIMARY, ROLE_REPLICA };
const char *role_name(enum role role);

/* What happened, one line of events.jsonl each. */
enum event_kind {
  EVENT_RUN, /* text: phase of the run: up, start, prepare, warmup, steady, faults, settle,
                drain, heal, converge, final-read, end; the measured time is from steady
                (warmup where there is none) to drain */
  EVENT_FAULT_PLANNED, /* fault, text: injector, host when known; number: run time for which it is
                          planned, 0: now */
  EVENT_FAULT_JOURNALED,
  EVENT_FAULT_INJECTED,  /* the request is done; number: ns from decision to done */
  EVENT_FAULT_CONFIRMED, /* seen in effect */
  EVENT_FAULT_UNCONFIRMED,
  EVENT_FAULT_HEALED,
  EVENT_FAULT_HEAL_CONFIRMED,
  EVENT_FAULT_HEAL_FAILED,
  EVENT_ROLE,        /* host, role, number: timeline, number2: the shard that it belongs to, from 1
                        (0: the service has no shards): a server answered with a new role;
                        ROLE_NONE: it no longer answers */
  EVENT_LEADER_LOST, /* the manager treats the leader `host` as gone (leader key deleted) */
  EVENT_LEADER,      /* host holds the leader key */
  EVENT_PROMOTED,    /* host answered as writable primary */
  EVENT_REDUNDANT,   /* number 1: all replicas stream under the lag bound, and enough of them are
                        synchronous where that was asked for; 0: no longer. number2: the service,
                        from 1, where a run has several (the engine's) */
  EVENT_IDENTITY,    /* number: identity, number2: client, text: workload: a new identity */
  EVENT_WARNING,     /* text: something that makes numbers less certain */
  EVENT_FINAL_READ,  /* host, number: rows read; text "" or why it could not be read */
  EVENT_MANAGER,     /* host, text: the manager's own word on a member changed ("running as
                        replica, timeline 2"); "" when its interface no longer answers */
  EVENT_KIND_COUNT,
};

/* One row as a host holds it at the end (final-HOST.bin). 24 bytes. */
struct final_row {
  uint32_t identity;
  uint32_t corrupt; /* 1: the payload does not match the checksum stored with it */
  uint64_t sequence;
  uint64_t value; /* checksum of the payload as read */
};

#define EVENT_TEXT_SIZE 512
struct event {
  uint64_t time_ns;
  enum event_kind kind;
  int32_t fault; /* index in the timeline's faults, or FAULT_NONE */
  uint16_t host; /* or HOST_NONE */
  uint8_t role;  /* enum role */
  int64_t number, number2;
  char text[EVENT_TEXT_SIZE];
};
const char *event_kind_name(enum event_kind kind);

/* Where plug-ins put what they see; the engine's recorder stands behind it. Any thread. */
struct sink {
  void (*event)(struct sink *sink, const struct event *event); /* time_ns 0: now */
  void (*sample)(struct sink *sink, const struct sample *sample);
};

#endif
