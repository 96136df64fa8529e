/* A session of driver_redis with scripted servers, and what happened to it. Its statements are
 * those of redis-ledger. Failures abort the test. */
#ifndef GAMEDAY_TESTS_SUPPORT_REDIS_BENCH_H
#define GAMEDAY_TESTS_SUPPORT_REDIS_BENCH_H

#include "support/fake_redis.h"
#include "workload/redis_client.h"
#include "workload/redis_ledger.h"

#define REDIS_BENCH_FAKES 4u
#define REDIS_BENCH_REQUESTS 256u

struct redis_bench {
  struct loop *loop;
  struct fake_redis fakes[REDIS_BENCH_FAKES]; /* "redis1", ...; hosts 0, ... */
  uint32_t fake_count;
  struct endpoint endpoints[REDIS_BENCH_FAKES];
  struct redis_histories histories;
  struct redis_access redis;
  struct access access; /* of all fakes, without a password; may be changed before the session */
  struct client_options options; /* 5 s to connect, 5 ms between attempts; likewise */
  struct redis_session *session;
  uint64_t timeout_ns; /* of requests */
  int64_t wait_ms;     /* of WAIT */
  struct request requests[REDIS_BENCH_REQUESTS];
  uint32_t sent;

  uint32_t ready, lost;
  struct error why; /* the last */
  uint32_t replies, outcomes[OUTCOME_COUNT];
  struct reply last;
  int64_t sum; /* of the first values of rows */
};

void redis_bench_init(struct redis_bench *bench, uint32_t fakes);
void redis_bench_release(struct redis_bench *bench);
/* Makes the session; pinned sessions are at the first fake. */
void redis_bench_session(struct redis_bench *bench, enum route route, uint32_t depth);
int redis_bench_try_session(struct redis_bench *bench, enum route route, uint32_t depth,
                            struct error *err);
/* Connects and waits until it is ready. */
void redis_bench_connect(struct redis_bench *bench);
/* The same; it is with this host. */
void redis_bench_connect_to(struct redis_bench *bench, uint16_t host);
/* Tries it once, in vain: `why` says why. */
void redis_bench_cannot_connect(struct redis_bench *bench);
/* Makes the session and connects it; ends it, so that another one can be made. */
void redis_bench_open(struct redis_bench *bench, enum route route, uint32_t depth);
void redis_bench_close(struct redis_bench *bench);
/* Turns the loop until `*counter` has reached `target`. */
void redis_bench_await(struct redis_bench *bench, const uint32_t *counter, uint32_t target);
/* Turns the loop until `prefix` was seen `count` times by the fake. */
void redis_bench_await_seen(struct redis_bench *bench, uint32_t fake, const char *prefix,
                            uint32_t count);
/* One turn that waits for nothing. */
void redis_bench_turn(struct redis_bench *bench);
/* The fake says these bytes on all of its connections. */
void redis_bench_say(struct redis_bench *bench, uint32_t fake, const char *bytes, size_t length);

void redis_bench_send(struct redis_bench *bench, enum redis_ledger_statement statement,
                      const int64_t *numbers, uint32_t count, const char *text);
/* The last reply is this one. */
void redis_bench_assert_reply(const struct redis_bench *bench, enum outcome outcome,
                              const char *code);
/* Sends the append of a row; waits for the reply, too; which is this one. */
void redis_bench_send_append(struct redis_bench *bench, int64_t identity, int64_t sequence);
void redis_bench_append(struct redis_bench *bench, int64_t identity, int64_t sequence);
void redis_bench_append_gets(struct redis_bench *bench, int64_t identity, int64_t sequence,
                             enum outcome outcome, const char *code);
/* The same of an append that waits for one replica. */
void redis_bench_append_wait_gets(struct redis_bench *bench, int64_t identity, int64_t sequence,
                                  enum outcome outcome, const char *code);
/* Of three appends on a new session with room for them the server answers the first, reads the
 * others and is gone: they are unknown, and the next connection serves again. */
void redis_bench_ends_after_sends(struct redis_bench *bench);

#endif
