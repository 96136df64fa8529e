/* Simulated servers for tests. */
#include "support/sim_servers.h"

#include "sim/sim.h"
#include "support/test.h"

const struct sim_postgres_costs sim_servers_costs = {.start_ns = 150 * NS_PER_MS,
                                                     .recovery_ns = NS_PER_S,
                                                     .promote_ns = 300 * NS_PER_MS,
                                                     .stop_ns = 200 * NS_PER_MS,
                                                     .rewind_ns = 1500 * NS_PER_MS,
                                                     .copy_ns = 3 * NS_PER_S,
                                                     .fsync_ns = NS_PER_MS,
                                                     .execute_ns = 150 * NS_PER_US,
                                                     .replay_ns = 20 * NS_PER_US,
                                                     .authenticate_ns = 8 * NS_PER_MS};

static const struct statement statements[] = {
    [STATEMENT_APPEND] = {.meaning = STATEMENT_APPEND, .text = "append", .parameter_count = 4},
    [STATEMENT_READ_OWN] = {.meaning = STATEMENT_READ_OWN, .text = "own", .parameter_count = 1},
    [STATEMENT_READ_NEWEST] = {.meaning = STATEMENT_READ_NEWEST, .text = "newest"},
    [STATEMENT_HEARTBEAT_SET] = {.meaning = STATEMENT_HEARTBEAT_SET,
                                 .text = "beat",
                                 .parameter_count = 1},
    [STATEMENT_HEARTBEAT_GET] = {.meaning = STATEMENT_HEARTBEAT_GET, .text = "get"},
};

static const struct sim_process_kind client_kind = {.name = "client"};

void sim_servers_init(struct sim_servers *servers, uint32_t count, uint64_t seed,
                      const struct postgres_config *config) {
  struct error err = ERROR_INIT;
  *servers = (struct sim_servers){.count = count};
  servers->config =
      config ? *config
             : (struct postgres_config){
                   .topology = TOPOLOGY_PATRONI, .max_connections = 100, .use_pg_rewind = true};
  servers->config.instances = count;
  servers->options = (struct client_options){.connect_timeout_ns = 2 * NS_PER_S,
                                             .operation_timeout_ns = 5 * NS_PER_S,
                                             .reconnect_delay_ns = 100 * NS_PER_MS,
                                             .pipeline_depth = 1};
  virtual_time_begin(&servers->time);
  assert_ok(sim_world_init(&servers->world, servers->time.loop, seed, count + SIM_CLIENT_HOSTS,
                           100 * NS_PER_US, 20 * NS_PER_US, &err),
            &err);
  struct sim_process *clients[HOSTS_MAX] = {NULL};
  for (uint32_t i = 0; i < count + SIM_CLIENT_HOSTS; i++) {
    struct host *host = &servers->hosts[i];
    *host = (struct host){.index = (uint16_t)i, .kind = i < count ? HOST_SERVER : HOST_CLIENT};
    snprintf(host->name, sizeof host->name, i < count ? "pg%u" : "client%u", i + 1);
    if (i < count) {
      servers->members[i] = host;
      servers->endpoints[i] = (struct endpoint){.host = host->index, .name = host->name};
      continue;
    }
    struct sim_process *client = &servers->clients[i - count];
    sim_process_add(&servers->world, client, &client_kind, host->index, NULL);
    sim_process_start(client);
    clients[i] = client;
  }
  assert_ok(sim_postgres_cluster_new(&servers->world, &servers->config, &sim_servers_costs,
                                     servers->members, &servers->cluster, &err),
            &err);
  sim_postgres_clients(servers->cluster, clients);
  sim_postgres_bootstrap(servers->cluster);
  servers->access = (struct access){.driver = &driver_sim_postgres,
                                    .endpoints = servers->endpoints,
                                    .endpoint_count = count,
                                    .context = servers->cluster};
  assert_ok(driver_sim_postgres.execute(&servers->access, NULL, "create", NS_PER_S, &err), &err);
}

void sim_servers_release(struct sim_servers *servers) {
  assert_false(servers->world.out_of_memory);
  sim_world_release(&servers->world);
  sim_postgres_cluster_free(servers->cluster);
  virtual_time_release(&servers->time);
}

void sim_servers_run(struct sim_servers *servers, uint64_t for_ns) {
  virtual_time_run(&servers->time, servers->time.now_ns + for_ns, NULL);
}

struct sim_postgres *sim_servers_at(struct sim_servers *servers, uint32_t member) {
  return sim_postgres_member(servers->cluster, member);
}

void sim_servers_cut(struct sim_servers *servers, uint16_t a, uint16_t b, bool cut) {
  sim_link(&servers->world, a, b)->cut = cut;
  sim_link(&servers->world, b, a)->cut = cut;
}

/* --- clients --------------------------------------------------------------------------------- */

static void changed(struct session *session, enum session_state state, const struct error *why) {
  struct sim_client *client = session->spec.owner;
  if (state == SESSION_READY) {
    client->ready++;
    return;
  }
  client->lost++;
  client->lost_ns = client->servers->time.now_ns;
  client->why = *why;
}

static void complete(struct request *request, const struct reply *reply) {
  struct sim_client *client = request->owner;
  client->answers++;
  client->reply = *reply;
}

void sim_client_init(struct sim_client *client, struct sim_servers *servers, enum route route,
                     uint16_t pinned_host, uint32_t identity) {
  struct error err = ERROR_INIT;
  *client = (struct sim_client){.servers = servers, .identity = identity};
  client->session = calloc(1, driver_sim_postgres.session_size);
  assert_non_null(client->session);
  struct session_spec spec = {.access = &servers->access,
                              .options = &servers->options,
                              .route = route,
                              .from_host = (uint16_t)servers->count,
                              .pinned_host = pinned_host,
                              .statements = statements,
                              .statement_count = sizeof statements / sizeof *statements,
                              .seed = 1,
                              .changed = changed,
                              .owner = client};
  assert_ok(driver_sim_postgres.session_init(client->session, &spec, servers->time.loop, &err),
            &err);
}

void sim_client_release(struct sim_client *client) {
  driver_sim_postgres.session_release(client->session);
  free(client->session);
}

static void wait_for(struct sim_client *client, const uint32_t *counter, const uint32_t *other) {
  uint32_t before = *counter, before_other = *other;
  struct error err = ERROR_INIT;
  while (*counter == before && *other == before_other)
    assert_ok(loop_turn(client->servers->time.loop, TIME_NEVER, &err), &err);
}

bool sim_client_connect(struct sim_client *client) {
  driver_sim_postgres.session_connect(client->session);
  if (client->session->state == SESSION_CONNECTING) wait_for(client, &client->ready, &client->lost);
  return client->session->state == SESSION_READY;
}

void sim_client_send(struct sim_client *client, enum statement_meaning meaning) {
  struct request *request = &client->request;
  uint64_t now_ns = client->servers->time.now_ns;
  *request = (struct request){
      .statement = (uint32_t)meaning,
      .numbers = {client->identity},
      .number_count = 1,
      .deadline_ns = now_ns + client->servers->options.operation_timeout_ns,
      .complete = complete,
      .owner = client,
  };
  if (meaning == STATEMENT_APPEND) {
    client->sequence++;
    snprintf(client->text, sizeof client->text, "payload %u/%u", client->identity,
             (unsigned)client->sequence);
    request->numbers[1] = (int64_t)client->sequence;
    request->numbers[2] = 4711;
    request->number_count = 3;
    request->text = client->text;
  } else if (meaning == STATEMENT_HEARTBEAT_SET) {
    request->numbers[0] = (int64_t)++client->sequence;
  }
  driver_sim_postgres.session_send(client->session, request);
}

enum outcome sim_client_do(struct sim_client *client, enum statement_meaning meaning) {
  uint32_t before = client->answers;
  sim_client_send(client, meaning);
  if (client->answers == before) wait_for(client, &client->answers, &client->answers);
  return client->reply.outcome;
}

/* --- both ------------------------------------------------------------------------------------ */

struct sim_bench *sim_bench_new(uint32_t count, enum route route, uint16_t pinned_host) {
  struct sim_bench *bench = calloc(1, sizeof *bench);
  assert_non_null(bench);
  sim_servers_init(&bench->servers, count, 1, NULL);
  sim_client_init(&bench->client, &bench->servers, route, pinned_host, 7);
  return bench;
}

void sim_bench_free(struct sim_bench *bench) {
  sim_client_release(&bench->client);
  sim_servers_release(&bench->servers);
  free(bench);
}

void sim_bench_run(struct sim_bench *bench, uint64_t for_ns) {
  sim_servers_run(&bench->servers, for_ns);
}

struct sim_postgres *sim_bench_at(struct sim_bench *bench, uint32_t member) {
  return sim_servers_at(&bench->servers, member);
}

/* --- rows ------------------------------------------------------------------------------------ */

struct rows {
  char *text;
  size_t size, length;
  int count;
};

static int take_row(void *data, const char *const columns[], uint32_t count, struct error *err) {
  struct rows *rows = data;
  (void)err;
  assert_int_equal(count, 4);
  rows->count++;
  if (!rows->text) return 0;
  int added = snprintf(rows->text + rows->length, rows->size - rows->length, "%s/%s ", columns[0],
                       columns[1]);
  assert_true(added > 0 && (size_t)added < rows->size - rows->length);
  rows->length += (size_t)added;
  return 0;
}

static int read_rows(struct sim_servers *servers, uint32_t member, struct rows *rows) {
  struct error err = ERROR_INIT;
  return driver_sim_postgres.read_rows(&servers->access, &servers->endpoints[member], "copy",
                                       NS_PER_S, take_row, rows, &err);
}

void sim_servers_rows(struct sim_servers *servers, uint32_t member, char *text, size_t size) {
  struct rows rows = {.text = text, .size = size};
  text[0] = '\0';
  assert_int_equal(read_rows(servers, member, &rows), 0);
}

int sim_servers_row_count(struct sim_servers *servers, uint32_t member) {
  struct rows rows = {.text = NULL};
  return read_rows(servers, member, &rows) == 0 ? rows.count : -1;
}
