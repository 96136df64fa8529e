/* Sessions with a real server, and the server of a group of tests. */
#include "support/seen.h"

#include "support/test.h"

#define PATIENCE_NS (20 * NS_PER_S)
#define SOON_NS (200 * NS_PER_MS)

/* --- the server of a group ------------------------------------------------------------------- */

struct group {
  struct postgres_server server;
  bool made;
  struct error why_not;
};

int seen_group_begin(void **state) {
  struct group *group = calloc(1, sizeof *group);
  if (!group) return -1;
  *state = group;
  group->made = postgres_server_make(&group->server, &group->why_not) == 0;
  return group->made || group->why_not.status == STATUS_ENVIRONMENT ? 0 : -1;
}

int seen_group_end(void **state) {
  struct group *group = *state;
  if (group && group->made) postgres_server_remove(&group->server);
  free(group);
  return 0;
}

struct postgres_server *seen_server(void **state) {
  struct group *group = *state;
  if (!group->made) skip_because("%s", group->why_not.message);
  if (group->server.pid == 0) start_server(&group->server, NULL, false);
  return &group->server;
}

struct workload_env ledger_env(const struct postgres_server *server) {
  static const struct pg_ledger_config config = {.common.clients = 1, .common.payload = 64};
  return (struct workload_env){
      .workload = &workload_pg_ledger, .config = &config, .access = &server->access};
}

struct postgres_server *ledger_server(void **state) {
  struct postgres_server *server = seen_server(state);
  struct workload_env env = ledger_env(server);
  struct error err = ERROR_INIT;
  /* A statement that was given up goes on in the server, and holds its locks. */
  run_sql(server,
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
          " WHERE application_name = 'gameday' AND pid <> pg_backend_pid()");
  assert_ok(workload_pg_ledger.prepare(&env, &err), &err);
  return server;
}

void run_sql(const struct postgres_server *server, const char *text) {
  struct error err = ERROR_INIT;
  assert_ok(postgres_server_execute(server, text, &err), &err);
}

void start_server(struct postgres_server *server, const char *const *options, bool standby) {
  struct error err = ERROR_INIT;
  assert_ok(postgres_server_start(server, options, standby, &err), &err);
}

/* --- sessions -------------------------------------------------------------------------------- */

static void changed(struct session *session, enum session_state state, const struct error *why) {
  struct seen *seen = session->spec.owner;
  assert_int_equal(session->state, state);
  if (state == SESSION_READY) seen->ready++;
  if (state == SESSION_LOST) seen->lost++;
  if (why) seen->why = *why;
}

static const struct statement statements[] = {
    [SEEN_APPEND] = {.meaning = STATEMENT_APPEND,
                     .text = "INSERT INTO gameday.ledger (identity, sequence, checksum, payload)"
                             " VALUES ($1, $2, $3, $4)",
                     .parameter_count = 4},
    [SEEN_READ_OWN] = {.meaning = STATEMENT_READ_OWN,
                       .text = "SELECT identity, sequence FROM gameday.ledger WHERE identity = $1"
                               " ORDER BY sequence DESC LIMIT 1",
                       .parameter_count = 1},
    [SEEN_SLOW_APPEND] = {.meaning = STATEMENT_APPEND,
                          .text =
                              "INSERT INTO gameday.ledger (identity, sequence, checksum, payload)"
                              " SELECT $1, $2, $3, $4 FROM pg_sleep(60)",
                          .parameter_count = 4},
};

/* With a loop and its options already. */
static void init_session(struct seen *seen, struct session_spec *spec) {
  struct error err = ERROR_INIT;
  spec->options = &seen->options;
  spec->changed = changed;
  spec->owner = seen;
  assert_ok(driver_pg.session_init(&seen->session.base, spec, seen->loop, &err), &err);
}

void seen_init(struct seen *seen, const struct access *access, enum route route, uint32_t depth) {
  struct error err = ERROR_INIT;
  *seen = (struct seen){.options = {.connect_timeout_ns = 2 * NS_PER_S,
                                    .operation_timeout_ns = 5 * NS_PER_S,
                                    .reconnect_delay_ns = 10 * NS_PER_MS,
                                    .tcp_user_timeout_ns = 5 * NS_PER_S,
                                    .pipeline_depth = depth}};
  assert_ok(loop_new(&seen->loop, &err), &err);
  struct session_spec spec = {.access = access,
                              .route = route,
                              .pinned_host = route == ROUTE_PRIMARY ? HOST_NONE : 0,
                              .statements = statements,
                              .statement_count = sizeof statements / sizeof *statements};
  init_session(seen, &spec);
}

void seen_init_resolving(struct seen *seen, const struct access *access,
                         uint64_t connect_timeout_ns, resolver_function *look_up, void *data) {
  struct error err = ERROR_INIT;
  *seen = (struct seen){.options = {.connect_timeout_ns = connect_timeout_ns, .pipeline_depth = 1}};
  assert_ok(loop_new(&seen->loop, &err), &err);
  if (look_up)
    assert_ok(resolver_new_with(seen->loop, look_up, data, &seen->resolver, &err), &err);
  else
    assert_ok(resolver_new(seen->loop, &seen->resolver, &err), &err);
  struct session_spec spec = {.access = access,
                              .route = ROUTE_PRIMARY,
                              .pinned_host = HOST_NONE,
                              .resolver = seen->resolver};
  init_session(seen, &spec);
}

void seen_release(struct seen *seen) {
  driver_pg.session_release(&seen->session.base);
  resolver_free(seen->resolver);
  loop_free(seen->loop);
}

static bool comes_until(struct seen *seen, const uint32_t *counter, uint32_t target,
                        uint64_t deadline_ns) {
  struct error err = ERROR_INIT;
  while (*counter < target && loop_now_ns(seen->loop) < deadline_ns)
    assert_ok(loop_turn(seen->loop, deadline_ns, &err), &err);
  return *counter >= target;
}

void seen_await(struct seen *seen, const uint32_t *counter, uint32_t target) {
  if (!comes_until(seen, counter, target, loop_now_ns(seen->loop) + PATIENCE_NS))
    fail_msg("waited too long; last reason: %s", seen->why.message);
}

bool seen_comes_soon(struct seen *seen, const uint32_t *counter, uint32_t target) {
  return comes_until(seen, counter, target, loop_now_ns(seen->loop) + SOON_NS);
}

void seen_connect(struct seen *seen) {
  uint32_t ready = seen->ready;
  driver_pg.session_connect(&seen->session.base);
  seen_await(seen, &seen->ready, ready + 1);
  assert_int_equal(seen->session.base.state, SESSION_READY);
}

/* --- requests -------------------------------------------------------------------------------- */

void seen_complete(struct request *request, const struct reply *reply) {
  struct seen *seen = request->owner;
  seen->replies++;
  seen->outcomes[reply->outcome]++;
  seen->last = *reply;
}

struct request seen_append_request(struct seen *seen, uint32_t statement, int64_t identity,
                                   int64_t sequence) {
  return (struct request){.statement = statement,
                          .numbers = {identity, sequence, 42},
                          .number_count = 3,
                          .text = "some payload",
                          .deadline_ns = loop_now_ns(seen->loop) + 15 * NS_PER_S,
                          .complete = seen_complete,
                          .owner = seen};
}

void seen_send_append(struct seen *seen, struct request *request, uint32_t statement,
                      int64_t identity, int64_t sequence) {
  *request = seen_append_request(seen, statement, identity, sequence);
  driver_pg.session_send(&seen->session.base, request);
}

void seen_append(struct seen *seen, int64_t identity, int64_t sequence) {
  struct request request;
  uint32_t replies = seen->replies;
  seen_send_append(seen, &request, SEEN_APPEND, identity, sequence);
  seen_await(seen, &seen->replies, replies + 1);
}

void seen_assert_reply(const struct seen *seen, enum outcome outcome, const char *code) {
  char got[6];
  code_unpack(seen->last.code, got);
  assert_string_equal(got, code);
  assert_int_equal(seen->last.outcome, outcome);
}
