/* What one cycle of Patroni's loop decides: _run_cycle() in ha.py and what it calls. Each function
 * below names the one that it models. */
#include "sim/patroni_internal.h"

#define CYCLE_NS (50 * NS_PER_MS)          /* queries and Python, see docs/providers/sim.md */
#define LEADER_LOCK_TIME_NS (2 * NS_PER_S) /* "Give a time to somebody to take the leader lock" */

/* --- following ------------------------------------------------------------------------------- */

static void start_demoted(struct sim_manager *m) {
  ha_clear_sync(m, false);
  ha_begin_start(m, m->cluster.leader, 0);
  ha_end_cycle(m);
}

static void load_demoted(struct sim_manager *m) {
  m->role = BELIEF_DEMOTED;
  m->leader_until_ns = 0;
  ha_load(m, start_demoted);
}

/* demote('immediate-nolock'): the key is another's. */
static void demote_nolock(struct sim_manager *m) {
  if (m->rewind != REWIND_NEED) m->rewind = REWIND_CHECK;
  ha_stop_now(m, load_demoted);
}

/* check_recovery_conf(): primary_conninfo is changed by a reload, since PostgreSQL 13. */
static void follow_leader(struct sim_manager *m) {
  uint32_t leader = m->cluster.leader == m->member ? NOBODY : m->cluster.leader;
  if (ha_server_runs(m) && (!m->follows || m->following != leader)) {
    bool changed = m->follows;
    m->follows = true;
    m->following = leader;
    sim_postgres_follow(m->server, leader);
    if (changed && m->rewind != REWIND_NEED) m->rewind = REWIND_CHECK;
  }
  ha_end_cycle(m);
}

/* _handle_rewind_or_reinitialize(), its last step. Without pg_rewind Patroni does nothing about
 * histories that have parted (remove_data_directory_on_diverged_timelines is off). */
static bool begin_rewind(struct sim_manager *m) {
  if (m->rewind != REWIND_NEED || m->cluster.leader == NOBODY || ha_has_lock(m)) return false;
  if (!ha_config(m)->use_pg_rewind) return false;
  ha_begin_rewind(m, m->cluster.leader);
  return true;
}

static void leader_visited(struct sim_manager *m) {
  const struct sim_status *leader = &m->inquiry.answers[m->cluster.leader];
  const struct sim_postgres *upstream = m->patroni->managers[m->cluster.leader].server;
  bool newer = sim_postgres_timeline(upstream) > sim_postgres_timeline(m->server);
  bool parted =
      sim_postgres_diverged(m->server, m->cluster.leader) || (m->checkpoint_added && newer);
  if (leader->reachable && leader->primary) m->rewind = parted ? REWIND_NEED : REWIND_NOT_NEED;
  m->after_check(m);
}

/* rewind_or_reinitialize_needed_and_possible(): a leader that does not say it is a primary is not
 * asked. Single-user mode has put a checkpoint behind the log, where the new timeline's history
 * does not have one: after it everybody must be rewound. */
static void check_rewind(struct sim_manager *m, void (*then)(struct sim_manager *m)) {
  uint32_t leader = m->cluster.leader;
  m->after_check = then;
  if (m->rewind == REWIND_CHECK && leader != NOBODY && leader != m->member &&
      m->cluster.members[leader].data.primary)
    ha_visit(m, leader, leader_visited);
  else
    then(m);
}

static void follow_checked(struct sim_manager *m) {
  if (begin_rewind(m))
    ha_end_cycle(m);
  else
    follow_leader(m);
}

/* follow(). */
static void follow(struct sim_manager *m) {
  if (ha_server_is_primary(m))
    demote_nolock(m);
  else if (m->starting)
    follow_leader(m);
  else
    check_rewind(m, follow_checked);
}

/* --- no leader ------------------------------------------------------------------------------- */

static void key_taken(struct sim_manager *m);

static void failover_cleaned(struct sim_manager *m, const struct sim_result *result) {
  (void)result;
  ha_load(m, key_taken);
}

static void load_and_follow(struct sim_manager *m) {
  ha_load(m, follow);
}

static void acquired(struct sim_manager *m, bool held) {
  if (!held)
    load_and_follow(m);
  else if (m->cluster.failover)
    ha_call(m, &(struct sim_command){.kind = SIM_STORE_FAILOVER_DONE}, false, failover_cleaned);
  else
    ha_load(m, key_taken);
}

static void not_healthiest(struct sim_manager *m) {
  if (!m->cluster.failover) {
    load_and_follow(m);
    return;
  }
  if (m->rewind != REWIND_NEED) m->rewind = REWIND_CHECK;
  ha_sleep(m, LEADER_LOCK_TIME_NS, load_and_follow);
}

/* sync.matches(): the last leader, or who was synchronous to it. */
static uint32_t sync_members(const struct sim_keys *keys) {
  return keys->sync_leader == NOBODY ? 0 : keys->sync_mask | 1u << keys->sync_leader;
}

/* _is_healthiest_node(), when all have answered or timed out. Its own position is from a moment
 * before they were asked: where the log still grows, it is a race in which often one passes. */
static void positions_known(struct sim_manager *m) {
  uint64_t own = m->position;
  for (uint32_t i = 0; i < m->patroni->count; i++) {
    const struct sim_status *status = &m->inquiry.answers[i];
    bool former = ha_config(m)->synchronous_mode && i == m->cluster.sync_leader;
    if (!status->reachable) continue;
    if (status->primary || (own < status->position && !former)) {
      not_healthiest(m);
      return;
    }
  }
  ha_acquire_lock(m, acquired);
}

static bool lags(const struct sim_manager *m, uint64_t position) {
  uint64_t last = m->cluster.status_position;
  return last > position && last - position > ha_config(m)->maximum_lag_on_failover_bytes;
}

/* is_failover_possible(): somebody among those asked could take over. */
static bool failover_possible(const struct sim_manager *m, uint32_t mask) {
  for (uint32_t i = 0; i < m->patroni->count; i++) {
    const struct sim_status *status = &m->inquiry.answers[i];
    if (i != m->member && (mask & 1u << i) && status->reachable && !lags(m, status->position))
      return true;
  }
  return false;
}

/* Who may take over at all. */
static uint32_t successors(const struct sim_manager *m) {
  uint32_t members = ha_members_of(&m->cluster);
  return ha_config(m)->synchronous_mode ? members & sync_members(&m->cluster) : members;
}

static void others_known(struct sim_manager *m) {
  if (failover_possible(m, successors(m)))
    not_healthiest(m);
  else
    ha_acquire_lock(m, acquired);
}

static void race_for_failover(struct sim_manager *m) {
  uint32_t members = ha_members_of(&m->cluster);
  if (m->cluster.failover_leader == m->member) /* it was the leader: anybody else first */
    ha_ask(m, members, others_known);
  else
    ha_ask(m, members & ~(1u << m->cluster.failover_leader), positions_known);
}

static void candidate_known(struct sim_manager *m) {
  if (m->inquiry.answers[m->cluster.failover_candidate].reachable)
    not_healthiest(m);
  else
    race_for_failover(m);
}

/* manual_failover_process_no_leader(). */
static void process_switchover(struct sim_manager *m) {
  const struct sim_keys *cluster = &m->cluster;
  bool excluded = ha_config(m)->synchronous_mode && !(sync_members(cluster) & 1u << m->member);
  if (excluded)
    not_healthiest(m);
  else if (cluster->failover_candidate == m->member)
    ha_acquire_lock(m, acquired);
  else if (cluster->failover_candidate != NOBODY)
    ha_ask(m, 1u << cluster->failover_candidate, candidate_known);
  else
    race_for_failover(m);
}

/* is_healthiest_node() in process_unhealthy_cluster(). */
static void process_unhealthy(struct sim_manager *m) {
  uint32_t members = m->known | ha_members_of(&m->cluster);
  bool synchronous = ha_config(m)->synchronous_mode && m->cluster.sync_leader != NOBODY;
  if (m->starting) {
    not_healthiest(m);
    return;
  }
  if (ha_server_is_primary(m)) {
    ha_acquire_lock(m, acquired);
  } else if (m->cluster.failover) {
    process_switchover(m);
  } else if ((synchronous && !(sync_members(&m->cluster) & 1u << m->member)) ||
             lags(m, m->position)) {
    not_healthiest(m);
  } else {
    if (synchronous) members &= sync_members(&m->cluster);
    ha_ask(m, members, positions_known);
  }
}

/* --- the leader ------------------------------------------------------------------------------ */

static void sync_disowned(struct sim_manager *m, const struct sim_result *result) {
  if (result->kind == SIM_RESULT_OK) {
    m->cluster.sync_leader = m->member;
    m->cluster.sync_mask = 0;
    m->cluster.sync_modified = result->number;
    ha_clear_sync(m, ha_config(m)->synchronous_mode_strict);
    ha_begin_promote(m);
  }
  ha_end_cycle(m); /* else: postponed, somebody else has changed it */
}

/* enforce_primary_role(). */
static void enforce_primary(struct sim_manager *m) {
  if (ha_server_is_primary(m)) m->role = BELIEF_PRIMARY;
  if (m->role == BELIEF_PRIMARY || m->role == BELIEF_PROMOTED) {
    ha_process_sync(m);
  } else if (ha_config(m)->synchronous_mode) {
    ha_call(m,
            &(struct sim_command){
                .kind = SIM_STORE_SYNC, .member = m->member, .compare = m->cluster.sync_modified},
            false, sync_disowned);
  } else {
    ha_begin_promote(m);
    ha_end_cycle(m);
  }
}

static void key_taken(struct sim_manager *m) {
  enforce_primary(m);
}

static void on_checkpoint_done(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  (void)args;
  if (!m->checkpointing) return;
  m->checkpointing = false;
  if (m->rewind == REWIND_INITIAL && ha_server_is_primary(m)) m->rewind = REWIND_CHECKPOINT;
  ha_wake(m);
}

/* ensure_checkpoint_after_promote(): before it nobody can be rewound from this server. */
static void ensure_checkpoint(struct sim_manager *m) {
  if (m->rewind != REWIND_INITIAL || m->checkpointing || !ha_server_is_primary(m)) return;
  m->checkpointing = true;
  sim_after(&m->process, SIM_CHECKPOINT_NS, on_checkpoint_done, NULL);
}

static void go_on_leading(struct sim_manager *m) {
  ensure_checkpoint(m);
  /* sync_replication_slots(): one for each member that has a key. */
  if (ha_server_is_primary(m)) sim_postgres_set_slots(m->server, ha_members_of(&m->cluster));
  enforce_primary(m);
}

static void switchover_refused(struct sim_manager *m, const struct sim_result *result) {
  (void)result;
  go_on_leading(m);
}

static uint32_t switchover_members(const struct sim_manager *m) {
  const struct sim_keys *cluster = &m->cluster;
  uint32_t candidate = cluster->failover_candidate;
  uint32_t members = ha_members_of(cluster);
  if (ha_config(m)->synchronous_mode) members &= cluster->sync_mask;
  return candidate == NOBODY ? members : members & 1u << candidate;
}

static void successors_known(struct sim_manager *m) {
  if (failover_possible(m, switchover_members(m))) {
    ha_begin_graceful(m);
    ha_end_cycle(m);
    return;
  }
  ha_call(m, &(struct sim_command){.kind = SIM_STORE_FAILOVER_DONE}, false, switchover_refused);
}

/* process_healthy_cluster(), with the lock; process_manual_failover_from_leader(). */
static void lock_kept(struct sim_manager *m, bool held) {
  if (!held && ha_server_is_primary(m))
    demote_nolock(m);
  else if (!held)
    ha_end_cycle(m);
  else if (m->cluster.failover && m->cluster.failover_leader == m->member)
    ha_ask(m, switchover_members(m), successors_known);
  else
    go_on_leading(m);
}

static void leader_known(struct sim_manager *m) {
  if (ha_has_lock(m))
    ha_update_lock(m, true, lock_kept);
  else
    follow(m);
}

/* --- a server that is down ------------------------------------------------------------------- */

static void start_secondary(struct sim_manager *m) {
  if (begin_rewind(m)) {
    ha_end_cycle(m);
    return;
  }
  ha_clear_sync(m, false);
  m->recovering = true;
  ha_begin_start(m, m->cluster.leader, 0);
  ha_end_cycle(m);
}

/* recover(), second half. With the lock: as a standby of nobody, to be promoted in the next cycle.
 */
static void recover_loaded(struct sim_manager *m) {
  if (!ha_has_lock(m)) {
    if (m->rewind < REWIND_SUCCESS && m->rewind != REWIND_NEED) m->rewind = REWIND_CHECK;
    check_rewind(m, start_secondary);
    return;
  }
  m->recovering = true;
  ha_begin_start(m, NOBODY, ha_config(m)->primary_start_timeout_ns);
  ha_end_cycle(m);
}

/* _handle_crash_recovery(): single-user mode, so that it can be rewound. */
static void recover_data(struct sim_manager *m) {
  bool crashed = sim_postgres_crashed_primary(m->server);
  bool wanted = m->cluster.leader == NOBODY || ha_config(m)->use_pg_rewind;
  if (crashed && wanted && !m->crash_recovered) {
    m->crash_recovered = true;
    ha_begin_recovery(m);
    ha_end_cycle(m);
    return;
  }
  ha_load(m, recover_loaded);
}

static void demoted_after_crash(struct sim_manager *m) {
  ha_load(m, start_demoted);
}

static void pause_after_crash(struct sim_manager *m) {
  ha_sleep(m, LEADER_LOCK_TIME_NS, demoted_after_crash);
}

static void touch_after_crash(struct sim_manager *m) {
  ha_touch(m, pause_after_crash);
}

/* demote('immediate') of a server that is down already. */
static void release_after_crash(struct sim_manager *m) {
  m->role = BELIEF_DEMOTED;
  if (m->rewind != REWIND_NEED) m->rewind = REWIND_CHECK;
  ha_release_lock(m, 0, touch_after_crash);
}

static void crash_successors_known(struct sim_manager *m) {
  if (failover_possible(m, successors(m)))
    release_after_crash(m);
  else
    recover_data(m);
}

static void lock_of_crashed(struct sim_manager *m, bool held) {
  if (held && ha_config(m)->primary_start_timeout_ns == 0)
    ha_ask(m, successors(m), crash_successors_known);
  else
    recover_data(m);
}

/* recover(). */
static void recover(struct sim_manager *m) {
  m->starting = false;
  if (ha_has_lock(m))
    ha_update_lock(m, false, lock_of_crashed);
  else
    recover_data(m);
}

/* --- while the executor works ---------------------------------------------------------------- */

/* handle_long_action_in_progress(), without the lock. A promotion goes on: it was ordered when the
 * key was held. */
static void long_action_unlocked(struct sim_manager *m) {
  if (m->role == BELIEF_PRIMARY && ha_server_runs(m)) {
    m->action = ACTION_NONE;
    m->actions++;
    demote_nolock(m);
  } else {
    ha_end_cycle(m);
  }
}

static void long_action_locked(struct sim_manager *m, bool held) {
  if (held)
    ha_end_cycle(m);
  else
    long_action_unlocked(m);
}

/* --- a server that takes long to start ------------------------------------------------------- */

static void start_timed_out(struct sim_manager *m) {
  if (failover_possible(m, successors(m)))
    ha_stop_now(m, release_after_crash);
  else
    ha_end_cycle(m);
}

/* handle_starting_instance(), with the lock. */
static void lock_of_starting(struct sim_manager *m, bool held) {
  if (!held)
    demote_nolock(m);
  else if (ha_now_ns(m) >= m->action_until_ns)
    ha_ask(m, successors(m), start_timed_out);
  else
    ha_end_cycle(m);
}

static bool still_starting(struct sim_manager *m) {
  if (m->starting && sim_postgres_state(m->server) != SIM_PG_STARTING) m->starting = false;
  return m->starting;
}

/* --- the cycle ------------------------------------------------------------------------------- */

static void lock_removed(struct sim_manager *m) {
  ha_end_cycle(m);
}

/* post_recover(): it was started, and is down again. True: the cycle is over, or will be. */
static bool start_failed(struct sim_manager *m) {
  if (!m->recovering) return false;
  m->recovering = false;
  bool rewinding = m->rewind == REWIND_CHECK || m->rewind == REWIND_NEED;
  if (!rewinding && !ha_server_runs(m)) {
    if (ha_has_lock(m)) {
      m->role = BELIEF_DEMOTED;
      ha_release_lock(m, 0, lock_removed);
    } else {
      ha_end_cycle(m);
    }
    return true;
  }
  m->crash_recovered = false;
  if (m->rewind == REWIND_SUCCESS) m->rewind = REWIND_INITIAL;
  return false;
}

/* _run_cycle(), from where the cluster is known and the member's key is there. */
static void run_cycle(struct sim_manager *m) {
  if (ha_busy(m)) {
    if (ha_has_lock(m))
      ha_update_lock(m, false, long_action_locked);
    else
      long_action_unlocked(m);
  } else if (still_starting(m) && ha_has_lock(m)) {
    ha_update_lock(m, false, lock_of_starting);
  } else if (start_failed(m)) {
    return;
  } else if (!ha_server_runs(m)) {
    recover(m);
  } else if (m->cluster.leader == NOBODY) {
    process_unhealthy(m);
  } else {
    leader_known(m);
  }
}

/* What Patroni asks its server at the beginning of a cycle takes a moment, and is not asked again
 * in it. */
static void server_asked(struct sim_manager *m) {
  m->position = sim_postgres_position(m->server);
  if (m->cluster.members[m->member].lease == 0)
    ha_touch(m, run_cycle);
  else
    run_cycle(m);
}

void ha_cycle_loaded(struct sim_manager *m) {
  ha_sleep(m, CYCLE_NS, server_asked);
}

void ha_store_failed(struct sim_manager *m) {
  m->reach_failed = true;
  if (ha_server_is_primary(m)) ha_begin_offline(m);
  ha_end_cycle(m);
}
