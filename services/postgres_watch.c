/* Watches the members of a `postgres` service: one asynchronous connection each, asked every 50 ms
 * what the server is and where its WAL stands, the primary also how its replicas follow. Whatever a
 * server does is an observation; nothing here fails once watching has begun. */
#include "services/postgres_watch.h"

#include <stdlib.h>
#include <string.h>

#include "services/postgres_redundancy.h"

#define POLL_NS (50 * NS_PER_MS)
#define REPLICATION_NS (250 * NS_PER_MS)
#define CONNECTIONS_NS NS_PER_S
#define ANSWER_TIMEOUT_NS NS_PER_S /* connecting, or a query: then the host counts as silent */
#define RECONNECT_NS (100 * NS_PER_MS)
#define PATIENCE_NS (10 * NS_PER_S)

enum query { QUERY_STATE, QUERY_REPLICATION, QUERY_CONNECTIONS, QUERY_COUNT };
static const char *const query_names[QUERY_COUNT] = {"state", "replication", "connections"};
static const char *const query_texts[QUERY_COUNT] = {
    /* The timeline of a replica is that of its receiver; unknown while it has none. A receiver says
     * "streaming" as soon as it is connected, and may be turned away then (its slot is in use).
     * Both times of its last message are its own start until the first one comes. */
    [QUERY_STATE] =
        ("select r, current_setting('transaction_read_only') = 'on',"
         " case when r then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end - '0/0',"
         " case when r then w.received_tli"
         "  else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end,"
         " w.status = 'streaming' and w.last_msg_send_time <> w.last_msg_receipt_time,"
         " w.sender_host, w.pid"
         " from (select pg_is_in_recovery() as r offset 0) s"
         " left join pg_stat_wal_receiver w on r"),
    [QUERY_REPLICATION] =
        ("select application_name, host(client_addr), state = 'streaming', sync_state,"
         " pg_current_wal_lsn() - replay_lsn, extract(epoch from replay_lag),"
         " coalesce(flush_lsn < pg_current_wal_flush_lsn(), true),"
         " (extract(epoch from reply_time) * 1000000)::bigint,"
         " (extract(epoch from backend_start) * 1000000)::bigint"
         " from pg_stat_replication order by backend_start"),
    [QUERY_CONNECTIONS] =
        ("select count(*) from pg_stat_activity where backend_type = 'client backend'"),
};

enum state_column {
  STATE_RECOVERY,
  STATE_READ_ONLY,
  STATE_POSITION,
  STATE_TIMELINE,
  STATE_STREAMS,
  STATE_SENDER_HOST,
  STATE_RECEIVER_PID,
};
enum sender_column {
  SENDER_NAME,
  SENDER_ADDRESS,
  SENDER_STREAMING,
  SENDER_SYNC_STATE,
  SENDER_LAG_BYTES,
  SENDER_LAG_SECONDS,
  SENDER_BEHIND,
  SENDER_REPLY,
  SENDER_START,
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
  uint64_t asked_ns; /* when the current query was sent */
};

struct postgres_watcher {
  struct service_instance *service;
  struct loop *loop;
  struct web *web;
  struct leader_watch *leader;
  struct manager_watch *manager;
  struct member_watch members[POSTGRES_INSTANCES_MAX];
  struct replica_words words[POSTGRES_INSTANCES_MAX]; /* by member */
  struct redundancy_rule rule;
  uint32_t member_count;
};

/* --- the view --- */

void postgres_view(const struct service_instance *service, struct service_view *ret_view) {
  struct postgres_state *state = postgres_state(service);
  pthread_mutex_lock(&state->view_mutex);
  *ret_view = state->view;
  pthread_mutex_unlock(&state->view_mutex);
}

void postgres_view_set_leader(struct service_instance *service, uint16_t host) {
  struct postgres_state *state = postgres_state(service);
  pthread_mutex_lock(&state->view_mutex);
  state->view.leader = host;
  pthread_mutex_unlock(&state->view_mutex);
}

/* Publishes what is known of the hosts, and what follows from it for the whole: who is the one
 * primary, and whether all others follow it. */
static void publish_all(struct postgres_watcher *watcher, struct service_view *view,
                        uint64_t now_ns) {
  struct postgres_state *state = postgres_state(watcher->service);
  uint32_t writable = 0;
  view->primary = HOST_NONE;
  for (uint32_t i = 0; i < watcher->member_count; i++) {
    uint16_t index = watcher->members[i].host->index;
    if (!view->hosts[index].writable) continue;
    writable++;
    view->primary = index;
  }
  if (writable != 1) view->primary = HOST_NONE;
  for (uint32_t i = 0; writable == 0 && i < watcher->member_count; i++)
    view->hosts[watcher->members[i].host->index].streaming = false; /* nobody sends to it */
  bool before = view->redundant;
  view->redundant = postgres_redundant(view, watcher->words, watcher->member_count, &watcher->rule);
  pthread_mutex_lock(&state->view_mutex);
  state->view = *view; /* the leader is set by this same thread: nothing is overwritten */
  pthread_mutex_unlock(&state->view_mutex);
  if (view->redundant != before)
    service_event(watcher->service, now_ns, EVENT_REDUNDANT, HOST_NONE, ROLE_NONE, view->redundant,
                  "");
}

static void publish(struct member_watch *m, const struct host_view *host, uint64_t now_ns) {
  struct service_view view;
  postgres_view(m->watcher->service, &view);
  view.hosts[m->host->index] = *host;
  publish_all(m->watcher, &view, now_ns);
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

/* What a host said of replication holds no longer than its voice. */
static void forget_words(struct member_watch *m) {
  struct postgres_watcher *watcher = m->watcher;
  watcher->words[m->member].receiver = (struct receiver_word){.streams = false};
  for (uint32_t i = 0; i < watcher->member_count; i++)
    if (watcher->words[i].sender.host == m->host->index)
      watcher->words[i].sender = (struct sender_word){.streams = false};
}

/* The host counts as silent from now on; says why, once. */
static void silent(struct member_watch *m, const char *why) {
  uint64_t now_ns = loop_now_ns(m->watcher->loop);
  struct host_view host = view_of(m);
  char text[EVENT_TEXT_SIZE];
  size_t length = strcspn(why, "\n");
  if (host.role == ROLE_NONE) return;
  snprintf(text, sizeof text, "%.*s", (int)(length < 400 ? length : 400), why);
  forget_words(m);
  host.role = ROLE_NONE;
  host.writable = host.streaming = false;
  service_event(m->watcher->service, now_ns, EVENT_ROLE, m->host->index, ROLE_NONE, host.timeline,
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
  m->conn = postgres_connection_start(m->watcher->service, m->member);
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

static bool is_true(const PGresult *result, int row, int column) {
  return PQgetvalue(result, row, column)[0] == 't'; /* NULL is "" */
}

/* The member that a receiver calls by name or by address; HOST_NONE: none of ours. */
static uint16_t host_called(const struct postgres_watcher *watcher, const char *text) {
  for (uint32_t i = 0; i < watcher->member_count; i++) {
    const struct host *host = watcher->members[i].host;
    if (strcmp(text, host->name) == 0 || strcmp(text, host->address) == 0) return host->index;
  }
  return HOST_NONE;
}

static void take_receiver(struct member_watch *m, const PGresult *result, uint64_t now_ns) {
  struct postgres_watcher *watcher = m->watcher;
  const struct receiver_word word = {
      .streams = is_true(result, 0, STATE_STREAMS),
      .from = host_called(watcher, PQgetvalue(result, 0, STATE_SENDER_HOST)),
      .timeline = (uint32_t)number_at(result, 0, STATE_TIMELINE, 0),
      .number = number_at(result, 0, STATE_RECEIVER_PID, 0)};
  postgres_hear_receiver(&watcher->words[m->member], &word, now_ns);
}

/* Whether a replica streams from the present primary, by what both said last. */
static bool streams_now(const struct member_watch *m) {
  struct service_view view;
  postgres_view(m->watcher->service, &view);
  uint32_t timeline = view.primary == HOST_NONE ? 0 : view.hosts[view.primary].timeline;
  return postgres_streams(&m->watcher->words[m->member], view.primary, timeline);
}

static void take_state(struct member_watch *m, const PGresult *result, uint64_t now_ns) {
  struct service_instance *service = m->watcher->service;
  const struct host_view before = view_of(m);
  struct host_view host = before;
  bool recovery = is_true(result, 0, STATE_RECOVERY);
  host.role = recovery ? ROLE_REPLICA : ROLE_PRIMARY;
  host.writable = !recovery && !is_true(result, 0, STATE_READ_ONLY);
  host.position = number_at(result, 0, STATE_POSITION, before.position);
  host.timeline = (uint32_t)number_at(result, 0, STATE_TIMELINE, before.timeline);
  host.seen_ns = now_ns;
  take_receiver(m, result, now_ns);
  /* It begins with the primary's word, and ends with either's. */
  host.streaming = recovery && before.streaming && streams_now(m);
  if (host.role != before.role || host.timeline != before.timeline)
    service_event(service, now_ns, EVENT_ROLE, m->host->index, host.role, host.timeline, "");
  if (host.writable && !before.writable)
    service_event(service, now_ns, EVENT_PROMOTED, m->host->index, ROLE_PRIMARY, host.timeline, "");
  service_sample(service, now_ns, METRIC_WAL_POSITION, m->host->index, (double)host.position);
  if (host.timeline != before.timeline || before.role == ROLE_NONE)
    service_sample(service, now_ns, METRIC_TIMELINE, m->host->index, host.timeline);
  publish(m, &host, now_ns);
}

static double sync_state_number(const char *text) {
  static const char *const names[] = {"async", "potential", "sync", "quorum"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strcmp(text, names[i]) == 0) return (double)i;
  return 0;
}

/* The row of the replica; of several (an old sender that has not noticed) the newest. */
static int row_of(const PGresult *result, const struct host *host) {
  int newest = -1;
  for (int row = 0; row < PQntuples(result); row++)
    if (strcmp(PQgetvalue(result, row, SENDER_NAME), host->name) == 0 &&
        strcmp(PQgetvalue(result, row, SENDER_ADDRESS), host->address) == 0)
      newest = row;
  return newest;
}

/* What a replica that the primary does not send to lacks, by the positions both last told. */
static void sample_unsent(struct member_watch *primary, struct member_watch *replica,
                          uint64_t now_ns) {
  const struct host_view from = view_of(primary), to = view_of(replica);
  if (to.role != ROLE_REPLICA || to.position > from.position) return;
  service_sample(primary->watcher->service, now_ns, METRIC_LAG_BYTES, replica->host->index,
                 (double)(from.position - to.position));
}

static struct sender_word sender_word(const struct member_watch *primary, const PGresult *result,
                                      int row) {
  struct sender_word word = {.host = primary->host->index, .asked_ns = primary->asked_ns};
  if (row < 0) return word;
  word.streams = is_true(result, row, SENDER_STREAMING);
  word.synchronous = sync_state_number(PQgetvalue(result, row, SENDER_SYNC_STATE)) >= 2;
  word.behind = is_true(result, row, SENDER_BEHIND);
  word.number = number_at(result, row, SENDER_START, 0);
  word.reply = number_at(result, row, SENDER_REPLY, 0);
  return word;
}

/* The lag in bytes and who is synchronous are the primary's word, and true of a dead sender too.
 * Its time of replay is not: it stands still. */
static void sample_sent(struct member_watch *replica, const PGresult *result, int row,
                        const struct host_view *host, uint64_t now_ns) {
  struct service_instance *service = replica->watcher->service;
  uint16_t index = replica->host->index;
  service_sample(service, now_ns, METRIC_SYNC_STATE, index,
                 sync_state_number(PQgetvalue(result, row, SENDER_SYNC_STATE)));
  if (!PQgetisnull(result, row, SENDER_LAG_BYTES))
    service_sample(service, now_ns, METRIC_LAG_BYTES, index, (double)host->lag_bytes);
  if (!host->streaming) return;
  /* PostgreSQL shows no time once the replica has caught up and nothing is written. */
  if (!PQgetisnull(result, row, SENDER_LAG_SECONDS))
    service_sample(service, now_ns, METRIC_LAG_SECONDS, index,
                   strtod(PQgetvalue(result, row, SENDER_LAG_SECONDS), NULL));
  else if (host->lag_bytes == 0)
    service_sample(service, now_ns, METRIC_LAG_SECONDS, index, 0);
}

static void take_replica(struct member_watch *primary, struct member_watch *replica,
                         const PGresult *result, struct host_view *host, uint64_t now_ns) {
  int row = row_of(result, replica->host);
  const struct sender_word word = sender_word(primary, result, row);
  postgres_hear_sender(&primary->watcher->words[replica->member], &word);
  host->streaming = host->role == ROLE_REPLICA && streams_now(replica);
  service_sample(primary->watcher->service, now_ns, METRIC_STREAMING, replica->host->index,
                 host->streaming);
  if (!word.streams) {
    sample_unsent(primary, replica, now_ns);
    return;
  }
  host->lag_bytes = number_at(result, row, SENDER_LAG_BYTES, UINT64_MAX);
  sample_sent(replica, result, row, host, now_ns);
}

/* All replicas at once, so that a synchronous one that follows another is no moment without. */
static void take_replication(struct member_watch *primary, const PGresult *result,
                             uint64_t now_ns) {
  struct postgres_watcher *watcher = primary->watcher;
  struct service_view view;
  postgres_view(watcher->service, &view);
  for (uint32_t i = 0; i < watcher->member_count; i++) {
    struct member_watch *replica = &watcher->members[i];
    if (replica != primary)
      take_replica(primary, replica, result, &view.hosts[replica->host->index], now_ns);
  }
  publish_all(watcher, &view, now_ns);
}

static void take_answer(struct member_watch *m, const PGresult *result) {
  uint64_t now_ns = loop_now_ns(m->watcher->loop);
  switch (m->current) {
    case QUERY_STATE:
      if (PQntuples(result) == 1) take_state(m, result, now_ns);
      break;
    case QUERY_REPLICATION: take_replication(m, result, now_ns); break;
    case QUERY_CONNECTIONS:
      service_sample(m->watcher->service, now_ns, METRIC_CONNECTIONS, m->host->index,
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
    m->asked_ns = loop_now_ns(m->watcher->loop);
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
    watcher->words[i].host = m->host->index;
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
  service_block_sigpipe();
  watcher->service = service;
  watcher->loop = loop;
  watcher->rule = postgres_redundancy_rule(postgres_config(service), service->lag_bound_bytes);
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
