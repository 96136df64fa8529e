/* Sessions with all primaries of a Redis cluster: the map of slots, redirections, and what waits
 * for a connection (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload/redis_client.h"

static uint32_t index_of(const struct redis_session *session, const struct redis_link *link) {
  return (uint32_t)(link - session->links);
}

static bool is_open(const struct redis_session *session, uint32_t endpoint) {
  return endpoint != REDIS_NO_ENDPOINT && session->links[endpoint].phase == LINK_OPEN;
}

static uint64_t now_of(const struct redis_session *session) {
  return loop_now_ns(session->base.loop);
}

/* --- the map --------------------------------------------------------------------------------- */

static int compare_slot(const void *key, const void *element) {
  const uint16_t *slot = key;
  const struct redis_range *range = element;
  if (*slot < range->first) return -1;
  return *slot > range->last;
}

static int compare_ranges(const void *left, const void *right) {
  const struct redis_range *a = left, *b = right;
  return a->first < b->first ? -1 : a->first > b->first;
}

static struct redis_range *range_of(struct redis_session *session, uint16_t slot) {
  return bsearch(&slot, session->ranges, session->range_count, sizeof *session->ranges,
                 compare_slot);
}

static uint32_t owner_of(struct redis_session *session, uint16_t slot) {
  const struct redis_range *range = range_of(session, slot);
  return range ? range->endpoint : REDIS_NO_ENDPOINT;
}

static bool is_owner(const struct redis_session *session, uint32_t endpoint) {
  return bits_has(&session->owners, endpoint);
}

/* After each change of the map. */
static void note_owners(struct redis_session *session) {
  session->owners = (struct bits){{0}};
  for (uint32_t i = 0; i < session->range_count; i++) {
    uint32_t endpoint = session->ranges[i].endpoint;
    if (endpoint != REDIS_NO_ENDPOINT) bits_add(&session->owners, endpoint);
  }
}

/* [host, port, id, ...]; a node that does not know its own address says so with an empty one. */
static uint32_t read_node(const struct redis_session *session, const struct redis_link *link,
                          uint32_t guess, const redisReply *node) {
  const struct access *access = session->base.spec.access;
  if (node->type != REDIS_REPLY_ARRAY || node->elements < 2) return REDIS_NO_ENDPOINT;
  const redisReply *host = node->element[0], *port = node->element[1];
  if (port->type != REDIS_REPLY_INTEGER) return REDIS_NO_ENDPOINT;
  bool unnamed = !host->str || host->str[0] == '\0';
  const char *name = unnamed ? link->endpoint->address : host->str;
  return redis_find_endpoint(access, guess, name, strlen(name), (uint16_t)port->integer);
}

/* [first, last, primary, replica...]; `guess`: who the primary may be. */
static bool read_range(const struct redis_session *session, const struct redis_link *link,
                       uint32_t guess, const redisReply *entry, struct redis_range *ret_range) {
  if (entry->type != REDIS_REPLY_ARRAY || entry->elements < 3) return false;
  int64_t first = entry->element[0]->integer, last = entry->element[1]->integer;
  if (first < 0 || last < first || last >= (int64_t)REDIS_SLOTS) return false;
  *ret_range = (struct redis_range){.first = (uint16_t)first,
                                    .last = (uint16_t)last,
                                    .endpoint = read_node(session, link, guess, entry->element[2])};
  return true;
}

/* CLUSTER SLOTS: the map into session->ranges. */
static int read_map(struct redis_session *session, const struct redis_link *link,
                    const redisReply *reply, struct error *err) {
  int status = redis_reply_check(reply, "CLUSTER SLOTS", err);
  if (status < 0) return status;
  struct redis_range ranges[REDIS_RANGES_MAX];
  uint32_t count = 0;
  if (reply->type != REDIS_REPLY_ARRAY || (size_t)reply->elements > REDIS_RANGES_MAX) {
    return error_set(err, STATUS_SERVER, "CLUSTER SLOTS: an answer that is not understood");
  }
  for (uint32_t i = 0; i < (uint32_t)reply->elements; i++) {
    /* Who it was before; at first the primaries are mostly those that come first. */
    uint32_t guess = i < session->range_count ? session->ranges[i].endpoint : i;
    if (!read_range(session, link, guess, reply->element[i], &ranges[count++])) {
      return error_set(err, STATUS_SERVER, "CLUSTER SLOTS: a range that is not understood");
    }
  }
  if (count == 0) return error_set(err, STATUS_SERVER, "CLUSTER SLOTS: no slot is served");
  qsort(ranges, count, sizeof *ranges, compare_ranges);
  memcpy(session->ranges, ranges, count * sizeof *ranges);
  session->range_count = count;
  note_owners(session);
  return 0;
}

/* The first slot on a line of CLUSTER NODES, its ninth word; false: it has none. */
static bool first_slot(const char *line, uint16_t *ret_slot) {
  size_t length = strcspn(line, "\n");
  for (uint32_t words = 0; words < 8; words++) {
    const char *space = memchr(line, ' ', length);
    if (!space) return false;
    length -= (size_t)(space + 1 - line);
    line = space + 1;
  }
  if (length == 0 || *line < '0' || *line > '9') return false; /* "[93->-..." is on the move */
  unsigned long slot = strtoul(line, NULL, 10);
  *ret_slot = (uint16_t)slot;
  return slot < REDIS_SLOTS;
}

bool redis_cluster_own_slot(const char *nodes, uint16_t *ret_slot) {
  char id[REDIS_ID_SIZE] = "", flags[64], primary[REDIS_ID_SIZE];
  for (const char *line = nodes; line && *line; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (sscanf(line, "%40s %*s %63s %40s", id, flags, primary) != 3) continue;
    if (!strstr(flags, "myself")) continue;
    if (first_slot(line, ret_slot)) return true;
    if (strlen(primary) != REDIS_ID_SIZE - 1) return false;
    break;
  }
  for (const char *line = nodes; line && *line; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (strncmp(line, primary, REDIS_ID_SIZE - 1) == 0) return first_slot(line, ret_slot);
  }
  return false;
}

/* As soon as it is allowed: never more often than one asks who has lost a connection. */
static void want_map(struct redis_session *session) {
  uint64_t at_ns = session->map_asked_ns + session->base.spec.options->reconnect_delay_ns;
  if (session->map_ns <= at_ns || session->map_link) return;
  session->map_ns = at_ns;
  redis_wake_at(session, at_ns);
}

/* --- what waits for a connection ------------------------------------------------------------- */

static void dispatch(struct redis_session *session, const struct redis_parked *entry) {
  struct request *request = entry->request;
  if (!is_open(session, entry->endpoint)) {
    assert(session->parked_count < session->base.spec.options->pipeline_depth);
    session->parked[session->parked_count++] = *entry;
    if (entry->endpoint == REDIS_NO_ENDPOINT) {
      want_map(session);
    } else if (session->links[entry->endpoint].phase == LINK_CLOSED &&
               session->links[entry->endpoint].retry_ns == TIME_NEVER) {
      redis_open_server(session, &session->links[entry->endpoint], entry->endpoint, NULL);
    }
    return;
  }
  struct redis_link *link = &session->links[entry->endpoint];
  bool asked = !entry->asking || redis_link_ask(link, NULL, (const char *[]){"ASKING"}, 1);
  if (asked && redis_send_on(session, link, request, entry->redirects)) {
    redis_link_flush(link);
  } else {
    redis_fail_unsent(session, request, redis_slot_shard(entry->slot, session->redis->shards));
  }
}

static void fail_parked_at(struct redis_session *session, uint32_t index) {
  struct redis_parked entry = session->parked[index];
  session->parked[index] = session->parked[--session->parked_count];
  uint16_t shards = session->redis->shards;
  redis_fail_unsent(session, entry.request, shards > 0 ? redis_slot_shard(entry.slot, shards) : 0);
}

/* Callbacks add to what is parked: `limit` requests at most are looked at. */
static void fail_parked(struct redis_session *session, uint32_t endpoint) {
  uint64_t epoch = session->epoch;
  for (uint32_t i = session->parked_count; i > 0 && session->epoch == epoch; i--) {
    if (i > session->parked_count) continue;
    if (session->parked[i - 1].endpoint == endpoint) fail_parked_at(session, i - 1);
  }
}

/* Sends what is parked to whom the map names now, where there is a connection. */
static void unpark(struct redis_session *session) {
  uint64_t epoch = session->epoch;
  for (uint32_t i = session->parked_count; i > 0 && session->epoch == epoch; i--) {
    if (i > session->parked_count) continue;
    struct redis_parked entry = session->parked[i - 1];
    /* A redirection by ASK is to that node alone, which the map does not name. */
    if (!entry.asking) entry.endpoint = owner_of(session, entry.slot);
    bool same = entry.endpoint == session->parked[i - 1].endpoint;
    if (entry.endpoint == REDIS_NO_ENDPOINT) {
      fail_parked_at(session, i - 1);
    } else if (!same || is_open(session, entry.endpoint)) {
      session->parked[i - 1] = session->parked[--session->parked_count];
      dispatch(session, &entry);
    }
  }
}

void redis_cluster_abandon(struct redis_session *session) {
  while (session->parked_count > 0) fail_parked_at(session, session->parked_count - 1);
}

void redis_cluster_send(struct redis_session *session, struct request *request, uint8_t redirects) {
  struct redis_parked entry = {.request = request, .redirects = redirects};
  if (!redis_slot_of(session, request, &entry.slot)) {
    request->sent_ns = 0;
    redis_fail_unsent(session, request, 0);
    return;
  }
  entry.endpoint = owner_of(session, entry.slot);
  dispatch(session, &entry);
}

/* --- redirections ---------------------------------------------------------------------------- */

/* "MOVED 3999 host:port", "ASK 3999 host:port"; an empty host is the one that answered. */
static uint32_t read_redirect(const struct redis_session *session, const struct redis_link *link,
                              const char *message, uint16_t *ret_slot) {
  const char *text = strchr(message, ' ');
  char *host = NULL;
  unsigned long slot = text ? strtoul(text + 1, &host, 10) : REDIS_SLOTS;
  const char *colon = host ? strrchr(host, ':') : NULL;
  if (slot >= REDIS_SLOTS || !colon || *host != ' ') return REDIS_NO_ENDPOINT;
  host++;
  *ret_slot = (uint16_t)slot;
  size_t length = (size_t)(colon - host);
  const char *name = length > 0 ? host : link->endpoint->address;
  return redis_find_endpoint(session->base.spec.access, 0, name, length > 0 ? length : strlen(name),
                             (uint16_t)strtoul(colon + 1, NULL, 10));
}

void redis_cluster_error(struct redis_session *session, struct redis_link *link,
                         struct redis_flight *flight, const char *message) {
  bool moved = strncmp(message, "MOVED ", 6) == 0;
  bool ask = strncmp(message, "ASK ", 4) == 0;
  if (strncmp(message, "CLUSTERDOWN", 11) == 0) want_map(session);
  if (!moved && !ask) return;
  uint16_t slot = 0;
  uint32_t endpoint = read_redirect(session, link, message, &slot);
  if (moved) want_map(session);
  if (endpoint == REDIS_NO_ENDPOINT) return;
  struct redis_range *range = range_of(session, slot);
  /* What moved is the whole shard: slots stay together. */
  if (moved && range) {
    range->endpoint = endpoint;
    note_owners(session);
  }
  if (flight->redirects == REDIRECTS_MAX) return;
  if (flight->request->deadline_ns <= session->cork.received_ns) return;
  flight->redirect = endpoint + 1;
  flight->asking = ask;
}

void redis_cluster_follow(struct redis_session *session, const struct redis_flight *flight) {
  struct redis_parked entry = {.request = flight->request,
                               .endpoint = flight->redirect - 1,
                               .redirects = (uint8_t)(flight->redirects + 1),
                               .asking = flight->asking};
  if (!redis_slot_of(session, entry.request, &entry.slot)) {
    redis_fail_unsent(session, entry.request, flight->reply.shard);
    return;
  }
  dispatch(session, &entry);
}

/* --- connecting ------------------------------------------------------------------------------ */

/* Connects to the owners that have no connection yet. */
static void open_owners(struct redis_session *session) {
  uint64_t epoch = session->epoch;
  for (uint32_t i = 0; i < session->range_count && session->epoch == epoch; i++) {
    uint32_t endpoint = session->ranges[i].endpoint;
    if (endpoint == REDIS_NO_ENDPOINT) continue;
    struct redis_link *link = &session->links[endpoint];
    if (link->phase == LINK_CLOSED && link->retry_ns == TIME_NEVER) {
      redis_open_server(session, link, endpoint, NULL);
    }
  }
}

static void open_seed(struct redis_session *session) {
  const struct endpoint *endpoint = endpoint_round_at(&session->round);
  uint32_t index = (uint32_t)(endpoint - session->base.spec.access->endpoints);
  session->seed = &session->links[index];
  redis_open_server(session, session->seed, index, NULL);
}

static void next_seed(struct redis_session *session, const char *who, const char *why) {
  char whole[ERROR_MESSAGE_SIZE];
  bool itself = strcmp(who, endpoint_round_at(&session->round)->name) == 0;
  snprintf(whole, sizeof whole, "%s%s%s", itself ? "" : who, itself ? "" : ": ", why);
  endpoint_round_failed(&session->round, whole);
  for (uint32_t i = 0; i < session->link_count; i++) redis_link_close(&session->links[i]);
  for (uint32_t i = 0; i < session->link_count; i++) {
    redis_abandon_flights(session, &session->links[i]);
    session->links[i].retry_ns = TIME_NEVER;
  }
  if (endpoint_round_next(&session->round)) {
    open_seed(session);
  } else {
    redis_round_failed(session, &session->round.why);
  }
}

void redis_cluster_connect(struct redis_session *session) {
  session->range_count = 0;
  note_owners(session);
  session->map_asked_ns = 0;
  endpoint_round_begin(&session->round);
  bool any = endpoint_round_next(&session->round);
  assert(any);
  (void)any;
  open_seed(session);
}

static void seed_answered(struct redis_link *link, const redisReply *reply) {
  struct redis_session *session = link->owner;
  struct error err = ERROR_INIT;
  if (read_map(session, link, reply, &err) < 0) {
    redis_link_lose(link, err.message);
    return;
  }
  session->map_asked_ns = now_of(session);
}

bool redis_cluster_ask_seed(struct redis_link *link) {
  return redis_link_ask(link, seed_answered, (const char *[]){"CLUSTER", "SLOTS"}, 2);
}

/* The replica that was asked for the map has done its part. */
static void close_strangers(struct redis_session *session) {
  struct bits strangers = session->cork.open;
  bits_remove_all(&strangers, &session->owners);
  for (uint32_t i = bits_next(&strangers, 0); i < BITS_MAX; i = bits_next(&strangers, i + 1)) {
    if (session->links[i].count == 0) redis_link_close(&session->links[i]);
  }
}

void redis_cluster_opened(struct redis_session *session, struct redis_link *link) {
  uint64_t epoch = session->epoch;
  bool seed = link == session->seed, owner = is_owner(session, index_of(session, link));
  session->seed = NULL;
  if (session->base.state == SESSION_CONNECTING && owner) {
    if (seed) endpoint_round_succeeded(&session->round);
    redis_ready(session, link);
  }
  if (session->epoch != epoch) return;
  if (seed) open_owners(session);
  if (session->epoch == epoch && owner) close_strangers(session);
  if (session->epoch == epoch && session->base.state == SESSION_READY) unpark(session);
}

/* Whether, while connecting, some owner may still be reached. */
static bool owner_pending(const struct redis_session *session) {
  const struct bits *owners = &session->owners;
  for (uint32_t i = bits_next(owners, 0); i < BITS_MAX; i = bits_next(owners, i + 1)) {
    if (session->links[i].phase != LINK_CLOSED) return true;
  }
  return false;
}

void redis_cluster_link_lost(struct redis_session *session, struct redis_link *link,
                             enum redis_link_phase phase, const char *why) {
  uint64_t epoch = session->epoch, now_ns = now_of(session);
  uint64_t delay_ns = session->base.spec.options->reconnect_delay_ns;
  uint32_t endpoint = index_of(session, link);
  if (session->map_link == link) session->map_link = NULL;
  if (session->base.state == SESSION_CONNECTING) {
    redis_abandon_flights(session, link);
    if (link == session->seed || !owner_pending(session)) {
      next_seed(session, link->endpoint->name, why);
    }
    return;
  }
  bool lasted = phase == LINK_OPEN && now_ns - link->opened_ns > delay_ns;
  link->retry_ns = lasted ? now_ns : now_ns + delay_ns;
  redis_wake_at(session, link->retry_ns);
  if (!bits_any(&session->cork.open)) {
    redis_lost(session, link->endpoint->name, why);
    return;
  }
  want_map(session);
  redis_abandon_flights(session, link);
  if (session->epoch == epoch && phase != LINK_OPEN) fail_parked(session, endpoint);
}

/* --- staying up to date ---------------------------------------------------------------------- */

static void map_answered(struct redis_link *link, const redisReply *reply) {
  struct redis_session *session = link->owner;
  uint64_t epoch = session->epoch;
  if (session->map_link == link) {
    session->map_link = NULL;
    session->map_ns = TIME_NEVER;
  }
  if (read_map(session, link, reply, NULL) == 0) {
    open_owners(session);
    if (session->epoch == epoch) unpark(session);
  }
  if (session->epoch != epoch) return;
  for (uint32_t i = 0; i < session->range_count; i++) {
    if (!is_open(session, session->ranges[i].endpoint)) want_map(session);
  }
}

/* Each time another server: one that is cut off does not know better. */
static void ask_map(struct redis_session *session, uint64_t now_ns) {
  session->map_link = NULL;
  session->map_ns = TIME_NEVER;
  session->map_asked_ns = now_ns;
  for (uint32_t tried = 0; tried < session->link_count; tried++) {
    uint32_t index = session->map_next++ % session->link_count;
    struct redis_link *link = &session->links[index];
    if (link->phase != LINK_OPEN) continue;
    if (!redis_link_ask(link, map_answered, (const char *[]){"CLUSTER", "SLOTS"}, 2)) continue;
    session->map_link = link;
    /* One that does not answer in this time is passed by. */
    session->map_ns = now_ns + session->base.spec.options->connect_timeout_ns;
    redis_link_flush(link);
    return;
  }
}

uint64_t redis_cluster_tick(struct redis_session *session, uint64_t now_ns) {
  uint64_t epoch = session->epoch, due_ns = TIME_NEVER;
  if (session->base.state != SESSION_READY) return TIME_NEVER;
  if (session->map_ns <= now_ns) ask_map(session, now_ns);
  for (uint32_t i = 0; i < session->link_count && session->epoch == epoch; i++) {
    struct redis_link *link = &session->links[i];
    if (link->retry_ns <= now_ns) {
      link->retry_ns = TIME_NEVER;
      if (is_owner(session, i)) redis_open_server(session, link, i, NULL);
    }
    if (session->epoch == epoch && link->retry_ns < due_ns) due_ns = link->retry_ns;
  }
  for (uint32_t i = session->parked_count; i > 0 && session->epoch == epoch; i--) {
    if (i > session->parked_count) continue;
    uint64_t deadline_ns = session->parked[i - 1].request->deadline_ns;
    if (deadline_ns <= now_ns) {
      fail_parked_at(session, i - 1);
    } else if (deadline_ns < due_ns) {
      due_ns = deadline_ns;
    }
  }
  return session->map_ns < due_ns ? session->map_ns : due_ns;
}

int redis_cluster_init(struct redis_session *session, struct error *err) {
  if (session->redis->shards == 0) {
    return error_set(err, STATUS_INTERNAL, "a cluster without shards");
  }
  uint32_t depth = session->base.spec.options->pipeline_depth;
  session->parked = calloc(depth, sizeof *session->parked);
  session->ranges = calloc(REDIS_RANGES_MAX, sizeof *session->ranges);
  if (session->parked && session->ranges) return 0;
  return error_set(err, STATUS_MEMORY, "out of memory for a session");
}
