/* Simulated servers and their clients under failing allocations: what could not be had is an error
 * at the beginning, and later makes the run one that is not to be trusted; nothing else happens. */
#include "sim/sim.h"
#include "support/virtual_time.h"
#include "torture/allocations.h"

#define MEMBERS 3
#define CLIENT_HOST MEMBERS
#define CLIENTS 4

struct town;
struct person {
  struct town *town;
  struct session *session;
  struct request request;
  uint64_t sequence;
  bool busy;
};
struct town {
  struct virtual_time time;
  struct sim_world world;
  struct postgres_config config;
  struct host hosts[MEMBERS];
  const struct host *members[MEMBERS];
  struct endpoint endpoints[MEMBERS];
  struct sim_process client;
  struct sim_postgres_cluster *servers;
  struct access access;
  struct client_options options;
  struct person people[CLIENTS];
  uint64_t rows;
};

static const struct statement statements[] = {{.meaning = STATEMENT_APPEND},
                                              {.meaning = STATEMENT_READ_OWN},
                                              {.meaning = STATEMENT_HEARTBEAT_SET}};
static const struct sim_process_kind client_kind = {.name = "client"};
static const struct sim_postgres_costs costs = {.start_ns = 150 * NS_PER_MS,
                                                .recovery_ns = 100 * NS_PER_MS,
                                                .promote_ns = 100 * NS_PER_MS,
                                                .stop_ns = 100 * NS_PER_MS,
                                                .rewind_ns = 500 * NS_PER_MS,
                                                .copy_ns = NS_PER_S,
                                                .fsync_ns = NS_PER_MS,
                                                .execute_ns = 100 * NS_PER_US,
                                                .replay_ns = 10 * NS_PER_US,
                                                .authenticate_ns = NS_PER_MS};

static void changed(struct session *session, enum session_state state, const struct error *why) {
  (void)session;
  (void)state;
  (void)why;
}

static void complete(struct request *request, const struct reply *reply) {
  struct person *person = request->owner;
  (void)reply;
  person->busy = false;
}

static int make_world(struct town *town, struct error *err) {
  int status = sim_world_init(&town->world, town->time.loop, 1, MEMBERS + 1, 100 * NS_PER_US,
                              10 * NS_PER_US, err);
  if (status < 0) return status;
  struct sim_process *clients[HOSTS_MAX] = {[CLIENT_HOST] = &town->client};
  for (uint16_t i = 0; i < MEMBERS; i++) {
    town->hosts[i] = (struct host){.index = i};
    town->members[i] = &town->hosts[i];
    town->endpoints[i] = (struct endpoint){.host = i, .name = "pg"};
  }
  town->config = (struct postgres_config){.instances = MEMBERS, .max_connections = 100};
  sim_process_add(&town->world, &town->client, &client_kind, CLIENT_HOST, NULL);
  sim_process_start(&town->client);
  status = sim_postgres_cluster_new(&town->world, &town->config, &costs, town->members,
                                    &town->servers, err);
  if (status < 0) return status;
  sim_postgres_clients(town->servers, clients);
  sim_postgres_bootstrap(town->servers);
  return 0;
}

static int make_people(struct town *town, struct error *err) {
  town->options = (struct client_options){
      .connect_timeout_ns = NS_PER_S, .operation_timeout_ns = NS_PER_S, .pipeline_depth = 1};
  town->access = (struct access){.driver = &driver_sim_postgres,
                                 .endpoints = town->endpoints,
                                 .endpoint_count = MEMBERS,
                                 .context = town->servers};
  for (uint32_t i = 0; i < CLIENTS; i++) {
    struct person *person = &town->people[i];
    person->town = town;
    person->session = calloc(1, driver_sim_postgres.session_size);
    if (!person->session) return error_set(err, STATUS_MEMORY, "out of memory for a session");
    struct session_spec spec = {.access = &town->access,
                                .options = &town->options,
                                .route = i == 0 ? ROUTE_PINNED : ROUTE_PRIMARY,
                                .from_host = CLIENT_HOST,
                                .pinned_host = i == 0 ? 2 : HOST_NONE,
                                .statements = statements,
                                .statement_count = sizeof statements / sizeof *statements,
                                .changed = changed,
                                .owner = person};
    int status = driver_sim_postgres.session_init(person->session, &spec, town->time.loop, err);
    if (status < 0) return status;
  }
  return 0;
}

static void act(struct person *person, uint32_t identity) {
  struct session *session = person->session;
  if (session->state == SESSION_IDLE || session->state == SESSION_LOST) {
    driver_sim_postgres.session_connect(session);
    return;
  }
  if (session->state != SESSION_READY || person->busy) return;
  person->busy = true;
  person->sequence++;
  person->request =
      (struct request){.statement = person->sequence % 3 ? 0 : person->sequence % 2 + 1,
                       .numbers = {identity, (int64_t)person->sequence, 7},
                       .number_count = 3,
                       .text = "a row that is to be copied",
                       .deadline_ns = person->town->time.now_ns + NS_PER_S,
                       .complete = complete,
                       .owner = person};
  driver_sim_postgres.session_send(session, &person->request);
}

static int run(struct town *town, uint64_t for_ns, struct error *err) {
  uint64_t end_ns = town->time.now_ns + for_ns, next_ns = town->time.now_ns;
  while (town->time.now_ns < end_ns) {
    int status = loop_turn(town->time.loop, next_ns, err);
    if (status < 0) return status;
    if (town->time.now_ns < next_ns) continue;
    next_ns += 5 * NS_PER_MS;
    for (uint32_t i = 0; i < CLIENTS; i++) act(&town->people[i], i + 1);
  }
  return 0;
}

static void rebuilt(struct sim_process *self, const struct sim_args *args) {
  struct sim_postgres *server = args->pointer;
  (void)self;
  sim_postgres_start(server, SIM_PG_AS_STANDBY, 1);
}

/* A crash, a promotion, the return of what had gone its own way. */
static int live(struct town *town, struct error *err) {
  struct sim_postgres *old = sim_postgres_member(town->servers, 0);
  int status = run(town, NS_PER_S, err);
  sim_link(&town->world, 0, 1)->cut = sim_link(&town->world, 0, 2)->cut = true;
  if (status == 0) status = run(town, 200 * NS_PER_MS, err);
  sim_host_stop(&town->world, 0);
  sim_link(&town->world, 0, 1)->cut = sim_link(&town->world, 0, 2)->cut = false;
  sim_postgres_promote(sim_postgres_member(town->servers, 1));
  sim_postgres_follow(sim_postgres_member(town->servers, 2), 1);
  if (status == 0) status = run(town, 3 * NS_PER_S, err);
  sim_host_start(&town->world, 0);
  sim_postgres_rebuild(old, 1, true, &town->client, rebuilt);
  if (status == 0) status = run(town, 8 * NS_PER_S, err);
  return status;
}

static int count_row(void *data, const struct sim_record *record, struct error *err) {
  struct town *town = data;
  (void)err;
  assert_string_equal(record->payload, "a row that is to be copied");
  town->rows++;
  return 0;
}

static int attempt_life(void *data, struct error *err) {
  struct town *town = data;
  *town = (struct town){.rows = 0};
  int status = virtual_time_init(&town->time, err);
  if (status == 0) status = make_world(town, err);
  if (status == 0) status = make_people(town, err);
  if (status == 0) status = live(town, err);
  if (status == 0 && town->world.out_of_memory)
    status = error_set(err, STATUS_MEMORY, "out of memory for a simulation");
  if (status == 0) {
    for (uint32_t i = 0; i < MEMBERS; i++)
      status = sim_postgres_rows(sim_postgres_member(town->servers, i), count_row, town, err);
  }
  for (uint32_t i = 0; i < CLIENTS; i++) {
    driver_sim_postgres.session_release(town->people[i].session);
    free(town->people[i].session);
  }
  if (town->time.loop) sim_world_release(&town->world);
  sim_postgres_cluster_free(town->servers);
  virtual_time_release(&town->time);
  return status;
}

static void test_a_simulation_survives_each_failure(void **state) {
  (void)state;
  static struct town town;
  fail_each_allocation(attempt_life, &town);
  assert_true(town.rows > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_simulation_survives_each_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
