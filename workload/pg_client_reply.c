/* What comes back from a PostgreSQL server: results, errors, notices and the end of the connection,
 * turned into replies. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload/pg_client.h"
#include "workload/pg_outcome.h"

static enum statement_meaning meaning_of(const struct pg_session *session,
                                         const struct request *request) {
  return session->base.spec.statements[request->statement].meaning;
}

static uint32_t code_of(const char *sqlstate) {
  return sqlstate && strlen(sqlstate) == 5 ? code_pack(sqlstate) : 0;
}

static bool has_severity(const PGresult *result, const char *severity) {
  const char *found = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  return found && strcmp(found, severity) == 0;
}

/* The flight that the server is answering now; NULL: none. */
static struct pg_flight *current_flight(struct pg_session *session) {
  return session->held < session->count ? pg_flight_at(session, session->held) : NULL;
}

void pg_notice(void *data, const PGresult *result) {
  struct pg_session *session = data;
  const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (!sqlstate) return;
  bool warning = has_severity(result, "WARNING");
  bool fatal = has_severity(result, "FATAL") || has_severity(result, "PANIC");
  /* A server that crashes or shuts down says so in a warning, or in an error that nobody asked for,
   * before it hangs up: a better reason than the end of file that follows. */
  if (fatal || (warning && strncmp(sqlstate, "57P", 3) == 0))
    session->lost_code = code_of(sqlstate);
  struct pg_flight *flight = current_flight(session);
  if (warning && flight && pg_warning_is_doubt(sqlstate)) flight->doubt = code_of(sqlstate);
}

/* An error ends the statement; what it says about the commit is looked up. */
static void take_error(struct pg_session *session, struct pg_flight *flight,
                       const PGresult *result) {
  const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  bool fatal = has_severity(result, "FATAL") || has_severity(result, "PANIC");
  if (fatal && code_of(sqlstate) != 0) session->lost_code = code_of(sqlstate);
  if (fatal || !sqlstate) return; /* the connection ends: pg_abandon_flights() decides */
  if (flight->refused || !flight->request) return;
  flight->refused = true;
  flight->reply.outcome =
      pg_outcome(sqlstate, false, statement_writes(meaning_of(session, flight->request)));
  flight->reply.code = code_of(sqlstate);
}

/* A server that says 0 to an append has refused it. */
static void take_refusal(struct pg_session *session, struct pg_flight *flight) {
  const struct reply *reply = &flight->reply;
  if (meaning_of(session, flight->request) != STATEMENT_APPEND || !reply->has_row ||
      reply->values[0] != 0)
    return;
  flight->refused = true;
  flight->reply.outcome = OUTCOME_FAIL;
  flight->reply.code = code_pack(CODE_READ_ONLY);
}

static void take_row(struct pg_flight *flight, const PGresult *result) {
  struct reply *reply = &flight->reply;
  if (PQntuples(result) < 1) return;
  reply->has_row = true;
  int columns = PQnfields(result);
  for (int i = 0; i < columns && i < 2; i++) {
    reply->values[i] = strtoll(PQgetvalue(result, 0, i), NULL, 10);
  }
}

static void take_identity(struct pg_session *session, const PGresult *result) {
  struct pg_identity identity;
  if (pg_identity_read(result, &identity, NULL) == 0) session->base.timeline = identity.timeline;
}

static void take_result(struct pg_session *session, struct pg_flight *flight,
                        const PGresult *result) {
  /* As a number: each libpq knows more statuses than the one before. */
  switch ((int)PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
      flight->answered = true;
      if (flight->request) {
        take_row(flight, result);
        take_refusal(session, flight);
      } else {
        take_identity(session, result);
      }
      break;
    case PGRES_COMMAND_OK: flight->answered = true; break;
    case PGRES_BAD_RESPONSE:
    case PGRES_FATAL_ERROR: take_error(session, flight, result); break;
    default: break; /* no answer to a statement of ours: without one it stays unanswered */
  }
}

/* Takes the oldest flight off the queue and gives it back to its owner. */
static void deliver_oldest(struct pg_session *session) {
  struct pg_flight *oldest = pg_flight_at(session, 0);
  struct request *request = oldest->request;
  struct reply reply = oldest->reply;
  session->head = session->head + 1 == session->capacity ? 0 : session->head + 1;
  session->count--;
  if (!request) return;
  session->base.in_flight--;
  request->complete(request, &reply);
}

/* Asks who the server is now, behind everything that is in flight. */
static bool ask_identity(struct pg_session *session) {
  session->asked = true;
  if (!PQsendQueryParams(session->conn, pg_identity_text, 0, NULL, NULL, NULL, NULL, 0)) {
    return false;
  }
  if (session->pipeline && !PQpipelineSync(session->conn)) return false;
  *pg_flight_at(session, session->count++) = (struct pg_flight){.request = NULL};
  uint64_t patience_ns = pg_patience_ns(session);
  bool later = session->timer.position == 0 || session->timer.deadline_ns > patience_ns;
  if (later && pg_arm(session, patience_ns, NULL) < 0) return false;
  pg_flush(session);
  return true;
}

/* Everything held was acknowledged by the server whose timeline is known now. False when a callback
 * closed the connection. */
static bool deliver_held(struct pg_session *session) {
  uint64_t epoch = session->epoch;
  while (session->held > 0) {
    pg_flight_at(session, 0)->reply.timeline = session->base.timeline;
    session->held--;
    deliver_oldest(session);
    if (session->epoch != epoch) return false;
  }
  return true;
}

static void conclude(struct pg_session *session, struct pg_flight *flight, uint64_t now_ns) {
  struct reply *reply = &flight->reply;
  reply->done_ns = now_ns;
  reply->host = session->base.host;
  reply->timeline = session->base.timeline;
  if (flight->refused) return;
  bool writes = statement_writes(meaning_of(session, flight->request));
  if (!flight->answered) {
    reply->outcome = OUTCOME_UNKNOWN; /* ReadyForQuery without an answer: a broken server */
    reply->code = code_pack(CODE_CONNECTION_LOST);
  } else if (writes && flight->doubt != 0) {
    reply->outcome = OUTCOME_UNKNOWN;
    reply->code = flight->doubt;
  } else {
    reply->outcome = OUTCOME_OK;
  }
}

/* A server that refuses writes is left as soon as nothing is in flight. False: it was left. */
static bool leave_if_drained(struct pg_session *session) {
  if (!session->leaving || session->count > 0) return true;
  pg_lost(session, "the server has become read-only");
  return false;
}

/* ReadyForQuery for the oldest unanswered flight. False: the connection is gone. */
static bool flight_ready(struct pg_session *session, uint64_t now_ns) {
  struct pg_flight *flight = current_flight(session);
  assert(flight);
  if (!flight->request) {
    /* The identity: everything in front of it is held, so that it is the oldest after them. */
    if (!deliver_held(session)) return false;
    assert(!pg_flight_at(session, 0)->request);
    deliver_oldest(session);
    return leave_if_drained(session);
  }
  conclude(session, flight, now_ns);
  bool acknowledged =
      flight->reply.outcome == OUTCOME_OK && statement_writes(meaning_of(session, flight->request));
  if (session->held > 0 || (acknowledged && session->base.timeline == 0 && !session->asked)) {
    session->held++;
    if (session->asked || ask_identity(session)) return true;
    pg_lost(session, "the server could not be asked for its timeline");
    return false;
  }
  if (flight->refused && session->base.spec.route == ROUTE_PRIMARY &&
      flight->reply.code == code_pack(CODE_READ_ONLY)) {
    session->leaving = true;
    session->base.state = SESSION_CONNECTING; /* takes no more requests */
  }
  uint64_t epoch = session->epoch;
  deliver_oldest(session);
  if (session->epoch != epoch) return false;
  return leave_if_drained(session);
}

bool pg_take_results(struct pg_session *session, uint64_t now_ns) {
  uint64_t epoch = session->epoch;
  bool separator = false;
  while (!PQisBusy(session->conn)) {
    struct pg_flight *flight = current_flight(session);
    if (!flight) return true; /* PQisBusy() has taken notices that nobody asked for */
    PGresult *result = PQgetResult(session->conn);
    if (!result) {
      if (PQstatus(session->conn) != CONNECTION_OK) return true;
      if (session->pipeline) {
        if (separator) return true; /* ends a statement's results; two in a row: nothing is left */
        separator = true;
        continue;
      }
      if (!flight_ready(session, now_ns) || session->epoch != epoch) return false;
      continue;
    }
    separator = false;
    bool ready = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    if (!ready) take_result(session, flight, result);
    PQclear(result);
    if (ready && !flight_ready(session, now_ns)) return false;
    if (session->epoch != epoch) return false;
  }
  return true;
}

void pg_abandon_flights(struct pg_session *session) {
  uint64_t now_ns = loop_now_ns(session->base.loop);
  session->epoch++;
  while (session->count > 0) {
    struct pg_flight *flight = pg_flight_at(session, 0);
    struct reply *reply = &flight->reply;
    if (session->held > 0) {
      session->held--;
    } else if (flight->refused) {
      reply->done_ns = now_ns;
    } else if (flight->request) {
      bool late = flight->request->deadline_ns <= now_ns;
      uint32_t lost_code =
          session->lost_code ? session->lost_code : code_pack(CODE_CONNECTION_LOST);
      *reply = (struct reply){.outcome = OUTCOME_UNKNOWN,
                              .code = late ? code_pack(CODE_TIMEOUT) : lost_code,
                              .done_ns = now_ns,
                              .host = HOST_NONE};
    }
    deliver_oldest(session);
  }
  session->held = 0;
  session->head = 0;
}

void pg_lost(struct pg_session *session, const char *why) {
  struct session *base = &session->base;
  struct error err = ERROR_INIT;
  uint16_t host = base->host;
  const char *name = "the server";
  for (uint32_t i = 0; i < base->spec.access->endpoint_count; i++) {
    if (base->spec.access->endpoints[i].host == host) name = base->spec.access->endpoints[i].name;
  }
  error_set(&err, STATUS_SERVER, "%s: %s", name, why);
  base->state = SESSION_LOST;
  pg_disconnect(session);
  pg_abandon_flights(session);
  /* A callback may have closed the session, or begun anew. */
  if (base->state == SESSION_LOST) base->spec.changed(base, SESSION_LOST, &err);
}
