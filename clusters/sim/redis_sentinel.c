/* The life of a simulated Sentinel: its timer, its connections, and whom it takes for down
 * (S_DOWN), as in sentinel.c: sentinelHandleRedisInstance(), sentinelReconnectInstance(),
 * sentinelSendPeriodicCommands(), sentinelCheckSubjectivelyDown(), sentinelCheckTiltCondition(). */
#include "sim/redis_sentinel.h"

#include <stdio.h>

void sentinel_changed(struct sim_sentinel *sentinel) {
  struct sim_redis_cluster *cluster = sentinel->cluster;
  if (cluster->changed) cluster->changed(cluster->changed_data);
}

/* --- connections ----------------------------------------------------------------------------- */

static void opened(struct sim_wire *wire) {
  struct sentinel_link *link = wire->owner;
  link->open = true;
  /* The ping that was sent when the connection was begun. */
  talk_ping(link);
}

static void lost(struct sim_wire *wire, const char *why) {
  struct sentinel_link *link = wire->owner;
  (void)why;
  if (link->wire != wire) return;
  link->wire = NULL;
  link->open = false;
}

static void close_link(struct sentinel_link *link) {
  struct sim_wire *wire = link->wire;
  link->wire = NULL;
  link->open = false;
  sim_wire_close(wire);
}

void sentinel_send_ping(struct sentinel_link *link) {
  uint64_t now_ns = sentinel_now_ns(link->sentinel);
  link->last_ping_ns = now_ns;
  if (link->act_ping_ns == 0) link->act_ping_ns = now_ns;
  if (link->open) talk_ping(link);
}

static void reconnect(struct sentinel_link *link) {
  static const struct sim_wire_events events = {.opened = opened, .lost = lost};
  struct sim_sentinel *sentinel = link->sentinel;
  struct sim_redis_cluster *cluster = sentinel->cluster;
  if (link->wire || sentinel_since(sentinel, link->reconnect_ns) < SENTINEL_PING_NS) return;
  uint64_t now_ns = sentinel_now_ns(sentinel);
  link->reconnect_ns = link->connect_ns = now_ns;
  link->pending = 0;
  link->open = false;
  link->wire = sim_wire_open(&cluster->wires, &sentinel->program.process, &sentinel->program.kernel,
                             link->peer ? &cluster->sentinels[link->index].program
                                        : &cluster->servers[link->index].program,
                             &events, link);
  sentinel_send_ping(link);
}

static uint64_t down_after_ns(const struct sim_sentinel *sentinel) {
  return sentinel->cluster->config->down_after_ns;
}

/* --- periodic commands ----------------------------------------------------------------------- */

static void send_info(struct sim_sentinel *sentinel, struct sentinel_view *view) {
  bool slave = view->link.index != sentinel->belief.master;
  bool closely = sentinel->o_down || sentinel->failover != FAILOVER_NONE || view->link_down_ns != 0;
  uint64_t period_ns = slave && closely ? NS_PER_S : SENTINEL_INFO_NS;
  if (view->info_ns == 0 || sentinel_since(sentinel, view->info_ns) > period_ns) talk_info(view);
}

static void send_periodic(struct sim_sentinel *sentinel, struct sentinel_link *link,
                          struct sentinel_view *view) {
  uint64_t period_ns = down_after_ns(sentinel);
  if (!link->wire || link->pending >= SENTINEL_MAX_PENDING) return;
  if (period_ns > SENTINEL_PING_NS) period_ns = SENTINEL_PING_NS;
  if (view && link->open) send_info(sentinel, view);
  if (sentinel_since(sentinel, link->last_pong_ns) > period_ns &&
      sentinel_since(sentinel, link->last_ping_ns) > period_ns / 2)
    sentinel_send_ping(link);
  if (link->open && sentinel_since(sentinel, link->last_pub_ns) > SENTINEL_PUBLISH_NS)
    talk_hello(link);
}

static void check_down(struct sim_sentinel *sentinel, struct sentinel_link *link,
                       const struct sentinel_view *view) {
  uint64_t elapsed_ns = 0, after_ns = down_after_ns(sentinel);
  if (link->act_ping_ns)
    elapsed_ns = sentinel_since(sentinel, link->act_ping_ns);
  else if (!link->wire)
    elapsed_ns = sentinel_since(sentinel, link->last_avail_ns);
  if (link->wire && sentinel_since(sentinel, link->connect_ns) > SENTINEL_MIN_LINK_RECONNECT_NS &&
      link->act_ping_ns && sentinel_since(sentinel, link->act_ping_ns) > after_ns / 2 &&
      sentinel_since(sentinel, link->last_pong_ns) > after_ns / 2)
    close_link(link);
  bool misplaced = view && link->index == sentinel->belief.master && !view->reported &&
                   sentinel_since(sentinel, view->role_ns) > after_ns + 2 * SENTINEL_INFO_NS;
  bool down = elapsed_ns > after_ns || misplaced;
  if (down == link->s_down) return;
  link->s_down = down;
  if (down) link->s_down_since_ns = sentinel_now_ns(sentinel);
  sentinel_changed(sentinel);
}

/* --- the timer ------------------------------------------------------------------------------- */

/* A turn that comes too late: the Sentinel itself was stopped, and trusts nothing it sees for a
 * while. */
static void check_tilt(struct sim_sentinel *sentinel) {
  uint64_t now_ns = sentinel_now_ns(sentinel);
  if (sentinel->previous_ns > 0 && now_ns - sentinel->previous_ns > SENTINEL_TILT_TRIGGER_NS) {
    sentinel->tilt = true;
    sentinel->tilt_ns = now_ns;
  }
  sentinel->previous_ns = now_ns;
}

static bool still_tilted(struct sim_sentinel *sentinel) {
  if (sentinel->tilt && sentinel_since(sentinel, sentinel->tilt_ns) >= SENTINEL_TILT_NS)
    sentinel->tilt = false;
  return sentinel->tilt;
}

static void handle(struct sim_sentinel *sentinel, struct sentinel_link *link,
                   struct sentinel_view *view) {
  reconnect(link);
  send_periodic(sentinel, link, view);
  if (!still_tilted(sentinel)) check_down(sentinel, link, view);
}

/* The frequency is changed all the time, so that Sentinels do not go in step. */
static void turn(struct sim_process *self, const struct sim_args *args) {
  struct sim_sentinel *sentinel = self->owner;
  const struct sim_redis_cluster *cluster = sentinel->cluster;
  (void)args;
  sim_after(self, NS_PER_S / (10 + prng_below(&sentinel->prng, 10)), turn, NULL);
  check_tilt(sentinel);
  handle(sentinel, &sentinel_master(sentinel)->link, sentinel_master(sentinel));
  if (!sentinel->tilt) failover_turn(sentinel);
  for (uint32_t i = 0; i < cluster->count; i++)
    if (i != sentinel->belief.master && sentinel->views[i].known)
      handle(sentinel, &sentinel->views[i].link, &sentinel->views[i]);
  for (uint32_t i = 0; i < cluster->sentinel_count; i++)
    if (i != sentinel->index) handle(sentinel, &sentinel->peers[i].link, NULL);
}

/* --- life ------------------------------------------------------------------------------------ */

static void reset_view(struct sim_sentinel *sentinel, uint32_t member) {
  struct sentinel_view *view = &sentinel->views[member];
  uint64_t now_ns = sentinel_now_ns(sentinel);
  struct sentinel_link link = view->link;
  link.s_down = false;
  link.s_down_since_ns = 0;
  link.act_ping_ns = link.last_pong_ns = link.last_avail_ns = now_ns;
  *view = (struct sentinel_view){.link = link,
                                 .known = true,
                                 .reported = member == sentinel->belief.master,
                                 .from = MEMBER_NONE,
                                 .role_ns = now_ns,
                                 .conf_ns = now_ns};
}

void sentinel_switch_master(struct sim_sentinel *sentinel, uint32_t master) {
  sentinel->belief.master = master;
  sentinel->o_down = false;
  sentinel->failover = FAILOVER_NONE;
  sentinel->failover_start_ns = sentinel->failover_change_ns = 0;
  sentinel->promoted = MEMBER_NONE;
  sentinel->belief.leader = SENTINEL_NONE;
  /* Connections to servers are made anew: each is another instance now. */
  for (uint32_t i = 0; i < sentinel->cluster->count; i++) {
    close_link(&sentinel->views[i].link);
    sentinel->views[i].link.reconnect_ns = 0;
    reset_view(sentinel, i);
  }
  sentinel_changed(sentinel);
}

static void reset(struct sim_sentinel *sentinel) {
  struct sim_redis_cluster *cluster = sentinel->cluster;
  uint64_t now_ns = sentinel_now_ns(sentinel);
  sentinel->o_down = sentinel->tilt = sentinel->forced = false;
  sentinel->failover = FAILOVER_NONE;
  sentinel->failover_start_ns = sentinel->failover_change_ns = sentinel->previous_ns = 0;
  sentinel->promoted = MEMBER_NONE;
  for (uint32_t i = 0; i < cluster->count; i++) {
    sentinel->views[i].link = (struct sentinel_link){.sentinel = sentinel, .index = i};
    reset_view(sentinel, i);
  }
  for (uint32_t i = 0; i < cluster->sentinel_count; i++)
    sentinel->peers[i] = (struct sentinel_peer){.link = {.sentinel = sentinel,
                                                         .peer = true,
                                                         .index = i,
                                                         .act_ping_ns = now_ns,
                                                         .last_avail_ns = now_ns,
                                                         .last_pong_ns = now_ns},
                                                .leader = SENTINEL_NONE};
}

static void started(struct sim_process *process) {
  struct sim_sentinel *sentinel = process->owner;
  reset(sentinel);
  /* Those that are there from the beginning were started at some time or other: pings that go every
   * second do not go together. */
  uint64_t delay_ns = sentinel->cluster->starting ? prng_below(&sentinel->prng, SENTINEL_PING_NS)
                                                  : sentinel->cluster->costs.start_ns;
  sim_after(process, delay_ns + prng_below(&sentinel->prng, 100 * NS_PER_MS), turn, NULL);
  sentinel_changed(sentinel);
}

static void died(struct sim_process *process, bool power) {
  struct sim_sentinel *sentinel = process->owner;
  sim_wires_died(&sentinel->cluster->wires, &sentinel->program, power);
  for (uint32_t i = 0; i < sentinel->cluster->count; i++) sentinel->views[i].link.wire = NULL;
  for (uint32_t i = 0; i < sentinel->cluster->sentinel_count; i++)
    sentinel->peers[i].link.wire = NULL;
  sentinel_changed(sentinel);
}

static const struct sim_process_kind sentinel_kind = {.name = "redis-sentinel",
                                                      .unit = true,
                                                      .port = REDIS_SENTINEL_PORT,
                                                      .started = started,
                                                      .died = died};
static const struct sim_process_kind kernel_kind = {
    .name = "kernel", .unit = true, .port = REDIS_SENTINEL_PORT};

struct sim_program *sentinel_program(struct sim_redis_cluster *cluster, uint32_t index) {
  return &cluster->sentinels[index].program;
}

int sentinels_new(struct sim_redis_cluster *cluster, struct error *err) {
  cluster->sentinel_count = redis_sentinel_count(cluster->config);
  if (cluster->sentinel_count == 0) return 0;
  cluster->sentinels =
      arena_calloc(&cluster->arena, cluster->sentinel_count, sizeof *cluster->sentinels);
  if (!cluster->sentinels) return error_set(err, STATUS_MEMORY, "out of memory for Sentinels");
  for (uint32_t i = 0; i < cluster->sentinel_count; i++) {
    struct sim_sentinel *sentinel = &cluster->sentinels[i];
    char stream[32];
    snprintf(stream, sizeof stream, "sim/sentinel/%u", (unsigned)i);
    prng_init(&sentinel->prng, cluster->world->seed, stream);
    sentinel->cluster = cluster;
    sentinel->index = i;
    sentinel->belief = (struct sentinel_belief){.leader = SENTINEL_NONE};
    uint16_t host = cluster->members[i]->index;
    sim_process_add(cluster->world, &sentinel->program.kernel, &kernel_kind, host, sentinel);
    sim_process_add(cluster->world, &sentinel->program.process, &sentinel_kind, host, sentinel);
  }
  return 0;
}

void sentinels_bootstrap(struct sim_redis_cluster *cluster) {
  for (uint32_t i = 0; i < cluster->sentinel_count; i++) {
    sim_process_start(&cluster->sentinels[i].program.kernel);
    sim_process_start(&cluster->sentinels[i].program.process);
  }
}

void sim_sentinel_word(struct sim_redis_cluster *cluster, uint32_t index,
                       struct sim_sentinel_word *ret) {
  struct sim_sentinel *sentinel = &cluster->sentinels[index];
  const struct sim_process *process = &sentinel->program.process;
  *ret = (struct sim_sentinel_word){
      .answers = process->running && !process->frozen,
      .failing = sentinel_master(sentinel)->link.s_down || sentinel->failover != FAILOVER_NONE,
      .odown = sentinel->o_down,
      .primary = sentinel->belief.master};
}
