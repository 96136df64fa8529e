/* The memory of the simulated service `redis`, filled by the same steps as a real server's. */
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

static bool answers(const struct errand *errand) {
  const struct sim_redis_service *service = errand->service;
  struct sim_redis_view view;
  sim_redis_view(service->servers, errand->member, &view);
  return view.answers &&
         !redis_service_unreachable(service, service->instance->members[errand->member]->index,
                                    REDIS_PORT);
}

static int begin(struct service_instance *instance, const struct host *host,
                 struct errand *ret_errand, struct error *err) {
  struct errand errand = {.service = redis_service_of(instance), .host = host->name};
  while (errand.member < errand.service->count &&
         instance->members[errand.member]->index != host->index)
    errand.member++;
  if (errand.member == errand.service->count)
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
  int status = ask(errand, err);
  if (status == 0)
    sim_redis_fill(errand->service->servers, errand->member, key, bytes, ret_refused);
  return status;
}

/* At once: when a fault is in effect is not to depend on how long the question takes. */
static int look(struct service_instance *instance, const struct host *host,
                struct service_memory *ret_memory, struct error *err) {
  struct errand errand;
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
  struct errand errand;
  int status = begin(instance, host, &errand, err);
  if (status < 0) return status;
  const struct redis_filling filling = {
      .data = &errand, .name = errand.host, .look = look_for_fill, .add = add_filler};
  status = redis_fill(instance, errand.member, &filling, more_bytes, err);
  if (status == 0) sim_truth_note(errand.service->cluster->truth, SIM_TRUTH_FILLED, host->index, 0);
  return status;
}

static int clear(struct service_instance *instance, const struct host *host, struct error *err) {
  struct errand errand;
  int status = begin(instance, host, &errand, err);
  if (status < 0) return status;
  uint64_t end_ns = redis_service_now_ns(errand.service) + START_TIMEOUT_NS;
  while (status == 0 && !answers(&errand)) {
    if (redis_service_now_ns(errand.service) > end_ns)
      return error_set(err, STATUS_SERVER, "%s: no server answers", errand.host);
    status = sim_pass(errand.service->cluster, RETRY_NS, err);
  }
  if (status == 0)
    (void)sim_redis_keys(errand.service->servers, errand.member, REDIS_FILLER "*", true);
  return status;
}

const struct service_memory_hooks redis_service_memory = {
    .limit = redis_memory_limit, .look = look, .fill = fill, .clear = clear};
