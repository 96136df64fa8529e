/* The parts of the PostgreSQL driver (driver_pg) among themselves; pg_client.c is the way in.
 *
 * A session is one libpq connection, never waited for: every call into libpq returns at once and
 * the loop says when its socket is worth another one. All functions run in the loop's thread.
 *
 * Connecting. ROUTE_PRIMARY does what libpq's own multi-host connection does: one endpoint after
 * the other, each with `connect_timeout`, never two at once (a race of connections would recover
 * faster than the applications do that this client stands for). The endpoint that was good last
 * comes first, then the others in their order. ROUTE_REPLICA without a host tries all in an order
 * drawn from the seed; with a host, and ROUTE_PINNED, there is only that one. An attempt is the
 * name's resolution (where access->resolve), TCP, TLS, authentication, then one round trip: who the
 * server is (recovery, read-only, timeline) and the PREPAREs in one pipeline. ROUTE_PRIMARY refuses
 * a server in recovery or read-only, ROUTE_REPLICA without a host one that is not in recovery.
 *
 * Acknowledged is: ReadyForQuery has arrived. In the extended protocol the server says
 * CommandComplete before it commits (at the Sync), and when something is flushed in between, a
 * warning for instance, the client holds a "success" of a row that is not committed.
 *
 * The timeline of an acknowledgement. A session that was opened while its server was in recovery
 * has timeline 0. When its first write succeeds the server has been promoted since: the answer is
 * held back, the identity is asked once more, and the answer is then given with the stamp of its
 * arrival and the new timeline. If the connection breaks meanwhile, or the question is not answered
 * within a second, it is given with timeline 0: it was acknowledged all the same. (The record takes
 * operations in the order of their stamps and repairs two seconds of disorder: what was held back
 * for longer would cost the whole run its verdict.)
 *
 * 25006. A pinned session stays on a server that refuses writes: that is what it watches. One of
 * ROUTE_PRIMARY leaves as a connection pool evicts it: once what is in flight has been answered it
 * becomes LOST. */
#ifndef GAMEDAY_WORKLOAD_PG_CLIENT_H
#define GAMEDAY_WORKLOAD_PG_CLIENT_H

#include <libpq-fe.h>

#include "gameday/driver.h"
#include "gameday/endpoints.h"

#define PG_STATEMENTS_MAX 16u
#define PG_PIPELINE_MAX 1024u

enum pg_phase {
  PG_CLOSED,    /* no connection */
  PG_RESOLVING, /* the endpoint's name is being resolved; no connection */
  PG_POLLING,   /* PQconnectPoll() goes on: TCP, TLS, authentication */
  PG_SETUP,     /* identity and PREPAREs are under way */
  PG_OPEN,      /* takes requests */
};

/* A request between its send and its completion; or the question for the identity. */
struct pg_flight {
  struct request *request; /* NULL: our question for the identity */
  struct reply reply;      /* as far as it is known */
  bool answered;           /* CommandComplete came */
  bool refused;            /* an error came: reply.outcome and code are set */
  uint32_t doubt;          /* packed code of a warning that takes a success back; 0: none */
};

struct pg_session {
  struct session base; /* first: the loop's users see this */
  PGconn *conn;
  struct watch watch;
  struct timer timer; /* end of the attempt (until PG_OPEN), earliest deadline (PG_OPEN) */
  struct resolver_request name; /* PG_RESOLVING */
  uint64_t epoch; /* grows with every connection closed: a callback may have done it */
  enum pg_phase phase;

  struct endpoint_round round;
  uint64_t attempt_ns, resolved_ns, connected_ns; /* stamps of the attempt */

  /* Requests in flight, oldest first; the first `held` are answered and wait for the identity. */
  struct pg_flight *flights;
  uint32_t capacity, head, count, held;
  uint32_t lost_code; /* packed SQLSTATE with which the server announced the end; 0: none */
  bool pipeline;      /* requests go in pipeline mode */
  bool asked;         /* the identity was asked for again on this connection */
  bool leaving;       /* 25006 on ROUTE_PRIMARY */
  uint32_t setup_results;
  char names[PG_STATEMENTS_MAX][4]; /* of prepared statements: "s0", ... */
  char numbers[REQUEST_PARAMETERS_MAX][24];
};

/* pg_client_connect.c */

/* Starts libpq's connect to one endpoint at one of `address_count` numeric addresses (at most
 * RESOLVER_ADDRESSES_MAX), tried in their order; no environment variable of libpq's takes part.
 * NULL: out of memory; otherwise PQfinish() it, and ask PQstatus(). */
PGconn *pg_connection_start(const struct access *access, const struct endpoint *endpoint,
                            const char *const addresses[], uint32_t address_count,
                            uint64_t tcp_user_timeout_ns);
/* What the resolver says of the endpoint's name. */
void pg_name_answered(struct resolver_request *request, const struct resolver_answer *answer);
/* libpq's error text as one line without an end. */
void pg_message(const PGconn *conn, char *text, size_t size);
/* Begins the round over the endpoints of the route. */
void pg_connect_round(struct pg_session *session);
/* The socket is ready, or the attempt's deadline has passed. */
void pg_connect_step(struct pg_session *session);
void pg_connect_timeout(struct pg_session *session);
/* Closes the connection, forgets what the loop knows of it; flights stay. */
void pg_disconnect(struct pg_session *session);

/* The question for the identity and its answer. */
extern const char pg_identity_text[];
struct pg_identity {
  bool recovery, read_only;
  uint32_t timeline; /* 0 in recovery */
};
int pg_identity_read(const PGresult *result, struct pg_identity *ret, struct error *err);

/* pg_client_reply.c */

/* Takes all results that have arrived; `now_ns` is the stamp of the receive. False when a callback
 * has closed the connection. */
bool pg_take_results(struct pg_session *session, uint64_t now_ns);
/* Ends the session: completes what is in flight (held ones as they were answered, others UNKNOWN
 * with GDTMO where their deadline has passed), then LOST. */
void pg_lost(struct pg_session *session, const char *why);
/* Completes what is in flight as pg_lost() does, the connection being closed already. */
void pg_abandon_flights(struct pg_session *session);
/* For PQsetNoticeReceiver(): the session is `data`. */
void pg_notice(void *data, const PGresult *result);

/* pg_client.c */

extern const struct driver driver_pg;

/* Until when the oldest answer may be held back; there is one. */
#define PG_PATIENCE_NS NS_PER_S
uint64_t pg_patience_ns(struct pg_session *session);
/* Arms the session's timer. */
int pg_arm(struct pg_session *session, uint64_t deadline_ns, struct error *err);
struct pg_flight *pg_flight_at(struct pg_session *session, uint32_t position);
/* Sends what libpq holds back and watches the socket for what that takes. */
void pg_flush(struct pg_session *session);

/* pg_client_blocking.c: the two blocking helpers of `struct driver`. */
int pg_execute(const struct access *access, const struct endpoint *endpoint, const char *text,
               uint64_t timeout_ns, struct error *err);
int pg_read_rows(const struct access *access, const struct endpoint *endpoint, const char *text,
                 uint64_t timeout_ns, row_callback *row, void *data, struct error *err);
/* Splits one line of COPY's text format in place: columns on tabs, escapes decoded, NULL for \N.
 * `line` ends with NUL (a final newline is dropped). STATUS_SERVER when it has more than `max`
 * columns. */
int pg_copy_split(char *line, const char *ret_columns[], uint32_t max, uint32_t *ret_count,
                  struct error *err);

#endif
