/* The memory of a Redis server: how full it is, and how a fault makes it so, with keys of its own
 * that no workload knows. */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "services/redis.h"

#define FILLER "gameday-fill:"
#define TIMEOUT_NS (5 * NS_PER_S)
/* A server that reads its data back after a crash is waited for, and so is a long fill. */
#define START_TIMEOUT_NS (25 * NS_PER_S)
#define FILL_TIMEOUT_NS (120 * NS_PER_S)
/* The limit is met to this part of it. */
#define CHUNK_PART 256u
#define CHUNK_MIN (UINT64_C(4) << 10)
#define CHUNK_MAX (UINT64_C(4) << 20)
#define SCAN_COUNT "1000" /* keys a call: some 100 us of the server's time */
#define RETRY_MS 50

static uint64_t limit(const void *config) {
  return ((const struct redis_config *)config)->maxmemory_bytes;
}

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

static int look_at(struct errand *errand, struct redis_info *ret_info, struct error *err) {
  CLEANUP(cleanup_reply) redisReply *reply = NULL;
  int status = redis_console_say(&errand->console, "INFO", &reply, err);
  if (status < 0) return status;
  if (reply->type != REDIS_REPLY_STRING || !redis_parse_info(reply->str, reply->len, ret_info))
    return error_set(err, STATUS_SERVER, "%s: INFO has no role", errand->console.name);
  errand->memory.used_bytes = ret_info->memory_used;
  errand->memory.limit_bytes = ret_info->memory_limit;
  errand->memory.evicted = ret_info->evicted_keys;
  errand->memory.refused = ret_info->memory_refusals;
  return 0;
}

/* --- looking --------------------------------------------------------------------------------- */

/* Without their values, which together are the whole memory. */
static int count_fillers(struct errand *errand, struct error *err) {
  char cursor[24] = "0";
  do {
    CLEANUP(cleanup_reply) redisReply *reply = NULL;
    const char *const pattern = FILLER "*";
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
  struct redis_info info;
  int status = open_console(service, errand, err);
  if (status == 0) status = look_at(errand, &info, err);
  if (status == 0) status = count_fillers(errand, err);
  redis_console_close(&errand->console);
  return status;
}

/* --- filling --------------------------------------------------------------------------------- */

/* One key of `bytes`, made by the server of zeros. `ret_refused`: there is no room for it. */
static int add_filler(struct errand *errand, const char *name, uint64_t bytes, bool *ret_refused,
                      struct error *err) {
  char offset[24];
  snprintf(offset, sizeof offset, "%" PRIu64, bytes - 1);
  const char *const words[] = {"SETRANGE", name, offset, "0"};
  struct error why = ERROR_INIT;
  int status = redis_console_ask(&errand->console, 4, words, NULL, &why);
  *ret_refused = status < 0 && strstr(why.message, ": OOM ") != NULL;
  if (status == 0 || *ret_refused) return 0;
  if (err) *err = why;
  return status;
}

static uint64_t chunk_of(uint64_t limit_bytes) {
  uint64_t chunk = limit_bytes / CHUNK_PART;
  if (chunk < CHUNK_MIN) return CHUNK_MIN;
  return chunk < CHUNK_MAX ? chunk : CHUNK_MAX;
}

/* Until the server is at its limit, which it also is when it begins to throw away or to refuse. */
static int fill_up(struct service_instance *service, struct errand *errand, struct error *err) {
  struct redis_info info;
  int status = look_at(errand, &info, err);
  if (status < 0) return status;
  if (info.memory_limit == 0)
    return error_set(err, STATUS_USAGE, "%s has no maxmemory", errand->console.name);
  const uint64_t evicted = info.evicted_keys, chunk = chunk_of(info.memory_limit);
  const uint64_t began_ns = clock_now_ns(&clock_monotonic);
  bool full = info.memory_used >= info.memory_limit, refused = false;
  char tag[REDIS_TAG_SIZE], name[96];
  redis_shard_tag(redis_first_shard(redis_config(service), errand->member),
                  redis_shards(redis_config(service)), tag);
  for (uint64_t i = 0, more = 0; (!full || more < errand->more_bytes) && !refused; i++) {
    snprintf(name, sizeof name, FILLER "%s%" PRIx64 ":%" PRIu64, tag, began_ns, i);
    if (full) more += chunk;
    status = add_filler(errand, name, chunk, &refused, err);
    if (status == 0 && !full) status = look_at(errand, &info, err);
    if (status < 0) return status;
    full = full || info.memory_used >= info.memory_limit || info.evicted_keys > evicted;
    if (clock_now_ns(&clock_monotonic) - began_ns > FILL_TIMEOUT_NS)
      return error_set(err, STATUS_TIMEOUT, "%s was not full in time", errand->console.name);
  }
  return 0;
}

static int fill_call(struct service_instance *service, void *data, struct error *err) {
  struct errand *errand = data;
  int status = open_console(service, errand, err);
  if (status == 0) status = fill_up(service, errand, err);
  redis_console_close(&errand->console);
  return status;
}

/* --- clearing -------------------------------------------------------------------------------- */

/* A server that has just been started refuses connections, then commands, until it has its data. */
static int clear_call(struct service_instance *service, void *data, struct error *err) {
  const struct errand *errand = data;
  const struct access *access = &service->access;
  const uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + START_TIMEOUT_NS;
  for (;;) {
    struct error why = ERROR_INIT;
    int status = access->driver->execute(access, &access->endpoints[errand->member],
                                         "UNLINK " FILLER "*", TIMEOUT_NS, &why);
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
    .limit = limit, .look = look, .fill = fill, .clear = clear};
