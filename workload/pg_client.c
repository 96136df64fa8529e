/* driver_pg: asynchronous sessions with PostgreSQL on libpq. See pg_client.h for how a session
 * connects, what counts as acknowledged and where a timeline comes from. */
#include "workload/pg_client.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pg_arm(struct pg_session *session, uint64_t deadline_ns, struct error *err) {
  return loop_timer_arm(session->base.loop, &session->timer, deadline_ns, err);
}

struct pg_flight *pg_flight_at(struct pg_session *session, uint32_t position) {
  assert(position < session->capacity);
  uint32_t index = session->head + position;
  if (index >= session->capacity) index -= session->capacity;
  return &session->flights[index];
}

void pg_flush(struct pg_session *session) {
  unsigned interest = LOOP_READ;
  int left = PQflush(session->conn);
  if (left > 0) interest |= LOOP_WRITE;
  /* A failed flush is found by the next read: libpq keeps what the server said before it went. */
  if (interest == session->watch.interest) return;
  struct error err = ERROR_INIT;
  if (loop_watch_set(session->base.loop, &session->watch, interest, &err) < 0) {
    pg_lost(session, err.message);
  }
}

uint64_t pg_patience_ns(struct pg_session *session) {
  const struct pg_flight *oldest = pg_flight_at(session, 0);
  uint64_t patience_ns = oldest->reply.done_ns + PG_PATIENCE_NS;
  uint64_t deadline_ns = oldest->request->deadline_ns;
  return patience_ns < deadline_ns ? patience_ns : deadline_ns;
}

/* The earliest deadline of what waits for an answer. */
static uint64_t earliest_deadline(struct pg_session *session) {
  uint64_t earliest = TIME_NEVER;
  for (uint32_t i = session->held; i < session->count; i++) {
    const struct request *request = pg_flight_at(session, i)->request;
    if (request && request->deadline_ns < earliest) earliest = request->deadline_ns;
  }
  if (session->held > 0) {
    uint64_t patience_ns = pg_patience_ns(session);
    if (patience_ns < earliest) earliest = patience_ns;
  }
  return earliest;
}

/* The timer is lazy: it is not moved with every request, but looks when it fires whether the
 * deadline it was armed for still matters. */
static void timer_fired(struct timer *timer, uint64_t now_ns) {
  struct pg_session *session = timer->owner;
  if (session->phase != PG_OPEN) {
    pg_connect_timeout(session);
    return;
  }
  uint64_t deadline_ns = earliest_deadline(session);
  if (deadline_ns == TIME_NEVER) return;
  struct error err = ERROR_INIT;
  if (deadline_ns <= now_ns) {
    pg_lost(session, "no answer until the operation's deadline");
  } else if (pg_arm(session, deadline_ns, &err) < 0) {
    pg_lost(session, err.message);
  }
}

static void socket_ready(struct watch *watch, unsigned events) {
  struct pg_session *session = watch->owner;
  if (session->phase != PG_OPEN) {
    pg_connect_step(session);
    return;
  }
  uint64_t epoch = session->epoch;
  if (events & LOOP_WRITE && session->watch.interest & LOOP_WRITE) {
    pg_flush(session);
    if (session->epoch != epoch) return;
  }
  bool alive = PQconsumeInput(session->conn) != 0;
  if (!pg_take_results(session, loop_now_ns(session->base.loop))) return;
  if (alive && PQstatus(session->conn) == CONNECTION_OK) return;
  char why[256];
  pg_message(session->conn, why, sizeof why);
  pg_lost(session, why);
}

static int check_spec(const struct session_spec *spec, struct error *err) {
  if (spec->statement_count > PG_STATEMENTS_MAX) {
    return error_set(err, STATUS_INTERNAL, "%u statements are more than a session prepares (%u)",
                     (unsigned)spec->statement_count, PG_STATEMENTS_MAX);
  }
  uint32_t depth = spec->options->pipeline_depth;
  if (depth < 1 || depth > PG_PIPELINE_MAX) {
    return error_set(err, STATUS_USAGE, "a pipeline depth of %u is not within 1 to %u",
                     (unsigned)depth, PG_PIPELINE_MAX);
  }
  return 0;
}

static int pg_session_init(struct session *base, const struct session_spec *spec, struct loop *loop,
                           struct error *err) {
  struct pg_session *session = (struct pg_session *)(void *)base;
  int status = check_spec(spec, err);
  if (status < 0) return status;
  base->driver = &driver_pg;
  base->spec = *spec;
  base->loop = loop;
  base->state = SESSION_IDLE;
  base->host = HOST_NONE;
  session->watch = (struct watch){.ready = socket_ready, .owner = session, .fd = -1};
  session->timer = (struct timer){.fire = timer_fired, .owner = session};
  session->name = (struct resolver_request){.answered = pg_name_answered, .owner = session};
  session->pipeline = spec->options->pipeline_depth > 1;
  session->capacity = spec->options->pipeline_depth + 1; /* and the question for the identity */
  for (uint32_t i = 0; i < spec->statement_count; i++) {
    snprintf(session->names[i], sizeof session->names[i], "s%u", (unsigned)(i % 100));
  }
  status = endpoint_round_init(&session->round, &base->spec, err);
  if (status < 0) return status;
  session->flights = calloc(session->capacity, sizeof *session->flights);
  if (session->flights) return 0;
  endpoint_round_release(&session->round);
  return error_set(err, STATUS_MEMORY, "out of memory for a session");
}

static void pg_session_close(struct session *base) {
  struct pg_session *session = (struct pg_session *)(void *)base;
  base->state = SESSION_IDLE;
  pg_disconnect(session);
  pg_abandon_flights(session);
}

static void pg_session_release(struct session *base) {
  if (!base || !base->driver) return;
  struct pg_session *session = (struct pg_session *)(void *)base;
  pg_session_close(base);
  endpoint_round_release(&session->round);
  free(session->flights);
  session->flights = NULL;
}

static void pg_session_connect(struct session *base) {
  struct pg_session *session = (struct pg_session *)(void *)base;
  assert(base->state == SESSION_IDLE || base->state == SESSION_LOST);
  base->state = SESSION_CONNECTING;
  pg_connect_round(session);
}

/* Decimal digits into the end of `text`, two by two; returns where they begin. */
static const char *format_number(int64_t number, char text[24]) {
  static const char pairs[] =
      "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445"
      "46"
      "47484950515253545556575859606162636465666768697071727374757677787980818283848586878889909192"
      "93"
      "949596979899";
  char *next = text + 23;
  *next = '\0';
  uint64_t rest = number < 0 ? UINT64_C(0) - (uint64_t)number : (uint64_t)number;
  while (rest >= 10) {
    next -= 2;
    memcpy(next, &pairs[rest % 100 * 2], 2);
    rest /= 100;
  }
  if (rest > 0 || !*next) *--next = (char)('0' + rest);
  if (number < 0) *--next = '-';
  return next;
}

/* Hands the statement to libpq, with its Sync, so that it commits alone. */
static bool send_statement(struct pg_session *session, const struct request *request) {
  const char *values[REQUEST_PARAMETERS_MAX + 1];
  uint32_t count = 0;
  assert(request->statement < session->base.spec.statement_count);
  assert(session->base.spec.uses == 0 || session->base.spec.uses >> request->statement & 1);
  assert(request->number_count <= REQUEST_PARAMETERS_MAX);
  for (; count < request->number_count; count++) {
    values[count] = format_number(request->numbers[count], session->numbers[count]);
  }
  if (request->text) values[count++] = request->text;
  if (!PQsendQueryPrepared(session->conn, session->names[request->statement], (int)count, values,
                           NULL, NULL, 0)) {
    return false;
  }
  return !session->pipeline || PQpipelineSync(session->conn);
}

static void pg_session_send(struct session *base, struct request *request) {
  struct pg_session *session = (struct pg_session *)(void *)base;
  assert(base->state == SESSION_READY && session->phase == PG_OPEN);
  assert(base->in_flight < base->spec.options->pipeline_depth);
  request->sent_ns = loop_now_ns(base->loop);
  struct pg_flight *flight = pg_flight_at(session, session->count++);
  *flight = (struct pg_flight){.request = request, .reply = {.host = base->host}};
  base->in_flight++;
  if (!send_statement(session, request)) {
    /* The end of what was to be sent, the Sync, has not left: nothing can have been committed. */
    request->sent_ns = 0;
    flight->refused = true;
    flight->reply = (struct reply){
        .outcome = OUTCOME_FAIL, .code = code_pack(CODE_NO_CONNECTION), .host = HOST_NONE};
    char why[256];
    pg_message(session->conn, why, sizeof why);
    pg_lost(session, why);
    return;
  }
  uint64_t epoch = session->epoch;
  pg_flush(session);
  if (session->epoch != epoch || request->deadline_ns == TIME_NEVER) return;
  if (session->timer.position != 0 && session->timer.deadline_ns <= request->deadline_ns) return;
  struct error err = ERROR_INIT;
  if (pg_arm(session, request->deadline_ns, &err) < 0) pg_lost(session, err.message);
}

const struct driver driver_pg = {
    .name = "postgres",
    .session_size = sizeof(struct pg_session),
    .session_init = pg_session_init,
    .session_release = pg_session_release,
    .session_connect = pg_session_connect,
    .session_send = pg_session_send,
    .session_close = pg_session_close,
    .execute = pg_execute,
    .read_rows = pg_read_rows,
};
