/* What Patroni's executor does beside the main loop: starting, stopping, promoting, rewinding
 * (try_run_async() in ha.py; postgresql/__init__.py). Patroni learns how far a server is by
 * looking, mostly once a second. */
#include "sim/patroni_internal.h"

#define LOOK_NS NS_PER_S         /* polling_loop(), wait_for_startup(), STOP_POLLING_INTERVAL */
#define WAIT_NS (20 * NS_PER_MS) /* postmaster.wait() */
#define START_TIMEOUT_NS (60 * NS_PER_S) /* pg_ctl_timeout */
#define LEADER_LOCK_TIME_NS (2 * NS_PER_S)
#define RELEASE_NS (150 * NS_PER_MS) /* pg_controldata, pg_waldump: where the log ends */

bool ha_busy(const struct sim_manager *m) {
  return m->action != ACTION_NONE;
}

static bool begin(struct sim_manager *m, enum sim_action action) {
  if (ha_busy(m)) return false;
  m->action = action;
  m->actions++;
  return true;
}

/* What the executor's function returned: anything but None wakes the loop. */
static void end(struct sim_manager *m, bool wake) {
  m->action = ACTION_NONE;
  m->actions++;
  if (wake) ha_wake(m);
}

static void later(struct sim_manager *m, uint64_t delay_ns, sim_call *call) {
  sim_after(&m->process, delay_ns, call, &(struct sim_args){.number = m->actions});
}

/* The action that set this timer goes on. */
static bool is_current(const struct sim_manager *m, const struct sim_args *args) {
  return m->action != ACTION_NONE && m->actions == args->number;
}

/* --- starting -------------------------------------------------------------------------------- */

static void on_start_look(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  enum sim_postgres_state state = sim_postgres_state(m->server);
  if (state == SIM_PG_STARTING && ha_now_ns(m) < m->action_until_ns) {
    later(m, LOOK_NS, on_start_look);
    return;
  }
  m->starting = state == SIM_PG_STARTING;
  if (m->action == ACTION_SHUTDOWN) return;
  end(m, state != SIM_PG_STARTING && state != SIM_PG_DOWN);
}

/* The first look of pg_isready comes too early, the next after a second. */
static void start(struct sim_manager *m, enum sim_postgres_role role, uint32_t leader,
                  uint64_t timeout_ns) {
  uint32_t upstream = leader == m->member ? NOBODY : leader;
  m->role = role == SIM_PG_AS_PRIMARY ? BELIEF_PRIMARY : BELIEF_REPLICA;
  m->starting = true;
  m->follows = true;
  m->following = upstream;
  m->action_until_ns = ha_now_ns(m) + (timeout_ns ? timeout_ns : START_TIMEOUT_NS);
  sim_postgres_start(m->server, role, upstream);
  later(m, LOOK_NS, on_start_look);
}

void ha_begin_start(struct sim_manager *m, uint32_t leader, uint64_t timeout_ns) {
  if (begin(m, ACTION_START)) start(m, SIM_PG_AS_STANDBY, leader, timeout_ns);
}

static void on_recovered(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  sim_postgres_recovered(m->server);
  m->checkpoint_added = true;
  end(m, true);
}

void ha_begin_recovery(struct sim_manager *m) {
  if (begin(m, ACTION_RECOVER)) later(m, m->patroni->options.recovery_ns, on_recovered);
}

/* --- promoting ------------------------------------------------------------------------------- */

static void on_promote_look(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  if (ha_server_is_primary(m)) {
    m->role = BELIEF_PRIMARY;
    end(m, true);
  } else if (ha_now_ns(m) < m->action_until_ns) {
    later(m, LOOK_NS, on_promote_look);
  } else {
    end(m, false);
  }
}

void ha_begin_promote(struct sim_manager *m) {
  if (!begin(m, ACTION_PROMOTE)) return;
  m->role = BELIEF_PROMOTED;
  m->rewind = REWIND_INITIAL;
  m->checkpointing = false;
  m->follows = m->checkpoint_added = false;
  m->action_until_ns = ha_now_ns(m) + ha_config(m)->loop_wait_ns;
  sim_postgres_set_slots(m->server, 0); /* replicas keep none for others */
  sim_postgres_promote(m->server);
  later(m, LOOK_NS, on_promote_look);
}

/* --- rewinding ------------------------------------------------------------------------------- */

/* A rewind that failed is not tried again, unless it was for want of the leader. */
static void failed_rewind_explained(struct sim_manager *m) {
  const struct sim_status *leader = &m->inquiry.answers[m->action_leader];
  if (leader->reachable && leader->primary) m->rewind = REWIND_FAILED;
  end(m, true);
}

static void on_rewound(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (m->action != ACTION_REWIND) return;
  if (!args->number) {
    ha_visit(m, m->action_leader, failed_rewind_explained);
    return;
  }
  m->rewind = REWIND_SUCCESS;
  m->checkpoint_added = false;
  end(m, true);
}

static void on_rewind_stopped(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  if (ha_server_runs(m)) {
    later(m, WAIT_NS, on_rewind_stopped);
  } else if (!m->cluster.members[m->action_leader].data.checkpointed) {
    end(m, false); /* "Waiting for checkpoint on ... before rewind" */
  } else {
    sim_postgres_rebuild(m->server, m->action_leader, true, &m->process, on_rewound);
  }
}

void ha_begin_rewind(struct sim_manager *m, uint32_t leader) {
  if (!begin(m, ACTION_REWIND)) return;
  m->action_leader = leader;
  if (ha_server_runs(m)) sim_postgres_stop(m->server, false);
  later(m, 0, on_rewind_stopped);
}

/* --- stopping -------------------------------------------------------------------------------- */

static void on_stopped_look(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  (void)args;
  if (ha_server_runs(m))
    sim_after(self, WAIT_NS, on_stopped_look, NULL);
  else
    m->after_stop(m);
}

void ha_stop_now(struct sim_manager *m, void (*then)(struct sim_manager *m)) {
  m->after_stop = then;
  sim_postgres_stop(m->server, true);
  on_stopped_look(&m->process, NULL);
}

/* demote('offline'): there is no store to be asked whom to follow. */
static void on_offline_stopped(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  if (ha_server_runs(m)) {
    later(m, WAIT_NS, on_offline_stopped);
    return;
  }
  m->leader_until_ns = 0;
  ha_clear_sync(m, false);
  start(m, SIM_PG_AS_STANDBY, NOBODY, 0);
}

/* Whatever the executor was at, this comes first. */
void ha_begin_offline(struct sim_manager *m) {
  if (m->action == ACTION_OFFLINE || m->action == ACTION_SHUTDOWN) return;
  m->action = ACTION_OFFLINE;
  m->actions++;
  if (m->rewind != REWIND_NEED) m->rewind = REWIND_CHECK;
  sim_postgres_stop(m->server, false);
  later(m, WAIT_NS, on_offline_stopped);
}

/* --- switching over -------------------------------------------------------------------------- */

/* Follows the new leader, unless it must be rewound first, which is the loop's to see. */
static void on_released_pause(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  uint32_t leader = m->client.ready ? m->client.keys.leader : NOBODY;
  bool known = leader != NOBODY && leader != m->member;
  ha_clear_sync(m, false);
  if (known && sim_postgres_diverged(m->server, leader)) {
    m->rewind = REWIND_NEED;
    end(m, true);
  } else {
    start(m, SIM_PG_AS_STANDBY, leader, 0);
  }
}

static void key_released(struct sim_manager *m) {
  ha_unlock(m);
  later(m, LEADER_LOCK_TIME_NS, on_released_pause);
}

static void touch_released(struct sim_manager *m) {
  ha_touch(m, key_released);
}

static void release_key(struct sim_manager *m) {
  ha_release_lock(m, sim_postgres_position(m->server), touch_released);
}

static void on_release(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (is_current(m, args)) ha_with_lock(m, release_key);
}

/* demote('graceful') looks at what pg_controldata says, once a second. */
static void on_graceful_look(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  if (ha_server_runs(m)) {
    later(m, LOOK_NS, on_graceful_look);
    return;
  }
  m->role = BELIEF_DEMOTED;
  m->leader_until_ns = 0;
  later(m, RELEASE_NS, on_release);
}

/* stop() with a checkpoint before it, so that the shutdown has less to write. */
static void on_graceful_checkpoint(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  sim_postgres_stop(m->server, false);
  later(m, LOOK_NS, on_graceful_look);
}

void ha_begin_graceful(struct sim_manager *m) {
  if (!begin(m, ACTION_GRACEFUL)) return;
  if (m->rewind != REWIND_NEED) m->rewind = REWIND_CHECK;
  later(m, SIM_CHECKPOINT_NS, on_graceful_checkpoint);
}

/* --- restarting ------------------------------------------------------------------------------ */

static void on_restart_stopped(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  if (ha_server_runs(m))
    later(m, WAIT_NS, on_restart_stopped);
  else
    start(m, m->role == BELIEF_PRIMARY ? SIM_PG_AS_PRIMARY : SIM_PG_AS_STANDBY, m->following,
          ha_config(m)->primary_start_timeout_ns);
}

static void on_restart_checkpoint(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  sim_postgres_stop(m->server, false);
  later(m, WAIT_NS, on_restart_stopped);
}

static void restart(struct sim_manager *m) {
  m->nosync = false;
  m->role = ha_server_is_primary(m) ? BELIEF_PRIMARY : BELIEF_REPLICA;
  if (m->role == BELIEF_REPLICA && !m->follows) m->following = m->client.keys.leader;
  later(m, m->role == BELIEF_PRIMARY ? SIM_CHECKPOINT_NS : 0, on_restart_checkpoint);
}

/* while_not_sync_standby(): the leader is to choose another one first; after two loop_waits it is
 * restarted all the same. */
static void on_release_look(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  bool named = m->client.ready && (m->client.keys.sync_mask & 1u << m->member);
  if (named && ha_now_ns(m) < m->action_until_ns)
    later(m, 2 * LOOK_NS, on_release_look);
  else
    restart(m);
}

static void nosync_told(struct sim_manager *m) {
  ha_unlock(m);
  later(m, 0, on_release_look);
}

static void tell_nosync(struct sim_manager *m) {
  ha_touch(m, nosync_told);
}

void ha_begin_restart(struct sim_manager *m) {
  if (!begin(m, ACTION_RESTART)) return;
  m->recovering = true;
  if (!ha_config(m)->synchronous_mode || ha_server_is_primary(m)) {
    restart(m);
    return;
  }
  m->nosync = true;
  m->action_until_ns = ha_now_ns(m) + 2 * ha_config(m)->loop_wait_ns;
  ha_with_lock(m, tell_nosync);
}

/* --- the end of Patroni ---------------------------------------------------------------------- */

static void leave(struct sim_manager *m) {
  sim_process_kill(&m->process);
}

static void give_key_back(struct sim_manager *m) {
  ha_release_lock(m, sim_postgres_position(m->server), leave);
}

static void on_shutdown_look(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (!is_current(m, args)) return;
  if (ha_server_runs(m))
    later(m, LOOK_NS, on_shutdown_look);
  else if (m->client.ready && m->client.keys.leader == m->member)
    give_key_back(m);
  else
    leave(m);
}

/* shutdown(): the loop is over already when this begins. */
static void shut_down(struct sim_manager *m) {
  m->action = ACTION_SHUTDOWN;
  m->actions++;
  sim_postgres_stop(m->server, false);
  later(m, WAIT_NS, on_shutdown_look);
}

void ha_begin_shutdown(struct sim_manager *m) {
  if (m->action == ACTION_SHUTDOWN) return;
  ha_with_lock(m, shut_down);
}
