/* Watches the members of a `postgres` service: one asynchronous connection each, asked every 50 ms
 * what the server is and where its WAL stands, the primary also how its replicas follow. Whatever a
 * server does is an observation; nothing here fails once watching has begun. */
#include "services/postgres_watch.h"

#include <stdlib.h>
#include <string.h>

#define POLL_NS (50 * NS_PER_MS)
#define REPLICATION_NS (250 * NS_PER_MS)
#define CONNECTIONS_NS NS_PER_S
#define ANSWER_TIMEOUT_NS NS_PER_S /* connecting, or a query: then the host counts as silent */
#define RECONNECT_NS (100 * NS_PER_MS)
#define PATIENCE_NS (10 * NS_PER_S)

enum query { QUERY_STATE, QUERY_REPLICATION, QUERY_CONNECTIONS, QUERY_COUNT };
static const char *const query_names[QUERY_COUNT] = {"state", "replication", "connections"};
static const char *const query_texts[QUERY_COUNT] = {
    /* The timeline of a replica is that of its receiver; unknown while it has none. */
    [QUERY_STATE] =
        ("select r, current_setting('transaction_read_only') = 'on',"
         " case when r then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end - '0/0',"
         " case when r then (select received_tli from pg_stat_wal_receiver)"
         "  else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end"
         " from (select pg_is_in_recovery() as r offset 0) s"),
    [QUERY_REPLICATION] =
        ("select application_name, state, sync_state, pg_current_wal_lsn() - replay_lsn,"
         " extract(epoch from replay_lag) from pg_stat_replication where state = 'streaming'"),
    [QUERY_CONNECTIONS] =
        ("select count(*) from pg_stat_activity where backend_type = 'client backend'"),
};

enum link { LINK_DOWN, LINK_CONNECTING, LINK_READY, LINK_BUSY };

struct member_watch {
  struct postgres_watcher *watcher;
  const struct host *host;
  uint32_t member;
  enum link link;
  PGconn *conn;
  struct watch watch;
  struct timer tick, deadline;
  uint64_t tick_ns, retry_ns;
  uint64_t patience_ns; /* until then a host that took the connection may leave it unanswered */
  uint64_t due_ns[QUERY_COUNT];
  uint32_t wanted;   /* queries still to be sent in this round: 1 << enum query */
  uint32_t prepared; /* how many statements the connection has */
  bool preparing;    /* the answer awaited is to a prepare */
  enum query current;
};

struct postgres_watcher {
  struct service_instance *service;
  struct loop *loop;
  struct web *web;
  struct leader_watch *leader;
  struct manager_watch *manager;
  struct member_watch members[POSTGRES_INSTANCES_MAX];
  uint32_t member_count;
};

/* --- telling --- */

void postgres_event(struct service_instance *service, uint64_t now_ns, enum event_kind kind,
                    uint8_t host, enum role role, int64_t number, const char *text) {
  struct event event = {.time_ns = now_ns - service->start_ns,
                        .kind = kind,
                        .fault = FAULT_NONE,
                        .host = host,
                        .role = (uint8_t)role,
                        .number = number};
  snprintf(event.text, sizeof event.text, "%s", text);
  service->sink->event(service->sink, &event);
}

void postgres_sample(struct service_instance *service, uint64_t now_ns, enum metric metric,
                     uint8_t host, double value) {
  const struct sample sample = {.time_ns = now_ns - service->start_ns,
                                .value = value,
                                .metric = (uint16_t)metric,
                                .host = host};
  service->sink->sample(service->sink, &sample);
}

void postgres_view(const struct service_instance *service, struct service_view *ret_view) {
  struct postgres_state *state = postgres_state(service);
  pthread_mutex_lock(&state->view_mutex);
  *ret_view = state->view;
  pthread_mutex_unlock(&state->view_mutex);
}

void postgres_view_set_leader(struct service_instance *service, uint8_t host) {
  struct postgres_state *state = postgres_state(service);
  pthread_mutex_lock(&state->view_mutex);
  state->view.leader = host;
  pthread_mutex_unlock(&state->view_mutex);
}

/* The members' states as a whole: who is the one primary, and whether all others follow it. */
static bool is_redundant(const struct postgres_watcher *watcher, const struct service_view *view) {
  uint64_t bound_bytes = watcher->service->lag_bound_bytes;
  if (view->primary == HOST_NONE) return false;
  for (uint32_t i = 0; i < watcher->member_count; i++) {
    const struct host_view *host = &view->hosts[watcher->members[i].host->index];
    if (watcher->members[i].host->index == view->primary) continue;
    if (host->role != ROLE_REPLICA || !host->streaming || host->lag_bytes > bound_bytes ||
        host->timeline != view->hosts[view->primary].timeline)
      return false;
  }
  return true;
}

/* Publishes what is known of one host, and what follows from it for the whole. */
static void publish(struct member_watch *m, const struct host_view *host, uint64_t now_ns) {
  struct postgres_watcher *watcher = m->watcher;
  struct postgres_state *state = postgres_state(watcher->service);
  struct service_view view;
  postgres_view(watcher->service, &view);
  view.hosts[m->host->index] = *host;
  uint32_t writable = 0;
  view.primary = HOST_NONE;
  for (uint32_t i = 0; i < watcher->member_count; i++) {
    uint8_t index = watcher->members[i].host->index;
    if (!view.hosts[index].writable) continue;
    writable++;
    view.primary = index;
  }
  if (writable != 1) view.primary = HOST_NONE;
  for (uint32_t i = 0; writable == 0 && i < watcher->member_count; i++)
    view.hosts[watcher->members[i].host->index].streaming = false; /* nobody sends to it */
  bool before = view.redundant;
  view.redundant = is_redundant(watcher, &view);
  pthread_mutex_lock(&state->view_mutex);
  state->view = view; /* the leader is set by this same thread: nothing is overwritten */
  pthread_mutex_unlock(&state->view_mutex);
  if (view.redundant != before)
    postgres_event(watcher->service, now_ns, EVENT_REDUNDANT, HOST_NONE, ROLE_NONE, view.redundant,
                   "");
}

static struct host_view view_of(const struct member_watch *m) {
  struct service_view view;
  postgres_view(m->watcher->service, &view);
  return view.hosts[m->host->index];
}

/* --- the connection --- */

static void schedule(struct member_watch *m);

static void drop(struct member_watch *m) {
  struct loop *loop = m->watcher->loop;
  loop_timer_cancel(loop, &m->deadline);
  loop_watch_set(loop, &m->watch, 0, NULL);
  if (m->conn) PQfinish(m->conn);
  m->conn = NULL;
  m->link = LINK_DOWN;
  m->wanted = m->prepared = 0;
  m->preparing = false;
}

/* The host counts as silent from now on; says why, once. */
static void silent(struct member_watch *m, const char *why) {
  uint64_t now_ns = loop_now_ns(m->watcher->loop);
  struct host_view host = view_of(m);
  char text[EVENT_TEXT_SIZE];
  size_t length = strcspn(why, "\n");
  if (host.role == ROLE_NONE) return;
  snprintf(text, sizeof text, "%.*s", (int)(length < 400 ? length : 400), why);
  host.role = ROLE_NONE;
  host.writable = host.streaming = false;
  postgres_event(m->watcher->service, now_ns, EVENT_ROLE, m->host->index, ROLE_NONE, host.timeline,
                 text);
  publish(m, &host, now_ns);
}

/* Silent, and the connection is of no more use. */
static void lost(struct member_watch *m, const char *why) {
  silent(m, why);
  drop(m);
  m->retry_ns = loop_now_ns(m->watcher->loop) + RECONNECT_NS;
}

static void await(struct member_watch *m) {
  struct loop *loop = m->watcher->loop;
  loop_timer_arm(loop, &m->deadline, loop_now_ns(loop) + ANSWER_TIMEOUT_NS, NULL);
}

/* A server that is frozen still has a kernel that answers for it. Its connection is kept, so that
 * its first word after the thaw is heard at once, and so that attempts to reach it do not pile up
 * before its door; a host that is gone is noticed by the kernel (tcp_user_timeout). */
static void deadline_fired(struct timer *timer, uint64_t now_ns) {
  struct member_watch *m = timer->owner;
  if (m->link == LINK_BUSY) {
    silent(m, "no answer within 1 s");
  } else if (PQstatus(m->conn) == CONNECTION_STARTED || now_ns > m->patience_ns) {
    lost(m, "no connection within 1 s");
  } else {
    silent(m, "no connection within 1 s");
    await(m);
  }
}

static void connect_step(struct member_watch *m) {
  PostgresPollingStatusType next = PQconnectPoll(m->conn);
  if (next == PGRES_POLLING_FAILED) {
    lost(m, PQerrorMessage(m->conn));
    return;
  }
  unsigned interest = next == PGRES_POLLING_WRITING ? LOOP_WRITE : LOOP_READ;
  /* libpq may have closed its socket and opened another under the same number. */
  if (loop_watch_renew(m->watcher->loop, &m->watch, PQsocket(m->conn), interest, NULL) < 0) {
    lost(m, "the connection cannot be watched");
    return;
  }
  if (next != PGRES_POLLING_OK) return;
  loop_timer_cancel(m->watcher->loop, &m->deadline);
  PQsetnonblocking(m->conn, 1);
  m->link = LINK_READY;
  m->wanted = 1u << QUERY_STATE;
  memset(m->due_ns, 0, sizeof m->due_ns);
  schedule(m);
}

static void connect_begin(struct member_watch *m) {
  struct postgres_conninfo info;
  postgres_conninfo(m->watcher->service, m->member, &info);
  m->conn = PQconnectStartParams(info.keywords, info.values, 0);
  m->link = LINK_CONNECTING;
  m->patience_ns = loop_now_ns(m->watcher->loop) + PATIENCE_NS;
  if (!m->conn || PQstatus(m->conn) == CONNECTION_BAD) {
    lost(m, m->conn ? PQerrorMessage(m->conn) : "out of memory");
    return;
  }
  await(m);
  if (loop_watch_renew(m->watcher->loop, &m->watch, PQsocket(m->conn), LOOP_WRITE, NULL) < 0)
    lost(m, "the connection cannot be watched");
}

/* --- answers --- */

static uint64_t number_at(const PGresult *result, int row, int column, uint64_t otherwise) {
  if (PQgetisnull(result, row, column)) return otherwise;
  const char *text = PQgetvalue(result, row, column);
  return text[0] == '-' ? 0 : strtoull(text, NULL, 10);
}

static void take_state(struct member_watch *m, const PGresult *result, uint64_t now_ns) {
  struct service_instance *service = m->watcher->service;
  const struct host_view before = view_of(m);
  struct host_view host = before;
  bool recovery = PQgetvalue(result, 0, 0)[0] == 't';
  host.role = recovery ? ROLE_REPLICA : ROLE_PRIMARY;
  host.writable = !recovery && PQgetvalue(result, 0, 1)[0] == 'f';
  host.position = number_at(result, 0, 2, before.position);
  host.timeline = (uint32_t)number_at(result, 0, 3, before.timeline);
  host.seen_ns = now_ns;
  if (!recovery) host.streaming = false;
  if (host.role != before.role || host.timeline != before.timeline)
    postgres_event(service, now_ns, EVENT_ROLE, m->host->index, host.role, host.timeline, "");
  if (host.writable && !before.writable)
    postgres_event(service, now_ns, EVENT_PROMOTED, m->host->index, ROLE_PRIMARY, host.timeline,
                   "");
  postgres_sample(service, now_ns, METRIC_WAL_POSITION, m->host->index, (double)host.position);
  if (host.timeline != before.timeline || before.role == ROLE_NONE)
    postgres_sample(service, now_ns, METRIC_TIMELINE, m->host->index, host.timeline);
  publish(m, &host, now_ns);
}

static double sync_state_number(const char *text) {
  static const char *const names[] = {"async", "potential", "sync", "quorum"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(text, names[i]) == 0) return (double)i;
  return 0;
}

/* The row of the replica; of several (an old sender that has not noticed) the least behind. */
static int row_of(const PGresult *result, const char *name) {
  int best = -1;
  for (int row = 0; row < PQntuples(result); row++) {
    if (strcmp(PQgetvalue(result, row, 0), name) != 0) continue;
    if (best < 0 || number_at(result, row, 3, UINT64_MAX) < number_at(result, best, 3, UINT64_MAX))
      best = row;
  }
  return best;
}

/* What a replica that the primary does not send to lacks, by the positions both last told. */
static void sample_unsent(struct member_watch *primary, struct member_watch *replica,
                          uint64_t now_ns) {
  const struct host_view from = view_of(primary), to = view_of(replica);
  if (to.role != ROLE_REPLICA || to.position > from.position) return;
  postgres_sample(primary->watcher->service, now_ns, METRIC_LAG_BYTES, replica->host->index,
                  (double)(from.position - to.position));
}

static void take_replica(struct member_watch *primary, struct member_watch *replica,
                         const PGresult *result, uint64_t now_ns) {
  struct service_instance *service = primary->watcher->service;
  uint8_t index = replica->host->index;
  int row = row_of(result, replica->host->name);
  struct host_view host = view_of(replica);
  host.streaming = row >= 0;
  postgres_sample(service, now_ns, METRIC_STREAMING, index, row >= 0);
  if (row < 0) {
    sample_unsent(primary, replica, now_ns);
    publish(replica, &host, now_ns);
    return;
  }
  host.lag_bytes = number_at(result, row, 3, UINT64_MAX);
  postgres_sample(service, now_ns, METRIC_SYNC_STATE, index,
                  sync_state_number(PQgetvalue(result, row, 2)));
  if (!PQgetisnull(result, row, 3))
    postgres_sample(service, now_ns, METRIC_LAG_BYTES, index, (double)host.lag_bytes);
  /* PostgreSQL shows no time once the replica has caught up and nothing is written. */
  if (!PQgetisnull(result, row, 4))
    postgres_sample(service, now_ns, METRIC_LAG_SECONDS, index,
                    strtod(PQgetvalue(result, row, 4), NULL));
  else if (host.lag_bytes == 0)
    postgres_sample(service, now_ns, METRIC_LAG_SECONDS, index, 0);
  publish(replica, &host, now_ns);
}

static void take_answer(struct member_watch *m, const PGresult *result) {
  uint64_t now_ns = loop_now_ns(m->watcher->loop);
  switch (m->current) {
    case QUERY_STATE:
      if (PQntuples(result) == 1) take_state(m, result, now_ns);
      break;
    case QUERY_REPLICATION:
      for (uint32_t i = 0; i < m->watcher->member_count; i++)
        if (&m->watcher->members[i] != m) take_replica(m, &m->watcher->members[i], result, now_ns);
      break;
    case QUERY_CONNECTIONS:
      postgres_sample(m->watcher->service, now_ns, METRIC_CONNECTIONS, m->host->index,
                      (double)number_at(result, 0, 0, 0));
      break;
    case QUERY_COUNT: break;
  }
}

/* --- asking --- */

static bool send_next(struct member_watch *m) {
  if (m->prepared < QUERY_COUNT) {
    m->preparing = true;
    return PQsendPrepare(m->conn, query_names[m->prepared], query_texts[m->prepared], 0, NULL);
  }
  m->preparing = false;
  for (uint32_t i = 0; i < QUERY_COUNT; i++) {
    if (!(m->wanted & 1u << i)) continue;
    m->wanted &= ~(1u << i);
    m->current = (enum query)i;
    return PQsendQueryPrepared(m->conn, query_names[i], 0, NULL, NULL, NULL, 0);
  }
  return true;
}

static void flush(struct member_watch *m) {
  int left = PQflush(m->conn);
  if (left < 0) {
    lost(m, PQerrorMessage(m->conn));
    return;
  }
  if (loop_watch_set(m->watcher->loop, &m->watch, left ? LOOP_READ | LOOP_WRITE : LOOP_READ, NULL) <
      0)
    lost(m, "the connection cannot be watched");
}

/* Sends the next query of this round, if there is one and none is under way. */
static void schedule(struct member_watch *m) {
  if (m->link != LINK_READY || (m->wanted == 0 && m->prepared == QUERY_COUNT)) return;
  if (!send_next(m)) {
    lost(m, PQerrorMessage(m->conn));
    return;
  }
  m->link = LINK_BUSY;
  await(m);
  flush(m);
}

/* One query is answered when libpq has no more results. False: the connection is gone. */
static bool read_answers(struct member_watch *m) {
  if (!PQconsumeInput(m->conn)) {
    lost(m, PQerrorMessage(m->conn));
    return false;
  }
  while (m->link == LINK_BUSY && !PQisBusy(m->conn)) {
    CLEANUP(cleanup_result) PGresult *result = PQgetResult(m->conn);
    if (!result) {
      loop_timer_cancel(m->watcher->loop, &m->deadline);
      m->link = LINK_READY;
      if (m->preparing) m->prepared++;
      break;
    }
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK) {
      take_answer(m, result);
    } else if (status != PGRES_COMMAND_OK) {
      /* A query can be cancelled by a recovery conflict; ask again on a new connection. */
      lost(m, PQresultErrorMessage(result));
      return false;
    }
  }
  return true;
}

static void socket_ready(struct watch *watch, unsigned events) {
  struct member_watch *m = watch->owner;
  if (m->link == LINK_CONNECTING) {
    connect_step(m);
    return;
  }
  if (events & LOOP_READ && !read_answers(m)) return;
  if (m->link == LINK_READY)
    schedule(m);
  else if (m->link == LINK_BUSY && events & LOOP_WRITE)
    flush(m);
}

static void tick_fired(struct timer *timer, uint64_t now_ns) {
  struct member_watch *m = timer->owner;
  struct loop *loop = m->watcher->loop;
  m->tick_ns += POLL_NS;
  if (m->tick_ns <= now_ns) m->tick_ns = now_ns + POLL_NS;
  loop_timer_arm(loop, &m->tick, m->tick_ns, NULL);
  if (m->link == LINK_DOWN && now_ns >= m->retry_ns) connect_begin(m);
  if (m->link != LINK_READY) return;
  m->wanted |= 1u << QUERY_STATE;
  if (now_ns >= m->due_ns[QUERY_REPLICATION] && view_of(m).writable) {
    m->wanted |= 1u << QUERY_REPLICATION;
    m->due_ns[QUERY_REPLICATION] = now_ns + REPLICATION_NS;
  }
  if (now_ns >= m->due_ns[QUERY_CONNECTIONS]) {
    m->wanted |= 1u << QUERY_CONNECTIONS;
    m->due_ns[QUERY_CONNECTIONS] = now_ns + CONNECTIONS_NS;
  }
  schedule(m);
}

/* --- begin and end --- */

static int start_members(struct postgres_watcher *watcher, struct error *err) {
  struct service_instance *service = watcher->service;
  watcher->member_count = postgres_instances(postgres_config(service));
  int status = loop_reserve_timers(watcher->loop, 2 * watcher->member_count + 16, err);
  for (uint32_t i = 0; status == 0 && i < watcher->member_count; i++) {
    struct member_watch *m = &watcher->members[i];
    m->watcher = watcher;
    m->member = i;
    m->host = service->members[i];
    m->watch = (struct watch){.ready = socket_ready, .owner = m, .fd = -1};
    m->tick = (struct timer){.fire = tick_fired, .owner = m};
    m->deadline = (struct timer){.fire = deadline_fired, .owner = m};
    m->tick_ns = loop_now_ns(watcher->loop);
    status = loop_timer_arm(watcher->loop, &m->tick, m->tick_ns, err);
  }
  return status;
}

int postgres_watch(struct service_instance *service, struct loop *loop, struct error *err) {
  struct postgres_watcher *watcher = calloc(1, sizeof *watcher);
  if (!watcher) return error_set(err, STATUS_MEMORY, "out of memory for watching");
  postgres_block_sigpipe();
  watcher->service = service;
  watcher->loop = loop;
  postgres_state(service)->watcher = watcher;
  int status = start_members(watcher, err);
  if (status == 0) status = web_new(loop, &watcher->web, err);
  if (status == 0 && postgres_config(service)->topology == TOPOLOGY_PATRONI) {
    status = leader_watch_new(service, watcher->web, loop, &watcher->leader, err);
    if (status == 0)
      status = manager_watch_new(service, watcher->web, loop, &watcher->manager, err);
  }
  if (status < 0) postgres_unwatch(service);
  return status;
}

void postgres_unwatch(struct service_instance *service) {
  struct postgres_watcher *watcher = postgres_state(service)->watcher;
  if (!watcher) return;
  postgres_state(service)->watcher = NULL;
  for (uint32_t i = 0; i < watcher->member_count; i++) {
    struct member_watch *m = &watcher->members[i];
    if (!m->watcher) continue; /* never begun */
    loop_timer_cancel(watcher->loop, &m->tick);
    drop(m);
  }
  leader_watch_free(watcher->leader);
  manager_watch_free(watcher->manager);
  web_free(watcher->web);
  free(watcher);
}
