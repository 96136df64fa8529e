/* How simulated Sentinels agree that the primary is down (O_DOWN), elect one of them, and how that
 * one fails over, as in sentinel.c: sentinelCheckObjectivelyDown(),
 * sentinelStartFailoverIfNeeded(), sentinelVoteLeader(), sentinelGetLeader(),
 * sentinelSelectSlave(), sentinelFailoverStateMachine().
 */
#include "sim/redis_sentinel.h"

static uint64_t failover_timeout_ns(const struct sim_sentinel *sentinel) {
  return sentinel->cluster->config->failover_timeout_ns;
}

static bool is_slave(const struct sim_sentinel *sentinel, uint32_t member) {
  return member != sentinel->belief.master && sentinel->views[member].known;
}

/* --- down ------------------------------------------------------------------------------------ */

static void check_objectively_down(struct sim_sentinel *sentinel) {
  uint32_t quorum = 0;
  if (sentinel_master(sentinel)->link.s_down) {
    quorum = 1;
    for (uint32_t i = 0; i < sentinel->cluster->sentinel_count; i++)
      quorum += i != sentinel->index && sentinel->peers[i].master_down;
  }
  bool down = quorum >= redis_quorum(sentinel->cluster->config);
  if (down == sentinel->o_down) return;
  sentinel->o_down = down;
  sentinel_changed(sentinel);
}

static void ask_others(struct sim_sentinel *sentinel, bool forced) {
  for (uint32_t i = 0; i < sentinel->cluster->sentinel_count; i++) {
    struct sentinel_peer *peer = &sentinel->peers[i];
    if (i == sentinel->index) continue;
    uint64_t elapsed_ns = sentinel_since(sentinel, peer->reply_ns);
    if (elapsed_ns > 5 * SENTINEL_ASK_NS) {
      peer->master_down = false;
      peer->leader = SENTINEL_NONE;
    }
    if (!sentinel_master(sentinel)->link.s_down || !peer->link.open) continue;
    if (!forced && elapsed_ns < SENTINEL_ASK_NS) continue;
    talk_ask(peer, sentinel->failover != FAILOVER_NONE);
  }
}

/* --- election -------------------------------------------------------------------------------- */

uint32_t failover_vote(struct sim_sentinel *sentinel, uint64_t epoch, uint32_t candidate,
                       uint64_t *ret_leader_epoch) {
  struct sentinel_belief *belief = &sentinel->belief;
  if (epoch > belief->current_epoch) belief->current_epoch = epoch;
  if (belief->leader_epoch < epoch && belief->current_epoch <= epoch) {
    belief->leader = candidate;
    belief->leader_epoch = belief->current_epoch;
    if (candidate != sentinel->index)
      sentinel->failover_start_ns =
          sentinel_now_ns(sentinel) + prng_below(&sentinel->prng, SENTINEL_MAX_DESYNC_NS);
  }
  *ret_leader_epoch = belief->leader_epoch;
  return belief->leader;
}

/* Whether it has the votes of the majority, and of the quorum. */
static bool is_leader(struct sim_sentinel *sentinel) {
  uint32_t votes[REDIS_SENTINELS_MAX] = {0}, winner = SENTINEL_NONE, most = 0;
  uint32_t voters = sentinel->cluster->sentinel_count;
  for (uint32_t i = 0; i < voters; i++) {
    const struct sentinel_peer *peer = &sentinel->peers[i];
    if (i != sentinel->index && peer->leader != SENTINEL_NONE &&
        peer->leader_epoch == sentinel->belief.current_epoch)
      votes[peer->leader]++;
  }
  for (uint32_t i = 0; i < voters; i++) {
    if (votes[i] <= most) continue;
    most = votes[i];
    winner = i;
  }
  uint64_t epoch = 0;
  uint32_t mine = failover_vote(sentinel, sentinel->failover_epoch,
                                winner == SENTINEL_NONE ? sentinel->index : winner, &epoch);
  if (mine != SENTINEL_NONE && epoch == sentinel->failover_epoch && ++votes[mine] > most) {
    most = votes[mine];
    winner = mine;
  }
  uint32_t quorum = redis_quorum(sentinel->cluster->config);
  return winner == sentinel->index && most >= voters / 2 + 1 && most >= quorum;
}

static void enter(struct sim_sentinel *sentinel, enum failover_state state) {
  sentinel->failover = (uint8_t)state;
  sentinel->failover_change_ns = sentinel_now_ns(sentinel);
  sentinel_changed(sentinel);
}

static void abort_failover(struct sim_sentinel *sentinel) {
  sentinel->promoted = MEMBER_NONE;
  sentinel->forced = false;
  for (uint32_t i = 0; i < sentinel->cluster->count; i++) sentinel->views[i].reconf = RECONF_NOT;
  enter(sentinel, FAILOVER_NONE);
}

static void start_failover(struct sim_sentinel *sentinel) {
  sentinel->failover_epoch = ++sentinel->belief.current_epoch;
  sentinel->failover_start_ns =
      sentinel_now_ns(sentinel) + prng_below(&sentinel->prng, SENTINEL_MAX_DESYNC_NS);
  enter(sentinel, FAILOVER_WAIT_START);
}

static bool start_if_needed(struct sim_sentinel *sentinel) {
  if (!sentinel->o_down || sentinel->failover != FAILOVER_NONE) return false;
  if (sentinel->failover_start_ns > 0 &&
      sentinel_since(sentinel, sentinel->failover_start_ns) < 2 * failover_timeout_ns(sentinel))
    return false;
  start_failover(sentinel);
  return true;
}

static void wait_start(struct sim_sentinel *sentinel) {
  uint64_t timeout_ns = SENTINEL_ELECTION_NS;
  if (timeout_ns > failover_timeout_ns(sentinel)) timeout_ns = failover_timeout_ns(sentinel);
  if (is_leader(sentinel) || sentinel->forced)
    enter(sentinel, FAILOVER_SELECT_SLAVE);
  else if (sentinel_since(sentinel, sentinel->failover_start_ns) > timeout_ns)
    abort_failover(sentinel);
}

/* --- who is promoted ------------------------------------------------------------------------- */

static bool is_candidate(struct sim_sentinel *sentinel, uint32_t member) {
  const struct sentinel_view *view = &sentinel->views[member];
  const struct sentinel_link *master = &sentinel_master(sentinel)->link;
  uint64_t most_down_ns = 10 * sentinel->cluster->config->down_after_ns;
  uint64_t valid_ns = master->s_down ? 5 * SENTINEL_PING_NS : 3 * SENTINEL_INFO_NS;
  if (master->s_down) most_down_ns += sentinel_since(sentinel, master->s_down_since_ns);
  return is_slave(sentinel, member) && !view->link.s_down && view->link.wire &&
         sentinel_since(sentinel, view->link.last_avail_ns) <= 5 * SENTINEL_PING_NS &&
         sentinel_since(sentinel, view->info_ns) <= valid_ns && view->link_down_ns <= most_down_ns;
}

/* All have the same priority: the largest offset, then the smallest run id. */
static uint32_t select_slave(struct sim_sentinel *sentinel) {
  uint32_t best = MEMBER_NONE;
  for (uint32_t i = 0; i < sentinel->cluster->count; i++) {
    if (!is_candidate(sentinel, i)) continue;
    const struct sentinel_view *view = &sentinel->views[i];
    if (best != MEMBER_NONE) {
      const struct sentinel_view *other = &sentinel->views[best];
      if (view->offset < other->offset) continue;
      if (view->offset == other->offset && view->run >= other->run) continue;
    }
    best = i;
  }
  return best;
}

static void select_promoted(struct sim_sentinel *sentinel) {
  if (!sentinel->forced || sentinel->promoted == MEMBER_NONE)
    sentinel->promoted = select_slave(sentinel);
  if (sentinel->promoted == MEMBER_NONE)
    abort_failover(sentinel);
  else
    enter(sentinel, FAILOVER_SEND_SLAVEOF_NOONE);
}

static void send_noone(struct sim_sentinel *sentinel) {
  struct sentinel_view *view = &sentinel->views[sentinel->promoted];
  if (talk_slaveof(view, MEMBER_NONE))
    enter(sentinel, FAILOVER_WAIT_PROMOTION);
  else if (sentinel_since(sentinel, sentinel->failover_change_ns) > failover_timeout_ns(sentinel))
    abort_failover(sentinel);
}

/* --- the others follow ----------------------------------------------------------------------- */

static void end_if_over(struct sim_sentinel *sentinel) {
  bool late =
      sentinel_since(sentinel, sentinel->failover_change_ns) > failover_timeout_ns(sentinel);
  uint32_t left = 0;
  if (sentinel->views[sentinel->promoted].link.s_down) return;
  for (uint32_t i = 0; i < sentinel->cluster->count; i++) {
    struct sentinel_view *view = &sentinel->views[i];
    if (!is_slave(sentinel, i) || i == sentinel->promoted || view->reconf == RECONF_DONE) continue;
    left += !view->link.s_down;
    if (late && view->reconf != RECONF_SENT && talk_slaveof(view, sentinel->promoted))
      view->reconf = RECONF_SENT;
  }
  if (left == 0 || late) enter(sentinel, FAILOVER_UPDATE_CONFIG);
}

static void reconf_slaves(struct sim_sentinel *sentinel) {
  const struct sim_redis_cluster *cluster = sentinel->cluster;
  uint32_t under_way = 0;
  for (uint32_t i = 0; i < cluster->count; i++)
    under_way += is_slave(sentinel, i) && (sentinel->views[i].reconf == RECONF_SENT ||
                                           sentinel->views[i].reconf == RECONF_INPROG);
  for (uint32_t i = 0; i < cluster->count; i++) {
    struct sentinel_view *view = &sentinel->views[i];
    if (under_way >= cluster->config->parallel_syncs) break;
    if (!is_slave(sentinel, i) || i == sentinel->promoted || view->reconf == RECONF_DONE) continue;
    if (view->reconf == RECONF_SENT &&
        sentinel_since(sentinel, view->reconf_ns) > SENTINEL_SLAVE_RECONF_NS)
      view->reconf = RECONF_DONE;
    if (view->reconf != RECONF_NOT || !talk_slaveof(view, sentinel->promoted)) continue;
    view->reconf = RECONF_SENT;
    view->reconf_ns = sentinel_now_ns(sentinel);
    under_way++;
  }
  end_if_over(sentinel);
}

static void switch_to_promoted(struct sim_sentinel *sentinel) {
  uint32_t promoted = sentinel->promoted;
  talk_publish_switch(sentinel, sentinel->belief.master, promoted);
  sentinel->forced = false;
  sentinel_switch_master(sentinel, promoted);
}

static void step(struct sim_sentinel *sentinel) {
  switch ((enum failover_state)sentinel->failover) {
    case FAILOVER_NONE: break;
    case FAILOVER_WAIT_START: wait_start(sentinel); break;
    case FAILOVER_SELECT_SLAVE: select_promoted(sentinel); break;
    case FAILOVER_SEND_SLAVEOF_NOONE: send_noone(sentinel); break;
    case FAILOVER_WAIT_PROMOTION:
      if (sentinel_since(sentinel, sentinel->failover_change_ns) > failover_timeout_ns(sentinel))
        abort_failover(sentinel);
      break;
    case FAILOVER_RECONF_SLAVES: reconf_slaves(sentinel); break;
    case FAILOVER_UPDATE_CONFIG: switch_to_promoted(sentinel); break;
  }
}

void failover_turn(struct sim_sentinel *sentinel) {
  check_objectively_down(sentinel);
  if (start_if_needed(sentinel)) ask_others(sentinel, true);
  step(sentinel);
  ask_others(sentinel, false);
}

/* --- what servers say ------------------------------------------------------------------------ */

static bool looks_sane(struct sim_sentinel *sentinel) {
  const struct sentinel_view *master = sentinel_master(sentinel);
  return master->reported && !master->link.s_down && !sentinel->o_down &&
         sentinel_since(sentinel, master->info_ns) < 2 * SENTINEL_INFO_NS;
}

static bool no_down_for(const struct sim_sentinel *sentinel, const struct sentinel_view *view,
                        uint64_t for_ns) {
  return view->link.s_down_since_ns == 0 ||
         sentinel_since(sentinel, view->link.s_down_since_ns) > for_ns;
}

/* A replica that says it is a primary: the one that was just promoted, or an old primary that has
 * come back and must be told. */
static void slave_is_master(struct sim_sentinel *sentinel, struct sentinel_view *view) {
  bool promoted = view->link.index == sentinel->promoted;
  if (promoted && sentinel->failover == FAILOVER_WAIT_PROMOTION) {
    sentinel->belief.config_epoch = sentinel->failover_epoch;
    enter(sentinel, FAILOVER_RECONF_SLAVES);
    /* sentinelForceHelloUpdateForMaster() */
    for (uint32_t i = 0; i < sentinel->cluster->count; i++) sentinel->views[i].link.last_pub_ns = 0;
    for (uint32_t i = 0; i < sentinel->cluster->sentinel_count; i++)
      sentinel->peers[i].link.last_pub_ns = 0;
    return;
  }
  uint64_t wait_ns = 4 * SENTINEL_PUBLISH_NS;
  if (!promoted && looks_sane(sentinel) && no_down_for(sentinel, view, wait_ns) &&
      sentinel_since(sentinel, view->role_ns) > wait_ns)
    talk_slaveof(view, sentinel->belief.master);
}

static void slave_follows(struct sim_sentinel *sentinel, struct sentinel_view *view) {
  uint64_t wait_ns = failover_timeout_ns(sentinel);
  if (view->from != sentinel->belief.master && looks_sane(sentinel) &&
      no_down_for(sentinel, view, wait_ns) && sentinel_since(sentinel, view->conf_ns) > wait_ns)
    talk_slaveof(view, sentinel->belief.master);
  if (view->reconf == RECONF_SENT && view->from == sentinel->promoted) view->reconf = RECONF_INPROG;
  if (view->reconf == RECONF_INPROG && view->link_up) view->reconf = RECONF_DONE;
}

void failover_take_info(struct sim_sentinel *sentinel, struct sentinel_view *view) {
  if (!is_slave(sentinel, view->link.index)) return;
  if (view->reported)
    slave_is_master(sentinel, view);
  else
    slave_follows(sentinel, view);
}

uint32_t failover_current_master(const struct sim_sentinel *sentinel) {
  bool promoted = sentinel->promoted != MEMBER_NONE && sentinel->failover >= FAILOVER_RECONF_SLAVES;
  return promoted ? sentinel->promoted : sentinel->belief.master;
}

bool failover_force(struct sim_sentinel *sentinel, uint32_t wanted) {
  if (sentinel->failover != FAILOVER_NONE || select_slave(sentinel) == MEMBER_NONE) return false;
  if (wanted != MEMBER_NONE && !is_candidate(sentinel, wanted)) return false;
  start_failover(sentinel);
  sentinel->forced = true;
  sentinel->promoted = wanted;
  return true;
}
