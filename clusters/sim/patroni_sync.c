/* Synchronous mode: process_sync_replication() in ha.py, current_state() in postgresql/sync.py. Who
 * may take over is written in the key /sync. A standby is named there only after commits wait for
 * it, and is struck off before they no longer do: so it has all that was acknowledged. */
#include "sim/patroni_internal.h"

#define RELOAD_NS (100 * NS_PER_MS) /* set_synchronous_standby_names() */
#define SETTLE_NS (2 * NS_PER_S)    /* process_sync_replication() */

struct sync_choice {
  uint32_t picked;  /* bit: member: to be named in synchronous_standby_names */
  uint32_t allowed; /* of these, who commits have waited for already */
};

struct standby {
  uint32_t member;
  bool synchronous;
  uint64_t position;
};

/* Synchronous ones first, then by position; equals keep the order of members. */
static bool goes_before(const struct standby *a, const struct standby *b) {
  if (a->synchronous != b->synchronous) return a->synchronous;
  return a->position > b->position;
}

static uint32_t find_standbys(const struct sim_manager *m, struct standby *ret) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < m->patroni->count; i++) {
    struct standby one = {.member = i};
    bool member = m->cluster.members[i].lease != 0 && m->cluster.members[i].data.running &&
                  !m->cluster.members[i].data.nosync;
    if (i == m->member || !member ||
        !sim_postgres_streams_to(m->server, i, &one.position, &one.synchronous))
      continue;
    uint32_t place = count++;
    for (; place > 0 && goes_before(&one, &ret[place - 1]); place--) ret[place] = ret[place - 1];
    ret[place] = one;
  }
  return count;
}

/* current_state(). */
static struct sync_choice choose(struct sim_manager *m) {
  struct standby standbys[POSTGRES_INSTANCES_MAX];
  struct sync_choice choice = {0, 0};
  uint32_t count = find_standbys(m, standbys);
  if (count > ha_config(m)->synchronous_node_count) count = ha_config(m)->synchronous_node_count;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t bit = 1u << standbys[i].member;
    bool named = m->cluster.sync_leader == m->member && (m->cluster.sync_mask & bit);
    if (named || (standbys[i].synchronous && standbys[i].position >= m->sync_flush_bytes))
      m->sync_ready |= bit;
    choice.picked |= bit;
    if (standbys[i].synchronous && (m->sync_ready & bit)) choice.allowed |= bit;
  }
  return choice;
}

static uint32_t current(const struct sim_manager *m) {
  return m->cluster.sync_leader == NOBODY ? 0 : m->cluster.sync_mask;
}

static void write_sync(struct sim_manager *m, uint32_t mask,
                       void (*then)(struct sim_manager *m, const struct sim_result *result)) {
  ha_call(m,
          &(struct sim_command){.kind = SIM_STORE_SYNC,
                                .member = m->member,
                                .number = mask,
                                .compare = m->cluster.sync_modified},
          true, then);
}

static void sync_written(struct sim_manager *m, const struct sim_result *result) {
  (void)result; /* changed by somebody else: the next cycle sees it */
  ha_end_cycle(m);
}

static void allow_loaded(struct sim_manager *m) {
  if (m->cluster.sync_leader != NOBODY && m->cluster.sync_leader != m->member)
    ha_end_cycle(m);
  else
    write_sync(m, m->sync_allowed, sync_written);
}

static void publish(struct sim_manager *m, uint32_t allowed) {
  m->sync_allowed = allowed;
  if (allowed != 0 && allowed != current(m))
    ha_load(m, allow_loaded);
  else
    ha_end_cycle(m);
}

static void settled(struct sim_manager *m) {
  publish(m, choose(m).allowed);
}

static void reloaded(struct sim_manager *m) {
  if (m->sync_allowed != 0 || m->sync_picked == 0)
    publish(m, m->sync_allowed);
  else
    ha_sleep(m, SETTLE_NS, settled);
}

/* Who streams already is synchronous once it has confirmed what was written until now. */
static void name_standbys(struct sim_manager *m) {
  uint32_t picked = m->sync_picked;
  sim_postgres_set_synchronous(m->server, picked, (uint32_t)__builtin_popcount(picked),
                               ha_config(m)->synchronous_mode_strict);
  m->sync_ready &= picked;
  m->sync_flush_bytes = sim_postgres_position(m->server);
  ha_sleep(m, RELOAD_NS, reloaded);
}

static void struck_off(struct sim_manager *m, const struct sim_result *result) {
  if (result->kind != SIM_RESULT_OK) {
    ha_end_cycle(m);
    return;
  }
  m->cluster.sync_leader = m->member;
  m->cluster.sync_mask = m->sync_allowed & current(m);
  m->cluster.sync_modified = result->number;
  name_standbys(m);
}

void ha_process_sync(struct sim_manager *m) {
  if (!ha_config(m)->synchronous_mode || !ha_server_is_primary(m)) {
    ha_end_cycle(m);
    return;
  }
  const struct sync_choice choice = choose(m);
  m->sync_picked = choice.picked;
  m->sync_allowed = choice.allowed;
  uint32_t common = current(m) & choice.allowed;
  if (choice.picked == current(m))
    ha_end_cycle(m);
  else if (common != current(m))
    write_sync(m, common, struck_off);
  else
    name_standbys(m);
}

void ha_clear_sync(struct sim_manager *m, bool strict) {
  if (!ha_config(m)->synchronous_mode) return;
  m->sync_ready = 0;
  sim_postgres_set_synchronous(m->server, 0, 0, strict);
}
