/* One connection of a Redis session: the socket, what is to be sent, what is waited for.
 *
 * Why not hiredis' asynchronous context. Measured at a
 * pipeline depth of 16, sending and receiving with it alone costs 0.3 us of user time an operation:
 * it allocates a callback for each command and two objects for each "+OK". All that a client of
 * redis-ledger does, payload, checksum and record included, costs about that without it, and all of
 * redis-benchmark 0.2 us, which is what this is held against. And it keeps to itself
 * how much of its buffer the kernel has taken, which here decides between FAIL (the end of the
 * command was never sent) and UNKNOWN. So the socket is ours and the protocol is hiredis' reader's,
 * but for the three answers that nearly every operation gets, which are read in place when they
 * have arrived whole. Works the same with hiredis 0.14 and 1.x, TLS included, which is OpenSSL's
 * (plugin/tls.h). All in the loop's thread. */
#ifndef GAMEDAY_WORKLOAD_REDIS_LINK_H
#define GAMEDAY_WORKLOAD_REDIS_LINK_H

#include <hiredis/hiredis.h>

#include "base/bits.h"
#include "base/resolver.h"
#include "gameday/redis_access.h"
#include "plugin/tcp.h"

enum redis_link_phase {
  LINK_CLOSED,
  LINK_RESOLVING,  /* the name */
  LINK_CONNECTING, /* TCP */
  LINK_SECURING,   /* the TLS handshake, where there is TLS */
  LINK_SETUP,      /* the owner asks who is there */
  LINK_OPEN,       /* takes requests */
};

/* An answer; valid during the call it is given to. */
struct redis_answer {
  int type;         /* REDIS_REPLY_... of hiredis */
  const char *text; /* STRING, STATUS, ERROR: not ended by NUL */
  size_t length;
  int64_t integer;         /* INTEGER */
  const redisReply *reply; /* the whole of it; NULL for a plain answer to a request */
};

/* What the links of one session share: while answers are given to their owners, what these send is
 * collected, so that it goes in one piece. A session with a large cluster has many links, of which
 * few have anything to do: these are found by the numbers that the owner gave them. */
struct redis_cork {
  bool in;
  uint64_t received_ns; /* of the receive that brought the answers, after it */
  struct bits unsent;   /* links that may have something to send */
  struct bits open;     /* links whose phase is LINK_OPEN */
};

struct redis_link;
/* Takes the answer to a question of ours. */
typedef void redis_question(struct redis_link *link, const redisReply *reply);

/* Between its send and its answer: a request, or a question of ours. */
struct redis_flight {
  struct request *request;  /* NULL: a question */
  redis_question *answered; /* of a question; NULL: its answer is of no interest */
  uint64_t end;             /* stream position behind the last byte of its first command */
  int64_t wait_for;         /* the second answer, WAIT's, must be this at least */
  uint8_t answers;          /* that are still to come */
  uint8_t redirects;        /* that the request has followed before */
  bool asking;              /* the next one is by ASK */
  uint32_t redirect;        /* endpoint that it is sent to next, plus 1; 0: none */
  bool refused;             /* an error came: reply.outcome and code are set */
  struct reply reply;       /* as far as it is known */
};

/* What happens on a link; any of them may close it. */
struct redis_link_events {
  void (*opened)(struct redis_link *link); /* connected; the phase is LINK_SETUP */
  /* The oldest flight that waits has an answer; there may be no such flight. */
  void (*answered)(struct redis_link *link, const struct redis_answer *answer);
  /* It could not be connected, or broke, and is closed; its flights are still there. */
  void (*lost)(struct redis_link *link, enum redis_link_phase phase, const char *why);
  /* All that arrived was given to its owners, and the cork is out: links are to be flushed. */
  void (*settled)(struct redis_link *link);
};

struct redis_link {
  void *owner;
  const struct redis_link_events *events;
  struct loop *loop;
  struct redis_cork *cork;
  uint32_t number; /* the owner's, below BITS_MAX, by which the cork tells it; else: it does not */
  struct tcp_connection connection;
  struct watch watch; /* of the connection's descriptor */
  struct resolver_request name;
  enum redis_link_phase phase;
  uint64_t epoch;                  /* grows with every close: a callback may have done it */
  const struct endpoint *endpoint; /* connected to, or last tried */
  uint32_t timeline;               /* of the server; 0: not known */
  bool asked;                      /* for its timeline again, on this connection */
  uint64_t deadline_ns;            /* of the attempt, until LINK_OPEN */
  uint64_t retry_ns;               /* the owner's: when to connect again; TIME_NEVER: not */
  uint64_t ping_ns;                /* the owner's: when to ask whether the other end is alive */
  uint64_t attempt_ns, resolved_ns, connected_ns, opened_ns; /* stamps */
  uint64_t received_ns;                                      /* of the last receive, after it */

  char addresses[RESOLVER_ADDRESSES_MAX][RESOLVER_ADDRESS_SIZE]; /* numeric */
  uint32_t address_count, address_next;
  uint64_t tcp_user_timeout_ns;
  const struct tls_trust *trust;           /* NULL: no TLS */
  const struct redis_transport *transport; /* NULL: a socket */
  uint16_t from_host;                      /* for the transport */
  void *wire;                              /* the transport's; NULL: not open */

  redisReader *reader; /* for what is not read in place; NULL: none yet */
  bool reading;        /* the reader holds a part of an answer */
  char *out;           /* bytes not sent yet: [out_start, out_end) */
  size_t out_start, out_end, out_capacity;
  uint64_t sent; /* stream position: what the kernel has taken, of TLS in whole records */
  bool broken;   /* a send failed; the next receive says why */

  /* Oldest first; the first `held` are answered and wait for the timeline. Made when the link is
   * opened for the first time: of a large cluster not every server is connected to. */
  struct redis_flight *flights;
  uint32_t capacity, head, count, held;
};

/* Room for `flights` requests at a time, and for questions beside them. The struct is zeroed. */
void redis_link_init(struct redis_link *link, void *owner, const struct redis_link_events *events,
                     struct loop *loop, struct redis_cork *cork, uint32_t flights);
/* Connections of it are made as `redis` says (NULL: plain sockets), by a client on `from_host`. */
void redis_link_use(struct redis_link *link, const struct redis_access *redis, uint16_t from_host);
void redis_link_release(struct redis_link *link); /* closes; a zeroed one is fine */

/* Begins to connect: to `address` (numeric) when it is not NULL, else by the endpoint's name
 * through `resolver`, else to the endpoint's address. The events tell; a failure that is returned
 * they do not tell. */
int redis_link_open(struct redis_link *link, const struct endpoint *endpoint, const char *address,
                    struct resolver *resolver, const struct client_options *options,
                    struct error *err);
/* Who is there is known, and the owner takes it: it is LINK_OPEN from now on. */
void redis_link_set_open(struct redis_link *link);
/* Closes without an event; flights stay. */
void redis_link_close(struct redis_link *link);
/* Closes, and tells `lost`. */
void redis_link_lose(struct redis_link *link, const char *why);
/* The attempt's deadline has passed: `lost`, with what it was waiting for. */
void redis_link_expire(struct redis_link *link);

/* Room for `size` bytes to be sent; NULL: out of memory. */
char *redis_link_reserve(struct redis_link *link, size_t size);
/* `size` bytes written there are now to be sent; returns the stream position before them. */
uint64_t redis_link_commit(struct redis_link *link, size_t size);
/* Sends what there is, unless the cork is in. */
void redis_link_flush(struct redis_link *link);
/* Commits a command of `count` words and adds its flight; false: out of memory. */
bool redis_link_ask(struct redis_link *link, redis_question *answered, const char *const words[],
                    uint32_t count);

/* A new flight behind the others, zeroed; NULL: there is no room (a bug of the caller's for
 * requests). Valid until the next one is added or taken. */
struct redis_flight *redis_link_add(struct redis_link *link);
struct redis_flight *redis_link_at(struct redis_link *link, uint32_t position);
/* The flight that the server answers next; NULL: none. */
struct redis_flight *redis_link_current(struct redis_link *link);
/* Takes the oldest off the queue. */
struct redis_flight redis_link_take(struct redis_link *link);
/* Takes the one behind the held ones, which were all of no further interest, off the queue. */
struct redis_flight redis_link_take_current(struct redis_link *link);

#endif
