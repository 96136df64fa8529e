/* Clients' connections on a simulated server: who is let in, what statements do, and when a commit
 * is acknowledged.
 *
 * Sources: postmaster.c (canAcceptConnections(), max_connections), xlog.c (XLogFlush(): one flush
 * at a time, commits that come meanwhile share the next), syncrep.c (SyncRepWaitForLSN(): a commit
 * waits for its standbys after its local flush; nobody sees it before). */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gameday/driver.h"
#include "sim/postgres_internal.h"

#define CODE_CANNOT_CONNECT "57P03"
#define CODE_TOO_MANY "53300"
#define COMMITS_CAPACITY 64
/* Of a message without its payload: TCP/IP headers and the protocol's own. */
#define MESSAGE_BYTES 120

/* --- pools ----------------------------------------------------------------------------------- */

struct sim_query *query_take(struct sim_postgres_cluster *cluster) {
  struct sim_query *query = cluster->free_queries;
  if (query) {
    cluster->free_queries = query->next;
    return query;
  }
  query = arena_alloc(&cluster->arena, sizeof *query);
  if (!query) cluster->world->out_of_memory = true;
  return query;
}

void query_give(struct sim_postgres_cluster *cluster, struct sim_query *query) {
  wal_entry_give(cluster, query->entry);
  query->entry = NULL;
  query->next = cluster->free_queries;
  cluster->free_queries = query;
}

struct sim_connection *connection_take(struct sim_postgres *server, struct sim_session *session,
                                       struct sim_process *client) {
  struct sim_postgres_cluster *cluster = server->cluster;
  struct sim_connection *connection = cluster->free_connections;
  if (connection) {
    cluster->free_connections = connection->next;
  } else {
    connection = arena_alloc(&cluster->arena, sizeof *connection);
    if (!connection) {
      cluster->world->out_of_memory = true;
      return NULL;
    }
  }
  *connection = (struct sim_connection){
      .server = server, .session = session, .client = client, .number = ++cluster->numbers};
  return connection;
}

/* Both halves are closed: what still comes for it comes too late. */
static void connection_give(struct sim_connection *connection) {
  struct sim_postgres_cluster *cluster = connection->server->cluster;
  if (connection->session || connection->backend) return;
  connection->number = 0;
  connection->next = cluster->free_connections;
  cluster->free_connections = connection;
}

/* A server that answers nothing takes what arrives when it answers again. */
static bool later(struct sim_process *self, sim_call *call, const struct sim_args *args) {
  uint64_t silence_ns = guilt_silence_ns(self->owner);
  if (silence_ns > 0) sim_after(self, silence_ns, call, args);
  return silence_ns > 0;
}

/* --- the server's half ----------------------------------------------------------------------- */

static struct sim_connection *connection_of(const struct sim_args *args) {
  struct sim_connection *connection = args->pointer;
  return connection->number == args->number ? connection : NULL;
}

static bool client_wants(const struct sim_args *args) {
  const struct sim_connection *connection = connection_of(args);
  return connection && connection->session;
}

/* What is told to the client of a connection: `code` 0 is "done". */
static void tell(const struct sim_connection *connection, sim_call *deliver, uint32_t code,
                 uint32_t timeline) {
  sim_send(&(struct sim_message){.from = &connection->server->kernel,
                                 .to = connection->client,
                                 .to_life = connection->client->life,
                                 .connection = connection->number,
                                 .bytes = MESSAGE_BYTES,
                                 .deliver = deliver,
                                 .wanted = client_wants,
                                 .args = {.pointer = (void *)(uintptr_t)connection,
                                          .number = connection->number,
                                          .number2 = code,
                                          .number3 = timeline}});
}

static void backend_begin(struct sim_connection *connection) {
  struct sim_postgres *server = connection->server;
  connection->backend = true;
  connection->next = server->connections;
  connection->place = &server->connections;
  if (connection->next) connection->next->place = &connection->next;
  server->connections = connection;
  server->connection_count++;
}

static void backend_end(struct sim_connection *connection) {
  struct sim_postgres *server = connection->server;
  assert(connection->backend);
  connection->backend = false;
  *connection->place = connection->next;
  if (connection->next) connection->next->place = connection->place;
  server->connection_count--;
  if (connection->busy) query_give(server->cluster, connection->busy);
  while (connection->waiting) {
    struct sim_query *query = connection->waiting;
    connection->waiting = query->next;
    query_give(server->cluster, query);
  }
  connection->busy = NULL;
  connection_give(connection);
}

static const char *why_not(const struct sim_postgres *server) {
  if (!server_answers(server)) return CODE_CANNOT_CONNECT;
  if (server->connection_count >= server->cluster->connections_max) return CODE_TOO_MANY;
  return NULL;
}

static void startup_done(struct sim_process *self, const struct sim_args *args) {
  const struct sim_connection *connection = connection_of(args);
  (void)self;
  if (connection && connection->backend) tell(connection, client_started, 0, 0);
}

void backend_startup(struct sim_process *self, const struct sim_args *args) {
  struct sim_connection *connection = connection_of(args);
  if (!connection || later(self, backend_startup, args)) return;
  const char *code = why_not(connection->server);
  if (code) {
    tell(connection, client_started, code_pack(code), 0);
    return;
  }
  backend_begin(connection);
  sim_after(self, connection->server->cluster->costs.authenticate_ns, startup_done, args);
}

static void role_known(struct sim_process *self, const struct sim_args *args) {
  const struct sim_connection *connection = connection_of(args);
  (void)self;
  if (!connection || !connection->backend) return;
  const struct sim_postgres *server = connection->server;
  tell(connection, client_role, 0, server_in_recovery(server) ? 0 : server->timeline);
}

void backend_role(struct sim_process *self, const struct sim_args *args) {
  const struct sim_connection *connection = connection_of(args);
  if (!connection || !connection->backend || later(self, backend_role, args)) return;
  sim_after(self, connection->server->cluster->costs.execute_ns, role_known, args);
}

static void goodbye(struct sim_process *self, const struct sim_args *args) {
  struct sim_connection *connection = connection_of(args);
  (void)self;
  if (!connection || !connection->backend) return;
  connection->leaving = true;
  if (!connection->busy) backend_end(connection);
}

static bool orphan_wants(const struct sim_args *args) {
  const struct sim_connection *connection = connection_of(args);
  return connection && sim_now_ns(connection->client->world) < args->number2 + ORPHAN_NS;
}

void connection_close(struct sim_connection *connection) {
  connection->session = NULL;
  struct sim_postgres *server = connection->server;
  if (!connection->backend) {
    connection_give(connection);
    return;
  }
  sim_send(&(struct sim_message){
      .from = connection->client,
      .to = &server->process,
      .to_life = connection->life,
      .connection = connection->number,
      .bytes = MESSAGE_BYTES,
      .deliver = goodbye,
      .wanted = orphan_wants,
      .args = {
          .pointer = connection, .number = connection->number, .number2 = server_now_ns(server)}});
}

/* --- commits --------------------------------------------------------------------------------- */

static bool grow_commits(struct sim_postgres *server) {
  struct sim_commits *commits = &server->commits;
  uint32_t capacity = commits->capacity ? commits->capacity * 2 : COMMITS_CAPACITY;
  struct sim_query **ring = calloc(capacity, sizeof(struct sim_query *));
  if (!ring) {
    server->cluster->world->out_of_memory = true;
    return false;
  }
  for (uint32_t i = 0; i < commits->count; i++)
    ring[i] = commits->ring[(commits->head + i) & (commits->capacity - 1)];
  free(commits->ring);
  *commits = (struct sim_commits){.ring = ring, .capacity = capacity, .count = commits->count};
  return true;
}

static struct sim_query *commit_at(const struct sim_commits *commits, uint32_t place) {
  return commits->ring[(commits->head + place) & (commits->capacity - 1)];
}

static void flush_commits(struct sim_postgres *server);

/* All that had been executed when the flush began is on the disk. */
static void flush_done(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *server = self->owner;
  if (args->number != server->cut) return;
  const struct sim_commits *commits = &server->commits;
  uint64_t waiting = server->wal.received - server->wal.flushed;
  for (uint32_t i = commits->count - (uint32_t)waiting; i < commits->count; i++) {
    const struct sim_query *query = commit_at(commits, i);
    if (query->ready_ns > server->flush_begin_ns) break;
    server->wal.flushed = query->entry->index;
  }
  server->flushing = false;
  guilt_flushed(server);
  flush_commits(server);
  replicate_push(server);
  backend_release_commits(server);
}

/* The first commit that is not on the disk: each record since is one that waits here. */
static const struct sim_query *first_to_flush(const struct sim_postgres *server) {
  const struct sim_commits *commits = &server->commits;
  uint64_t waiting = server->wal.received - server->wal.flushed;
  assert(waiting <= commits->count);
  return waiting > 0 ? commit_at(commits, commits->count - (uint32_t)waiting) : NULL;
}

static void flush_commits(struct sim_postgres *server) {
  const struct sim_query *first = server->flushing ? NULL : first_to_flush(server);
  if (!first) return;
  uint64_t now_ns = server_now_ns(server);
  server->flushing = true;
  server->flush_begin_ns = first->ready_ns > now_ns ? first->ready_ns : now_ns;
  uint64_t delay_ns = server->flush_begin_ns - now_ns + server->cluster->costs.fsync_ns;
  sim_after(&server->process, delay_ns, flush_done, &(struct sim_args){.number = server->cut});
}

/* --- statements ------------------------------------------------------------------------------ */

static void begin_query(struct sim_connection *connection, struct sim_query *query);

static bool answer_wanted(const struct sim_args *args) {
  const struct sim_query *query = args->pointer;
  return query->connection->number == query->number && query->connection->session;
}

/* Sends the answer and turns to the next statement of the connection. */
static void answer(struct sim_connection *connection) {
  struct sim_query *query = connection->busy;
  connection->busy = NULL;
  if (connection->session) {
    sim_send(&(struct sim_message){.from = &connection->server->kernel,
                                   .to = connection->client,
                                   .to_life = connection->client->life,
                                   .connection = connection->number,
                                   .bytes = MESSAGE_BYTES,
                                   .deliver = client_answer,
                                   .wanted = answer_wanted,
                                   .args = {.pointer = query}});
  } else {
    query_give(connection->server->cluster, query);
  }
  struct sim_query *next = connection->waiting;
  if (next) {
    connection->waiting = next->next;
    begin_query(connection, next);
  } else if (connection->leaving) {
    backend_end(connection);
  }
}

void backend_release_commits(struct sim_postgres *server) {
  if (server->state != SIM_PG_PRIMARY || guilt_silence_ns(server) > 0) return;
  const struct sim_postgres_truth *truth = &server->cluster->truth;
  struct sim_commits *commits = &server->commits;
  uint64_t done = replicate_synchronous(server);
  while (commits->count > 0) {
    struct sim_query *query = commit_at(commits, 0);
    if (query->entry->index > done || guilt_delays(server, query)) break;
    commits->head = (commits->head + 1) & (commits->capacity - 1);
    commits->count--;
    server->acknowledged = query->entry->index;
    if (!query->connection) {
      query_give(server->cluster, query);
      continue;
    }
    query->answer = (struct sim_answer){.outcome = OUTCOME_OK, .timeline = server->timeline};
    guilt_acknowledged(server, query);
    if (truth->acknowledged)
      truth->acknowledged(truth->data, &query->entry->record, server->member);
    answer(query->connection);
  }
}

static bool writes(const struct sim_query *query) {
  return query->meaning == STATEMENT_APPEND || query->meaning == STATEMENT_HEARTBEAT_SET;
}

/* The record is in the log at once, and worth a flush when the statement has been executed: nothing
 * can be seen of it before, and that spares an event. */
static bool begin_write(struct sim_postgres *server, struct sim_query *query) {
  struct sim_commits *commits = &server->commits;
  query->ready_ns = server_now_ns(server) + server->cluster->costs.execute_ns;
  if (commits->count == commits->capacity && !grow_commits(server)) return false;
  if (!wal_append(server, query->entry)) return false;
  commits->ring[(commits->head + commits->count++) & (commits->capacity - 1)] = query;
  flush_commits(server);
  return true;
}

void backend_append(struct sim_postgres *server, struct sim_entry *entry) {
  struct sim_query *query = query_take(server->cluster);
  if (!query) return;
  *query = (struct sim_query){.entry = entry};
  if (!begin_write(server, query)) query_give(server->cluster, query);
}

static void read_entry(struct sim_answer *answer, const struct sim_entry *entry) {
  if (!entry) return;
  answer->has_row = true;
  answer->values[0] = entry->record.identity;
  answer->values[1] = (int64_t)entry->record.sequence;
}

static void read_own(struct sim_postgres *server, const struct sim_query *query,
                     struct sim_answer *answer) {
  uint64_t sequence = 0;
  if (!wal_newest_own(server, (uint32_t)query->identity, &sequence)) return;
  answer->has_row = true;
  answer->values[0] = query->identity;
  answer->values[1] = (int64_t)sequence;
}

static void execute(struct sim_postgres *server, struct sim_query *query) {
  struct sim_answer *answer = &query->answer;
  bool recovery = server_in_recovery(server);
  *answer = (struct sim_answer){.outcome = OUTCOME_OK, .timeline = recovery ? 0 : server->timeline};
  switch ((enum statement_meaning)query->meaning) {
    case STATEMENT_APPEND:
    case STATEMENT_HEARTBEAT_SET: /* of a server in recovery: PreventCommandIfReadOnly() */
      answer->outcome = OUTCOME_FAIL;
      answer->code = code_pack(CODE_READ_ONLY);
      if (guilt_keeps(server, query->entry)) query->entry = NULL;
      break;
    case STATEMENT_READ_OWN: read_own(server, query, answer); break;
    case STATEMENT_READ_NEWEST: read_entry(answer, wal_newest_row(server)); break;
    case STATEMENT_HEARTBEAT_GET: {
      const struct sim_entry *beat = wal_newest_beat(server);
      answer->has_row = true;
      answer->values[0] = beat ? (int64_t)beat->record.sequence : 0;
      break;
    }
    case STATEMENT_ORIGIN_READ:
      answer->has_row = true;
      answer->values[0] = 1;
      break;
    case STATEMENT_CACHE_SET:
    case STATEMENT_CACHE_GET:
    case STATEMENT_CACHE_LOCK:
    case STATEMENT_CACHE_UNLOCK: /* no statements of a PostgreSQL server */
      answer->outcome = OUTCOME_FAIL;
      answer->code = code_pack("0A000");
      break;
  }
}

static void executed(struct sim_process *self, const struct sim_args *args) {
  struct sim_query *query = args->pointer;
  struct sim_connection *connection = args->pointer2;
  if (connection->number != args->number || connection->busy != query) return;
  if (later(self, executed, args)) return;
  execute(self->owner, query);
  answer(connection);
}

static void begin_query(struct sim_connection *connection, struct sim_query *query) {
  struct sim_postgres *server = connection->server;
  connection->busy = query;
  if (writes(query) && server->state == SIM_PG_PRIMARY) {
    if (begin_write(server, query)) guilt_appended(server, query->entry);
  } else {
    sim_after(
        &server->process, server->cluster->costs.execute_ns + query->takes_ns, executed,
        &(struct sim_args){.pointer = query, .pointer2 = connection, .number = connection->number});
  }
}

void backend_query(struct sim_process *self, const struct sim_args *args) {
  struct sim_query *query = args->pointer;
  struct sim_connection *connection = query->connection;
  const struct sim_postgres *server = self->owner;
  if (connection->number != query->number || !connection->backend) {
    query_give(server->cluster, query);
    return;
  }
  if (later(self, backend_query, args)) return;
  if (!connection->busy) {
    begin_query(connection, query);
    return;
  }
  query->next = NULL;
  if (connection->waiting)
    connection->last->next = query;
  else
    connection->waiting = query;
  connection->last = query;
}

/* --- the end --------------------------------------------------------------------------------- */

void backend_end_all(struct sim_postgres *server, uint32_t code, bool power) {
  server->commits.head = server->commits.count = 0;
  while (server->connections) {
    struct sim_connection *connection = server->connections;
    if (!power && connection->session) tell(connection, client_ended, code, 0);
    backend_end(connection);
  }
}
