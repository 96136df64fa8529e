/* How a simulated session gets its connection: one endpoint after the other, each TCP, then
 * authentication, then the question for the server's role. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/prng.h"
#include "sim/driver_internal.h"

#define MESSAGE_BYTES 200

static struct sim_connection *connection_of(const struct sim_args *args) {
  struct sim_connection *connection = args->pointer;
  return connection->number == args->number && connection->session ? connection : NULL;
}

static bool client_wants(const struct sim_args *args) {
  return connection_of(args) != NULL;
}

int session_find_endpoints(struct sim_session *session, struct error *err) {
  const struct session_spec *spec = &session->base.spec;
  const struct access *access = spec->access;
  session->order = calloc(access->endpoint_count + 1, sizeof *session->order);
  if (!session->order) return error_set(err, STATUS_MEMORY, "out of memory for a session");
  bool one_host = spec->pinned_host != HOST_NONE &&
                  (spec->route == ROUTE_PINNED || spec->route == ROUTE_REPLICA);
  for (uint32_t i = 0; i < access->endpoint_count; i++) {
    uint8_t host = access->endpoints[i].host;
    if (one_host && host != spec->pinned_host) continue;
    if (host >= HOSTS_MAX || !session->cluster->by_host[host])
      return error_set(err, STATUS_USAGE, "no simulated server is on host number %u", host);
    session->order[session->order_count++] = i;
  }
  if (session->order_count > 0) return 0;
  return error_set(err, STATUS_USAGE, "the service has no endpoint for the session");
}

const char *session_code_text(uint32_t code) {
  static const struct {
    const char *code, *text;
  } texts[] = {{"57P01", "terminating connection due to administrator command"},
               {"57P03", "the database system does not accept connections now"},
               {"53300", "sorry, too many clients already"}};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (code_pack(texts[i].code) == code) return texts[i].text;
  return "server closed the connection unexpectedly";
}

void session_disconnect(struct sim_session *session) {
  session->epoch++;
  loop_timer_cancel(session->base.loop, &session->timer);
  if (session->connection) {
    connection_close(session->connection);
    session->connection = NULL;
  }
  session->unsent_ns = 0;
  session->phase = SIM_CLOSED;
  session->base.host = HOST_NONE;
}

static const struct endpoint *current_endpoint(const struct sim_session *session) {
  return &session->base.spec.access->endpoints[session->order[session->order_next - 1]];
}

/* Adds what this endpoint said to the reason why the round failed. */
static void note_failure(struct sim_session *session, const char *why) {
  struct error *all = &session->why;
  size_t length = strlen(all->message);
  all->status = STATUS_SERVER;
  snprintf(all->message + length, sizeof all->message - length, "%s%s: %s", length > 0 ? "; " : "",
           current_endpoint(session)->name, why);
}

/* --- one attempt ----------------------------------------------------------------------------- */

static void refused(struct sim_process *self, const struct sim_args *args) {
  const struct sim_connection *connection = connection_of(args);
  (void)self;
  if (connection) session_attempt_failed(connection->session, "connection refused");
}

static void broken(struct sim_process *self, const struct sim_args *args) {
  const struct sim_connection *connection = connection_of(args);
  (void)self;
  if (connection) session_attempt_failed(connection->session, "connection reset by peer");
}

/* A message of the handshake. */
static void ask(const struct sim_session *session, sim_call *deliver) {
  struct sim_connection *connection = session->connection;
  sim_send(&(struct sim_message){.from = session->client,
                                 .to = &connection->server->process,
                                 .to_life = connection->life,
                                 .connection = connection->number,
                                 .bytes = MESSAGE_BYTES,
                                 .deliver = deliver,
                                 .broken = broken,
                                 .wanted = client_wants,
                                 .args = {.pointer = connection, .number = connection->number}});
}

static void opened(struct sim_process *self, const struct sim_args *args) {
  struct sim_connection *connection = connection_of(args);
  (void)self;
  if (!connection) return;
  struct sim_session *session = connection->session;
  connection->life = args->number3;
  session->connected_ns = loop_now_ns(session->base.loop);
  session->phase = SIM_AUTHENTICATING;
  ask(session, backend_startup);
}

void client_started(struct sim_process *self, const struct sim_args *args) {
  const struct sim_connection *connection = connection_of(args);
  (void)self;
  if (!connection) return;
  struct sim_session *session = connection->session;
  if (args->number2 != 0) {
    session_attempt_failed(session, session_code_text((uint32_t)args->number2));
    return;
  }
  struct connect_timing *timing = &session->base.timing;
  timing->connect_ns = session->connected_ns - session->attempt_ns;
  timing->authenticate_ns = loop_now_ns(session->base.loop) - session->connected_ns;
  session->phase = SIM_ASKING;
  ask(session, backend_role);
}

static const char *refusal(const struct sim_session *session, bool recovery) {
  const struct session_spec *spec = &session->base.spec;
  if (spec->route == ROUTE_PRIMARY && recovery) return "is in recovery";
  if (spec->route == ROUTE_REPLICA && spec->pinned_host == HOST_NONE && !recovery)
    return "is not in recovery";
  return NULL;
}

void client_role(struct sim_process *self, const struct sim_args *args) {
  const struct sim_connection *connection = connection_of(args);
  (void)self;
  if (!connection) return;
  struct sim_session *session = connection->session;
  struct session *base = &session->base;
  base->timeline = (uint32_t)args->number3;
  const char *why = refusal(session, base->timeline == 0);
  if (why) {
    session_attempt_failed(session, why);
    return;
  }
  loop_timer_cancel(base->loop, &session->timer);
  session->phase = SIM_OPEN;
  session->last_good = session->order[session->order_next - 1];
  base->host = current_endpoint(session)->host;
  base->state = SESSION_READY;
  base->spec.changed(base, SESSION_READY, NULL);
}

static int attempt_start(struct sim_session *session, struct error *err) {
  const struct session_spec *spec = &session->base.spec;
  struct sim_postgres *server = session->cluster->by_host[current_endpoint(session)->host];
  session->attempt_ns = loop_now_ns(session->base.loop);
  session->connected_ns = 0;
  session->lost_code = 0;
  session->leaving = false;
  session->base.timeline = 0;
  session->base.timing = (struct connect_timing){.host = current_endpoint(session)->host};
  struct sim_connection *connection = connection_take(server, session, session->client);
  if (!connection) return error_set(err, STATUS_MEMORY, "out of memory for a connection");
  session->connection = connection;
  session->phase = SIM_CONNECTING;
  int status = session_arm(session, session->attempt_ns + spec->options->connect_timeout_ns, err);
  if (status < 0) return status;
  sim_connect(&(struct sim_connect){.from = session->client,
                                    .to = &server->process,
                                    .opened = opened,
                                    .refused = refused,
                                    .wanted = client_wants,
                                    .args = {.pointer = connection, .number = connection->number}});
  return 0;
}

static void attempt_next(struct sim_session *session) {
  while (session->order_next < session->order_count) {
    session->order_next++;
    struct error err = ERROR_INIT;
    if (attempt_start(session, &err) == 0) return;
    note_failure(session, err.message);
    session_disconnect(session);
  }
  session->base.state = SESSION_LOST;
  session->base.spec.changed(&session->base, SESSION_LOST, &session->why);
}

void session_attempt_failed(struct sim_session *session, const char *why) {
  note_failure(session, why);
  session_disconnect(session);
  attempt_next(session);
}

void session_connect_timeout(struct sim_session *session) {
  if (session->phase == SIM_CLOSED) return;
  session_attempt_failed(session, session->connected_ns == 0
                                      ? "no connection until the connect timeout"
                                      : "connected, but no answer until the connect timeout");
}

/* --- a round --------------------------------------------------------------------------------- */

static void sort_endpoints(struct sim_session *session) {
  const struct session_spec *spec = &session->base.spec;
  if (spec->route == ROUTE_REPLICA && session->last_good == UINT32_MAX) {
    struct prng prng;
    prng_init(&prng, spec->seed, "endpoints");
    for (uint32_t i = session->order_count; i > 1; i--) {
      uint32_t j = (uint32_t)prng_below(&prng, i), held = session->order[i - 1];
      session->order[i - 1] = session->order[j];
      session->order[j] = held;
    }
    return;
  }
  /* The last good one moves to the front, the others keep their order. */
  for (uint32_t i = 1; i < session->order_count; i++) {
    if (session->order[i] != session->last_good) continue;
    memmove(&session->order[1], &session->order[0], i * sizeof *session->order);
    session->order[0] = session->last_good;
  }
}

void session_connect_round(struct sim_session *session) {
  sort_endpoints(session);
  session->order_next = 0;
  session->why.status = STATUS_OK;
  session->why.message[0] = '\0';
  attempt_next(session);
}
