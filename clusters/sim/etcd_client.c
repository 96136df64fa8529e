/* Patroni's client of etcd: commands are tried at one voter after the other, as
 * AbstractEtcdClientWithFailover.api_execute() in Patroni's dcs/etcd.py does; the keys are cached
 * and kept up to date by a watch at one voter, as KVCache in dcs/etcd3.py does. */
#include "sim/etcd.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define REQUEST_BYTES 300
#define READER_PAUSE_NS NS_PER_S /* KVCache.run() */
#define DELAY_NS (100 * NS_PER_MS)
#define DELAY_MAX_NS NS_PER_S
#define DELAY_JITTER_NS (800 * NS_PER_MS)

static uint64_t now_of(const struct sim_etcd_client *client) {
  return sim_now_ns(client->etcd->world);
}

static void try_next(struct sim_attempts *attempts);
static void read_keys(struct sim_etcd_client *client);

/* --- the order of voters --------------------------------------------------------------------- */

static void shuffle(struct sim_etcd_client *client) {
  for (uint32_t i = client->etcd->voter_count; i > 1; i--) {
    uint32_t other = (uint32_t)prng_below(&client->prng, i), last = client->voters[i - 1];
    client->voters[i - 1] = client->voters[other];
    client->voters[other] = last;
  }
}

/* The base first, then the others in their order; the first `count` of these. */
static void fill_order(struct sim_attempts *attempts, uint32_t count, uint32_t repeats) {
  const struct sim_etcd_client *client = attempts->client;
  attempts->order[0] = client->base;
  attempts->count = 1;
  for (uint32_t i = 0; i < client->etcd->voter_count && attempts->count < count; i++)
    if (client->voters[i] != client->base) attempts->order[attempts->count++] = client->voters[i];
  attempts->repeats = repeats;
  attempts->next = 0;
  attempts->round++;
}

/* _calculate_timeouts(): at least a second for each voter, or fewer voters. False: none. */
static bool plan_round(struct sim_attempts *attempts, uint64_t left_ns) {
  uint32_t voters = attempts->client->etcd->voter_count;
  uint32_t most = 4 - (voters < 3 ? voters : 3), repeats = 1;
  while (voters > 0 && left_ns / voters < NS_PER_S) {
    voters--;
    most = 1;
  }
  if (voters == 0) return false;
  uint64_t timeout_ns = left_ns / voters;
  while (repeats < most && timeout_ns / (repeats + 1) >= NS_PER_S) repeats++;
  attempts->timeout_ns = timeout_ns / repeats;
  fill_order(attempts, voters, repeats);
  return true;
}

/* The watch is made anew whenever the base is chosen, be it the same. */
static void choose_base(struct sim_etcd_client *client, uint32_t voter) {
  client->base = voter;
  if (client->reader.active) {
    client->again = true;
  } else {
    client->ready = false;
    read_keys(client);
  }
}

/* --- the end of a command -------------------------------------------------------------------- */

static void finish(struct sim_attempts *attempts, const struct sim_result *result) {
  attempts->active = false;
  attempts->round++;
  attempts->done(attempts->client, result);
}

static void fail(struct sim_attempts *attempts) {
  finish(attempts, &(struct sim_result){.kind = SIM_RESULT_FAILED});
}

/* --- rounds ---------------------------------------------------------------------------------- */

static void on_pause_over(struct sim_process *self, const struct sim_args *args) {
  struct sim_attempts *attempts = args->pointer;
  (void)self;
  if (attempts->active && args->number == attempts->round) try_next(attempts);
}

/* Another round, if there is time for one. */
static void next_round(struct sim_attempts *attempts) {
  struct sim_etcd_client *client = attempts->client;
  uint64_t pause_ns = attempts->delay_ns + prng_below(&client->prng, DELAY_JITTER_NS);
  uint64_t begin_ns = now_of(client) + pause_ns;
  attempts->delay_ns *= 2;
  if (attempts->delay_ns > DELAY_MAX_NS) attempts->delay_ns = DELAY_MAX_NS;
  uint64_t left_ns = begin_ns < attempts->stop_ns ? attempts->stop_ns - begin_ns : 0;
  if (!plan_round(attempts, left_ns)) {
    client->stale = true;
    if (attempts == &client->main) choose_base(client, client->base);
    fail(attempts);
    return;
  }
  sim_after(client->process, pause_ns, on_pause_over,
            &(struct sim_args){.pointer = attempts, .number = attempts->round});
}

static void list_voters(struct sim_attempts *attempts) {
  attempts->listing = true;
  bool possible = plan_round(attempts, attempts->client->retry_timeout_ns);
  assert(possible); /* it is 3 s at least */
  try_next(attempts);
}

/* Nobody has answered. */
static void round_failed(struct sim_attempts *attempts) {
  struct sim_etcd_client *client = attempts->client;
  if (!attempts->listing) {
    list_voters(attempts);
    return;
  }
  attempts->listing = false;
  if (!client->stale) {
    next_round(attempts);
    return;
  }
  fail(attempts); /* not even the list, which had to be had first */
}

static void listed(struct sim_attempts *attempts) {
  struct sim_etcd_client *client = attempts->client;
  attempts->listing = false;
  shuffle(client);
  if (!client->stale) {
    next_round(attempts);
    return;
  }
  client->stale = false;
  plan_round(attempts, client->retry_timeout_ns);
  try_next(attempts);
}

/* --- attempts -------------------------------------------------------------------------------- */

static struct sim_attempts *owner_of(const struct sim_request *request) {
  struct sim_etcd_client *client = request->client;
  if (client->main.request == request) return &client->main;
  return client->reader.request == request ? &client->reader : NULL;
}

static bool still_wanted(const struct sim_args *args) {
  const struct sim_request *request = args->pointer;
  return !request->over;
}

/* urllib3 closes all its connections after an error. */
static void attempt_failed(struct sim_request *request) {
  struct sim_attempts *attempts = owner_of(request);
  struct sim_etcd_client *client = request->client;
  if (request->over || !attempts) return;
  request->over = true;
  attempts->request = NULL;
  memset(client->connected, 0, sizeof client->connected);
  if (attempts->stop_ns != 0 || attempts->listing) {
    try_next(attempts);
    return;
  }
  /* Without knowing what became of it, the next command goes to the next voter. */
  uint32_t next = client->base;
  for (uint32_t i = 0; i < client->etcd->voter_count && next == client->base; i++)
    next = client->voters[i];
  choose_base(client, next);
  fail(attempts);
}

static void on_broken(struct sim_process *self, const struct sim_args *args) {
  (void)self;
  attempt_failed(args->pointer);
}

static void send_request(struct sim_request *request) {
  struct sim_etcd_client *client = request->client;
  request->connected = true;
  sim_send(&(struct sim_message){.from = client->process,
                                 .to = &request->voter->process,
                                 .to_life = client->connected[request->voter->index],
                                 .bytes = REQUEST_BYTES,
                                 .deliver = sim_etcd_receive,
                                 .broken = on_broken,
                                 .wanted = still_wanted,
                                 .args = {.pointer = request}});
}

static void on_opened(struct sim_process *self, const struct sim_args *args) {
  struct sim_request *request = args->pointer;
  (void)self;
  if (request->over) return;
  request->client->connected[request->voter->index] = args->number3;
  send_request(request);
}

static void on_timeout(struct sim_process *self, const struct sim_args *args) {
  (void)self;
  attempt_failed(args->pointer);
}

static void on_connect_timeout(struct sim_process *self, const struct sim_args *args) {
  const struct sim_request *request = args->pointer;
  (void)self;
  if (!request->connected) attempt_failed(args->pointer);
}

static void attempt(struct sim_attempts *attempts, struct sim_voter *voter) {
  struct sim_etcd_client *client = attempts->client;
  struct sim_request *request = sim_etcd_alloc(client->etcd, sizeof *request);
  if (!request) return;
  *request = (struct sim_request){.command = attempts->command,
                                  .client = client,
                                  .from = client->process,
                                  .from_life = client->process->life,
                                  .voter = voter};
  if (attempts->listing) request->command = (struct sim_command){.kind = SIM_STORE_VOTERS};
  attempts->request = request;
  const struct sim_args args = {.pointer = request};
  uint64_t connect_ns = attempts->timeout_ns / 2 > NS_PER_S ? attempts->timeout_ns / 2 : NS_PER_S;
  sim_after(client->process, attempts->timeout_ns, on_timeout, &args);
  if (client->connected[voter->index]) {
    send_request(request);
    return;
  }
  sim_after(client->process, connect_ns, on_connect_timeout, &args);
  sim_connect(&(struct sim_connect){.from = client->process,
                                    .to = &voter->process,
                                    .opened = on_opened,
                                    .refused = on_broken,
                                    .wanted = still_wanted,
                                    .args = args});
}

static void try_next(struct sim_attempts *attempts) {
  if (attempts->next == attempts->count * attempts->repeats) {
    round_failed(attempts);
    return;
  }
  uint32_t voter = attempts->order[attempts->next++ / attempts->repeats];
  attempt(attempts, &attempts->client->etcd->voters[voter]);
}

static void begin(struct sim_attempts *attempts, const struct sim_command *command,
                  uint64_t stop_ns) {
  struct sim_etcd_client *client = attempts->client;
  assert(!attempts->active);
  attempts->active = true;
  attempts->listing = false;
  attempts->command = *command;
  attempts->stop_ns = stop_ns;
  attempts->delay_ns = DELAY_NS;
  if (client->stale) {
    list_voters(attempts);
    return;
  }
  plan_round(attempts, client->retry_timeout_ns);
  try_next(attempts);
}

void sim_etcd_client_call(struct sim_etcd_client *client, const struct sim_command *command,
                          uint64_t stop_ns,
                          void (*done)(struct sim_etcd_client *client,
                                       const struct sim_result *result)) {
  client->main.done = done;
  begin(&client->main, command, stop_ns);
}

void sim_etcd_client_answered(struct sim_process *process, const struct sim_args *args) {
  struct sim_request *request = args->pointer;
  struct sim_attempts *attempts = owner_of(request);
  struct sim_etcd_client *client = request->client;
  (void)process;
  if (request->over || !attempts) return;
  request->over = true;
  if (attempts->listing) {
    attempts->request = NULL;
    listed(attempts);
    return;
  }
  /* Its own writes are in the cache when the command returns. */
  if (request->entry && client->ready) sim_keys_catch_up(&client->keys, request->entry, NULL, NULL);
  bool moved = request->voter->index != client->base;
  if (moved) choose_base(client, request->voter->index);
  const struct sim_result result = request->result;
  finish(attempts, &result);
}

/* --- the cache ------------------------------------------------------------------------------- */

static void on_read_again(struct sim_process *self, const struct sim_args *args) {
  struct sim_etcd_client *client = args->pointer;
  (void)self;
  if (!client->reader.active && !client->ready) read_keys(client);
}

/* TCP keepalive (Etcd3.set_socket_options()): the voter's kernel answers for it, a new one with a
 * reset, a dead host's not at all. Modelled by a SYN. */
static bool probe_wanted(const struct sim_args *args) {
  const struct sim_etcd_client *client = args->pointer;
  return client->ready && client->stream == args->number && client->probe == args->number2;
}

static void on_probe_failed(struct sim_process *self, const struct sim_args *args) {
  (void)self;
  if (probe_wanted(args)) read_keys(args->pointer);
}

static void on_idle(struct sim_process *self, const struct sim_args *args);

static void listen_from(struct sim_etcd_client *client, uint64_t heard_ns) {
  client->heard_ns = heard_ns;
  client->probe++;
  sim_after(
      client->process, client->idle_ns, on_idle,
      &(struct sim_args){.pointer = client, .number = client->stream, .number2 = client->probe});
}

static void on_probed(struct sim_process *self, const struct sim_args *args) {
  struct sim_etcd_client *client = args->pointer;
  if (!probe_wanted(args)) return;
  if (args->number3 == client->watched_life)
    listen_from(client, now_of(client));
  else
    on_probe_failed(self, args);
}

static void on_idle(struct sim_process *self, const struct sim_args *args) {
  struct sim_etcd_client *client = args->pointer;
  if (!probe_wanted(args)) return;
  uint64_t due_ns = client->heard_ns + client->idle_ns, now_ns = now_of(client);
  if (now_ns < due_ns) {
    sim_after(self, due_ns - now_ns, on_idle, args);
    return;
  }
  sim_after(self, client->dead_ns - client->idle_ns, on_probe_failed, args);
  sim_connect(&(struct sim_connect){.from = self,
                                    .to = &client->etcd->voters[client->watched].process,
                                    .opened = on_probed,
                                    .refused = on_probe_failed,
                                    .wanted = probe_wanted,
                                    .args = *args});
}

static void keys_read(struct sim_etcd_client *client, const struct sim_result *result) {
  const struct sim_request *request = client->reader.request;
  if (result->kind != SIM_RESULT_OK || !request || !request->keys) {
    sim_after(client->process, READER_PAUSE_NS, on_read_again,
              &(struct sim_args){.pointer = client});
    return;
  }
  client->keys = *request->keys;
  client->watched = request->voter->index;
  client->watched_life = request->voter_life;
  if (client->again) {
    client->again = false;
    read_keys(client);
    return;
  }
  client->ready = true;
  listen_from(client, now_of(client));
  client->cached(client);
}

static void read_keys(struct sim_etcd_client *client) {
  client->ready = client->again = false;
  client->stream++;
  client->reader.done = keys_read;
  begin(&client->reader, &(struct sim_command){.kind = SIM_STORE_READ, .number = client->stream},
        now_of(client) + client->retry_timeout_ns);
}

void sim_etcd_client_told(struct sim_process *process, const struct sim_args *args) {
  const struct sim_log_entry *entry = args->pointer2;
  struct sim_etcd_client *client = args->pointer;
  (void)process;
  if (!client->ready || args->number != client->stream) return;
  client->heard_ns = now_of(client);
  if (entry->index <= client->keys.index) return;
  uint32_t leader = client->keys.leader;
  uint64_t position = client->keys.status_position;
  sim_keys_catch_up(&client->keys, entry, NULL, NULL);
  client->news(client, leader, position);
}

static void on_reset(struct sim_process *self, const struct sim_args *args) {
  struct sim_etcd_client *client = args->pointer;
  uint32_t voter = (uint32_t)args->number;
  (void)self;
  if (client->connected[voter] == args->number2) client->connected[voter] = 0;
  for (int i = 0; i < 2; i++) {
    struct sim_attempts *attempts = i ? &client->reader : &client->main;
    struct sim_request *request = attempts->request;
    if (attempts->active && request && !request->over && request->connected &&
        request->voter->index == voter)
      attempt_failed(request);
  }
  if (client->ready && client->watched == voter && args->number3 == client->stream)
    read_keys(client);
}

void sim_etcd_client_reset(struct sim_etcd_client *client, const struct sim_voter *voter) {
  struct sim_world *world = client->etcd->world;
  uint16_t there = voter->process.host, here = client->process->host;
  const struct sim_link *link = sim_link(world, there, here);
  bool open = sim_link_is_open(world, there, here, voter->process.kind->port);
  if (!client->process->running || !open) return;
  sim_after(client->process, link->latency_ns, on_reset,
            &(struct sim_args){.pointer = client,
                               .number = voter->index,
                               .number2 = client->connected[voter->index],
                               .number3 = client->stream});
}

/* --- life ------------------------------------------------------------------------------------ */

void sim_etcd_client_init(struct sim_etcd_client *client, struct sim_etcd *etcd,
                          struct sim_process *process, uint64_t retry_timeout_ns, uint64_t idle_ns,
                          uint64_t dead_ns) {
  char stream[40];
  client->etcd = etcd;
  client->process = process;
  client->retry_timeout_ns = retry_timeout_ns;
  client->idle_ns = idle_ns;
  client->dead_ns = dead_ns;
  client->index = etcd->client_count;
  client->main.client = client->reader.client = client;
  etcd->clients[etcd->client_count++] = client;
  snprintf(stream, sizeof stream, "sim/etcd-client/%u", client->index);
  prng_init(&client->prng, etcd->world->seed, stream);
  for (uint32_t i = 0; i < etcd->voter_count; i++) client->voters[i] = i;
}

void sim_etcd_client_start(struct sim_etcd_client *client) {
  shuffle(client);
  client->base = client->voters[0];
  client->stale = false;
  memset(client->connected, 0, sizeof client->connected);
  read_keys(client);
}

void sim_etcd_client_bootstrap(struct sim_etcd_client *client) {
  shuffle(client);
  client->base = client->watched = client->voters[0];
  struct sim_voter *voter = &client->etcd->voters[client->base];
  client->connected[client->base] = client->watched_life = voter->process.life;
  client->stream++;
  voter->streams[client->index] = client->stream;
  client->keys = voter->keys;
  client->ready = true;
  listen_from(client, now_of(client));
}

void sim_etcd_client_stop(struct sim_etcd_client *client) {
  struct sim_attempts *both[] = {&client->main, &client->reader};
  for (int i = 0; i < 2; i++) {
    if (both[i]->request) both[i]->request->over = true;
    both[i]->request = NULL;
    both[i]->active = false;
    both[i]->round++;
  }
  client->ready = client->again = false;
  for (uint32_t i = 0; i < client->etcd->voter_count; i++)
    client->etcd->voters[i].streams[client->index] = 0;
}
