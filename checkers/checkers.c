/* The table of checkers: to add one is to add a file and a row. */
#include "checkers.h"

#include <stddef.h>

const struct checker *const checkers[] = {
    &checker_availability, &checker_slot_coverage,
    &checker_failover,     &checker_loss,
    &checker_eviction,     &checker_dual_primary,
    &checker_lag,          &checker_staleness,
    &checker_synchrony,    &checker_latency,
    &checker_stampede,     &checker_load,
    &checker_confirmation, NULL,
};
