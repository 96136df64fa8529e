/* The watcher of one `redis` service among its parts: connections that are made again
 * (redis_tap.c), servers by INFO (redis_watch.c), Sentinels (redis_watch_sentinel.c), the nodes'
 * view of a cluster (redis_watch_cluster.c), who leads (redis_leader.c). Everything runs on the
 * loop's thread. */
#ifndef GAMEDAY_SERVICES_REDIS_WATCH_H
#define GAMEDAY_SERVICES_REDIS_WATCH_H

#include "plugin/redis_line.h"
#include "services/redis.h"
#include "services/redis_redundancy.h"

/* --- redis_tap.c: a connection that is made again whenever it is lost --- */

#define REDIS_TAP_QUESTIONS 8u

struct redis_tap;
/* What is done with an answer; const, and outlives the connection. */
struct redis_question {
  void (*answered)(struct redis_tap *tap, const redisReply *reply);
};

struct redis_tap {
  struct service_instance *service;
  struct loop *loop;
  const struct host *host;
  uint16_t port;
  /* Authenticated: now it can be asked. */
  void (*opened)(struct redis_tap *tap);
  /* No answer within a second, or no connection. May be said again and again. */
  void (*silent)(struct redis_tap *tap, const char *why);
  void *owner;
  /* its own */
  struct redis_line line;
  struct watch watch;             /* fd -1: no connection */
  bool connected, secured, ready; /* TCP; TLS, where there is any; AUTH */
  uint32_t awaited;               /* answers that are still to come, to: */
  const struct redis_question *questions[REDIS_TAP_QUESTIONS];
  const struct redis_question *subscription; /* what comes unasked; NULL: nothing does */
  uint64_t patience_ns; /* until then a host that took the connection may leave it unanswered */
  struct timer deadline, retry;
};
/* Begins to connect; what is wrong is told by `silent`. STATUS_MEMORY for want of timers. */
int redis_tap_start(struct redis_tap *tap, struct error *err);
void redis_tap_stop(struct redis_tap *tap); /* never started is fine */
/* Sends one command of words with single spaces between them; only when `ready`. */
void redis_tap_ask(struct redis_tap *tap, const struct redis_question *question, const char *text);
/* Each message that matches; the connection is good for nothing else from then on. */
void redis_tap_subscribe(struct redis_tap *tap, const struct redis_question *question,
                         const char *pattern);
/* The connection is of no more use; a new one is made soon. */
void redis_tap_drop(struct redis_tap *tap, const char *why);

/* --- redis_leader.c: who leads, and since when nobody does, as the servers' managers see it --- */

struct redis_leader {
  uint16_t host;    /* the last that led, or HOST_NONE */
  bool lost;        /* it does not lead any more, and nobody else does yet */
  uint64_t epoch;   /* under which it leads; clusters only */
  uint64_t told_ns; /* clock time of the last change */
};
struct redis_watcher;
/* `shard` from 1; 0: the service has none. All tell what is news, once. */
void redis_leader_is(struct redis_watcher *watcher, uint16_t shard, uint16_t host,
                     const char *text);
void redis_leader_lost(struct redis_watcher *watcher, uint16_t shard, uint16_t host,
                       const char *text);

/* --- the watcher --- */

struct redis_server_watch {
  struct redis_watcher *watcher;
  uint32_t member;
  struct redis_tap tap;
  struct timer tick;
  uint64_t tick_ns, full_ns; /* next questions; next INFO of everything */
  uint64_t seen_ns;          /* clock time of its last answer */
  bool promoted;             /* it was told that it is a writable primary */
  bool loading;
  bool cluster_known, cluster_ok; /* by its last CLUSTER INFO */
  /* Whom each member follows as it sees them: a master with slots itself; UINT16_MAX: not known, or
   * not reached. */
  uint16_t follows[REDIS_INSTANCES_MAX];
  /* The masters with slots that it knows, by shard - 1. */
  struct {
    uint16_t host; /* HOST_NONE: none */
    bool failed;
    uint64_t epoch;
  } claims[REDIS_SHARDS_MAX];
};

struct redis_sentinel_watch {
  struct redis_watcher *watcher;
  uint32_t member;
  struct redis_tap poll, news;
  struct timer tick;
  uint64_t tick_ns, asked_ns;
  bool answers, failing; /* it sees its primary as down, or fails over */
  uint16_t primary;      /* host index, or HOST_NONE */
  char word[128];        /* what was told of it last */
};

struct redis_watcher {
  struct service_instance *service;
  struct loop *loop;
  uint32_t server_count, sentinel_count;
  struct redis_server_watch servers[REDIS_INSTANCES_MAX];
  struct redis_sentinel_watch sentinels[REDIS_SENTINELS_MAX];
  struct redis_word words[REDIS_INSTANCES_MAX];  /* by member */
  struct redis_leader leaders[REDIS_SHARDS_MAX]; /* by shard - 1; the first without shards */
};

/* Publishes what follows from all that is known. `now_ns` is clock time of the answer. */
void redis_publish(struct redis_watcher *watcher, uint64_t now_ns);
void redis_event(struct service_instance *service, uint64_t now_ns, const struct event *event);

int redis_sentinels_start(struct redis_watcher *watcher, struct error *err);
void redis_sentinels_stop(struct redis_watcher *watcher);
/* Whether every Sentinel answers, and takes `primary` for the primary, which it reaches. */
bool redis_sentinels_follow(const struct redis_watcher *watcher, uint16_t primary);

/* Asks a node what it knows of its cluster. */
void redis_cluster_ask(struct redis_server_watch *server);
/* It answers no more: what it said last holds no longer. */
void redis_cluster_forget(struct redis_server_watch *server);
/* Whether every node sees every one in its place: the present primaries with their slots, and all
 * replicas as theirs. Only then can a replica take over. */
bool redis_nodes_agree(const struct redis_watcher *watcher);

#endif
