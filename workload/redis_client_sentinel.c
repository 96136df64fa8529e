/* Sessions that find the primary through Sentinel, and follow it when it changes
 * (https://redis.io/docs/latest/develop/reference/sentinel-clients/). */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/resolver.h"
#include "workload/redis_client.h"

#define HOST_SIZE 256

static void ask_next(struct redis_session *session);

static struct redis_link *current_sentinel(struct redis_session *session) {
  uint32_t count = session->redis->sentinel_count;
  assert(session->sentinel_tried > 0);
  return &session->sentinels[(session->sentinel_first + session->sentinel_tried - 1) % count];
}

static bool is_asked(struct redis_session *session, const struct redis_link *link) {
  return session->base.state == SESSION_CONNECTING && !session->leaving &&
         session->sentinel_tried > 0 && link == current_sentinel(session);
}

static void note(struct redis_session *session, const char *who, const char *why) {
  struct error *all = &session->sentinel_why;
  size_t length = strlen(all->message);
  all->status = STATUS_SERVER;
  snprintf(all->message + length, sizeof all->message - length, "%s%s: %s", length > 0 ? "; " : "",
           who, why);
}

/* --- asking for the primary ------------------------------------------------------------------ */

/* Two texts, host and port, as Sentinel writes them. */
static uint32_t read_address(const struct redis_session *session, const redisReply *reply,
                             char *ret_host, size_t size) {
  if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2) return REDIS_NO_ENDPOINT;
  const redisReply *host = reply->element[0], *port = reply->element[1];
  if (!host->str || !port->str) return REDIS_NO_ENDPOINT;
  unsigned long number = strtoul(port->str, NULL, 10);
  snprintf(ret_host, size, "%s:%lu", host->str, number);
  return redis_find_endpoint(session->base.spec.access, 0, host->str, strlen(host->str),
                             (uint16_t)number);
}

static void address_answered(struct redis_link *link, const redisReply *reply) {
  struct redis_session *session = link->owner;
  struct error err = ERROR_INIT;
  char host[HOST_SIZE] = "";
  uint32_t endpoint = REDIS_NO_ENDPOINT;
  if (redis_reply_check(reply, "SENTINEL get-master-addr-by-name", &err) == 0) {
    endpoint = read_address(session, reply, host, sizeof host);
    if (endpoint == REDIS_NO_ENDPOINT && host[0]) {
      error_set(&err, STATUS_SERVER, "names %.100s as the primary, which nobody knows", host);
    } else if (endpoint == REDIS_NO_ENDPOINT) {
      error_set(&err, STATUS_SERVER, "knows no primary of this name");
    }
  }
  if (endpoint == REDIS_NO_ENDPOINT) {
    redis_link_lose(link, err.message);
    return;
  }
  redis_link_set_open(link);
  session->sentinel_first = (uint32_t)(link - session->sentinels);
  session->sentinel_tried = 1;
  /* An address needs no further look-up; a name (resolve-hostnames yes) is an endpoint's. */
  const char *address = session->base.spec.access->endpoints[endpoint].address;
  bool numeric = strncmp(host, address, strlen(address)) == 0 && host[strlen(address)] == ':';
  redis_open_server(session, &session->links[0], endpoint, numeric ? address : NULL);
}

static void open_sentinel(struct redis_session *session, struct redis_link *link) {
  const struct session_spec *spec = &session->base.spec;
  struct error err = ERROR_INIT;
  const struct endpoint *endpoint = &session->redis->sentinels[link - session->sentinels];
  int status = redis_link_open(link, endpoint, NULL, spec->access->resolve ? spec->resolver : NULL,
                               spec->options, &err);
  if (status < 0) {
    link->events->lost(link, LINK_CONNECTING, err.message);
  } else {
    redis_wake_at(session, link->deadline_ns);
  }
}

static void ask_next(struct redis_session *session) {
  if (session->sentinel_tried == session->redis->sentinel_count) {
    redis_round_failed(session, &session->sentinel_why);
    return;
  }
  session->sentinel_tried++;
  session->asking_ns = loop_now_ns(session->base.loop);
  open_sentinel(session, current_sentinel(session));
}

void redis_sentinel_connect(struct redis_session *session) {
  session->sentinel_why = ERROR_INIT;
  session->sentinel_tried = 0;
  session->asking_ns = 0;
  if (session->hint != REDIS_NO_ENDPOINT) {
    redis_open_server(session, &session->links[0], session->hint, NULL);
  } else {
    ask_next(session);
  }
}

void redis_sentinel_server_failed(struct redis_session *session, const char *why) {
  note(session, session->links[0].endpoint->name, why);
  session->hint = REDIS_NO_ENDPOINT;
  if (session->sentinel_tried > 0) redis_link_close(current_sentinel(session));
  ask_next(session);
}

/* --- following ------------------------------------------------------------------------------- */

void redis_sentinel_ready(struct redis_session *session) {
  session->hint = REDIS_NO_ENDPOINT;
  /* Not at once: a connection that is closed again soon, as the probe's, needs none of it. */
  session->subscribe_ns =
      loop_now_ns(session->base.loop) + session->base.spec.options->reconnect_delay_ns;
  redis_wake_at(session, session->subscribe_ns);
}

static void subscribed(struct redis_link *link, const redisReply *reply) {
  struct error err = ERROR_INIT;
  if (redis_reply_check(reply, "SUBSCRIBE", &err) < 0) {
    redis_link_lose(link, err.message);
    return;
  }
  redis_link_set_open(link);
}

/* A subscription says nothing for hours, and when the sentinel's host loses power it says nothing
 * for ever: so it is asked whether it is there, and has until the next time to answer. */
static void ping_later(struct redis_session *session, struct redis_link *link) {
  link->ping_ns = loop_now_ns(session->base.loop) + session->base.spec.options->connect_timeout_ns;
  redis_wake_at(session, link->ping_ns);
}

static void ping(struct redis_session *session, struct redis_link *link) {
  if (link->count > 0) {
    redis_link_lose(link, "no answer to PING");
  } else if (redis_link_ask(link, NULL, (const char *[]){"PING"}, 1)) {
    ping_later(session, link);
    redis_link_flush(link);
  }
}

static bool subscribe(struct redis_link *link) {
  ping_later(link->owner, link);
  return redis_link_ask(link, subscribed, (const char *[]){"SUBSCRIBE", "+switch-master"}, 2);
}

/* "NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT" */
static void switched(struct redis_session *session, struct redis_link *link, const char *text) {
  char name[HOST_SIZE], host[HOST_SIZE];
  unsigned port = 0;
  if (sscanf(text, "%255s %*s %*s %255s %5u", name, host, &port) != 3) return;
  if (strcmp(name, session->redis->master_name) != 0) return;
  const struct access *access = session->base.spec.access;
  uint32_t endpoint = redis_find_endpoint(access, 0, host, strlen(host), (uint16_t)port);
  if (endpoint == REDIS_NO_ENDPOINT) return;
  if (session->links[0].endpoint == &access->endpoints[endpoint]) return;
  session->hint = endpoint;
  session->sentinel_first = (uint32_t)(link - session->sentinels);
  char why[HOST_SIZE + 64];
  snprintf(why, sizeof why, "switched the primary to %s", access->endpoints[endpoint].name);
  redis_lost(session, link->endpoint->name, why);
}

static void sentinel_answered(struct redis_link *link, const struct redis_answer *answer) {
  struct redis_session *session = link->owner;
  const redisReply *reply = answer->reply;
  bool message = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3 &&
                 reply->element[0]->str && strcmp(reply->element[0]->str, "message") == 0;
  if (!message && redis_link_current(link)) {
    struct redis_flight taken = redis_link_take_current(link);
    if (taken.answered) taken.answered(link, reply);
    return;
  }
  bool news = message && reply->element[2]->str && session->base.state == SESSION_READY;
  if (news) switched(session, link, reply->element[2]->str);
}

static void sentinel_opened(struct redis_link *link) {
  struct redis_session *session = link->owner;
  const struct access *access = session->base.spec.access;
  const struct redis_access *redis = session->redis;
  bool own = redis->sentinel_password != NULL;
  bool asked = redis_ask_auth(link, own ? redis->sentinel_user : access->user,
                              own ? redis->sentinel_password : access->password);
  if (asked && is_asked(session, link)) {
    asked = redis_link_ask(
        link, address_answered,
        (const char *[]){"SENTINEL", "get-master-addr-by-name", redis->master_name}, 3);
  } else if (asked) {
    asked = subscribe(link);
  }
  if (!asked) redis_link_lose(link, "out of memory for a connection");
}

static void sentinel_lost(struct redis_link *link, enum redis_link_phase phase, const char *why) {
  struct redis_session *session = link->owner;
  redis_abandon_flights(session, link);
  if (is_asked(session, link)) {
    /* Once it has answered its connection is needed only for what comes later. */
    if (phase == LINK_OPEN) return;
    note(session, link->endpoint->name, why);
    ask_next(session);
    return;
  }
  link->retry_ns = loop_now_ns(link->loop) + session->base.spec.options->reconnect_delay_ns;
  redis_wake_at(session, link->retry_ns);
}

static void sentinel_settled(struct redis_link *link) {
  if (link->out_start < link->out_end) redis_link_flush(link);
}

static const struct redis_link_events sentinel_events = {.opened = sentinel_opened,
                                                         .answered = sentinel_answered,
                                                         .lost = sentinel_lost,
                                                         .settled = sentinel_settled};

/* Every sentinel gets a subscription: the one that was asked on the connection it has. */
static void subscribe_all(struct redis_session *session) {
  uint64_t epoch = session->epoch;
  for (uint32_t i = 0; i < session->redis->sentinel_count && session->epoch == epoch; i++) {
    struct redis_link *link = &session->sentinels[i];
    if (link->phase == LINK_CLOSED) {
      open_sentinel(session, link);
    } else if (link->phase == LINK_OPEN) {
      if (subscribe(link)) redis_link_flush(link);
    }
  }
}

uint64_t redis_sentinel_tick(struct redis_session *session, uint64_t now_ns) {
  uint64_t epoch = session->epoch;
  if (session->subscribe_ns <= now_ns) {
    session->subscribe_ns = TIME_NEVER;
    subscribe_all(session);
  }
  uint64_t due_ns = session->subscribe_ns;
  for (uint32_t i = 0; i < session->redis->sentinel_count && session->epoch == epoch; i++) {
    struct redis_link *link = &session->sentinels[i];
    if (link->retry_ns <= now_ns) open_sentinel(session, link);
    if (session->epoch != epoch) break;
    if (link->phase == LINK_OPEN && link->ping_ns <= now_ns) ping(session, link);
    if (link->retry_ns < due_ns) due_ns = link->retry_ns;
    if (link->phase == LINK_OPEN && link->ping_ns < due_ns) due_ns = link->ping_ns;
  }
  return due_ns;
}

int redis_sentinel_init(struct redis_session *session, struct error *err) {
  uint32_t count = session->redis->sentinel_count;
  if (count == 0 || !session->redis->master_name) {
    return error_set(err, STATUS_USAGE, "the service has no sentinel to ask");
  }
  session->sentinels = calloc(count, sizeof *session->sentinels);
  if (!session->sentinels) return error_set(err, STATUS_MEMORY, "out of memory for a session");
  for (uint32_t i = 0; i < count; i++) {
    redis_link_init(&session->sentinels[i], session, &sentinel_events, session->base.loop,
                    &session->cork, 1);
    redis_link_use(&session->sentinels[i], session->redis, session->base.spec.from_host);
  }
  return 0;
}
