/* Raft, as etcd runs it: with pre-vote, check-quorum and randomised election time-outs. The log is
 * a chain of immutable entries, so a message names its last entry and needs no search for where two
 * logs part. */
#include "sim/etcd.h"

#define HEARTBEAT_NS (ETCD_HEARTBEAT_MS * NS_PER_MS)
#define ELECTION_NS (ETCD_ELECTION_MS * NS_PER_MS)
#define MESSAGE_BYTES 250

static uint64_t now_of(const struct sim_voter *v) {
  return sim_now_ns(v->etcd->world);
}

static uint32_t quorum(const struct sim_voter *v) {
  return v->etcd->voter_count / 2 + 1;
}

/* --- messages -------------------------------------------------------------------------------- */

/* rafthttp drops what it cannot send soon; the next heartbeat says it again. */
bool sim_raft_fresh(const struct sim_args *args) {
  const struct sim_voter *from = args->pointer;
  return now_of(from) - args->number3 < 2 * ELECTION_NS;
}

static void send(struct sim_voter *v, uint32_t to, sim_call *deliver,
                 const struct sim_log_entry *entry, uint64_t term, uint64_t number) {
  struct sim_voter *peer = &v->etcd->voters[to];
  sim_send(&(struct sim_message){.from = &v->process,
                                 .to = &peer->process,
                                 .to_life = peer->process.life, /* streams are dialled anew */
                                 .bytes = MESSAGE_BYTES,
                                 .deliver = deliver,
                                 .wanted = sim_raft_fresh,
                                 .args = {.pointer = v,
                                          .pointer2 = (void *)(uintptr_t)entry,
                                          .number = term,
                                          .number2 = number,
                                          .number3 = now_of(v)}});
}

static void send_all(struct sim_voter *v, sim_call *deliver, uint64_t term, uint64_t number) {
  for (uint32_t i = 0; i < v->etcd->voter_count; i++)
    if (i != v->index) send(v, i, deliver, v->last, term, number);
}

/* --- the log --------------------------------------------------------------------------------- */

static const struct sim_log_entry *entry_at(const struct sim_log_entry *last, uint64_t index) {
  while (last && last->index > index) last = last->before;
  return last;
}

static bool holds(const struct sim_voter *v, const struct sim_log_entry *entry) {
  return entry_at(v->last, entry->index) == entry;
}

static void tell_applied(void *data, const struct sim_log_entry *entry,
                         const struct sim_result *result) {
  sim_voter_applied(data, entry, result);
}

/* Committed and on this voter's disk: into its keys. */
static void apply(struct sim_voter *v) {
  uint64_t until = v->commit < v->durable->index ? v->commit : v->durable->index;
  if (v->keys.index < until) sim_keys_catch_up(&v->keys, entry_at(v->last, until), tell_applied, v);
}

static void on_append(struct sim_process *self, const struct sim_args *args);

/* What a majority has flushed is committed, if it is of the leader's own term (Raft, 5.4.2). */
static void advance(struct sim_voter *v) {
  uint64_t index = 0;
  v->matched[v->index] = v->durable->index;
  for (uint32_t i = 0; i < v->etcd->voter_count; i++) {
    uint32_t reached = 0;
    for (uint32_t j = 0; j < v->etcd->voter_count; j++) reached += v->matched[j] >= v->matched[i];
    if (reached >= quorum(v) && v->matched[i] > index) index = v->matched[i];
  }
  if (index <= v->commit || entry_at(v->last, index)->term != v->term) return;
  v->commit = index;
  apply(v);
  if (v->role == SIM_RAFT_LEADER) send_all(v, on_append, v->term, v->commit);
}

/* The leader's own flush, beside those of the others. */
static void on_own_flushed(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  const struct sim_log_entry *entry = args->pointer2;
  if (!holds(v, entry) || entry->index <= v->durable->index) return;
  v->durable = entry;
  if (v->role == SIM_RAFT_LEADER) advance(v);
}

void sim_raft_propose(struct sim_voter *v, const struct sim_command *command,
                      struct sim_request *request) {
  struct sim_log_entry *entry = sim_etcd_alloc(v->etcd, sizeof *entry);
  if (!entry) return;
  *entry = (struct sim_log_entry){.before = v->last,
                                  .index = v->last->index + 1,
                                  .term = v->term,
                                  .command = *command,
                                  .request = request};
  v->last = entry;
  sim_after(&v->process, v->etcd->fsync_ns, on_own_flushed, &(struct sim_args){.pointer2 = entry});
  send_all(v, on_append, v->term, v->commit);
}

/* --- roles ----------------------------------------------------------------------------------- */

static void campaign(struct sim_voter *v);

static void on_patience(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  if (args->number != v->reign) return;
  uint64_t due_ns = v->heard_ns + v->patience_ns;
  if (now_of(v) < due_ns)
    sim_after(self, due_ns - now_of(v), on_patience, args);
  else
    campaign(v);
}

/* Waits for a leader from now on, one to two election time-outs. */
static void wait_for_leader(struct sim_voter *v) {
  v->heard_ns = now_of(v);
  v->patience_ns = ELECTION_NS + prng_below(&v->prng, ELECTION_NS);
  sim_after(&v->process, v->patience_ns, on_patience, &(struct sim_args){.number = v->reign});
}

static void set_leader(struct sim_voter *v, uint32_t leader) {
  if (v->leader == leader) return;
  v->leader = leader;
  sim_voter_led(v);
}

static void follow(struct sim_voter *v, uint64_t term, uint32_t leader) {
  bool anew = v->role != SIM_RAFT_FOLLOWER || term > v->term || v->leader != leader;
  if (term > v->term) {
    v->term = term;
    v->vote = NOBODY;
  }
  if (!anew) {
    v->heard_ns = now_of(v);
    return;
  }
  v->role = SIM_RAFT_FOLLOWER;
  v->lessor = false;
  v->reign++;
  wait_for_leader(v);
  set_leader(v, leader);
}

/* --- the leader ------------------------------------------------------------------------------ */

static void on_append_reply(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  const struct sim_voter *from = args->pointer;
  if (args->number > v->term) {
    follow(v, args->number, NOBODY);
    return;
  }
  if (v->role != SIM_RAFT_LEADER || args->number != v->term) return;
  v->answered_ns[from->index] = now_of(v);
  if (args->number2 <= v->matched[from->index]) return;
  v->matched[from->index] = args->number2;
  advance(v);
}

static void on_heartbeat(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  if (args->number != v->reign) return;
  uint32_t answering = 1;
  for (uint32_t i = 0; i < v->etcd->voter_count; i++)
    answering += i != v->index && now_of(v) - v->answered_ns[i] <= ELECTION_NS;
  if (answering < quorum(v)) {
    follow(v, v->term, NOBODY);
    return;
  }
  send_all(v, on_append, v->term, v->commit);
  sim_after(self, HEARTBEAT_NS, on_heartbeat, args);
}

void sim_raft_lead(struct sim_voter *v) {
  v->role = SIM_RAFT_LEADER;
  v->reign++;
  for (uint32_t i = 0; i < v->etcd->voter_count; i++) {
    v->matched[i] = 0;
    v->answered_ns[i] = now_of(v);
  }
  sim_after(&v->process, HEARTBEAT_NS, on_heartbeat, &(struct sim_args){.number = v->reign});
  sim_raft_propose(v, &(struct sim_command){.kind = SIM_STORE_NOTHING}, NULL);
  sim_voter_joined(v, v->last->index);
  set_leader(v, v->index);
}

/* --- the follower ---------------------------------------------------------------------------- */

static void reply(struct sim_voter *v, const struct sim_log_entry *entry, uint32_t leader) {
  send(v, leader, on_append_reply, NULL, v->term, entry->index);
}

static void on_flushed(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  const struct sim_log_entry *entry = args->pointer2;
  if (!holds(v, entry)) return; /* replaced since */
  if (entry->index > v->durable->index) v->durable = entry;
  apply(v);
  if (args->number == v->term) reply(v, entry, (uint32_t)args->number2);
}

/* Takes the leader's log. */
static void adopt(struct sim_voter *v, const struct sim_log_entry *last, uint32_t leader) {
  v->last = last;
  while (!holds(v, v->durable)) v->durable = v->durable->before;
  sim_after(&v->process, v->etcd->fsync_ns, on_flushed,
            &(struct sim_args){
                .pointer2 = (void *)(uintptr_t)last, .number = v->term, .number2 = leader});
}

static void on_append(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  const struct sim_voter *from = args->pointer;
  const struct sim_log_entry *last = args->pointer2;
  if (args->number < v->term) {
    send(v, from->index, on_append_reply, NULL, v->term, 0); /* it is deposed and should know */
    return;
  }
  follow(v, args->number, from->index);
  bool held = last->index <= v->last->index && holds(v, last);
  if (args->number2 > v->commit) v->commit = args->number2;
  sim_voter_joined(v, last->index);
  if (!held) {
    adopt(v, last, from->index);
    return;
  }
  apply(v);
  reply(v, last->index < v->durable->index ? last : v->durable, from->index);
}

/* --- elections ------------------------------------------------------------------------------- */

static bool is_current(const struct sim_voter *v, const struct sim_log_entry *last) {
  return last->term > v->last->term ||
         (last->term == v->last->term && last->index >= v->last->index);
}

/* A voter that hears its leader helps nobody to depose it. */
static bool is_content(const struct sim_voter *v) {
  return v->role == SIM_RAFT_LEADER ||
         (v->leader != NOBODY && now_of(v) - v->heard_ns < ELECTION_NS);
}

static void on_vote_reply(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  const struct sim_voter *from = args->pointer;
  if (args->number > v->term) {
    follow(v, args->number, NOBODY);
    return;
  }
  if (v->role != SIM_RAFT_CANDIDATE || v->asking || args->number != v->term || !args->number2)
    return;
  v->granted |= 1u << from->index;
  if ((uint32_t)__builtin_popcount(v->granted) >= quorum(v)) sim_raft_lead(v);
}

static void on_vote_flushed(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  const struct sim_voter *candidate = args->pointer;
  if (v->term == args->number && v->vote == candidate->index)
    send(v, candidate->index, on_vote_reply, NULL, v->term, 1);
}

static void on_vote(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  const struct sim_voter *from = args->pointer;
  bool asked_to = args->number2; /* its leader wants to go */
  if (args->number > v->term && is_content(v) && !asked_to) return;
  if (args->number > v->term) follow(v, args->number, NOBODY);
  bool free = v->vote == NOBODY || v->vote == from->index;
  if (args->number < v->term || !free || !is_current(v, args->pointer2)) {
    send(v, from->index, on_vote_reply, NULL, v->term, 0);
    return;
  }
  v->vote = from->index;
  v->heard_ns = now_of(v);
  sim_after(self, v->etcd->fsync_ns, on_vote_flushed,
            &(struct sim_args){.pointer = args->pointer, .number = v->term});
}

static void on_own_vote_flushed(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  if (args->number != v->reign) return;
  if (quorum(v) == 1)
    sim_raft_lead(v);
  else
    send_all(v, on_vote, v->term, args->number2);
}

/* A majority would vote: now in earnest. */
static void stand(struct sim_voter *v, bool asked_to) {
  v->asking = false;
  v->term++;
  v->vote = v->index;
  v->granted = 1u << v->index;
  v->reign++;
  wait_for_leader(v);
  sim_after(&v->process, v->etcd->fsync_ns, on_own_vote_flushed,
            &(struct sim_args){.number = v->reign, .number2 = asked_to});
}

static void on_timeout_now(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  if (args->number != v->term || v->role == SIM_RAFT_LEADER) return;
  v->role = SIM_RAFT_CANDIDATE;
  set_leader(v, NOBODY);
  stand(v, true);
}

void sim_raft_hand_over(struct sim_voter *v) {
  uint32_t best = NOBODY;
  for (uint32_t i = 0; i < v->etcd->voter_count; i++) {
    bool there = i != v->index && now_of(v) - v->answered_ns[i] <= ELECTION_NS;
    if (there && (best == NOBODY || v->matched[i] > v->matched[best])) best = i;
  }
  if (v->role == SIM_RAFT_LEADER && best != NOBODY) send(v, best, on_timeout_now, NULL, v->term, 0);
}

static void on_prevote_reply(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  const struct sim_voter *from = args->pointer;
  if (!args->number2) {
    if (args->number > v->term) follow(v, args->number, NOBODY);
    return;
  }
  if (v->role != SIM_RAFT_CANDIDATE || !v->asking || args->number != v->term + 1) return;
  v->granted |= 1u << from->index;
  if ((uint32_t)__builtin_popcount(v->granted) >= quorum(v)) stand(v, false);
}

static void on_prevote(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  const struct sim_voter *from = args->pointer;
  bool granted = args->number > v->term && !is_content(v) && is_current(v, args->pointer2);
  send(v, from->index, on_prevote_reply, NULL, granted ? args->number : v->term, granted);
}

static void campaign(struct sim_voter *v) {
  v->role = SIM_RAFT_CANDIDATE;
  v->asking = true;
  v->granted = 1u << v->index;
  v->reign++;
  wait_for_leader(v);
  set_leader(v, NOBODY);
  if (quorum(v) == 1)
    stand(v, false);
  else
    send_all(v, on_prevote, v->term + 1, 0);
}

/* --- life ------------------------------------------------------------------------------------ */

void sim_raft_init(struct sim_voter *v) {
  v->vote = v->leader = NOBODY;
}

/* What was flushed is there; who leads is to be found out. */
void sim_raft_started(struct sim_voter *v) {
  v->last = v->durable;
  v->role = SIM_RAFT_FOLLOWER;
  v->leader = NOBODY;
  v->commit = v->keys.index;
  v->lessor = false;
  v->reign++;
  wait_for_leader(v);
}
