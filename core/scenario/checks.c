/* What no part of a scenario can know alone: capabilities, hosts and targets, times. The plug-ins
 * are known by their structs only. */
#include "scenario/checks.h"

#include <stdio.h>
#include <string.h>

#include "scenario/params.h"
#include "scenario/suggest.h"

struct place block_param_place(const struct block *block, const struct param *table,
                               enum param_type type, size_t offset) {
  const struct param *row = params_find_offset(table, type, offset);
  const struct node *node = row ? tree_get(block->node, row->key) : NULL;
  return node ? node->place : block->place;
}

/* "host power, signals" for the bits of `needs`. */
static void name_capabilities(uint32_t needs, char *text, size_t size) {
  size_t length = 0;
  text[0] = '\0';
  for (uint32_t bit = CAN_HOST_POWER; bit <= CAN_LINKS; bit <<= 1) {
    if (!(needs & bit) || length >= size) continue;
    length += (size_t)snprintf(text + length, size - length, "%s%s", length ? ", " : "",
                               capability_name((enum capability)bit));
  }
}

/* An impossible scenario is refused before a cluster exists. */
void checks_needs(struct draft *draft, const char *who, uint32_t needs, const struct place *place) {
  const struct provider *provider = draft->scenario->provider;
  if (!provider || (needs & ~provider->can) == 0) return;
  char missing[256], able[256] = "";
  name_capabilities(needs & ~provider->can, missing, sizeof missing);
  size_t length = 0;
  for (const struct provider *const *p = draft->tables->providers; *p; p++)
    if ((needs & ~(*p)->can) == 0 && length < sizeof able)
      length += (size_t)snprintf(able + length, sizeof able - length, "%s%s", length ? ", " : "",
                                 (*p)->plugin.name);
  mistakes_add(&draft->mistakes, place, "%s needs what provider '%s' cannot do: %s; %s%s", who,
               provider->plugin.name, missing,
               length ? "expected a provider that can: " : "no provider can", able);
}

/* A provider with models of services runs these, and nothing that it has no model of. */
static void check_service(struct draft *draft, uint32_t index) {
  const struct service *service = draft->scenario->services[index].service;
  const struct provider *provider = draft->scenario->provider;
  const struct place *place = &draft->services[index].place;
  if (provider && provider->model) {
    const struct service *model = provider->model(service);
    if (!model)
      mistakes_add(&draft->mistakes, place,
                   "%s: provider '%s' has no model of this service; expected another provider",
                   service->plugin.name, provider->plugin.name);
    service = model;
  }
  if (service) checks_needs(draft, service->plugin.name, service->needs, place);
}

static void check_capabilities(struct draft *draft) {
  const struct scenario *scenario = draft->scenario;
  for (uint32_t i = 0; i < scenario->service_count; i++) check_service(draft, i);
  for (uint32_t i = 0; i < scenario->timeline_count; i++) {
    const struct injector *injector = scenario->timeline[i].injector;
    checks_needs(draft, injector->plugin.name, injector->needs, &draft->entries[i].place);
  }
}

static void check_workload_service(struct draft *draft, uint32_t index, const char *service) {
  if (!service || checks_find_service(draft->scenario, service)) return;
  mistakes_add(&draft->mistakes, &draft->workloads[index].place,
               "%s needs service '%s', which the cluster does not have; expected it under "
               "cluster.services",
               draft->scenario->workloads[index].workload->plugin.name, service);
}

static void check_workloads(struct draft *draft) {
  for (uint32_t i = 0; i < draft->scenario->workload_count; i++) {
    const struct workload *workload = draft->scenario->workloads[i].workload;
    check_workload_service(draft, i, workload->service);
    check_workload_service(draft, i, workload->origin);
  }
}

const struct scenario_service *checks_find_service(const struct scenario *scenario,
                                                   const char *name) {
  for (uint32_t i = 0; i < scenario->service_count; i++)
    if (strcmp(scenario->services[i].service->plugin.name, name) == 0)
      return &scenario->services[i];
  return NULL;
}

/* Asks one service for its hosts and adds them to the plan. */
static int plan_service(struct draft *draft, uint32_t index, struct host_plan *plan,
                        struct error *err) {
  const struct scenario_service *service = &draft->scenario->services[index];
  struct host_spec specs[HOSTS_MAX];
  memset(specs, 0, sizeof specs);
  uint32_t count = 0;
  struct error why = ERROR_INIT;
  const struct place *place = &draft->services[index].place;
  const char *name = service->service->plugin.name;
  int status = service->service->plan(service->config, specs, &count, &why);
  if (status == STATUS_MEMORY) return error_set(err, status, "%s", why.message);
  if (status < 0) {
    mistakes_add(&draft->mistakes, place, "%s: %s", name, why.message);
    plan->complete = false;
    return 0;
  }
  plan->service_hosts[index] = count;
  for (uint32_t i = 0; i < count && plan->count < HOSTS_MAX; i++) {
    for (uint32_t j = 0; j < plan->count; j++)
      if (strcmp(plan->hosts[j].name, specs[i].name) == 0)
        mistakes_add(&draft->mistakes, place, "%s wants host '%s', which '%s' has; expected one",
                     name, specs[i].name,
                     draft->scenario->services[plan->hosts[j].service].service->plugin.name);
    const char *copy = arena_strdup(&draft->scenario->arena, specs[i].name);
    if (!copy) return error_set(err, STATUS_MEMORY, "out of memory");
    plan->hosts[plan->count++] = (struct planned_host){.name = copy, .service = index};
  }
  return 0;
}

static int plan_hosts(struct draft *draft, struct host_plan *plan, struct error *err) {
  const struct scenario *scenario = draft->scenario;
  plan->complete = scenario->service_count > 0;
  uint32_t total = scenario->client_hosts + 1; /* the monitor */
  for (uint32_t i = 0; i < scenario->service_count && i < HOSTS_MAX; i++) {
    if (!draft->services[i].clean || !scenario->services[i].service->plan) {
      plan->complete = false;
      continue;
    }
    int status = plan_service(draft, i, plan, err);
    if (status < 0) return status;
    total += plan->service_hosts[i];
  }
  const struct provider *provider = scenario->provider;
  bool own = provider && provider->hosts_max > 0;
  uint32_t most = own ? provider->hosts_max : HOSTS_MAX;
  if (total > most)
    mistakes_add(&draft->mistakes, &draft->client_hosts_place,
                 "the cluster has %u hosts, %u of them for clients and one for the monitor; "
                 "expected at most %u%s%s",
                 total, scenario->client_hosts, most, own ? " with the provider " : "",
                 own ? provider->plugin.name : "");
  return 0;
}

static void check_names(struct draft *draft) {
  const struct scenario *scenario = draft->scenario;
  for (uint32_t i = 0; i < scenario->timeline_count; i++) {
    const char *name = scenario->timeline[i].name;
    for (uint32_t j = 0; j < i; j++) {
      if (strcmp(scenario->timeline[j].name, name) != 0) continue;
      const struct node *given = tree_get(draft->entries[i].entry, "name");
      mistakes_add(&draft->mistakes, given ? &given->place : &draft->entries[i].entry->place,
                   "name: entry %u of the timeline is named '%s' too; expected another name", j + 1,
                   name);
      break;
    }
  }
}

/* A step is done at once and has nothing to heal. */
static void check_for(struct draft *draft) {
  for (uint32_t i = 0; i < draft->scenario->timeline_count; i++) {
    const struct timeline_entry *entry = &draft->scenario->timeline[i];
    const struct node *node = tree_get(draft->entries[i].entry, "for");
    if (node && (entry->injector->flags & INJECTOR_PLANNED))
      mistakes_add(&draft->mistakes, &node->place,
                   "for: %s is a planned step, which is not healed; expected no 'for'",
                   entry->injector->plugin.name);
  }
}

static void check_first(struct draft *draft) {
  if (draft->scenario->timeline_count == 0 || !draft->scenario->timeline[0].after_recovery) return;
  const struct node *node = tree_get(draft->entries[0].entry, "at");
  mistakes_add(&draft->mistakes, &node->place,
               "at: no entry is before this one whose recovery could be awaited; expected a "
               "duration such as 10s");
}

int draft_check(struct draft *draft, struct error *err) {
  struct host_plan *plan = arena_alloc(&draft->scenario->arena, sizeof *plan);
  if (!plan) return error_set(err, STATUS_MEMORY, "out of memory");
  check_capabilities(draft);
  check_workloads(draft);
  int status = plan_hosts(draft, plan, err);
  if (status < 0) return status;
  check_names(draft);
  check_first(draft);
  check_for(draft);
  status = checks_connections(draft, plan, err);
  if (status < 0) return status;
  status = checks_explore(draft, err);
  if (status < 0) return status;
  checks_targets(draft, plan);
  checks_overlaps(draft);
  return 0;
}
