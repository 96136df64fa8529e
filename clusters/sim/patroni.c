/* Patroni's main loop and the life of its process; the whole of one service's Patronis and etcds.
 * The loop is that of Patroni's __main__.py: a cycle, then a nap until loop_wait after the last one
 * began, which the watch on the leader key cuts short. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/patroni_internal.h"

/* Python and its modules, until the first cycle begins; see docs/providers/sim.md. */
#define PYTHON_START_NS (500 * NS_PER_MS)
#define POST_NS (150 * NS_PER_MS) /* POST /switchover, until it writes the key */
#define LATE_PAUSE_NS NS_PER_MS
#define FREEZE_MIN_NS (100 * NS_PER_MS) /* no timer of a process that runs is later */

/* --- the loop -------------------------------------------------------------------------------- */

static void begin_cycle(struct sim_manager *m) {
  if (m->locked) {
    m->due = true;
    return;
  }
  m->locked = true;
  m->due = m->napping = false;
  m->nap++;
  m->reach_failed = false;
  ha_load(m, ha_cycle_loaded);
}

static void nap_until(struct sim_manager *m, uint64_t delay_ns, bool woken);

/* After a freeze the main thread's nap is over and the watch has news to read, and which of these
 * two threads Python lets go first is chance: the watch in 4 of 19 real runs. When it is, the
 * cycle finds what has become of the leader key. */
static bool reads_news_first(struct sim_manager *m, uint64_t due_ns) {
  return ha_now_ns(m) - due_ns > FREEZE_MIN_NS && prng_below(&m->prng, 4) == 0;
}

static void on_nap_over(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (args->number != m->nap) return;
  if (reads_news_first(m, args->number3)) {
    nap_until(m, LATE_PAUSE_NS, args->number2);
    return;
  }
  if (args->number2) m->next_run_ns = ha_now_ns(m); /* woken: the next is counted from here */
  begin_cycle(m);
}

static void nap_until(struct sim_manager *m, uint64_t delay_ns, bool woken) {
  m->nap++;
  sim_after(
      &m->process, delay_ns, on_nap_over,
      &(struct sim_args){.number = m->nap, .number2 = woken, .number3 = ha_now_ns(m) + delay_ns});
}

/* schedule_next_run() and watch(). */
static void schedule(struct sim_manager *m) {
  uint64_t now_ns = ha_now_ns(m);
  m->next_run_ns += ha_config(m)->loop_wait_ns;
  m->napping = true;
  if (m->next_run_ns <= now_ns) {
    m->next_run_ns = now_ns;
    nap_until(m, LATE_PAUSE_NS, false);
  } else if (m->woken) {
    m->woken = false;
    nap_until(m, 0, true);
  } else {
    nap_until(m, m->next_run_ns - now_ns, false);
  }
}

void ha_wake(struct sim_manager *m) {
  if (!m->napping) {
    m->woken = true;
    return;
  }
  m->napping = false;
  nap_until(m, 0, true);
}

static void run_queued(struct sim_manager *m) {
  void (*first)(struct sim_manager * m) = m->queued[0];
  m->queued_count--;
  memmove(m->queued, m->queued + 1, m->queued_count * sizeof *m->queued);
  m->locked = true;
  first(m);
}

static void cycle_over(struct sim_manager *m) {
  m->locked = false;
  schedule(m);
  if (m->queued_count > 0) run_queued(m);
}

void ha_end_cycle(struct sim_manager *m) {
  if (m->reach_failed)
    cycle_over(m);
  else
    ha_touch(m, cycle_over);
}

void ha_with_lock(struct sim_manager *m, void (*call)(struct sim_manager *m)) {
  for (uint32_t i = 0; i < m->queued_count; i++)
    if (m->queued[i] == call) return;
  assert(m->queued_count < HA_QUEUED_MAX); /* so many different ones there are */
  m->queued[m->queued_count++] = call;
  if (!m->locked) run_queued(m);
}

void ha_unlock(struct sim_manager *m) {
  m->locked = false;
  if (m->queued_count > 0)
    run_queued(m);
  else if (m->due)
    begin_cycle(m);
}

static void on_slept(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  void (*then)(struct sim_manager * m) = m->after_sleep;
  (void)args;
  m->after_sleep = NULL;
  if (then) then(m);
}

void ha_sleep(struct sim_manager *m, uint64_t delay_ns, void (*then)(struct sim_manager *m)) {
  assert(!m->after_sleep);
  m->after_sleep = then;
  sim_after(&m->process, delay_ns, on_slept, NULL);
}

/* --- news ------------------------------------------------------------------------------------ */

/* KVCache._process_event(): the leader key wakes everybody, the leader's position everybody else.
 */
static void news(struct sim_etcd_client *client, uint32_t leader_before, uint64_t position_before) {
  struct sim_manager *m = client->process->owner;
  bool leader = client->keys.leader != leader_before;
  bool position = client->keys.status_position != position_before;
  if (leader || (position && client->keys.leader != m->member)) ha_wake(m);
}

/* --- life ------------------------------------------------------------------------------------ */

static void on_python_started(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  (void)args;
  sim_etcd_client_start(&m->client);
  m->next_run_ns = ha_now_ns(m);
  begin_cycle(m);
}

static void reset(struct sim_manager *m) {
  m->locked = m->due = m->napping = m->woken = false;
  m->nap++;
  m->cluster_valid = false;
  m->known = 0;
  m->lease = m->refreshed_ns = m->leader_until_ns = m->told_position = 0;
  sim_keys_init(&m->cluster);
  m->role = ha_server_is_primary(m) ? BELIEF_PRIMARY : BELIEF_REPLICA;
  m->starting = m->nosync = m->checkpointing = m->crash_recovered = m->recovering = false;
  m->rewind = m->role == BELIEF_PRIMARY ? REWIND_INITIAL : REWIND_CHECK;
  m->follows = false;
  m->sync_ready = 0;
  m->checkpoint_added = false;
  m->action = ACTION_NONE;
  m->actions++;
  m->queued_count = 0;
  m->after_sleep = m->after_stop = NULL;
  m->inquiry = (struct sim_inquiry){.number = m->inquiry.number + 1};
  m->loading = 0;
}

static void started(struct sim_process *process) {
  struct sim_manager *m = process->owner;
  if (m->patroni->starting) return;
  reset(m);
  sim_after(process, PYTHON_START_NS, on_python_started, NULL);
}

static void died(struct sim_process *process, bool power) {
  struct sim_manager *m = process->owner;
  (void)power;
  sim_etcd_client_stop(&m->client);
}

static const struct sim_process_kind patroni_kind = {
    .name = "patroni", .unit = true, .port = PATRONI_PORT, .started = started, .died = died};

/* --- the whole ------------------------------------------------------------------------------- */

static void store_changed(void *data) {
  struct sim_patroni *patroni = data;
  struct sim_patroni_view view;
  sim_patroni_view(patroni, &view);
  if (view.leader == patroni->view.leader && view.store_alive == patroni->view.store_alive) return;
  patroni->view = view;
  if (patroni->changed) patroni->changed(patroni->data);
}

int sim_patroni_new(struct sim_world *world, const struct postgres_config *config,
                    const struct sim_patroni_options *options, struct sim_postgres_cluster *servers,
                    const struct host *const *hosts, struct sim_patroni **ret_patroni,
                    struct error *err) {
  struct sim_patroni *patroni = calloc(1, sizeof *patroni);
  if (!patroni) return error_set(err, STATUS_MEMORY, "out of memory for a model of Patroni");
  *patroni = (struct sim_patroni){.world = world,
                                  .config = config,
                                  .options = *options,
                                  .servers = servers,
                                  .count = postgres_instances(config),
                                  .view = {.leader = NOBODY}};
  /* etcd is the first unit of a host, as on local hosts. */
  sim_etcd_init(&patroni->etcd, world, options->fsync_ns, postgres_etcd_count(config), hosts);
  patroni->etcd.changed = store_changed;
  patroni->etcd.data = patroni;
  for (uint32_t i = 0; i < patroni->count; i++) {
    struct sim_manager *m = &patroni->managers[i];
    char stream[32];
    m->patroni = patroni;
    m->member = i;
    m->server = sim_postgres_member(servers, i);
    m->client.cached = ha_cached;
    m->client.news = news;
    snprintf(stream, sizeof stream, "sim/patroni/%u", i);
    prng_init(&m->prng, world->seed, stream);
    sim_process_add(world, &m->process, &patroni_kind, hosts[i]->index, m);
    sim_etcd_client_init(&m->client, &patroni->etcd, &m->process, config->retry_timeout_ns,
                         config->loop_wait_ns + config->retry_timeout_ns, config->ttl_ns);
  }
  *ret_patroni = patroni;
  return 0;
}

void sim_patroni_free(struct sim_patroni *patroni) {
  if (!patroni) return;
  sim_etcd_release(&patroni->etcd);
  free(patroni);
}

/* --- the bootstrap --------------------------------------------------------------------------- */

/* One lease a member, the leader's with the leader key. */
static void fill_keys(const struct sim_patroni *patroni, struct sim_keys *keys) {
  const struct postgres_config *config = patroni->config;
  sim_keys_init(keys);
  keys->index = 2 * patroni->count + 8; /* as if it had come about step by step */
  for (uint32_t i = 0; i < patroni->count; i++) {
    keys->leases[i] = (struct sim_lease){.id = i + 1, .ttl_ns = config->ttl_ns};
    keys->members[i].lease = i + 1;
    keys->members[i].data =
        (struct sim_member_data){.running = true,
                                 .primary = i == 0,
                                 .checkpointed = i == 0,
                                 .timeline = 1,
                                 .position = sim_postgres_position(patroni->managers[i].server)};
  }
  keys->leader = 0;
  keys->leader_lease = 1;
  keys->leader_modified = patroni->count + 1;
  keys->status_position = sim_postgres_position(patroni->managers[0].server);
  if (!config->synchronous_mode) return;
  keys->sync_leader = 0;
  keys->sync_modified = patroni->count + 2;
  for (uint32_t i = 1; i < patroni->count && i <= config->synchronous_node_count; i++)
    keys->sync_mask |= 1u << i;
}

static void bootstrap_manager(struct sim_manager *m, uint64_t delay_ns) {
  sim_process_start(&m->process);
  sim_etcd_client_bootstrap(&m->client);
  reset(m);
  m->rewind = m->member == 0 ? REWIND_CHECKPOINT : REWIND_NOT_NEED;
  m->cluster = m->client.keys;
  m->known = ha_members_of(&m->cluster);
  m->lease = m->member + 1;
  m->following = 0;
  m->follows = m->member != 0;
  m->sync_ready = m->cluster.sync_mask;
  /* The last cycle began so long ago that the next is due in `delay_ns`. */
  m->refreshed_ns = ha_now_ns(m) + delay_ns - ha_config(m)->loop_wait_ns;
  if (m->member != 0) sim_postgres_set_slots(m->server, 0);
  if (m->member == 0) m->leader_until_ns = m->refreshed_ns + ha_config(m)->ttl_ns;
  m->next_run_ns = ha_now_ns(m) + delay_ns;
  m->napping = true;
  nap_until(m, delay_ns, false);
}

void sim_patroni_bootstrap(struct sim_patroni *patroni) {
  const struct postgres_config *config = patroni->config;
  uint64_t now_ns = sim_now_ns(patroni->world), delay_ns[POSTGRES_INSTANCES_MAX];
  uint64_t lease_end_ns[SIM_LEASES_MAX] = {0};
  struct sim_keys keys;
  fill_keys(patroni, &keys);
  for (uint32_t i = 0; i < patroni->count; i++) {
    delay_ns[i] = prng_below(&patroni->managers[i].prng, config->loop_wait_ns);
    lease_end_ns[i] = now_ns + delay_ns[i] - config->loop_wait_ns + config->ttl_ns;
  }
  patroni->starting = true;
  sim_etcd_bootstrap(&patroni->etcd, &keys, lease_end_ns);
  for (uint32_t i = 0; i < patroni->count; i++)
    bootstrap_manager(&patroni->managers[i], delay_ns[i]);
  patroni->starting = false;
  if (keys.sync_mask)
    sim_postgres_set_synchronous(patroni->managers[0].server, keys.sync_mask,
                                 (uint32_t)__builtin_popcount(keys.sync_mask),
                                 config->synchronous_mode_strict);
  sim_patroni_view(patroni, &patroni->view);
}

/* --- the observer ---------------------------------------------------------------------------- */

void sim_patroni_view(const struct sim_patroni *patroni, struct sim_patroni_view *ret) {
  *ret = (struct sim_patroni_view){.leader = patroni->etcd.seen_leader,
                                   .store_alive = sim_etcd_alive(&patroni->etcd)};
}

void sim_patroni_listen(struct sim_patroni *patroni, void (*changed)(void *data), void *data) {
  patroni->changed = changed;
  patroni->data = data;
}

uint32_t sim_patroni_synchronous(const struct sim_patroni *patroni) {
  const struct sim_voter *best = &patroni->etcd.voters[0];
  for (uint32_t i = 1; i < patroni->etcd.voter_count; i++)
    if (patroni->etcd.voters[i].keys.index > best->keys.index) best = &patroni->etcd.voters[i];
  return best->keys.sync_mask;
}

static const char *state_word(const struct sim_manager *m) {
  if (m->action == ACTION_RESTART) return "restarting";
  switch (sim_postgres_state(m->server)) {
    case SIM_PG_DOWN: return m->role == BELIEF_PRIMARY ? "crashed" : "stopped";
    case SIM_PG_STARTING: return "starting";
    case SIM_PG_STOPPING: return "stopping";
    case SIM_PG_STANDBY:
    case SIM_PG_PROMOTING:
    case SIM_PG_PRIMARY: break;
  }
  return m->starting ? "starting" : "running";
}

bool sim_patroni_word(const struct sim_patroni *patroni, uint32_t member, char *word, size_t size) {
  const struct sim_manager *m = &patroni->managers[member];
  bool answers = sim_postgres_state(m->server) == SIM_PG_STANDBY || ha_server_is_primary(m);
  if (!m->process.running || m->process.frozen) return false;
  const char *role = m->role == BELIEF_DEMOTED    ? "demoted"
                     : m->role == BELIEF_PROMOTED ? "promoted"
                     : m->role == BELIEF_PRIMARY  ? "primary"
                                                  : "replica";
  if (answers) role = ha_server_is_primary(m) ? "primary" : "replica";
  if (answers)
    snprintf(word, size, "%s as %s, timeline %u", state_word(m), role,
             sim_postgres_timeline(m->server));
  else
    snprintf(word, size, "%s as %s", state_word(m), role);
  return true;
}

/* --- requests of people ---------------------------------------------------------------------- */

static bool can_take_over(const struct sim_patroni *patroni, uint32_t member, uint32_t leader) {
  const struct sim_manager *m = &patroni->managers[member];
  const struct sim_keys *keys = &patroni->managers[leader].client.keys;
  if (member == leader || !m->process.running || m->process.frozen) return false;
  if (patroni->config->synchronous_mode && !(keys->sync_mask & 1u << member)) return false;
  return sim_postgres_state(m->server) == SIM_PG_STANDBY;
}

static void failover_written(struct sim_manager *m, const struct sim_result *result) {
  if (result->kind == SIM_RESULT_OK) ha_wake(m);
  ha_unlock(m);
}

static void write_failover(struct sim_manager *m) {
  ha_call(m,
          &(struct sim_command){
              .kind = SIM_STORE_FAILOVER, .member = m->member, .number = m->candidate},
          false, failover_written);
}

/* The request has been read, and the candidates asked; another one may be at it. */
static void on_switchover(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  (void)args;
  ha_with_lock(m, write_failover);
}

bool sim_patroni_switchover(struct sim_patroni *patroni, uint32_t candidate) {
  uint32_t leader = patroni->etcd.seen_leader;
  bool possible = false;
  if (leader == NOBODY) return false;
  struct sim_manager *m = &patroni->managers[leader];
  if (!m->process.running || m->process.frozen || !m->client.ready) return false;
  for (uint32_t i = 0; i < patroni->count; i++)
    if (candidate == NOBODY || candidate == i)
      possible = possible || can_take_over(patroni, i, leader);
  if (!possible) return false;
  m->candidate = candidate;
  sim_after(&m->process, POST_NS, on_switchover, NULL);
  return true;
}

bool sim_patroni_restart(struct sim_patroni *patroni, uint32_t member) {
  struct sim_manager *m = &patroni->managers[member];
  if (!m->process.running || m->process.frozen || ha_busy(m)) return false;
  ha_begin_restart(m);
  return true;
}

bool sim_patroni_busy(const struct sim_patroni *patroni, uint32_t member) {
  const struct sim_manager *m = &patroni->managers[member];
  return m->process.running && ha_busy(m);
}

bool sim_patroni_terminate(struct sim_patroni *patroni, struct sim_process *process) {
  if (process->kind == &patroni_kind) {
    ha_begin_shutdown(process->owner);
    return true;
  }
  for (uint32_t i = 0; i < patroni->etcd.voter_count; i++) {
    if (process != &patroni->etcd.voters[i].process) continue;
    sim_etcd_terminate(&patroni->etcd.voters[i]);
    return true;
  }
  return false;
}
