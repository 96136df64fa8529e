/* Hosts, processes and their events. */
#include "sim/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/world_internal.h"

#define BLOCK_EVENTS 1024

struct sim_block {
  struct sim_block *next;
  struct sim_event events[BLOCK_EVENTS];
};

/* --- events ---------------------------------------------------------------------------------- */

static void event_fired(struct timer *timer, uint64_t now_ns) {
  (void)now_ns;
  sim_event_run(timer->owner);
}

static bool add_block(struct sim_world *world) {
  struct sim_block *block = calloc(1, sizeof *block);
  if (!block) return false;
  /* Others on this loop count on the room that they reserved. */
  if (loop_reserve_timers(world->loop, BLOCK_EVENTS, NULL) < 0) {
    free(block);
    return false;
  }
  block->next = world->blocks;
  world->blocks = block;
  for (uint32_t i = BLOCK_EVENTS; i-- > 0;) {
    struct sim_event *event = &block->events[i];
    event->timer = (struct timer){.fire = event_fired, .owner = event};
    event->next = world->free_events;
    world->free_events = event;
  }
  return true;
}

struct sim_event *sim_event_take(struct sim_process *process) {
  struct sim_world *world = process->world;
  if (!world->free_events && !add_block(world)) {
    world->out_of_memory = true;
    return NULL;
  }
  struct sim_event *event = world->free_events;
  world->free_events = event->next;
  event->next = NULL;
  event->process = process;
  event->life = process->life;
  event->kind = SIM_EVENT_CALL;
  return event;
}

void sim_event_give(struct sim_event *event) {
  struct sim_world *world = event->process->world;
  event->next = world->free_events;
  world->free_events = event;
}

void sim_event_arm(struct sim_event *event, uint64_t deadline_ns) {
  struct sim_world *world = event->process->world;
  if (loop_timer_arm(world->loop, &event->timer, deadline_ns, NULL) == 0) return;
  world->out_of_memory = true;
  sim_event_give(event);
}

/* The process takes it now, or at its thaw, or never. */
void sim_event_hand_over(struct sim_event *event) {
  struct sim_process *process = event->process;
  if (!process->running || process->life != event->life) {
    sim_event_give(event);
  } else if (process->frozen) {
    *process->tail = event;
    process->tail = &event->next;
  } else {
    sim_call *call = event->call;
    struct sim_args args = event->args;
    process->world->events++;
    sim_event_give(event);
    call(process, &args);
  }
}

void sim_event_run(struct sim_event *event) {
  if (event->kind == SIM_EVENT_CALL)
    sim_event_hand_over(event);
  else
    sim_packet_arrived(event);
}

void sim_after(struct sim_process *process, uint64_t delay_ns, sim_call *call,
               const struct sim_args *args) {
  struct sim_event *event = sim_event_take(process);
  if (!event) return;
  event->call = call;
  event->args = args ? *args : (struct sim_args){.pointer = NULL};
  sim_event_arm(event, sim_now_ns(process->world) + delay_ns);
}

/* --- processes ------------------------------------------------------------------------------- */

static void drop_held(struct sim_process *process) {
  struct sim_event *event = process->held;
  process->held = NULL;
  process->tail = &process->held;
  while (event) {
    struct sim_event *next = event->next;
    sim_event_give(event);
    event = next;
  }
}

void sim_process_add(struct sim_world *world, struct sim_process *process,
                     const struct sim_process_kind *kind, uint16_t host, void *owner) {
  assert(host < world->host_count);
  *process =
      (struct sim_process){.kind = kind, .world = world, .owner = owner, .host = host, .life = 1};
  process->tail = &process->held;
  struct sim_process **last = &world->hosts[host].processes;
  while (*last) last = &(*last)->next;
  *last = process;
}

void sim_process_start(struct sim_process *process) {
  const struct sim_host *host = &process->world->hosts[process->host];
  if (process->running || !host->on) return;
  process->running = true;
  process->frozen = host->frozen;
  if (process->kind->started) process->kind->started(process);
}

static void die(struct sim_process *process, bool power) {
  if (!process->running) return;
  process->running = process->frozen = false;
  process->life++;
  drop_held(process);
  if (process->kind->died) process->kind->died(process, power);
}

void sim_process_kill(struct sim_process *process) {
  die(process, false);
}

/* The thaw: everything that was due meanwhile, in its order, now. */
static void run_held(struct sim_process *process) {
  while (process->held && !process->frozen) {
    struct sim_event *event = process->held;
    process->held = event->next;
    if (!process->held) process->tail = &process->held;
    event->next = NULL;
    sim_event_hand_over(event);
  }
}

void sim_process_freeze(struct sim_process *process, bool frozen) {
  if (!process->running || process->frozen == frozen) return;
  process->frozen = frozen;
  if (!frozen) run_held(process);
}

/* --- hosts ----------------------------------------------------------------------------------- */

void sim_host_stop(struct sim_world *world, uint16_t index) {
  struct sim_host *host = &world->hosts[index];
  if (!host->on) return;
  host->on = host->frozen = false;
  for (struct sim_process *p = host->processes; p; p = p->next) die(p, true);
}

void sim_host_start(struct sim_world *world, uint16_t index) {
  struct sim_host *host = &world->hosts[index];
  if (host->on) return;
  host->on = true;
  for (struct sim_process *p = host->processes; p; p = p->next)
    if (p->kind->unit && !p->kind->by_hand) sim_process_start(p);
}

void sim_host_freeze(struct sim_world *world, uint16_t index, bool frozen) {
  struct sim_host *host = &world->hosts[index];
  if (!host->on) return;
  host->frozen = frozen;
  for (struct sim_process *p = host->processes; p; p = p->next) sim_process_freeze(p, frozen);
}

/* --- the world ------------------------------------------------------------------------------- */

int sim_world_init(struct sim_world *world, struct loop *loop, uint64_t seed, uint32_t host_count,
                   uint64_t latency_ns, uint64_t jitter_ns, struct error *err) {
  assert(host_count <= HOSTS_MAX);
  *world = (struct sim_world){.loop = loop, .seed = seed, .host_count = host_count};
  prng_init(&world->network, seed, "sim/network");
  world->links = calloc((size_t)host_count * host_count, sizeof *world->links);
  if (!world->links) return error_set(err, STATUS_MEMORY, "out of memory for a network");
  for (uint32_t from = 0; from < host_count; from++) {
    world->hosts[from].on = true;
    for (uint32_t to = 0; to < host_count; to++)
      if (from != to)
        *sim_link(world, (uint16_t)from, (uint16_t)to) =
            (struct sim_link){.latency_ns = latency_ns, .jitter_ns = jitter_ns};
  }
  return 0;
}

void sim_world_release(struct sim_world *world) {
  while (world->blocks) {
    struct sim_block *block = world->blocks;
    world->blocks = block->next;
    for (uint32_t i = 0; i < BLOCK_EVENTS; i++)
      loop_timer_cancel(world->loop, &block->events[i].timer);
    free(block);
  }
  size_t link_count = world->links ? (size_t)world->host_count * world->host_count : 0;
  for (size_t i = 0; i < link_count; i++) sim_link_mend_all(&world->links[i], NULL);
  free(world->links);
  free(world->lost);
  world->links = NULL;
  world->lost = NULL;
  world->free_events = NULL;
}

struct sim_link *sim_link(struct sim_world *world, uint16_t from, uint16_t to) {
  assert(from < world->host_count && to < world->host_count);
  return &world->links[(size_t)from * world->host_count + to];
}
