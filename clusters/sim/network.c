/* TCP as far as it matters for failover: what is sent arrives later, in order, or is sent again
 * until somebody gives up; a dead process's kernel answers with a reset, a dead host not at all. */
#include <assert.h>
#include <stdlib.h>

#include "sim/world_internal.h"

/* Linux: TCP_RTO_MIN, TCP_TIMEOUT_INIT, TCP_RTO_MAX (include/net/tcp.h). */
#define RESEND_NS (200 * NS_PER_MS)
#define SYN_RESEND_NS NS_PER_S
#define RESEND_MAX_NS (120 * NS_PER_S)
#define SYN_BYTES 60
#define LOST_BITS 16 /* places for lost packets: a power of two */

/* When what leaves now arrives. */
static uint64_t arrival_ns(struct sim_world *world, struct sim_link *link, uint32_t bytes) {
  uint64_t leaves_ns = sim_now_ns(world);
  if (link->bytes_per_s > 0) {
    if (link->free_ns > leaves_ns) leaves_ns = link->free_ns;
    leaves_ns += bytes * NS_PER_S / link->bytes_per_s;
    link->free_ns = leaves_ns;
  }
  uint64_t arrives_ns = leaves_ns + link->latency_ns;
  if (link->jitter_ns > 0) arrives_ns += prng_below(&world->network, link->jitter_ns);
  if (arrives_ns < link->last_ns) arrives_ns = link->last_ns;
  link->last_ns = arrives_ns;
  return arrives_ns;
}

static bool is_lost(struct sim_world *world, const struct sim_link *link) {
  return link->cut || (link->loss > 0 && prng_unit(&world->network) < link->loss);
}

static struct sim_link *link_of(const struct sim_event *event) {
  return sim_link(event->process->world, event->process->host, event->peer->host);
}

/* Where lost packets of a connection are kept: of many clients one link has very many. */
static struct sim_event **place_of(const struct sim_event *event) {
  uint64_t key = event->connection << 20 ^ (uint64_t)event->process->host << 10 ^ event->peer->host;
  return &event->process->world->lost[(key * UINT64_C(0x9E3779B97F4A7C15)) >> (64 - LOST_BITS)];
}

static bool remember(struct sim_event *event) {
  struct sim_world *world = event->process->world;
  if (!world->lost) world->lost = calloc((size_t)1 << LOST_BITS, sizeof(struct sim_event *));
  if (!world->lost) {
    world->out_of_memory = true;
    return false;
  }
  event->place = place_of(event);
  event->later = *event->place;
  if (event->later) event->later->place = &event->later;
  *event->place = event;
  return true;
}

static void lose(struct sim_event *event, uint64_t again_ns) {
  event->place = NULL;
  if (event->kind == SIM_EVENT_PACKET && remember(event)) link_of(event)->lost++;
  event->lost = true;
  sim_event_arm(event, again_ns);
}

static void found_again(struct sim_event *event) {
  event->lost = false;
  if (!event->place) return;
  link_of(event)->lost--;
  *event->place = event->later;
  if (event->later) event->later->place = event->place;
}

/* An earlier packet of the same connection that is still on its way: TCP delivers in order. */
static const struct sim_event *earlier_lost(const struct sim_event *event) {
  const struct sim_event *last = NULL;
  if (event->kind == SIM_EVENT_CONNECT) return NULL;
  for (const struct sim_event *e = *place_of(event); e; e = e->later)
    if (e->process == event->process && e->peer == event->peer &&
        e->connection == event->connection && e->order < event->order &&
        (!last || e->order > last->order))
      last = e;
  return last;
}

/* Sends it, for the first time or again. */
static void put_on_link(struct sim_event *event) {
  struct sim_world *world = event->process->world;
  struct sim_link *link = link_of(event);
  const struct sim_event *earlier = link->lost > 0 ? earlier_lost(event) : NULL;
  if (earlier)
    lose(event, earlier->timer.deadline_ns);
  else if (is_lost(world, link))
    lose(event, sim_now_ns(world) + event->retry_ns);
  else
    sim_event_arm(event, arrival_ns(world, link, event->bytes));
}

/* Nobody has acknowledged it: what a kernel does then, while the sender's lives. */
static void send_again(struct sim_event *event) {
  struct sim_process *from = event->process;
  bool alive = from->running && from->life == event->life;
  found_again(event);
  if (!alive || (event->wanted && !event->wanted(&event->args))) {
    sim_event_give(event);
    return;
  }
  event->retry_ns *= 2;
  if (event->retry_ns > RESEND_MAX_NS) event->retry_ns = RESEND_MAX_NS;
  put_on_link(event);
}

/* Whether a rule of a cut link refuses the answer. To say at once that a packet is refused is what
 * the rules that do not drop are there for: they let it through. */
static bool is_refused(const struct sim_event *event, const struct sim_link *back, sim_call *call) {
  bool opening = event->kind == SIM_EVENT_CONNECT && call == event->call;
  uint16_t port = sim_connection_port(event->process, event->peer);
  const struct sim_refusal *refusal = sim_link_refusal(back, port, opening);
  return refusal && (refusal->rule.action == LINK_DROP || call != event->broken);
}

/* The answer of the other end's kernel travels back and becomes a call of the sender's. An answer
 * that is lost comes when the question is asked again. */
static void answer(struct sim_event *event, sim_call *call) {
  struct sim_process *from = event->process;
  struct sim_world *world = from->world;
  struct sim_link *back = sim_link(world, event->peer->host, from->host);
  if (!call) {
    sim_event_give(event);
    return;
  }
  if (is_refused(event, back, call) || is_lost(world, back)) {
    lose(event, sim_now_ns(world) + event->retry_ns);
    return;
  }
  event->kind = SIM_EVENT_CALL;
  event->call = call;
  sim_event_arm(event, arrival_ns(world, back, SYN_BYTES));
}

static void deliver(struct sim_event *event) {
  struct sim_process *to = event->peer;
  if (!to->running || to->life != event->peer_life) {
    answer(event, event->broken);
    return;
  }
  /* From here on it is the receiver's: the sender may die, its bytes have arrived. */
  event->process = to;
  event->life = event->peer_life;
  event->kind = SIM_EVENT_CALL;
  sim_event_hand_over(event);
}

static void accept_or_refuse(struct sim_event *event) {
  struct sim_process *to = event->peer;
  event->args.number3 = to->life;
  answer(event, to->running ? event->call : event->broken);
}

/* ICMP ends an attempt to connect and is nothing but a hint to a connection that is there, which
 * goes on sending (RFC 5461); a reset ends both, where the sender has a way to learn of it. */
static void refused(struct sim_event *event, enum link_action action) {
  bool told = action == LINK_RESET || (action == LINK_REJECT && event->kind == SIM_EVENT_CONNECT);
  if (told && event->broken)
    answer(event, event->broken);
  else
    lose(event, sim_now_ns(event->process->world) + event->retry_ns);
}

static const struct sim_refusal *refusal_of(const struct sim_event *event) {
  const struct sim_link *link = link_of(event);
  if (!link->refusals) return NULL;
  return sim_link_refusal(link, sim_connection_port(event->process, event->peer),
                          event->kind == SIM_EVENT_CONNECT);
}

void sim_packet_arrived(struct sim_event *event) {
  const struct sim_world *world = event->process->world;
  const struct sim_refusal *refusal = event->lost ? NULL : refusal_of(event);
  if (event->lost) {
    send_again(event);
  } else if (!world->hosts[event->peer->host].on) {
    /* Nobody there: the time until it is sent again counts from when it was sent, which is nearly
     * now. */
    lose(event, sim_now_ns(world) + event->retry_ns);
  } else if (refusal) {
    refused(event, refusal->rule.action);
  } else if (event->kind == SIM_EVENT_CONNECT) {
    accept_or_refuse(event);
  } else {
    deliver(event);
  }
}

static struct sim_event *make(struct sim_process *from, struct sim_process *to) {
  assert(from->running); /* who is dead sends nothing */
  struct sim_event *event = sim_event_take(from);
  if (event) event->peer = to;
  return event;
}

void sim_send(const struct sim_message *message) {
  struct sim_event *event = make(message->from, message->to);
  if (!event) return;
  event->kind = SIM_EVENT_PACKET;
  event->call = message->deliver;
  event->broken = message->broken;
  event->wanted = message->wanted;
  event->peer_life = message->to_life;
  event->connection = message->connection;
  event->bytes = message->bytes;
  event->retry_ns = RESEND_NS;
  event->order = message->from->world->sends++;
  event->args = message->args;
  put_on_link(event);
}

void sim_connect(const struct sim_connect *connect) {
  struct sim_event *event = make(connect->from, connect->to);
  if (!event) return;
  event->kind = SIM_EVENT_CONNECT;
  event->call = connect->opened;
  event->broken = connect->refused;
  event->wanted = connect->wanted;
  event->bytes = SYN_BYTES;
  event->retry_ns = SYN_RESEND_NS;
  event->args = connect->args;
  put_on_link(event);
}
