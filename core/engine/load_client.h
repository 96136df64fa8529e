/* One client of the load: its schedule, its queue, its session. Runs on a loop and its clock alone,
 * without threads or system calls, so that it is the same in real and in virtual time.
 *
 * The life of an operation: scheduled (by the seed, whatever the servers do) -> waiting in the
 * queue -> sent -> done, with one outcome:
 *   SKIPPED GDQUE  the queue was full when it was scheduled
 *   SKIPPED GDEND  the load was ended before its turn came
 *   FAIL GDCON     it could not be sent in time. An operation that has less than a tenth of its
 *                  timeout left is given up instead of sent: it would most likely end as UNKNOWN
 *                  and take the session with it, and a backlog would keep a recovered server down
 *   what the driver says of the answer
 *
 * Identities and sequences are given when a write is sent, so that what was never sent has sequence
 * 0. After a write that ends UNKNOWN the client goes on under a new identity: whatever becomes of
 * that write later cannot be mistaken for another. The kinds and times of operations depend on the
 * seed only.
 *
 * A lost connection is renewed at once when it had lasted longer than the reconnect delay, else
 * after the delay. */
#ifndef GAMEDAY_ENGINE_LOAD_CLIENT_H
#define GAMEDAY_ENGINE_LOAD_CLIENT_H

#include <stdatomic.h>

#include "base/loop.h"
#include "gameday/workload.h"

struct load_client;
struct load_steps;
struct load_origin;

/* What clients on one client host share under one workload. */
struct load_process {
  struct load_process *next;
  const struct workload_env *env;
  uint16_t host;
  void *process; /* of workload->process_new() */
};

/* Written by the one thread of a group, read by any. */
struct load_counters {
  _Atomic uint64_t scheduled, ok, fail, unknown, skipped;
  _Atomic uint64_t ready;       /* clients connected now */
  _Atomic uint64_t ready_once;  /* clients that have been connected, or need not be */
  _Atomic uint64_t outstanding; /* scheduled and not done, of all classes */
};

/* What the clients of one loop share. */
struct load_context {
  struct loop *loop;
  struct resolver *resolver; /* of the loop */
  uint64_t start_ns;         /* clock time of the run's zero */
  struct sink *sink;
  const struct host *const *client_hosts; /* client i is on client_hosts[i % count]; may be none */
  uint32_t client_host_count;
  /* Takes a finished operation; in the loop's thread. */
  void (*record)(void *data, const struct operation *operation);
  void *record_data;
  _Atomic uint32_t *identities; /* the last one handed out; shared by the groups */
  struct load_counters *counters;
  uint64_t late_ns_max; /* how late a schedule's timer fired at most since it was last asked */
  uint64_t bounded_outstanding; /* as counters->outstanding, without always_on classes */
  bool bounded_ended;           /* no operation of these is scheduled any more */
  /* Runs when a client was READY for the first time, and when the last operation of the classes
   * that have an end is done; `why` of the last LOST of a client that never was READY. */
  void (*progressed)(struct load_context *context);
  struct error why;
  struct load_process *processes; /* owned */
};

/* An operation from its send to its completion. */
struct load_flight {
  struct request request;
  struct operation operation;
  struct load_client *client;
  struct load_flight *next_free;
  char *payload;
  struct load_steps *steps; /* of an operation of several steps; NULL: it is none */
  bool used;
};

enum load_probe_step { PROBE_IDLE, PROBE_CONNECT, PROBE_READ, PROBE_WRITE, PROBE_CLOSE };

struct load_client {
  struct client client; /* what the workload sees; first */
  struct load_context *context;
  const struct client_options *options;

  /* schedule */
  struct prng schedule; /* of the gaps alone: what plan() draws does not disturb the times */
  bool running;
  uint64_t begin_ns, end_ns; /* clock times; nothing is scheduled at or after the end */
  uint64_t next_ns;
  double gap_ns, offset_ns; /* mean gap; the next operation is at begin_ns + offset_ns */
  uint64_t tick;            /* even gaps: how many came before */
  struct timer schedule_timer;

  /* queue of operations that wait to be sent, oldest first */
  struct operation *pending;
  uint32_t capacity, head, count;
  struct timer give_up_timer;

  struct load_flight *flights, *free;
  uint32_t flight_count;
  char *payloads;
  bool pumping, closed;

  struct timer connect_timer;
  bool was_ready, is_ready;
  uint64_t ready_ns;

  /* operations of several steps: load_steps.c */
  struct load_origin *origin;
  struct load_steps *steps;          /* one a flight */
  struct load_flight *foreground;    /* not answered yet */
  struct client_options own_options; /* `options` points there */

  /* the fresh-connection probe */
  enum load_probe_step probe;
  struct operation probe_write; /* the operation, while its read is in flight */
};

/* Prepares a zeroed client and its session. `index` is the client's in the run, `nth` its place
 * among the `class->count` of its class; the identity is given by the caller. Needs
 * loop_reserve_timers() for LOAD_CLIENT_TIMERS each, and the driver's. On failure nothing is left
 * but what load_client_release() frees. */
#define LOAD_CLIENT_TIMERS 4
int load_client_init(struct load_client *client, struct load_context *context,
                     const struct workload_env *env, const struct client_class *class,
                     uint32_t index, uint32_t identity, uint64_t seed, struct error *err);
/* Frees; the operations in flight must have been abandoned. Zeroed is fine. */
void load_client_release(struct load_client *client);

/* Starts to connect; fresh clients connect only for an operation. */
void load_client_connect(struct load_client *client);
/* Schedules operations from clock time `begin_ns` on. */
void load_client_begin(struct load_client *client, uint64_t begin_ns);
/* Schedules nothing at or after clock time `end_ns`. */
void load_client_end(struct load_client *client, uint64_t end_ns);
/* Schedules what is due at clock time `now_ns`; for the moment of an end. */
void load_client_catch_up(struct load_client *client, uint64_t now_ns);
/* Ends everything: what waits becomes SKIPPED, what is in flight UNKNOWN; closes the session. */
void load_client_abandon(struct load_client *client);

/* Clock time at which `operation` is given up when it has not been sent. */
uint64_t load_client_give_up_ns(const struct load_client *client,
                                const struct operation *operation);

/* --- for load_probe.c, the part of a client with `class->fresh`, and for load_steps.c --- */

/* Counts an operation that was decided on now. */
void load_client_count(struct load_client *client);
/* The client host that the client is on; HOST_NONE: not known. */
uint16_t load_client_host(const struct load_client *client);

/* Takes a free flight for the oldest operation; NULL: none of both. */
struct load_flight *load_client_take(struct load_client *client);
/* Sends it: identity, sequence, the workload's submit(), the driver's send(). */
void load_client_send(struct load_client *client, struct load_flight *flight);
/* Writes down a done operation. */
void load_client_finish(struct load_client *client, struct operation *operation);
/* As load_client_finish() of a flight, which is free afterwards. */
void load_client_finish_flight(struct load_client *client, struct load_flight *flight);
/* Takes the answer into the operation: stamps, outcome, host, acknowledgement, new identity. */
void load_client_take_reply(struct load_client *client, struct load_flight *flight,
                            struct operation *operation, const struct reply *reply);
/* Arms a timer for which room was reserved. */
void load_client_arm(struct load_client *client, struct timer *timer, uint64_t deadline_ns);
/* Closes the session in order. */
void load_client_close(struct load_client *client);
/* Gives up what waited too long and sends what can be sent. */
void load_client_pump(struct load_client *client);

#endif
