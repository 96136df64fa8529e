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

/* Warns of each program of the scenario's model that is installed here in a version whose behaviour
 * is modelled too, but by another choice of the provider's: one line, with the --set that chooses
 * it. Asks the programs for their versions; nothing is told of one that is missing or does not say.
 * Nothing in real time. Blocks for seconds at the most. */
void simulating_compare_installed(struct cli *cli, const struct scenario *scenario);

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
