/* The life of a simulated Redis server: starting with what is on its disk, changing its role, and
 * what a crash takes.
 *
 * Sources: server.c (serverCron(), loadDataFromDisk(): a replica that loads a snapshot may go on
 * from there, one that loads an append-only file may not; prepareForShutdown()), aof.c
 * (flushAppendOnlyFile(): with everysec a flush in the background every second, with always one
 * before the answers of a turn of the loop), rdb.c (rdbSaveBackground()), replication.c
 * (replicationSetMaster(), replicationUnsetMaster(), shiftReplicationId(),
 * refreshGoodSlavesCount()). */
#include <stdio.h>
#include <string.h>

#include "sim/redis_memory.h"

#define CRON_NS NS_PER_S
/* fork() and writing of a small snapshot. */
#define SAVE_NS (50 * NS_PER_MS)
/* vm.dirty_expire_centisecs: without a flush of its own a file is on the disk after this. */
#define WRITEBACK_NS (30 * NS_PER_S)
#define LOAD_PER_ENTRY_NS 500

uint64_t redis_new_id(struct sim_redis_cluster *cluster) {
  return ++cluster->ids;
}

void redis_id_text(uint64_t id, char ret_text[REDIS_ID_SIZE]) {
  snprintf(ret_text, REDIS_ID_SIZE, "%040llx", (unsigned long long)id);
}

uint32_t redis_history(struct sim_redis *server) {
  char id[REDIS_ID_SIZE];
  if (server->number > 0 && server->numbered == server->history) return server->number;
  redis_id_text(server->history, id);
  server->number = redis_histories_number(&server->cluster->histories, id);
  server->numbered = server->history;
  return server->number;
}

bool redis_answers(const struct sim_redis *server) {
  return server->state == REDIS_UP && !server->program.process.frozen;
}

bool redis_takes_writes(const struct sim_redis *server) {
  return server->state == REDIS_UP && redis_is_primary(server) &&
         server->good_replicas >= redis_config_of(server)->min_replicas_to_write &&
         (!server->node || node_ok(server));
}

void redis_changed(struct sim_redis *server) {
  struct sim_redis_cluster *cluster = server->cluster;
  bool accepting = redis_takes_writes(server);
  if (accepting != server->told_accepting) {
    server->told_accepting = accepting;
    if (cluster->truth.accepting)
      cluster->truth.accepting(cluster->truth.data, server->member, accepting);
  }
  if (cluster->changed) cluster->changed(cluster->changed_data);
}

void redis_count_good_replicas(struct sim_redis *server) {
  uint64_t most_s = redis_config_of(server)->min_replicas_max_lag_ns / NS_PER_S;
  uint64_t now_s = (redis_now_ns(server) + server->wall_ns) / NS_PER_S;
  uint32_t good = 0;
  for (uint32_t i = bits_next(&server->fed, 0); i < BITS_MAX; i = bits_next(&server->fed, i + 1)) {
    const struct sim_feed *feed = &server->feeds[i];
    good += feed->online && now_s - (feed->acknowledged_ns + server->wall_ns) / NS_PER_S <= most_s;
  }
  bool changed = redis_takes_writes(server);
  server->good_replicas = good;
  if (changed != redis_takes_writes(server)) redis_changed(server);
}

/* --- the disk -------------------------------------------------------------------------------- */

static void saved(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  if (server->disk.saving != args->number) return;
  server->disk.saved = args->number;
  server->disk.saved_history = server->history;
  server->disk.saving = UINT64_MAX;
}

static void save_if_due(struct sim_redis *server) {
  const struct sim_redis_cluster *cluster = server->cluster;
  struct sim_disk *disk = &server->disk;
  uint64_t now_ns = redis_now_ns(server);
  uint64_t changes = server->data.count - disk->saved;
  if (disk->saving != UINT64_MAX || server->follow.state == FOLLOW_TRANSFER) return;
  for (uint32_t i = 0; i < cluster->save_count; i++) {
    if (changes < cluster->saves[i].changes) continue;
    if (now_ns - disk->saved_ns <= cluster->saves[i].seconds * NS_PER_S) continue;
    disk->saving = server->data.count;
    disk->saved_ns = now_ns;
    sim_after(&server->program.process, SAVE_NS, saved, &(struct sim_args){.number = disk->saving});
    return;
  }
}

static void flushed(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  if (args->number > server->disk.flushed && args->number <= server->data.count)
    server->disk.flushed = args->number;
}

static void flush_if_due(struct sim_redis *server, uint64_t tick) {
  const struct redis_config *config = redis_config_of(server);
  if (!config->appendonly || config->appendfsync == REDIS_FSYNC_ALWAYS) return;
  if (config->appendfsync == REDIS_FSYNC_NO && tick % (WRITEBACK_NS / CRON_NS) != 0) return;
  sim_after(&server->program.process, server->cluster->costs.fsync_ns, flushed,
            &(struct sim_args){.number = server->data.count});
}

/* With always: the answers of one turn share a flush, and the next turn waits for it. */
uint64_t redis_write_delay_ns(struct sim_redis *server) {
  const struct redis_config *config = redis_config_of(server);
  struct sim_disk *disk = &server->disk;
  if (!config->appendonly || config->appendfsync != REDIS_FSYNC_ALWAYS) return 0;
  uint64_t now_ns = redis_now_ns(server), fsync_ns = server->cluster->costs.fsync_ns;
  if (disk->flush_end_ns <= now_ns) {
    disk->flush_end_ns = now_ns + fsync_ns;
  } else if (disk->flush_end_ns - now_ns <= fsync_ns) {
    disk->flush_end_ns += fsync_ns; /* one is under way: with the next */
  }
  sim_after(&server->program.process, disk->flush_end_ns - now_ns, flushed,
            &(struct sim_args){.number = server->data.count});
  return disk->flush_end_ns - now_ns;
}

void redis_settle(struct sim_redis *server) {
  server->disk.saving = UINT64_MAX;
  server->disk.saved = server->disk.flushed = server->data.count;
  server->disk.saved_history = server->history;
  server->disk.saved_ns = redis_now_ns(server);
}

/* --- roles ----------------------------------------------------------------------------------- */

static void become_primary(struct sim_redis *server) {
  struct sim_redis_cluster *cluster = server->cluster;
  stream_disconnect(server);
  server->follow = (struct sim_follow){.from = MEMBER_NONE};
  server->history2 = server->history;
  server->second = server->data.count;
  server->history = redis_new_id(cluster);
  /* Its replicas learn of the new history by connecting anew. */
  stream_drop_replicas(server);
  redis_guilt_promoted(server);
  if (cluster->truth.promoted)
    cluster->truth.promoted(cluster->truth.data, server->member, redis_history(server));
}

void redis_replicaof(struct sim_redis *server, uint32_t from) {
  if (from == server->member || from == server->follow.from) return;
  if (from == MEMBER_NONE) {
    become_primary(server);
  } else {
    command_unblock(server);
    stream_disconnect(server);
    server->follow =
        (struct sim_follow){.from = from, .state = FOLLOW_CONNECT, .down_ns = redis_now_ns(server)};
    if (server->state == REDIS_UP) stream_connect(server);
  }
  redis_count_good_replicas(server);
  command_resume(server);
  redis_changed(server);
}

/* --- life ------------------------------------------------------------------------------------ */

static void cron(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  sim_after(self, CRON_NS, cron, &(struct sim_args){.number = args->number + 1});
  if (server->state != REDIS_UP) return;
  if (server->paused_until_ns <= redis_now_ns(server)) command_resume(server);
  stream_cron(server);
  redis_count_good_replicas(server);
  memory_cron(server);
  flush_if_due(server, args->number);
  save_if_due(server);
}

static void loaded(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  (void)args;
  server->state = REDIS_UP;
  if (server->node) node_started(server);
  if (!redis_is_primary(server)) stream_connect(server);
  redis_changed(server);
}

static void started(struct sim_process *process) {
  struct sim_redis *server = process->owner;
  struct sim_redis_cluster *cluster = server->cluster;
  const struct redis_config *config = cluster->config;
  sim_process_start(&server->bus.process);
  server->run = redis_new_id(cluster) << 20 | prng_below(&server->prng, 1 << 20);
  sim_after(process, prng_below(&server->prng, CRON_NS), cron, &(struct sim_args){.number = 1});
  server->disk.saved_ns = sim_now_ns(cluster->world);
  server->disk.saving = UINT64_MAX;
  server->disk.flush_end_ns = 0;
  memory_started(server);
  if (cluster->starting) {
    server->state = REDIS_UP;
    return;
  }
  server->state = REDIS_LOADING;
  bool goes_on = !redis_is_primary(server) && !config->appendonly &&
                 server->disk.saved_history != 0 && server->disk.saved == server->data.count;
  server->history = goes_on ? server->disk.saved_history : redis_new_id(cluster);
  server->history2 = 0;
  sim_after(process, cluster->costs.start_ns + server->data.count * LOAD_PER_ENTRY_NS, loaded,
            NULL);
  redis_changed(server);
}

static void died(struct sim_process *process, bool power) {
  struct sim_redis *server = process->owner;
  struct sim_redis_cluster *cluster = server->cluster;
  bool append_only = cluster->config->appendonly;
  server->state = REDIS_DOWN;
  server->paused_until_ns = 0;
  stream_forget(server);
  command_forget(server);
  sim_wires_died(&cluster->wires, &server->program, power);
  /* What was written to the append-only file is the kernel's, and outlives the process only. */
  uint64_t left =
      append_only ? (power ? server->disk.flushed : server->data.count) : server->disk.saved;
  data_truncate(server, left);
  if (server->disk.saved > left) server->disk.saved = left;
  if (server->disk.flushed > left) server->disk.flushed = left;
  if (server->node) node_died(server);
  sim_process_kill(&server->bus.process);
  redis_changed(server);
}

void redis_shut_down(struct sim_redis *server) {
  if (server->cluster->save_count > 0) {
    server->disk.saved = server->data.count;
    server->disk.saved_history = server->history;
  }
  server->disk.flushed = server->data.count;
  sim_process_kill(&server->program.process);
}

static void bus_died(struct sim_process *process, bool power) {
  struct sim_redis *server = process->owner;
  sim_wires_died(&server->cluster->wires, &server->bus, power);
}

static const struct sim_process_kind redis_kind = {
    .name = "redis", .unit = true, .port = REDIS_PORT, .started = started, .died = died};
static const struct sim_process_kind bus_kind = {
    .name = "redis-bus", .port = REDIS_BUS_PORT, .died = bus_died};
static const struct sim_process_kind kernel_kind = {
    .name = "kernel", .unit = true, .port = REDIS_PORT};
static const struct sim_process_kind bus_kernel_kind = {
    .name = "kernel", .unit = true, .port = REDIS_BUS_PORT};

void redis_init(struct sim_redis *server, uint32_t member) {
  struct sim_redis_cluster *cluster = server->cluster;
  char stream[32];
  server->member = member;
  server->host = cluster->members[member]->index;
  server->follow.from = MEMBER_NONE;
  snprintf(stream, sizeof stream, "sim/redis/%u", (unsigned)member);
  prng_init(&server->prng, cluster->world->seed, stream);
  server->wall_ns = prng_below(&server->prng, NS_PER_S);
  memory_init(server);
  sim_process_add(cluster->world, &server->program.kernel, &kernel_kind, server->host, server);
  sim_process_add(cluster->world, &server->bus.kernel, &bus_kernel_kind, server->host, server);
  sim_process_add(cluster->world, &server->program.process, &redis_kind, server->host, server);
  sim_process_add(cluster->world, &server->bus.process, &bus_kind, server->host, server);
}
