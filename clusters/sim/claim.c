/* What a service has in the simulated cluster beside its models: the word when one of its processes
 * is asked to end, the truth, and time. There may be several services, each on hosts of its own. */
#include "sim/sim.h"

int sim_claim_hosts(struct sim_cluster *cluster, const struct service_instance *instance,
                    sim_terminate *terminate, void *service, struct error *err) {
  for (uint32_t i = 0; i < instance->member_count; i++)
    cluster->claims[instance->members[i]->index] =
        (struct sim_claim){.terminate = terminate, .service = service};
  if (!cluster->config->truth) return 0;
  if (cluster->truth)
    return error_set(err, STATUS_USAGE, "truth: it can be had of one service in a run");
  cluster->truth_of = instance;
  return sim_truth_new(&cluster->world, instance->start_ns, &cluster->truth, err);
}

void sim_claim_memory(struct sim_cluster *cluster, const struct service_instance *instance,
                      uint64_t (*memory)(void *service, const struct sim_process *process)) {
  for (uint32_t i = 0; i < instance->member_count; i++)
    cluster->claims[instance->members[i]->index].memory = memory;
}

void sim_leave_hosts(struct sim_cluster *cluster, const struct service_instance *instance) {
  for (uint32_t i = 0; i < instance->member_count; i++)
    cluster->claims[instance->members[i]->index] = (struct sim_claim){.terminate = NULL};
  if (!cluster->truth || cluster->truth_of != instance) return;
  /* Who wants the truth finds that it is missing when it could not be written. */
  (void)sim_truth_write(cluster->truth, instance->cluster->run_directory, NULL);
  sim_truth_free(cluster->truth);
  cluster->truth = NULL;
}

int sim_refuse_attach(struct service_instance *instance, struct error *err) {
  (void)instance;
  return error_set(err, STATUS_USAGE, "a simulated service ends with its run");
}

static void wake_up(struct timer *timer, uint64_t now_ns) {
  (void)now_ns;
  *(bool *)timer->owner = true;
}

int sim_pass(struct sim_cluster *cluster, uint64_t for_ns, struct error *err) {
  struct loop *loop = cluster->world.loop;
  bool over = false;
  struct timer timer = {.fire = wake_up, .owner = &over};
  int status = loop_timer_arm(loop, &timer, loop_now_ns(loop) + for_ns, err);
  while (status == 0 && !over) status = loop_turn(loop, TIME_NEVER, err);
  loop_timer_cancel(loop, &timer);
  return status;
}
