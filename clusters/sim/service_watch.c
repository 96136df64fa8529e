/* Watches a simulated `postgres` as services/postgres_watch.c watches a real one: the same events
 * and samples at the same periods. But what changes is told at the very tick, and not when the next
 * answer would have come; only silence is noticed as late as it is in reality. */
#include <string.h>

#include "gameday/tell.h"
#include "sim/service.h"

#define LOOK_NS (50 * NS_PER_MS)
#define REPLICATION_NS (250 * NS_PER_MS)
#define CONNECTIONS_NS NS_PER_S
#define MANAGER_NS NS_PER_S
#define SILENCE_NS NS_PER_S

static struct sim_postgres *server_of(const struct sim_service *service, uint32_t member) {
  return sim_postgres_member(service->servers, member);
}

static uint16_t host_of(const struct sim_service *service, uint32_t member) {
  return service->instance->members[member]->index;
}

/* --- telling --------------------------------------------------------------------------------- */

static void tell(struct sim_service *service, enum event_kind kind, uint16_t host, enum role role,
                 int64_t number, const char *text) {
  service_event(service->instance, sim_service_now_ns(service), kind, host, role, number, text);
}

static void sample(struct sim_service *service, enum metric metric, uint16_t host, double value) {
  service_sample(service->instance, sim_service_now_ns(service), metric, host, value);
}

/* --- one host -------------------------------------------------------------------------------- */

/* It would answer, but is frozen, or no packet goes to it and back. */
static bool is_mute(const struct sim_service *service, uint32_t member) {
  struct sim_world *world = &service->cluster->world;
  uint16_t host = host_of(service, member), from = service->monitor;
  if (sim_postgres_process(server_of(service, member))->frozen) return true;
  return from != HOST_NONE &&
         (sim_link(world, from, host)->cut || sim_link(world, host, from)->cut);
}

/* The connection is open all the same: the observer waits for an answer, for a while. */
static bool is_silent(struct sim_service *service, uint32_t member) {
  struct sim_watched *watched = &service->watched[member];
  uint64_t now_ns = sim_service_now_ns(service);
  if (!is_mute(service, member)) {
    watched->mute_since_ns = TIME_NEVER;
    return false;
  }
  if (watched->mute_since_ns == TIME_NEVER) watched->mute_since_ns = now_ns;
  return now_ns - watched->mute_since_ns >= SILENCE_NS;
}

static const char *why_silent(const struct sim_service *service, uint32_t member) {
  if (!service->cluster->world.hosts[host_of(service, member)].on) return "the host is off";
  switch (sim_postgres_state(server_of(service, member))) {
    case SIM_PG_DOWN: return "connection refused";
    case SIM_PG_STARTING: return "the database system is starting up";
    case SIM_PG_STOPPING: return "the database system is shutting down";
    case SIM_PG_STANDBY:
    case SIM_PG_PROMOTING:
    case SIM_PG_PRIMARY: break;
  }
  return "no answer within 1 s";
}

/* What a host said of replication holds no longer than its voice. */
static void forget_words(struct sim_service *service, uint32_t member) {
  uint16_t host = host_of(service, member);
  service->words[member].receiver = (struct receiver_word){.streams = false};
  for (uint32_t i = 0; i < service->count; i++)
    if (service->words[i].sender.host == host)
      service->words[i].sender = (struct sender_word){.streams = false};
}

static void look_silent(struct sim_service *service, uint32_t member, struct host_view *host) {
  if (host->role == ROLE_NONE) return;
  forget_words(service, member);
  host->role = ROLE_NONE;
  host->writable = host->streaming = false;
  tell(service, EVENT_ROLE, host_of(service, member), ROLE_NONE, host->timeline,
       why_silent(service, member));
}

/* As the replica shows it (pg_stat_wal_receiver). */
static void look_at_receiver(struct sim_service *service, uint32_t member, uint32_t timeline) {
  uint32_t upstream = 0;
  struct receiver_word word = {.from = HOST_NONE, .timeline = timeline};
  word.streams = sim_postgres_receives(server_of(service, member), &upstream, &word.number);
  if (word.streams) word.from = host_of(service, upstream);
  postgres_hear_receiver(&service->words[member], &word, sim_service_now_ns(service));
}

static void look_at(struct sim_service *service, uint32_t member) {
  struct host_view *host = &service->view.hosts[host_of(service, member)];
  struct sim_postgres *server = server_of(service, member);
  const struct host_view before = *host;
  enum sim_postgres_state state = sim_postgres_state(server);
  bool open = state == SIM_PG_STANDBY || state == SIM_PG_PROMOTING || state == SIM_PG_PRIMARY;
  if (!open || is_silent(service, member)) {
    look_silent(service, member, host);
    return;
  }
  if (is_mute(service, member)) return; /* not yet silent, and says nothing new */
  host->role = state == SIM_PG_PRIMARY ? ROLE_PRIMARY : ROLE_REPLICA;
  host->writable = state == SIM_PG_PRIMARY;
  host->timeline = sim_postgres_timeline(server);
  host->position = host->writable ? sim_postgres_position(server) : sim_postgres_replayed(server);
  host->seen_ns = sim_service_now_ns(service);
  if (host->writable) host->streaming = false;
  look_at_receiver(service, member, host->timeline);
  if (host->role != before.role || host->timeline != before.timeline)
    tell(service, EVENT_ROLE, host_of(service, member), host->role, host->timeline, "");
  if (host->writable && !before.writable)
    tell(service, EVENT_PROMOTED, host_of(service, member), ROLE_PRIMARY, host->timeline, "");
}

/* --- all of them ----------------------------------------------------------------------------- */

static uint32_t the_primary(struct sim_service *service) {
  uint32_t found = UINT32_MAX, count = 0;
  for (uint32_t i = 0; i < service->count; i++) {
    if (!service->view.hosts[host_of(service, i)].writable) continue;
    found = i;
    count++;
  }
  service->view.primary = count == 1 ? host_of(service, found) : HOST_NONE;
  return count == 1 ? found : UINT32_MAX;
}

/* As the primary shows it (pg_stat_replication). */
static void look_at_replica(struct sim_service *service, uint32_t primary, uint32_t member) {
  struct host_view *host = &service->view.hosts[host_of(service, member)];
  const struct host_view *from = &service->view.hosts[host_of(service, primary)];
  const struct sim_postgres *server = server_of(service, primary);
  uint64_t replayed = 0, written = sim_postgres_position(server);
  struct sim_postgres_sends sends;
  sim_postgres_sends(server, member, &sends);
  struct sender_word word = {.behind = sends.behind,
                             .host = host_of(service, primary),
                             .number = sends.connection,
                             .reply = sends.heard_ns,
                             .asked_ns = sim_service_now_ns(service)};
  word.streams = sim_postgres_streams_to(server, member, &replayed, &word.synchronous);
  postgres_hear_sender(&service->words[member], &word);
  host->streaming = host->role == ROLE_REPLICA &&
                    postgres_streams(&service->words[member], word.host, from->timeline);
  if (word.streams) host->lag_bytes = written > replayed ? written - replayed : 0;
}

static void look(struct sim_service *service) {
  for (uint32_t i = 0; i < service->count; i++) look_at(service, i);
  uint32_t primary = the_primary(service);
  for (uint32_t i = 0; i < service->count; i++) {
    if (primary == UINT32_MAX)
      service->view.hosts[host_of(service, i)].streaming = false; /* nobody sends to it */
    else if (i != primary)
      look_at_replica(service, primary, i);
  }
  const struct redundancy_rule rule =
      postgres_redundancy_rule(sim_service_config(service), service->instance->lag_bound_bytes);
  bool redundant = postgres_redundant(&service->view, service->words, service->count, &rule);
  if (redundant == service->view.redundant) return;
  service->view.redundant = redundant;
  tell(service, EVENT_REDUNDANT, HOST_NONE, ROLE_NONE, redundant, "");
}

static void look_at_leader(struct sim_service *service) {
  struct sim_patroni_view view;
  sim_patroni_view(service->patroni, &view);
  uint16_t leader = view.leader == UINT32_MAX ? HOST_NONE : host_of(service, view.leader);
  uint16_t before = service->view.leader;
  if (leader == before) return;
  service->view.leader = leader;
  sim_truth_note(service->cluster->truth, SIM_TRUTH_LEADER, leader, 0);
  if (before != HOST_NONE) tell(service, EVENT_LEADER_LOST, before, ROLE_NONE, 0, "");
  if (leader != HOST_NONE) tell(service, EVENT_LEADER, leader, ROLE_NONE, 0, "");
}

static void server_changed(void *data, uint32_t member) {
  (void)member;
  look(data);
}

static void leader_changed(void *data) {
  look_at_leader(data);
}

/* --- samples --------------------------------------------------------------------------------- */

static void again(struct sim_service *service, struct timer *timer, uint64_t period_ns) {
  loop_timer_arm(service->loop, timer, timer->deadline_ns + period_ns, NULL);
}

static void look_fired(struct timer *timer, uint64_t now_ns) {
  struct sim_service *service = timer->owner;
  (void)now_ns;
  again(service, timer, LOOK_NS);
  look(service);
  for (uint32_t i = 0; i < service->count; i++) {
    const struct host_view *host = &service->view.hosts[host_of(service, i)];
    struct sim_watched *watched = &service->watched[i];
    if (host->role == ROLE_NONE) watched->timeline = 0;
    if (host->role == ROLE_NONE || is_mute(service, i)) continue;
    sample(service, METRIC_WAL_POSITION, host_of(service, i), (double)host->position);
    if (watched->timeline == host->timeline) continue;
    watched->timeline = host->timeline;
    sample(service, METRIC_TIMELINE, host_of(service, i), host->timeline);
  }
}

/* How long ago the first look was at which the primary had written more than is replayed. */
static double lag_seconds(const struct sim_service *service, uint64_t replayed) {
  uint64_t count = service->mark_count < SIM_LAG_TICKS ? service->mark_count : SIM_LAG_TICKS;
  for (uint64_t i = service->mark_count - count; i < service->mark_count; i++) {
    const struct sim_mark *mark = &service->marks[i % SIM_LAG_TICKS];
    if (mark->position > replayed)
      return (double)(sim_service_now_ns(service) - mark->time_ns) / (double)NS_PER_S;
  }
  return 0;
}

/* As services/postgres_watch.c: who is synchronous and the lag in bytes are true of a dead sender
 * too, its time of replay stands still. */
static void sample_replica(struct sim_service *service, uint32_t primary, uint32_t member) {
  const struct host_view *host = &service->view.hosts[host_of(service, member)];
  const struct host_view *from = &service->view.hosts[host_of(service, primary)];
  uint16_t index = host_of(service, member);
  uint64_t replayed = 0;
  bool synchronous = false;
  sample(service, METRIC_STREAMING, index, host->streaming);
  if (!sim_postgres_streams_to(server_of(service, primary), member, &replayed, &synchronous)) {
    if (host->role == ROLE_REPLICA && host->position <= from->position)
      sample(service, METRIC_LAG_BYTES, index, (double)(from->position - host->position));
    return;
  }
  sample(service, METRIC_SYNC_STATE, index, synchronous ? 2 : 0);
  sample(service, METRIC_LAG_BYTES, index, (double)host->lag_bytes);
  if (host->streaming) sample(service, METRIC_LAG_SECONDS, index, lag_seconds(service, replayed));
}

static void replication_fired(struct timer *timer, uint64_t now_ns) {
  struct sim_service *service = timer->owner;
  again(service, timer, REPLICATION_NS);
  uint32_t primary = the_primary(service);
  if (primary == UINT32_MAX || is_mute(service, primary)) return;
  service->marks[service->mark_count++ % SIM_LAG_TICKS] = (struct sim_mark){
      .time_ns = now_ns, .position = sim_postgres_position(server_of(service, primary))};
  for (uint32_t i = 0; i < service->count; i++)
    if (i != primary) sample_replica(service, primary, i);
}

static void connections_fired(struct timer *timer, uint64_t now_ns) {
  struct sim_service *service = timer->owner;
  (void)now_ns;
  again(service, timer, CONNECTIONS_NS);
  for (uint32_t i = 0; i < service->count; i++)
    if (sim_service_answers(service, i) && !is_mute(service, i))
      sample(service, METRIC_CONNECTIONS, host_of(service, i),
             sim_postgres_connections(server_of(service, i)));
}

static void manager_fired(struct timer *timer, uint64_t now_ns) {
  struct sim_service *service = timer->owner;
  (void)now_ns;
  again(service, timer, MANAGER_NS);
  for (uint32_t i = 0; i < service->count; i++) {
    char word[SIM_WORD_SIZE] = "";
    if (!sim_patroni_word(service->patroni, i, word, sizeof word)) word[0] = '\0';
    if (strcmp(word, service->watched[i].word) == 0) continue;
    memcpy(service->watched[i].word, word, sizeof word);
    tell(service, EVENT_MANAGER, host_of(service, i), ROLE_NONE, 0, word);
  }
}

/* --- begin and end --------------------------------------------------------------------------- */

static int arm(struct sim_service *service, struct timer *timer,
               void (*fire)(struct timer *timer, uint64_t now_ns), struct error *err) {
  *timer = (struct timer){.fire = fire, .owner = service};
  return loop_timer_arm(service->loop, timer, sim_service_now_ns(service), err);
}

int sim_service_watch(struct service_instance *instance, struct loop *loop, struct error *err) {
  struct sim_service *service = sim_service_of(instance);
  service->loop = loop;
  service->view = (struct service_view){.primary = HOST_NONE, .leader = HOST_NONE};
  service->monitor = HOST_NONE;
  for (uint32_t i = 0; i < instance->cluster->host_count; i++)
    if (instance->cluster->hosts[i].kind == HOST_MONITOR) service->monitor = (uint16_t)i;
  for (uint32_t i = 0; i < service->count; i++)
    service->watched[i] = (struct sim_watched){.mute_since_ns = TIME_NEVER};
  for (uint32_t i = 0; i < service->count; i++)
    service->words[i] = (struct replica_words){.host = host_of(service, i)};
  sim_postgres_listen(service->servers, server_changed, service);
  look(service);
  int status = arm(service, &service->look, look_fired, err);
  if (status == 0) status = arm(service, &service->replication, replication_fired, err);
  if (status == 0) status = arm(service, &service->connections, connections_fired, err);
  if (status == 0 && service->patroni) {
    sim_patroni_listen(service->patroni, leader_changed, service);
    look_at_leader(service);
    status = arm(service, &service->manager, manager_fired, err);
  }
  if (status < 0) sim_service_unwatch(instance);
  return status;
}

void sim_service_unwatch(struct service_instance *instance) {
  struct sim_service *service = sim_service_of(instance);
  if (!service->loop) return;
  loop_timer_cancel(service->loop, &service->look);
  loop_timer_cancel(service->loop, &service->replication);
  loop_timer_cancel(service->loop, &service->connections);
  loop_timer_cancel(service->loop, &service->manager);
  sim_postgres_listen(service->servers, NULL, NULL);
  if (service->patroni) sim_patroni_listen(service->patroni, NULL, NULL);
  service->loop = NULL;
}
