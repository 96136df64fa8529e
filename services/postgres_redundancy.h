/* When a replica counts as streaming, and when a `postgres` is redundant: by the words of both
 * ends, never of one alone. Pure; shared by the watchers of real and of simulated servers. One
 * thread. */
#ifndef GAMEDAY_SERVICES_POSTGRES_REDUNDANCY_H
#define GAMEDAY_SERVICES_POSTGRES_REDUNDANCY_H

#include "gameday/service.h"
#include "services/postgres_parameters.h"

/* For so long a replica may leave log unanswered that the primary has ready for it: a live receiver
 * answers whatever it has flushed, at once. */
#define POSTGRES_REPLY_OVERDUE_NS (3 * NS_PER_S)

/* What a replica says of its receiver (pg_stat_wal_receiver). Zeroed: it has none. */
struct receiver_word {
  bool streams;      /* its sender has sent it something on this connection */
  uint16_t from;     /* index of the host that it receives from, or HOST_NONE */
  uint32_t timeline; /* that it receives */
  uint64_t number;   /* which receiver: another one has another number */
  uint64_t since_ns; /* clock time at which this receiver was first heard of */
};

/* What a primary says of a replica (its row in pg_stat_replication). Zeroed: there is none. */
struct sender_word {
  bool streams;      /* state streaming, to the replica's address */
  bool synchronous;  /* sync_state sync or quorum */
  bool behind;       /* the replica has not confirmed all that the primary has flushed */
  uint16_t host;     /* index of the host that says so */
  uint64_t number;   /* which sender */
  uint64_t reply;    /* the replica's last answer: any value that changes with each */
  uint64_t asked_ns; /* clock time: before the primary was asked */
  uint64_t heard_ns; /* clock time: until then the replica was known to answer */
};

/* Both ends of one replica. */
struct replica_words {
  uint16_t host;
  struct receiver_word receiver;
  struct sender_word sender;
};

/* Takes a new word; since_ns and heard_ns are set here. */
void postgres_hear_receiver(struct replica_words *words, const struct receiver_word *word,
                            uint64_t now_ns);
void postgres_hear_sender(struct replica_words *words, const struct sender_word *word);

/* Whether the replica streams from host `primary`, on that one's timeline. */
bool postgres_streams(const struct replica_words *words, uint16_t primary, uint32_t timeline);

struct redundancy_rule {
  uint64_t lag_bound_bytes;
  uint32_t synchronous_count; /* so many replicas must be synchronous */
};
struct redundancy_rule postgres_redundancy_rule(const struct postgres_config *config,
                                                uint64_t lag_bound_bytes);
/* Whether all `count` members but the primary follow it, and enough of them are synchronous. Of the
 * view are used: the primary, and of each host role, streaming, timeline and lag. */
bool postgres_redundant(const struct service_view *view, const struct replica_words *words,
                        uint32_t count, const struct redundancy_rule *rule);

#endif
