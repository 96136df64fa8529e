/* What world.c and network.c share: events, and packets as a kind of them. */
#ifndef GAMEDAY_CLUSTERS_SIM_WORLD_INTERNAL_H
#define GAMEDAY_CLUSTERS_SIM_WORLD_INTERNAL_H

#include "sim/world.h"

enum sim_event_kind {
  SIM_EVENT_CALL,    /* for `process`, when it is due */
  SIM_EVENT_PACKET,  /* reaches the host of `peer`, or is sent again */
  SIM_EVENT_CONNECT, /* the same for a SYN */
};
struct sim_event {
  struct timer timer;
  struct sim_process *process; /* CALL: whose it is; else the sender */
  uint64_t life;               /* of `process` when the event was made */
  struct sim_event *next;      /* free, or held by a frozen process */
  sim_call *call;              /* CALL; PACKET: deliver; CONNECT: opened */
  sim_call *broken;            /* PACKET: broken; CONNECT: refused */
  bool (*wanted)(const struct sim_args *args);
  struct sim_process *peer;
  uint64_t peer_life, retry_ns;
  uint64_t connection; /* PACKET: as in sim_message */
  uint64_t order;      /* PACKET: in which it was sent, among all */
  uint32_t bytes;
  uint8_t kind;
  bool lost; /* it never arrives, and is sent again when the timer fires */
  /* Of a lost packet: the next one in its place of sim_world.lost, and who points to this one. */
  struct sim_event *later, **place;
  struct sim_args args;
};

/* NULL: out of memory, noted in the world. */
struct sim_event *sim_event_take(struct sim_process *process);
void sim_event_give(struct sim_event *event);
void sim_event_arm(struct sim_event *event, uint64_t deadline_ns);
/* Runs it, holds it or drops it; it belongs to the process from here on. */
void sim_event_hand_over(struct sim_event *event);
void sim_event_run(struct sim_event *event);
void sim_packet_arrived(struct sim_event *event);

#endif
