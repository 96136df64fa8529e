/* How a simulated session gets its connection: one endpoint after the other, each TCP, then
 * authentication, then the question for the server's role. */
#include "sim/driver_internal.h"

#define MESSAGE_BYTES 200

static struct sim_connection *connection_of(const struct sim_args *args) {
  struct sim_connection *connection = args->pointer;
  return connection->number == args->number && connection->session ? connection : NULL;
}

static bool client_wants(const struct sim_args *args) {
  return connection_of(args) != NULL;
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
    session->base.lost_code = (uint32_t)args->number2;
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
  endpoint_round_succeeded(&session->round);
  base->host = endpoint_round_at(&session->round)->host;
  base->state = SESSION_READY;
  base->spec.changed(base, SESSION_READY, NULL);
}

static int attempt_start(struct sim_session *session, struct error *err) {
  const struct session_spec *spec = &session->base.spec;
  struct sim_postgres *server = session->cluster->by_host[endpoint_round_at(&session->round)->host];
  session->attempt_ns = loop_now_ns(session->base.loop);
  session->connected_ns = 0;
  session->lost_code = 0;
  session->leaving = false;
  session->base.timeline = 0;
  session->base.timing = (struct connect_timing){.host = endpoint_round_at(&session->round)->host};
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
  while (endpoint_round_next(&session->round)) {
    struct error err = ERROR_INIT;
    if (attempt_start(session, &err) == 0) return;
    endpoint_round_failed(&session->round, err.message);
    session_disconnect(session);
  }
  session->base.state = SESSION_LOST;
  session->base.spec.changed(&session->base, SESSION_LOST, &session->round.why);
}

void session_attempt_failed(struct sim_session *session, const char *why) {
  endpoint_round_failed(&session->round, why);
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

void session_connect_round(struct sim_session *session) {
  session->base.lost_code = 0;
  endpoint_round_begin(&session->round);
  attempt_next(session);
}
