/* gameday heal: the last resort, when harness and guard are both gone. */
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "base/file.h"
#include "cli.h"
#include "engine/guard.h"

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
  for (const struct provider *const *row = tables->providers; name && *row; row++)
    if (strcmp((*row)->plugin.name, name) == 0) return *row;
  return NULL;
}

static int read_run(const char *directory, json_t **ret_run, struct error *err) {
  char path[PATH_MAX];
  json_error_t where;
  int status = path_format(path, sizeof path, err, "%s/run.json", directory);
  if (status < 0) return status;
  if (!file_exists(path))
    return error_set(err, STATUS_USAGE, "%s is not there: %s is no run directory", path, directory);
  json_t *run = json_load_file(path, 0, &where);
  if (!run)
    return error_set(err, STATUS_USAGE, "%s is no run directory: %s: %s", directory, path,
                     where.text);
  *ret_run = run;
  return 0;
}

static int main_heal(struct cli *cli, const void *data, int argc, char **argv) {
  const struct heal_options *options = data;
  struct error err = ERROR_INIT;
  char directory[PATH_MAX];
  json_t *run = NULL;
  if (argc != 1) return cli_usage(cli, &command_heal);
  int status = cli_absolute(argv[0], directory, sizeof directory, &err);
  if (status == 0) status = read_run(directory, &run, &err);
  if (status < 0) return cli_fail(cli, &err);
  const char *name = json_string_value(json_object_get(run, "provider"));
  const char *id = json_string_value(json_object_get(run, "id"));
  bool keep = json_is_true(json_object_get(run, "kept"));
  pid_t pid = (pid_t)json_integer_value(json_object_get(run, "process"));
  const struct provider *provider = find_provider(&cli->tables, name);
  uint32_t healed = 0;
  if (!provider || !id)
    status =
        error_set(&err, STATUS_USAGE, "%s/run.json names no known provider and cluster", directory);
  else if (!keep && !options->force && pid > 0 && !json_is_true(json_object_get(run, "finished")) &&
           (kill(pid, 0) == 0 || errno == EPERM))
    status = error_set(&err, STATUS_USAGE,
                       "process %d, which makes this run, seems to be alive; end it, or --force",
                       (int)pid);
  else
    status = guard_clean_up(&(struct guard_spec){.tables = &cli->tables,
                                                 .provider = provider,
                                                 .run_directory = directory,
                                                 .cluster_id = id},
                            keep, &healed, &err);
  json_decref(run);
  if (status < 0) return cli_fail(cli, &err);
  if (keep)
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
