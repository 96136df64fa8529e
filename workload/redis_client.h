/* The parts of the Redis driver (driver_redis) among themselves; redis_client.c is the way in.
 *
 * Connecting. An attempt is the name's resolution (where access->resolve), TCP, TLS (where
 * redis_access.trust), then one round trip: AUTH and `INFO replication` in one pipeline, which says
 * the role and the history. The modes:
 *
 * ONE, every route that is not to a primary behind Sentinel or in a cluster: one endpoint after the
 * other, as the other drivers do. ROUTE_PRIMARY refuses a replica, ROUTE_REPLICA without a host
 * refuses a primary. In a cluster READONLY is sent, so that a replica serves reads.
 *
 * SENTINEL: asks the sentinels in turn for the primary, the one that answered last first, connects
 * to what it says and checks the role. Once that lasts, it subscribes to +switch-master on every
 * sentinel, as Jedis and Lettuce do: on the side of a partition where the old primary is, a
 * sentinel hears of no switch. What a message says is connected to without asking again; what is in
 * flight then is UNKNOWN. A sentinel that is subscribed to again is not asked for the primary,
 * because during a partition the sentinels disagree.
 *
 * CLUSTER: CLUSTER SLOTS from the first endpoint that answers, then a connection to each primary.
 * The session is READY with one of them. MOVED and ASK are followed, at most REDIRECTS_MAX times: a
 * server that redirects has applied nothing. A request for a primary without a connection waits for
 * the attempt that goes on, or is next, and FAILs with it (GDCON); a new map that names another
 * primary sends it there. The map is asked for again after MOVED and CLUSTERDOWN, when a connection
 * is lost, and every reconnect_delay while a primary has none. A request that was sent and not
 * answered by its deadline costs the connection to that primary, not the session.
 *
 * Acknowledged is: the reply of the command has arrived and, where a WAIT follows it, WAIT has
 * counted enough replicas. If it has not the write is UNKNOWN, GDWAI: it was applied and may stay.
 *
 * The timeline of an acknowledgement is the number of the history (master_replid) that the server
 * had when it was connected to. One that was a replica then, or has refused a write since, has none
 * (0): when a write succeeds there it was promoted, so the answer is held back, the server is asked
 * again, and the answer is then given with the stamp of its arrival. */
#ifndef GAMEDAY_WORKLOAD_REDIS_CLIENT_H
#define GAMEDAY_WORKLOAD_REDIS_CLIENT_H

#include "gameday/drivers.h"
#include "gameday/endpoints.h"
#include "gameday/redis_access.h"
#include "workload/redis_command.h"
#include "workload/redis_link.h"

#define REDIS_STATEMENTS_MAX 16u
#define REDIS_PIPELINE_MAX 1024u
#define REDIS_RANGES_MAX 1024u
#define REDIRECTS_MAX 5u
#define REDIS_NO_ENDPOINT UINT32_MAX

enum redis_mode { REDIS_MODE_ONE, REDIS_MODE_SENTINEL, REDIS_MODE_CLUSTER };

/* A request of a cluster session that waits for a connection. */
struct redis_parked {
  struct request *request;
  uint32_t endpoint; /* index; REDIS_NO_ENDPOINT: nobody owns its slot */
  uint16_t slot;
  uint8_t redirects;
  bool asking; /* ASKING goes before it */
};

/* Slots from `first` to `last` are the endpoint's. */
struct redis_range {
  uint16_t first, last;
  uint32_t endpoint;
};

struct redis_session {
  struct session base; /* first: the loop's users see this */
  enum redis_mode mode;
  const struct redis_access *redis; /* of access->context; NULL: alone */
  struct timer timer;               /* the earliest of all that is due */
  uint64_t epoch;                   /* grows when the session is closed or lost */
  struct redis_command commands[REDIS_STATEMENTS_MAX];
  struct endpoint_round round; /* over the servers */
  char tag[REDIS_TAG_SIZE];    /* $s */
  size_t tag_length;
  struct redis_cork cork;
  bool leaving; /* the server refuses writes: lost once what is in flight is answered */

  struct redis_link *links; /* one; CLUSTER: one an endpoint */
  uint32_t link_count;

  /* SENTINEL: */
  struct redis_link *sentinels;
  uint32_t sentinel_first, sentinel_tried; /* of the round */
  struct error sentinel_why;
  uint64_t asking_ns;    /* when the sentinel was begun to be asked */
  uint32_t hint;         /* endpoint that +switch-master named; REDIS_NO_ENDPOINT */
  uint64_t subscribe_ns; /* when to subscribe; TIME_NEVER */

  /* CLUSTER: */
  struct redis_range *ranges; /* room for REDIS_RANGES_MAX; owned */
  uint32_t range_count;
  struct bits owners; /* the endpoints of `ranges` */
  struct redis_parked *parked;
  uint32_t parked_count;
  uint32_t map_next;           /* the link that is asked for the map next */
  struct redis_link *seed;     /* asked for the first map; NULL: there is one */
  struct redis_link *map_link; /* asked for a newer one; NULL: none */
  uint64_t map_ns;             /* when to ask for the map, or no longer to wait; TIME_NEVER */
  uint64_t map_asked_ns;       /* when it was asked for last */
  char *scratch;               /* the command of `shaped`, whose slot had to be known */
  size_t scratch_size;
  const struct request *shaped; /* formatted last to know its slot; NULL: none */
  struct redis_shape shape;
};

/* redis_client.c */

/* The timer fires at `at_ns` or before. */
void redis_wake_at(struct redis_session *session, uint64_t at_ns);
/* The index of the endpoint with this address or name, and port; REDIS_NO_ENDPOINT. It is looked
 * for at `guess` first: of a large cluster all are asked for, most of which are where they were. */
uint32_t redis_find_endpoint(const struct access *access, uint32_t guess, const char *host,
                             size_t length, uint16_t port);
/* Whom connections trust; NULL: they are no TLS. STATUS_INTERNAL when the access names a CA, but
 * its redis_access has none: nothing is to be said in the clear then. */
int redis_trust(const struct access *access, const struct tls_trust **ret_trust, struct error *err);
/* Formats the request into `link`, which is open, and adds its flight. The caller flushes. False:
 * out of memory. */
bool redis_send_on(struct redis_session *session, struct redis_link *link, struct request *request,
                   uint8_t redirects);
/* The slot of the request's key; false: out of memory. */
bool redis_slot_of(struct redis_session *session, const struct request *request,
                   uint16_t *ret_slot);
/* Gives the request back as FAIL, GDCON: it was not sent, or was refused where it was. */
void redis_fail_unsent(struct redis_session *session, struct request *request, uint16_t shard);

/* redis_client_connect.c: mode ONE, and what the modes share */

extern const struct redis_link_events redis_server_events;
/* Opens a link to an endpoint; a failure is told by the link's `lost`, from here. */
void redis_open_server(struct redis_session *session, struct redis_link *link, uint32_t endpoint,
                       const char *address);
void redis_connect_round(struct redis_session *session);
struct redis_identity {
  bool replica;
  uint32_t timeline; /* of a primary; 0: not known */
};
/* The answer to `INFO replication`; `redis` may be NULL. STATUS_SERVER when it is an error. */
int redis_identity_read(const struct redis_access *redis, const redisReply *reply,
                        struct redis_identity *ret, struct error *err);
/* Writes an error reply into `err`; 0 when `reply` is none. */
int redis_reply_check(const redisReply *reply, const char *question, struct error *err);
/* AUTH, when there is a password; false: out of memory. */
bool redis_ask_auth(struct redis_link *link, const char *user, const char *password);
/* Everything that is open is closed; flights stay. */
void redis_disconnect(struct redis_session *session);
/* The connection to serve the session is there. */
void redis_ready(struct redis_session *session, struct redis_link *link);
/* No server could be connected to: LOST with `why`. */
void redis_round_failed(struct redis_session *session, const struct error *why);

/* redis_client_sentinel.c */

int redis_sentinel_init(struct redis_session *session, struct error *err);
void redis_sentinel_connect(struct redis_session *session);
/* The session is READY: it will subscribe when that has lasted. */
void redis_sentinel_ready(struct redis_session *session);
/* The server that was named could not be connected to, or is no primary. */
void redis_sentinel_server_failed(struct redis_session *session, const char *why);
/* What is due at `now_ns` of the sentinels' links; returns when to look again. */
uint64_t redis_sentinel_tick(struct redis_session *session, uint64_t now_ns);

/* redis_client_cluster.c */

int redis_cluster_init(struct redis_session *session, struct error *err);
void redis_cluster_connect(struct redis_session *session);
bool redis_cluster_ask_seed(struct redis_link *link);
void redis_cluster_opened(struct redis_session *session, struct redis_link *link);
void redis_cluster_link_lost(struct redis_session *session, struct redis_link *link,
                             enum redis_link_phase phase, const char *why);
/* Sends the request to the owner of its slot, or parks it. */
void redis_cluster_send(struct redis_session *session, struct request *request, uint8_t redirects);
/* What an error reply says of the map; flight->redirect is set where the request may follow it. */
void redis_cluster_error(struct redis_session *session, struct redis_link *link,
                         struct redis_flight *flight, const char *message);
/* Sends the request on to where flight->redirect says. */
void redis_cluster_follow(struct redis_session *session, const struct redis_flight *flight);
uint64_t redis_cluster_tick(struct redis_session *session, uint64_t now_ns);
/* Fails what is parked: the session ends. */
void redis_cluster_abandon(struct redis_session *session);
/* From an answer to CLUSTER NODES: a slot of the shard that the server itself belongs to. Not from
 * CLUSTER SLOTS, which leaves out a replica that has not received anything yet. False: none. */
bool redis_cluster_own_slot(const char *nodes, uint16_t *ret_slot);

/* redis_client_reply.c */

void redis_answered(struct redis_link *link, const struct redis_answer *answer);
/* Ends the session: completes what is in flight, UNKNOWN where it was sent, then LOST. */
void redis_lost(struct redis_session *session, const char *who, const char *why);
/* Completes what is in flight on a closed link. */
void redis_abandon_flights(struct redis_session *session, struct redis_link *link);

/* redis_client_blocking.c: the two blocking helpers of `struct driver`. */
int redis_execute(const struct access *access, const struct endpoint *endpoint, const char *text,
                  uint64_t timeout_ns, struct error *err);
int redis_read_rows(const struct access *access, const struct endpoint *endpoint, const char *text,
                    uint64_t timeout_ns, row_callback *row, void *data, struct error *err);

#endif
