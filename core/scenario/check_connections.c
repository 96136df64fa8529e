/* Checks that a host takes all the connections that the workloads may open to it: clients beyond
 * its limit would be found out only when the cluster is up and the load starts. */
#include <string.h>

#include "scenario/checks.h"

#define CLASSES_MAX 256u
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

/* Asks a workload for its clients on `hosts` hosts. 0: it cannot tell. */
static uint64_t ask_workload(const struct scenario_workload *row, uint32_t hosts,
                             struct client_class *classes) {
  struct endpoint endpoints[HOSTS_MAX];
  memset(endpoints, 0, sizeof endpoints);
  for (uint32_t i = 0; i < hosts; i++) endpoints[i].host = (uint16_t)i;
  const struct access access = {.endpoints = endpoints, .endpoint_count = hosts};
  const struct workload_env env = {
      .workload = row->workload, .config = row->config, .access = &access};
  uint32_t count = 0;
  memset(classes, 0, CLASSES_MAX * sizeof *classes);
  int status = row->workload->classes(&env, classes, CLASSES_MAX, &count, NULL);
  return status == 0 ? busiest_host(classes, count) : 0;
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
    uint64_t asked = ask_workload(&scenario->workloads[i], plan->service_hosts[index], classes);
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

int checks_connections(struct draft *draft, const struct host_plan *plan, struct error *err) {
  const struct scenario *scenario = draft->scenario;
  struct client_class *classes =
      arena_calloc(&draft->scenario->arena, CLASSES_MAX, sizeof *classes);
  if (!classes) return error_set(err, STATUS_MEMORY, "out of memory");
  for (uint32_t i = 0; i < scenario->service_count && i < HOSTS_MAX; i++)
    if (scenario->services[i].service->connections && plan->service_hosts[i] > 0)
      check_service(draft, plan, i, classes);
  return 0;
}
