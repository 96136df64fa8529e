/* How a PostgreSQL session gets its connection: one endpoint after the other, asynchronously, its
 * name first, then the identity of the server and the PREPAREs in one round trip. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload/pg_client.h"

/* CASE keeps a server in recovery from being asked for a position that it cannot give. */
const char pg_identity_text[] =
    "SELECT pg_is_in_recovery(), current_setting('transaction_read_only'),"
    " CASE WHEN pg_is_in_recovery() THEN '00000000'"
    " ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END";

/* `count` texts with commas between them; cut where `size` ends, which is large enough. */
static void join(char *list, size_t size, const char *const texts[], uint32_t count) {
  size_t length = 0;
  list[0] = '\0';
  for (uint32_t i = 0; i < count && length < size; i++) {
    int added = snprintf(list + length, size - length, "%s%s", i > 0 ? "," : "", texts[i]);
    length += added > 0 ? (size_t)added : 0;
  }
}

PGconn *pg_connection_start(const struct access *access, const struct endpoint *endpoint,
                            const char *const addresses[], uint32_t address_count,
                            uint64_t tcp_user_timeout_ns) {
  /* libpq wants as many names as addresses. The name is what the certificate must carry. */
  const char *names[RESOLVER_ADDRESSES_MAX];
  char hosts[RESOLVER_ADDRESSES_MAX * RESOLVER_NAME_SIZE];
  char hostaddrs[RESOLVER_ADDRESSES_MAX * RESOLVER_ADDRESS_SIZE];
  assert(address_count >= 1 && address_count <= RESOLVER_ADDRESSES_MAX);
  for (uint32_t i = 0; i < address_count; i++) names[i] = endpoint->name;
  join(hosts, sizeof hosts, names, address_count);
  join(hostaddrs, sizeof hostaddrs, addresses, address_count);
  char port[8], user_timeout[24];
  snprintf(port, sizeof port, "%u", (unsigned)endpoint->port);
  snprintf(user_timeout, sizeof user_timeout, "%" PRIu64, tcp_user_timeout_ns / NS_PER_MS);
  bool tls = access->ca_file != NULL;
  /* Every option for which libpq would look at the environment or the home directory is given, with
   * a value that means nothing where nothing is wanted. /nonexistent is no file: to libpq that is
   * no client certificate and no revocation list. */
  const struct {
    const char *key, *value;
  } options[] = {
      {"host", hosts},
      {"hostaddr", hostaddrs},
      {"port", port},
      {"user", access->user},
      {"password", access->password ? access->password : "-"},
      {"dbname", access->database},
      {"sslmode", tls ? "verify-full" : "disable"},
      {"sslrootcert", tls ? access->ca_file : "/nonexistent"},
      {"sslcert", "/nonexistent"},
      {"sslkey", "/nonexistent"},
      {"sslcrl", "/nonexistent"},
      {"sslsni", "1"},
      {"ssl_min_protocol_version", "TLSv1.2"},
      {"gssencmode", "disable"},
      {"channel_binding", "prefer"},
      {"target_session_attrs", "any"},
      {"application_name", "gameday"},
      {"client_encoding", "UTF8"},
      {"options", getenv("PGOPTIONS") ? " " : NULL}, /* some poolers refuse to be given any */
      {"passfile", "/nonexistent"},
      {"connect_timeout", "0"},
      {"keepalives", "1"},
      {"tcp_user_timeout", user_timeout},
  };
  const char *keys[sizeof options / sizeof *options + 1] = {NULL};
  const char *values[sizeof options / sizeof *options + 1] = {NULL};
  for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
    keys[i] = options[i].key;
    values[i] = options[i].value;
  }
  return PQconnectStartParams(keys, values, 0);
}

void pg_message(const PGconn *conn, char *text, size_t size) {
  const char *message = conn ? PQerrorMessage(conn) : "out of memory";
  size_t length = 0;
  for (; *message && length + 1 < size; message++) {
    bool space = *message == '\n' || *message == '\t';
    text[length++] = space ? ' ' : *message;
  }
  while (length > 0 && text[length - 1] == ' ') length--;
  text[length] = '\0';
  if (length == 0) snprintf(text, size, "the connection broke");
}

int pg_identity_read(const PGresult *result, struct pg_identity *ret, struct error *err) {
  if (PQntuples(result) != 1 || PQnfields(result) != 3) {
    return error_set(err, STATUS_SERVER, "the server did not say who it is");
  }
  ret->recovery = strcmp(PQgetvalue(result, 0, 0), "t") == 0;
  ret->read_only = strcmp(PQgetvalue(result, 0, 1), "on") == 0;
  ret->timeline = (uint32_t)strtoul(PQgetvalue(result, 0, 2), NULL, 16);
  return 0;
}

void pg_disconnect(struct pg_session *session) {
  session->epoch++;
  loop_timer_cancel(session->base.loop, &session->timer);
  resolver_cancel(&session->name);
  if (session->watch.active) {
    /* Taking a descriptor away cannot fail in a way that matters: it is closed next. */
    loop_watch_set(session->base.loop, &session->watch, 0, NULL);
  }
  if (session->conn) {
    PQfinish(session->conn);
    session->conn = NULL;
  }
  session->phase = PG_CLOSED;
  session->base.host = HOST_NONE;
}

static void attempt_next(struct pg_session *session);

static void attempt_failed(struct pg_session *session, const char *why) {
  endpoint_round_failed(&session->round, why);
  pg_disconnect(session);
  attempt_next(session);
}

/* What a refused connect has for a code is nowhere but in libpq's verbose message: "FATAL:  53300:
 * sorry, too many clients already", and a line of where in the server's source. Returns the code
 * and takes both out of the text; 0: there is none. */
static uint32_t take_code(char *text) {
  char *mark = strstr(text, ":  ");
  if (!mark || strlen(mark) < 10 || strncmp(mark + 8, ": ", 2) != 0) return 0;
  char *code = mark + 3;
  if (strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") != 5) return 0;
  uint32_t packed = code_pack(code);
  memmove(code, code + 7, strlen(code + 7) + 1);
  char *place = strstr(code, " LOCATION:  ");
  if (place) *place = '\0';
  return packed;
}

static void attempt_failed_libpq(struct pg_session *session) {
  char why[512];
  pg_message(session->conn, why, sizeof why);
  uint32_t code = take_code(why);
  if (code != 0) session->base.lost_code = code;
  attempt_failed(session, why);
}

/* The endpoint's address is known: the rest is libpq's, and then ours again. */
static int dial(struct pg_session *session, const char *const addresses[], uint32_t address_count,
                struct error *err) {
  const struct session_spec *spec = &session->base.spec;
  session->resolved_ns = loop_now_ns(session->base.loop);
  session->conn = pg_connection_start(spec->access, endpoint_round_at(&session->round), addresses,
                                      address_count, spec->options->tcp_user_timeout_ns);
  session->phase = PG_POLLING;
  char why[256];
  pg_message(session->conn, why, sizeof why);
  if (!session->conn) return error_set(err, STATUS_MEMORY, "%s", why);
  if (PQstatus(session->conn) == CONNECTION_BAD) return error_set(err, STATUS_SERVER, "%s", why);
  PQsetNoticeReceiver(session->conn, pg_notice, session);
  (void)PQsetErrorVerbosity(session->conn, PQERRORS_VERBOSE); /* until it is connected */
  return loop_watch_renew(session->base.loop, &session->watch, PQsocket(session->conn), LOOP_WRITE,
                          err);
}

void pg_name_answered(struct resolver_request *request, const struct resolver_answer *answer) {
  struct pg_session *session = request->owner;
  assert(session->phase == PG_RESOLVING);
  if (answer->count == 0) {
    char why[192];
    snprintf(why, sizeof why, "this name does not resolve: %s", answer->why);
    attempt_failed(session, why);
    return;
  }
  const char *addresses[RESOLVER_ADDRESSES_MAX];
  for (uint32_t i = 0; i < answer->count; i++) addresses[i] = answer->addresses[i];
  struct error err = ERROR_INIT;
  int status = dial(session, addresses, answer->count, &err);
  session->base.timing.resolve_ns = session->resolved_ns - session->attempt_ns;
  if (status < 0) attempt_failed(session, err.message);
}

/* Whether somebody has to be asked for the endpoint's address. */
static bool has_name(const struct session_spec *spec, const struct endpoint *endpoint) {
  return spec->access->resolve && spec->resolver &&
         strcmp(endpoint->name, endpoint->address) != 0 && !resolver_is_numeric(endpoint->name);
}

/* The timings begin anew with each endpoint: they are of the connect that succeeds. */
static int attempt_start(struct pg_session *session, struct error *err) {
  const struct session_spec *spec = &session->base.spec;
  const struct endpoint *endpoint = endpoint_round_at(&session->round);
  session->attempt_ns = loop_now_ns(session->base.loop);
  session->connected_ns = 0;
  session->lost_code = 0;
  session->asked = session->leaving = false;
  session->setup_results = 0;
  session->base.timeline = 0;
  session->base.timing = (struct connect_timing){.host = endpoint->host};
  int status = pg_arm(session, session->attempt_ns + spec->options->connect_timeout_ns, err);
  if (status < 0) return status;
  if (!has_name(spec, endpoint)) return dial(session, &endpoint->address, 1, err);
  session->phase = PG_RESOLVING;
  return resolver_ask(spec->resolver, &session->name, endpoint->name, err);
}

static void attempt_next(struct pg_session *session) {
  while (endpoint_round_next(&session->round)) {
    struct error err = ERROR_INIT;
    if (attempt_start(session, &err) == 0) return;
    endpoint_round_failed(&session->round, err.message);
    pg_disconnect(session);
  }
  session->base.state = SESSION_LOST;
  session->base.spec.changed(&session->base, SESSION_LOST, &session->round.why);
}

void pg_connect_round(struct pg_session *session) {
  session->base.lost_code = 0;
  endpoint_round_begin(&session->round);
  attempt_next(session);
}

void pg_connect_timeout(struct pg_session *session) {
  if (session->phase == PG_CLOSED) return;
  const char *why = "connected, but no answer until the connect timeout";
  if (session->connected_ns == 0) why = "no connection until the connect timeout";
  if (session->phase == PG_RESOLVING) why = "this name was not resolved until the connect timeout";
  attempt_failed(session, why);
}

/* Identity and PREPAREs in one pipeline: one round trip, however many statements there are. */
static bool send_setup(struct pg_session *session) {
  const struct session_spec *spec = &session->base.spec;
  PGconn *conn = session->conn;
  if (PQsetnonblocking(conn, 1) != 0 || !PQenterPipelineMode(conn)) return false;
  if (!PQsendQueryParams(conn, pg_identity_text, 0, NULL, NULL, NULL, NULL, 0)) return false;
  for (uint32_t i = 0; i < spec->statement_count; i++) {
    if (spec->uses != 0 && !(spec->uses >> i & 1)) continue;
    if (!PQsendPrepare(conn, session->names[i], spec->statements[i].text, 0, NULL)) return false;
  }
  return PQpipelineSync(conn);
}

/* Whether the route takes this server. */
static const char *refusal(const struct pg_session *session, const struct pg_identity *identity) {
  const struct session_spec *spec = &session->base.spec;
  if (spec->route == ROUTE_PRIMARY && identity->recovery) return "is in recovery";
  if (spec->route == ROUTE_PRIMARY && identity->read_only) return "is read-only";
  if (spec->route == ROUTE_REPLICA && spec->pinned_host == HOST_NONE && !identity->recovery) {
    return "is not in recovery";
  }
  return NULL;
}

static void setup_done(struct pg_session *session) {
  struct session *base = &session->base;
  if (!session->pipeline && !PQexitPipelineMode(session->conn)) {
    attempt_failed_libpq(session);
    return;
  }
  loop_timer_cancel(base->loop, &session->timer);
  session->phase = PG_OPEN;
  endpoint_round_succeeded(&session->round);
  base->host = endpoint_round_at(&session->round)->host;
  base->state = SESSION_READY;
  base->spec.changed(base, SESSION_READY, NULL);
}

/* One result of the setup: the identity first, then each PREPARE, then the Sync. Returns false when
 * the attempt has failed. */
static bool setup_result(struct pg_session *session, const PGresult *result) {
  ExecStatusType status = PQresultStatus(result);
  if (status == PGRES_PIPELINE_SYNC) return true;
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    char why[256];
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    snprintf(why, sizeof why, "%s", message ? message : "the connection broke");
    attempt_failed(session, why);
    return false;
  }
  if (session->setup_results++ > 0) return true;
  struct pg_identity identity;
  struct error err = ERROR_INIT;
  const char *why = NULL;
  if (pg_identity_read(result, &identity, &err) < 0) {
    why = err.message;
  } else {
    session->base.timeline = identity.timeline;
    why = refusal(session, &identity);
  }
  if (why) attempt_failed(session, why);
  return why == NULL;
}

static void setup_step(struct pg_session *session) {
  PGconn *conn = session->conn;
  int left = PQflush(conn);
  unsigned interest = left > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ;
  struct error err = ERROR_INIT;
  if (interest != session->watch.interest &&
      loop_watch_set(session->base.loop, &session->watch, interest, &err) < 0) {
    attempt_failed(session, err.message);
    return;
  }
  bool alive = left >= 0 && PQconsumeInput(conn) != 0;
  for (uint32_t nothing = 0; nothing < 2 && !PQisBusy(conn);) {
    PGresult *result = PQgetResult(conn);
    if (!result) {
      nothing++; /* ends each statement; two in a row: no more has arrived */
      continue;
    }
    nothing = 0;
    bool done = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    bool going_on = setup_result(session, result);
    PQclear(result);
    if (!going_on) return;
    if (done) {
      setup_done(session);
      return;
    }
  }
  if (!alive || PQstatus(conn) != CONNECTION_OK) attempt_failed_libpq(session);
}

static void poll_done(struct pg_session *session) {
  struct connect_timing *timing = &session->base.timing;
  uint64_t now_ns = loop_now_ns(session->base.loop);
  if (session->connected_ns == 0) session->connected_ns = now_ns;
  (void)PQsetErrorVerbosity(session->conn, PQERRORS_DEFAULT);
  timing->connect_ns = session->connected_ns - session->resolved_ns;
  timing->authenticate_ns = now_ns - session->connected_ns;
  session->phase = PG_SETUP;
  struct error err = ERROR_INIT;
  if (!send_setup(session)) {
    attempt_failed_libpq(session);
  } else if (loop_watch_renew(session->base.loop, &session->watch, PQsocket(session->conn),
                              LOOP_READ | LOOP_WRITE, &err) < 0) {
    attempt_failed(session, err.message);
  }
}

void pg_connect_step(struct pg_session *session) {
  if (session->phase == PG_SETUP) {
    setup_step(session);
    return;
  }
  PostgresPollingStatusType polled = PQconnectPoll(session->conn);
  /* Anything but "waiting for the TCP handshake" means that there is a connection. */
  if (session->connected_ns == 0 && polled != PGRES_POLLING_FAILED &&
      PQstatus(session->conn) != CONNECTION_STARTED) {
    session->connected_ns = loop_now_ns(session->base.loop);
  }
  if (polled == PGRES_POLLING_OK) {
    poll_done(session);
    return;
  }
  if (polled == PGRES_POLLING_FAILED) {
    attempt_failed_libpq(session);
    return;
  }
  /* libpq may have another socket under the same number: the kernel is told anew each time. */
  struct error err = ERROR_INIT;
  unsigned interest = polled == PGRES_POLLING_READING ? LOOP_READ : LOOP_WRITE;
  if (loop_watch_renew(session->base.loop, &session->watch, PQsocket(session->conn), interest,
                       &err) < 0) {
    attempt_failed(session, err.message);
  }
}
