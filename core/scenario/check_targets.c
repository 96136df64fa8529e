/* Checks of what a timeline entry aims at. */
#include <stdio.h>
#include <string.h>

#include "scenario/checks.h"
#include "scenario/suggest.h"

static struct place target_place(const struct draft *draft, uint32_t index) {
  const struct injector *injector = draft->scenario->timeline[index].injector;
  return block_param_place(&draft->entries[index], injector->plugin.params, PARAM_TARGET,
                           injector->target_offset);
}

static void check_host(struct draft *draft, const struct host_plan *plan, const char *host,
                       const struct place *place) {
  char end[SUGGESTION_SIZE];
  struct suggestion suggestion;
  suggestion_init(&suggestion, host);
  for (uint32_t i = 0; i < plan->count; i++) {
    if (strcmp(plan->hosts[i].name, host) == 0) return;
    suggestion_offer(&suggestion, plan->hosts[i].name);
  }
  suggestion.best = NULL; /* names of hosts differ in a digit: all are as near */
  if (plan->complete)
    mistakes_add(&draft->mistakes, place, "target: the cluster has no host '%s'%s", host,
                 suggestion_text(&suggestion, end));
}

/* How many primaries it has: one, or one a shard. 0: not known, its parameters are wrong. */
static uint32_t primaries_of(const struct draft *draft, uint32_t service) {
  const struct scenario_service *row = &draft->scenario->services[service];
  if (!draft->services[service].clean) return 0;
  uint32_t shards = row->service->shards ? row->service->shards(row->config) : 0;
  return shards > 0 ? shards : 1;
}

static void check_primary(struct draft *draft, uint32_t service, const struct target *target,
                          const struct place *place) {
  uint32_t primaries = primaries_of(draft, service);
  if (primaries == 0 || target->index < primaries) return;
  if (primaries == 1)
    mistakes_add(&draft->mistakes, place,
                 "target: primary[%u]: %s has no shards and so one primary; expected %s.primary",
                 target->index, target->service, target->service);
  else
    mistakes_add(&draft->mistakes, place,
                 "target: primary[%u] is beyond the %u shards of %s; expected primary[0] to "
                 "primary[%u]",
                 target->index, primaries, target->service, primaries - 1);
}

static void check_replica(struct draft *draft, const struct host_plan *plan, uint32_t service,
                          const struct target *target, const struct place *place) {
  uint32_t hosts = plan->service_hosts[service], primaries = primaries_of(draft, service);
  if (hosts == 0 || target->index + (primaries > 0 ? primaries : 1) < hosts) return;
  if (primaries > 1) {
    mistakes_add(&draft->mistakes, place,
                 "target: replica[%u] is beyond the replicas of %s, which has %u hosts and %u "
                 "shards",
                 target->index, target->service, hosts, primaries);
    return;
  }
  if (hosts == 1)
    mistakes_add(&draft->mistakes, place,
                 "target: %s has one host and so no replica; expected %s.primary", target->service,
                 target->service);
  else
    mistakes_add(&draft->mistakes, place,
                 "target: replica[%u] is beyond the %u replicas of %s; expected replica[0] to "
                 "replica[%u]",
                 target->index, hosts - 1, target->service, hosts - 2);
}

static void check_service(struct draft *draft, const struct host_plan *plan,
                          const struct target *target, const struct place *place) {
  const struct scenario *scenario = draft->scenario;
  const struct scenario_service *service = checks_find_service(scenario, target->service);
  if (service) {
    uint32_t index = (uint32_t)(service - scenario->services);
    if (target->kind == TARGET_REPLICA) check_replica(draft, plan, index, target, place);
    if (target->kind == TARGET_PRIMARY) check_primary(draft, index, target, place);
    return;
  }
  char quoted[SHOWN_SIZE], end[SUGGESTION_SIZE];
  struct suggestion suggestion;
  suggestion_init(&suggestion, target->service);
  for (uint32_t i = 0; i < scenario->service_count; i++)
    suggestion_offer(&suggestion, scenario->services[i].service->plugin.name);
  mistakes_add(&draft->mistakes, place, "target: the cluster has no service %s%s",
               shown(target->service, quoted), suggestion_text(&suggestion, end));
}

/* The service that a target belongs to; NULL when it cannot be known. */
static const struct scenario_service *service_of(const struct draft *draft,
                                                 const struct host_plan *plan,
                                                 const struct target *target) {
  if (target->kind == TARGET_NONE) return NULL;
  if (target->kind != TARGET_HOST) return checks_find_service(draft->scenario, target->service);
  for (uint32_t i = 0; i < plan->count; i++)
    if (strcmp(plan->hosts[i].name, target->host) == 0)
      return &draft->scenario->services[plan->hosts[i].service];
  return NULL;
}

static const struct service_process *processes_of(const struct scenario_service *row) {
  return row->service->processes_for ? row->service->processes_for(row->config)
                                     : row->service->processes;
}

static void check_process(struct draft *draft, uint32_t index,
                          const struct scenario_service *service) {
  const struct timeline_entry *entry = &draft->scenario->timeline[index];
  const struct injector *injector = entry->injector;
  if (injector->process_offset == SIZE_MAX || !service) return;
  const char *name = NULL;
  memcpy(&name, (const char *)entry->config + injector->process_offset, sizeof name);
  if (!name) return;
  char quoted[SHOWN_SIZE], end[SUGGESTION_SIZE];
  struct suggestion suggestion;
  suggestion_init(&suggestion, name);
  for (const struct service_process *p = processes_of(service); p && p->name; p++) {
    if (strcmp(p->name, name) == 0) return;
    suggestion_offer(&suggestion, p->name);
  }
  struct place place = block_param_place(&draft->entries[index], injector->plugin.params,
                                         PARAM_STRING, injector->process_offset);
  mistakes_add(&draft->mistakes, &place, "process: %s has no process %s%s",
               service->service->plugin.name, shown(name, quoted),
               suggestion_text(&suggestion, end));
}

static void check_step(struct draft *draft, uint32_t index,
                       const struct scenario_service *service) {
  const struct injector *injector = draft->scenario->timeline[index].injector;
  if (!(injector->flags & INJECTOR_PLANNED) || !service || !service->service->can_step) return;
  if (!draft->services[service - draft->scenario->services].clean) return;
  if (service->service->can_step(service->config, injector->step)) return;
  mistakes_add(&draft->mistakes, &draft->entries[index].place,
               "%s is a step that %s cannot do as it is configured; expected another topology or "
               "step",
               injector->plugin.name, service->service->plugin.name);
}

/* What the injector says begins with the key of the parameter that it is about. */
static void check_fits(struct draft *draft, const struct host_plan *plan, uint32_t index,
                       const struct scenario_service *service) {
  const struct timeline_entry *entry = &draft->scenario->timeline[index];
  const struct block *block = &draft->entries[index];
  if (!entry->injector->fits || !service) return;
  uint32_t number = (uint32_t)(service - draft->scenario->services);
  if (!draft->services[number].clean || plan->service_hosts[number] == 0) return;
  const struct provider *provider = draft->scenario->provider;
  const struct service *model =
      provider && provider->model ? provider->model(service->service) : NULL;
  const struct fault_place place = {.service = model ? model : service->service,
                                    .service_config = service->config,
                                    .host_count = plan->service_hosts[number],
                                    .client_host_count = draft->scenario->client_hosts};
  struct error why = ERROR_INIT;
  if (entry->injector->fits(entry->config, &place, &why) == 0) return;
  char key[64];
  snprintf(key, sizeof key, "%.*s", (int)strcspn(why.message, ":"), why.message);
  const struct node *node = tree_get(block->node, key);
  mistakes_add(&draft->mistakes, node ? &node->place : &block->place, "%s", why.message);
}

void checks_targets(struct draft *draft, const struct host_plan *plan) {
  const struct scenario *scenario = draft->scenario;
  for (uint32_t i = 0; i < scenario->timeline_count; i++) {
    const struct target *target = scenario->timeline[i].target;
    if (!draft->entries[i].clean || !target || target->kind == TARGET_NONE) continue;
    struct place place = target_place(draft, i);
    if (target->kind == TARGET_HOST)
      check_host(draft, plan, target->host, &place);
    else if (scenario->service_count > 0)
      check_service(draft, plan, target, &place);
    const struct scenario_service *service = service_of(draft, plan, target);
    check_process(draft, i, service);
    check_step(draft, i, service);
    check_fits(draft, plan, i, service);
  }
}
