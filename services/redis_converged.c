/* Whether all members of a `redis` agree: one primary, or one a shard; all its replicas have its
 * history and all that it had written; its managers know it. */
#include <stdlib.h>
#include <string.h>

#include "services/redis.h"

#define QUERY_TIMEOUT_NS (2 * NS_PER_S)

struct agreement {
  bool converged;
  char *why;
  size_t why_size;
};

static bool disagree(struct agreement *agreement, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool disagree(struct agreement *agreement, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(agreement->why, agreement->why_size, format, args);
  va_end(args);
  return false;
}

static bool read_member(struct service_instance *service, uint32_t member, struct redis_info *info,
                        struct agreement *agreement) {
  struct error err = ERROR_INIT;
  if (redis_ask_info(service, member, NULL, QUERY_TIMEOUT_NS, info, &err) < 0)
    return disagree(agreement, "%.200s", err.message);
  if (info->loading)
    return disagree(agreement, "%s loads its data", service->members[member]->name);
  return true;
}

static bool find_primaries(struct service_instance *service, const struct redis_info *infos,
                           uint32_t primaries[REDIS_SHARDS_MAX], struct agreement *agreement) {
  const struct redis_config *config = redis_config(service);
  uint32_t sets = config->topology == REDIS_CLUSTER ? config->masters : 1;
  for (uint32_t set = 0; set < sets; set++) {
    primaries[set] = UINT32_MAX;
    for (uint32_t i = 0; i < redis_instances(config); i++) {
      uint16_t shard = redis_first_shard(config, i);
      if (!infos[i].primary || (shard && shard - 1u != set)) continue;
      if (primaries[set] != UINT32_MAX)
        return disagree(agreement, "%s and %s are both primary",
                        service->members[primaries[set]]->name, service->members[i]->name);
      primaries[set] = i;
    }
    if (primaries[set] == UINT32_MAX)
      return sets == 1 ? disagree(agreement, "there is no primary")
                       : disagree(agreement, "shard %u has no primary", set);
  }
  return true;
}

/* The primary was asked before: what it had then, the replica must have now, which can be had while
 * somebody goes on writing a little. */
static bool follows(struct service_instance *service, uint32_t member, uint32_t primary,
                    const struct redis_info *primary_info, struct agreement *agreement) {
  struct redis_info info;
  const char *name = service->members[member]->name;
  const char *primary_name = service->members[primary]->name;
  if (!read_member(service, member, &info, agreement)) return false;
  /* It may follow through another replica: then it has the same history all the same. */
  if (info.primary) return disagree(agreement, "%s is primary too", name);
  if (!info.link_up) return disagree(agreement, "%s has no link to %s", name, info.from);
  if (strcmp(info.history, primary_info->history) != 0)
    return disagree(agreement, "%s has another history than %s", name, primary_name);
  if (info.offset < primary_info->offset)
    return disagree(agreement, "%s is %llu bytes behind %s", name,
                    (unsigned long long)(primary_info->offset - info.offset), primary_name);
  return true;
}

static bool sentinels_agree(struct service_instance *service, uint32_t primary,
                            struct agreement *agreement) {
  for (uint32_t i = 0; i < redis_sentinel_count(redis_config(service)); i++) {
    struct error err = ERROR_INIT;
    CLEANUP(cleanup_reply) redisReply *reply = NULL;
    if (redis_ask_once(service, i, REDIS_SENTINEL_PORT, "SENTINEL MASTER " REDIS_MASTER_NAME,
                       QUERY_TIMEOUT_NS, &reply, &err) < 0)
      return disagree(agreement, "the Sentinel on %.200s", err.message);
    if (strcmp(redis_reply_field(reply, "ip"), service->members[primary]->address) != 0)
      return disagree(agreement, "the Sentinel on %s does not take %s for the primary",
                      service->members[i]->name, service->members[primary]->name);
  }
  return true;
}

static bool cluster_serves(struct service_instance *service, struct agreement *agreement) {
  for (uint32_t i = 0; i < redis_data_count(service); i++) {
    struct redis_cluster_info info = {.ok = false};
    struct error err = ERROR_INIT;
    CLEANUP(cleanup_reply) redisReply *reply = NULL;
    if (redis_ask_once(service, i, REDIS_PORT, "CLUSTER INFO", QUERY_TIMEOUT_NS, &reply, &err) < 0)
      return disagree(agreement, "%.200s", err.message);
    if (reply->type != REDIS_REPLY_STRING ||
        !redis_parse_cluster_info(reply->str, reply->len, &info) || !info.ok)
      return disagree(agreement, "%s: cluster_state is not ok", service->members[i]->name);
  }
  return true;
}

static bool agree(struct service_instance *service, struct agreement *agreement) {
  const struct redis_config *config = redis_config(service);
  CLEANUP_FREE struct redis_info *infos = calloc(redis_instances(config), sizeof *infos);
  if (!infos) return disagree(agreement, "out of memory");
  uint32_t primaries[REDIS_SHARDS_MAX];
  for (uint32_t i = 0; i < redis_instances(config); i++)
    if (!read_member(service, i, &infos[i], agreement)) return false;
  if (!find_primaries(service, infos, primaries, agreement)) return false;
  for (uint32_t i = 0; i < redis_instances(config); i++) {
    uint16_t shard = redis_first_shard(config, i);
    uint32_t primary = primaries[shard ? shard - 1 : 0];
    if (i != primary && !follows(service, i, primary, &infos[primary], agreement)) return false;
  }
  if (config->topology == REDIS_CLUSTER) return cluster_serves(service, agreement);
  return sentinels_agree(service, primaries[0], agreement);
}

static int on_monitor_agree(struct service_instance *service, void *data, struct error *err) {
  (void)err;
  struct agreement *agreement = data;
  agreement->converged = agree(service, agreement);
  return 0;
}

int redis_converged(struct service_instance *service, bool *ret_converged, char *why,
                    size_t why_size, struct error *err) {
  struct agreement agreement = {.why = why, .why_size = why_size};
  int status = redis_on_monitor(service, on_monitor_agree, &agreement, err);
  if (status == 0) *ret_converged = agreement.converged;
  return status;
}
