/* A Redis server, sentinel or node of a cluster that says what a test wants: on loopback, on the
 * test's own loop. Failures abort the test. */
#ifndef GAMEDAY_TESTS_SUPPORT_FAKE_REDIS_H
#define GAMEDAY_TESTS_SUPPORT_FAKE_REDIS_H

#include <hiredis/hiredis.h>
#include <openssl/ssl.h>

#include "base/buf.h"
#include "base/loop.h"
#include "gameday/driver.h"

#define FAKE_REDIS_CONNECTIONS 8u
#define FAKE_REDIS_RULES 16u
#define FAKE_REDIS_ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define FAKE_REDIS_ID_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

enum fake_redis_action {
  FAKE_REDIS_REPLY, /* in the protocol's form */
  FAKE_REDIS_CLOSE,
  FAKE_REDIS_SILENCE,
};
/* What is done with commands that begin with `prefix`: the latest rule counts. */
struct fake_redis_rule {
  const char *prefix; /* words with single spaces between them; NULL: no rule any more */
  enum fake_redis_action action;
  char reply[160];
  uint32_t times; /* that it is left for; 0: always */
};

struct fake_redis;
struct fake_redis_connection {
  struct fake_redis *fake;
  struct watch watch; /* fd -1: none */
  SSL *ssl;           /* NULL: plain */
  redisReader *reader;
  bool subscribed;
};

struct fake_redis {
  struct loop *loop;
  struct watch listening;
  struct endpoint endpoint;       /* of it; name and host as they were given */
  const char *role;               /* "master", "slave" */
  const char *history;            /* master_replid */
  const struct endpoint *primary; /* that SENTINEL names; NULL: none */
  const char *slots;              /* the answer to CLUSTER SLOTS in the protocol's form */
  SSL_CTX *tls;                   /* borrowed; NULL: connections are plain */
  struct fake_redis_rule rules[FAKE_REDIS_RULES];
  uint32_t rule_count;
  struct fake_redis_connection connections[FAKE_REDIS_CONNECTIONS];
  uint32_t accepted, commands; /* how many there were */
  struct buf log;              /* commands, one a line */
};

void fake_redis_init(struct fake_redis *fake, struct loop *loop, const char *name, uint16_t host);
/* Closes everything; the port is free. */
void fake_redis_release(struct fake_redis *fake);
/* Closes its connections; refuses new ones from now on; both. */
void fake_redis_drop(struct fake_redis *fake);
void fake_redis_stop_listening(struct fake_redis *fake);
void fake_redis_kill(struct fake_redis *fake);

void fake_redis_reply_to(struct fake_redis *fake, const char *prefix, const char *reply);
void fake_redis_rule(struct fake_redis *fake, const char *prefix, enum fake_redis_action action,
                     uint32_t times);
/* Says these bytes on all connections. */
void fake_redis_say(struct fake_redis *fake, const char *bytes, size_t length);
/* Says it on all connections that subscribed. */
void fake_redis_publish(struct fake_redis *fake, const char *channel, const char *text);
/* How many commands that begin with `prefix` came. */
uint32_t fake_redis_seen(const struct fake_redis *fake, const char *prefix);
/* CLUSTER SLOTS for nodes that own equal parts in their order; freed by the caller. */
char *fake_redis_slots(const struct fake_redis *const nodes[], uint32_t count);

#endif
