/* The memory of the simulated service `redis`, filled by the same steps as a real server's. */
#include "services/members.h"
#include "sim/service_redis.h"

/* One question of the monitor's and its answer: a command and the way there and back. */
#define ASK_NS (300 * NS_PER_US)
/* A server that reads its data back after a crash is waited for. */
#define START_TIMEOUT_NS (25 * NS_PER_S)
#define RETRY_NS (50 * NS_PER_MS)

struct errand {
  struct sim_redis_service *service;
  const char *host;
  uint32_t member;
};

static bool member_answers(const struct sim_redis_service *service, uint32_t member,
                           struct sim_redis_view *ret) {
  sim_redis_view(service->servers, member, ret);
  return ret->answers &&
         !redis_service_unreachable(service, service->instance->members[member]->index, REDIS_PORT);
}

static bool answers(const struct errand *errand) {
  struct sim_redis_view view;
  return member_answers(errand->service, errand->member, &view);
}

static int begin(struct service_instance *instance, const struct host *host,
                 struct errand *ret_errand, struct error *err) {
  struct errand errand = {.service = redis_service_of(instance), .host = host->name};
  errand.member = service_member(instance, errand.service->count, host);
  if (errand.member == UINT32_MAX)
    return error_set(err, STATUS_USAGE, "%s has no server of redis", host->name);
  *ret_errand = errand;
  return 0;
}

static int ask(const struct errand *errand, struct error *err) {
  int status = sim_pass(errand->service->cluster, ASK_NS, err);
  if (status < 0 || answers(errand)) return status;
  return error_set(err, STATUS_SERVER, "%s: no server answers", errand->host);
}

static struct service_memory memory_of(const struct errand *errand) {
  struct sim_redis_memory memory;
  sim_redis_memory(errand->service->servers, errand->member, &memory);
  return (struct service_memory){
      .used_bytes = memory.used_bytes,
      .limit_bytes = redis_memory_limit(redis_service_config(errand->service)),
      .evicted = memory.evicted,
      .refused = memory.refused};
}

static int look_for_fill(void *data, struct service_memory *ret, struct error *err) {
  const struct errand *errand = data;
  int status = ask(errand, err);
  if (status == 0) *ret = memory_of(errand);
  return status;
}

static int add_filler(void *data, const char *key, uint64_t bytes, bool *ret_refused,
                      struct error *err) {
  const struct errand *errand = data;
  struct sim_redis_view view;
  int status = ask(errand, err);
  if (status < 0) return status;
  sim_redis_view(errand->service->servers, errand->member, &view);
  if (!view.writable)
    return error_set(err, STATUS_SERVER, "%s: SETRANGE: the server takes no writes", errand->host);
  sim_redis_fill(errand->service->servers, errand->member, key, bytes, ret_refused);
  return 0;
}

/* At once: when a fault is in effect is not to depend on how long the question takes. */
static int look(struct service_instance *instance, const struct host *host,
                struct service_memory *ret_memory, struct error *err) {
  struct errand errand = {.member = UINT32_MAX};
  int status = begin(instance, host, &errand, err);
  if (status < 0) return status;
  if (!answers(&errand)) return error_set(err, STATUS_SERVER, "%s: no server answers", errand.host);
  *ret_memory = memory_of(&errand);
  ret_memory->fillers =
      sim_redis_keys(errand.service->servers, errand.member, REDIS_FILLER "*", false);
  return 0;
}

static int fill(struct service_instance *instance, const struct host *host, uint64_t more_bytes,
                struct error *err) {
  struct errand errand = {.member = UINT32_MAX};
  int status = begin(instance, host, &errand, err);
  if (status < 0) return status;
  const struct redis_filling filling = {
      .data = &errand, .name = errand.host, .look = look_for_fill, .add = add_filler};
  status = redis_fill(instance, errand.member, &filling, more_bytes, err);
  if (status == 0) sim_truth_note(errand.service->cluster->truth, SIM_TRUTH_FILLED, host->index, 0);
  return status;
}

/* At all primaries among the servers that had the same keys; false: there is none. */
static bool clear_set(const struct errand *errand) {
  const struct sim_redis_service *service = errand->service;
  const struct redis_config *config = redis_service_config(service);
  bool cleared = false;
  for (uint32_t i = 0; i < service->count; i++) {
    struct sim_redis_view view;
    if (redis_first_shard(config, i) != redis_first_shard(config, errand->member) ||
        !member_answers(service, i, &view) || !view.primary)
      continue;
    (void)sim_redis_keys(service->servers, i, REDIS_FILLER "*", true);
    cleared = true;
  }
  return cleared;
}

static int clear(struct service_instance *instance, const struct host *host, struct error *err) {
  struct errand errand = {.member = UINT32_MAX};
  int status = begin(instance, host, &errand, err);
  if (status < 0) return status;
  uint64_t end_ns = redis_service_now_ns(errand.service) + START_TIMEOUT_NS;
  while (status == 0 && !clear_set(&errand)) {
    if (redis_service_now_ns(errand.service) > end_ns)
      return error_set(err, STATUS_SERVER, "%s: no primary answers", errand.host);
    status = sim_pass(errand.service->cluster, RETRY_NS, err);
  }
  return status;
}

const struct service_memory_hooks redis_service_memory = {
    .limit = redis_memory_limit, .look = look, .fill = fill, .clear = clear};
