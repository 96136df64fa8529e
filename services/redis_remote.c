/* Blocking talk to servers and Sentinels from the monitor host's network, as the observer's user.
 * Callers may stand in any network: a helper thread enters the right one. */
#include <string.h>

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
  redis_talk_close(console->talk);
  console->talk = NULL;
}

/* Nobody ends these before their time. */
static struct patience patience_of(const struct redis_console *console) {
  static const struct access steady = {.driver = NULL};
  return patience_for(&steady, console->timeout_ns);
}

int redis_console_ask(struct redis_console *console, uint32_t count, const char *const words[],
                      redisReply **ret, struct error *err) {
  if (!console->talk) return error_set(err, STATUS_SERVER, "%s: not connected", console->name);
  const struct patience patience = patience_of(console);
  CLEANUP(cleanup_reply) redisReply *reply = NULL;
  int status = redis_talk_put(console->talk, words, count, err);
  if (status == 0) status = redis_talk_take(console->talk, &patience, &reply, err);
  if (status < 0) {
    redis_console_close(console);
    error_wrap(err, "%s", console->name);
    return status;
  }
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
  const struct endpoint endpoint = service_endpoint(service->members[member], port);
  struct redis_console console = {.name = endpoint.name, .timeout_ns = timeout_ns};
  const struct patience patience = patience_of(&console);
  int status =
      redis_talk_open(&endpoint, redis_state(service)->trust, &patience, &console.talk, err);
  if (status < 0) {
    error_wrap(err, "%s", console.name);
    return status;
  }
  const char *const words[] = {"AUTH", REDIS_OBSERVER_USER, redis_state(service)->secrets.observer};
  status = redis_console_ask(&console, 3, words, NULL, err);
  if (status < 0) {
    redis_console_close(&console);
    return status;
  }
  *ret = console;
  return 0;
}

int redis_ask_once(const struct service_instance *service, uint32_t member, uint16_t port,
                   const char *text, uint64_t timeout_ns, redisReply **ret, struct error *err) {
  CLEANUP(redis_console_close) struct redis_console console = {.talk = NULL};
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
