/* A workload says which clients there are and what each operation sends, and reads everything back
 * at the end. The engine owns the schedule, the queues, the clock stamps and the record. */
#ifndef GAMEDAY_WORKLOAD_H
#define GAMEDAY_WORKLOAD_H

#include "base/prng.h"
#include "gameday/driver.h"
#include "gameday/event.h"
#include "gameday/plugin.h"
#include "gameday/service.h"

#define CLIENT_CLASSES_MAX 4096u /* of one workload: some for each host */

/* A group of equal clients. */
struct client_class {
  const char *name; /* "writer", "pinned", "heartbeat", ... for reports */
  uint32_t number;  /* the workload's own: which of several of that name */
  uint32_t count;
  enum route route;
  uint16_t host;  /* pinned to this host index; HOST_NONE: by route */
  double rate;    /* operations a second for the whole class */
  uint32_t uses;  /* bit i: sends statement i of the workload; 0: may send any. What is not used is
                     not prepared: a connect should cost no more than it must */
  bool poisson;   /* exponential gaps; else even ones with a random phase a client */
  bool fresh;     /* a new connection for each operation (the probe) */
  bool always_on; /* runs from prepare to the final read, outside the measured load too */
  bool saturate;  /* closed loop, for benchmarks only: each client sends as soon as the session
                     takes another request, `rate` is not used, nothing is ever skipped */
};

/* What a workload knows of its run. Owned by the engine. */
struct workload_env {
  const struct workload *workload;
  const void *config;
  uint8_t index; /* of the workload in the scenario: below WORKLOADS_MAX */
  uint64_t seed;
  const struct service_instance *service;
  const struct access *access;
  const struct access *origin; /* of workload->origin; NULL: it has none */
  const struct clock *clock;
  struct sink *sink;
  void *state; /* the workload's own, shared by its clients; read-only after prepare() */
};

/* One client; belongs to one worker thread. */
struct client {
  const struct workload_env *env;
  const struct client_class *class;
  uint32_t index;        /* in the run: operation.client */
  uint32_t identity;     /* operation.identity; renewed by the engine after an unknown write */
  uint64_t sequence;     /* of the last write sent under this identity */
  uint64_t acknowledged; /* sequence of the last acknowledged write under this identity */
  struct prng prng;
  struct session *session;
  uint64_t memory[4]; /* the workload's own, zero at first */
  void *process;      /* of workload->process_new(); NULL: it has none */
};

/* --- operations of several steps --------------------------------------------------------------
 *
 * A workload with next() has operations that are more than one request: a read through a cache asks
 * the cache, then perhaps the database behind it, then writes back. Each client has one operation
 * at a time that is not answered (its options' pipeline_depth means nothing), and two with those of
 * which it does the rest in the background.
 *
 * The second service, `origin`, is reached by a session of each client's own, which is opened when
 * it is first needed and closed when it has not been for a while, as a pool of connections does.
 * Every request to it is an operation of its own in the record, OPERATION_ORIGIN, scheduled when it
 * was decided on; its read_identity is that of the operation that it is for. */

/* One operation of several steps, under way. Of the engine; belongs to the client's thread. */
struct steps {
  struct client *client;
  struct operation
      *operation;          /* as it will be recorded; NULL: it is done, this is the rest of it */
  struct request *request; /* to be filled for NEXT_SEND and NEXT_ORIGIN */
  char *payload;           /* as for submit() */
  void *state;             /* step_size bytes of the workload's own, zeroed for each operation */
  uint64_t until_ns;       /* to be set for NEXT_WAIT: clock time */
  uint64_t deadline_ns;    /* clock time at which the operation is given up */
  /* Ends a NEXT_WAIT, from any next() of the same thread: this one is called soon, from the loop.
   * Only for one that waits. */
  void (*wake)(struct steps *steps);
  bool over; /* it is given up now: the last call, what is returned is ignored */
};

enum next {
  /* It is done, as `operation` says: outcome and code are those of the last reply, or what the
   * workload has put there. */
  NEXT_DONE,
  NEXT_ANSWERED, /* it is done for its user; next() is called again at once for the rest */
  NEXT_SEND,     /* sends `request` on the client's session */
  NEXT_ORIGIN,   /* sends `request`, a statement of origin_statements, to the origin */
  NEXT_WAIT,     /* until `until_ns`, or until wake() */
};

/* The origin's side of a client. */
struct origin_options {
  struct client_options client; /* its connect_timeout and tcp_user_timeout; the rest is as the
                                   client's own */
  uint64_t idle_ns; /* a connection that was not used for so long is closed; 0: at once */
};

struct final_reader {
  /* Takes one row of the final state of `host`. Returns non-zero with `err` when it cannot. */
  int (*row)(struct final_reader *reader, const struct final_row *row, struct error *err);
};

struct workload {
  struct plugin plugin;
  const char *service; /* name of the service it needs */
  const struct statement *statements;
  uint32_t statement_count;
  bool keeps_sessions;   /* and cache entries, which a server may throw away before their time: asks
                            for them by READ_KEY and CACHE_READ */
  size_t payload_offset; /* of the longest payload's size (uint64_t) in config; SIZE_MAX: none */

  /* Fills client classes for the members of the service; at most `max`. Depends on env->config and
   * on the hosts and shards of env->access alone: a scenario is checked with it before there is a
   * server. */
  int (*classes)(const struct workload_env *env, struct client_class *ret_classes, uint32_t max,
                 uint32_t *ret_count, struct error *err);
  /* Client options from the configuration. */
  const struct client_options *(*options)(const void *config);
  /* Makes tables; may block; once a run, in the monitor's network. */
  int (*prepare)(struct workload_env *env, struct error *err);
  /* Decides what the client's next operation is: its kind. Called when it is scheduled; must depend
   * on client->prng and client->class alone, so that the schedule is fixed from the seed. Identity
   * and sequence are given by the engine when it is sent: what is never sent has sequence 0. */
  void (*plan)(struct client *client, struct operation *operation);
  /* Fills the request for a planned operation: statement, numbers, text. `payload` has
   * config's payload size + 1 bytes and stays valid until completion. Sets operation->value for a
   * write (and a PROBE, whose read comes here as a READ_NEWEST before). Never blocks. */
  void (*submit)(struct client *client, struct operation *operation, struct request *request,
                 char *payload);
  /* Takes the server's answer into the operation (values read). The outcome is set already. */
  void (*answer)(struct client *client, struct operation *operation, const struct reply *reply);
  /* --- for operations of several steps; all zero for others --- */

  /* Says what comes now. `reply` NULL: the first call, after NEXT_ANSWERED, or the wait is over.
   * Otherwise the answer to what was sent: FAIL (GDCON) at once when the session is not connected,
   * or the origin cannot be connected to (the server's own code where it gave one). Takes the place
   * of submit() and of answer(), which is called for origin's operations alone. The request's
   * deadline is the operation's; it may be set to an earlier one. Never blocks. */
  enum next (*next)(struct steps *steps, const struct reply *reply);
  size_t step_size;
  const char *origin; /* name of the second service; NULL: none */
  const struct statement *origin_statements;
  uint32_t origin_statement_count;
  const struct origin_options *(*origin_options)(const void *config);
  /* What the clients of one client host (of one worker thread of it) share, as those of one process
   * of an application do. NULL functions: nothing. */
  int (*process_new)(const struct workload_env *env, void **ret_process, struct error *err);
  void (*process_free)(void *process); /* NULL is fine */

  /* After heal and convergence: reads every row of `host`. Blocks. */
  int (*final_read)(struct workload_env *env, const struct endpoint *host,
                    struct final_reader *reader, struct error *err);
};

extern const struct workload *const workloads[]; /* workload/workloads.c; NULL-terminated */

#endif
