/* driver_redis: asynchronous sessions with Redis. See redis_client.h for how a session connects,
 * and redis_link.h for why hiredis' own asynchronous contexts are not used. */
#include "workload/redis_client.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* --- the timer ------------------------------------------------------------------------------- */

void redis_wake_at(struct redis_session *session, uint64_t at_ns) {
  struct timer *timer = &session->timer;
  if (at_ns == TIME_NEVER || (timer->position != 0 && timer->deadline_ns <= at_ns)) return;
  int status = loop_timer_arm(session->base.loop, timer, at_ns, NULL);
  assert(status == 0); /* room was reserved with the session */
}

/* The earliest deadline of what waits for an answer. */
static uint64_t earliest_deadline(struct redis_link *link) {
  uint64_t earliest = TIME_NEVER;
  for (uint32_t i = 0; i < link->count; i++) {
    /* While answers are held back, the question for the history has what is left of theirs. */
    const struct request *request = redis_link_at(link, i)->request;
    if (request && request->deadline_ns < earliest) earliest = request->deadline_ns;
  }
  return earliest;
}

/* What is due on a link; returns when to look again. May end the session. */
static uint64_t link_tick(struct redis_link *link, uint64_t now_ns) {
  uint64_t due_ns = TIME_NEVER;
  switch (link->phase) {
    case LINK_CLOSED: return TIME_NEVER;
    case LINK_RESOLVING:
    case LINK_CONNECTING:
    case LINK_SECURING:
    case LINK_SETUP:
      due_ns = link->deadline_ns;
      if (due_ns > now_ns) return due_ns;
      redis_link_expire(link);
      return TIME_NEVER;
    case LINK_OPEN:
      due_ns = earliest_deadline(link);
      if (due_ns > now_ns) return due_ns;
      redis_link_lose(link, "no answer until the operation's deadline");
      return TIME_NEVER;
  }
  return TIME_NEVER;
}

static uint64_t sooner(uint64_t a_ns, uint64_t b_ns) {
  return a_ns < b_ns ? a_ns : b_ns;
}

/* Lazy: it is not moved with every request, but looks when it fires what is due. */
static void timer_fired(struct timer *timer, uint64_t now_ns) {
  struct redis_session *session = timer->owner;
  uint64_t epoch = session->epoch, due_ns = TIME_NEVER;
  for (uint32_t i = 0; i < session->link_count && session->epoch == epoch; i++) {
    due_ns = sooner(due_ns, link_tick(&session->links[i], now_ns));
  }
  uint32_t sentinels = session->sentinels ? session->redis->sentinel_count : 0;
  for (uint32_t i = 0; i < sentinels && session->epoch == epoch; i++) {
    due_ns = sooner(due_ns, link_tick(&session->sentinels[i], now_ns));
  }
  if (session->mode == REDIS_MODE_SENTINEL && session->epoch == epoch) {
    due_ns = sooner(due_ns, redis_sentinel_tick(session, now_ns));
  }
  if (session->mode == REDIS_MODE_CLUSTER && session->epoch == epoch) {
    due_ns = sooner(due_ns, redis_cluster_tick(session, now_ns));
  }
  /* Who began anew has armed it. */
  if (session->epoch == epoch) redis_wake_at(session, due_ns);
}

/* --- life ------------------------------------------------------------------------------------ */

static bool is_called(const struct endpoint *endpoint, const char *host, size_t length,
                      uint16_t port) {
  if (endpoint->port != port) return false;
  return (strlen(endpoint->address) == length && strncmp(endpoint->address, host, length) == 0) ||
         (strlen(endpoint->name) == length && strncmp(endpoint->name, host, length) == 0);
}

uint32_t redis_find_endpoint(const struct access *access, uint32_t guess, const char *host,
                             size_t length, uint16_t port) {
  if (guess < access->endpoint_count && is_called(&access->endpoints[guess], host, length, port))
    return guess;
  for (uint32_t i = 0; i < access->endpoint_count; i++)
    if (is_called(&access->endpoints[i], host, length, port)) return i;
  return REDIS_NO_ENDPOINT;
}

int redis_trust(const struct access *access, const struct tls_trust **ret_trust,
                struct error *err) {
  const struct redis_access *redis = access->context;
  const struct tls_trust *trust = redis ? redis->trust : NULL;
  if (access->ca_file && !trust) {
    return error_set(err, STATUS_INTERNAL, "TLS is asked for, and no authority to trust was read");
  }
  *ret_trust = trust;
  return 0;
}

static int check_spec(const struct session_spec *spec, struct error *err) {
  if (spec->statement_count > REDIS_STATEMENTS_MAX) {
    return error_set(err, STATUS_INTERNAL, "%u statements are more than a session prepares (%u)",
                     (unsigned)spec->statement_count, REDIS_STATEMENTS_MAX);
  }
  uint32_t depth = spec->options->pipeline_depth;
  if (depth < 1 || depth > REDIS_PIPELINE_MAX) {
    return error_set(err, STATUS_USAGE, "a pipeline depth of %u is not within 1 to %u",
                     (unsigned)depth, REDIS_PIPELINE_MAX);
  }
  const struct tls_trust *trust = NULL; /* links find it by themselves */
  return redis_trust(spec->access, &trust, err);
}

static enum redis_mode mode_of(const struct session_spec *spec, const struct redis_access *redis) {
  if (!redis || spec->route != ROUTE_PRIMARY) return REDIS_MODE_ONE;
  switch (redis->topology) {
    case REDIS_SENTINEL: return REDIS_MODE_SENTINEL;
    case REDIS_CLUSTER: return REDIS_MODE_CLUSTER;
    case REDIS_SINGLE: return REDIS_MODE_ONE;
  }
  return REDIS_MODE_ONE;
}

static int init_commands(struct redis_session *session, struct error *err) {
  const struct session_spec *spec = &session->base.spec;
  for (uint32_t i = 0; i < spec->statement_count; i++) {
    if (spec->uses != 0 && !(spec->uses >> i & 1)) continue;
    int status = redis_command_init(&session->commands[i], &spec->statements[i], err);
    if (status < 0) return status;
  }
  return 0;
}

static int init_links(struct redis_session *session, struct error *err) {
  const struct session_spec *spec = &session->base.spec;
  bool cluster = session->mode == REDIS_MODE_CLUSTER;
  uint32_t count = cluster ? spec->access->endpoint_count : 1;
  if (count > BITS_MAX)
    return error_set(err, STATUS_USAGE, "%u servers are more than a session has links for (%d)",
                     (unsigned)count, BITS_MAX);
  session->links = calloc(count, sizeof *session->links);
  if (!session->links) return error_set(err, STATUS_MEMORY, "out of memory for a session");
  session->link_count = count;
  for (uint32_t i = 0; i < count; i++) {
    redis_link_init(&session->links[i], session, &redis_server_events, session->base.loop,
                    &session->cork, spec->options->pipeline_depth);
    session->links[i].number = i;
    redis_link_use(&session->links[i], session->redis, spec->from_host);
  }
  return 0;
}

static void release(struct redis_session *session) {
  for (uint32_t i = 0; i < REDIS_STATEMENTS_MAX; i++) {
    redis_command_release(&session->commands[i]);
  }
  for (uint32_t i = 0; i < session->link_count; i++) redis_link_release(&session->links[i]);
  uint32_t sentinels = session->sentinels ? session->redis->sentinel_count : 0;
  for (uint32_t i = 0; i < sentinels; i++) redis_link_release(&session->sentinels[i]);
  free(session->links);
  free(session->sentinels);
  free(session->parked);
  free(session->scratch);
  free(session->ranges);
  session->links = session->sentinels = NULL;
  session->link_count = 0;
  session->parked = NULL;
  session->scratch = NULL;
  session->ranges = NULL;
  session->range_count = 0;
  session->scratch_size = 0;
  endpoint_round_release(&session->round);
}

static int redis_session_init(struct session *base, const struct session_spec *spec,
                              struct loop *loop, struct error *err) {
  struct redis_session *session = (struct redis_session *)(void *)base;
  int status = check_spec(spec, err);
  if (status < 0) return status;
  base->driver = &driver_redis;
  base->spec = *spec;
  base->loop = loop;
  base->state = SESSION_IDLE;
  base->host = HOST_NONE;
  session->redis = spec->access->context;
  session->mode = mode_of(spec, session->redis);
  session->timer = (struct timer){.fire = timer_fired, .owner = session};
  session->hint = REDIS_NO_ENDPOINT;
  session->subscribe_ns = session->map_ns = TIME_NEVER;
  status = endpoint_round_init(&session->round, &base->spec, err);
  if (status == 0) status = init_commands(session, err);
  if (status == 0) status = init_links(session, err);
  if (status == 0 && session->mode == REDIS_MODE_SENTINEL) {
    status = redis_sentinel_init(session, err);
  }
  if (status == 0 && session->mode == REDIS_MODE_CLUSTER) status = redis_cluster_init(session, err);
  if (status == 0) status = loop_reserve_timers(loop, 1, err);
  if (status < 0) {
    release(session);
    base->driver = NULL;
  }
  return status;
}

static void redis_session_close(struct session *base) {
  struct redis_session *session = (struct redis_session *)(void *)base;
  base->state = SESSION_IDLE;
  session->hint = REDIS_NO_ENDPOINT;
  redis_disconnect(session);
  for (uint32_t i = 0; i < session->link_count; i++) {
    redis_abandon_flights(session, &session->links[i]);
  }
  redis_cluster_abandon(session);
}

static void redis_session_release(struct session *base) {
  if (!base || !base->driver) return;
  redis_session_close(base);
  release((struct redis_session *)(void *)base);
}

static void redis_session_connect(struct session *base) {
  struct redis_session *session = (struct redis_session *)(void *)base;
  assert(base->state == SESSION_IDLE || base->state == SESSION_LOST);
  base->state = SESSION_CONNECTING;
  session->leaving = false;
  switch (session->mode) {
    case REDIS_MODE_ONE: redis_connect_round(session); break;
    case REDIS_MODE_SENTINEL: redis_sentinel_connect(session); break;
    case REDIS_MODE_CLUSTER: redis_cluster_connect(session); break;
  }
}

/* --- sending --------------------------------------------------------------------------------- */

static struct redis_arguments arguments_of(const struct redis_session *session,
                                           const struct request *request) {
  return (struct redis_arguments){.numbers = request->numbers,
                                  .number_count = request->number_count,
                                  .text = request->text,
                                  .text_length = request->text ? strlen(request->text) : 0,
                                  .tag = session->tag,
                                  .tag_length = session->tag_length};
}

bool redis_send_on(struct redis_session *session, struct redis_link *link, struct request *request,
                   uint8_t redirects) {
  const struct redis_command *command = &session->commands[request->statement];
  struct redis_arguments arguments = arguments_of(session, request);
  bool shaped = session->shaped == request;
  size_t bound = shaped ? session->shape.length : redis_command_bound(command, &arguments);
  char *out = redis_link_reserve(link, bound);
  struct redis_flight *flight = out ? redis_link_add(link) : NULL;
  if (!flight) return false;
  struct redis_shape shape = session->shape;
  if (shaped)
    memcpy(out, session->scratch, shape.length);
  else
    shape = redis_command_format(command, &arguments, out);
  flight->request = request;
  flight->redirects = redirects;
  flight->end = redis_link_commit(link, shape.length) + shape.first_length;
  flight->wait_for = redis_command_wait(command, &arguments);
  flight->answers = command->waits ? 2 : 1;
  uint16_t shards = session->redis ? session->redis->shards : 0;
  if (shards > 0 && shape.key) {
    flight->reply.shard = redis_slot_shard(redis_key_slot(shape.key, shape.key_length), shards);
  }
  return true;
}

bool redis_slot_of(struct redis_session *session, const struct request *request,
                   uint16_t *ret_slot) {
  const struct redis_command *command = &session->commands[request->statement];
  struct redis_arguments arguments = arguments_of(session, request);
  size_t size = redis_command_bound(command, &arguments);
  if (size > session->scratch_size) {
    char *scratch = realloc(session->scratch, size);
    if (!scratch) return false;
    session->scratch = scratch;
    session->scratch_size = size;
  }
  const struct redis_shape shape = redis_command_format(command, &arguments, session->scratch);
  session->shape = shape;
  session->shaped = request;
  *ret_slot = shape.key ? redis_key_slot(shape.key, shape.key_length) : 0;
  return true;
}

void redis_fail_unsent(struct redis_session *session, struct request *request, uint16_t shard) {
  struct reply reply = {.outcome = OUTCOME_FAIL,
                        .code = code_pack(CODE_NO_CONNECTION),
                        .done_ns = loop_now_ns(session->base.loop),
                        .host = HOST_NONE,
                        .shard = shard};
  session->base.in_flight--;
  request->complete(request, &reply);
}

static void redis_session_send(struct session *base, struct request *request) {
  struct redis_session *session = (struct redis_session *)(void *)base;
  assert(base->state == SESSION_READY);
  assert(base->in_flight < base->spec.options->pipeline_depth);
  assert(request->statement < base->spec.statement_count);
  assert(session->commands[request->statement].parts);
  struct redis_link *link = &session->links[0];
  /* What is sent from the completion of another one is stamped with the receive that brought it:
   * no later than the send, and a look at the clock less. */
  request->sent_ns = session->cork.in ? session->cork.received_ns : loop_now_ns(base->loop);
  base->in_flight++;
  redis_wake_at(session, request->deadline_ns);
  if (session->mode == REDIS_MODE_CLUSTER) {
    redis_cluster_send(session, request, 0);
  } else if (redis_send_on(session, link, request, 0)) {
    redis_link_flush(link);
  } else {
    request->sent_ns = 0;
    redis_fail_unsent(session, request, 0);
  }
}

const struct driver driver_redis = {
    .name = "redis",
    .session_size = sizeof(struct redis_session),
    .session_init = redis_session_init,
    .session_release = redis_session_release,
    .session_connect = redis_session_connect,
    .session_send = redis_session_send,
    .session_close = redis_session_close,
    .execute = redis_execute,
    .read_rows = redis_read_rows,
};
