/* Planned actions on a simulated `redis`, and whether its members agree, as
 * services/redis_converged.c asks. An action blocks by turning the world's loop. */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "services/members.h"
#include "sim/service_redis.h"

#define LOOK_NS (50 * NS_PER_MS)
#define TIMEOUT_NS (60 * NS_PER_S)

/* --- agreement ------------------------------------------------------------------------------- */

struct agreement {
  const struct sim_redis_service *service;
  struct sim_redis_view *views; /* by member */
  char *why;
  size_t size;
};

static bool disagree(struct agreement *it, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool disagree(struct agreement *it, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(it->why, it->size, format, args);
  va_end(args);
  return false;
}

static const char *name_of(const struct agreement *it, uint32_t member) {
  return it->service->instance->members[member]->name;
}

static bool follows(struct agreement *it, uint32_t member, uint32_t primary) {
  const struct sim_redis_view *view = &it->views[member], *leads = &it->views[primary];
  const char *name = name_of(it, member), *primary_name = name_of(it, primary);
  if (view->primary || view->from != primary)
    return disagree(it, "%s does not follow %s", name, primary_name);
  if (!view->link_up) return disagree(it, "%s has no link to %s", name, primary_name);
  if (view->history != leads->history)
    return disagree(it, "%s has another history than %s", name, primary_name);
  if (view->offset < leads->offset)
    return disagree(it, "%s is %llu bytes behind %s", name,
                    (unsigned long long)(leads->offset - view->offset), primary_name);
  return true;
}

/* `first` and every `step`-th after it belong to the set. */
static bool set_agrees(struct agreement *it, uint32_t first, uint32_t step) {
  const struct sim_redis_service *service = it->service;
  uint32_t primary = UINT32_MAX;
  for (uint32_t i = first; i < service->count; i += step) {
    if (!it->views[i].primary) continue;
    if (primary != UINT32_MAX)
      return disagree(it, "%s and %s are both primary", name_of(it, primary), name_of(it, i));
    primary = i;
  }
  if (primary == UINT32_MAX) return disagree(it, "there is no primary");
  for (uint32_t i = first; i < service->count; i += step)
    if (i != primary && !follows(it, i, primary)) return false;
  for (uint32_t i = 0; i < service->sentinel_count; i++) {
    struct sim_sentinel_word word;
    sim_sentinel_word(service->servers, i, &word);
    if (!word.answers || word.primary != primary)
      return disagree(it, "the Sentinel on %s does not take %s for the primary", name_of(it, i),
                      name_of(it, primary));
  }
  return true;
}

static bool agree(struct agreement *it) {
  const struct sim_redis_service *service = it->service;
  uint16_t shards = redis_shards(redis_service_config(service));
  for (uint32_t i = 0; i < service->count; i++) {
    sim_redis_view(service->servers, i, &it->views[i]);
    if (!it->views[i].answers) return disagree(it, "%s does not answer", name_of(it, i));
    if (shards > 0 && !it->views[i].cluster_ok)
      return disagree(it, "%s: cluster_state is not ok", name_of(it, i));
  }
  /* Shards are dealt out in turn: redis_first_shard(). */
  for (uint32_t i = 0; i < (shards > 0 ? shards : 1u); i++)
    if (!set_agrees(it, i, shards > 0 ? shards : 1)) return false;
  return true;
}

int redis_service_converged(struct service_instance *instance, bool *ret_converged, char *why,
                            size_t why_size, struct error *err) {
  const struct sim_redis_service *service = redis_service_of(instance);
  CLEANUP_FREE struct sim_redis_view *views = calloc(service->count, sizeof *views);
  if (!views) return error_set(err, STATUS_MEMORY, "out of memory for a look at the servers");
  struct agreement agreement = {.service = service, .views = views, .why = why, .size = why_size};
  *ret_converged = agree(&agreement);
  return 0;
}

/* --- steps ----------------------------------------------------------------------------------- */

static bool is_primary(const struct sim_redis_service *service, uint32_t member) {
  struct sim_redis_view view;
  sim_redis_view(service->servers, member, &view);
  return view.answers && view.writable;
}

static uint32_t find_primary(const struct sim_redis_service *service, uint16_t shard,
                             uint32_t not_member) {
  for (uint32_t i = 0; i < service->count; i++)
    if (i != not_member && redis_first_shard(redis_service_config(service), i) == shard &&
        is_primary(service, i))
      return i;
  return UINT32_MAX;
}

static int switchover(struct sim_redis_service *service, uint32_t member, struct error *err) {
  const struct redis_config *config = redis_service_config(service);
  uint16_t shard = redis_first_shard(config, member == UINT32_MAX ? 0 : member);
  uint32_t old = find_primary(service, shard, UINT32_MAX);
  uint64_t end_ns = redis_service_now_ns(service) + TIMEOUT_NS;
  int status = 0;
  if (old == UINT32_MAX)
    return error_set(err, STATUS_SERVER, "switchover: there is not exactly one primary");
  if (member == old)
    return error_set(err, STATUS_SERVER, "switchover: %s is the primary already",
                     service->instance->members[old]->name);
  if (!sim_redis_switchover(service->servers, member))
    return error_set(err, STATUS_SERVER, "switchover: refused: nobody could take over");
  while (status == 0 && (find_primary(service, shard, old) == UINT32_MAX ||
                         (member != UINT32_MAX && !is_primary(service, member)))) {
    if (redis_service_now_ns(service) > end_ns)
      return error_set(err, STATUS_TIMEOUT, "switchover: no new primary in time");
    status = sim_pass(service->cluster, LOOK_NS, err);
  }
  return status;
}

/* An orderly shutdown, then the unit again. */
static int restart(struct sim_redis_service *service, uint32_t member, struct error *err) {
  uint64_t end_ns = redis_service_now_ns(service) + TIMEOUT_NS;
  struct sim_redis_view view;
  if (member == UINT32_MAX)
    member = find_primary(service, redis_first_shard(redis_service_config(service), 0), UINT32_MAX);
  if (member == UINT32_MAX)
    return error_set(err, STATUS_SERVER, "restart: there is not exactly one primary");
  struct sim_process *process = sim_redis_process(service->servers, member);
  const char *name = service->instance->members[member]->name;
  if (!process->running)
    return error_set(err, STATUS_SERVER, "restart: no server runs on %s", name);
  sim_redis_terminate(service->servers, process);
  int status = sim_pass(service->cluster, LOOK_NS, err);
  if (status < 0) return status;
  sim_process_start(process);
  for (;;) {
    sim_redis_view(service->servers, member, &view);
    if (view.answers) return 0;
    if (redis_service_now_ns(service) > end_ns)
      return error_set(err, STATUS_TIMEOUT, "restart: the server on %s does not answer", name);
    status = sim_pass(service->cluster, LOOK_NS, err);
    if (status < 0) return status;
  }
}

int redis_service_step(struct service_instance *instance, enum service_step step,
                       const struct host *host, struct error *err) {
  struct sim_redis_service *service = redis_service_of(instance);
  uint32_t member = UINT32_MAX;
  int status =
      service_step_member(instance, step, host, service->count, "Redis server", &member, err);
  if (status < 0) return status;
  switch (step) {
    case STEP_SWITCHOVER: return switchover(service, member, err);
    case STEP_RESTART: return restart(service, member, err);
    case STEP_PROMOTE:
    case STEP_COUNT: break;
  }
  return error_set(err, STATUS_INTERNAL, "no such step");
}
