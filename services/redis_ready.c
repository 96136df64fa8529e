/* Waiting until a just started service can be used, and saying why when it never will. */
#include <poll.h>
#include <string.h>
#include <strings.h>

#include "services/redis.h"

#define SLICE_NS (250 * NS_PER_MS) /* between two looks at the units */
#define POLL_MS 10
#define ATTEMPT_NS NS_PER_S
#define WHY_SIZE 200

struct waiting {
  redis_condition *condition;
  bool there;
  char why[WHY_SIZE]; /* what is still missing */
};

/* --- conditions --- */

/* Whether a server is there and has its data; `info` is all that it says. */
static bool answers(struct service_instance *service, uint32_t member, struct redis_info *info,
                    char *why, size_t size) {
  struct error err = ERROR_INIT;
  if (redis_ask_info(service, member, NULL, ATTEMPT_NS, info, &err) < 0) {
    snprintf(why, size, "%.*s", (int)size - 1, err.message);
    return false;
  }
  if (info->loading) snprintf(why, size, "%s loads its data", service->members[member]->name);
  return !info->loading;
}

bool redis_first_answers(struct service_instance *service, char *why, size_t size) {
  struct redis_info info;
  return answers(service, 0, &info, why, size);
}

bool redis_all_answer(struct service_instance *service, char *why, size_t size) {
  struct redis_info info;
  for (uint32_t i = 0; i < redis_data_count(service); i++)
    if (!answers(service, i, &info, why, size)) return false;
  return true;
}

static const struct redis_listed *listed_at(const struct redis_info *primary, const char *address) {
  for (uint32_t i = 0; i < primary->listed_count; i++)
    if (strcmp(primary->listed[i].address, address) == 0) return &primary->listed[i];
  return NULL;
}

static bool follows(struct service_instance *service, uint32_t member, uint32_t primary_member,
                    const struct redis_info *primary, char *why, size_t size) {
  struct redis_info info;
  const struct host *host = service->members[member];
  if (!answers(service, member, &info, why, size)) return false;
  const struct redis_listed *listed = listed_at(primary, host->address);
  if (!info.primary && info.link_up && listed && listed->online &&
      strcmp(info.from, service->members[primary_member]->address) == 0)
    return true;
  snprintf(why, size, "%s does not follow %s yet", host->name,
           service->members[primary_member]->name);
  return false;
}

/* As they were set up: the first, or the first so many of a cluster, are primaries. */
bool redis_replicas_follow(struct service_instance *service, char *why, size_t size) {
  const struct redis_config *config = redis_config(service);
  uint32_t primaries = config->topology == REDIS_CLUSTER ? config->masters : 1;
  struct redis_info info[REDIS_SHARDS_MAX];
  for (uint32_t i = 0; i < primaries; i++) {
    if (!answers(service, i, &info[i], why, size)) return false;
    if (!info[i].primary) {
      snprintf(why, size, "%s is not primary", service->members[i]->name);
      return false;
    }
  }
  for (uint32_t i = primaries; i < redis_data_count(service); i++)
    if (!follows(service, i, i % primaries, &info[i % primaries], why, size)) return false;
  return true;
}

/* Whether every one of a list (of replicas, of Sentinels) is reached, by its flags. */
static bool all_reached(const redisReply *list, const char *flags, bool replicas) {
  for (size_t i = 0; i < list->elements; i++) {
    const redisReply *one = list->element[i];
    if (strcmp(redis_reply_field(one, "flags"), flags) != 0) return false;
    if (replicas && strcmp(redis_reply_field(one, "master-link-status"), "ok") != 0) return false;
  }
  return true;
}

static bool sentinel_knows(struct service_instance *service, struct redis_console *link, char *why,
                           size_t size) {
  const struct redis_config *config = redis_config(service);
  struct error err = ERROR_INIT;
  CLEANUP(cleanup_reply) redisReply *master = NULL;
  CLEANUP(cleanup_reply) redisReply *replicas = NULL;
  CLEANUP(cleanup_reply) redisReply *others = NULL;
  if (redis_console_say(link, "SENTINEL MASTER " REDIS_MASTER_NAME, &master, &err) < 0 ||
      redis_console_say(link, "SENTINEL REPLICAS " REDIS_MASTER_NAME, &replicas, &err) < 0 ||
      redis_console_say(link, "SENTINEL SENTINELS " REDIS_MASTER_NAME, &others, &err) < 0) {
    snprintf(why, size, "%.*s", (int)size - 1, err.message);
    return false;
  }
  if (strcmp(redis_reply_field(master, "flags"), "master") != 0 ||
      strcmp(redis_reply_field(master, "ip"), service->members[0]->address) != 0)
    snprintf(why, size, "the Sentinel on %s does not reach the primary yet", link->name);
  else if (replicas->elements != config->instances - 1 || !all_reached(replicas, "slave", true))
    snprintf(why, size, "the Sentinel on %s does not know all replicas yet", link->name);
  else if (others->elements != config->sentinels - 1 || !all_reached(others, "sentinel", false))
    snprintf(why, size, "the Sentinel on %s does not reach all others yet", link->name);
  else
    return true;
  return false;
}

bool redis_sentinels_agree(struct service_instance *service, char *why, size_t size) {
  for (uint32_t i = 0; i < redis_sentinel_count(redis_config(service)); i++) {
    CLEANUP(redis_console_close) struct redis_console link = {.talk = NULL};
    struct error err = ERROR_INIT;
    if (redis_console_open(service, i, REDIS_SENTINEL_PORT, ATTEMPT_NS, &link, &err) < 0) {
      snprintf(why, size, "the Sentinel on %.*s", (int)size - 20, err.message);
      return false;
    }
    if (!sentinel_knows(service, &link, why, size)) return false;
  }
  return true;
}

/* --- waiting --- */

static int wait_slice(struct service_instance *service, void *data, struct error *err) {
  (void)err;
  struct waiting *waiting = data;
  uint64_t end_ns = clock_now_ns(&clock_monotonic) + SLICE_NS;
  while (!waiting->there && clock_now_ns(&clock_monotonic) < end_ns) {
    waiting->there = waiting->condition(service, waiting->why, sizeof waiting->why);
    if (!waiting->there) poll(NULL, 0, POLL_MS);
  }
  return 0;
}

static int late(struct service_instance *service, const struct waiting *waiting, bool sentinels,
                struct error *err) {
  char lines[LOG_TEXT_SIZE];
  const char *unit = sentinels ? REDIS_SENTINEL_UNIT : REDIS_UNIT;
  const struct host *host = service->members[0];
  server_log_read(redis_log_choose, service, host, unit, lines, sizeof lines);
  return error_set(err, STATUS_SERVER,
                   "the service redis was not ready in time (%s); the log of %s on %s says:\n%s",
                   waiting->why, unit, host->name, lines[0] ? lines : "(nothing)");
}

int redis_wait(struct service_instance *service, redis_condition *condition, bool sentinels,
               uint64_t deadline_ns, struct error *err) {
  const struct redis_config *config = redis_config(service);
  uint32_t servers = condition == redis_first_answers ? 1 : redis_instances(config);
  struct waiting waiting = {.condition = condition, .why = "nothing answered"};
  for (;;) {
    int status = redis_on_monitor(service, wait_slice, &waiting, err);
    if (status < 0 || waiting.there) return status;
    status = server_log_check_unit(redis_log_choose, service, REDIS_UNIT, servers, err);
    if (status == 0 && sentinels)
      status = server_log_check_unit(redis_log_choose, service, REDIS_SENTINEL_UNIT,
                                     redis_sentinel_count(config), err);
    if (status == 0 && clock_now_ns(&clock_monotonic) > deadline_ns)
      status = late(service, &waiting, sentinels, err);
    if (status < 0) return status;
  }
}
