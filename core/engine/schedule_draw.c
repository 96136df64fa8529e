/* What a scenario leaves to chance, and the drawing of schedules from it. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/prng.h"
#include "engine/schedule.h"

/* A fault that finds no place after so many draws is left out, as far as the bounds allow. */
#define PLACE_TRIES 64
#define SCHEDULE_TRIES 64

static int out_of_memory(struct error *err) {
  return error_set(err, STATUS_MEMORY, "out of memory for the rules of schedules");
}

/* --- rules ----------------------------------------------------------------------------------- */

static int add_service(struct schedule_rules *rules, const struct scenario_service *row,
                       struct arena *arena, struct error *err) {
  struct host_spec planned[HOSTS_MAX];
  uint32_t count = 0;
  int status = row->service->plan(row->config, planned, &count, err);
  if (status < 0) return status;
  struct schedule_service *service = &rules->services[rules->service_count++];
  *service = (struct schedule_service){.name = row->service->plugin.name,
                                       .hosts = arena_calloc(arena, count, sizeof(char *)),
                                       .host_count = count,
                                       .down_max = count};
  if (!service->hosts) return out_of_memory(err);
  for (uint32_t i = 0; i < count; i++) {
    service->hosts[i] = arena_strdup(arena, planned[i].name);
    if (!service->hosts[i]) return out_of_memory(err);
  }
  if (row->service->shards) service->shards = row->service->shards(row->config);
  /* The hosts of one shard have nobody but each other. */
  uint32_t peers = service->shards > 0 ? count / service->shards : count;
  /* Where there is no majority to be kept, one at a time. */
  if (!rules->bounds.allow_quorum_loss) service->down_max = peers > 2 ? (peers - 1) / 2 : 1;
  return 0;
}

struct kinds {
  struct schedule_rules *rules;
  const struct scenario *scenario;
  struct arena *arena;
};

/* Whether the injector takes what the rules choose, with its defaults for the rest. */
static int try_kind(struct kinds *kinds, enum target_kind target, bool *ret_valid,
                    struct error *err) {
  const struct schedule_rules *rules = kinds->rules;
  struct schedule one = {.count = 1, .faults = {{.kind = rules->kind_count - 1, .target = target}}};
  struct scenario with;
  int status = schedule_apply(rules, &one, 0, kinds->scenario, kinds->arena, &with, err);
  if (status < 0) return status;
  const struct injector *injector = with.timeline[0].injector;
  const void *config = with.timeline[0].config;
  uint32_t service = rules->kinds[rules->kind_count - 1].service;
  const struct service *real = kinds->scenario->services[service].service;
  const struct provider *provider = kinds->scenario->provider;
  const struct service *model = provider->model ? provider->model(real) : NULL;
  const struct fault_place place = {.service = model ? model : real,
                                    .service_config = kinds->scenario->services[service].config,
                                    .host_count = rules->services[service].host_count,
                                    .client_host_count = kinds->scenario->client_hosts};
  *ret_valid = (!injector->plugin.validate || injector->plugin.validate(config, NULL) == 0) &&
               (!injector->fits || injector->fits(config, &place, NULL) == 0);
  return 0;
}

static int add_kind(struct kinds *kinds, const struct injector *injector, uint32_t service,
                    const char *process, struct error *err) {
  struct schedule_rules *rules = kinds->rules;
  struct schedule_kind *kind = &rules->kinds[rules->kind_count++];
  const char *of = rules->service_count > 1 ? rules->services[service].name : "";
  *kind = (struct schedule_kind){
      .injector = injector,
      .service = service,
      .process = process,
      .name = arena_printf(kinds->arena, "%s%s%s%s%s", injector->plugin.name, *of ? " " : "", of,
                           process ? " " : "", process ? process : "")};
  if (!kind->name) return out_of_memory(err);
  bool valid = false, on_replicas = false;
  int status = try_kind(kinds, TARGET_PRIMARY, &valid, err);
  if (status == 0 && valid) status = try_kind(kinds, TARGET_REPLICA, &on_replicas, err);
  kind->primary_only = !on_replicas;
  if (!valid) rules->kind_count--;
  return status;
}

static bool needs_process(const struct injector *injector) {
  const struct param *row;
  for (uint32_t i = 0; (row = param_at(injector->plugin.params, i)); i++)
    if (row->offset == injector->process_offset) return row->required;
  return false;
}

static int add_kinds_of(struct kinds *kinds, const struct injector *injector, uint32_t service,
                        struct error *err) {
  const struct scenario_service *row = &kinds->scenario->services[service];
  int status = 0;
  if (injector->flags & INJECTOR_PLANNED) {
    bool can = row->service->can_step && row->service->can_step(row->config, injector->step);
    /* The others need somebody to hand over to. */
    bool alone = kinds->rules->services[service].host_count < 2 && injector->step != STEP_RESTART;
    return can && !alone ? add_kind(kinds, injector, service, NULL, err) : 0;
  }
  bool takes_process = injector->process_offset != SIZE_MAX;
  if (!takes_process || !needs_process(injector))
    status = add_kind(kinds, injector, service, NULL, err);
  const struct service_process *process = row->service->processes_for
                                              ? row->service->processes_for(row->config)
                                              : row->service->processes;
  for (; takes_process && process && process->name && status == 0; process++)
    status = add_kind(kinds, injector, service, process->name, err);
  return status;
}

static bool is_wanted(const struct scenario *scenario, const struct injector *injector) {
  const struct scenario_explore *bounds = &scenario->explore;
  for (uint32_t i = 0; i < bounds->names.count; i++)
    if (bounds->injectors[i] == injector) return true;
  if (bounds->names.count > 0 || !scenario_can_explore(injector)) return false;
  if ((injector->flags & INJECTOR_PLANNED) && !bounds->steps) return false;
  return (injector->needs & ~scenario->provider->can) == 0;
}

static int add_kinds(struct kinds *kinds, const struct injector *const *table, struct error *err) {
  int status = 0;
  for (; *table && status == 0; table++)
    for (uint32_t s = 0; s < kinds->rules->service_count && status == 0; s++)
      if (is_wanted(kinds->scenario, *table)) status = add_kinds_of(kinds, *table, s, err);
  return status;
}

static size_t kinds_bound(const struct scenario *scenario, const struct injector *const *table) {
  size_t injector_count = 0, bound = 0;
  while (table[injector_count]) injector_count++;
  for (uint32_t i = 0; i < scenario->service_count; i++) {
    const struct scenario_service *row = &scenario->services[i];
    const struct service_process *process = row->service->processes_for
                                                ? row->service->processes_for(row->config)
                                                : row->service->processes;
    size_t count = 1;
    for (; process && process->name; process++) count++;
    bound += count * injector_count;
  }
  return bound;
}

int schedule_rules_init(struct schedule_rules *rules, const struct scenario *scenario,
                        const struct injector *const *table, struct arena *arena,
                        struct error *err) {
  *rules = (struct schedule_rules){.bounds = scenario->explore};
  rules->services = arena_calloc(arena, scenario->service_count + 1u, sizeof *rules->services);
  rules->kinds = arena_calloc(arena, kinds_bound(scenario, table) + 1u, sizeof *rules->kinds);
  if (!rules->services || !rules->kinds) return out_of_memory(err);
  int status = 0;
  for (uint32_t i = 0; i < scenario->service_count && status == 0; i++)
    status = add_service(rules, &scenario->services[i], arena, err);
  struct kinds kinds = {.rules = rules, .scenario = scenario, .arena = arena};
  if (status == 0) status = add_kinds(&kinds, table, err);
  if (status == 0 && rules->kind_count == 0)
    status = error_set(err, STATUS_USAGE,
                       "%s: provider '%s' can make no fault here that a rule could draw",
                       scenario->file, scenario->provider->plugin.name);
  return status;
}

/* --- drawing --------------------------------------------------------------------------------- */

/* Whole milliseconds, where there are enough of them. */
static uint64_t draw_uniform(struct prng *prng, const struct param_range *range) {
  uint64_t step = range->high - range->low >= NS_PER_MS ? NS_PER_MS : 1;
  return range->low + prng_below(prng, (range->high - range->low) / step + 1) * step;
}

/* As many short ones as long ones: each doubling is as likely as the next. */
static uint64_t draw_duration(struct prng *prng, const struct param_range *range) {
  double low = (double)range->low, high = (double)range->high;
  double drawn = low * exp(prng_unit(prng) * log(high / low));
  uint64_t duration = (uint64_t)drawn;
  if (duration >= 10 * NS_PER_MS) duration -= duration % NS_PER_MS;
  if (duration < range->low) return range->low;
  return duration > range->high ? range->high : duration;
}

/* Roles and hosts alike; a step that makes a primary aims at what is none yet. */
static void draw_target(struct prng *prng, const struct schedule_rules *rules,
                        struct schedule_fault *fault) {
  const struct schedule_kind *kind = &rules->kinds[fault->kind];
  const struct schedule_service *service = &rules->services[kind->service];
  bool promotes =
      (kind->injector->flags & INJECTOR_PLANNED) && kind->injector->step != STEP_RESTART;
  uint64_t choice = promotes ? 1 : kind->primary_only ? 0 : prng_below(prng, 3);
  uint32_t primaries = service->shards > 0 ? service->shards : 1;
  if (choice == 1 && service->host_count > primaries) {
    fault->target = TARGET_REPLICA;
    fault->index = (uint32_t)prng_below(prng, service->host_count - primaries);
  } else if (choice == 2) {
    fault->target = TARGET_HOST;
    fault->index = (uint32_t)prng_below(prng, service->host_count);
  } else {
    fault->target = TARGET_PRIMARY;
    fault->index = primaries > 1 ? (uint32_t)prng_below(prng, primaries) : 0;
  }
}

static struct schedule_fault draw_fault(struct prng *prng, const struct schedule_rules *rules) {
  struct schedule_fault fault = {.kind = (uint32_t)prng_below(prng, rules->kind_count)};
  draw_target(prng, rules, &fault);
  fault.at_ns = draw_uniform(prng, &rules->bounds.window_ns);
  fault.for_ns = draw_duration(prng, &rules->bounds.for_ns);
  if (rules->kinds[fault.kind].injector->flags & INJECTOR_PLANNED) fault.for_ns = 0;
  return fault;
}

static void insert(struct schedule *schedule, const struct schedule_fault *fault) {
  uint32_t place = schedule->count++;
  for (; place > 0 && schedule->faults[place - 1].at_ns > fault->at_ns; place--)
    schedule->faults[place] = schedule->faults[place - 1];
  schedule->faults[place] = *fault;
}

static void place_one(struct prng *prng, const struct schedule_rules *rules,
                      struct schedule *schedule) {
  for (int try = 0; try < PLACE_TRIES; try++) {
    struct schedule candidate = *schedule;
    struct schedule_fault fault = draw_fault(prng, rules);
    insert(&candidate, &fault);
    if (!schedule_is_allowed(rules, &candidate)) continue;
    *schedule = candidate;
    return;
  }
}

int schedule_draw(const struct schedule_rules *rules, uint64_t seed, struct schedule *ret,
                  struct error *err) {
  const struct param_range *faults = &rules->bounds.faults;
  assert(faults->low >= 1 && faults->high <= SCHEDULE_FAULTS_MAX);
  struct prng prng;
  prng_init(&prng, seed, "explore");
  for (int try = 0; try < SCHEDULE_TRIES; try++) {
    struct schedule schedule = {.count = 0};
    uint64_t count = faults->low + prng_below(&prng, faults->high - faults->low + 1);
    for (uint64_t i = 0; i < count; i++) place_one(&prng, rules, &schedule);
    if (schedule.count < faults->low) continue;
    *ret = schedule;
    return 0;
  }
  return error_set(err, STATUS_USAGE,
                   "explore: there is no room for %u faults; expected a wider window, a shorter "
                   "'for' or 'rest', or allow_quorum_loss",
                   (unsigned)faults->low);
}
