/* How long a fault takes on local hosts, for `./dev bench fault`: from the decision until its
 * effect is seen, and from the heal until it is seen to be gone. The same hooks as in a run, on
 * hosts that have nothing else to do. A row a case; every line ends in the target where there is
 * one.
 *
 * usage: bench-fault [ROUNDS] (50) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/file.h"
#include "clusters/clusters.h"
#include "gameday/injector.h"
#include "scenario/param.h"

#define ROUNDS 50
#define ROUNDS_MAX 1000
#define SERVERS_MAX 7

struct row {
  const char *injector;
  uint32_t servers;
  const char *given[3]; /* "key=value", ended by NULL */
  double target_ms;
};
static const struct row rows[] = {
    {.injector = "net-partition", .servers = 3, .target_ms = 20},
    {.injector = "net-partition", .servers = 5, .given = {"hosts=2"}, .target_ms = 20},
    {.injector = "net-partition", .servers = 7, .given = {"hosts=3"}, .target_ms = 20},
    {.injector = "net-partition", .servers = 7, .given = {"shape=ring"}, .target_ms = 20},
    {.injector = "net-partition",
     .servers = 3,
     .given = {"connections=established", "action=reset"},
     .target_ms = 20},
    {.injector = "net-partition", .servers = 3, .given = {"shape=from-store"}, .target_ms = 20},
    {.injector = "process-pause", .servers = 3, .target_ms = 10},
};

static struct error err;

static void must(int status) {
  if (status == 0) return;
  fprintf(stderr, "bench-fault: %s\n", err.message);
  exit(1);
}

static double since_ms(uint64_t begin_ns) {
  return (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e6;
}

static const struct injector *injector_named(const char *name) {
  const struct injector *const *row = injectors;
  while (*row && strcmp((*row)->plugin.name, name) != 0) row++;
  if (!*row) must(error_set(&err, STATUS_USAGE, "there is no injector %s", name));
  return *row;
}

static void *config_of(const struct plugin *plugin, const char *const given[],
                       struct arena *arena) {
  void *config = arena_alloc(arena, plugin->config_size);
  if (!config) must(error_set(&err, STATUS_MEMORY, "out of memory"));
  for (const struct param *row = plugin->params; row && row->key; row++) {
    size_t length = strlen(row->key);
    must(param_set_default(row, arena, config, &err));
    if (row->type == PARAM_TARGET && row->required)
      must(param_parse(row, "host/h1", arena, config, &err));
    for (const char *const *text = given; text && *text; text++)
      if (strncmp(*text, row->key, length) == 0 && (*text)[length] == '=')
        must(param_parse(row, *text + length + 1, arena, config, &err));
  }
  return config;
}

/* Asks as the timeline does, without its pauses. */
static void await(struct injection *in, bool expected) {
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  for (;;) {
    bool active = !expected;
    must(in->injector->confirm(in, &active, &err));
    if (active == expected) return;
    if (since_ms(begin_ns) > 10000)
      must(error_set(&err, STATUS_TIMEOUT, "%s: no effect", in->injector->plugin.name));
  }
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print(const char *what, double *values_ms, uint32_t count, double target_ms) {
  char target[32] = "";
  qsort(values_ms, count, sizeof *values_ms, compare);
  if (target_ms > 0) snprintf(target, sizeof target, " (target <= %.0f ms)", target_ms);
  printf("  %-18s median %6.2f ms, 95th percentile %6.2f ms of %u%s\n", what, values_ms[count / 2],
         values_ms[(count * 95 + 99) / 100 - 1], count, target);
}

static const uint16_t *store_ports(const void *config) {
  static const uint16_t ports[] = {2379, 2380, 0};
  (void)config;
  return ports;
}

static void measure(const struct row *row, struct cluster *cluster, struct arena *arena,
                    uint32_t rounds) {
  static const struct service nothing = {.plugin = {.name = "nothing"}, .store_ports = store_ports};
  const struct injector *injector = injector_named(row->injector);
  const struct host *members[SERVERS_MAX] = {NULL};
  double effect_ms[ROUNDS_MAX] = {0}, gone_ms[ROUNDS_MAX] = {0};
  for (uint32_t i = 0; i < row->servers; i++) members[i] = &cluster->hosts[i];
  struct service_instance service = {
      .service = &nothing, .cluster = cluster, .members = members, .member_count = row->servers};
  struct injection in = {.injector = injector,
                         .config = config_of(&injector->plugin, row->given, arena),
                         .cluster = cluster,
                         .host = members[0],
                         .service = &service,
                         .state = arena_alloc(arena, injector->plugin.state_size + 1)};
  if (!in.state) must(error_set(&err, STATUS_MEMORY, "out of memory"));
  for (uint32_t i = 0; i < rounds; i++) {
    uint64_t begin_ns = clock_now_ns(&clock_monotonic);
    must(injector->inject(&in, &err));
    await(&in, true);
    effect_ms[i] = since_ms(begin_ns);
    begin_ns = clock_now_ns(&clock_monotonic);
    must(injector->heal(&in, &err));
    await(&in, false);
    gone_ms[i] = since_ms(begin_ns);
  }
  printf("fault: %s", row->injector);
  for (const char *const *text = row->given; *text; text++) printf(" %s", *text);
  printf(", %u servers\n", row->servers);
  print("to effect seen", effect_ms, rounds, row->target_ms);
  print("to effect gone", gone_ms, rounds, 0);
}

static void run_row(const struct row *row, uint32_t rounds) {
  char directory[] = "/tmp/gameday-bench-XXXXXX", names[SERVERS_MAX][16], id[32];
  struct host_spec hosts[SERVERS_MAX];
  struct cluster *cluster = NULL;
  struct arena arena;
  arena_init(&arena, 0);
  if (!mkdtemp(directory)) must(error_set(&err, STATUS_SYSTEM, "cannot make %s", directory));
  for (uint32_t i = 0; i < row->servers; i++) {
    snprintf(names[i], sizeof names[i], "h%u", i + 1);
    hosts[i] = (struct host_spec){.name = names[i], .kind = HOST_SERVER};
  }
  snprintf(id, sizeof id, "bench-%d", (int)getpid());
  const struct cluster_spec spec = {
      .id = id, .run_directory = directory, .hosts = hosts, .host_count = row->servers};
  const void *config = config_of(&provider_local.plugin, NULL, &arena);
  must(provider_local.probe(config, &err));
  must(provider_local.up(config, &spec, &cluster, &err));
  measure(row, cluster, &arena, rounds);
  provider_local.detach(cluster);
  must(provider_local.destroy(directory, id, &err));
  must(directory_remove(directory, &err));
  arena_release(&arena);
}

int main(int argc, char **argv) {
  unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;
  if (rounds < 1 || rounds > ROUNDS_MAX) {
    fprintf(stderr, "usage: bench-fault [ROUNDS] (1 to %d)\n", ROUNDS_MAX);
    return 2;
  }
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) run_row(&rows[i], (uint32_t)rounds);
  return 0;
}
