/* Sessions of driver_pg with a real server, and what happened to each; and the server that a group
 * of tests has, with the ledger in it. Failures abort the test. */
#ifndef GAMEDAY_TESTS_SUPPORT_SEEN_H
#define GAMEDAY_TESTS_SUPPORT_SEEN_H

#include "support/postgres_server.h"
#include "workload/pg_client.h"
#include "workload/pg_ledger.h"

/* What sessions of seen_init() have prepared. */
enum seen_statement {
  SEEN_APPEND,
  SEEN_READ_OWN,
  SEEN_SLOW_APPEND, /* waits in the server, so that things can happen to it meanwhile */
};

/* A session and what happened to it. */
struct seen {
  struct loop *loop;
  struct resolver *resolver;
  struct client_options options;
  union {
    struct session base;
    struct pg_session pg;
  } session;
  uint32_t ready, lost;
  struct error why; /* the last */
  uint32_t replies, outcomes[OUTCOME_COUNT];
  struct reply last;
};

/* --- the server of a group --- */

/* For CMocka: the group's *state is its server, made but not started. */
int seen_group_begin(void **state);
int seen_group_end(void **state);
/* It, running; skips the test when this machine cannot have one. */
struct postgres_server *seen_server(void **state);
/* Likewise, with an empty ledger, and no session left of the test before. */
struct postgres_server *ledger_server(void **state);
struct workload_env ledger_env(const struct postgres_server *server);
void run_sql(const struct postgres_server *server, const char *text);
void start_server(struct postgres_server *server, const char *const *options, bool standby);

/* --- sessions --- */

void seen_init(struct seen *seen, const struct access *access, enum route route, uint32_t depth);
/* On the route to the primary, with a resolver and no statements. `look_up` NULL: the system's. */
void seen_init_resolving(struct seen *seen, const struct access *access,
                         uint64_t connect_timeout_ns, resolver_function *look_up, void *data);
void seen_release(struct seen *seen);
/* Turns the loop until `*counter` has reached `target`. */
void seen_await(struct seen *seen, const uint32_t *counter, uint32_t target);
/* Turns the loop for a while; true when `*counter` has reached `target`. */
bool seen_comes_soon(struct seen *seen, const uint32_t *counter, uint32_t target);
/* Connects and waits until it is ready. */
void seen_connect(struct seen *seen);

/* --- requests --- */

void seen_complete(struct request *request, const struct reply *reply); /* its owner: the seen */
struct request seen_append_request(struct seen *seen, uint32_t statement, int64_t identity,
                                   int64_t sequence);
void seen_send_append(struct seen *seen, struct request *request, uint32_t statement,
                      int64_t identity, int64_t sequence);
/* Appends and waits for the reply. */
void seen_append(struct seen *seen, int64_t identity, int64_t sequence);
/* The last reply. */
void seen_assert_reply(const struct seen *seen, enum outcome outcome, const char *code);

#endif
