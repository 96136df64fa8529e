/* A server's keys, as those of a cache: counting and removing them, and a server that comes back
 * with none. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "services/redis.h"

#define QUERY_TIMEOUT_NS (5 * NS_PER_S)
#define ANSWER_TIMEOUT_NS (60 * NS_PER_S)
#define POLL_MS 20
#define PATTERN_SIZE 256

struct keys_call {
  enum keys_action action;
  uint32_t member;
  const char *pattern;
  struct keys_count count;
};

/* A key may come twice: while the server's table of keys grows or shrinks. That is rare, and more
 * than is there is never the answer to whether anything is. */
static int count_row(void *data, const char *const columns[], uint32_t count, struct error *err) {
  (void)columns;
  (void)count;
  (void)err;
  ++*(uint64_t *)data;
  return 0;
}

static const struct endpoint *endpoint_of(const struct service_instance *service, uint32_t member) {
  return &service->access.endpoints[member];
}

static int count_keys(struct service_instance *service, const struct keys_call *call, uint64_t *ret,
                      struct error *err) {
  const struct access *access = &service->access;
  uint64_t count = 0;
  int status = access->driver->read_rows(access, endpoint_of(service, call->member), call->pattern,
                                         QUERY_TIMEOUT_NS, count_row, &count, err);
  if (status == 0) *ret = count;
  return status;
}

static int remove_keys(struct service_instance *service, const struct keys_call *call,
                       struct error *err) {
  const struct access *access = &service->access;
  char text[PATTERN_SIZE + 16];
  if (call->action == KEYS_FLUSH)
    snprintf(text, sizeof text, "FLUSHDB");
  else
    snprintf(text, sizeof text, "UNLINK %s", call->pattern);
  return access->driver->execute(access, endpoint_of(service, call->member), text, QUERY_TIMEOUT_NS,
                                 err);
}

static int look_or_remove(struct service_instance *service, void *data, struct error *err) {
  struct keys_call *call = data;
  int status = count_keys(service, call, &call->count.before, err);
  call->count.now = call->count.before;
  if (status < 0 || call->action == KEYS_LOOK) return status;
  status = remove_keys(service, call, err);
  if (status == 0) status = count_keys(service, call, &call->count.now, err);
  return status;
}

static int wait_answers(struct service_instance *service, void *data, struct error *err) {
  const struct keys_call *call = data;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + ANSWER_TIMEOUT_NS;
  for (;;) {
    struct redis_info info;
    int status = redis_ask_info(service, call->member, NULL, QUERY_TIMEOUT_NS, &info, err);
    if (status == 0 && !info.loading) return 0;
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      return status < 0 ? status
                        : error_set(err, STATUS_TIMEOUT, "%s still loads its data",
                                    service->members[call->member]->name);
    poll(NULL, 0, POLL_MS);
  }
}

static int wait_dead(struct service_instance *service, const struct host *host,
                     const struct process_match *match, struct error *err) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + QUERY_TIMEOUT_NS;
  for (;;) {
    uint32_t count = 0;
    int status =
        service->cluster->provider->process_signal(service->cluster, host, match, 0, &count, err);
    if (status < 0 || count == 0) return status;
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "the server on %s did not die", host->name);
    poll(NULL, 0, POLL_MS);
  }
}

/* What a server loads when it starts: the snapshot and the append-only files, but not the node's
 * own file of a cluster. */
static int remove_data(struct service_instance *service, const struct host *host,
                       struct error *err) {
  const char *const data = REDIS_DATA; /* several literals: not in the list */
  const char *const argv[] = {"find",  data,         "-mindepth", "1", "!",
                              "-name", "nodes.conf", "-delete",   NULL};
  const struct process_spec spec = {.argv = argv};
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  int status = service->cluster->provider->exec(service->cluster, host, NULL, &spec, &result, err);
  if (status == 0 && result.exit_code != 0)
    status = error_set(err, STATUS_SERVER, "%s: cannot remove the data set: %s", host->name,
                       result.err.data);
  return status;
}

static int restart_empty(struct service_instance *service, struct keys_call *call,
                         struct error *err) {
  static const struct process_match all = {.unit = REDIS_UNIT};
  const struct provider *provider = service->cluster->provider;
  const struct host *host = service->members[call->member];
  uint32_t count = 0;
  int status = provider->process_signal(service->cluster, host, &all, SIGKILL, &count, err);
  if (status == 0) status = wait_dead(service, host, &all, err);
  if (status == 0) status = remove_data(service, host, err);
  if (status == 0) status = provider->unit_start(service->cluster, host, REDIS_UNIT, err);
  if (status == 0) status = redis_on_monitor(service, wait_answers, call, err);
  return status;
}

int redis_keys(struct service_instance *service, enum keys_action action, const struct host *host,
               const char *pattern, struct keys_count *ret, struct error *err) {
  struct keys_call call = {.action = action, .pattern = pattern};
  call.member = redis_member(service, host);
  if (call.member == UINT32_MAX)
    return error_set(err, STATUS_USAGE, "%s carries no Redis server", host->name);
  if (strlen(pattern) >= PATTERN_SIZE || strchr(pattern, ' '))
    return error_set(err, STATUS_USAGE, "'%s' is no pattern of keys", pattern);
  int status = action == KEYS_RESTART ? restart_empty(service, &call, err)
                                      : redis_on_monitor(service, look_or_remove, &call, err);
  if (status == 0) *ret = call.count;
  return status;
}
