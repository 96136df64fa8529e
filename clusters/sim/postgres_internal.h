/* The models of PostgreSQL servers among their own: what a server, its write-ahead log, its
 * replication connections and its clients' connections are made of.
 *
 * Everything happens in the loop's thread. Memory that events may point to (entries, queries,
 * connections) belongs to the cluster and lives as long; an event that comes late is told by the
 * number of its connection, which is never used twice.
 *
 * A record of the log is an entry that knows the one before it: two logs that have the same entry
 * have the same history up to it. So "is a prefix of" and "where did they part" are comparisons of
 * pointers, and a message that names the last entry of a batch carries the whole batch. */
#ifndef GAMEDAY_CLUSTERS_SIM_POSTGRES_INTERNAL_H
#define GAMEDAY_CLUSTERS_SIM_POSTGRES_INTERNAL_H

#include "base/arena.h"
#include "gameday/event.h"
#include "sim/postgres.h"

#define MEMBER_NONE UINT32_MAX
/* Where initdb leaves off: the third segment of 16 MiB. */
#define WAL_START_BYTES (UINT64_C(3) << 24)
/* A kernel sends what was not acknowledged again after this (TCP_RTO_MIN); until it has arrived,
 * nothing else leaves on that connection. */
#define RESEND_NS (200 * NS_PER_MS)
/* How long a kernel goes on sending for a connection that its program has closed
 * (tcp_orphan_retries: 8 doublings of 200 ms). */
#define ORPHAN_NS (102 * NS_PER_S)

struct sim_session;

struct sim_entry {
  struct sim_record record;         /* first */
  const struct sim_entry *previous; /* in the log */
  struct sim_entry *next_free;
  uint64_t index; /* how many records the log has with it; 0: it is in no log */
  uint32_t room;  /* bytes for its payload, with the final NUL */
  uint32_t table; /* of a row or beat: which execute() had made the table */
};

/* The newest sequence of each identity: a hash table from which nothing is removed. */
struct sim_own {
  uint64_t sequence;
  uint32_t identity;
  bool used;
};
struct sim_own_table {
  struct sim_own *slots;
  uint32_t capacity, count; /* a power of two, or 0 */
  uint64_t taken;           /* records of the log that are in it */
  uint32_t table;           /* as in sim_entry */
};

/* What a server says to a statement. */
struct sim_answer {
  int64_t values[2];
  uint32_t code, timeline;
  uint8_t outcome; /* enum outcome */
  bool has_row;
};

/* One statement, from the client's send until its answer is taken. */
struct sim_query {
  struct sim_query *next; /* free, or behind it on its connection */
  struct sim_connection *connection;
  uint64_t number;         /* of the connection */
  struct sim_entry *entry; /* of a write */
  uint64_t flight;         /* the client's */
  uint64_t sent_ns;
  uint64_t ready_ns; /* of a write: executed, and to be flushed */
  uint64_t takes_ns; /* of a read of the origin: beside what every statement takes */
  int64_t identity;
  uint8_t meaning; /* enum statement_meaning */
  struct sim_answer answer;
};

/* A TCP connection of a client. It has two halves, each closed by its own side; when both are, it
 * is free. */
struct sim_connection {
  struct sim_connection *next, **place; /* of its server's; `next` of the free ones */
  struct sim_postgres *server;
  struct sim_session *session; /* NULL: the client has closed it */
  struct sim_process *client;
  uint64_t number;
  uint64_t life; /* of the server's process; 0: TCP is not open yet */
  bool backend;  /* the server has a process for it */
  bool leaving;  /* the client has gone: the backend ends when it has nothing more to do */
  uint32_t rows; /* written over it; counted only where a bug wants to know */
  struct sim_query *busy, *waiting, *last; /* what it works on, and what came behind that */
};

/* The walsender of one standby. */
struct sim_sender {
  bool active;
  uint64_t number;            /* the receiver's, of this connection */
  uint64_t life;              /* of the standby's process */
  uint64_t sent, arrived;     /* records */
  uint64_t unanswered_ns;     /* when the oldest that has not arrived was sent */
  uint64_t flushed, replayed; /* as reported */
  uint64_t replaying_ns;      /* when `flushed` will have been replayed */
  uint64_t heard_ns;
};

enum sim_receiver_state { RECEIVER_IDLE, RECEIVER_CONNECTING, RECEIVER_STREAMING };
struct sim_receiver {
  uint8_t state;
  uint32_t from;   /* the member that it is connected to, or tries */
  uint64_t number; /* of the connection or attempt; a new one for each */
  uint64_t life;   /* of the upstream's process */
  uint64_t failed_ns, heard_ns;
  uint64_t unanswered_ns; /* when the oldest report that has not arrived was sent; 0: none */
  bool report_due;        /* what could not be sent because of that */
  uint32_t tried;         /* members asked in this round */
};

struct sim_commits { /* in the order of the log */
  struct sim_query **ring;
  uint32_t capacity, head, count; /* a power of two, or 0 */
};

/* What postgres_guilt.c keeps of a cluster that has a bug built in. */
#define GUILT_NOTES 128
struct sim_guilt_state {
  int kind; /* enum sim_guilt */
  struct prng prng;
  uint32_t member; /* whose replica is stale, or corrupt */
  uint64_t rows;   /* until the bug acts */
  uint64_t next_ns, promoted_ns;
  uint64_t number; /* connections after this one are of clients that have come back */
  bool done;
  struct {
    uint64_t time_ns, count;
  } notes[GUILT_NOTES]; /* a ring: what a replica had when */
  uint32_t note_count;
  const struct sim_record *spoilt; /* and what is read in its place: */
  struct sim_record spoilt_as;
};

struct sim_rebuild {
  uint32_t upstream;
  uint64_t upstream_life, number, left_ns;
  bool rewind;
  sim_call *done;
};

struct sim_postgres {
  struct sim_process process; /* the postmaster, and all that it starts */
  /* The host's TCP: what a process has written to a socket is sent even when it dies, and so is the
   * end of its connections. It lives while the host has power. */
  struct sim_process kernel;
  struct sim_postgres_cluster *cluster;
  uint32_t member;
  uint8_t state; /* enum sim_postgres_state */
  uint8_t role;  /* enum sim_postgres_role: what it is to be */
  uint32_t upstream;
  uint32_t timeline;                     /* of a primary */
  bool clean;                            /* ended by a shutdown that wrote its checkpoint */
  bool empty;                            /* a copy was broken off: there is nothing to start from */
  bool checkpointed;                     /* STOPPING: only the standbys have to be served */
  bool inconsistent;                     /* STARTING: streams, to come as far as `consistent_at` */
  const struct sim_entry *consistent_at; /* NULL: the log is enough as it is */
  uint32_t slots;                        /* bit: member: it may stream from here */

  struct sim_wal wal;
  uint64_t cut; /* grows when records are taken away: a flush under way is of no log then */
  bool flushing;
  uint64_t flush_begin_ns;
  uint64_t replay_from_ns; /* a standby: when the replay of record `applied` began */
  uint64_t acknowledged;   /* a primary: commits up to here are done */
  uint64_t shown;          /* records of which `newest_...` is the newest */
  const struct sim_entry *newest_row, *newest_beat;
  struct sim_own_table own;

  struct sim_connection *connections; /* with a backend */
  uint32_t connection_count;
  struct sim_commits commits;
  uint32_t synchronous_mask, synchronous_count;
  bool strict;

  struct sim_sender senders[POSTGRES_INSTANCES_MAX];
  struct sim_receiver receiver;
  struct sim_rebuild rebuild;

  /* With a bug built in. */
  uint64_t silent_until_ns; /* it answers nothing */
  uint64_t released;        /* records that walsenders may send */
  uint64_t stop_asked_ns;   /* and not obeyed yet; 0: nobody asked */
  bool stop_immediate;
  bool was_primary;
};

struct sim_postgres_cluster {
  struct sim_world *world;
  const struct postgres_config *config;
  struct sim_postgres_costs costs;
  struct sim_postgres servers[POSTGRES_INSTANCES_MAX];
  uint32_t count;
  struct sim_postgres *by_host[HOSTS_MAX];
  struct sim_process *clients[HOSTS_MAX];
  uint32_t connections_max; /* for ordinary users */
  uint64_t numbers;         /* of connections, handed out so far */
  uint32_t table;           /* how often execute() has made the tables */
  bool starting;            /* bootstrap: no process has a start of its own */
  struct arena arena;       /* entries, queries, connections */
  struct sim_entry *free_entries;
  struct sim_query *free_queries;
  struct sim_connection *free_connections;
  void (*changed)(void *data, uint32_t member);
  void *changed_data;
  struct sim_postgres_truth truth;
  struct sim_guilt_state guilt;
};

static inline uint64_t server_now_ns(const struct sim_postgres *server) {
  return sim_now_ns(server->cluster->world);
}

/* --- postgres_wal.c: a server's log ---------------------------------------------------------- */

/* An entry that is in no log yet, its payload copied (`text` NULL: none); NULL: out of memory,
 * noted in the world. */
struct sim_entry *wal_entry_take(struct sim_postgres_cluster *cluster, enum sim_record_kind kind,
                                 const char *text);
/* For one that never came into a log; NULL is fine. */
void wal_entry_give(struct sim_postgres_cluster *cluster, struct sim_entry *entry);

const struct sim_entry *wal_at(const struct sim_postgres *server, uint64_t count); /* 0: NULL */
const struct sim_entry *wal_last(const struct sim_postgres *server);
uint64_t wal_position(const struct sim_postgres *server, uint64_t count); /* bytes */
/* Puts a new record behind the last; false: out of memory, noted. */
bool wal_append(struct sim_postgres *server, struct sim_entry *entry);
/* Takes all records up to `last` from another log of which this one is a prefix; false: it is none,
 * or out of memory. */
bool wal_receive(struct sim_postgres *server, const struct sim_entry *last);
/* Whether the log up to `last` (NULL: nothing) is a prefix of the server's. */
bool wal_has(const struct sim_postgres *server, const struct sim_entry *last);
/* How many records both have. */
uint64_t wal_common(const struct sim_postgres *server, const struct sim_postgres *other);
/* Keeps only the first `count`. */
void wal_truncate(struct sim_postgres *server, uint64_t count);
/* All records are on the disk and applied. */
void wal_settle(struct sim_postgres *server);
void wal_release(struct sim_postgres *server);

/* Records that readers see now: applied (standby), committed (primary). */
uint64_t wal_shown(struct sim_postgres *server);
/* A standby: brings `applied` up to date; and when all that is flushed will be. */
void wal_replay(struct sim_postgres *server);
uint64_t wal_replayed_ns(const struct sim_postgres *server);
/* The newest row or beat among the first `shown`; NULL: none. */
const struct sim_entry *wal_newest_row(struct sim_postgres *server);
const struct sim_entry *wal_newest_beat(struct sim_postgres *server);
/* The newest sequence of `identity` among them; false: it has none. */
bool wal_newest_own(struct sim_postgres *server, uint32_t identity, uint64_t *ret_sequence);

/* Begins a flush of what is there, unless one is under way. On a standby; a primary's is in
 * postgres_backend.c. */
void wal_flush(struct sim_postgres *server);

/* --- postgres_server.c ----------------------------------------------------------------------- */

void server_changed(struct sim_postgres *server);       /* tells the listener */
void server_consistent(struct sim_postgres *server);    /* it has flushed more */
bool server_answers(const struct sim_postgres *server); /* queries: neither down nor starting */
bool server_in_recovery(const struct sim_postgres *server);

/* --- postgres_backend.c: clients' connections, statements, commits --------------------------- */

struct sim_query *query_take(struct sim_postgres_cluster *cluster); /* NULL: as wal_entry_take() */
/* Gives its entry back too when that is in no log. */
void query_give(struct sim_postgres_cluster *cluster, struct sim_query *query);

/* The client's half of a new connection; NULL: out of memory, noted. */
struct sim_connection *connection_take(struct sim_postgres *server, struct sim_session *session,
                                       struct sim_process *client);
/* The client closes its half: the server is told. */
void connection_close(struct sim_connection *connection);

/* Messages of clients, delivered to the server's process. Startup: connection and number. */
void backend_startup(struct sim_process *self, const struct sim_args *args);
void backend_role(struct sim_process *self, const struct sim_args *args);
/* A query: `pointer`. */
void backend_query(struct sim_process *self, const struct sim_args *args);

/* Ends all backends: the clients are told `code` (0: their connections just end), or nothing at
 * all when the power is gone. */
void backend_end_all(struct sim_postgres *server, uint32_t code, bool power);
/* Acknowledges what can be: flushed here and on enough synchronous standbys. */
void backend_release_commits(struct sim_postgres *server);

/* Puts a row into the primary's log for which nobody waits. */
void backend_append(struct sim_postgres *server, struct sim_entry *entry);

/* --- postgres_guilt.c: each does nothing in an innocent cluster ------------------------------ */

/* For how long the server still answers nothing; 0: it answers. */
uint64_t guilt_silence_ns(const struct sim_postgres *server);
/* Commits need not wait for standbys. */
bool guilt_acknowledges_early(const struct sim_postgres *primary);
/* Whether a commit is not to be acknowledged yet, though it is safe. */
bool guilt_delays(struct sim_postgres *primary, const struct sim_query *query);
/* Whether the server does not take note of which standbys are to be synchronous. */
bool guilt_waits_for_none(const struct sim_postgres *primary);
/* How many of the flushed records a walsender may send. */
uint64_t guilt_send_limit(const struct sim_postgres *upstream);
void guilt_flushed(struct sim_postgres *server);
/* A row has come into the primary's log. */
void guilt_appended(struct sim_postgres *primary, const struct sim_entry *entry);
/* A commit is being acknowledged. */
void guilt_acknowledged(struct sim_postgres *primary, const struct sim_query *query);
/* A replica has refused a write: it may keep the entry (true), which is not the query's then. */
bool guilt_keeps(struct sim_postgres *standby, struct sim_entry *entry);
/* How many records a reader sees, at most. */
uint64_t guilt_seen(struct sim_postgres *server, uint64_t shown);
/* The record as it is read at the end. */
const struct sim_record *guilt_read(struct sim_postgres *server, const struct sim_record *record,
                                    uint64_t nth);
void guilt_became_primary(struct sim_postgres *server, bool promoted);
/* Whether a stop is not obeyed now. */
bool guilt_refuses_stop(struct sim_postgres *server, bool immediate);
/* A standby asks to stream; true: it is turned away this time. */
bool guilt_turns_away(struct sim_postgres *upstream, struct sim_postgres *standby);

/* --- driver.c: messages of servers, delivered to the client's process ------------------------ */

/* `number` of the connection, `number2` a packed code (0: what was asked for is done), `number3`:
 * timeline, 0 in recovery. */
void client_started(struct sim_process *self, const struct sim_args *args);
void client_role(struct sim_process *self, const struct sim_args *args);
void client_answer(struct sim_process *self, const struct sim_args *args); /* `pointer`: query */
void client_ended(struct sim_process *self, const struct sim_args *args);

/* --- postgres_replicate.c -------------------------------------------------------------------- */

/* Records were flushed: sends them on. */
void replicate_push(struct sim_postgres *upstream);
/* A standby has flushed: reports. */
void replicate_report(struct sim_postgres *standby);
/* Begins to stream, at once. */
void replicate_connect(struct sim_postgres *standby);
/* Ends the receiver's connection; the upstream is told. */
void replicate_disconnect(struct sim_postgres *standby);
/* The process has ended: its peers are told, or not. */
void replicate_died(struct sim_postgres *server, bool power);
/* How many records are where commits may be acknowledged. */
uint64_t replicate_synchronous(const struct sim_postgres *primary);
/* Whether every standby that streams has confirmed everything. */
bool replicate_all_confirmed(const struct sim_postgres *primary);
/* The steady state of a bootstrap. */
void replicate_join(struct sim_postgres *standby, struct sim_postgres *upstream);
/* A STOPPING server: the last standby may have confirmed. postgres_server.c */
void server_stop_step(struct sim_postgres *server);

#endif
