/* Making clients of the load and running them. */
#include "support/load_bench.h"

#include "support/test.h"

static struct load_bench *bench_of(struct sink *sink) {
  return (struct load_bench *)(void *)((char *)sink - offsetof(struct load_bench, sink));
}

static void take_event(struct sink *sink, const struct event *event) {
  if (event->kind == EVENT_IDENTITY) bench_of(sink)->identity_events++;
}

static void take_sample(struct sink *sink, const struct sample *sample) {
  bench_of(sink)->samples[sample->metric]++;
  bench_of(sink)->last_sample[sample->metric] = sample->value;
}

static void record(void *data, const struct operation *operation) {
  struct load_bench *bench = data;
  assert_true(bench->count < LOAD_BENCH_OPERATIONS_MAX);
  bench->operations[bench->count++] = *operation;
}

static void is_ready(void *data) {
  ((struct load_bench *)data)->ready = true;
}
static void is_drained(void *data) {
  ((struct load_bench *)data)->drained = true;
}
static void is_stopped(void *data) {
  ((struct load_bench *)data)->stopped = true;
}

struct load_bench *load_bench_new(uint32_t clients, double rate) {
  struct load_bench *bench = test_calloc(1, sizeof *bench);
  virtual_time_begin(&bench->time);
  bench->operations = test_calloc(LOAD_BENCH_OPERATIONS_MAX, sizeof *bench->operations);
  bench->database = (struct fake_database){.connect_ns = 2 * NS_PER_MS, .service_ns = NS_PER_MS};
  fake_access_init(&bench->access, &bench->database);
  bench->config = (struct fake_config){
      .options = {.connect_timeout_ns = NS_PER_S,
                  .operation_timeout_ns = 2 * NS_PER_S,
                  .reconnect_delay_ns = 50 * NS_PER_MS,
                  .pipeline_depth = 1},
      .classes = {{.name = "writer", .count = clients, .rate = rate, .host = HOST_NONE}},
      .payload = 10};
  bench->sink = (struct sink){.event = take_event, .sample = take_sample};
  bench->start_ns = bench->time.now_ns - NS_PER_S;
  bench->env = (struct workload_env){.workload = &fake_workload,
                                     .config = &bench->config,
                                     .index = LOAD_BENCH_WORKLOAD,
                                     .access = &bench->access,
                                     .clock = &bench->time.clock,
                                     .sink = &bench->sink};
  return bench;
}

int load_bench_make(struct load_bench *bench, uint64_t seed, struct error *err) {
  bench->env.seed = seed;
  int status = load_roster_init(&bench->roster, &bench->env, 1, err);
  if (status < 0) return status;
  bench->identities = bench->roster.client_count;
  struct load_group_spec spec = {.roster = &bench->roster,
                                 .first = 0,
                                 .step = 1,
                                 .loop = bench->time.loop,
                                 .client_hosts = bench->client_hosts,
                                 .client_host_count = bench->client_host_count,
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
  status = load_group_init(&bench->group, &spec, err);
  if (status < 0) load_roster_release(&bench->roster);
  return status;
}

void load_bench_unmake(struct load_bench *bench) {
  load_group_release(&bench->group);
  load_roster_release(&bench->roster);
}

void load_bench_prepare(struct load_bench *bench, uint64_t seed) {
  struct error err = ERROR_INIT;
  assert_ok(load_bench_make(bench, seed, &err), &err);
  load_group_connect(&bench->group);
}

void load_bench_run(struct load_bench *bench, uint64_t duration_ns) {
  virtual_time_run(&bench->time, bench->time.now_ns + duration_ns, NULL);
}

void load_bench_start(struct load_bench *bench, uint64_t seed) {
  load_bench_prepare(bench, seed);
  virtual_time_run(&bench->time, bench->time.now_ns + NS_PER_S, &bench->ready);
  assert_true(bench->ready);
  load_group_begin(&bench->group, bench->time.now_ns);
}

void load_bench_finish(struct load_bench *bench) {
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

void load_bench_free(struct load_bench *bench) {
  load_bench_unmake(bench);
  virtual_time_release(&bench->time);
  test_free(bench->operations);
  test_free(bench);
}

uint32_t load_bench_count(const struct load_bench *bench, enum outcome outcome, const char *code) {
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

void load_bench_sort(struct load_bench *bench) {
  qsort(bench->operations, bench->count, sizeof *bench->operations, by_schedule);
}
