/* gameday heal: the last resort, when harness and guard are both gone. */
#include <limits.h>
#include <string.h>

#include "cli.h"
#include "engine/guard.h"
#include "maker.h"
#include "series.h"

struct heal_options {
  bool force;
};

static const struct option_row rows[] = {
    {"force", OPTION_FLAG, offsetof(struct heal_options, force), NULL,
     "Also when the process that made the run seems to be alive."},
    {0},
};

static const struct provider *find_provider(const struct scenario_tables *tables,
                                            const char *name) {
  for (const struct provider *const *row = tables->providers; *row; row++)
    if (strcmp((*row)->plugin.name, name) == 0) return *row;
  return NULL;
}

static int pass_over(void *data, const char *id, const char *run_directory) {
  (void)data;
  (void)id;
  (void)run_directory;
  return 0;
}

static int main_heal(struct cli *cli, const void *data, int argc, char **argv) {
  const struct heal_options *options = data;
  struct error err = ERROR_INIT;
  char directory[PATH_MAX];
  struct maker maker;
  if (argc != 1) return cli_usage(cli, &command_heal);
  int status = cli_absolute(argv[0], directory, sizeof directory, &err);
  if (status == 0) status = series_refuse(directory, &err);
  if (status == 0) status = maker_read(directory, &maker, &err);
  if (status < 0) return cli_fail(cli, &err);
  const struct provider *provider = find_provider(&cli->tables, maker.provider);
  uint32_t healed = 0;
  if (!provider || !maker.id[0])
    status =
        error_set(&err, STATUS_USAGE, "%s/run.json names no known provider and cluster", directory);
  else if (!options->force && maker_is_busy(&maker))
    status = error_set(&err, STATUS_USAGE,
                       "process %d, which makes this run, seems to be alive; end it, or --force",
                       (int)maker.process);
  else if (provider->list && provider->list(pass_over, NULL, &err) == STATUS_ENVIRONMENT)
    status = STATUS_ENVIRONMENT; /* who may not look would find nothing */
  if (status == 0)
    status = guard_clean_up(&(struct guard_spec){.tables = &cli->tables,
                                                 .provider = provider,
                                                 .run_directory = directory,
                                                 .cluster_id = maker.id},
                            maker.kept, &healed, &err);
  if (status < 0) return cli_fail(cli, &err);
  if (maker.kept)
    log_print(&cli->log, LOG_INFO, "healed %u faults; the cluster stays", healed);
  else
    log_print(&cli->log, LOG_INFO, "nothing of the run is left on this machine");
  return EXIT_MET;
}

const struct command command_heal = {
    .name = "heal",
    .usage = "heal RUN_DIR [--force]",
    .summary = "Undo what a run left behind when it and its guard were killed.",
    .options = rows,
    .options_size = sizeof(struct heal_options),
    .main = main_heal,
};
