/* The simulated world: hosts with power, processes that live, freeze and die, and a network between
 * them, all in virtual time. It knows nothing of databases. One thread, one loop; every choice that
 * is left to chance comes from the world's own streams, so that the same seed gives the same bytes.
 *
 * Processes act only through events: what is due for a frozen process waits for its thaw, as a
 * stopped process finds its expired timers and full sockets; what is due for a process that has
 * died since is dropped. So a model states what a process does and never asks whether it still can.
 */
#ifndef GAMEDAY_CLUSTERS_SIM_WORLD_H
#define GAMEDAY_CLUSTERS_SIM_WORLD_H

#include "base/loop.h"
#include "base/prng.h"
#include "gameday/provider.h"

struct sim_world;
struct sim_process;

/* What an event carries: small values and borrowed pointers. */
struct sim_args {
  void *pointer, *pointer2;
  uint64_t number, number2, number3;
};
/* `self` is the process that the event is for. */
typedef void sim_call(struct sim_process *self, const struct sim_args *args);

struct sim_process_kind {
  const char *name;   /* "postmaster", "patroni", "etcd", "client" */
  bool unit;          /* known by its name, and starts by itself when its host boots */
  bool by_hand;       /* a unit that does not */
  uint16_t port;      /* that others connect to; 0: nobody does */
  uint16_t peer_port; /* that its own kind connects to; 0: the same */
  /* It runs from now on. */
  void (*started)(struct sim_process *process);
  /* It has just died, killed or with its host; `power`: what was not on the disk is gone too. */
  void (*died)(struct sim_process *process, bool power);
};

/* Made by a model with sim_process_add(), lives in the model's own struct as long as the world. */
struct sim_process {
  const struct sim_process_kind *kind;
  struct sim_world *world;
  void *owner; /* the model's */
  uint16_t host;
  bool running, frozen;
  uint64_t life;                  /* grows with each death */
  struct sim_event *held, **tail; /* due while frozen, in order */
  struct sim_process *next;       /* on the same host */
};

struct sim_host {
  bool on, frozen;
  struct sim_process *processes;
};

/* Packets that a link refuses, where they arrive; links.c. */
struct sim_refusal {
  struct link_rule rule; /* never established_only */
  char tag[33];
  struct sim_refusal *next; /* younger */
};

/* One direction between two hosts. */
struct sim_link {
  uint64_t latency_ns, jitter_ns; /* one way: latency + uniform [0, jitter) */
  double loss;                    /* of a packet; TCP sends it again */
  uint64_t bytes_per_s;           /* 0: no limit */
  bool cut;                       /* packets vanish */
  struct sim_refusal *refusals;   /* oldest first */
  uint64_t free_ns;               /* when the last byte under way has left, with a limit */
  uint64_t last_ns;               /* arrival of the last message: a link keeps the order */
  uint32_t lost;                  /* packets to be sent again; sim_world.lost has them */
};

struct sim_world {
  struct loop *loop;
  uint64_t seed;
  uint32_t host_count;
  struct sim_host hosts[HOSTS_MAX];
  struct sim_link *links; /* [from * host_count + to] */
  struct prng network;
  struct sim_event *free_events;
  struct sim_block *blocks; /* of events */
  struct sim_event **lost; /* packets to be sent again, by hash of the connection; NULL: none yet */
  bool out_of_memory;      /* an event could not be made: the run is not to be trusted */
  uint64_t events;         /* handled, for the benchmark */
  uint64_t sends;          /* messages sent so far: gives them an order */
};

/* All hosts on, without processes. `latency_ns` and `jitter_ns` for every link between different
 * hosts. STATUS_MEMORY. The loop outlives the world. */
int sim_world_init(struct sim_world *world, struct loop *loop, uint64_t seed, uint32_t host_count,
                   uint64_t latency_ns, uint64_t jitter_ns, struct error *err);
void sim_world_release(struct sim_world *world);

static inline uint64_t sim_now_ns(const struct sim_world *world) {
  return loop_now_ns(world->loop);
}

/* --- processes --- */

/* Not running yet. */
void sim_process_add(struct sim_world *world, struct sim_process *process,
                     const struct sim_process_kind *kind, uint16_t host, void *owner);
void sim_process_start(struct sim_process *process); /* running already, or host off: nothing */
void sim_process_kill(struct sim_process *process);  /* not running: nothing */
void sim_process_freeze(struct sim_process *process, bool frozen);

/* `call` runs for `process` in `delay_ns`, unless it dies before; later when it is frozen then. */
void sim_after(struct sim_process *process, uint64_t delay_ns, sim_call *call,
               const struct sim_args *args);

/* --- hosts --- */

/* Power off: every process dies, and nobody is told: no FIN, no RST. */
void sim_host_stop(struct sim_world *world, uint16_t host);
/* Power on: the units start. */
void sim_host_start(struct sim_world *world, uint16_t host);
/* All its processes; those that start while the host is frozen are frozen too. */
void sim_host_freeze(struct sim_world *world, uint16_t host, bool frozen);

/* --- network --- */

/* One message on a TCP connection that is open. It arrives after the link's latency, in order, and
 * runs `deliver` for `to`. Lost packets and a cut link or a dead host are met by sending again,
 * after 200 ms and twice as long each time up to 120 s, as long as `from` lives and is asked for
 * (`wanted`, NULL: always, gets the args on the sender's side). A process that has died or been
 * replaced since `to_life` makes the kernel answer with a reset: `broken` (NULL: nobody cares) then
 * runs for `from`. Same host: no latency, no loss. */
struct sim_message {
  struct sim_process *from, *to;
  uint64_t to_life; /* of `to` when the connection was opened */
  /* Which of several connections between the two: one waits for its own lost packets only. */
  uint64_t connection;
  uint32_t bytes; /* with headers; matters where bandwidth is limited */
  sim_call *deliver;
  sim_call *broken;
  bool (*wanted)(const struct sim_args *args);
  struct sim_args args;
};
void sim_send(const struct sim_message *message);

/* Opens a connection: SYN and SYN-ACK. `opened` runs for `from` when the kernel of `to` has
 * accepted it (a frozen process's kernel does), args->number3 replaced by the life of `to`;
 * `refused` when the host is up and nobody listens. A cut link or a dead host says nothing: SYN is
 * sent again after 1, 3, 7 ... s while `wanted`. */
struct sim_connect {
  struct sim_process *from, *to;
  sim_call *opened;
  sim_call *refused;
  bool (*wanted)(const struct sim_args *args);
  struct sim_args args;
};
void sim_connect(const struct sim_connect *connect);

/* Sets both directions between two hosts, or one. */
struct sim_link *sim_link(struct sim_world *world, uint16_t from, uint16_t to);

/* Who refuses a packet of a connection to `port`, or the one that opens it; NULL: nobody. */
const struct sim_refusal *sim_link_refusal(const struct sim_link *link, uint16_t port,
                                           bool opening);
/* The port of a connection between the two, whoever opens it; 0: not known. */
uint16_t sim_connection_port(const struct sim_process *one, const struct sim_process *other);
/* Whether connections to `port` that are there get packets through; losses not counted. */
bool sim_link_is_open(struct sim_world *world, uint16_t from, uint16_t to, uint16_t port);
/* Forgets the refusals of `tag`; NULL: all of them. */
void sim_link_mend_all(struct sim_link *link, const char *tag);

#endif
