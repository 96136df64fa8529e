/* Providers, processes and seeds of simulated runs. */
#include "simulating.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/process.h"
#include "engine/batch.h"
#include "engine/modelled.h"

#define VERSION_SIZE 32
/* A busy machine takes its time to start a Python program. */
#define VERSION_TIMEOUT_NS (5 * NS_PER_S)

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

/* Major and minor as one number; 0: that is no version. */
static unsigned long version_number(const char *text) {
  char *end = NULL;
  unsigned long major = strtoul(text, &end, 10);
  if (end == text || *end != '.') return 0;
  const char *second = end + 1;
  unsigned long minor = strtoul(second, &end, 10);
  return end == second || major > 1000 || minor > 1000 ? 0 : major * 10000 + minor;
}

/* The version as `command --version` tells it, "patroni 3.0.2": its first word that begins with a
 * digit. False: it is not here, or says none. */
static bool installed_version(const char *command, char ret[VERSION_SIZE]) {
  const char *const argv[] = {command, "--version", NULL};
  const struct process_spec spec = {.argv = argv, .timeout_ns = VERSION_TIMEOUT_NS};
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  if (process_run(&spec, &result, NULL) < 0 || result.exit_code != 0 || !result.out.data)
    return false;
  char *rest = result.out.data;
  for (const char *word; (word = strsep(&rest, " \t\n"));) {
    if (version_number(word) == 0 || strlen(word) >= VERSION_SIZE) continue;
    snprintf(ret, VERSION_SIZE, "%s", word);
    return true;
  }
  return false;
}

/* The choice that behaves as this version: the newest that is not newer, or the oldest. */
static const char *choice_of_version(const struct provider *provider,
                                     const struct modelled_program *program, const char *version) {
  const struct param *row = param_at(provider->plugin.params, 0);
  for (uint32_t i = 1; strcmp(row->key, program->parameter) != 0; i++)
    row = param_at(provider->plugin.params, i);
  const char *choice = row->choices[0];
  for (const char *const *each = row->choices; *each; each++)
    if (version_number(*each) <= version_number(version)) choice = *each;
  return choice;
}

void simulating_compare_installed(struct cli *cli, const struct scenario *scenario) {
  struct modelled_program programs[MODELLED_MAX];
  const struct provider *provider = scenario->provider;
  uint32_t count = modelled_programs(scenario, programs);
  for (uint32_t i = 0; i < count; i++) {
    const struct modelled_program *program = &programs[i];
    char version[VERSION_SIZE];
    if (!installed_version(program->command, version)) continue;
    const char *choice = choice_of_version(provider, program, version);
    if (strcmp(choice, program->version) == 0) continue;
    log_print(&cli->log, LOG_WARNING,
              "%s %s is simulated, and this machine has %s: --set 'cluster.%s.%s=\"%s\"' "
              "simulates that one",
              program->name, program->version, version, provider->plugin.name, program->parameter,
              choice);
  }
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
