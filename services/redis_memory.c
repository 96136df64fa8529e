/* The memory of a Redis server: how full it is, and how a fault makes it so, with keys of its own
 * that no workload knows. */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "services/redis.h"

#define TIMEOUT_NS (5 * NS_PER_S)
/* A server that reads its data back after a crash is waited for. */
#define START_TIMEOUT_NS (25 * NS_PER_S)
#define SCAN_COUNT "1000" /* keys a call: some 100 us of the server's time */
#define RETRY_MS 50

/* What a hook does on the server, in the monitor's network. */
struct errand {
  uint32_t member;
  struct redis_console console; /* as the clients' user: the observer may see no keys */
  struct service_memory memory;
  uint64_t more_bytes;
};

static int open_console(struct service_instance *service, struct errand *errand,
                        struct error *err) {
  int status =
      redis_console_open(service, errand->member, REDIS_PORT, TIMEOUT_NS, &errand->console, err);
  if (status < 0) return status;
  const char *const words[] = {"AUTH", REDIS_CLIENT_USER, redis_state(service)->secrets.client};
  return redis_console_ask(&errand->console, 3, words, NULL, err);
}

static int look_at(struct errand *errand, struct error *err) {
  struct redis_info info;
  CLEANUP(cleanup_reply) redisReply *reply = NULL;
  int status = redis_console_say(&errand->console, "INFO", &reply, err);
  if (status < 0) return status;
  if (reply->type != REDIS_REPLY_STRING || !redis_parse_info(reply->str, reply->len, &info))
    return error_set(err, STATUS_SERVER, "%s: INFO has no role", errand->console.name);
  errand->memory.used_bytes = info.memory_used;
  errand->memory.limit_bytes = info.memory_limit;
  errand->memory.evicted = info.evicted_keys;
  errand->memory.refused = info.memory_refusals;
  return 0;
}

/* --- looking --------------------------------------------------------------------------------- */

/* Without their values, which together are the whole memory. */
static int count_fillers(struct errand *errand, struct error *err) {
  char cursor[24] = "0";
  do {
    CLEANUP(cleanup_reply) redisReply *reply = NULL;
    const char *const pattern = REDIS_FILLER "*";
    const char *const words[] = {"SCAN", cursor, "MATCH", pattern, "COUNT", SCAN_COUNT};
    int status = redis_console_ask(&errand->console, 6, words, &reply, err);
    if (status < 0) return status;
    bool sound = reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 &&
                 reply->element[0]->str && reply->element[1]->type == REDIS_REPLY_ARRAY;
    if (!sound) return error_set(err, STATUS_SERVER, "%s: SCAN gave no keys", errand->console.name);
    snprintf(cursor, sizeof cursor, "%s", reply->element[0]->str);
    errand->memory.fillers += reply->element[1]->elements;
  } while (strcmp(cursor, "0") != 0);
  return 0;
}

static int look_call(struct service_instance *service, void *data, struct error *err) {
  struct errand *errand = data;
  int status = open_console(service, errand, err);
  if (status == 0) status = look_at(errand, err);
  if (status == 0) status = count_fillers(errand, err);
  redis_console_close(&errand->console);
  return status;
}

/* --- filling --------------------------------------------------------------------------------- */

/* One key of `bytes`, made by the server of zeros. `ret_refused`: there is no room for it. */
static int add_filler(void *data, const char *key, uint64_t bytes, bool *ret_refused,
                      struct error *err) {
  struct errand *errand = data;
  char offset[24];
  snprintf(offset, sizeof offset, "%" PRIu64, bytes - 1);
  const char *const words[] = {"SETRANGE", key, offset, "0"};
  struct error why = ERROR_INIT;
  int status = redis_console_ask(&errand->console, 4, words, NULL, &why);
  *ret_refused = status < 0 && strstr(why.message, ": OOM ") != NULL;
  if (status == 0 || *ret_refused) return 0;
  if (err) *err = why;
  return status;
}

static int look_for_fill(void *data, struct service_memory *ret, struct error *err) {
  struct errand *errand = data;
  int status = look_at(errand, err);
  if (status == 0) *ret = errand->memory;
  return status;
}

static int fill_call(struct service_instance *service, void *data, struct error *err) {
  struct errand *errand = data;
  int status = open_console(service, errand, err);
  const struct redis_filling filling = {
      .data = errand, .name = errand->console.name, .look = look_for_fill, .add = add_filler};
  if (status == 0) status = redis_fill(service, errand->member, &filling, errand->more_bytes, err);
  redis_console_close(&errand->console);
  return status;
}

/* --- clearing -------------------------------------------------------------------------------- */

static int clear_one(struct service_instance *service, uint32_t member, struct error *err) {
  const struct access *access = &service->access;
  struct redis_info info;
  int status = redis_ask_info(service, member, "replication", TIMEOUT_NS, &info, err);
  if (status < 0) return status;
  if (!info.primary)
    return error_set(err, STATUS_SERVER, "%s: is a replica", service->members[member]->name);
  return access->driver->execute(access, &access->endpoints[member], "UNLINK " REDIS_FILLER "*",
                                 TIMEOUT_NS, err);
}

/* At all primaries among the servers that had the same keys: one of them may have taken the place
 * of the one that was filled, and the keys with it. Fails when there is none, for that one's
 * reason.
 */
static int clear_set(struct service_instance *service, uint32_t filled, struct error *err) {
  const struct redis_config *config = redis_config(service);
  uint32_t count = redis_data_count(service), cleared = 0;
  int first = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t member = (filled + i) % count;
    struct error why = ERROR_INIT;
    if (redis_first_shard(config, member) != redis_first_shard(config, filled)) continue;
    int status = clear_one(service, member, &why);
    cleared += status == 0;
    if (status == 0 || first < 0) continue;
    first = status;
    if (err) *err = why;
  }
  return cleared > 0 ? 0 : first;
}

/* A server that has just been started refuses connections, then commands, until it has its data. */
static int clear_call(struct service_instance *service, void *data, struct error *err) {
  const struct errand *errand = data;
  const uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + START_TIMEOUT_NS;
  for (;;) {
    struct error why = ERROR_INIT;
    int status = clear_set(service, errand->member, &why);
    if (status == 0) return 0;
    if (clock_now_ns(&clock_monotonic) >= deadline_ns) {
      if (err) *err = why;
      return status;
    }
    poll(NULL, 0, RETRY_MS);
  }
}

/* --- the hooks ------------------------------------------------------------------------------- */

static int run(struct service_instance *service, const struct host *host, struct errand *errand,
               monitor_call *call, struct error *err) {
  errand->member = redis_member(service, host);
  if (errand->member == UINT32_MAX)
    return error_set(err, STATUS_USAGE, "%s has no server of redis", host->name);
  return redis_on_monitor(service, call, errand, err);
}

static int look(struct service_instance *service, const struct host *host,
                struct service_memory *ret_memory, struct error *err) {
  struct errand errand = {.member = UINT32_MAX};
  int status = run(service, host, &errand, look_call, err);
  if (status == 0) *ret_memory = errand.memory;
  return status;
}

static int fill(struct service_instance *service, const struct host *host, uint64_t more_bytes,
                struct error *err) {
  struct errand errand = {.member = UINT32_MAX, .more_bytes = more_bytes};
  return run(service, host, &errand, fill_call, err);
}

static int clear(struct service_instance *service, const struct host *host, struct error *err) {
  struct errand errand = {.member = UINT32_MAX};
  return run(service, host, &errand, clear_call, err);
}

const struct service_memory_hooks redis_memory = {
    .limit = redis_memory_limit, .look = look, .fill = fill, .clear = clear};
