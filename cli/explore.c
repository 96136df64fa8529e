/* gameday explore: random fault schedules in virtual time, to the smallest that violates something.
 */
#include "engine/explore.h"

#include <limits.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cli.h"
#include "engine/batch.h"
#include "simulating.h"

#define SEEDS_DEFAULT 100
#define SHRINK_DEFAULT 5

struct explore_options {
  const char *provider, *out, *budget;
  struct option_number seeds, jobs, seed, shrink;
  struct option_list sets;
};

static const struct option_row rows[] = {
    {"seeds", OPTION_COUNT, offsetof(struct explore_options, seeds), "N",
     "How many schedules, each of a seed of its own; default 100, or no limit with --for."},
    {"for", OPTION_TEXT, offsetof(struct explore_options, budget), "TIME",
     "Search so long (30s, 10min): whichever of --seeds and --for is used up first ends it."},
    {"jobs", OPTION_COUNT, offsetof(struct explore_options, jobs), "N",
     "Processes that simulate; default: one a processor."},
    {"seed", OPTION_COUNT, offsetof(struct explore_options, seed), "FIRST",
     "The first seed; default: the scenario's, or 1."},
    {"shrink", OPTION_COUNT, offsetof(struct explore_options, shrink), "N",
     "Look at N schedules of each violation for the one to shrink; 0: shrink none; default 5."},
    {"provider", OPTION_TEXT, offsetof(struct explore_options, provider), "NAME",
     "Run on this provider, one in virtual time; default: the first there is."},
    {"set", OPTION_LIST, offsetof(struct explore_options, sets), "PATH=VALUE",
     "Override a value: --set explore.faults=1..4 (may be given often)."},
    {"out", OPTION_TEXT, offsetof(struct explore_options, out), "DIR",
     "Where found schedules are written; default gameday-explore/SCENARIO."},
    {0},
};

static int parse_budget(const char *text, uint64_t *ret_ns, struct error *err) {
  int64_t budget_ns = 0;
  if (!text) return 0;
  int status = value_parse(text, UNIT_DURATION, &budget_ns, NULL, err);
  if (status < 0) return error_wrap(err, "--for");
  if (budget_ns <= 0) return error_set(err, STATUS_USAGE, "--for must be more than %s", text);
  *ret_ns = (uint64_t)budget_ns;
  return 0;
}

/* Everything but the scenarios, from the options. */
static int fill_spec(const struct explore_options *options, struct explore_spec *spec,
                     struct error *err) {
  int status = simulating_check_number("jobs", &options->jobs, 1, BATCH_WORKERS_MAX, err);
  if (status == 0)
    status = simulating_check_number("seeds", &options->seeds, 1, SIMULATING_SEED_MAX, err);
  if (status == 0)
    status = simulating_check_number("seed", &options->seed, 0, SIMULATING_SEED_MAX, err);
  if (status == 0)
    status = simulating_check_number("shrink", &options->shrink, 0, EXPLORE_SHRINK_MAX, err);
  if (status == 0) status = parse_budget(options->budget, &spec->budget_ns, err);
  if (status < 0) return status;
  spec->jobs = simulating_jobs(&options->jobs);
  spec->shrink_count = options->shrink.given ? (uint32_t)options->shrink.value : SHRINK_DEFAULT;
  spec->seed_count = options->seeds.given ? options->seeds.value
                     : options->budget    ? SIMULATING_SEED_MAX
                                          : SEEDS_DEFAULT;
  return 0;
}

/* The first seed, and no more of them than there are. */
static int choose_seeds(const struct explore_options *options, struct explore_spec *spec,
                        struct error *err) {
  int status = simulating_first_seed(&options->seed, spec->scenario, &spec->first_seed, err);
  if (status < 0) return status;
  uint64_t most = SIMULATING_SEED_MAX - spec->first_seed + 1;
  if (spec->seed_count > most) spec->seed_count = most;
  return 0;
}

static int exit_code(const struct explore_result *result) {
  if (result->signal) return (int)cli_exit_code(STATUS_INTERRUPTED, result->signal);
  if (result->crashed > 0) return EXIT_INTERNAL;
  if (result->fail > 0) return EXIT_MISSED;
  return result->unknown > 0 ? EXIT_UNTRUSTED : EXIT_MET;
}

static int explore(struct cli *cli, const struct explore_options *options,
                   struct explore_spec *spec) {
  CLEANUP(buf_release) struct buf summary;
  struct explore_result result;
  struct error err = ERROR_INIT;
  char below[PATH_MAX];
  buf_init(&summary);
  int status = simulating_check(spec->simulated, &err);
  if (status == 0) status = choose_seeds(options, spec, &err);
  if (status == 0)
    status = path_format(below, sizeof below, &err, "%s%s",
                         options->out ? options->out : "gameday-explore/",
                         options->out ? "" : spec->scenario->name);
  if (status == 0) status = cli_check_writable(below, &err);
  if (status < 0) return cli_fail(cli, &err);
  spec->directory = below;
  simulating_compare_installed(cli, spec->simulated);
  status = explore_run(spec, &result, &summary, &err);
  if (status < 0) return cli_fail(cli, &err);
  fwrite(summary.data, 1, summary.length, stdout);
  return exit_code(&result);
}

static int main_explore(struct cli *cli, const void *data, int argc, char **argv) {
  const struct explore_options *options = data;
  if (argc != 1) return cli_usage(cli, &command_explore);
  struct explore_spec spec = {
      .injectors = cli->tables.injectors, .checkers = checkers, .log = &cli->log};
  struct scenario scenario, simulated;
  struct error err = ERROR_INIT;
  const char *provider = simulating_provider(cli, options->provider);
  int status = cli_check_out(options->out, &err);
  if (status == 0) status = fill_spec(options, &spec, &err);
  if (status == 0 && !provider)
    status = error_set(&err, STATUS_ENVIRONMENT, "no provider in virtual time is built in");
  if (status < 0) return cli_fail(cli, &err);
  int code = cli_load_scenario(cli, argv[0], NULL, &options->sets, &scenario);
  if (code != EXIT_MET) return code;
  code = cli_load_scenario(cli, argv[0], provider, &options->sets, &simulated);
  if (code == EXIT_MET) {
    spec.scenario = &scenario;
    spec.simulated = &simulated;
    code = explore(cli, options, &spec);
    scenario_release(&simulated);
  }
  scenario_release(&scenario);
  return code;
}

const struct command command_explore = {
    .name = "explore",
    .usage = "explore SCENARIO.yaml [OPTIONS]",
    .summary = "Search for the fault schedule that violates an objective, in virtual time.",
    .more =
        "Random timelines within the bounds of the scenario's section `explore` take the place of "
        "its\n"
        "own. What violates an objective or convicts the cluster is shrunk to a minimal schedule "
        "and\n"
        "written as a scenario file that runs on the scenario's own provider. The same seeds give\n"
        "the same summary, whatever --jobs. Exit codes: 0 nothing was violated, 1 something was,\n"
        "4 nothing was, but some schedules could not be judged, 5 the simulation itself broke.",
    .options = rows,
    .options_size = sizeof(struct explore_options),
    .main = main_explore,
};
