/* Clients of the load in virtual time, against a database in memory. */
#include "engine/load_group.h"
#include "support/fake_driver.h"
#include "support/test.h"
#include "support/virtual_time.h"

#define OPERATIONS_MAX 200000u
#define SEED 4711u
#define MS NS_PER_MS

/* One group of clients and everything that it leaves behind. */
struct bench {
  struct virtual_time time;
  struct fake_database database;
  struct access access;
  struct fake_config config;
  struct workload_env env;
  struct load_roster roster;
  struct load_group group;
  _Atomic uint32_t identities;
  struct sink sink;
  struct operation *operations;
  uint32_t count;
  uint32_t identity_events, samples[METRIC_COUNT];
  double last_sample[METRIC_COUNT];
  bool ready, drained, stopped;
  uint64_t start_ns;
};

static struct bench *bench_of(struct sink *sink) {
  return (struct bench *)(void *)((char *)sink - offsetof(struct bench, sink));
}

static void take_event(struct sink *sink, const struct event *event) {
  if (event->kind == EVENT_IDENTITY) bench_of(sink)->identity_events++;
}

static void take_sample(struct sink *sink, const struct sample *sample) {
  bench_of(sink)->samples[sample->metric]++;
  bench_of(sink)->last_sample[sample->metric] = sample->value;
}

static void record(void *data, const struct operation *operation) {
  struct bench *bench = data;
  assert_true(bench->count < OPERATIONS_MAX);
  bench->operations[bench->count++] = *operation;
}

static void is_ready(void *data) {
  ((struct bench *)data)->ready = true;
}
static void is_drained(void *data) {
  ((struct bench *)data)->drained = true;
}
static void is_stopped(void *data) {
  ((struct bench *)data)->stopped = true;
}

/* One class of writers, to be changed by the test before bench_start(). */
static struct bench *bench_new(uint32_t clients, double rate) {
  struct bench *bench = test_calloc(1, sizeof *bench);
  virtual_time_begin(&bench->time);
  bench->operations = test_calloc(OPERATIONS_MAX, sizeof *bench->operations);
  bench->database = (struct fake_database){.connect_ns = 2 * MS, .service_ns = MS};
  fake_access_init(&bench->access, &bench->database);
  bench->config = (struct fake_config){
      .options = {.connect_timeout_ns = NS_PER_S,
                  .operation_timeout_ns = 2 * NS_PER_S,
                  .reconnect_delay_ns = 50 * MS,
                  .pipeline_depth = 1},
      .classes = {{.name = "writer", .count = clients, .rate = rate, .host = HOST_NONE}},
      .payload = 10};
  bench->sink = (struct sink){.event = take_event, .sample = take_sample};
  bench->start_ns = bench->time.now_ns - NS_PER_S;
  return bench;
}

static void bench_prepare(struct bench *bench, uint64_t seed) {
  struct error err = ERROR_INIT;
  bench->env = (struct workload_env){.workload = &fake_workload,
                                     .config = &bench->config,
                                     .index = 3,
                                     .seed = seed,
                                     .access = &bench->access,
                                     .clock = &bench->time.clock,
                                     .sink = &bench->sink};
  assert_ok(load_roster_init(&bench->roster, &bench->env, 1, &err), &err);
  bench->identities = bench->roster.client_count;
  struct load_group_spec spec = {.roster = &bench->roster,
                                 .first = 0,
                                 .step = 1,
                                 .loop = bench->time.loop,
                                 .start_ns = bench->start_ns,
                                 .seed = seed,
                                 .sink = &bench->sink,
                                 .record = record,
                                 .record_data = bench,
                                 .identities = &bench->identities,
                                 .ready = is_ready,
                                 .drained = is_drained,
                                 .stopped = is_stopped,
                                 .data = bench};
  assert_ok(load_group_init(&bench->group, &spec, &err), &err);
  load_group_connect(&bench->group);
}

static void run_for(struct bench *bench, uint64_t duration_ns) {
  virtual_time_run(&bench->time, bench->time.now_ns + duration_ns, NULL);
}

/* Connects, and begins at once when everybody is ready. */
static void bench_start(struct bench *bench, uint64_t seed) {
  bench_prepare(bench, seed);
  virtual_time_run(&bench->time, bench->time.now_ns + NS_PER_S, &bench->ready);
  assert_true(bench->ready);
  load_group_begin(&bench->group, bench->time.now_ns);
}

/* Ends now, waits for the drain and the stop; then every operation is accounted for. */
static void bench_finish(struct bench *bench) {
  load_group_end(&bench->group, bench->time.now_ns);
  virtual_time_run(&bench->time, bench->time.now_ns + 60 * NS_PER_S, &bench->drained);
  assert_true(bench->drained);
  load_group_stop(&bench->group, NS_PER_S);
  virtual_time_run(&bench->time, bench->time.now_ns + 60 * NS_PER_S, &bench->stopped);
  assert_true(bench->stopped);
  const struct load_counters *counters = &bench->group.counters;
  assert_int_equal(counters->scheduled, bench->count);
  assert_int_equal(counters->scheduled,
                   counters->ok + counters->fail + counters->unknown + counters->skipped);
  assert_int_equal(counters->ready, 0);
}

static void bench_free(struct bench *bench) {
  load_group_release(&bench->group);
  load_roster_release(&bench->roster);
  virtual_time_release(&bench->time);
  test_free(bench->operations);
  test_free(bench);
}

static uint32_t count_outcome(const struct bench *bench, enum outcome outcome, const char *code) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    if (operation->outcome == outcome && (!code || operation->code == code_pack(code))) count++;
  }
  return count;
}

static int by_schedule(const void *a, const void *b) {
  const struct operation *x = a, *y = b;
  if (x->scheduled_ns != y->scheduled_ns) return x->scheduled_ns < y->scheduled_ns ? -1 : 1;
  return (int)x->client - (int)y->client;
}

static void sort_operations(struct bench *bench) {
  qsort(bench->operations, bench->count, sizeof *bench->operations, by_schedule);
}

/* --- schedule -------------------------------------------------------------------------------- */

static struct bench *run_for_schedule(uint64_t seed, bool trouble, bool poisson) {
  struct bench *bench = bench_new(4, 400);
  bench->config.read_ratio = 0.3;
  bench->config.classes[0].poisson = poisson;
  bench_start(bench, seed);
  run_for(bench, NS_PER_S);
  if (trouble) {
    bench->database.stalled = bench->database.down = true;
    run_for(bench, 3 * NS_PER_S);
    bench->database.stalled = bench->database.down = false;
    run_for(bench, NS_PER_S);
  } else {
    run_for(bench, 4 * NS_PER_S);
  }
  bench_finish(bench);
  sort_operations(bench);
  return bench;
}

static bool same_schedule(const struct bench *a, const struct bench *b) {
  if (a->count != b->count) return false;
  for (uint32_t i = 0; i < a->count; i++) {
    const struct operation *x = &a->operations[i], *y = &b->operations[i];
    if (x->scheduled_ns != y->scheduled_ns || x->client != y->client || x->kind != y->kind) {
      return false;
    }
  }
  return true;
}

static void test_schedule_depends_on_the_seed_alone(void **state) {
  (void)state;
  for (int poisson = 0; poisson <= 1; poisson++) {
    struct bench *calm = run_for_schedule(SEED, false, poisson);
    struct bench *troubled = run_for_schedule(SEED, true, poisson);
    struct bench *other = run_for_schedule(SEED + 1, false, poisson);
    assert_true(troubled->group.counters.ok < calm->group.counters.ok);
    assert_true(same_schedule(calm, troubled));
    assert_false(same_schedule(calm, other));
    bench_free(calm);
    bench_free(troubled);
    bench_free(other);
  }
}

static void test_even_gaps_are_even_and_the_rate_is_kept(void **state) {
  (void)state;
  struct bench *bench = bench_new(3, 300);
  bench_start(bench, SEED);
  run_for(bench, 10 * NS_PER_S);
  bench_finish(bench);
  sort_operations(bench);
  assert_in_range(bench->count, 2997, 3003);
  uint64_t last[3] = {0};
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    uint64_t *before = &last[operation->client];
    if (*before) assert_in_range(operation->scheduled_ns - *before, 10 * MS - 1, 10 * MS + 1);
    *before = operation->scheduled_ns;
    assert_int_equal(operation->workload, 3);
  }
  bench_free(bench);
}

static void test_random_gaps_have_the_right_mean(void **state) {
  (void)state;
  struct bench *bench = bench_new(2, 500);
  bench->config.classes[0].poisson = true;
  bench_start(bench, SEED);
  run_for(bench, 60 * NS_PER_S);
  bench_finish(bench);
  /* 30,000 expected, standard deviation 173: four of them. */
  assert_in_range(bench->count, 29300, 30700);
  bench_free(bench);
}

static void test_latency_counts_from_the_schedule_when_the_server_stalls(void **state) {
  (void)state;
  struct bench *bench = bench_new(1, 100);
  bench_start(bench, SEED);
  run_for(bench, NS_PER_S);
  bench->database.stalled = true;
  uint64_t stall_ns = bench->time.now_ns - bench->start_ns;
  run_for(bench, NS_PER_S);
  bench->database.stalled = false;
  uint64_t end_ns = bench->time.now_ns - bench->start_ns;
  fake_session_go_on(bench->group.clients[0].client.session);
  run_for(bench, NS_PER_S);
  bench_finish(bench);
  uint32_t during = 0;
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    assert_int_equal(operation->outcome, OUTCOME_OK);
    if (operation->scheduled_ns < stall_ns || operation->scheduled_ns >= end_ns) continue;
    during++;
    uint64_t latency_ns = operation->done_ns - operation->scheduled_ns;
    assert_true(latency_ns >= end_ns - operation->scheduled_ns);
  }
  assert_in_range(during, 99, 101); /* a closed loop would have seen one */
  bench_free(bench);
}

static void test_late_timers_become_a_sample(void **state) {
  (void)state;
  struct bench *bench = bench_new(1, 10);
  bench_start(bench, SEED);
  run_for(bench, 1500 * MS);
  assert_int_equal(bench->last_sample[METRIC_HARNESS_DELAY] * 1e9, 0);
  bench->time.now_ns += 300 * MS; /* the harness did not run */
  run_for(bench, NS_PER_S);
  assert_true(bench->last_sample[METRIC_HARNESS_DELAY] > 0.2);
  run_for(bench, NS_PER_S);
  assert_true(bench->last_sample[METRIC_HARNESS_DELAY] < 0.001);
  bench_finish(bench);
  assert_in_range(bench->count, 37, 39); /* nothing was left out */
  bench_free(bench);
}

/* --- outcomes -------------------------------------------------------------------------------- */

static void test_full_queue_skips(void **state) {
  (void)state;
  struct bench *bench = bench_new(1, 100000);
  bench_start(bench, SEED);
  bench->database.stalled = bench->database.down = true;
  run_for(bench, NS_PER_S);
  bench_finish(bench);
  uint32_t skipped = count_outcome(bench, OUTCOME_SKIPPED, CODE_QUEUE_FULL);
  assert_in_range(skipped, 30000, 36000);
  assert_int_equal(count_outcome(bench, OUTCOME_SKIPPED, NULL), skipped);
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    if (operation->outcome == OUTCOME_SKIPPED) assert_int_equal(operation->sequence, 0);
  }
  bench_free(bench);
}

static void test_without_a_connection_operations_fail_before_their_deadline(void **state) {
  (void)state;
  struct bench *bench = bench_new(1, 100);
  bench_start(bench, SEED);
  run_for(bench, 995 * MS);
  bench->database.down = true;
  fake_session_break(bench->group.clients[0].client.session);
  run_for(bench, 5 * NS_PER_S);
  bench_finish(bench);
  uint32_t failed = count_outcome(bench, OUTCOME_FAIL, CODE_NO_CONNECTION);
  assert_in_range(failed, 499, 502);
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    if (operation->outcome != OUTCOME_FAIL) continue;
    assert_int_equal(operation->sent_ns, 0);
    assert_int_equal(operation->sequence, 0);
    assert_int_equal(operation->host, HOST_NONE);
    assert_int_equal(operation->done_ns - operation->scheduled_ns, 1800 * MS);
  }
  bench_free(bench);
}

static void test_unknown_write_retires_the_identity(void **state) {
  (void)state;
  struct bench *bench = bench_new(1, 100);
  bench_start(bench, SEED);
  run_for(bench, NS_PER_S);
  bench->database.stalled = true;
  run_for(bench, 5 * NS_PER_S); /* reconnects, sends one, waits two seconds, ... */
  bench->database.stalled = false;
  fake_session_break(bench->group.clients[0].client.session);
  run_for(bench, NS_PER_S);
  bench_finish(bench);
  uint32_t unknown = count_outcome(bench, OUTCOME_UNKNOWN, NULL);
  assert_true(unknown >= 3);
  assert_true(count_outcome(bench, OUTCOME_UNKNOWN, CODE_TIMEOUT) >= 2);
  assert_int_equal(bench->identity_events, unknown);
  assert_int_equal(bench->identities, 1 + unknown);
  /* In the order of sending: one identity after the other, each from sequence 1 without gaps. */
  uint32_t identity = 1;
  uint64_t sequence = 0;
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    if (operation->sequence == 0) continue;
    if (operation->identity != identity) {
      assert_int_equal(operation->identity, identity + 1);
      identity++;
      sequence = 0;
    }
    assert_int_equal(operation->sequence, ++sequence);
  }
  assert_int_equal(identity, 1 + unknown);
  bench_free(bench);
}

static void test_one_broken_pipeline_retires_one_identity(void **state) {
  (void)state;
  struct bench *bench = bench_new(1, 1000);
  bench->config.options.pipeline_depth = 8;
  bench->database.service_ns = MS / 2;
  bench_start(bench, SEED);
  run_for(bench, NS_PER_S);
  bench->database.stalled = true;
  run_for(bench, 100 * MS);
  assert_int_equal(bench->group.clients[0].client.session->in_flight, 8);
  bench->database.stalled = false;
  fake_session_break(bench->group.clients[0].client.session);
  run_for(bench, NS_PER_S);
  bench_finish(bench);
  assert_int_equal(count_outcome(bench, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST), 8);
  assert_int_equal(bench->identity_events, 1);
  assert_int_equal(bench->database.in_flight_most, 8);
  assert_int_equal(count_outcome(bench, OUTCOME_OK, NULL), bench->count - 8);
  bench_free(bench);
}

static void test_unknown_reads_and_heartbeats_keep_the_identity(void **state) {
  (void)state;
  struct bench *bench = bench_new(1, 100);
  bench->config.read_ratio = 1;
  bench->config.classes[1] = (struct client_class){
      .name = "heartbeat", .count = 1, .rate = 10, .host = HOST_NONE, .always_on = true};
  bench_start(bench, SEED);
  bench->database.stalled = true;
  run_for(bench, 3 * NS_PER_S);
  bench->database.stalled = false;
  run_for(bench, 3 * NS_PER_S);
  bench_finish(bench);
  assert_true(count_outcome(bench, OUTCOME_UNKNOWN, CODE_TIMEOUT) >= 2);
  assert_int_equal(bench->identity_events, 0);
  /* Beats never go back. */
  uint64_t beat = 0;
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    if (operation->kind != OPERATION_HEARTBEAT_WRITE || operation->sent_ns == 0) continue;
    assert_true(operation->sequence > beat);
    beat = operation->sequence;
  }
  bench_free(bench);
}

/* A backlog whose operations are nearly too late must not keep a recovered server down. */
static void test_backlog_does_not_break_the_recovered_session(void **state) {
  (void)state;
  struct bench *bench = bench_new(1, 100);
  bench->database.service_ns = 8 * MS;
  bench_start(bench, SEED);
  run_for(bench, NS_PER_S);
  bench->database.down = true;
  fake_session_break(bench->group.clients[0].client.session);
  run_for(bench, 10 * NS_PER_S);
  bench->database.down = false;
  uint32_t connects = bench->database.connects;
  run_for(bench, 10 * NS_PER_S);
  assert_true(bench->database.connects <= connects + 1);
  bench_finish(bench);
  assert_int_equal(count_outcome(bench, OUTCOME_UNKNOWN, CODE_TIMEOUT), 0);
  bench_free(bench);
}

/* --- connections ----------------------------------------------------------------------------- */

static void test_lost_session_reconnects_at_once_and_failed_rounds_wait(void **state) {
  (void)state;
  struct bench *bench = bench_new(1, 100);
  bench_start(bench, SEED);
  run_for(bench, NS_PER_S);
  assert_int_equal(bench->database.connects, 1);
  fake_session_break(bench->group.clients[0].client.session);
  run_for(bench, 3 * MS);
  assert_int_equal(bench->group.clients[0].client.session->state, SESSION_READY);
  assert_int_equal(bench->database.connects, 2);
  /* It lived shorter than the delay: now it waits. */
  fake_session_break(bench->group.clients[0].client.session);
  run_for(bench, 40 * MS);
  assert_int_equal(bench->database.connects, 2);
  bench->database.down = true;
  run_for(bench, 100 * MS);
  assert_in_range(bench->database.connects, 3, 5);
  bench->database.down = false;
  run_for(bench, NS_PER_S);
  assert_int_equal(bench->group.counters.ready, 1);
  bench_finish(bench);
  bench_free(bench);
}

static void test_reason_is_kept_while_nobody_is_ready(void **state) {
  (void)state;
  struct bench *bench = bench_new(2, 100);
  bench->database.down = true;
  bench_prepare(bench, SEED);
  run_for(bench, NS_PER_S);
  assert_false(bench->ready);
  assert_non_null(strstr(bench->group.context.why.message, "refused"));
  bench->database.down = false;
  run_for(bench, NS_PER_S);
  assert_true(bench->ready);
  load_group_stop(&bench->group, NS_PER_S);
  run_for(bench, NS_PER_S);
  assert_true(bench->stopped);
  bench_free(bench);
}

static struct bench *bench_with_probe(void) {
  struct bench *bench = bench_new(1, 10);
  bench->config.classes[0] = (struct client_class){
      .name = "probe", .count = 1, .rate = 5, .host = HOST_NONE, .fresh = true};
  return bench;
}

static void test_probe_takes_a_fresh_connection_each_time(void **state) {
  (void)state;
  struct bench *bench = bench_with_probe();
  bench_start(bench, SEED);
  run_for(bench, 4 * NS_PER_S);
  bench_finish(bench);
  assert_in_range(bench->count, 19, 21);
  assert_int_equal(count_outcome(bench, OUTCOME_OK, NULL), bench->count);
  assert_int_equal(bench->database.connects, bench->count);
  assert_int_equal(bench->database.row_count, bench->count);
  assert_int_equal(bench->samples[METRIC_PROBE_CONNECT], bench->count);
  assert_int_equal(bench->samples[METRIC_PROBE_AUTHENTICATE], bench->count);
  assert_int_equal(bench->samples[METRIC_PROBE_READ], bench->count);
  assert_int_equal(bench->samples[METRIC_PROBE_WRITE], bench->count);
  assert_int_equal(bench->samples[METRIC_PROBE_RESOLVE], 0);
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    assert_int_equal(operation->kind, OPERATION_PROBE);
    assert_int_equal(operation->sequence, i + 1);
    assert_int_equal(operation->done_ns - operation->scheduled_ns, 4 * MS); /* 2 + read + write */
    assert_int_equal(operation->host, 0);
  }
  bench_free(bench);
}

static void test_probe_without_a_server_fails_and_one_cut_off_is_unknown(void **state) {
  (void)state;
  struct bench *bench = bench_with_probe();
  bench_start(bench, SEED);
  bench->database.down = true;
  run_for(bench, 5 * NS_PER_S);
  bench->database.down = false;
  run_for(bench, 5 * NS_PER_S);
  assert_true(count_outcome(bench, OUTCOME_FAIL, CODE_NO_CONNECTION) > 10);
  assert_int_equal(count_outcome(bench, OUTCOME_UNKNOWN, NULL), 0);
  /* The read is answered, the write is not. */
  uint64_t rows = bench->database.row_count;
  while (bench->group.clients[0].probe != PROBE_WRITE) run_for(bench, MS / 10);
  bench->database.stalled = true;
  run_for(bench, 3 * NS_PER_S);
  bench->database.stalled = false;
  run_for(bench, 3 * NS_PER_S);
  bench_finish(bench);
  assert_true(bench->database.row_count > rows);
  /* Those whose read was not answered failed: their write was never sent. */
  assert_int_equal(count_outcome(bench, OUTCOME_UNKNOWN, CODE_TIMEOUT), 1);
  assert_int_equal(bench->identity_events, 1);
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    assert_int_equal(operation->kind, OPERATION_PROBE);
    if (operation->outcome == OUTCOME_FAIL) assert_int_equal(operation->sequence, 0);
  }
  bench_free(bench);
}

/* Connecting took longer than what the one before had left of its timeout, for ever. */
static void test_probes_behind_a_long_outage_get_their_connection(void **state) {
  (void)state;
  struct bench *bench = bench_with_probe();
  bench->database.connect_ns = NS_PER_S; /* as long as it takes to get past a dead server */
  bench_start(bench, SEED);
  bench->database.down = true;
  run_for(bench, 10 * NS_PER_S);
  assert_int_equal(count_outcome(bench, OUTCOME_OK, NULL), 0);
  bench->database.down = false;
  run_for(bench, 10 * NS_PER_S);
  assert_true(count_outcome(bench, OUTCOME_OK, NULL) >= 7);
  bench_finish(bench);
  bench_free(bench);
}

/* --- the end --------------------------------------------------------------------------------- */

static void test_always_on_goes_on_until_the_stop(void **state) {
  (void)state;
  struct bench *bench = bench_new(2, 100);
  bench->config.classes[1] = (struct client_class){
      .name = "heartbeat", .count = 1, .rate = 10, .host = HOST_NONE, .always_on = true};
  bench_start(bench, SEED);
  run_for(bench, NS_PER_S);
  uint64_t end_ns = bench->time.now_ns;
  load_group_end(&bench->group, end_ns);
  run_for(bench, 5 * NS_PER_S);
  assert_true(bench->drained);
  bench_finish(bench);
  uint32_t writes = 0, beats = 0;
  for (uint32_t i = 0; i < bench->count; i++) {
    const struct operation *operation = &bench->operations[i];
    if (operation->kind == OPERATION_HEARTBEAT_WRITE) {
      beats++;
    } else {
      writes++;
      assert_true(operation->scheduled_ns < end_ns - bench->start_ns);
    }
  }
  assert_in_range(writes, 98, 102);
  assert_in_range(beats, 59, 61);
  bench_free(bench);
}

static void test_drain_waits_for_the_last_answer(void **state) {
  (void)state;
  struct bench *bench = bench_new(4, 400);
  bench_start(bench, SEED);
  run_for(bench, 500 * MS);
  bench->database.stalled = true;
  run_for(bench, 100 * MS);
  load_group_end(&bench->group, bench->time.now_ns);
  run_for(bench, 100 * MS);
  assert_false(bench->drained);
  assert_true(bench->group.counters.outstanding > 0);
  run_for(bench, 3 * NS_PER_S);
  assert_true(bench->drained);
  assert_int_equal(bench->group.counters.outstanding, 0);
  bench_finish(bench);
  bench_free(bench);
}

static void test_stop_in_the_middle_accounts_for_everything(void **state) {
  (void)state;
  struct bench *bench = bench_with_probe();
  bench->config.classes[1] =
      (struct client_class){.name = "writer", .count = 3, .rate = 300, .host = HOST_NONE};
  bench_start(bench, SEED);
  run_for(bench, 450 * MS);
  bench->database.stalled = true;
  run_for(bench, 200 * MS);
  load_group_stop(&bench->group, 500 * MS);
  run_for(bench, 600 * MS);
  assert_true(bench->stopped);
  assert_int_equal(bench->group.counters.outstanding, 0);
  assert_int_equal(bench->group.counters.scheduled, bench->count);
  assert_true(count_outcome(bench, OUTCOME_SKIPPED, NULL) > 10);
  assert_in_range(count_outcome(bench, OUTCOME_UNKNOWN, NULL), 3, 4);
  bench_free(bench);
}

static void test_saturating_clients_are_a_closed_loop(void **state) {
  (void)state;
  struct bench *bench = bench_new(2, 0);
  bench->config.classes[0].saturate = true;
  bench_start(bench, SEED);
  run_for(bench, NS_PER_S);
  bench->database.down = true;
  for (uint32_t i = 0; i < 2; i++) fake_session_break(bench->group.clients[i].client.session);
  run_for(bench, NS_PER_S);
  bench->database.down = false;
  run_for(bench, NS_PER_S);
  bench_finish(bench);
  assert_in_range(count_outcome(bench, OUTCOME_OK, NULL), 3890, 4010);
  assert_int_equal(count_outcome(bench, OUTCOME_UNKNOWN, NULL), 2);
  assert_int_equal(bench->group.counters.skipped + bench->group.counters.fail, 0);
  bench_free(bench);
}

static void test_too_many_clients_are_refused(void **state) {
  (void)state;
  struct bench *bench = bench_new(60000, 100);
  bench->config.classes[1] = (struct client_class){.name = "more", .count = 60000, .rate = 1};
  struct workload_env env = {.workload = &fake_workload, .config = &bench->config};
  struct error err = ERROR_INIT;
  assert_int_equal(load_roster_init(&bench->roster, &env, 1, &err), STATUS_USAGE);
  assert_non_null(strstr(err.message, "65535"));
  bench_free(bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_schedule_depends_on_the_seed_alone),
      cmocka_unit_test(test_even_gaps_are_even_and_the_rate_is_kept),
      cmocka_unit_test(test_random_gaps_have_the_right_mean),
      cmocka_unit_test(test_latency_counts_from_the_schedule_when_the_server_stalls),
      cmocka_unit_test(test_late_timers_become_a_sample),
      cmocka_unit_test(test_full_queue_skips),
      cmocka_unit_test(test_without_a_connection_operations_fail_before_their_deadline),
      cmocka_unit_test(test_unknown_write_retires_the_identity),
      cmocka_unit_test(test_one_broken_pipeline_retires_one_identity),
      cmocka_unit_test(test_unknown_reads_and_heartbeats_keep_the_identity),
      cmocka_unit_test(test_backlog_does_not_break_the_recovered_session),
      cmocka_unit_test(test_lost_session_reconnects_at_once_and_failed_rounds_wait),
      cmocka_unit_test(test_reason_is_kept_while_nobody_is_ready),
      cmocka_unit_test(test_probe_takes_a_fresh_connection_each_time),
      cmocka_unit_test(test_probe_without_a_server_fails_and_one_cut_off_is_unknown),
      cmocka_unit_test(test_probes_behind_a_long_outage_get_their_connection),
      cmocka_unit_test(test_always_on_goes_on_until_the_stop),
      cmocka_unit_test(test_drain_waits_for_the_last_answer),
      cmocka_unit_test(test_stop_in_the_middle_accounts_for_everything),
      cmocka_unit_test(test_saturating_clients_are_a_closed_loop),
      cmocka_unit_test(test_too_many_clients_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
