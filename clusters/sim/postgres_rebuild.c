/* Making a simulated server that is down a copy of another one: pg_rewind back to where their
 * histories part, or pg_basebackup of everything. */
#include <assert.h>

#include "sim/postgres_internal.h"

/* How often it is looked whether the source is still there. */
#define SLICE_NS NS_PER_S

bool sim_postgres_diverged(const struct sim_postgres *server, uint32_t upstream) {
  const struct sim_postgres_cluster *cluster = server->cluster;
  if (server->empty) return true;
  if (upstream >= cluster->count || upstream == server->member) return false;
  const struct sim_postgres *other = &cluster->servers[upstream];
  return !wal_has(other, wal_last(server)) || !wal_has(other, server->consistent_at);
}

/* The same server, a primary, and the network between them open. */
static bool source_is_there(const struct sim_postgres *server) {
  const struct sim_postgres_cluster *cluster = server->cluster;
  const struct sim_postgres *source = &cluster->servers[server->rebuild.upstream];
  uint16_t here = server->process.host, there = source->process.host;
  return source->state == SIM_PG_PRIMARY && !source->process.frozen &&
         source->process.life == server->rebuild.upstream_life &&
         sim_link_is_open(cluster->world, here, there, source->process.kind->port) &&
         sim_link_is_open(cluster->world, there, here, source->process.kind->port);
}

/* pg_rewind copies the source's blocks that have changed since the histories parted, and its log
 * from there on is streamed later; pg_basebackup brings the log with it (--wal-method=stream). */
static void take_over(struct sim_postgres *server) {
  const struct sim_postgres *source = &server->cluster->servers[server->rebuild.upstream];
  wal_truncate(server, wal_common(server, source));
  if (!server->rebuild.rewind && !wal_receive(server, wal_at(source, source->wal.flushed))) return;
  server->consistent_at = server->rebuild.rewind ? wal_at(source, source->wal.flushed) : NULL;
  server->clean = !server->rebuild.rewind;
  server->empty = false;
  wal_settle(server);
}

static void finish(struct sim_process *self, struct sim_postgres *server, bool well) {
  server->rebuild.number = 0;
  server->rebuild.done(self, &(struct sim_args){.pointer = server, .number = well});
}

static void step(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *server = args->pointer;
  struct sim_rebuild *rebuild = &server->rebuild;
  if (rebuild->number != args->number) return;
  bool there = server->state == SIM_PG_DOWN && source_is_there(server);
  if (!there || rebuild->left_ns == 0) {
    if (there) take_over(server);
    finish(self, server, there);
    return;
  }
  uint64_t slice_ns = rebuild->left_ns < SLICE_NS ? rebuild->left_ns : SLICE_NS;
  rebuild->left_ns -= slice_ns;
  sim_after(self, slice_ns, step, args);
}

void sim_postgres_rebuild(struct sim_postgres *server, uint32_t upstream, bool rewind,
                          struct sim_process *process, sim_call *done) {
  struct sim_postgres_cluster *cluster = server->cluster;
  if (server->state != SIM_PG_DOWN || upstream >= cluster->count || upstream == server->member)
    return;
  const struct sim_postgres_costs *costs = &cluster->costs;
  server->rebuild = (struct sim_rebuild){.upstream = upstream,
                                         .upstream_life = cluster->servers[upstream].process.life,
                                         .number = ++cluster->numbers,
                                         .left_ns = rewind ? costs->rewind_ns : costs->copy_ns,
                                         .rewind = rewind,
                                         .done = done};
  if (rewind && server->empty) { /* there is nothing to rewind */
    server->rebuild.upstream_life = 0;
  } else if (!rewind) {
    wal_truncate(server, 0);
    server->empty = true;
  }
  sim_after(process, 0, step,
            &(struct sim_args){.pointer = server, .number = server->rebuild.number});
}
