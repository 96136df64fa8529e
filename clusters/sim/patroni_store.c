/* Patroni's words to etcd: its lease, the leader key, its own key (dcs/etcd3.py, dcs/__init__.py).
 */
#include "sim/patroni_internal.h"

/* --- commands -------------------------------------------------------------------------------- */

static void called(struct sim_etcd_client *client, const struct sim_result *result) {
  struct sim_manager *m = client->process->owner;
  m->after_call(m, result);
}

static void call_until(struct sim_manager *m, const struct sim_command *command, uint64_t stop_ns,
                       void (*then)(struct sim_manager *m, const struct sim_result *result)) {
  m->after_call = then;
  sim_etcd_client_call(&m->client, command, stop_ns, called);
}

void ha_call(struct sim_manager *m, const struct sim_command *command, bool retry,
             void (*then)(struct sim_manager *m, const struct sim_result *result)) {
  call_until(m, command, retry ? ha_now_ns(m) + ha_config(m)->retry_timeout_ns : 0, then);
}

/* --- the cluster ----------------------------------------------------------------------------- */

static void loaded(struct sim_manager *m) {
  void (*then)(struct sim_manager * m) = m->after_load;
  m->loading = 0;
  m->cluster = m->client.keys;
  m->cluster_valid = true;
  if (m->cluster.leader != NOBODY || m->known == 0) m->known = ha_members_of(&m->cluster);
  if (!ha_has_lock(m)) m->leader_until_ns = 0;
  then(m);
}

static void on_load_timeout(struct sim_process *self, const struct sim_args *args) {
  struct sim_manager *m = self->owner;
  if (m->loading != args->number) return;
  m->loading = 0;
  m->cluster_valid = false;
  ha_store_failed(m);
}

void ha_load(struct sim_manager *m, void (*then)(struct sim_manager *m)) {
  m->after_load = then;
  if (m->client.ready) {
    loaded(m);
    return;
  }
  m->loading = ++m->loads;
  sim_after(&m->process, ha_config(m)->retry_timeout_ns, on_load_timeout,
            &(struct sim_args){.number = m->loading});
}

void ha_cached(struct sim_etcd_client *client) {
  struct sim_manager *m = client->process->owner;
  if (m->loading) loaded(m);
}

/* --- the lease ------------------------------------------------------------------------------- */

static void lease_granted(struct sim_manager *m, const struct sim_result *result) {
  bool reached = result->kind == SIM_RESULT_OK;
  if (reached) {
    m->lease = result->number;
    m->refreshed_ns = ha_now_ns(m);
  }
  m->after_lease(m, reached);
}

static void grant(struct sim_manager *m) {
  m->lease = 0;
  call_until(m, &(struct sim_command){.kind = SIM_STORE_GRANT, .number = ha_config(m)->ttl_ns},
             m->call_stop_ns, lease_granted);
}

static void lease_kept(struct sim_manager *m, const struct sim_result *result) {
  if (result->kind == SIM_RESULT_NO_LEASE) {
    grant(m);
    return;
  }
  if (result->kind == SIM_RESULT_OK) m->refreshed_ns = ha_now_ns(m);
  m->after_lease(m, result->kind == SIM_RESULT_OK);
}

/* _do_refresh_lease(): once a loop_wait, or by force. */
static void refresh_lease(struct sim_manager *m, bool force,
                          void (*then)(struct sim_manager *m, bool reached)) {
  m->after_lease = then;
  m->call_stop_ns = ha_now_ns(m) + ha_config(m)->retry_timeout_ns;
  if (m->lease == 0)
    grant(m);
  else if (force || m->refreshed_ns + ha_config(m)->loop_wait_ns <= ha_now_ns(m))
    call_until(m, &(struct sim_command){.kind = SIM_STORE_KEEPALIVE, .lease = m->lease},
               m->call_stop_ns, lease_kept);
  else
    then(m, true);
}

/* What is left of retry_timeout is too little for another command: that is a failure too. */
static bool out_of_time(const struct sim_manager *m) {
  return m->call_stop_ns < ha_now_ns(m) + NS_PER_S;
}

/* --- the leader key -------------------------------------------------------------------------- */

static void lock_known(struct sim_manager *m, bool held) {
  m->leader_until_ns = held ? ha_now_ns(m) + ha_config(m)->ttl_ns : 0;
  m->after_lock(m, held);
}

static void status_written(struct sim_manager *m, const struct sim_result *result) {
  (void)result;
  lock_known(m, true);
}

static void lock_updated(struct sim_manager *m) {
  uint64_t position = sim_postgres_position(m->server);
  if (!m->write_status || position == m->told_position) {
    lock_known(m, true);
    return;
  }
  m->told_position = position;
  ha_call(m, &(struct sim_command){.kind = SIM_STORE_STATUS, .number = position}, false,
          status_written);
}

static void key_put(struct sim_manager *m, const struct sim_result *result) {
  bool blind = m->patroni->options.version == SIM_PATRONI_3_0;
  if (result->kind == SIM_RESULT_FAILED)
    ha_store_failed(m);
  else if (result->kind == SIM_RESULT_OK || blind)
    lock_updated(m);
  else
    lock_known(m, false);
}

/* _update_leader(): with another lease than the key has, the key is written again; 3.0 does so
 * whoever holds it now, later versions only when nobody else does. */
static void lease_for_update(struct sim_manager *m, bool reached) {
  bool blind = m->patroni->options.version == SIM_PATRONI_3_0;
  bool held =
      m->cluster_valid && m->cluster.leader != NOBODY && m->cluster.leader_lease == m->lease;
  if (!reached || (!held && out_of_time(m))) {
    ha_store_failed(m);
  } else if (held) {
    lock_updated(m);
  } else {
    const struct sim_command command = {
        .kind = blind ? SIM_STORE_PUT_LEADER : SIM_STORE_UPDATE_LEADER,
        .member = m->member,
        .lease = m->lease};
    call_until(m, &command, m->call_stop_ns, key_put);
  }
}

/* The position is asked of the server: a frozen one does not answer, and Patroni waits. */
static void update_now(struct sim_manager *m) {
  if (sim_postgres_process(m->server)->frozen && m->write_status)
    ha_sleep(m, 100 * NS_PER_MS, update_now);
  else
    refresh_lease(m, true, lease_for_update);
}

void ha_update_lock(struct sim_manager *m, bool status,
                    void (*then)(struct sim_manager *m, bool held)) {
  m->write_status = status;
  m->after_lock = then;
  update_now(m);
}

static void create_key(struct sim_manager *m);

static void lease_for_retry(struct sim_manager *m, bool reached) {
  if (!reached || out_of_time(m))
    ha_store_failed(m);
  else
    create_key(m);
}

static void key_created(struct sim_manager *m, const struct sim_result *result) {
  if (result->kind == SIM_RESULT_FAILED) {
    ha_store_failed(m);
  } else if (result->kind == SIM_RESULT_NO_LEASE) {
    m->after_lease = lease_for_retry;
    grant(m);
  } else {
    lock_known(m, result->kind == SIM_RESULT_OK);
  }
}

static void create_key(struct sim_manager *m) {
  call_until(m,
             &(struct sim_command){
                 .kind = SIM_STORE_CREATE_LEADER, .member = m->member, .lease = m->lease},
             m->call_stop_ns, key_created);
}

void ha_acquire_lock(struct sim_manager *m, void (*then)(struct sim_manager *m, bool held)) {
  m->after_lock = then;
  refresh_lease(m, false, lease_for_retry);
}

static void key_deleted(struct sim_manager *m, const struct sim_result *result) {
  (void)result;
  m->cluster_valid = false; /* reset_cluster() */
  m->after_touch(m);
}

static void delete_key(struct sim_manager *m) {
  ha_call(
      m,
      &(struct sim_command){.kind = SIM_STORE_DELETE_LEADER, .compare = m->cluster.leader_modified},
      false, key_deleted);
}

static void checkpoint_written(struct sim_manager *m, const struct sim_result *result) {
  (void)result;
  delete_key(m);
}

void ha_release_lock(struct sim_manager *m, uint64_t position,
                     void (*then)(struct sim_manager *m)) {
  m->leader_until_ns = 0;
  m->after_touch = then;
  if (m->client.ready) m->cluster = m->client.keys;
  if (!ha_has_lock(m)) {
    then(m);
  } else if (position) {
    m->told_position = position;
    ha_call(m, &(struct sim_command){.kind = SIM_STORE_STATUS, .number = position}, false,
            checkpoint_written);
  } else {
    delete_key(m);
  }
}

/* --- the member's own key -------------------------------------------------------------------- */

static void member_put(struct sim_manager *m, const struct sim_result *result) {
  if (result->kind == SIM_RESULT_NO_LEASE) m->lease = 0;
  m->after_touch(m);
}

static bool same_data(const struct sim_member_data *a, const struct sim_member_data *b) {
  return a->running == b->running && a->primary == b->primary && a->nosync == b->nosync &&
         a->checkpointed == b->checkpointed && a->timeline == b->timeline &&
         a->position == b->position;
}

static void lease_for_touch(struct sim_manager *m, bool reached) {
  enum sim_postgres_state state = sim_postgres_state(m->server);
  const struct sim_member_data data = {
      .running = state == SIM_PG_STANDBY || state == SIM_PG_PROMOTING || state == SIM_PG_PRIMARY,
      .primary = m->role == BELIEF_PRIMARY,
      .nosync = m->nosync,
      .checkpointed = m->rewind == REWIND_CHECKPOINT,
      .timeline = sim_postgres_timeline(m->server),
      .position = sim_postgres_position(m->server)};
  const struct sim_keys *cluster = &m->cluster;
  if (!reached || (m->cluster_valid && cluster->members[m->member].lease == m->lease &&
                   same_data(&cluster->members[m->member].data, &data))) {
    m->after_touch(m);
    return;
  }
  ha_call(m,
          &(struct sim_command){
              .kind = SIM_STORE_MEMBER, .member = m->member, .lease = m->lease, .data = data},
          false, member_put);
}

void ha_touch(struct sim_manager *m, void (*then)(struct sim_manager *m)) {
  m->after_touch = then;
  refresh_lease(m, false, lease_for_touch);
}
