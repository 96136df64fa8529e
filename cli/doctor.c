/* gameday doctor: can this machine do it, and if not, what is missing and how to get it. */
#include "base/arena.h"
#include "base/cleanup.h"
#include "base/process.h"
#include "cli.h"
#include "scenario/param.h"

static const struct option_row rows[] = {{0}};

/* Programs that services and reports use; what providers need they tell themselves. */
static const struct {
  const char *program, *package, *use;
} programs[] = {
    {"openssl", "openssl", "the certificates of a run"},
    {"patroni", "patroni", "scenarios with the topology patroni"},
    {"etcd", "etcd-server", "scenarios with the topology patroni"},
    {"redis-server", "redis-server", "scenarios with the service redis"},
    {"gnuplot", "gnuplot-nox", "the plots of a report"},
    {"rsvg-convert", "librsvg2-bin", "PNG pictures where gnuplot cannot draw them"},
};

/* What a scenario that says nothing of the provider would give it. */
static int default_config(const struct plugin *plugin, struct arena *arena, void **ret_config,
                          struct error *err) {
  void *config = arena_alloc(arena, plugin->config_size ? plugin->config_size : 1);
  if (!config) return error_set(err, STATUS_MEMORY, "out of memory");
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(plugin->params, i)); i++) {
    int status = param_set_default(row, arena, config, err);
    if (status < 0) return status;
  }
  *ret_config = config;
  return 0;
}

static int main_doctor(struct cli *cli, const void *data, int argc, char **argv) {
  int code = EXIT_ENVIRONMENT;
  CLEANUP(arena_release) struct arena arena;
  arena_init(&arena, 0);
  (void)data;
  (void)argv;
  if (argc > 0) return cli_usage(cli, &command_doctor);
  for (const struct provider *const *row = cli->tables.providers; *row; row++) {
    const struct provider *provider = *row;
    struct error err = ERROR_INIT;
    char text[ERROR_MESSAGE_SIZE + ERROR_FILE_SIZE];
    void *config = NULL;
    if (default_config(&provider->plugin, &arena, &config, &err) < 0) return cli_fail(cli, &err);
    int status = provider->probe(config, &err);
    error_format(&err, text, sizeof text);
    printf("provider %-12s %s\n", provider->plugin.name, status == 0 ? "works here" : text);
    if (status == 0 && provider->probe_can &&
        provider->probe_can(config, provider->can, &err) < 0) {
      error_format(&err, text, sizeof text);
      printf("provider %-12s cannot do everything here: %s\n", provider->plugin.name, text);
    }
    /* The simulator works anywhere: that says nothing of this machine. */
    if (status == 0 && !provider->virtual_time) code = EXIT_MET;
  }
  for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
    if (process_exists(programs[i].program))
      printf("program  %-12s found\n", programs[i].program);
    else
      printf("program  %-12s missing, for %s: apt-get install %s\n", programs[i].program,
             programs[i].use, programs[i].package);
  return code;
}

const struct command command_doctor = {
    .name = "doctor",
    .usage = "doctor",
    .summary = "Tell what this machine can do, what is missing and how to get it.",
    .options = rows,
    .main = main_doctor,
};
