/* Connections between simulated processes. */
#include "sim/redis_wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define MESSAGE_BYTES 80
/* How long a kernel goes on sending for a connection that its program has closed
 * (tcp_orphan_retries: 8 doublings of 200 ms). */
#define ORPHAN_NS (102 * NS_PER_S)

void sim_wires_release(struct sim_wires *wires) {
  for (int i = 0; i < 2; i++)
    for (struct sim_wire *wire = i ? wires->all : wires->free; wire; wire = wire->next) {
      free(wire->in.data);
      free(wire->out.data);
    }
  wires->all = wires->free = NULL;
}

static struct sim_wire *take(struct sim_wires *wires) {
  struct sim_wire *wire = wires->free;
  if (wire) {
    wires->free = wire->next;
  } else {
    wire = arena_alloc(wires->arena, sizeof *wire);
    if (!wire) {
      wires->world->out_of_memory = true;
      return NULL;
    }
  }
  struct sim_wire_bytes in = wire->in, out = wire->out;
  in.start = in.end = in.ready = out.start = out.end = out.ready = 0;
  *wire = (struct sim_wire){.wires = wires, .number = ++wires->numbers, .in = in, .out = out};
  wire->next = wires->all;
  wire->place = &wires->all;
  if (wire->next) wire->next->place = &wire->next;
  wires->all = wire;
  return wire;
}

/* Both halves are closed: what still comes for it comes too late. */
static void give(struct sim_wire *wire) {
  if (wire->from_open || wire->to_open) return;
  *wire->place = wire->next;
  if (wire->next) wire->next->place = wire->place;
  wire->number = 0;
  wire->next = wire->wires->free;
  wire->wires->free = wire;
}

static struct sim_wire *wire_of(const struct sim_args *args) {
  struct sim_wire *wire = args->pointer;
  return wire->number == args->number ? wire : NULL;
}

struct sim_wire *sim_wire_at_opener(const struct sim_args *args) {
  struct sim_wire *wire = wire_of(args);
  return wire && wire->from_open ? wire : NULL;
}

struct sim_wire *sim_wire_at_program(const struct sim_args *args) {
  struct sim_wire *wire = wire_of(args);
  if (wire) wire->unsent_ns = 0;
  return wire && wire->to_open ? wire : NULL;
}

bool sim_wire_put(struct sim_wire *wire, struct sim_wire_bytes *bytes, const char *data,
                  size_t size) {
  if (bytes->start == bytes->end) bytes->start = bytes->end = 0;
  if (bytes->capacity - bytes->end < size && bytes->start > 0) {
    memmove(bytes->data, bytes->data + bytes->start, bytes->end - bytes->start);
    bytes->end -= bytes->start;
    bytes->start = 0;
  }
  if (bytes->capacity - bytes->end < size) {
    size_t capacity = bytes->capacity ? bytes->capacity : 512;
    while (capacity - bytes->end < size) capacity *= 2;
    char *larger = realloc(bytes->data, capacity);
    if (!larger) {
      wire->wires->world->out_of_memory = true;
      return false;
    }
    bytes->data = larger;
    bytes->capacity = capacity;
  }
  memcpy(bytes->data + bytes->end, data, size);
  bytes->end += size;
  return true;
}

/* --- its end --------------------------------------------------------------------------------- */

static void opener_lost(struct sim_wire *wire, const char *why) {
  wire->from_open = false;
  wire->events->lost(wire, why);
  give(wire);
}

static void program_lost(struct sim_wire *wire) {
  wire->to_open = false;
  if (wire->peer_closed) wire->peer_closed(wire);
  give(wire);
}

static void opener_broken(struct sim_process *self, const struct sim_args *args) {
  struct sim_wire *wire = wire_of(args);
  (void)self;
  if (!wire) return;
  if (wire->to_open) program_lost(wire); /* it has died meanwhile */
  wire = wire_of(args);
  if (wire && wire->from_open) opener_lost(wire, "the connection broke: Connection reset by peer");
}

static void program_broken(struct sim_process *self, const struct sim_args *args) {
  struct sim_wire *wire = sim_wire_at_program(args);
  (void)self;
  if (wire) program_lost(wire);
}

static void opener_ended(struct sim_process *self, const struct sim_args *args) {
  struct sim_wire *wire = sim_wire_at_opener(args);
  (void)self;
  if (wire) opener_lost(wire, "the server closed the connection");
}

static void program_ended(struct sim_process *self, const struct sim_args *args) {
  struct sim_wire *wire = sim_wire_at_program(args);
  (void)self;
  if (wire) program_lost(wire);
}

/* TCP_USER_TIMEOUT. `number2`: since when it waits. */
static void user_timeout(struct sim_process *self, const struct sim_args *args) {
  struct sim_wire *wire = sim_wire_at_opener(args);
  (void)self;
  if (!wire || wire->unsent_ns != args->number2) return;
  wire->closed_ns = 0; /* nor is what is left sent any more */
  opener_lost(wire, "the connection broke: Connection timed out");
}

static bool opener_wants(const struct sim_args *args) {
  struct sim_wire *wire = wire_of(args);
  if (!wire) return false;
  uint64_t now_ns = sim_now_ns(wire->wires->world);
  if (!wire->from_open) return now_ns < wire->closed_ns + ORPHAN_NS;
  if (wire->unsent_ns > 0 || wire->user_timeout_ns == 0) return true;
  wire->unsent_ns = now_ns;
  sim_after(wire->from, wire->user_timeout_ns, user_timeout,
            &(struct sim_args){.pointer = wire, .number = wire->number, .number2 = now_ns});
  return true;
}

static bool program_wants(const struct sim_args *args) {
  return wire_of(args) != NULL;
}

/* --- messages -------------------------------------------------------------------------------- */

static struct sim_args args_of(struct sim_wire *wire, const struct sim_args *args) {
  struct sim_args all = args ? *args : (struct sim_args){.pointer = NULL};
  all.pointer = wire;
  all.number = wire->number;
  return all;
}

void sim_wire_tell(struct sim_wire *wire, sim_call *deliver, const struct sim_args *args,
                   uint32_t bytes) {
  assert(wire->to_life != 0);
  if (!wire->sender->running) return;
  sim_send(&(struct sim_message){.from = wire->sender,
                                 .to = &wire->to->process,
                                 .to_life = wire->to_life,
                                 .connection = wire->number,
                                 .bytes = MESSAGE_BYTES + bytes,
                                 .deliver = deliver,
                                 .broken = opener_broken,
                                 .wanted = opener_wants,
                                 .args = args_of(wire, args)});
}

void sim_wire_answer(struct sim_wire *wire, sim_call *deliver, const struct sim_args *args,
                     uint32_t bytes) {
  if (!wire->to->kernel.running) return;
  sim_send(&(struct sim_message){.from = &wire->to->kernel,
                                 .to = wire->from,
                                 .to_life = wire->from_life,
                                 .connection = wire->number,
                                 .bytes = MESSAGE_BYTES + bytes,
                                 .deliver = deliver,
                                 .broken = program_broken,
                                 .wanted = program_wants,
                                 .args = args_of(wire, args)});
}

void sim_wire_close(struct sim_wire *wire) {
  if (!wire || !wire->from_open) return;
  wire->from_open = false;
  wire->closed_ns = sim_now_ns(wire->wires->world);
  if (wire->to_open) sim_wire_tell(wire, program_ended, NULL, 0);
  give(wire);
}

void sim_wire_end(struct sim_wire *wire) {
  if (!wire->to_open) return;
  wire->to_open = false;
  if (wire->from_open) sim_wire_answer(wire, opener_ended, NULL, 0);
  give(wire);
}

void sim_wires_died(struct sim_wires *wires, struct sim_program *program, bool power) {
  struct sim_wire *next;
  for (struct sim_wire *wire = wires->all; wire; wire = next) {
    next = wire->next;
    if (wire->from == &program->process && wire->from_open) {
      wire->from_open = false;
      wire->closed_ns = sim_now_ns(wires->world);
      if (wire->to_open && !power) sim_wire_tell(wire, program_ended, NULL, 0);
      give(wire);
    } else if (wire->to == program && wire->to_open) {
      wire->to_open = false;
      if (wire->from_open && !power) sim_wire_answer(wire, opener_ended, NULL, 0);
      give(wire);
    }
  }
}

/* --- connecting ------------------------------------------------------------------------------ */

static void on_opened(struct sim_process *self, const struct sim_args *args) {
  struct sim_wire *wire = sim_wire_at_opener(args);
  (void)self;
  if (!wire) return;
  wire->to_life = args->number3;
  /* The kernel has accepted it: should the program have died since, its reset tells. */
  wire->to_open = wire->to->process.running && wire->to->process.life == wire->to_life;
  wire->events->opened(wire);
}

static void on_refused(struct sim_process *self, const struct sim_args *args) {
  struct sim_wire *wire = sim_wire_at_opener(args);
  (void)self;
  if (wire) opener_lost(wire, "Connection refused");
}

static bool wants_connection(const struct sim_args *args) {
  return sim_wire_at_opener(args) != NULL;
}

struct sim_wire *sim_wire_open(struct sim_wires *wires, struct sim_process *from,
                               struct sim_process *sender, struct sim_program *to,
                               const struct sim_wire_events *events, void *owner) {
  struct sim_wire *wire = take(wires);
  if (!wire) return NULL;
  wire->from = from;
  wire->sender = sender;
  wire->to = to;
  wire->from_life = from->life;
  wire->from_open = true;
  wire->events = events;
  wire->owner = owner;
  sim_connect(&(struct sim_connect){.from = from,
                                    .to = &to->process,
                                    .opened = on_opened,
                                    .refused = on_refused,
                                    .wanted = wants_connection,
                                    .args = {.pointer = wire, .number = wire->number}});
  return wire;
}
