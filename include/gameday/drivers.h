/* The drivers that services hand to clients in `struct access`. */
#ifndef GAMEDAY_DRIVERS_H
#define GAMEDAY_DRIVERS_H

#include "gameday/driver.h"

/* PostgreSQL by libpq: workload/pg_client.c. */
extern const struct driver driver_pg;

/* Redis and Valkey by hiredis, alone, behind Sentinel or as a cluster: workload/redis_client.c. */
extern const struct driver driver_redis;

#endif
