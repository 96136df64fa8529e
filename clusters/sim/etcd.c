/* Voters towards their clients: requests, watches and leases; and the life of their processes. */
#include "sim/etcd.h"

#include <stdio.h>
#include <string.h>

#define ELECTION_NS (ETCD_ELECTION_MS * NS_PER_MS)
#define LEASE_LOOK_NS (500 * NS_PER_MS)   /* lessor.go: the run loop */
#define REQUEST_TIMEOUT_NS (7 * NS_PER_S) /* config.go: 5 s + 2 election time-outs */
#define RENEW_RETRY_NS (50 * NS_PER_MS)   /* v3_server.go: LeaseRenew asks the leader again */
#define HAND_OVER_NS (50 * NS_PER_MS)     /* a leader that ends waits for its successor */
#define ANSWER_BYTES 400
#define BOOTSTRAP_TERM 2

static uint64_t now_of(const struct sim_voter *v) {
  return sim_now_ns(v->etcd->world);
}

void *sim_etcd_alloc(struct sim_etcd *etcd, size_t size) {
  void *memory = arena_alloc(&etcd->arena, size);
  if (!memory) etcd->world->out_of_memory = true;
  return memory;
}

static void tell_changed(struct sim_etcd *etcd) {
  if (etcd->changed) etcd->changed(etcd->data);
}

/* --- requests -------------------------------------------------------------------------------- */

static bool still_asked(const struct sim_args *args) {
  const struct sim_request *request = args->pointer;
  return !request->over;
}

static bool is_here(const struct sim_voter *v, const struct sim_request *request) {
  return request->voter == v && request->voter_life == v->process.life && !request->over;
}

static void answer(struct sim_voter *v, struct sim_request *request, struct sim_result result) {
  if (!is_here(v, request)) return;
  request->result = result;
  sim_send(&(struct sim_message){.from = &v->process,
                                 .to = request->from,
                                 .to_life = request->from_life,
                                 .bytes = ANSWER_BYTES,
                                 .deliver = sim_etcd_client_answered,
                                 .wanted = still_asked,
                                 .args = {.pointer = request}});
}

static void serve(struct sim_voter *v, struct sim_request *request);

static void on_retry(struct sim_process *self, const struct sim_args *args) {
  serve(self->owner, args->pointer);
}

static void serve_later(struct sim_voter *v, struct sim_request *request) {
  sim_after(&v->process, RENEW_RETRY_NS, on_retry, &(struct sim_args){.pointer = request});
}

static uint32_t lease_place(const struct sim_voter *v, uint64_t lease) {
  for (uint32_t i = 0; i < SIM_LEASES_MAX; i++)
    if (lease != 0 && v->keys.leases[i].id == lease) return i;
  return SIM_LEASES_MAX;
}

enum renewal { RENEWED, RENEW_AGAIN, RENEW_NEVER };

/* An expired lease is not renewed, and whoever asks is told when it has been revoked. */
static enum renewal renew(struct sim_voter *v, uint64_t lease) {
  uint32_t place = lease_place(v, lease);
  if (!v->lessor) return RENEW_AGAIN;
  if (place == SIM_LEASES_MAX) return RENEW_NEVER;
  if (v->lease_end_ns[place] <= now_of(v)) return RENEW_AGAIN;
  v->lease_end_ns[place] = now_of(v) + v->keys.leases[place].ttl_ns;
  return RENEWED;
}

static void renewed(struct sim_voter *v, struct sim_request *request, enum renewal renewal) {
  if (!is_here(v, request)) return;
  if (renewal == RENEW_AGAIN)
    serve_later(v, request);
  else
    answer(v, request,
           (struct sim_result){.kind = renewal == RENEWED ? SIM_RESULT_OK : SIM_RESULT_NO_LEASE});
}

static void on_renewed(struct sim_process *self, const struct sim_args *args) {
  renewed(self->owner, args->pointer2, (enum renewal)args->number);
}

static void send_peer(struct sim_voter *v, uint32_t to, sim_call *deliver,
                      struct sim_request *request, uint64_t number) {
  struct sim_voter *peer = &v->etcd->voters[to];
  sim_send(&(struct sim_message){
      .from = &v->process,
      .to = &peer->process,
      .to_life = peer->process.life,
      .bytes = ANSWER_BYTES,
      .deliver = deliver,
      .wanted = sim_raft_fresh,
      .args = {.pointer = v, .pointer2 = request, .number = number, .number3 = now_of(v)}});
}

/* A follower has passed it on; who leads no more drops it, and the client's time-out does the rest.
 */
static void on_forwarded(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  const struct sim_voter *from = args->pointer;
  struct sim_request *request = args->pointer2;
  if (request->command.kind == SIM_STORE_KEEPALIVE) {
    enum renewal renewal =
        v->role == SIM_RAFT_LEADER ? renew(v, request->command.lease) : RENEW_AGAIN;
    send_peer(v, from->index, on_renewed, request, renewal);
  } else if (v->role == SIM_RAFT_LEADER) {
    sim_raft_propose(v, &request->command, request);
  }
}

static void wait(struct sim_voter *v, struct sim_request *request) {
  struct sim_request **end = &v->waiting;
  while (*end) end = &(*end)->next;
  request->next = NULL;
  *end = request;
}

static void copy_keys(struct sim_voter *v, struct sim_request *request) {
  struct sim_keys *copy = sim_etcd_alloc(v->etcd, sizeof *copy);
  if (!copy) return;
  *copy = v->keys;
  request->keys = copy;
  v->streams[request->client->index] = request->command.number;
  answer(v, request, (struct sim_result){.kind = SIM_RESULT_OK});
}

static void serve(struct sim_voter *v, struct sim_request *request) {
  if (!is_here(v, request) || now_of(v) - request->received_ns > REQUEST_TIMEOUT_NS) return;
  bool local = request->command.kind == SIM_STORE_READ || request->command.kind == SIM_STORE_VOTERS;
  if (!v->serves || (!local && v->leader == NOBODY))
    wait(v, request);
  else if (request->command.kind == SIM_STORE_READ)
    copy_keys(v, request);
  else if (request->command.kind == SIM_STORE_VOTERS)
    answer(v, request, (struct sim_result){.kind = SIM_RESULT_OK});
  else if (v->leader != v->index)
    send_peer(v, v->leader, on_forwarded, request, 0);
  else if (request->command.kind == SIM_STORE_KEEPALIVE)
    renewed(v, request, renew(v, request->command.lease));
  else
    sim_raft_propose(v, &request->command, request);
}

void sim_etcd_receive(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  struct sim_request *request = args->pointer;
  request->voter_life = self->life;
  request->received_ns = now_of(v);
  serve(v, request);
}

static void serve_waiting(struct sim_voter *v) {
  struct sim_request *request = v->waiting;
  v->waiting = NULL;
  while (request) {
    struct sim_request *next = request->next;
    serve(v, request);
    request = next;
  }
}

void sim_voter_led(struct sim_voter *v) {
  tell_changed(v->etcd);
  if (v->leader != NOBODY) serve_waiting(v);
}

/* A voter that has just started serves clients when it has published itself through the log
 * (embed/serve.go: ReadyNotify()): before that it may be far behind, and reads are its own. */
static void look_whether_it_serves(struct sim_voter *v) {
  if (v->serves || v->join == 0 || v->keys.index < v->join) return;
  v->serves = true;
  serve_waiting(v);
}

void sim_voter_joined(struct sim_voter *v, uint64_t index) {
  if (v->join == 0) v->join = index;
  look_whether_it_serves(v);
}

/* --- leases ---------------------------------------------------------------------------------- */

static void on_lease_look(struct sim_process *self, const struct sim_args *args) {
  struct sim_voter *v = self->owner;
  if (args->number != v->reign) return;
  for (uint32_t i = 0; i < SIM_LEASES_MAX; i++) {
    const struct sim_lease *lease = &v->keys.leases[i];
    if (lease->id == 0 || v->lease_end_ns[i] == 0 || v->lease_end_ns[i] > now_of(v)) continue;
    v->lease_end_ns[i] = 0; /* being revoked */
    sim_raft_propose(v, &(struct sim_command){.kind = SIM_STORE_REVOKE, .lease = lease->id}, NULL);
  }
  sim_after(self, LEASE_LOOK_NS, on_lease_look, args);
}

/* It cannot know when each was last renewed: all begin anew, and an election time-out longer. */
static void take_leases(struct sim_voter *v) {
  v->lessor = true;
  for (uint32_t i = 0; i < SIM_LEASES_MAX; i++)
    v->lease_end_ns[i] = now_of(v) + v->keys.leases[i].ttl_ns + ELECTION_NS;
  sim_after(&v->process, prng_below(&v->prng, LEASE_LOOK_NS), on_lease_look,
            &(struct sim_args){.number = v->reign});
  tell_changed(v->etcd);
}

/* --- what has been applied ------------------------------------------------------------------- */

static void tell_watches(struct sim_voter *v, const struct sim_log_entry *entry) {
  for (uint32_t i = 0; i < v->etcd->client_count; i++) {
    struct sim_etcd_client *client = v->etcd->clients[i];
    if (v->streams[i] == 0 || !client->process->running) continue;
    sim_send(&(struct sim_message){
        .from = &v->process,
        .to = client->process,
        .to_life = client->process->life,
        .connection = v->streams[i],
        .bytes = ANSWER_BYTES,
        .deliver = sim_etcd_client_told,
        .args = {
            .pointer = client, .pointer2 = (void *)(uintptr_t)entry, .number = v->streams[i]}});
  }
}

void sim_voter_applied(struct sim_voter *v, const struct sim_log_entry *entry,
                       const struct sim_result *result) {
  struct sim_etcd *etcd = v->etcd;
  if (v->lessor && entry->command.kind == SIM_STORE_GRANT && result->kind == SIM_RESULT_OK)
    v->lease_end_ns[lease_place(v, entry->index)] = now_of(v) + entry->command.number;
  if (!v->lessor && v->role == SIM_RAFT_LEADER && entry->term == v->term) take_leases(v);
  if (entry->request) {
    entry->request->entry = entry;
    answer(v, entry->request, *result);
  }
  tell_watches(v, entry);
  look_whether_it_serves(v);
  if (entry->index <= etcd->seen_index) return;
  etcd->seen_index = entry->index;
  if (v->keys.leader == etcd->seen_leader) return;
  etcd->seen_leader = v->keys.leader;
  tell_changed(etcd);
}

/* --- life ------------------------------------------------------------------------------------ */

static void started(struct sim_process *process) {
  struct sim_voter *v = process->owner;
  if (!v->durable) return; /* the bootstrap does the rest */
  sim_raft_started(v);
}

/* Its kernel closes its connections; without power nobody does. */
static void died(struct sim_process *process, bool power) {
  struct sim_voter *v = process->owner;
  v->waiting = NULL;
  v->leader = NOBODY;
  v->role = SIM_RAFT_FOLLOWER;
  v->lessor = v->serves = false;
  v->join = 0;
  v->reign++;
  memset(v->streams, 0, sizeof v->streams);
  for (uint32_t i = 0; !power && i < v->etcd->client_count; i++)
    sim_etcd_client_reset(v->etcd->clients[i], v);
  tell_changed(v->etcd);
}

static const struct sim_process_kind etcd_kind = {.name = "etcd",
                                                  .unit = true,
                                                  .port = ETCD_CLIENT_PORT,
                                                  .peer_port = ETCD_PEER_PORT,
                                                  .started = started,
                                                  .died = died};

static void on_handed_over(struct sim_process *self, const struct sim_args *args) {
  (void)args;
  sim_process_kill(self);
}

void sim_etcd_terminate(struct sim_voter *v) {
  sim_raft_hand_over(v);
  sim_after(&v->process, HAND_OVER_NS, on_handed_over, NULL);
}

void sim_etcd_init(struct sim_etcd *etcd, struct sim_world *world, uint64_t fsync_ns,
                   uint32_t voter_count, const struct host *const *hosts) {
  etcd->world = world;
  etcd->fsync_ns = fsync_ns;
  etcd->voter_count = voter_count;
  etcd->seen_leader = NOBODY;
  arena_init(&etcd->arena, 0);
  for (uint32_t i = 0; i < voter_count; i++) {
    struct sim_voter *v = &etcd->voters[i];
    char stream[32];
    v->etcd = etcd;
    v->index = i;
    snprintf(stream, sizeof stream, "sim/etcd/%u", i);
    prng_init(&v->prng, world->seed, stream);
    sim_keys_init(&v->keys);
    sim_raft_init(v);
    sim_process_add(world, &v->process, &etcd_kind, hosts[i]->index, v);
  }
}

void sim_etcd_release(struct sim_etcd *etcd) {
  arena_release(&etcd->arena);
}

void sim_etcd_bootstrap(struct sim_etcd *etcd, const struct sim_keys *keys,
                        const uint64_t lease_end_ns[SIM_LEASES_MAX]) {
  struct prng prng;
  prng_init(&prng, etcd->world->seed, "sim/etcd");
  struct sim_log_entry *root = sim_etcd_alloc(etcd, sizeof *root);
  if (!root) return;
  *root = (struct sim_log_entry){.index = keys->index, .term = BOOTSTRAP_TERM};
  etcd->seen_index = keys->index;
  etcd->seen_leader = keys->leader;
  uint32_t leader = (uint32_t)prng_below(&prng, etcd->voter_count);
  for (uint32_t i = 0; i < etcd->voter_count; i++) {
    struct sim_voter *v = &etcd->voters[i];
    v->keys = *keys;
    v->durable = root;
    v->term = BOOTSTRAP_TERM;
    v->vote = leader;
    v->serves = true;
    sim_process_start(&v->process);
  }
  struct sim_voter *v = &etcd->voters[leader];
  sim_raft_lead(v);
  take_leases(v);
  memcpy(v->lease_end_ns, lease_end_ns, sizeof v->lease_end_ns);
  for (uint32_t i = 0; i < etcd->voter_count; i++) etcd->voters[i].leader = leader;
}

bool sim_etcd_alive(const struct sim_etcd *etcd) {
  for (uint32_t i = 0; i < etcd->voter_count; i++) {
    const struct sim_voter *v = &etcd->voters[i];
    if (v->process.running && !v->process.frozen && v->role == SIM_RAFT_LEADER && v->lessor)
      return true;
  }
  return false;
}
