/* Cut links of the simulator: rules at the receiving end of each link, by the fault that made them.
 * What becomes of a packet that one of them refuses is in network.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

static bool refuses(const struct link_rule *rule, uint16_t port, bool opening) {
  return (rule->port == 0 || rule->port == port) && (!rule->new_only || opening);
}

/* Where several match, the oldest decides: the kernel asks the fault that came first. */
const struct sim_refusal *sim_link_refusal(const struct sim_link *link, uint16_t port,
                                           bool opening) {
  const struct sim_refusal *refusal = link->refusals;
  while (refusal && !refuses(&refusal->rule, port, opening)) refusal = refusal->next;
  return refusal;
}

/* Of two processes that can both be connected to, the one that is: a manager (Patroni, a Sentinel)
 * connects to the store and to the servers, which have the lower ports, and among themselves
 * members of a store have a port of their own. */
uint16_t sim_connection_port(const struct sim_process *one, const struct sim_process *other) {
  uint16_t a = one->kind->port, b = other->kind->port;
  if (one->kind == other->kind && one->kind->peer_port) return one->kind->peer_port;
  if (a == 0 || b == 0) return a ? a : b;
  return a < b ? a : b;
}

bool sim_link_is_open(struct sim_world *world, uint16_t from, uint16_t to, uint16_t port) {
  const struct sim_link *link = sim_link(world, from, to);
  return !link->cut && !sim_link_refusal(link, port, false);
}

static int refuse(struct sim_link *link, const struct link_rule *rule, const char *tag,
                  struct error *err) {
  struct sim_refusal **end = &link->refusals;
  while (*end) end = &(*end)->next;
  struct sim_refusal *refusal = calloc(1, sizeof *refusal);
  if (!refusal) return error_set(err, STATUS_MEMORY, "out of memory for a cut link");
  refusal->rule = *rule;
  snprintf(refusal->tag, sizeof refusal->tag, "%s", tag);
  *end = refusal;
  return 0;
}

/* `tag` NULL: all. */
void sim_link_mend_all(struct sim_link *link, const char *tag) {
  struct sim_refusal **place = &link->refusals;
  while (*place) {
    struct sim_refusal *refusal = *place;
    if (tag && strcmp(refusal->tag, tag) != 0) {
      place = &refusal->next;
      continue;
    }
    *place = refusal->next;
    free(refusal);
  }
}

/* --- the primitives */

int sim_cut_links(struct cluster *cluster, const struct host *const froms[], uint32_t from_count,
                  const struct host *to, const struct link_rule rules[], uint32_t rule_count,
                  const char *tag, struct error *err) {
  struct sim_cluster *sim = sim_cluster_of(cluster);
  int status = 0;
  if (strlen(tag) >= sizeof(((struct sim_refusal *)NULL)->tag))
    return error_set(err, STATUS_USAGE, "'%s' is no tag of a fault", tag);
  for (uint32_t r = 0; r < rule_count && status == 0; r++) {
    if (rules[r].established_only)
      return error_set(err, STATUS_ENVIRONMENT,
                       "the simulator does not tell the connections that were there before a cut "
                       "from others: use all or new connections, or the provider local");
    for (uint32_t i = 0; i < from_count && status == 0; i++)
      status = refuse(sim_link(&sim->world, froms[i]->index, to->index), &rules[r], tag, err);
  }
  for (uint32_t i = 0; i < from_count && status == 0; i++)
    sim_truth_note(sim->truth, SIM_TRUTH_CUT, froms[i]->index, 0);
  sim_truth_note(sim->truth, SIM_TRUTH_CUT, to->index, 0);
  return status;
}

int sim_mend_links(struct cluster *cluster, const char *tag, struct error *err) {
  struct sim_cluster *sim = sim_cluster_of(cluster);
  (void)err;
  for (uint32_t from = 0; from < sim->world.host_count; from++)
    for (uint32_t to = 0; to < sim->world.host_count; to++)
      sim_link_mend_all(sim_link(&sim->world, (uint16_t)from, (uint16_t)to), tag);
  return 0;
}

/* A packet of its own would be a process of its own here; the world decides over it in the same
 * place. */
int sim_link_passes(struct cluster *cluster, const struct host *from, const struct host *to,
                    const struct link_rule *rule, const char *tag, bool *ret_passes,
                    struct error *err) {
  struct sim_world *world = &sim_cluster_of(cluster)->world;
  const struct sim_link *link = sim_link(world, from->index, to->index);
  bool refused = link->cut;
  (void)err;
  for (const struct sim_refusal *refusal = link->refusals; refusal; refusal = refusal->next)
    if (!tag || strcmp(refusal->tag, tag) == 0)
      refused = refused || refuses(&refusal->rule, rule->port, !rule->established_only);
  *ret_passes = world->hosts[from->index].on && world->hosts[to->index].on && !refused;
  return 0;
}
