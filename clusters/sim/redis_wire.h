/* Connections between simulated processes: opened by one, accepted by the other, each end closed by
 * its own side; what is sent arrives in order or the connection breaks. sim/world.h has the network
 * below it. Memory of a connection lives as long as the service; a message that comes late is told
 * by the connection's number, which is never used twice. */
#ifndef GAMEDAY_CLUSTERS_SIM_REDIS_WIRE_H
#define GAMEDAY_CLUSTERS_SIM_REDIS_WIRE_H

#include "base/arena.h"
#include "sim/world.h"

struct sim_wire;
struct sim_redis_told;

/* A program with the part of its host's kernel that goes on when it has died: what was written to a
 * socket is sent, and so is the end of its connections. */
struct sim_program {
  struct sim_process process;
  struct sim_process kernel; /* lives while the host has power */
};

/* What the one who opens is told. */
struct sim_wire_events {
  void (*opened)(struct sim_wire *wire);
  /* It is closed on this side already. */
  void (*lost)(struct sim_wire *wire, const char *why);
};

/* Bytes of one direction: [0, length), of which `ready` have arrived. */
struct sim_wire_bytes {
  char *data;
  size_t start, end, capacity, ready;
};

enum sim_wire_use { WIRE_NEW, WIRE_CLIENT, WIRE_SENTINEL, WIRE_REPLICA };

struct sim_wire {
  struct sim_wire *next, **place; /* of all that are in use; `next` of the free ones */
  struct sim_wires *wires;
  uint64_t number;
  struct sim_process *from;   /* who opened it */
  struct sim_process *sender; /* what sends for `from`: its kernel, or itself */
  struct sim_program *to;
  uint64_t from_life, to_life; /* to_life 0: not open yet */
  bool from_open, to_open;     /* the halves; `to` opens its own with the first message */
  uint64_t closed_ns;          /* when `from` closed it */
  uint64_t unsent_ns;          /* since when something was not acknowledged; 0: nothing is */
  uint64_t user_timeout_ns;    /* TCP_USER_TIMEOUT of `from`; 0: the system's */
  const struct sim_wire_events *events;
  void *owner; /* of `from` */
  /* The accepting side's: */
  uint8_t use;                                /* enum sim_wire_use */
  void *peer;                                 /* its state for this connection */
  void (*peer_closed)(struct sim_wire *wire); /* the other side has gone; its half is closed */
  struct sim_wire_bytes in, out;              /* of a client: to the server, from it */
  uint64_t answer_ns;                         /* when the last answer leaves */
  /* A client's: bytes have come; an answer has come that acknowledges a write. */
  void (*received)(struct sim_wire *wire, const char *bytes, size_t size);
  void (*told)(struct sim_wire *wire, const struct sim_redis_told *told);
};

struct sim_wires {
  struct sim_world *world;
  struct arena *arena;
  struct sim_wire *all, *free;
  uint64_t numbers;
};

void sim_wires_release(struct sim_wires *wires);

/* Begins to connect. NULL: out of memory, noted in the world. */
struct sim_wire *sim_wire_open(struct sim_wires *wires, struct sim_process *from,
                               struct sim_process *sender, struct sim_program *to,
                               const struct sim_wire_events *events, void *owner);
/* `from` sends: `deliver` runs for the program, with args->pointer the wire and args->number its
 * number; the other three are the caller's. Only when open. */
void sim_wire_tell(struct sim_wire *wire, sim_call *deliver, const struct sim_args *args,
                   uint32_t bytes);
/* The program sends to `from`. */
void sim_wire_answer(struct sim_wire *wire, sim_call *deliver, const struct sim_args *args,
                     uint32_t bytes);
/* `from` closes its half: the program is told. NULL is fine. */
void sim_wire_close(struct sim_wire *wire);
/* The program closes its half: `from` is told. */
void sim_wire_end(struct sim_wire *wire);
/* A program has died: its kernel tells all its peers, unless the power is gone. */
void sim_wires_died(struct sim_wires *wires, struct sim_program *program, bool power);

/* The wire of a message for the program, NULL: its half is closed; opens it with the first one. */
struct sim_wire *sim_wire_at_program(const struct sim_args *args);
/* The wire of a message for `from`; NULL: closed. */
struct sim_wire *sim_wire_at_opener(const struct sim_args *args);

/* False: out of memory, noted in the world. */
bool sim_wire_put(struct sim_wire *wire, struct sim_wire_bytes *bytes, const char *data,
                  size_t size);

#endif
