/* Planned actions on a running service: switchover and restart. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "services/redis.h"

#define QUERY_TIMEOUT_NS (2 * NS_PER_S)
#define POLL_MS 20
#define SWITCH_TIMEOUT_NS (30 * NS_PER_S)
/* A cluster's node gives a manual failover up after 5 s, and says so in its log only. */
#define MANUAL_FAILOVER_NS (5 * NS_PER_S)
#define RESTART_TIMEOUT_NS (60 * NS_PER_S)
/* Sentinels read a replica's priority with its INFO, every 10 s. */
#define PRIORITY_TIMEOUT_NS (25 * NS_PER_S)
#define PRIORITY_DEFAULT 100

struct step {
  enum service_step kind;
  uint32_t member; /* UINT32_MAX: the service chooses */
};

static bool is_primary(struct service_instance *service, uint32_t member) {
  struct redis_info info;
  return redis_ask_info(service, member, "replication", QUERY_TIMEOUT_NS, &info, NULL) == 0 &&
         info.primary;
}

/* The one primary of the members of a shard (0: of all); UINT32_MAX when none or several are. */
static uint32_t find_primary(struct service_instance *service, uint16_t shard) {
  uint32_t found = UINT32_MAX;
  for (uint32_t i = 0; i < redis_data_count(service); i++) {
    if (shard && redis_first_shard(redis_config(service), i) != shard) continue;
    if (!is_primary(service, i)) continue;
    if (found != UINT32_MAX) return UINT32_MAX;
    found = i;
  }
  return found;
}

static uint16_t first_shard_of(struct service_instance *service, uint32_t member) {
  const struct redis_config *config = redis_config(service);
  if (redis_shards(config) == 0) return 0;
  return member == UINT32_MAX ? 1 : redis_first_shard(config, member);
}

/* Waits until another member of the old primary's shard (the wanted one, if one is) is primary too.
 * Sentinels leave the old one as it is for up to ten seconds more. */
static int wait_new_primary(struct service_instance *service, uint32_t old, uint32_t wanted,
                            uint64_t timeout_ns, struct error *err) {
  const struct redis_config *config = redis_config(service);
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + timeout_ns;
  for (;;) {
    for (uint32_t i = 0; i < redis_instances(config); i++) {
      bool candidate = wanted == UINT32_MAX ? i != old : i == wanted;
      if (candidate && redis_first_shard(config, i) == redis_first_shard(config, old) &&
          is_primary(service, i))
        return 0;
    }
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "switchover: no new primary in time");
    poll(NULL, 0, POLL_MS);
  }
}

/* --- switchover by Sentinel --- */

static int set_priority(struct service_instance *service, uint32_t member, int priority,
                        struct error *err) {
  char text[64];
  snprintf(text, sizeof text, "CONFIG SET replica-priority %d", priority);
  return redis_ask_once(service, member, REDIS_PORT, text, QUERY_TIMEOUT_NS, NULL, err);
}

/* Whether the Sentinel has heard of the priority of the replica at `address`. */
static bool sentinel_prefers(struct redis_console *sentinel, const char *address) {
  CLEANUP(cleanup_reply) redisReply *reply = NULL;
  if (redis_console_say(sentinel, "SENTINEL REPLICAS " REDIS_MASTER_NAME, &reply, NULL) < 0 ||
      reply->type != REDIS_REPLY_ARRAY)
    return false;
  for (size_t i = 0; i < reply->elements; i++)
    if (strcmp(redis_reply_field(reply->element[i], "ip"), address) == 0)
      return strcmp(redis_reply_field(reply->element[i], "slave-priority"), "1") == 0;
  return false;
}

static int wait_preference(struct redis_console *sentinel, const struct host *host,
                           struct error *err) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + PRIORITY_TIMEOUT_NS;
  while (!sentinel_prefers(sentinel, host->address)) {
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "switchover: the Sentinel did not hear of %s in time",
                       host->name);
    poll(NULL, 0, 10 * POLL_MS);
  }
  return 0;
}

static int open_any_sentinel(struct service_instance *service, struct redis_console *ret,
                             struct error *err) {
  int status = -1;
  for (uint32_t i = 0; status < 0 && i < redis_sentinel_count(redis_config(service)); i++)
    status = redis_console_open(service, i, REDIS_SENTINEL_PORT, QUERY_TIMEOUT_NS, ret, err);
  return status;
}

/* Whether the Sentinel has ended its failover: then it names the new primary. */
static int wait_switched(struct redis_console *sentinel, const struct host *old,
                         struct error *err) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + SWITCH_TIMEOUT_NS;
  for (;;) {
    CLEANUP(cleanup_reply) redisReply *reply = NULL;
    int status = redis_console_say(sentinel, "SENTINEL MASTER " REDIS_MASTER_NAME, &reply, err);
    if (status < 0) return status;
    if (strcmp(redis_reply_field(reply, "ip"), old->address) != 0) return 0;
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "switchover: the Sentinel on %s has not ended it",
                       sentinel->name);
    poll(NULL, 0, POLL_MS);
  }
}

/* A Sentinel chooses by priority, so a person who wants a certain replica gives it the best one and
 * waits until that is known. */
static int switch_by_sentinel(struct service_instance *service, uint32_t old, uint32_t wanted,
                              struct error *err) {
  CLEANUP(redis_console_close) struct redis_console sentinel = {.talk = NULL};
  int status = open_any_sentinel(service, &sentinel, err);
  if (status == 0 && wanted != UINT32_MAX) {
    status = set_priority(service, wanted, 1, err);
    if (status == 0) status = wait_preference(&sentinel, service->members[wanted], err);
  }
  if (status == 0)
    status = redis_console_say(&sentinel, "SENTINEL FAILOVER " REDIS_MASTER_NAME, NULL, err);
  if (status == 0) status = wait_new_primary(service, old, wanted, SWITCH_TIMEOUT_NS, err);
  if (status == 0) status = wait_switched(&sentinel, service->members[old], err);
  if (wanted != UINT32_MAX) {
    int again = set_priority(service, wanted, PRIORITY_DEFAULT, status < 0 ? NULL : err);
    if (status == 0) status = again;
  }
  return status;
}

/* --- switchover in a cluster --- */

/* The replica of the shard that has received most: what a person would choose. */
static uint32_t best_replica(struct service_instance *service, uint16_t shard) {
  uint32_t best = UINT32_MAX;
  uint64_t offset = 0;
  for (uint32_t i = 0; i < redis_data_count(service); i++) {
    struct redis_info info;
    if (redis_first_shard(redis_config(service), i) != shard ||
        redis_ask_info(service, i, "replication", QUERY_TIMEOUT_NS, &info, NULL) < 0 ||
        info.primary || !info.link_up || (best != UINT32_MAX && info.offset <= offset))
      continue;
    best = i;
    offset = info.offset;
  }
  return best;
}

static int switch_in_cluster(struct service_instance *service, uint32_t old, uint32_t wanted,
                             struct error *err) {
  uint16_t shard = first_shard_of(service, old);
  if (wanted == UINT32_MAX) wanted = best_replica(service, shard);
  if (wanted == UINT32_MAX)
    return error_set(err, STATUS_SERVER, "switchover: no replica of %s answers",
                     service->members[old]->name);
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + SWITCH_TIMEOUT_NS;
  for (;;) {
    int status = redis_ask_once(service, wanted, REDIS_PORT, "CLUSTER FAILOVER", QUERY_TIMEOUT_NS,
                                NULL, err);
    if (status == 0)
      status = wait_new_primary(service, old, wanted, MANUAL_FAILOVER_NS + NS_PER_S, err);
    if (status != STATUS_TIMEOUT || clock_now_ns(&clock_monotonic) > deadline_ns) return status;
  }
}

static int switchover(struct service_instance *service, void *data, struct error *err) {
  const struct step *step = data;
  uint32_t old = find_primary(service, first_shard_of(service, step->member));
  if (old == UINT32_MAX)
    return error_set(err, STATUS_SERVER, "switchover: there is not exactly one primary");
  if (step->member == old)
    return error_set(err, STATUS_SERVER, "switchover: %s is the primary already",
                     service->members[old]->name);
  if (redis_config(service)->topology == REDIS_CLUSTER)
    return switch_in_cluster(service, old, step->member, err);
  return switch_by_sentinel(service, old, step->member, err);
}

/* --- restart --- */

static int choose_primary(struct service_instance *service, void *data, struct error *err) {
  struct step *step = data;
  step->member = find_primary(service, first_shard_of(service, UINT32_MAX));
  if (step->member == UINT32_MAX)
    return error_set(err, STATUS_SERVER, "restart: there is not exactly one primary");
  return 0;
}

static int wait_answers(struct service_instance *service, void *data, struct error *err) {
  const struct step *step = data;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + RESTART_TIMEOUT_NS;
  for (;;) {
    struct redis_info info;
    int status = redis_ask_info(service, step->member, NULL, QUERY_TIMEOUT_NS, &info, err);
    if (status == 0 && !info.loading) return 0;
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      return status < 0 ? status
                        : error_set(err, STATUS_TIMEOUT, "restart: %s still loads its data",
                                    service->members[step->member]->name);
    poll(NULL, 0, POLL_MS);
  }
}

/* An orderly shutdown (a snapshot where such are written, replicas waited for), then the unit
 * again. */
static int restart(struct service_instance *service, struct step *step, struct error *err) {
  static const struct process_match all = {.unit = REDIS_UNIT};
  const struct host *host = service->members[step->member];
  int status = service_restart_unit(service, host, REDIS_UNIT, &all, SIGTERM, err);
  if (status == 0) status = redis_on_monitor(service, wait_answers, step, err);
  return status;
}

int redis_step(struct service_instance *service, enum service_step kind, const struct host *host,
               struct error *err) {
  struct step step = {.kind = kind};
  int status = service_step_member(service, kind, host, redis_data_count(service), "Redis server",
                                   &step.member, err);
  if (status < 0) return status;
  if (kind == STEP_SWITCHOVER) return redis_on_monitor(service, switchover, &step, err);
  if (step.member == UINT32_MAX) status = redis_on_monitor(service, choose_primary, &step, err);
  return status == 0 ? restart(service, &step, err) : status;
}
