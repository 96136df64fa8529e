/* What Patroni and the observer see of a server beyond its state: what its data directory says of
 * its end, and how many clients it has. */
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
