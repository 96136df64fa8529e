/* The life of a simulated server: start, crash recovery, shutdown, promotion, death; and what can
 * be seen of it. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim/postgres_internal.h"

#define CODE_ADMIN_SHUTDOWN "57P01"

static struct sim_postgres *owner_of(const struct sim_process *process) {
  return process->owner;
}

void server_changed(struct sim_postgres *server) {
  struct sim_postgres_cluster *cluster = server->cluster;
  if (cluster->changed) cluster->changed(cluster->changed_data, server->member);
}

static void tell_accepting(struct sim_postgres *server, bool accepting) {
  const struct sim_postgres_truth *truth = &server->cluster->truth;
  if (truth->accepting) truth->accepting(truth->data, server->member, accepting);
}

static void set_state(struct sim_postgres *server, enum sim_postgres_state state) {
  bool before = server->state == SIM_PG_PRIMARY, now = state == SIM_PG_PRIMARY;
  server->state = (uint8_t)state;
  server->was_primary = server->was_primary || now;
  if (before != now) tell_accepting(server, now);
  server_changed(server);
}

bool server_answers(const struct sim_postgres *server) {
  return server->state == SIM_PG_STANDBY || server->state == SIM_PG_PROMOTING ||
         server->state == SIM_PG_PRIMARY;
}

bool server_in_recovery(const struct sim_postgres *server) {
  return server->state == SIM_PG_STANDBY || server->state == SIM_PG_PROMOTING ||
         (server->state == SIM_PG_STOPPING && server->role == SIM_PG_AS_STANDBY);
}

/* --- start ----------------------------------------------------------------------------------- */

static uint32_t last_timeline(const struct sim_postgres *server) {
  const struct sim_entry *last = wal_last(server);
  return last ? last->record.timeline : 1;
}

static void replayed_so_far(struct sim_process *self, const struct sim_args *args) {
  (void)args;
  server_consistent(owner_of(self));
}

/* What has been rewound is consistent only from where its source was then (pg_rewind: the minimum
 * recovery point): until it has streamed and replayed that far it lets nobody in. */
void server_consistent(struct sim_postgres *server) {
  const struct sim_wal *wal = &server->wal;
  if (!server->inconsistent || !wal_has(server, server->consistent_at)) return;
  uint64_t least = server->consistent_at->index, now_ns = server_now_ns(server);
  wal_replay(server);
  if (wal->flushed < least) return;
  if (wal->applied < least) {
    uint64_t then_ns =
        server->replay_from_ns + (least - wal->applied) * server->cluster->costs.replay_ns;
    sim_after(&server->process, then_ns > now_ns ? then_ns - now_ns : 1, replayed_so_far, NULL);
    return;
  }
  server->inconsistent = false;
  server->consistent_at = NULL;
  set_state(server, SIM_PG_STANDBY);
}

static void become_standby(struct sim_postgres *server) {
  server->inconsistent = !wal_has(server, server->consistent_at);
  if (!server->inconsistent) {
    server->consistent_at = NULL;
    set_state(server, SIM_PG_STANDBY);
  }
  replicate_connect(server);
}

/* Everything that is in the log has been replayed, and was written back to the disk before
 * (SyncDataDirectory(), PerformWalRecovery()). */
static void start_done(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *server = owner_of(self);
  (void)args;
  if (server->empty) {
    sim_process_kill(self);
    return;
  }
  wal_settle(server);
  server->clean = false;
  server->timeline = last_timeline(server);
  if (server->role == SIM_PG_AS_STANDBY) {
    become_standby(server);
    return;
  }
  set_state(server, SIM_PG_PRIMARY);
  guilt_became_primary(server, false);
}

static void process_started(struct sim_process *process) {
  struct sim_postgres *server = owner_of(process);
  if (server->cluster->starting) return;
  const struct sim_postgres_costs *costs = &server->cluster->costs;
  uint64_t delay_ns = costs->start_ns + (server->clean ? 0 : costs->recovery_ns);
  server->checkpointed = false;
  set_state(server, SIM_PG_STARTING);
  sim_after(process, delay_ns, start_done, NULL);
}

void sim_postgres_start(struct sim_postgres *server, enum sim_postgres_role role,
                        uint32_t upstream) {
  if (server->state != SIM_PG_DOWN) return;
  server->role = (uint8_t)role;
  server->upstream = upstream;
  sim_process_start(&server->process);
}

/* --- the end of a process -------------------------------------------------------------------- */

/* A kill leaves what was written to files; a power cut what was flushed. */
static void process_died(struct sim_process *process, bool power) {
  struct sim_postgres *server = owner_of(process);
  server->clean = server->state == SIM_PG_STOPPING && server->checkpointed;
  server->flushing = server->inconsistent = false;
  server->cut++;
  server->stop_asked_ns = server->silent_until_ns = 0;
  backend_end_all(server, 0, power);
  replicate_died(server, power);
  if (power) wal_truncate(server, server->wal.flushed);
  set_state(server, SIM_PG_DOWN);
}

/* What a killed process had written, and nobody has flushed since, goes with the power. */
static void kernel_died(struct sim_process *process, bool power) {
  struct sim_postgres *server = owner_of(process);
  if (power && !server->clean) wal_truncate(server, server->wal.flushed);
}

static const struct sim_process_kind postmaster_kind = {
    .name = "postmaster", .port = POSTGRES_PORT, .started = process_started, .died = process_died};
static const struct sim_process_kind kernel_kind = {
    .name = "kernel", .unit = true, .port = POSTGRES_PORT, .died = kernel_died};

/* --- stop ------------------------------------------------------------------------------------ */

/* A walsender ends when its standby has confirmed everything (walsender.c: WalSndDone()); one that
 * cannot keeps the server waiting until wal_sender_timeout. */
void server_stop_step(struct sim_postgres *server) {
  if (server->state != SIM_PG_STOPPING || !server->checkpointed) return;
  if (replicate_all_confirmed(server)) sim_process_kill(&server->process);
}

static void checkpoint_done(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *server = owner_of(self);
  (void)args;
  server->wal.flushed = server->wal.received;
  server->flushing = false;
  server->cut++;
  server->checkpointed = true;
  replicate_push(server);
  server_stop_step(server);
}

void sim_postgres_stop(struct sim_postgres *server, bool immediate) {
  if (server->state == SIM_PG_DOWN || guilt_refuses_stop(server, immediate)) return;
  if (immediate || server->state == SIM_PG_STARTING) {
    sim_process_kill(&server->process);
    return;
  }
  if (server->state == SIM_PG_STOPPING) return;
  server->role = server->state == SIM_PG_PRIMARY ? SIM_PG_AS_PRIMARY : SIM_PG_AS_STANDBY;
  replicate_disconnect(server);
  wal_replay(server);
  set_state(server, SIM_PG_STOPPING);
  server->flushing = false; /* the checkpoint flushes all */
  server->cut++;
  backend_end_all(server, code_pack(CODE_ADMIN_SHUTDOWN), false);
  sim_after(&server->process, server->cluster->costs.stop_ns, checkpoint_done, NULL);
}

/* --- promotion ------------------------------------------------------------------------------- */

/* xlog.c: the next timeline after the highest known, and a record of it before anything else. */
static void promote_done(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *server = owner_of(self);
  struct sim_postgres_cluster *cluster = server->cluster;
  (void)args;
  if (server->state != SIM_PG_PROMOTING) return;
  server->timeline = last_timeline(server) + 1;
  struct sim_entry *entry = wal_entry_take(cluster, SIM_RECORD_TIMELINE, NULL);
  if (!entry || !wal_append(server, entry)) return;
  wal_settle(server);
  server->role = SIM_PG_AS_PRIMARY;
  if (cluster->truth.promoted)
    cluster->truth.promoted(cluster->truth.data, server->member, server->timeline);
  set_state(server, SIM_PG_PRIMARY);
  guilt_became_primary(server, true);
  replicate_push(server);
}

void sim_postgres_promote(struct sim_postgres *server) {
  if (server->state != SIM_PG_STANDBY) return;
  replicate_disconnect(server);
  set_state(server, SIM_PG_PROMOTING);
  sim_after(&server->process, server->cluster->costs.promote_ns, promote_done, NULL);
}

void sim_postgres_set_slots(struct sim_postgres *server, uint32_t mask) {
  server->slots = mask;
}

void sim_postgres_follow(struct sim_postgres *server, uint32_t upstream) {
  if (server->state == SIM_PG_STARTING && !server->inconsistent) server->upstream = upstream;
  if ((server->state != SIM_PG_STANDBY && !server->inconsistent) || server->upstream == upstream)
    return;
  server->upstream = upstream;
  replicate_disconnect(server);
  replicate_connect(server);
}

/* --- what can be seen ------------------------------------------------------------------------ */

enum sim_postgres_state sim_postgres_state(const struct sim_postgres *server) {
  return (enum sim_postgres_state)server->state;
}

struct sim_process *sim_postgres_process(struct sim_postgres *server) {
  return &server->process;
}

uint32_t sim_postgres_timeline(const struct sim_postgres *server) {
  return server->state == SIM_PG_PRIMARY ? server->timeline : last_timeline(server);
}

uint64_t sim_postgres_position(const struct sim_postgres *server) {
  return wal_position(server, server->wal.received);
}

uint64_t sim_postgres_replayed(const struct sim_postgres *server) {
  /* Brings a count up to date that is kept lazily; nothing that could be seen changes. */
  if (server_in_recovery(server)) wal_replay(&server->cluster->servers[server->member]);
  return wal_position(server, server->wal.applied);
}

void sim_postgres_listen(struct sim_postgres_cluster *cluster,
                         void (*changed)(void *data, uint32_t member), void *data) {
  cluster->changed = changed;
  cluster->changed_data = data;
}

void sim_postgres_observe(struct sim_postgres_cluster *cluster,
                          const struct sim_postgres_truth *truth) {
  cluster->truth = *truth;
}

int sim_postgres_rows(struct sim_postgres *server,
                      int (*row)(void *data, const struct sim_record *record, struct error *err),
                      void *data, struct error *err) {
  if (!server_answers(server))
    return error_set(err, STATUS_SERVER, "the server of member %u accepts no connections",
                     server->member);
  uint64_t shown = wal_shown(server), rows = 0;
  for (uint64_t count = 1; count <= shown; count++) {
    const struct sim_entry *entry = wal_at(server, count);
    if (entry->record.kind != SIM_RECORD_ROW || entry->table != server->cluster->table) continue;
    int status = row(data, guilt_read(server, &entry->record, rows++), err);
    if (status != 0) return status;
  }
  return 0;
}

/* --- the cluster ----------------------------------------------------------------------------- */

/* PostgreSQL keeps the last connections for superusers, which clients are not. */
static uint32_t connections_max(const struct postgres_config *config) {
  uint32_t reserved = 3;
  for (uint32_t i = 0; i < config->parameters.count; i++) {
    const struct setting *setting = &config->parameters.items[i];
    if (strcasecmp(setting->name, "superuser_reserved_connections") == 0)
      reserved = (uint32_t)strtoul(setting->value, NULL, 10);
  }
  return config->max_connections > reserved ? config->max_connections - reserved : 0;
}

static void add_server(struct sim_postgres_cluster *cluster, uint32_t member,
                       const struct host *host) {
  struct sim_postgres *server = &cluster->servers[member];
  server->cluster = cluster;
  server->member = member;
  server->upstream = MEMBER_NONE;
  server->slots = UINT32_MAX;
  server->timeline = 1;
  server->clean = true;
  server->role = SIM_PG_AS_STANDBY;
  cluster->by_host[host->index] = server;
  sim_process_add(cluster->world, &server->kernel, &kernel_kind, host->index, server);
  sim_process_add(cluster->world, &server->process, &postmaster_kind, host->index, server);
  sim_process_start(&server->kernel);
}

int sim_postgres_cluster_new(struct sim_world *world, const struct postgres_config *config,
                             const struct sim_postgres_costs *costs,
                             const struct host *const *members,
                             struct sim_postgres_cluster **ret_cluster, struct error *err) {
  uint32_t count = postgres_instances(config);
  assert(count >= 1 && count <= POSTGRES_INSTANCES_MAX);
  struct sim_postgres_cluster *cluster = calloc(1, sizeof *cluster);
  if (!cluster) return error_set(err, STATUS_MEMORY, "out of memory for simulated servers");
  cluster->world = world;
  cluster->config = config;
  cluster->costs = *costs;
  cluster->count = count;
  cluster->connections_max = connections_max(config);
  arena_init(&cluster->arena, 0);
  for (uint32_t member = 0; member < count; member++) add_server(cluster, member, members[member]);
  *ret_cluster = cluster;
  return 0;
}

void sim_postgres_cluster_free(struct sim_postgres_cluster *cluster) {
  if (!cluster) return;
  for (uint32_t member = 0; member < cluster->count; member++) {
    wal_release(&cluster->servers[member]);
    free(cluster->servers[member].commits.ring);
  }
  arena_release(&cluster->arena);
  free(cluster);
}

struct sim_postgres *sim_postgres_member(struct sim_postgres_cluster *cluster, uint32_t member) {
  assert(member < cluster->count);
  return &cluster->servers[member];
}

uint32_t sim_postgres_member_count(const struct sim_postgres_cluster *cluster) {
  return cluster->count;
}

void sim_postgres_clients(struct sim_postgres_cluster *cluster,
                          struct sim_process *const by_host[HOSTS_MAX]) {
  memcpy(cluster->clients, by_host, sizeof cluster->clients);
}

void sim_postgres_bootstrap(struct sim_postgres_cluster *cluster) {
  cluster->starting = true;
  for (uint32_t member = 0; member < cluster->count; member++) {
    struct sim_postgres *server = &cluster->servers[member];
    sim_process_start(&server->process);
    server->clean = false;
    server->role = member == 0 ? SIM_PG_AS_PRIMARY : SIM_PG_AS_STANDBY;
    server->upstream = member == 0 ? MEMBER_NONE : 0;
    if (member > 0) replicate_join(server, &cluster->servers[0]);
    set_state(server, member == 0 ? SIM_PG_PRIMARY : SIM_PG_STANDBY);
  }
  cluster->starting = false;
}
