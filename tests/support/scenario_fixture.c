/* The tables of tests/support/scenario_fixture.h. */
#include "support/scenario_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "scenario/param.h"
#include "scenario/sections.h"

#define FIELD(s, f) .offset = offsetof(struct s, f)

static const char *const shelves[] = {"upper", "lower", NULL};
static const struct param lab_params[] = {
    {.key = "memory",
     .type = PARAM_SIZE,
     FIELD(lab_config, memory_bytes),
     .default_text = "1GiB",
     .minimum = "64MiB",
     .maximum = "64GiB",
     .help = "Memory of a host."},
    {.key = "shelf",
     .type = PARAM_CHOICE,
     FIELD(lab_config, shelf),
     .default_text = "lower",
     .choices = shelves,
     .help = "Where it stands."},
    {0},
};
static const struct provider provider_lab = {
    .plugin = {.name = "lab",
               .summary = "Hosts in a laboratory",
               .params = lab_params,
               .config_size = sizeof(struct lab_config)},
    .can = CAN_HOST_POWER | CAN_SIGNAL | CAN_FREEZE | CAN_UNITS | CAN_EXEC,
};
static const struct provider provider_glass = {
    .plugin = {.name = "glass", .summary = "Hosts behind glass: look, do not touch"},
    .can = CAN_UNITS | CAN_EXEC,
    .clients_max = 30,
};

static const char *const topologies[] = {"pair", "chain", NULL};
static const struct param store_params[] = {
    {.key = "topology",
     .type = PARAM_CHOICE,
     FIELD(store_config, topology),
     .default_text = "chain",
     .choices = topologies,
     .help = "How the hosts are arranged."},
    {.key = "instances",
     .type = PARAM_COUNT,
     FIELD(store_config, instances),
     .default_text = "3",
     .minimum = "1",
     .maximum = "7",
     .help = "How many hosts."},
    {.key = "ttl",
     .type = PARAM_DURATION,
     FIELD(store_config, ttl_ns),
     .default_text = "30s",
     .minimum = "5s",
     .maximum = "300s",
     .help = "How long a leader is believed."},
    {.key = "synchronous",
     .type = PARAM_BOOL,
     FIELD(store_config, synchronous),
     .default_text = "false",
     .help = "Whether writes wait for a replica."},
    {.key = "weight",
     .type = PARAM_NUMBER,
     FIELD(store_config, weight),
     .default_text = "1.5",
     .help = "A number."},
    {.key = "offset",
     .type = PARAM_INTEGER,
     FIELD(store_config, offset),
     .minimum = "-10",
     .maximum = "10",
     .help = "A whole number that may be negative."},
    {.key = "memory",
     .type = PARAM_SIZE,
     FIELD(store_config, memory_bytes),
     .minimum = "1MiB",
     .help = "Memory; none is no limit."},
    {.key = "suite", .type = PARAM_STRING, FIELD(store_config, suite), .help = "A text."},
    {.key = "parameters",
     .type = PARAM_SETTINGS,
     FIELD(store_config, parameters),
     .help = "Settings of the server."},
    {0},
};

static int store_validate(const void *config, struct error *err) {
  const struct store_config *store = config;
  if (store->topology == 0 && store->instances != 2)
    return error_set(err, STATUS_USAGE, "a pair has 2 instances, not %u", store->instances);
  return 0;
}

static int store_plan(const void *config, struct host_spec *ret_hosts, uint32_t *ret_count,
                      struct error *err) {
  static const char *const names[] = {"st1", "st2", "st3", "st4", "st5", "st6", "st7"};
  const struct store_config *store = config;
  (void)err;
  for (uint32_t i = 0; i < store->instances; i++)
    ret_hosts[i] = (struct host_spec){.name = names[i], .kind = HOST_SERVER};
  *ret_count = store->instances;
  return 0;
}

static bool store_can_step(const void *config, enum service_step step) {
  const struct store_config *store = config;
  return step == STEP_SWITCHOVER && store->topology == 1;
}

static uint32_t store_connections(const void *config, char *because, size_t size) {
  (void)config;
  snprintf(because, size, "40, less 2");
  return 38;
}

/* One that is called a ring has three shards. */
static uint32_t store_shards(const void *config) {
  const struct store_config *store = config;
  return store->suite && strcmp(store->suite, "ring") == 0 ? 3 : 0;
}

static const struct service_process store_processes[] = {
    {.name = "server"}, {.name = "manager"}, {.name = NULL}};
static const struct service service_store = {
    .plugin = {.name = "store",
               .summary = "A store",
               .params = store_params,
               .config_size = sizeof(struct store_config),
               .validate = store_validate},
    .needs = CAN_UNITS,
    .processes = store_processes,
    .plan = store_plan,
    .can_step = store_can_step,
    .shards = store_shards,
    .connections = store_connections,
};

static int cache_plan(const void *config, struct host_spec *ret_hosts, uint32_t *ret_count,
                      struct error *err) {
  (void)config;
  (void)err;
  ret_hosts[0] = (struct host_spec){.name = "ca1", .kind = HOST_SERVER};
  *ret_count = 1;
  return 0;
}
static const struct service service_cache = {
    .plugin = {.name = "cache", .summary = "A cache"}, .needs = CAN_EXEC, .plan = cache_plan};

static const struct param ledger_params[] = {
    {.key = "rate",
     .type = PARAM_RATE,
     FIELD(ledger_config, rate),
     .required = true,
     .minimum = "1/min",
     .maximum = "100000/s",
     .help = "Operations."},
    {.key = "reads",
     .type = PARAM_RATIO,
     FIELD(ledger_config, reads),
     .default_text = "20%",
     .maximum = "100%",
     .help = "Part of the operations that read."},
    {.key = "clients",
     .type = PARAM_COUNT,
     FIELD(ledger_config, clients),
     .default_text = "8",
     .minimum = "1",
     .help = "How many clients."},
    {.key = "patience",
     .type = PARAM_DURATION,
     FIELD(ledger_config, patience_ns),
     .default_text = "1500ms",
     .help = "How long a client waits."},
    {0},
};
/* Clients that follow the primary, and one for each host and each shard. */
static int ledger_classes(const struct workload_env *env, struct client_class *ret_classes,
                          uint32_t max, uint32_t *ret_count, struct error *err) {
  const struct ledger_config *ledger = env->config;
  uint32_t count = 0;
  if (max < 2 + env->access->endpoint_count) return error_set(err, STATUS_USAGE, "too many");
  ret_classes[count++] = (struct client_class){.count = ledger->clients, .host = HOST_NONE};
  ret_classes[count++] = (struct client_class){.count = env->access->shards, .host = HOST_NONE};
  for (uint32_t i = 0; i < env->access->endpoint_count; i++)
    ret_classes[count++] =
        (struct client_class){.count = 1, .host = env->access->endpoints[i].host};
  *ret_count = count;
  return 0;
}

static const struct workload workload_ledger = {
    .plugin = {.name = "ledger",
               .summary = "Writes rows",
               .params = ledger_params,
               .config_size = sizeof(struct ledger_config)},
    .service = "store",
    .classes = ledger_classes,
    .payload_offset = SIZE_MAX,
};
static const struct workload workload_pings = {.plugin = {.name = "pings", .summary = "Pings"},
                                               .service = "cache",
                                               .payload_offset = SIZE_MAX};

#define TARGET_ROW                                                                        \
  {                                                                                       \
    .key = "target", .type = PARAM_TARGET, FIELD(fault_config, target), .required = true, \
    .help = "Which host."                                                                 \
  }
static const char *const signals[] = {"SIGKILL", "SIGTERM", NULL};
static const struct param target_params[] = {TARGET_ROW, {0}};
static const struct param kill_params[] = {
    TARGET_ROW,
    {.key = "process",
     .type = PARAM_STRING,
     FIELD(fault_config, process),
     .required = true,
     .help = "Which process."},
    {.key = "signal",
     .type = PARAM_CHOICE,
     FIELD(fault_config, signal),
     .default_text = "SIGKILL",
     .choices = signals,
     .help = "Which signal."},
    {0},
};
static const struct param noise_params[] = {
    {.key = "level",
     .type = PARAM_RATIO,
     FIELD(fault_config, level),
     .default_text = "50%",
     .help = "How loud."},
    {0},
};
static const struct injector injector_crash = {
    .plugin = {.name = "host-crash",
               .summary = "Power off",
               .params = target_params,
               .config_size = sizeof(struct fault_config)},
    .needs = CAN_HOST_POWER,
    .target_offset = offsetof(struct fault_config, target),
    .process_offset = SIZE_MAX,
};
static const struct injector injector_kill = {
    .plugin = {.name = "process-kill",
               .summary = "A signal",
               .params = kill_params,
               .config_size = sizeof(struct fault_config)},
    .needs = CAN_SIGNAL,
    .target_offset = offsetof(struct fault_config, target),
    .process_offset = offsetof(struct fault_config, process),
};
static const struct injector injector_freeze = {
    .plugin = {.name = "freeze",
               .summary = "Stands still",
               .params = target_params,
               .config_size = sizeof(struct fault_config)},
    .needs = CAN_FREEZE,
    .target_offset = offsetof(struct fault_config, target),
    .process_offset = SIZE_MAX,
};
static const struct injector injector_noise = {
    .plugin = {.name = "noise",
               .summary = "Noise everywhere",
               .params = noise_params,
               .config_size = sizeof(struct fault_config)},
    .target_offset = SIZE_MAX,
    .process_offset = SIZE_MAX,
};
static const struct injector injector_switchover = {
    .plugin = {.name = "switchover",
               .summary = "Planned",
               .params = target_params,
               .config_size = sizeof(struct fault_config)},
    .flags = INJECTOR_PLANNED,
    .step = STEP_SWITCHOVER,
    .target_offset = offsetof(struct fault_config, target),
    .process_offset = SIZE_MAX,
};

static const struct provider *const fixture_providers[] = {&provider_lab, &provider_glass, NULL};
static const struct service *const fixture_services[] = {&service_store, &service_cache, NULL};
static const struct workload *const fixture_workloads[] = {&workload_ledger, &workload_pings, NULL};
static const struct injector *const fixture_injectors[] = {
    &injector_crash, &injector_kill, &injector_freeze, &injector_noise, &injector_switchover, NULL};

static const struct {
  const char *name;
  enum unit unit;
  bool at_least;
} measures[] = {
    {"failover_time", UNIT_DURATION, false}, {"data_loss", UNIT_COUNT, false},
    {"availability", UNIT_RATIO, true},      {"replication_lag.p99", UNIT_DURATION, false},
    {"lag_size", UNIT_SIZE, false},          {"write_rate", UNIT_RATE, true},
    {"amplification", UNIT_NONE, false},
};
static const char *const measure_names[] = {"failover_time",       "data_loss", "availability",
                                            "replication_lag.p99", "lag_size",  "write_rate",
                                            "amplification",       NULL};

static bool measure(const char *name, enum unit *ret_unit, bool *ret_at_least) {
  for (size_t i = 0; i < sizeof measures / sizeof measures[0]; i++) {
    if (strcmp(measures[i].name, name) != 0) continue;
    *ret_unit = measures[i].unit;
    *ret_at_least = measures[i].at_least;
    return true;
  }
  return false;
}

const struct scenario_tables fixture_tables = {
    .providers = fixture_providers,
    .services = fixture_services,
    .workloads = fixture_workloads,
    .injectors = fixture_injectors,
    .measure = measure,
    .measure_names = measure_names,
};

const char fixture_minimal[] =
    "name: small\n"
    "cluster: {provider: lab, services: {store: {}}}\n"
    "workloads:\n"
    "  - ledger: {rate: 200/s}\n"
    "timeline:\n"
    "  - at: 10s\n"
    "    host-crash: {target: store.primary}\n"
    "objectives:\n"
    "  failover_time: <= 45s\n";

char *fixture_mistakes(const char *yaml, const struct scenario_override *overrides,
                       uint32_t override_count) {
  CLEANUP_FREE struct scenario_errors *errors = calloc(1, sizeof *errors);
  struct scenario scenario;
  struct error err = ERROR_INIT;
  struct buf text;
  buf_init(&text);
  if (!errors) return NULL;
  int status = scenario_parse("s.yaml", yaml, strlen(yaml), &fixture_tables, overrides,
                              override_count, &scenario, errors, &err);
  for (uint32_t i = 0; status < 0 && i < errors->count; i++) {
    char line[ERROR_MESSAGE_SIZE + ERROR_FILE_SIZE + 32];
    error_format(&errors->errors[i], line, sizeof line);
    buf_printf(&text, "%s\n", line);
  }
  scenario_release(&scenario);
  char *copy = text.length ? buf_steal(&text) : strdup("");
  buf_release(&text);
  return copy;
}

static bool same_text(const char *a, const char *b) {
  return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_settings(const struct settings *a, const struct settings *b) {
  if (a->count != b->count) return false;
  for (uint32_t i = 0; i < a->count; i++)
    if (!same_text(a->items[i].name, b->items[i].name) ||
        !same_text(a->items[i].value, b->items[i].value))
      return false;
  return true;
}

static bool same_names(const struct names *a, const struct names *b) {
  if (a->count != b->count) return false;
  for (uint32_t i = 0; i < a->count; i++)
    if (!same_text(a->items[i], b->items[i])) return false;
  return true;
}

/* Field by field, as the table names them. */
static const char *config_difference(const struct param *table, const void *a, const void *b) {
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(table, i)); i++) {
    const void *left = (const char *)a + row->offset, *right = (const char *)b + row->offset;
    bool same = true;
    switch (row->type) {
      case PARAM_BOOL: same = *(const bool *)left == *(const bool *)right; break;
      case PARAM_COUNT:
      case PARAM_CHOICE: same = memcmp(left, right, sizeof(uint32_t)) == 0; break;
      case PARAM_INTEGER:
      case PARAM_DURATION:
      case PARAM_SIZE:
      case PARAM_NUMBER:
      case PARAM_RATE:
      case PARAM_RATIO: same = memcmp(left, right, sizeof(uint64_t)) == 0; break;
      case PARAM_STRING:
        same = same_text(*(const char *const *)left, *(const char *const *)right);
        break;
      case PARAM_TARGET: same = target_equal(left, right); break;
      case PARAM_SETTINGS: same = same_settings(left, right); break;
      case PARAM_COUNTS:
      case PARAM_DURATIONS: same = memcmp(left, right, sizeof(struct param_range)) == 0; break;
      case PARAM_NAMES: same = same_names(left, right); break;
    }
    if (!same) return row->key;
  }
  return NULL;
}

static const char *timeline_difference(const struct scenario *a, const struct scenario *b) {
  for (uint32_t i = 0; i < a->timeline_count; i++) {
    const struct timeline_entry *x = &a->timeline[i], *y = &b->timeline[i];
    if (x->injector != y->injector || !same_text(x->name, y->name)) return "injector or name";
    if (x->at_ns != y->at_ns || x->after_recovery != y->after_recovery) return "at";
    if (x->jitter_ns != y->jitter_ns || x->for_ns != y->for_ns) return "jitter or for";
    const char *key = config_difference(x->injector->plugin.params, x->config, y->config);
    if (key) return key;
  }
  return NULL;
}

static const char *parts_difference(const struct scenario *a, const struct scenario *b) {
  const char *key =
      config_difference(a->provider->plugin.params, a->provider_config, b->provider_config);
  for (uint32_t i = 0; i < a->service_count && !key; i++) {
    if (a->services[i].service != b->services[i].service) return "service";
    key = config_difference(a->services[i].service->plugin.params, a->services[i].config,
                            b->services[i].config);
  }
  for (uint32_t i = 0; i < a->workload_count && !key; i++) {
    if (a->workloads[i].workload != b->workloads[i].workload) return "workload";
    key = config_difference(a->workloads[i].workload->plugin.params, a->workloads[i].config,
                            b->workloads[i].config);
  }
  for (uint32_t i = 0; i < a->objective_count && !key; i++) {
    const struct scenario_objective *x = &a->objectives[i], *y = &b->objectives[i];
    if (!same_text(x->name, y->name) || !same_text(x->text, y->text) ||
        !same_text(x->statistic, y->statistic) || x->unit != y->unit ||
        x->at_least != y->at_least || x->bound < y->bound || x->bound > y->bound)
      return "objective";
  }
  return key ? key : timeline_difference(a, b);
}

static const char *explore_difference(const struct scenario_explore *a,
                                      const struct scenario_explore *b) {
  if (a->given != b->given) return "explore";
  if (!a->given) return NULL;
  const char *key = config_difference(explore_params, a, b);
  for (uint32_t i = 0; i < a->names.count && !key; i++)
    if (a->injectors[i] != b->injectors[i]) key = "explore's injectors";
  return key;
}

const char *fixture_difference(const struct scenario *a, const struct scenario *b) {
  if (!same_text(a->name, b->name)) return "name";
  if (!same_text(a->description, b->description)) return "description";
  if (a->seed_given != b->seed_given || a->seed != b->seed) return "seed";
  if (a->repeat != b->repeat || a->provider != b->provider) return "repeat or provider";
  if (a->client_hosts != b->client_hosts || a->workers != b->workers) return "hosts or workers";
  if (a->start_timeout_ns != b->start_timeout_ns) return "start_timeout";
  if (a->recovery_timeout_ns != b->recovery_timeout_ns ||
      a->converge_timeout_ns != b->converge_timeout_ns ||
      a->latency_bound_ns != b->latency_bound_ns)
    return "timeouts";
  if (a->warmup_ns != b->warmup_ns || a->settle_ns != b->settle_ns ||
      a->duration_ns != b->duration_ns || a->load_minimum != b->load_minimum)
    return "load";
  if (a->outage_min_ns != b->outage_min_ns || a->lag_bound_bytes != b->lag_bound_bytes)
    return "measure";
  if (a->service_count != b->service_count || a->workload_count != b->workload_count ||
      a->timeline_count != b->timeline_count || a->objective_count != b->objective_count)
    return "counts";
  const char *explore = explore_difference(&a->explore, &b->explore);
  if (explore) return explore;
  return parts_difference(a, b);
}
