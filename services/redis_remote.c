/* Blocking talk to servers and Sentinels from the monitor host's network, as the observer's user.
 * Callers may stand in any network: a helper thread enters the right one. */
#include <errno.h>
#include <string.h>
#include <sys/time.h>

#include "services/redis.h"

#define WORDS_MAX 16
#define TEXT_MAX 512

int redis_on_monitor(struct service_instance *service, monitor_call *call, void *data,
                     struct error *err) {
  return service_on_monitor(service, redis_state(service)->monitor, call, data, err);
}

/* --- a connection --- */

void cleanup_reply(redisReply **reply) {
  if (*reply) freeReplyObject(*reply);
}

void redis_console_close(struct redis_console *console) {
  if (console->context) redisFree(console->context);
  console->context = NULL;
}

static struct timeval timeval_of(uint64_t ns) {
  return (struct timeval){.tv_sec = (time_t)(ns / NS_PER_S),
                          .tv_usec = (suseconds_t)(ns % NS_PER_S / NS_PER_US)};
}

/* What hiredis found wrong with the connection, which is of no more use. */
static int console_error(struct redis_console *console, struct error *err) {
  const redisContext *context = console->context;
  bool late = context->err == REDIS_ERR_IO && (errno == EAGAIN || errno == ETIMEDOUT);
#ifdef REDIS_ERR_TIMEOUT /* hiredis 1.0 */
  late = late || context->err == REDIS_ERR_TIMEOUT;
#endif
  int status = late ? error_set(err, STATUS_TIMEOUT, "%s: no answer in time", console->name)
                    : error_set(err, STATUS_SERVER, "%s: %s", console->name, context->errstr);
  redis_console_close(console);
  return status;
}

int redis_console_ask(struct redis_console *console, uint32_t count, const char *const words[],
                      redisReply **ret, struct error *err) {
  /* hiredis takes pointers that are not const, and does not write. */
  union {
    const char *const *given;
    const char **wanted;
  } argv = {.given = words};
  if (!console->context) return error_set(err, STATUS_SERVER, "%s: not connected", console->name);
  CLEANUP(cleanup_reply)
  redisReply *reply = redisCommandArgv(console->context, (int)count, argv.wanted, NULL);
  if (!reply) return console_error(console, err);
  if (reply->type == REDIS_REPLY_ERROR)
    return error_set(err, STATUS_SERVER, "%s: %s: %s", console->name, words[0], reply->str);
  if (ret) {
    *ret = reply;
    reply = NULL;
  }
  return 0;
}

int redis_console_say(struct redis_console *console, const char *text, redisReply **ret,
                      struct error *err) {
  char copy[TEXT_MAX];
  const char *words[WORDS_MAX];
  uint32_t count = 0;
  snprintf(copy, sizeof copy, "%s", text);
  char *rest = copy;
  for (char *word; count < WORDS_MAX && (word = strsep(&rest, " "));) words[count++] = word;
  return redis_console_ask(console, count, words, ret, err);
}

int redis_console_open(const struct service_instance *service, uint32_t member, uint16_t port,
                       uint64_t timeout_ns, struct redis_console *ret, struct error *err) {
  const struct host *host = service->members[member];
  struct redis_console console = {.name = host->name, .timeout_ns = timeout_ns};
  console.context = redisConnectWithTimeout(host->address, port, timeval_of(timeout_ns));
  if (!console.context) return error_set(err, STATUS_MEMORY, "out of memory for a connection");
  if (console.context->err) return console_error(&console, err);
  redisSetTimeout(console.context, timeval_of(timeout_ns));
  const char *const words[] = {"AUTH", REDIS_OBSERVER_USER, redis_state(service)->secrets.observer};
  int status = redis_console_ask(&console, 3, words, NULL, err);
  if (status < 0) {
    redis_console_close(&console);
    return status;
  }
  *ret = console;
  return 0;
}

int redis_ask_once(const struct service_instance *service, uint32_t member, uint16_t port,
                   const char *text, uint64_t timeout_ns, redisReply **ret, struct error *err) {
  CLEANUP(redis_console_close) struct redis_console console = {.context = NULL};
  int status = redis_console_open(service, member, port, timeout_ns, &console, err);
  if (status == 0) status = redis_console_say(&console, text, ret, err);
  return status;
}

const char *redis_reply_field(const redisReply *reply, const char *key) {
  if (reply->type != REDIS_REPLY_ARRAY) return "";
  for (size_t i = 0; i + 1 < reply->elements; i += 2) {
    const redisReply *name = reply->element[i], *value = reply->element[i + 1];
    if (name->type == REDIS_REPLY_STRING && value->type == REDIS_REPLY_STRING &&
        strcmp(name->str, key) == 0)
      return value->str;
  }
  return "";
}

int redis_ask_info(const struct service_instance *service, uint32_t member, const char *section,
                   uint64_t timeout_ns, struct redis_info *ret, struct error *err) {
  char text[64];
  CLEANUP(cleanup_reply) redisReply *reply = NULL;
  snprintf(text, sizeof text, section ? "INFO %s" : "INFO", section);
  int status = redis_ask_once(service, member, REDIS_PORT, text, timeout_ns, &reply, err);
  if (status < 0) return status;
  if (reply->type != REDIS_REPLY_STRING || !redis_parse_info(reply->str, reply->len, ret))
    return error_set(err, STATUS_SERVER, "%s: INFO has no role", service->members[member]->name);
  return 0;
}
