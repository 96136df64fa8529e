/* What the commands that simulate many runs share. */
#ifndef GAMEDAY_CLI_SIMULATING_H
#define GAMEDAY_CLI_SIMULATING_H

#include "cli.h"

/* A whole number in JSON and in scenarios; seeds that follow from the first are ones too. */
#define SIMULATING_SEED_MAX ((uint64_t)INT64_MAX - 1000)

/* The provider that is asked for, or (`wanted` NULL) the first that runs in virtual time. NULL:
 * none is built in. */
const char *simulating_provider(const struct cli *cli, const char *wanted);
/* STATUS_USAGE unless the scenario's provider runs in virtual time. */
int simulating_check(const struct scenario *scenario, struct error *err);

/* STATUS_USAGE when a number is given and outside the limits, which are included. */
int simulating_check_number(const char *option, const struct option_number *number, uint64_t least,
                            uint64_t most, struct error *err);
/* How many processes simulate: as given (checked before), or one a processor. */
uint32_t simulating_jobs(const struct option_number *jobs);
/* The first seed: as given (checked before), or the scenario's, or 1. STATUS_USAGE when the
 * scenario's is too large. */
int simulating_first_seed(const struct option_number *seed, const struct scenario *scenario,
                          uint64_t *ret_seed, struct error *err);

#endif
