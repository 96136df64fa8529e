/* How a Redis session gets its connection: one server after the other; and the questions to a
 * server that all modes ask. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload/redis_client.h"

/* --- questions ------------------------------------------------------------------------------- */

int redis_reply_check(const redisReply *reply, const char *question, struct error *err) {
  if (reply && reply->type != REDIS_REPLY_ERROR) return 0;
  return error_set(err, STATUS_SERVER, "%s: %.200s", question,
                   reply && reply->str ? reply->str : "no answer");
}

/* The value of "\r\nNAME:value\r\n" in an answer to INFO; false: it is not there. */
static bool find_field(const char *text, const char *name, char *ret_value, size_t size) {
  size_t length = strlen(name);
  for (const char *line = text; line; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (strncmp(line, name, length) != 0 || line[length] != ':') continue;
    const char *value = line + length + 1;
    snprintf(ret_value, size, "%.*s", (int)strcspn(value, "\r\n"), value);
    return true;
  }
  return false;
}

int redis_identity_read(const struct redis_access *redis, const redisReply *reply,
                        struct redis_identity *ret, struct error *err) {
  int status = redis_reply_check(reply, "INFO replication", err);
  if (status < 0) return status;
  char role[16], id[REDIS_ID_SIZE + 1];
  if (!reply->str || !find_field(reply->str, "role", role, sizeof role)) {
    return error_set(err, STATUS_SERVER, "the server did not say what its role is");
  }
  ret->replica = strcmp(role, "master") != 0;
  ret->timeline = 0;
  struct redis_histories *histories = redis ? redis->histories : NULL;
  if (!ret->replica && histories && find_field(reply->str, "master_replid", id, sizeof id)) {
    ret->timeline = redis_histories_number(histories, id);
  }
  return 0;
}

static void must_be_ok(struct redis_link *link, const redisReply *reply) {
  struct error err = ERROR_INIT;
  if (redis_reply_check(reply, "the server refuses", &err) < 0) redis_link_lose(link, err.message);
}

bool redis_ask_auth(struct redis_link *link, const char *user, const char *password) {
  if (!password) return true;
  if (!user) return redis_link_ask(link, must_be_ok, (const char *[]){"AUTH", password}, 2);
  return redis_link_ask(link, must_be_ok, (const char *[]){"AUTH", user, password}, 3);
}

/* --- the setup of a server's connection ------------------------------------------------------ */

/* Whether the route takes this server. */
static const char *refusal(const struct redis_session *session,
                           const struct redis_identity *identity) {
  const struct session_spec *spec = &session->base.spec;
  if (spec->route == ROUTE_PRIMARY && identity->replica) return "is a replica";
  if (spec->route == ROUTE_REPLICA && spec->pinned_host == HOST_NONE && !identity->replica) {
    return "is no replica";
  }
  return NULL;
}

static void identity_answered(struct redis_link *link, const redisReply *reply) {
  struct redis_session *session = link->owner;
  struct redis_identity identity;
  struct error err = ERROR_INIT;
  const char *why = NULL;
  if (redis_identity_read(session->redis, reply, &identity, &err) < 0) {
    why = err.message;
  } else {
    link->timeline = identity.timeline;
    /* A replica of a cluster answers for its shard's map too: it may be the first to be asked. */
    if (link != session->seed) why = refusal(session, &identity);
  }
  if (why) {
    redis_link_lose(link, why);
    return;
  }
  redis_link_set_open(link);
  if (session->mode == REDIS_MODE_CLUSTER) {
    redis_cluster_opened(session, link);
  } else {
    redis_ready(session, link);
  }
}

/* Of a session at one host of a cluster: which keys are its shard's. */
static void nodes_answered(struct redis_link *link, const redisReply *reply) {
  struct redis_session *session = link->owner;
  struct error err = ERROR_INIT;
  if (redis_reply_check(reply, "CLUSTER NODES", &err) < 0) {
    redis_link_lose(link, err.message);
    return;
  }
  uint16_t slot = 0;
  if (!reply->str || !redis_cluster_own_slot(reply->str, &slot)) return; /* as it was before */
  uint16_t shards = session->redis->shards;
  redis_shard_tag(redis_slot_shard(slot, shards), shards, session->tag);
  session->tag_length = strlen(session->tag);
}

static void server_opened(struct redis_link *link) {
  struct redis_session *session = link->owner;
  const struct access *access = session->base.spec.access;
  bool asked = redis_ask_auth(link, access->user, access->password);
  bool cluster = session->redis && session->redis->topology == REDIS_CLUSTER;
  if (asked && cluster && session->mode == REDIS_MODE_ONE) {
    /* So that a replica serves its shard's keys; to a primary it says nothing. */
    asked = redis_link_ask(link, must_be_ok, (const char *[]){"READONLY"}, 1) &&
            redis_link_ask(link, nodes_answered, (const char *[]){"CLUSTER", "NODES"}, 2);
  }
  if (asked && link == session->seed) asked = redis_cluster_ask_seed(link);
  asked =
      asked && redis_link_ask(link, identity_answered, (const char *[]){"INFO", "replication"}, 2);
  if (!asked) redis_link_lose(link, "out of memory for a connection");
}

static void server_lost(struct redis_link *link, enum redis_link_phase phase, const char *why) {
  struct redis_session *session = link->owner;
  if (session->mode == REDIS_MODE_CLUSTER) {
    redis_cluster_link_lost(session, link, phase, why);
    return;
  }
  if (phase == LINK_OPEN) {
    redis_lost(session, link->endpoint->name, why);
    return;
  }
  redis_abandon_flights(session, link);
  if (session->mode == REDIS_MODE_SENTINEL) {
    redis_sentinel_server_failed(session, why);
    return;
  }
  endpoint_round_failed(&session->round, why);
  if (endpoint_round_next(&session->round)) {
    const struct endpoint *endpoint = endpoint_round_at(&session->round);
    redis_open_server(session, link, (uint32_t)(endpoint - session->base.spec.access->endpoints),
                      NULL);
  } else {
    redis_round_failed(session, &session->round.why);
  }
}

static void server_settled(struct redis_link *link) {
  struct redis_session *session = link->owner;
  struct bits *unsent = &session->cork.unsent;
  for (uint32_t i = bits_next(unsent, 0); i < BITS_MAX; i = bits_next(unsent, i + 1)) {
    struct redis_link *each = &session->links[i];
    if (each->out_start < each->out_end) redis_link_flush(each);
    if (each->out_start == each->out_end) bits_remove(unsent, i);
  }
}

const struct redis_link_events redis_server_events = {.opened = server_opened,
                                                      .answered = redis_answered,
                                                      .lost = server_lost,
                                                      .settled = server_settled};

void redis_open_server(struct redis_session *session, struct redis_link *link, uint32_t endpoint,
                       const char *address) {
  const struct session_spec *spec = &session->base.spec;
  struct error err = ERROR_INIT;
  int status = redis_link_open(link, &spec->access->endpoints[endpoint], address,
                               spec->access->resolve ? spec->resolver : NULL, spec->options, &err);
  if (status < 0) {
    link->events->lost(link, LINK_CONNECTING, err.message);
  } else {
    redis_wake_at(session, link->deadline_ns);
  }
}

void redis_connect_round(struct redis_session *session) {
  endpoint_round_begin(&session->round);
  bool any = endpoint_round_next(&session->round);
  assert(any); /* there is no session without an endpoint */
  const struct endpoint *endpoint = endpoint_round_at(&session->round);
  redis_open_server(session, &session->links[0],
                    (uint32_t)(endpoint - session->base.spec.access->endpoints), NULL);
}

/* --- the end of an attempt ------------------------------------------------------------------- */

void redis_disconnect(struct redis_session *session) {
  session->epoch++;
  loop_timer_cancel(session->base.loop, &session->timer);
  for (uint32_t i = 0; i < session->link_count; i++) {
    redis_link_close(&session->links[i]);
    session->links[i].retry_ns = TIME_NEVER;
  }
  uint32_t sentinels = session->sentinels ? session->redis->sentinel_count : 0;
  for (uint32_t i = 0; i < sentinels; i++) {
    redis_link_close(&session->sentinels[i]);
    redis_abandon_flights(session, &session->sentinels[i]);
    session->sentinels[i].retry_ns = TIME_NEVER;
  }
  session->subscribe_ns = session->map_ns = TIME_NEVER;
  session->map_link = session->seed = NULL;
  session->base.host = HOST_NONE;
}

void redis_ready(struct redis_session *session, struct redis_link *link) {
  struct session *base = &session->base;
  bool sentinel = session->mode == REDIS_MODE_SENTINEL && session->asking_ns != 0;
  uint64_t begin_ns = sentinel ? session->asking_ns : link->attempt_ns;
  base->timing = (struct connect_timing){.resolve_ns = link->resolved_ns - begin_ns,
                                         .connect_ns = link->connected_ns - link->resolved_ns,
                                         .authenticate_ns = link->opened_ns - link->connected_ns,
                                         .host = link->endpoint->host};
  if (session->mode == REDIS_MODE_ONE) endpoint_round_succeeded(&session->round);
  if (session->mode == REDIS_MODE_SENTINEL) redis_sentinel_ready(session);
  base->host = link->endpoint->host;
  base->timeline = link->timeline;
  base->state = SESSION_READY;
  base->spec.changed(base, SESSION_READY, NULL);
}

void redis_round_failed(struct redis_session *session, const struct error *why) {
  struct error copy = *why; /* what it is part of may begin anew in the callback */
  redis_disconnect(session);
  session->base.state = SESSION_LOST;
  session->base.spec.changed(&session->base, SESSION_LOST, &copy);
}
