/* The keys of the simulated service `redis`, as those of a cache. */
#include "sim/service_redis.h"

#define LOOK_NS (10 * NS_PER_MS)
#define TIMEOUT_NS (60 * NS_PER_S)

static bool answers(struct sim_redis_service *service, uint32_t member) {
  struct sim_redis_view view;
  sim_redis_view(service->servers, member, &view);
  return view.answers;
}

static int restart_empty(struct sim_redis_service *service, uint32_t member, struct error *err) {
  uint64_t end_ns = redis_service_now_ns(service) + TIMEOUT_NS;
  sim_redis_lose_data(service->servers, member);
  int status = sim_pass(service->cluster, LOOK_NS, err);
  if (status == 0) sim_process_start(sim_redis_process(service->servers, member));
  while (status == 0 && !answers(service, member)) {
    if (redis_service_now_ns(service) > end_ns)
      return error_set(err, STATUS_TIMEOUT, "the server on %s does not answer",
                       service->instance->members[member]->name);
    status = sim_pass(service->cluster, LOOK_NS, err);
  }
  return status;
}

int redis_service_keys(struct service_instance *instance, enum keys_action action,
                       const struct host *host, const char *pattern, struct keys_count *ret,
                       struct error *err) {
  struct sim_redis_service *service = redis_service_of(instance);
  uint32_t member = 0;
  while (member < service->count && instance->members[member]->index != host->index) member++;
  if (member == service->count)
    return error_set(err, STATUS_USAGE, "%s carries no Redis server", host->name);
  if (action == KEYS_RESTART) {
    *ret = (struct keys_count){.before = 0};
    return restart_empty(service, member, err);
  }
  if (!answers(service, member))
    return error_set(err, STATUS_SERVER, "%s: no server answers", host->name);
  bool remove = action != KEYS_LOOK;
  const char *which = action == KEYS_FLUSH ? "*" : pattern;
  struct keys_count count = {.before = sim_redis_keys(service->servers, member, which, remove)};
  count.now = sim_redis_keys(service->servers, member, pattern, false);
  *ret = count;
  return 0;
}
