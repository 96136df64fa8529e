/* driver_sim_postgres: sessions with simulated PostgreSQL servers. What the real driver
 * (workload/pg_client.h) does with libpq and a socket is done here with messages of the simulated
 * network; outcomes, codes, routes and deadlines are the same. */
#include "sim/driver_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/sim.h"

#define PIPELINE_MAX 1024u
#define MESSAGE_BYTES 200

static struct sim_session *session_of(struct session *base) {
  return (struct sim_session *)(void *)base;
}

static struct sim_flight *flight_at(struct sim_session *session, uint32_t position) {
  assert(position < session->capacity);
  uint32_t index = session->head + position;
  return &session->flights[index < session->capacity ? index : index - session->capacity];
}

/* --- the end of requests and sessions -------------------------------------------------------- */

static void deliver_oldest(struct sim_session *session) {
  struct sim_flight oldest = *flight_at(session, 0);
  session->head = session->head + 1 == session->capacity ? 0 : session->head + 1;
  session->first++;
  session->base.in_flight--;
  oldest.request->complete(oldest.request, &oldest.reply);
}

static void abandon_flights(struct sim_session *session) {
  uint64_t now_ns = loop_now_ns(session->base.loop);
  uint32_t lost = session->lost_code ? session->lost_code : code_pack(CODE_CONNECTION_LOST);
  session->epoch++;
  while (session->base.in_flight > 0) {
    struct sim_flight *flight = flight_at(session, 0);
    bool late = flight->request->deadline_ns <= now_ns;
    if (!flight->answered)
      flight->reply = (struct reply){.outcome = OUTCOME_UNKNOWN,
                                     .code = late ? code_pack(CODE_TIMEOUT) : lost,
                                     .done_ns = now_ns,
                                     .host = HOST_NONE};
    deliver_oldest(session);
  }
}

void session_lost(struct sim_session *session, const char *why) {
  struct session *base = &session->base;
  struct error err = ERROR_INIT;
  const char *name = "the server";
  for (uint32_t i = 0; i < base->spec.access->endpoint_count; i++)
    if (base->spec.access->endpoints[i].host == base->host)
      name = base->spec.access->endpoints[i].name;
  error_set(&err, STATUS_SERVER, "%s: %s", name, why);
  base->state = SESSION_LOST;
  session_disconnect(session);
  abandon_flights(session);
  /* A callback may have closed the session, or begun anew. */
  if (base->state == SESSION_LOST) base->spec.changed(base, SESSION_LOST, &err);
}

void client_ended(struct sim_process *self, const struct sim_args *args) {
  const struct sim_connection *connection = args->pointer;
  (void)self;
  if (connection->number != args->number || !connection->session) return;
  struct sim_session *session = connection->session;
  const char *why = session_code_text((uint32_t)args->number2);
  session->lost_code = (uint32_t)args->number2;
  if (session->phase == SIM_OPEN)
    session_lost(session, why);
  else
    session_attempt_failed(session, why);
}

/* --- deadlines ------------------------------------------------------------------------------- */

/* TCP_USER_TIMEOUT: how long what was sent may wait for the other kernel's acknowledgement. */
static uint64_t user_timeout_end_ns(const struct sim_session *session) {
  uint64_t timeout_ns = session->base.spec.options->tcp_user_timeout_ns;
  if (timeout_ns == 0 || session->unsent_ns == 0) return TIME_NEVER;
  return session->unsent_ns + timeout_ns;
}

static uint64_t earliest_deadline_ns(struct sim_session *session) {
  uint64_t earliest = user_timeout_end_ns(session);
  for (uint32_t i = 0; i < session->base.in_flight; i++) {
    const struct sim_flight *flight = flight_at(session, i);
    if (!flight->answered && flight->request->deadline_ns < earliest)
      earliest = flight->request->deadline_ns;
  }
  return earliest;
}

int session_arm(struct sim_session *session, uint64_t deadline_ns, struct error *err) {
  int status = loop_timer_arm(session->base.loop, &session->timer, deadline_ns, err);
  if (status < 0) session->cluster->world->out_of_memory = true;
  return status;
}

/* The timer is lazy: it is not moved with every request, but looks when it fires whether the
 * deadline it was armed for still matters. */
static void timer_fired(struct timer *timer, uint64_t now_ns) {
  struct sim_session *session = timer->owner;
  if (session->phase != SIM_OPEN) {
    session_connect_timeout(session);
    return;
  }
  uint64_t deadline_ns = earliest_deadline_ns(session);
  if (deadline_ns == TIME_NEVER) return;
  struct error err = ERROR_INIT;
  if (deadline_ns <= now_ns) {
    bool kernel = user_timeout_end_ns(session) <= now_ns;
    session_lost(session, kernel ? "connection timed out" : "no answer until the deadline");
  } else if (session_arm(session, deadline_ns, &err) < 0) {
    session_lost(session, err.message);
  }
}

static void arm_deadline(struct sim_session *session, uint64_t deadline_ns) {
  struct error err = ERROR_INIT;
  if (deadline_ns == TIME_NEVER) return;
  if (session->timer.position != 0 && session->timer.deadline_ns <= deadline_ns) return;
  if (session_arm(session, deadline_ns, &err) < 0) session_lost(session, err.message);
}

/* --- send ------------------------------------------------------------------------------------ */

static bool is_of(const struct sim_query *query, const struct sim_session *session) {
  return session && query->connection->number == query->number;
}

/* The server's host has answered with a reset. */
static void query_broken(struct sim_process *self, const struct sim_args *args) {
  struct sim_query *query = args->pointer;
  struct sim_session *session = query->connection->session;
  bool lost = is_of(query, session);
  (void)self;
  query_give(query->connection->server->cluster, query);
  if (lost) session_lost(session, "connection reset by peer");
}

/* It was not acknowledged, and is to be sent again: also for a while when the client has gone. */
static bool query_wanted(const struct sim_args *args) {
  const struct sim_query *query = args->pointer;
  struct sim_session *session = query->connection->session;
  if (query->connection->number != query->number) return false;
  if (!session) return sim_now_ns(query->connection->client->world) < query->sent_ns + ORPHAN_NS;
  if (session->unsent_ns == 0) {
    session->unsent_ns = query->sent_ns;
    arm_deadline(session, user_timeout_end_ns(session));
  }
  return true;
}

static void query_arrived(struct sim_process *self, const struct sim_args *args) {
  const struct sim_query *query = args->pointer;
  struct sim_session *session = query->connection->session;
  if (is_of(query, session)) session->unsent_ns = 0;
  backend_query(self, args);
}

/* The statement as it goes to the server; NULL: out of memory. */
static struct sim_query *make_query(struct sim_session *session, const struct request *request) {
  struct sim_postgres_cluster *cluster = session->cluster;
  struct sim_query *query = query_take(cluster);
  if (!query) return NULL;
  enum statement_meaning meaning = session->base.spec.statements[request->statement].meaning;
  *query = (struct sim_query){.connection = session->connection,
                              .number = session->connection->number,
                              .flight = session->first + session->base.in_flight,
                              .sent_ns = request->sent_ns,
                              .identity = request->numbers[0],
                              .meaning = (uint8_t)meaning};
  if (meaning == STATEMENT_ORIGIN_READ) query->takes_ns = (uint64_t)request->numbers[1] * NS_PER_US;
  bool append = meaning == STATEMENT_APPEND;
  if (!append && meaning != STATEMENT_HEARTBEAT_SET) return query;
  query->entry = wal_entry_take(cluster, append ? SIM_RECORD_ROW : SIM_RECORD_BEAT,
                                append ? request->text : NULL);
  if (!query->entry) {
    query_give(cluster, query);
    return NULL;
  }
  struct sim_record *record = &query->entry->record;
  record->identity = append ? (uint32_t)request->numbers[0] : 0;
  record->sequence = (uint64_t)request->numbers[append ? 1 : 0];
  record->checksum = append ? (uint32_t)request->numbers[2] : 0;
  return query;
}

static void refuse(struct sim_session *session, struct request *request) {
  request->sent_ns = 0;
  struct sim_flight *flight = flight_at(session, session->base.in_flight - 1);
  flight->answered = true;
  flight->reply = (struct reply){.outcome = OUTCOME_FAIL,
                                 .code = code_pack(CODE_NO_CONNECTION),
                                 .done_ns = loop_now_ns(session->base.loop),
                                 .host = HOST_NONE};
  session_lost(session, "out of memory for a statement");
}

static void session_send(struct session *base, struct request *request) {
  struct sim_session *session = session_of(base);
  assert(base->state == SESSION_READY && session->phase == SIM_OPEN);
  assert(base->in_flight < base->spec.options->pipeline_depth);
  assert(request->statement < base->spec.statement_count);
  request->sent_ns = loop_now_ns(base->loop);
  struct sim_query *query = make_query(session, request);
  struct sim_flight *flight = flight_at(session, base->in_flight++);
  flight->request = request;
  flight->answered = false;
  if (!query) {
    refuse(session, request);
    return;
  }
  struct sim_connection *connection = session->connection;
  uint64_t text_bytes = query->entry ? query->entry->record.end_bytes : 0;
  sim_send(&(struct sim_message){.from = session->client,
                                 .to = &connection->server->process,
                                 .to_life = connection->life,
                                 .connection = connection->number,
                                 .bytes = MESSAGE_BYTES + (uint32_t)text_bytes,
                                 .deliver = query_arrived,
                                 .broken = query_broken,
                                 .wanted = query_wanted,
                                 .args = {.pointer = query}});
  arm_deadline(session, request->deadline_ns);
}

/* --- answers --------------------------------------------------------------------------------- */

static void take_answer(struct sim_session *session, const struct sim_query *query) {
  const struct sim_answer *answer = &query->answer;
  struct sim_flight *flight = flight_at(session, (uint32_t)(query->flight - session->first));
  flight->answered = true;
  flight->reply = (struct reply){.outcome = (enum outcome)answer->outcome,
                                 .code = answer->code,
                                 .done_ns = loop_now_ns(session->base.loop),
                                 .host = session->base.host,
                                 .timeline = answer->timeline,
                                 .values = {answer->values[0], answer->values[1]},
                                 .has_row = answer->has_row};
  if (answer->timeline != 0) session->base.timeline = answer->timeline;
  if (session->base.spec.route == ROUTE_PRIMARY && answer->code != 0 &&
      answer->code == code_pack(CODE_READ_ONLY)) {
    session->leaving = true;
    session->base.state = SESSION_CONNECTING; /* takes no more requests */
  }
}

void client_answer(struct sim_process *self, const struct sim_args *args) {
  struct sim_query *query = args->pointer;
  struct sim_session *session = query->connection->session;
  struct sim_postgres_cluster *cluster = query->connection->server->cluster;
  const struct sim_postgres_truth *truth = &cluster->truth;
  (void)self;
  bool mine = is_of(query, session);
  if (mine) {
    take_answer(session, query);
    if (truth->received && query->entry && query->answer.outcome == OUTCOME_OK)
      truth->received(truth->data, &query->entry->record, query->connection->server->member);
  }
  query_give(cluster, query);
  if (!mine) return;
  uint64_t epoch = session->epoch;
  while (session->base.in_flight > 0 && flight_at(session, 0)->answered) {
    deliver_oldest(session);
    if (session->epoch != epoch) return;
  }
  /* A server that refuses writes is left as soon as nothing is in flight. */
  if (session->leaving && session->base.in_flight == 0)
    session_lost(session, "the server has become read-only");
}

/* --- life ------------------------------------------------------------------------------------ */

static int check_spec(const struct session_spec *spec, struct error *err) {
  const struct sim_postgres_cluster *cluster = spec->access->context;
  uint32_t depth = spec->options->pipeline_depth;
  if (depth < 1 || depth > PIPELINE_MAX)
    return error_set(err, STATUS_USAGE, "a pipeline depth of %u is not within 1 to %u", depth,
                     PIPELINE_MAX);
  if (!cluster || spec->from_host >= HOSTS_MAX || !cluster->clients[spec->from_host])
    return error_set(err, STATUS_INTERNAL, "host number %u has no simulated clients",
                     spec->from_host);
  for (uint32_t i = 0; i < spec->access->endpoint_count; i++) {
    uint16_t host = spec->access->endpoints[i].host;
    if (host >= HOSTS_MAX || !cluster->by_host[host])
      return error_set(err, STATUS_USAGE, "no simulated server is on host number %u", host);
  }
  return 0;
}

static int session_init(struct session *base, const struct session_spec *spec, struct loop *loop,
                        struct error *err) {
  struct sim_session *session = session_of(base);
  int status = check_spec(spec, err);
  if (status < 0) return status;
  base->driver = &driver_sim_postgres;
  base->spec = *spec;
  base->loop = loop;
  base->state = SESSION_IDLE;
  base->host = HOST_NONE;
  session->cluster = spec->access->context;
  session->client = session->cluster->clients[spec->from_host];
  session->timer = (struct timer){.fire = timer_fired, .owner = session};
  session->capacity = spec->options->pipeline_depth;
  status = endpoint_round_init(&session->round, &base->spec, err);
  if (status < 0) return status;
  session->flights = calloc(session->capacity, sizeof *session->flights);
  if (session->flights) return 0;
  endpoint_round_release(&session->round);
  return error_set(err, STATUS_MEMORY, "out of memory for a session");
}

static void session_close(struct session *base) {
  struct sim_session *session = session_of(base);
  base->state = SESSION_IDLE;
  session_disconnect(session);
  abandon_flights(session);
}

static void session_release(struct session *base) {
  if (!base || !base->driver) return;
  struct sim_session *session = session_of(base);
  session_close(base);
  endpoint_round_release(&session->round);
  free(session->flights);
  session->flights = NULL;
}

static void session_connect(struct session *base) {
  assert(base->state == SESSION_IDLE || base->state == SESSION_LOST);
  base->state = SESSION_CONNECTING;
  session_connect_round(session_of(base));
}

/* --- before and after the load --------------------------------------------------------------- */

/* The tables are there at once: rows of an earlier execute() are of other tables. */
static int execute(const struct access *access, const struct endpoint *endpoint, const char *text,
                   uint64_t timeout_ns, struct error *err) {
  struct sim_postgres_cluster *cluster = access->context;
  (void)text;
  (void)timeout_ns;
  for (uint32_t i = 0; i < cluster->count; i++) {
    const struct sim_postgres *server = &cluster->servers[i];
    if (endpoint && cluster->by_host[endpoint->host] != server) continue;
    if (server->state != SIM_PG_PRIMARY) continue;
    cluster->table++;
    return 0;
  }
  return error_set(err, STATUS_SERVER, "%s accepts no writes",
                   endpoint ? endpoint->name : "no server");
}

struct row_reader {
  row_callback *row;
  void *data;
};

/* printf() would take a third of a run's time here. Returns the first digit, within `text`. */
static const char *digits(uint64_t number, char text[24]) {
  char *at = text + 23;
  *at = '\0';
  do *--at = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  return at;
}

static int read_row(void *data, const struct sim_record *record, struct error *err) {
  const struct row_reader *reader = data;
  char identity[24], sequence[24], checksum[24];
  const char *columns[] = {digits(record->identity, identity), digits(record->sequence, sequence),
                           digits(record->checksum, checksum), record->payload};
  return reader->row(reader->data, columns, 4, err);
}

static struct sim_postgres *server_for(struct sim_postgres_cluster *cluster,
                                       const struct endpoint *endpoint) {
  if (endpoint) return endpoint->host < HOSTS_MAX ? cluster->by_host[endpoint->host] : NULL;
  for (uint32_t i = 0; i < cluster->count; i++)
    if (cluster->servers[i].state == SIM_PG_PRIMARY) return &cluster->servers[i];
  return NULL;
}

static int read_rows(const struct access *access, const struct endpoint *endpoint, const char *text,
                     uint64_t timeout_ns, row_callback *row, void *data, struct error *err) {
  struct sim_postgres *server = server_for(access->context, endpoint);
  (void)text;
  (void)timeout_ns;
  const char *name = endpoint ? endpoint->name : "the primary";
  if (!server || !server_answers(server) || server->process.frozen)
    return error_set(err, STATUS_SERVER, "%s: no server accepts connections", name);
  struct row_reader reader = {.row = row, .data = data};
  return sim_postgres_rows(server, read_row, &reader, err);
}

const struct driver driver_sim_postgres = {
    .name = "sim-postgres",
    .session_size = sizeof(struct sim_session),
    .session_init = session_init,
    .session_release = session_release,
    .session_connect = session_connect,
    .session_send = session_send,
    .session_close = session_close,
    .execute = execute,
    .read_rows = read_rows,
};
