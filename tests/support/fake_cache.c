/* The driver of a cache and of a database in memory. */
#include "support/fake_cache.h"

#include <assert.h>
#include <string.h>

#define FLIGHTS_MAX 2

struct flight {
  struct request *request; /* NULL: none */
  uint64_t due_ns;
};
struct cache_session {
  struct session base;
  struct fake_server *server;
  bool connected; /* counted */
  struct timer connect_timer, answer_timer;
  struct flight flights[FLIGHTS_MAX];
};

static struct cache_session *session_of(struct session *base) {
  return (struct cache_session *)(void *)base;
}

static enum statement_meaning meaning_of(const struct cache_session *session,
                                         const struct request *request) {
  return session->base.spec.statements[request->statement].meaning;
}

static void arm(struct cache_session *session, struct timer *timer, uint64_t deadline_ns) {
  int status = loop_timer_arm(session->base.loop, timer, deadline_ns, NULL);
  assert(status == 0);
}

static void take_off(struct cache_session *session, struct flight *flight) {
  if (meaning_of(session, flight->request) == STATEMENT_ORIGIN_READ) session->server->running--;
  flight->request = NULL;
  session->base.in_flight--;
}

static void disconnect(struct cache_session *session, enum session_state state, const char *code) {
  struct session *base = &session->base;
  uint64_t now_ns = loop_now_ns(base->loop);
  loop_timer_cancel(base->loop, &session->connect_timer);
  loop_timer_cancel(base->loop, &session->answer_timer);
  if (session->connected) session->server->connections--;
  session->connected = false;
  base->state = state;
  for (int i = 0; i < FLIGHTS_MAX; i++) {
    struct request *request = session->flights[i].request;
    if (!request) continue;
    take_off(session, &session->flights[i]);
    struct reply reply = {
        .outcome = OUTCOME_UNKNOWN, .code = code_pack(code), .done_ns = now_ns, .host = HOST_NONE};
    request->complete(request, &reply);
  }
  if (state == SESSION_LOST && base->state == SESSION_LOST)
    base->spec.changed(base, SESSION_LOST, NULL);
}

/* --- what statements mean -------------------------------------------------------------------- */

static struct reply execute(struct cache_session *session, const struct request *request) {
  struct fake_server *server = session->server;
  uint64_t now_ns = clock_now_ns(server->clock);
  struct reply reply = {.outcome = OUTCOME_OK, .done_ns = now_ns, .host = 0, .timeline = 1};
  size_t key = (size_t)request->numbers[0];
  assert(key < FAKE_CACHE_KEYS);
  struct fake_entry *entry = &server->entries[key], *lock = &server->locks[key];
  switch (meaning_of(session, request)) {
    case STATEMENT_CACHE_GET:
      reply.has_row = entry->until_ns > now_ns;
      if (!reply.has_row) break;
      reply.values[0] = entry->stamp;
      reply.values[1] = entry->cost;
      break;
    case STATEMENT_CACHE_SET:
      *entry = (struct fake_entry){.until_ns = now_ns + (uint64_t)request->numbers[3] * NS_PER_MS,
                                   .stamp = request->numbers[1],
                                   .cost = request->numbers[2]};
      break;
    case STATEMENT_CACHE_LOCK:
      if (lock->until_ns > now_ns) {
        reply.outcome = OUTCOME_FAIL;
        reply.code = code_pack(CODE_CONDITION);
      } else {
        lock->until_ns = now_ns + (uint64_t)request->numbers[2] * NS_PER_MS;
      }
      break;
    case STATEMENT_CACHE_UNLOCK: lock->until_ns = 0; break;
    case STATEMENT_ORIGIN_READ:
      reply.has_row = true;
      reply.values[0] = 1;
      break;
    case STATEMENT_APPEND:
    case STATEMENT_READ_OWN:
    case STATEMENT_READ_NEWEST:
    case STATEMENT_HEARTBEAT_SET:
    case STATEMENT_HEARTBEAT_GET: assert(false);
  }
  return reply;
}

void fake_cache_flush(struct fake_server *server) {
  memset(server->entries, 0, sizeof server->entries);
}

/* --- the driver ------------------------------------------------------------------------------ */

static void expect_next(struct cache_session *session) {
  uint64_t due_ns = TIME_NEVER;
  for (int i = 0; i < FLIGHTS_MAX; i++) {
    const struct flight *flight = &session->flights[i];
    if (!flight->request) continue;
    if (flight->due_ns < due_ns) due_ns = flight->due_ns;
    if (flight->request->deadline_ns < due_ns) due_ns = flight->request->deadline_ns;
  }
  if (due_ns != TIME_NEVER) arm(session, &session->answer_timer, due_ns);
}

static void answer_fired(struct timer *timer, uint64_t now_ns) {
  struct cache_session *session = timer->owner;
  for (int i = 0; i < FLIGHTS_MAX; i++) {
    struct request *request = session->flights[i].request;
    if (!request) continue;
    bool late = request->deadline_ns <= now_ns;
    if (session->server->down || late) {
      disconnect(session, SESSION_LOST, late ? CODE_TIMEOUT : CODE_CONNECTION_LOST);
      return;
    }
    if (session->flights[i].due_ns > now_ns) continue;
    take_off(session, &session->flights[i]);
    struct reply reply = execute(session, request);
    expect_next(session);
    request->complete(request, &reply);
    return; /* it may have changed everything */
  }
  expect_next(session);
}

static void connect_fired(struct timer *timer, uint64_t now_ns) {
  struct cache_session *session = timer->owner;
  struct fake_server *server = session->server;
  struct session *base = &session->base;
  bool full = server->connections_max > 0 && server->connections >= server->connections_max;
  (void)now_ns;
  base->lost_code = 0;
  if (server->down || full) {
    server->refused++;
    if (full) base->lost_code = code_pack(CODE_TOO_MANY);
    base->state = SESSION_LOST;
    base->spec.changed(base, SESSION_LOST, NULL);
    return;
  }
  server->connections++;
  session->connected = true;
  base->host = 0;
  base->state = SESSION_READY;
  base->spec.changed(base, SESSION_READY, NULL);
}

static int session_init(struct session *base, const struct session_spec *spec, struct loop *loop,
                        struct error *err) {
  struct cache_session *session = session_of(base);
  base->driver = &fake_cache_driver;
  base->spec = *spec;
  base->loop = loop;
  base->host = HOST_NONE;
  session->server = spec->access->context;
  session->connect_timer = (struct timer){.fire = connect_fired, .owner = session};
  session->answer_timer = (struct timer){.fire = answer_fired, .owner = session};
  return loop_reserve_timers(loop, 2, err);
}

static void session_close(struct session *base) {
  disconnect(session_of(base), SESSION_IDLE, CODE_CONNECTION_LOST);
}

static void session_release(struct session *base) {
  if (base && base->driver) session_close(base);
}

static void session_connect(struct session *base) {
  struct cache_session *session = session_of(base);
  assert(base->state == SESSION_IDLE || base->state == SESSION_LOST);
  base->state = SESSION_CONNECTING;
  session->server->connects++;
  arm(session, &session->connect_timer, loop_now_ns(base->loop) + session->server->connect_ns);
}

static void session_send(struct session *base, struct request *request) {
  struct cache_session *session = session_of(base);
  struct fake_server *server = session->server;
  assert(base->state == SESSION_READY);
  assert(base->in_flight < base->spec.options->pipeline_depth);
  struct flight *flight = &session->flights[session->flights[0].request ? 1 : 0];
  assert(!flight->request);
  uint64_t now_ns = loop_now_ns(base->loop), takes_ns = server->service_ns;
  if (meaning_of(session, request) == STATEMENT_ORIGIN_READ) {
    takes_ns += (uint64_t)request->numbers[1] * NS_PER_US;
    server->calls[request->numbers[0]]++;
    if (++server->running > server->running_most) server->running_most = server->running;
  }
  request->sent_ns = now_ns;
  *flight = (struct flight){.request = request,
                            .due_ns = server->stalled ? TIME_NEVER : now_ns + takes_ns};
  base->in_flight++;
  expect_next(session);
}

const struct driver fake_cache_driver = {
    .name = "fake-cache",
    .session_size = sizeof(struct cache_session),
    .session_init = session_init,
    .session_release = session_release,
    .session_connect = session_connect,
    .session_send = session_send,
    .session_close = session_close,
};

void fake_cache_access(struct access *access, struct fake_server *server) {
  static const struct endpoint endpoint = {.host = 0, .name = "fake1", .address = "0.0.0.0"};
  *access = (struct access){
      .driver = &fake_cache_driver, .endpoints = &endpoint, .endpoint_count = 1, .context = server};
}
