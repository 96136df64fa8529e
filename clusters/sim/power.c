/* Power of simulated hosts. Off is at once and without a goodbye; on takes the time of a boot. */
#include "sim/sim.h"

static int server_only(const struct host *host, struct error *err) {
  if (host->kind == HOST_SERVER) return 0;
  return error_set(err, STATUS_USAGE, "host %s is no server: it has no power switch", host->name);
}

static void booted(struct timer *timer, uint64_t now_ns) {
  const struct sim_boot *boot = timer->owner;
  (void)now_ns;
  sim_host_start(&boot->cluster->world, boot->host);
}

int sim_power_off(struct cluster *cluster, const struct host *host, struct error *err) {
  struct sim_cluster *sim = sim_cluster_of(cluster);
  int status = server_only(host, err);
  if (status < 0) return status;
  loop_timer_cancel(sim->world.loop, &sim->boots[host->index].timer);
  if (sim->world.hosts[host->index].on)
    sim_truth_note(sim->truth, SIM_TRUTH_POWER_OFF, host->index, 0);
  sim_host_stop(&sim->world, host->index);
  return 0;
}

int sim_power_on(struct cluster *cluster, const struct host *host, struct error *err) {
  struct sim_cluster *sim = sim_cluster_of(cluster);
  struct sim_boot *boot = &sim->boots[host->index];
  int status = server_only(host, err);
  if (status < 0 || sim->world.hosts[host->index].on || boot->timer.position) return status;
  *boot = (struct sim_boot){.cluster = sim, .host = host->index, .timer = {.fire = booted}};
  boot->timer.owner = boot;
  uint64_t ready_ns = sim_now_ns(&sim->world) + sim->config->boot_ns;
  return loop_timer_arm(sim->world.loop, &boot->timer, ready_ns, err);
}

int sim_power_running(struct cluster *cluster, const struct host *host, bool *ret_running,
                      struct error *err) {
  (void)err;
  *ret_running = sim_cluster_of(cluster)->world.hosts[host->index].on;
  return 0;
}
