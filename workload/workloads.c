/* The table of workloads. */
#include "gameday/workload.h"
#include "workload/cache_aside.h"
#include "workload/pg_ledger.h"
#include "workload/redis_ledger.h"
#include "workload/redis_register.h"
#include "workload/session_store.h"

const struct workload *const workloads[] = {
    &workload_pg_ledger,   &workload_redis_ledger,  &workload_redis_register,
    &workload_cache_aside, &workload_session_store, NULL,
};
