/* Providers, processes and seeds of simulated runs. */
#include "simulating.h"

#include <inttypes.h>
#include <unistd.h>

#include "engine/batch.h"

const char *simulating_provider(const struct cli *cli, const char *wanted) {
  if (wanted) return wanted;
  for (const struct provider *const *row = cli->tables.providers; *row; row++)
    if ((*row)->virtual_time) return (*row)->plugin.name;
  return NULL;
}

int simulating_check(const struct scenario *scenario, struct error *err) {
  if (scenario->provider->virtual_time) return 0;
  return error_set(err, STATUS_USAGE,
                   "provider '%s' runs in real time; expected one in virtual time such as 'sim'",
                   scenario->provider->plugin.name);
}

int simulating_check_number(const char *option, const struct option_number *number, uint64_t least,
                            uint64_t most, struct error *err) {
  if (!number->given || (number->value >= least && number->value <= most)) return 0;
  return error_set(err, STATUS_USAGE, "--%s must be from %" PRIu64 " to %" PRIu64, option, least,
                   most);
}

uint32_t simulating_jobs(const struct option_number *jobs) {
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  uint64_t count = jobs->given ? jobs->value : processors < 1 ? 1 : (uint64_t)processors;
  return count > BATCH_WORKERS_MAX ? BATCH_WORKERS_MAX : (uint32_t)count;
}

int simulating_first_seed(const struct option_number *seed, const struct scenario *scenario,
                          uint64_t *ret_seed, struct error *err) {
  uint64_t first = seed->given ? seed->value : scenario->seed_given ? scenario->seed : 1;
  if (first > SIMULATING_SEED_MAX)
    return error_set(err, STATUS_USAGE, "the first seed must be at most %" PRIu64,
                     SIMULATING_SEED_MAX);
  *ret_seed = first;
  return 0;
}
