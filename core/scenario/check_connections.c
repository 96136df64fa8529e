/* Checks that a host takes all the connections that the workloads may open to it, and that client
 * hosts have room for all clients: what is beyond a limit would be found out only when the cluster
 * is up and the load starts. */
#include <string.h>

#include "scenario/checks.h"

#define BECAUSE_SIZE 256

/* The most connections one host may get from the classes: those that follow a role may all meet on
 * the host with the most pinned ones. */
static uint64_t busiest_host(const struct client_class *classes, uint32_t count) {
  uint64_t roaming = 0, most = 0, pinned[HOSTS_MAX] = {0};
  for (uint32_t i = 0; i < count; i++) {
    if (classes[i].host >= HOSTS_MAX) {
      roaming += classes[i].count;
      continue;
    }
    pinned[classes[i].host] += classes[i].count;
    if (pinned[classes[i].host] > most) most = pinned[classes[i].host];
  }
  return roaming + most;
}

/* Asks a workload for its classes of clients of a service on `hosts` hosts. 0: it cannot tell. */
static uint32_t ask_workload(const struct scenario_workload *row,
                             const struct scenario_service *service, uint32_t hosts,
                             struct client_class *classes) {
  struct endpoint endpoints[HOSTS_MAX];
  memset(endpoints, 0, sizeof endpoints);
  for (uint32_t i = 0; i < hosts; i++) endpoints[i].host = (uint16_t)i;
  uint32_t (*shards)(const void *config) = service->service->shards;
  const struct access access = {.endpoints = endpoints,
                                .endpoint_count = hosts,
                                .shards = shards ? (uint16_t)shards(service->config) : 0};
  const struct workload_env env = {
      .workload = row->workload, .config = row->config, .access = &access};
  uint32_t count = 0;
  memset(classes, 0, CLIENT_CLASSES_MAX * sizeof *classes);
  int status = row->workload->classes(&env, classes, CLIENT_CLASSES_MAX, &count, NULL);
  return status == 0 ? count : 0;
}

static void check_service(struct draft *draft, const struct host_plan *plan, uint32_t index,
                          struct client_class *classes) {
  const struct scenario *scenario = draft->scenario;
  const struct scenario_service *row = &scenario->services[index];
  const char *name = row->service->plugin.name;
  uint64_t wanted = 0, largest = 0;
  uint32_t blamed = 0, clients_of = 0;
  for (uint32_t i = 0; i < scenario->workload_count; i++) {
    const struct workload *workload = scenario->workloads[i].workload;
    if (!draft->workloads[i].clean || !workload->service || !workload->classes ||
        strcmp(workload->service, name) != 0)
      continue;
    uint32_t count =
        ask_workload(&scenario->workloads[i], row, plan->service_hosts[index], classes);
    uint64_t asked = busiest_host(classes, count);
    wanted += asked;
    clients_of++;
    if (asked <= largest) continue;
    largest = asked;
    blamed = i;
  }
  char because[BECAUSE_SIZE] = "";
  uint32_t limit = row->service->connections(row->config, because, sizeof because);
  if (wanted <= limit) return;
  mistakes_add(&draft->mistakes, &draft->workloads[blamed].place,
               "%s%s may open %llu connections to one host, of which %s takes %u (%s); expected "
               "fewer clients or a higher limit",
               scenario->workloads[blamed].workload->plugin.name,
               clients_of > 1 ? " and the other workloads" : "", (unsigned long long)wanted, name,
               limit, because);
}

static const struct scenario_service *service_of(const struct scenario *scenario,
                                                 const struct workload *workload,
                                                 uint32_t *ret_index) {
  for (uint32_t i = 0; i < scenario->service_count && i < HOSTS_MAX; i++) {
    if (!workload->service ||
        strcmp(scenario->services[i].service->plugin.name, workload->service) != 0)
      continue;
    *ret_index = i;
    return &scenario->services[i];
  }
  return NULL;
}

/* Whether the client hosts can drive all the clients. */
static void check_clients(struct draft *draft, const struct host_plan *plan,
                          struct client_class *classes) {
  const struct scenario *scenario = draft->scenario;
  const struct provider *provider = scenario->provider;
  uint64_t total = 0;
  if (!provider || provider->clients_max == 0) return;
  for (uint32_t i = 0; i < scenario->workload_count; i++) {
    const struct scenario_workload *row = &scenario->workloads[i];
    uint32_t index = 0;
    const struct scenario_service *service =
        draft->workloads[i].clean ? service_of(scenario, row->workload, &index) : NULL;
    if (!service || !row->workload->classes || plan->service_hosts[index] == 0) continue;
    uint32_t count = ask_workload(row, service, plan->service_hosts[index], classes);
    for (uint32_t c = 0; c < count; c++) total += classes[c].count;
  }
  if (total <= (uint64_t)provider->clients_max * scenario->client_hosts) return;
  mistakes_add(&draft->mistakes, &draft->client_hosts_place,
               "the workloads have %llu clients on %u client hosts; expected at most %u on each "
               "with the provider %s, or more client hosts",
               (unsigned long long)total, scenario->client_hosts, provider->clients_max,
               provider->plugin.name);
}

int checks_connections(struct draft *draft, const struct host_plan *plan, struct error *err) {
  const struct scenario *scenario = draft->scenario;
  struct client_class *classes =
      arena_calloc(&draft->scenario->arena, CLIENT_CLASSES_MAX, sizeof *classes);
  if (!classes) return error_set(err, STATUS_MEMORY, "out of memory");
  for (uint32_t i = 0; i < scenario->service_count && i < HOSTS_MAX; i++)
    if (scenario->services[i].service->connections && plan->service_hosts[i] > 0)
      check_service(draft, plan, i, classes);
  check_clients(draft, plan, classes);
  return 0;
}
