/* The memory of simulated hosts, as far as it decides who dies: processes that take it, and the
 * kernel, which kills the largest process of a host that has gone over its limit until it no longer
 * is (Linux: mm/oom_kill.c, oom_badness(), oom_kill_process(); the limit is a control group's). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

/* A zeroed page that is copied through a pipe: 1 GiB/s, whoever shares it. */
#define STEP_NS (2 * NS_PER_MS)
#define STEP_BYTES (UINT64_C(2) << 20)
/* While they hold it: a server that goes on growing is found out as soon as this. */
#define WATCH_NS (20 * NS_PER_MS)

static struct sim_eaters *eaters_of(const struct sim_cluster *cluster, uint16_t host) {
  struct sim_eaters *eaters = cluster->eaters;
  while (eaters && eaters->process.host != host) eaters = eaters->next;
  return eaters;
}

/* --- the kernel ------------------------------------------------------------------------------ */

/* The largest process of the service, and what they have together. */
static struct sim_process *largest(struct sim_cluster *cluster, uint16_t host, uint64_t *ret_bytes,
                                   uint64_t *ret_all) {
  const struct sim_claim *claim = &cluster->claims[host];
  struct sim_process *found = NULL, *p = cluster->world.hosts[host].processes;
  *ret_bytes = *ret_all = 0;
  for (; p && claim->memory; p = p->next) {
    uint64_t bytes = p->running ? claim->memory(claim->service, p) : 0;
    *ret_all += bytes;
    if (bytes <= *ret_bytes) continue;
    *ret_bytes = bytes;
    found = p;
  }
  return found;
}

static void kill_if_short(struct sim_cluster *cluster, uint16_t host) {
  struct sim_eaters *eaters = eaters_of(cluster, host);
  for (;;) {
    uint64_t bytes = 0, all = 0;
    struct sim_process *process = largest(cluster, host, &bytes, &all);
    if (all + eaters->count * eaters->has_bytes <= cluster->memory_bytes[host]) return;
    if (process && bytes > eaters->has_bytes) {
      sim_truth_note(cluster->truth, SIM_TRUTH_KILLED, host, 0);
      sim_process_kill(process);
    } else if (eaters->count > 1) {
      eaters->count--;
    } else {
      sim_process_kill(&eaters->process);
      return;
    }
  }
}

/* --- who takes it ---------------------------------------------------------------------------- */

static void step(struct sim_process *self, const struct sim_args *args) {
  struct sim_eaters *eaters = self->owner;
  (void)args;
  eaters->has_bytes += STEP_BYTES / eaters->count;
  if (eaters->has_bytes > eaters->each_bytes) eaters->has_bytes = eaters->each_bytes;
  sim_after(self, eaters->has_bytes < eaters->each_bytes ? STEP_NS : WATCH_NS, step, NULL);
  kill_if_short(eaters->cluster, self->host);
}

static void started(struct sim_process *process) {
  struct sim_eaters *eaters = process->owner;
  eaters->count = eaters->first_count;
  eaters->has_bytes = 0;
  sim_after(process, STEP_NS, step, NULL);
}

static void died(struct sim_process *process, bool power) {
  struct sim_eaters *eaters = process->owner;
  (void)power;
  eaters->count = 0;
}

int sim_memory_define(struct sim_cluster *cluster, const struct host *host,
                      const struct host_unit *unit, struct error *err) {
  static const struct sim_process_kind kind = {
      .name = "memory-fill", .unit = true, .by_hand = true, .started = started, .died = died};
  struct sim_eaters *eaters = eaters_of(cluster, host->index);
  if (!cluster->claims[host->index].memory || cluster->memory_bytes[host->index] == 0)
    return error_set(err, STATUS_ENVIRONMENT,
                     "%s: the memory of this simulated host has no limit, or what runs on it is "
                     "modelled without memory",
                     host->name);
  if (strcmp(unit->name, kind.name) != 0)
    return error_set(err, STATUS_ENVIRONMENT, "%s: a simulated host has no unit %s", host->name,
                     unit->name);
  if (!eaters) {
    eaters = calloc(1, sizeof *eaters);
    if (!eaters) return error_set(err, STATUS_MEMORY, "out of memory for simulated processes");
    eaters->cluster = cluster;
    eaters->next = cluster->eaters;
    cluster->eaters = eaters;
    sim_process_add(&cluster->world, &eaters->process, &kind, host->index, eaters);
  }
  eaters->first_count = unit->memory_processes;
  eaters->each_bytes = unit->memory_bytes;
  return 0;
}

void sim_memory_release(struct sim_cluster *cluster) {
  while (cluster->eaters) {
    struct sim_eaters *eaters = cluster->eaters;
    cluster->eaters = eaters->next;
    free(eaters);
  }
}
