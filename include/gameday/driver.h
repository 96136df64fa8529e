/* A driver speaks to one kind of database server for clients: asynchronous sessions on a loop. The
 * workload names statements by meaning and by text; a real driver sends the text, the simulator's
 * driver does what the meaning says. So a workload is written once. */
#ifndef GAMEDAY_DRIVER_H
#define GAMEDAY_DRIVER_H

#include "base/clock.h"
#include "base/loop.h"
#include "base/resolver.h"
#include "gameday/event.h"
#include "gameday/plugin.h"

enum statement_meaning {
  /* Parameters: identity, sequence, payload. No rows, or a number: 0 says that the server takes no
   * writes now and did nothing, which spares its log an error; the reply is FAIL, read-only. */
  STATEMENT_APPEND,
  STATEMENT_READ_OWN,      /* identity -> identity, newest sequence */
  STATEMENT_READ_NEWEST,   /* -> identity, sequence of the row appended last */
  STATEMENT_HEARTBEAT_SET, /* beat; no rows */
  STATEMENT_HEARTBEAT_GET, /* -> beat */
  /* A cache: key, stamp and cost of the value, time to live in ms, payload. The text of an entry is
   * "STAMP:COST:PAYLOAD". No rows. */
  STATEMENT_CACHE_SET,
  STATEMENT_CACHE_GET, /* key -> stamp, cost; no row when it is not there */
  /* key, token, time to live in ms. FAIL (RDNIL) when somebody else has it. */
  STATEMENT_CACHE_LOCK,
  STATEMENT_CACHE_UNLOCK, /* key */
  STATEMENT_ORIGIN_READ,  /* key, how long it takes in us -> version */
};
/* Whether it changes something on the server: only then does an error leave open what was done. */
bool statement_writes(enum statement_meaning meaning);

struct statement {
  enum statement_meaning meaning;
  /* For PostgreSQL SQL with $1, $2 ... For Redis one command: words with single spaces between
   * them, in which $1, $2 ... stand for parameters anywhere in a word ("SET gd:w:$1:$2 $3"); the
   * second word is the key (of EVAL the fourth). $s is, for a session at one host of a cluster,
   * redis_shard_tag() of that host's shard, and nothing for others. " ; WAIT n timeout" may follow,
   * of words or parameters: OK is then only what n replicas at least have, else UNKNOWN (GDWAI). */
  const char *text;
  uint32_t parameter_count;
};

struct endpoint {
  uint16_t host;       /* index in the record */
  const char *name;    /* host name: what clients resolve and certificates carry */
  const char *address; /* numeric */
  uint16_t port;
};

/* How to reach a service. Filled by the service, borrowed by sessions, outlives them. */
struct access {
  const struct driver *driver;
  const struct endpoint *endpoints;
  uint32_t endpoint_count;
  const char *user, *database;
  const char *password; /* secret: never printed or recorded */
  const char *ca_file;  /* PEM; NULL: no TLS */
  /* Clients resolve the endpoints' names as a step of each connect, because an application does,
   * and one that does not resolve is a failed connect. False: the names mean nothing where the
   * clients are, they use the addresses. */
  bool resolve;
  /* The driver's own: struct redis_access for Redis, the servers themselves in the simulator; else
   * NULL. */
  void *context;
  uint16_t shards; /* each with a primary of its own; 0: the service has one primary */
  /* Whether nobody waits for an answer any more: execute() and read_rows() give up soon with
   * STATUS_INTERRUPTED. Set by the engine, asked by any thread; NULL: never. */
  bool (*cancelled)(void *data);
  void *cancelled_data;
};

/* Client-side behaviour; parameters of the workload, recorded, because the client is part of what
 * is measured. All in nanoseconds. */
struct client_options {
  uint64_t connect_timeout_ns;   /* one attempt on one endpoint: name, TCP, TLS, authentication */
  uint64_t operation_timeout_ns; /* from scheduled until given up */
  uint64_t reconnect_delay_ns;   /* between failed rounds over all endpoints */
  uint64_t tcp_user_timeout_ns;  /* TCP_USER_TIMEOUT; 0: the system's */
  uint32_t pipeline_depth;       /* operations in flight on one connection; 1: no pipelining */
};

#define REQUEST_PARAMETERS_MAX 5
struct request;
struct reply {
  enum outcome outcome; /* never SKIPPED */
  uint32_t code;        /* code_pack(); 0 when ok */
  uint64_t done_ns;     /* clock time after the receive */
  uint16_t host;        /* who answered; HOST_NONE: nobody */
  uint32_t timeline;    /* of that host; 0: not known */
  uint16_t shard;       /* of the key, as in struct operation */
  int64_t values[2];    /* the first row's columns, as integers */
  bool has_row;
};
/* One statement execution; preallocated by the caller, who owns it again when `complete` runs. */
struct request {
  uint32_t statement;                      /* index in session_spec.statements */
  int64_t numbers[REQUEST_PARAMETERS_MAX]; /* integer parameters, in order */
  const char *text; /* the parameter after the numbers, or NULL; borrowed until complete */
  uint32_t number_count;
  uint64_t deadline_ns; /* clock time; then the reply is UNKNOWN (GDTMO) and the session is lost */
  uint64_t sent_ns;     /* the driver's: clock time stamped before the send */
  void (*complete)(struct request *request, const struct reply *reply);
  void *owner;
};

enum session_state { SESSION_IDLE, SESSION_CONNECTING, SESSION_READY, SESSION_LOST };

/* How long the steps of one connect took, for the fresh-connection probe; ns, 0: not reached. */
struct connect_timing {
  uint64_t resolve_ns, connect_ns, authenticate_ns;
  uint16_t host;
};

struct session;
struct session_spec {
  const struct access *access;
  const struct client_options *options;
  enum route route;
  uint16_t from_host;   /* the client host on which the session is: its thread is on that network */
  uint16_t pinned_host; /* ROUTE_PINNED and ROUTE_REPLICA on a certain host; else HOST_NONE */
  const struct statement *statements;
  uint32_t statement_count;
  uint32_t uses; /* bit i: statement i is prepared on each new connection; 0: all are */
  uint64_t seed; /* order of endpoints for ROUTE_REPLICA */
  /* Of the loop, for access->resolve; outlives the session. NULL: the addresses are used. */
  struct resolver *resolver;
  /* Runs on the loop's thread whenever the state changed: READY, or LOST with the reason. From LOST
   * the owner calls connect() again when it wants to. Requests in flight were completed before. */
  void (*changed)(struct session *session, enum session_state state, const struct error *why);
  void *owner;
};

/* Common head of every driver's session. */
struct session {
  const struct driver *driver;
  struct session_spec spec;
  struct loop *loop;
  enum session_state state;
  uint16_t host;     /* connected to; HOST_NONE when not */
  uint32_t timeline; /* of the server at connect time; 0: not known (a replica) */
  uint32_t in_flight;
  uint32_t lost_code; /* why the last connect failed, as the server said it (53300: too many
                         connections): code_pack(); 0: it said nothing that has a code */
  struct connect_timing timing; /* of the last connect */
};

/* One row of a bulk read, column by column as text; returning non-zero stops the read. */
typedef int row_callback(void *data, const char *const columns[], uint32_t count,
                         struct error *err);

struct driver {
  const char *name;
  size_t session_size; /* begins with struct session */
  /* Prepares a zeroed session of session_size bytes; allocates all it will need. */
  int (*session_init)(struct session *session, const struct session_spec *spec, struct loop *loop,
                      struct error *err);
  void (*session_release)(struct session *session); /* closes at once; NULL is fine */
  /* Starts connecting by the route: PRIMARY tries all endpoints and takes the one that accepts
   * writes; PINNED its host, whatever its role; REPLICA its host, or any that is in recovery. */
  void (*session_connect)(struct session *session);
  /* Sends one request; never blocks. Only when READY and in_flight < pipeline_depth. The completion
   * may come before send() returns. */
  void (*session_send)(struct session *session, struct request *request);
  /* Closes in order; state becomes IDLE without a call of `changed`. */
  void (*session_close)(struct session *session);

  /* Blocking helpers for preparing and for the final read; a thread of the caller that already
   * stands in the right network. `endpoint` NULL: the endpoint that accepts writes; of a service
   * with shards every one, in turn.
   * Redis: execute() takes one command, words with single spaces between them, and "UNLINK
   * PATTERN*" removes all keys of that pattern. read_rows() takes a pattern of keys, and gives of
   * each key with a string its name and the string; a key may come twice. */
  int (*execute)(const struct access *access, const struct endpoint *endpoint, const char *text,
                 uint64_t timeout_ns, struct error *err);
  int (*read_rows)(const struct access *access, const struct endpoint *endpoint, const char *text,
                   uint64_t timeout_ns, row_callback *row, void *data, struct error *err);
};

#endif
