/* What Patroni and the observer see of a server beyond its state: what its data directory says of
 * its end, how many clients it has, and what each end of replication says. */
#include "sim/patroni_internal.h"
#include "sim/postgres_internal.h"
#include "sim/service.h"

bool sim_postgres_crashed_primary(const struct sim_postgres *server) {
  return server->state == SIM_PG_DOWN && server->role == SIM_PG_AS_PRIMARY && !server->clean;
}

void sim_postgres_recovered(struct sim_postgres *server) {
  if (server->state == SIM_PG_DOWN) server->clean = true;
}

uint32_t sim_postgres_connections(const struct sim_postgres *server) {
  return server->connection_count;
}

bool sim_postgres_was_standby(const struct sim_postgres *server) {
  return server->role == SIM_PG_AS_STANDBY;
}

bool sim_postgres_receives(const struct sim_postgres *standby, uint32_t *ret_upstream,
                           uint64_t *ret_connection) {
  if (standby->receiver.state != RECEIVER_STREAMING) return false;
  *ret_upstream = standby->receiver.from;
  *ret_connection = standby->receiver.number;
  return true;
}

void sim_postgres_sends(const struct sim_postgres *server, uint32_t standby,
                        struct sim_postgres_sends *ret) {
  const struct sim_sender *sender = &server->senders[standby];
  *ret = (struct sim_postgres_sends){.connection = sender->number,
                                     .heard_ns = sender->heard_ns,
                                     .behind = sender->flushed < server->wal.flushed};
}
