/* Sessions of driver_redis on a bench. */
#include "support/redis_bench.h"

#include "support/test.h"

#define PATIENCE_NS (20 * NS_PER_S)

static const char *const names[REDIS_BENCH_FAKES] = {"redis1", "redis2", "redis3", "redis4"};

void redis_bench_init(struct redis_bench *bench, uint32_t fakes) {
  struct error err = ERROR_INIT;
  assert_true(fakes <= REDIS_BENCH_FAKES);
  *bench = (struct redis_bench){.fake_count = fakes, .timeout_ns = PATIENCE_NS, .wait_ms = 100};
  assert_ok(loop_new(&bench->loop, &err), &err);
  assert_ok(redis_histories_init(&bench->histories, &err), &err);
  for (uint32_t i = 0; i < fakes; i++) {
    fake_redis_init(&bench->fakes[i], bench->loop, names[i], (uint16_t)i);
    bench->endpoints[i] = bench->fakes[i].endpoint;
  }
  bench->redis = (struct redis_access){.topology = REDIS_SINGLE, .histories = &bench->histories};
  bench->access = (struct access){.driver = &driver_redis,
                                  .endpoints = bench->endpoints,
                                  .endpoint_count = fakes,
                                  .context = &bench->redis};
  bench->options = (struct client_options){.connect_timeout_ns = 5 * NS_PER_S,
                                           .operation_timeout_ns = PATIENCE_NS,
                                           .reconnect_delay_ns = 5 * NS_PER_MS};
}

void redis_bench_release(struct redis_bench *bench) {
  redis_bench_close(bench);
  for (uint32_t i = 0; i < bench->fake_count; i++) fake_redis_release(&bench->fakes[i]);
  redis_histories_release(&bench->histories);
  loop_free(bench->loop);
}

static void changed(struct session *session, enum session_state state, const struct error *why) {
  struct redis_bench *bench = session->spec.owner;
  if (state == SESSION_READY) bench->ready++;
  if (state != SESSION_LOST) return;
  bench->lost++;
  bench->why = *why;
}

int redis_bench_try_session(struct redis_bench *bench, enum route route, uint32_t depth,
                            struct error *err) {
  bench->options.pipeline_depth = depth;
  const struct session_spec spec = {.access = &bench->access,
                                    .options = &bench->options,
                                    .route = route,
                                    .pinned_host = route == ROUTE_PINNED ? 0 : HOST_NONE,
                                    .statements = workload_redis_ledger.statements,
                                    .statement_count = workload_redis_ledger.statement_count,
                                    .changed = changed,
                                    .owner = bench};
  bench->session = calloc(1, driver_redis.session_size);
  assert_non_null(bench->session);
  return driver_redis.session_init(&bench->session->base, &spec, bench->loop, err);
}

void redis_bench_session(struct redis_bench *bench, enum route route, uint32_t depth) {
  struct error err = ERROR_INIT;
  assert_ok(redis_bench_try_session(bench, route, depth, &err), &err);
}

void redis_bench_turn(struct redis_bench *bench) {
  struct error err = ERROR_INIT;
  assert_ok(loop_turn(bench->loop, 0, &err), &err);
}

/* Returns false when it has taken too long. */
static bool turn_until(struct redis_bench *bench, uint64_t give_up_ns) {
  struct error err = ERROR_INIT;
  assert_ok(loop_turn(bench->loop, give_up_ns, &err), &err);
  return loop_now_ns(bench->loop) < give_up_ns;
}

void redis_bench_await(struct redis_bench *bench, const uint32_t *counter, uint32_t target) {
  uint64_t give_up_ns = loop_now_ns(bench->loop) + PATIENCE_NS;
  while (*counter < target) assert_true(turn_until(bench, give_up_ns));
}

void redis_bench_await_seen(struct redis_bench *bench, uint32_t fake, const char *prefix,
                            uint32_t count) {
  uint64_t give_up_ns = loop_now_ns(bench->loop) + PATIENCE_NS;
  while (fake_redis_seen(&bench->fakes[fake], prefix) < count) {
    assert_true(turn_until(bench, give_up_ns));
  }
}

void redis_bench_connect(struct redis_bench *bench) {
  uint32_t ready = bench->ready;
  driver_redis.session_connect(&bench->session->base);
  redis_bench_await(bench, &bench->ready, ready + 1);
  assert_int_equal(bench->session->base.state, SESSION_READY);
}

void redis_bench_connect_to(struct redis_bench *bench, uint16_t host) {
  redis_bench_connect(bench);
  assert_int_equal(bench->session->base.host, host);
}

void redis_bench_cannot_connect(struct redis_bench *bench) {
  uint32_t lost = bench->lost;
  driver_redis.session_connect(&bench->session->base);
  redis_bench_await(bench, &bench->lost, lost + 1);
}

void redis_bench_open(struct redis_bench *bench, enum route route, uint32_t depth) {
  redis_bench_session(bench, route, depth);
  redis_bench_connect(bench);
}

void redis_bench_close(struct redis_bench *bench) {
  if (bench->session) driver_redis.session_release(&bench->session->base);
  free(bench->session);
  bench->session = NULL;
}

void redis_bench_say(struct redis_bench *bench, uint32_t fake, const char *bytes, size_t length) {
  fake_redis_say(&bench->fakes[fake], bytes, length);
}

static void complete(struct request *request, const struct reply *reply) {
  struct redis_bench *bench = request->owner;
  bench->replies++;
  bench->outcomes[reply->outcome]++;
  bench->last = *reply;
  if (reply->has_row) bench->sum += reply->values[0];
}

void redis_bench_send(struct redis_bench *bench, enum redis_ledger_statement statement,
                      const int64_t *numbers, uint32_t count, const char *text) {
  assert_true(bench->sent < REDIS_BENCH_REQUESTS);
  struct request *request = &bench->requests[bench->sent++];
  *request = (struct request){.statement = (uint32_t)statement,
                              .text = text,
                              .number_count = count,
                              .deadline_ns = loop_now_ns(bench->loop) + bench->timeout_ns,
                              .complete = complete,
                              .owner = bench};
  for (uint32_t i = 0; i < count; i++) request->numbers[i] = numbers[i];
  driver_redis.session_send(&bench->session->base, request);
}

void redis_bench_assert_reply(const struct redis_bench *bench, enum outcome outcome,
                              const char *code) {
  char text[6] = "";
  if (bench->last.code) code_unpack(bench->last.code, text);
  assert_string_equal(text, code);
  assert_int_equal(bench->last.outcome, outcome);
}

void redis_bench_send_append(struct redis_bench *bench, int64_t identity, int64_t sequence) {
  redis_bench_send(bench, REDIS_LEDGER_APPEND, (int64_t[]){identity, sequence, 5}, 3, "xyz");
}

void redis_bench_append(struct redis_bench *bench, int64_t identity, int64_t sequence) {
  uint32_t replies = bench->replies;
  redis_bench_send_append(bench, identity, sequence);
  redis_bench_await(bench, &bench->replies, replies + 1);
}

void redis_bench_append_gets(struct redis_bench *bench, int64_t identity, int64_t sequence,
                             enum outcome outcome, const char *code) {
  redis_bench_append(bench, identity, sequence);
  redis_bench_assert_reply(bench, outcome, code);
}

void redis_bench_append_wait_gets(struct redis_bench *bench, int64_t identity, int64_t sequence,
                                  enum outcome outcome, const char *code) {
  uint32_t replies = bench->replies;
  redis_bench_send(bench, REDIS_LEDGER_APPEND_WAIT,
                   (int64_t[]){identity, sequence, 5, 1, bench->wait_ms}, 5, "xyz");
  redis_bench_await(bench, &bench->replies, replies + 1);
  redis_bench_assert_reply(bench, outcome, code);
}

void redis_bench_ends_after_sends(struct redis_bench *bench) {
  fake_redis_rule(&bench->fakes[0], "SET gd:w:1:2", FAKE_REDIS_CLOSE, 0);
  for (int64_t i = 1; i <= 3; i++) redis_bench_send_append(bench, 1, i);
  redis_bench_await(bench, &bench->lost, 1);
  assert_int_equal(bench->replies, 3);
  assert_int_equal(bench->outcomes[OUTCOME_OK], 1);
  assert_int_equal(bench->outcomes[OUTCOME_UNKNOWN], 2);
  redis_bench_assert_reply(bench, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST);
  assert_int_equal(bench->last.host, HOST_NONE);
  assert_int_equal(bench->session->base.in_flight, 0);
  redis_bench_connect(bench);
  redis_bench_append_gets(bench, 2, 1, OUTCOME_OK, "");
}
