/* gameday cluster: a cluster for a person, who brings it up, looks around in it, takes it down. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cli.h"
#include "engine/guard.h"
#include "engine/hosts.h"
#include "engine/run_file.h"
#include "maker.h"

struct cluster_options {
  const char *provider, *out;
  struct option_list sets;
  bool force;
};

static const struct option_row rows[] = {
    {"provider", OPTION_TEXT, offsetof(struct cluster_options, provider), "NAME",
     "up: on this provider instead of the scenario's."},
    {"set", OPTION_LIST, offsetof(struct cluster_options, sets), "PATH=VALUE",
     "up: override a value of the scenario."},
    {"out", OPTION_TEXT, offsetof(struct cluster_options, out), "DIR",
     "up: where logs and state go; default gameday-runs/cluster-ID."},
    {"force", OPTION_FLAG, offsetof(struct cluster_options, force), NULL,
     "down: also when a run seems to go on on the cluster."},
    {0},
};

/* --- up -------------------------------------------------------------------------------------- */

static void ignore_event(struct sink *sink, const struct event *event) {
  (void)sink;
  (void)event;
}

static void ignore_sample(struct sink *sink, const struct sample *sample) {
  (void)sink;
  (void)sample;
}

static void print_access(const struct service_instance *service) {
  const struct access *access = &service->access;
  printf("service %s: user %s", service->service->plugin.name, access->user);
  if (access->database) printf(", database %s", access->database);
  printf(", certificate authority %s\n", access->ca_file ? access->ca_file : "none (no TLS)");
  for (uint32_t i = 0; i < access->endpoint_count; i++)
    printf("  %-10s %s:%u\n", access->endpoints[i].name, access->endpoints[i].address,
           access->endpoints[i].port);
}

static int kept_directory(const char *id, char *ret, size_t size, struct error *err) {
  char relative[64];
  snprintf(relative, sizeof relative, "gameday-runs/cluster-%s", id);
  return cli_absolute(relative, ret, size, err);
}

/* Starts the services of a cluster that is up. What start() left in the run directory is all that
 * is needed later, so the instances are released again. */
static int start_services(const struct scenario *scenario, struct cluster *cluster,
                          struct arena *arena, struct error *err) {
  struct sink sink = {.event = ignore_event, .sample = ignore_sample};
  struct service_instance *instances =
      arena_calloc(arena, scenario->service_count + 1, sizeof *instances);
  if (!instances) return error_set(err, STATUS_MEMORY, "out of memory");
  int status = hosts_bind(scenario, cluster, arena, &sink, &clock_monotonic,
                          clock_now_ns(&clock_monotonic), instances, err);
  uint32_t started = 0;
  while (status == 0 && started < scenario->service_count) {
    struct service_instance *service = &instances[started++];
    status = service->service->start(service, err);
    if (status == 0) print_access(service);
  }
  while (started-- > 0) instances[started].service->release(&instances[started]);
  return status;
}

static int bring_up(const struct scenario *scenario, const char *directory, const char *id,
                    struct error *err) {
  struct host_spec hosts[HOSTS_MAX];
  uint32_t count = 0;
  struct arena arena;
  struct cluster *cluster = NULL;
  arena_init(&arena, 0);
  int status = hosts_plan(scenario, &arena, hosts, &count, err);
  struct cluster_spec spec = {
      .id = id, .run_directory = directory, .hosts = hosts, .host_count = count, .keep = true};
  const struct provider *provider = scenario->provider;
  struct run_file file = {.run_directory = directory,
                          .cluster_id = id,
                          .scenario = scenario,
                          .wall_start_ns = clock_wall_ns(),
                          .kept = true};
  if (status == 0) status = run_file_write_scenario(scenario, directory, err);
  if (status == 0) status = run_file_write(&file, err);
  if (status == 0) status = provider->up(scenario->provider_config, &spec, &cluster, err);
  if (status == 0) status = start_services(scenario, cluster, &arena, err);
  file.cluster = cluster;
  if (status == 0) status = run_file_write(&file, err);
  if (status < 0 && cluster) (void)guard_remove_cluster(provider, directory, id, NULL);
  if (cluster) provider->detach(cluster);
  arena_release(&arena);
  return status;
}

/* Until it is whole, the guard stands by: an interrupted or killed `up` leaves nothing. */
static int up_guarded(struct cli *cli, const struct cluster_options *options,
                      const struct scenario *scenario) {
  char id[16], directory[PATH_MAX];
  struct error err = ERROR_INIT;
  struct guard guard = {.pid = 0};
  CLEANUP_CLOSE int lock = -1;
  int status = scenario->provider->probe(scenario->provider_config, &err);
  if (status == 0) status = cluster_id_make(id, &err);
  if (status == 0 && options->out)
    status = cli_absolute(options->out, directory, sizeof directory, &err);
  else if (status == 0)
    status = kept_directory(id, directory, sizeof directory, &err);
  if (status == 0) status = cli_make_run_directory(directory, &lock, &err);
  struct guard_spec guarded = {.tables = &cli->tables,
                               .provider = scenario->provider,
                               .run_directory = directory,
                               .cluster_id = id};
  if (status == 0) status = guard_start(&guarded, &guard, &err);
  if (status == 0) status = bring_up(scenario, directory, id, &err);
  if (status < 0) {
    struct error left = ERROR_INIT;
    int code = cli_fail(cli, &err);
    if (guard_trip(&guard, directory, &left) < 0) (void)cli_fail(cli, &left);
    return code;
  }
  guard_dismiss(&guard);
  printf(
      "cluster %s is up; its logs are in %s/logs\n"
      "  gameday cluster exec %s HOST -- COMMAND\n  gameday cluster down %s\n",
      id, directory, id, id);
  return EXIT_MET;
}

static int cluster_up(struct cli *cli, const struct cluster_options *options, int argc,
                      char **argv) {
  if (argc != 1) return cli_usage(cli, &command_cluster);
  struct scenario scenario;
  int code = cli_load_scenario(cli, argv[0], options->provider, &options->sets, &scenario);
  if (code != EXIT_MET) return code;
  code = up_guarded(cli, options, &scenario);
  scenario_release(&scenario);
  return code;
}

/* --- list, and finding one ------------------------------------------------------------------- */

static int print_cluster(void *data, const char *id, const char *run_directory) {
  const struct provider *provider = data;
  printf("%-18s %-12s %s\n", id, provider->plugin.name, run_directory);
  return 0;
}

static int cluster_list(struct cli *cli, int argc) {
  if (argc != 0) return cli_usage(cli, &command_cluster);
  for (const struct provider *const *row = cli->tables.providers; *row; row++) {
    struct error err = ERROR_INIT;
    if (!(*row)->list) continue;
    int status = (*row)->list(print_cluster, (void *)(uintptr_t)*row, &err);
    if (status < 0) return cli_fail(cli, &err);
  }
  return EXIT_MET;
}

struct search {
  const char *id;
  char run_directory[PATH_MAX];
};

static int match_cluster(void *data, const char *id, const char *run_directory) {
  struct search *search = data;
  if (strcmp(search->id, id) != 0) return 0;
  snprintf(search->run_directory, sizeof search->run_directory, "%s", run_directory);
  return 1;
}

static int find_cluster(struct cli *cli, struct search *search,
                        const struct provider **ret_provider, struct error *err) {
  for (const struct provider *const *row = cli->tables.providers; *row; row++) {
    int status = (*row)->list ? (*row)->list(match_cluster, search, err) : 0;
    if (status < 0) return status;
    if (status == 0) continue;
    *ret_provider = *row;
    return 0;
  }
  return error_set(err, STATUS_USAGE,
                   "there is no cluster %s here; `gameday cluster list` lists them", search->id);
}

/* --- exec, down ------------------------------------------------------------------------------ */

/* On a server host the command runs inside the host; on a client or the monitor, which are networks
 * and nothing else, it is a command of this machine on that network. */
static int exec_on(struct cluster *cluster, const char *host_name, const char *const argv[],
                   int *ret_code, struct error *err) {
  const struct host *host = NULL;
  for (uint32_t i = 0; i < cluster->host_count; i++)
    if (strcmp(cluster->hosts[i].name, host_name) == 0) host = &cluster->hosts[i];
  if (!host)
    return error_set(err, STATUS_USAGE, "cluster %s has no host %s", cluster->id, host_name);
  struct process_spec spec = {.argv = argv,
                              .inherits_input = !isatty(STDIN_FILENO), /* it is in the background */
                              .stdout_fd = STDOUT_FILENO,
                              .stderr_fd = STDERR_FILENO,
                              .dies_with_parent = true,
                              .timeout_ns = 24 * 3600 * NS_PER_S};
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  int status;
  if (host->kind == HOST_SERVER) {
    status = cluster->provider->exec(cluster, host, NULL, &spec, &result, err);
  } else {
    status = cluster->provider->network_enter(cluster, host, err);
    if (status == 0) status = process_run(&spec, &result, err);
  }
  if (status == 0) *ret_code = result.exit_code;
  return status;
}

static int cluster_exec(struct cli *cli, int argc, char **argv) {
  if (argc < 3) return cli_usage(cli, &command_cluster);
  struct error err = ERROR_INIT;
  struct search search = {.id = argv[0]};
  const struct provider *provider = NULL;
  struct cluster *cluster = NULL;
  int code = EXIT_INTERNAL;
  fflush(stdout);
  int status = find_cluster(cli, &search, &provider, &err);
  if (status == 0) status = provider->attach(search.run_directory, &cluster, &err);
  if (status < 0) return cli_fail(cli, &err);
  status = exec_on(cluster, argv[1], (const char *const *)(argv + 2), &code, &err);
  provider->detach(cluster);
  return status < 0 ? cli_fail(cli, &err) : code;
}

/* The cluster of a run that goes on is not taken away by mistake. */
static int check_idle(const struct search *search, struct error *err) {
  struct maker maker;
  if (maker_read(search->run_directory, &maker, NULL) < 0 || !maker_is_busy(&maker)) return 0;
  return error_set(err, STATUS_USAGE,
                   "cluster %s belongs to a run of %s that goes on (process %d, record in %s): end "
                   "that, or --force",
                   search->id, maker.scenario, (int)maker.process, search->run_directory);
}

static int cluster_down(struct cli *cli, const struct cluster_options *options, int argc,
                        char **argv) {
  if (argc != 1) return cli_usage(cli, &command_cluster);
  struct error err = ERROR_INIT;
  struct search search = {.id = argv[0]};
  const struct provider *provider = NULL;
  int status = find_cluster(cli, &search, &provider, &err);
  if (status == 0 && !options->force) status = check_idle(&search, &err);
  if (status == 0) status = guard_remove_cluster(provider, search.run_directory, search.id, &err);
  if (status < 0) return cli_fail(cli, &err);
  log_print(&cli->log, LOG_INFO, "cluster %s is gone; its logs stay in %s", search.id,
            search.run_directory);
  return EXIT_MET;
}

static int main_cluster(struct cli *cli, const void *data, int argc, char **argv) {
  if (argc < 1) return cli_usage(cli, &command_cluster);
  if (strcmp(argv[0], "up") == 0) return cluster_up(cli, data, argc - 1, argv + 1);
  if (strcmp(argv[0], "list") == 0) return cluster_list(cli, argc - 1);
  if (strcmp(argv[0], "exec") == 0) return cluster_exec(cli, argc - 1, argv + 1);
  if (strcmp(argv[0], "down") == 0) return cluster_down(cli, data, argc - 1, argv + 1);
  log_print(&cli->log, LOG_ERROR, "cluster: there are up, list, exec and down, not '%s'", argv[0]);
  return EXIT_BAD_USAGE;
}

const struct command command_cluster = {
    .name = "cluster",
    .usage =
        "cluster up SCENARIO.yaml [OPTIONS] | list | exec ID HOST -- COMMAND... | down ID "
        "[--force]",
    .summary = "Keep a cluster for a person: bring it up, look into its hosts, take it down.",
    .more =
        "exec runs a command inside a host, as root, and passes its output, its exit code and, if\n"
        "that is no terminal, its standard input on. On a client host or the monitor it runs a\n"
        "command of this machine on that host's network, where the names of the hosts resolve.",
    .options = rows,
    .options_size = sizeof(struct cluster_options),
    .main = main_cluster,
};
