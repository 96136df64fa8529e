/* A plausible run, made up: see the header. */
#include "support/report_fixture.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/prng.h"

#define CYCLE_S 90
#define TIMEOUT_S 2.0
#define HOST_COUNT 5

struct item {
  uint64_t time_ns;
  uint8_t what; /* 0 operation, 1 sample, 2 event */
  union {
    struct operation operation;
    struct sample sample;
    const struct event *event;
  } of;
};
struct fixture_state {
  struct arena arena;
  struct report_fixture_options options;
  struct run_result *results;
  struct prng prng;
  struct item *items;
  size_t item_count, item_capacity;
};

static uint64_t at_ns(double load_s) {
  return (uint64_t)llround((FIXTURE_BEGIN_S + load_s) * (double)NS_PER_S);
}

static void *must(void *pointer) {
  assert(pointer);
  return pointer;
}

static const char *text_of(struct fixture_state *state, const char *text) {
  if (!state->options.hostile) return text;
  return must(arena_printf(&state->arena, "%s%s", text, FIXTURE_HOSTILE));
}

static struct item *item_new(struct fixture_state *state, uint8_t what, uint64_t time_ns) {
  if (state->item_count == state->item_capacity) {
    state->item_capacity = state->item_capacity ? state->item_capacity * 2 : 4096;
    state->items = must(realloc(state->items, state->item_capacity * sizeof *state->items));
  }
  struct item *item = &state->items[state->item_count++];
  memset(item, 0, sizeof *item);
  item->what = what;
  item->time_ns = time_ns;
  return item;
}

static int by_time(const void *left, const void *right) {
  const struct item *a = left, *b = right;
  return (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
}

/* Around `median_s`, with a long tail. */
static double draw_latency_s(struct fixture_state *state, double median_s) {
  double sum = 0;
  for (int i = 0; i < 6; i++) sum += prng_unit(&state->prng) - 0.5;
  double tail = prng_below(&state->prng, 200) == 0 ? 5.0 + 10.0 * prng_unit(&state->prng) : 1.0;
  return median_s * exp(sum * 0.6) * tail;
}

static void operation_add(struct fixture_state *state, enum operation_kind kind, double load_s,
                          double latency_s, enum outcome outcome, const char *code, uint16_t host,
                          uint64_t sequence) {
  uint64_t done_ns = at_ns(load_s + latency_s);
  struct item *item = item_new(state, 0, done_ns);
  item->of.operation = (struct operation){.scheduled_ns = at_ns(load_s),
                                          .sent_ns = at_ns(load_s + latency_s * 0.1),
                                          .done_ns = done_ns,
                                          .sequence = sequence,
                                          .code = code ? code_pack(code) : 0,
                                          .kind = kind,
                                          .outcome = outcome,
                                          .route = ROUTE_PRIMARY,
                                          .host = host};
}

/* What becomes of an operation scheduled `phase_s` into a cycle whose crash is at 20 s. */
static void load_add(struct fixture_state *state, double load_s, double phase_s, bool write) {
  enum operation_kind kind = write ? OPERATION_WRITE : OPERATION_READ_OWN;
  double back_s = write ? 42.3 : 42.05;
  uint16_t host = phase_s < 20.0 ? 0 : 1;
  uint64_t dice = prng_below(&state->prng, 100);
  if (phase_s < 19.996 || phase_s >= back_s) {
    double median_s = write ? 0.0021 : 0.0006;
    if (phase_s >= back_s) median_s *= 1.0 + 12.0 * exp(-(phase_s - back_s) / 4.0);
    operation_add(state, kind, load_s, draw_latency_s(state, median_s), OUTCOME_OK, NULL, host, 0);
  } else if (phase_s < 21.0) {
    bool lost = dice < 30;
    operation_add(state, kind, load_s, TIMEOUT_S, OUTCOME_UNKNOWN,
                  lost ? CODE_CONNECTION_LOST : CODE_TIMEOUT, HOST_NONE, 0);
  } else if (dice < 20) {
    operation_add(state, kind, load_s, 0, OUTCOME_SKIPPED, CODE_QUEUE_FULL, HOST_NONE, 0);
  } else if (dice < 30 && phase_s > 41) {
    operation_add(state, kind, load_s, 0.004, OUTCOME_FAIL, CODE_READ_ONLY, 2, 0);
  } else {
    operation_add(state, kind, load_s, TIMEOUT_S, OUTCOME_FAIL, CODE_NO_CONNECTION, HOST_NONE, 0);
  }
}

static void sample_add(struct fixture_state *state, enum metric metric, uint16_t host,
                       double load_s, double value) {
  struct item *item = item_new(state, 1, at_ns(load_s));
  item->of.sample = (struct sample){
      .time_ns = at_ns(load_s), .value = value, .metric = (uint16_t)metric, .host = host};
}

/* Lag of pg2 (host 1) and pg3 (host 2), and of pg1 (host 0) once it is back as a replica. The
 * heartbeat is read on whoever is primary too. */
static void lag_add(struct fixture_state *state, double load_s, double phase_s) {
  for (uint16_t host = 0; host < 3; host++) {
    bool primary = phase_s < 20 ? host == 0 : host == 1 && phase_s > 42;
    bool down = host == 0 && phase_s >= 20 && phase_s < 62;
    if (down) continue;
    double behind = 1.0;
    if (host == 2 && phase_s > 42 && phase_s < 46) behind = 60.0;
    if (host == 0 && phase_s > 62 && phase_s < 71) behind = 900.0 * (71 - phase_s);
    if (!primary) {
      sample_add(state, METRIC_LAG_BYTES, host, load_s, draw_latency_s(state, 4200.0) * behind);
      sample_add(state, METRIC_LAG_SECONDS, host, load_s, draw_latency_s(state, 0.0012) * behind);
    }
    /* The beat that a host shows: ten a second, a replica may be behind. */
    struct operation read = {.scheduled_ns = at_ns(load_s), .sent_ns = at_ns(load_s)};
    read.done_ns = at_ns(load_s + 0.001);
    read.kind = OPERATION_HEARTBEAT_READ;
    read.outcome = OUTCOME_OK;
    read.route = ROUTE_REPLICA;
    read.host = host;
    double shown = load_s * 10.0 - (behind > 1 ? 12.0 : 0.0);
    read.value = shown < 1 ? 1 : (uint64_t)shown;
    item_new(state, 0, read.done_ns)->of.operation = read;
  }
}

static void probe_add(struct fixture_state *state, double load_s, double phase_s) {
  if (phase_s >= 20 && phase_s < 42.1) return; /* no probe succeeds */
  double slow = phase_s >= 42.1 && phase_s < 50 ? 4.0 : 1.0;
  sample_add(state, METRIC_PROBE_RESOLVE, 0, load_s, draw_latency_s(state, 0.0003));
  sample_add(state, METRIC_PROBE_CONNECT, 0, load_s, draw_latency_s(state, 0.00015));
  sample_add(state, METRIC_PROBE_AUTHENTICATE, 0, load_s, draw_latency_s(state, 0.009) * slow);
  sample_add(state, METRIC_PROBE_READ, 0, load_s, draw_latency_s(state, 0.0011) * slow);
  sample_add(state, METRIC_PROBE_WRITE, 0, load_s, draw_latency_s(state, 0.0023) * slow);
}

static void event_add(struct fixture_state *state, enum event_kind kind, double load_s,
                      int32_t fault, uint16_t host, const char *text) {
  struct event *event = must(arena_alloc(&state->arena, sizeof *event));
  event->time_ns = at_ns(load_s);
  event->kind = kind;
  event->fault = fault;
  event->host = host;
  strncpy(event->text, text_of(state, text), sizeof event->text - 1);
  item_new(state, 2, event->time_ns)->of.event = event;
}

static void items_make(struct fixture_state *state, uint32_t cycles) {
  prng_init(&state->prng, 42, "report fixture");
  double end_s = (double)cycles * CYCLE_S;
  for (uint64_t i = 0; (double)i / 200.0 < end_s; i++) {
    load_add(state, (double)i / 200.0, fmod((double)i / 200.0, CYCLE_S), true);
  }
  for (uint64_t i = 0; (double)i / 50.0 < end_s; i++) {
    load_add(state, (double)i / 50.0, fmod((double)i / 50.0, CYCLE_S), false);
  }
  for (uint64_t i = 1; (double)i / 10.0 < end_s; i++) {
    double load_s = (double)i / 10.0, phase_s = fmod(load_s, CYCLE_S);
    if (phase_s < 20 || phase_s > 42.3) {
      operation_add(state, OPERATION_HEARTBEAT_WRITE, load_s, 0.002, OUTCOME_OK, NULL,
                    phase_s < 20 ? 0 : 1, i);
    }
    lag_add(state, load_s + 0.05, fmod(load_s + 0.05, CYCLE_S));
    if (i % 5 == 0) probe_add(state, load_s, phase_s);
  }
  for (uint32_t i = 0; i < cycles; i++) {
    double begin_s = i * (double)CYCLE_S;
    event_add(state, EVENT_FAULT_CONFIRMED, begin_s + 20, (int32_t)i, 0, "host is off");
    event_add(state, EVENT_LEADER_LOST, begin_s + 41, (int32_t)i, 0, "");
    event_add(state, EVENT_PROMOTED, begin_s + 42, (int32_t)i, 1, "");
  }
  event_add(state, EVENT_WARNING, 43.7, FAULT_NONE, 1, "the harness was 120 ms late");
  qsort(state->items, state->item_count, sizeof *state->items, by_time);
}

static int fixture_visit(const struct record *record, uint32_t wants, record_visit *item,
                         void *data, struct error *err) {
  const struct fixture_state *state = (const void *)record;
  for (size_t i = 0; i < state->item_count; i++) {
    const struct item *have = &state->items[i];
    static const uint32_t want[] = {WANTS_OPERATIONS, WANTS_SAMPLES, WANTS_EVENTS};
    if (!(wants & want[have->what])) continue;
    struct record_item give = {.time_ns = have->time_ns, .row_host = HOST_NONE};
    if (have->what == 0) give.operation = &have->of.operation;
    if (have->what == 1) give.sample = &have->of.sample;
    if (have->what == 2) give.event = have->of.event;
    int status = item(data, &give, err);
    if (status != 0) return status;
  }
  return 0;
}

/* --- findings ----------------------------------------------------------------------------- */

static const struct checker checker_availability = {.plugin = {.name = "availability"}};
static const struct checker checker_failover = {.plugin = {.name = "failover"}};
static const struct checker checker_ledger = {.plugin = {.name = "ledger"}};
static const struct checker checker_lag = {.plugin = {.name = "lag"}};

static void measure(struct fixture_state *state, struct finding *finding, const char *name,
                    enum unit unit, double value, int32_t fault, const char *why) {
  if (!finding->measures) {
    finding->measures = must(arena_calloc(&state->arena, 400, sizeof *finding->measures));
  }
  assert(finding->measure_count < 400);
  finding->measures[finding->measure_count++] =
      (struct measure){.name = name,
                       .unit = unit,
                       .value = why ? NAN : value,
                       .known = !why,
                       .fault = fault,
                       .host = HOST_NONE,
                       .why = why ? text_of(state, why) : NULL};
}

static void interval(struct fixture_state *state, struct finding *finding, const char *what,
                     double begin_s, double end_s, int32_t fault) {
  if (!finding->intervals) {
    finding->intervals = must(arena_calloc(&state->arena, 200, sizeof *finding->intervals));
  }
  assert(finding->interval_count < 200);
  finding->intervals[finding->interval_count++] = (struct interval){.what = what,
                                                                    .begin_ns = at_ns(begin_s),
                                                                    .end_ns = at_ns(end_s),
                                                                    .fault = fault,
                                                                    .host = HOST_NONE,
                                                                    .other_host = HOST_NONE};
}

static void phases_make(struct fixture_state *state, struct finding *failover,
                        struct finding *availability, uint32_t faults, double scale) {
  for (uint32_t i = 0; i < faults; i++) {
    double s = scale * (1.0 - 0.03 * (double)i), crash_s = 20.0 + CYCLE_S * (double)i;
    int32_t fault = (int32_t)i;
    measure(state, failover, "detection_time", UNIT_DURATION, 21.0 * s, fault, NULL);
    measure(state, failover, "promotion_time", UNIT_DURATION, 22.0 * s, fault, NULL);
    measure(state, failover, "failover_time", UNIT_DURATION, 22.3 * s, fault, NULL);
    measure(state, failover, "time_to_full_redundancy", UNIT_DURATION, 51.0 * s, fault,
            i == 1 ? "pg3 never streamed again" : NULL);
    interval(state, availability, "write_outage", crash_s - 0.004, crash_s + 22.3, fault);
    interval(state, availability, "read_outage", crash_s - 0.003, crash_s + 22.05, fault);
  }
  availability->intervals[0].begin_ns -= NS_PER_MS;
  interval(state, failover, "dual_primary", 20.4, 21.9, 0);
  failover->intervals[0].host = 0;
  failover->intervals[0].other_host = 1;
}

static void findings_make(struct fixture_state *state, struct run_result *result, double scale) {
  struct finding *findings = must(arena_calloc(&state->arena, 4, sizeof *findings));
  findings[0].checker = &checker_availability;
  findings[1].checker = &checker_failover;
  findings[2].checker = &checker_ledger;
  findings[3].checker = &checker_lag;
  result->findings = findings;
  result->finding_count = 4;
  if (state->options.nothing_measured) {
    for (int i = 0; i < 4; i++) {
      findings[i].verdict = VERDICT_UNKNOWN;
      findings[i].why = text_of(state, "the record holds no operation");
    }
    return;
  }
  phases_make(state, &findings[1], &findings[0], result->info.fault_count, scale);
  measure(state, &findings[0], "availability", UNIT_RATIO, 0.752, FAULT_NONE, NULL);
  measure(state, &findings[0], "write_outage", UNIT_DURATION, 22.304, FAULT_NONE, NULL);
  measure(state, &findings[2], "data_loss", UNIT_COUNT, 3, FAULT_NONE, NULL);
  measure(state, &findings[2], "recovery_point", UNIT_DURATION, 0.0153, FAULT_NONE, NULL);
  measure(state, &findings[2], "unknown_survived", UNIT_COUNT, 12, FAULT_NONE, NULL);
  measure(state, &findings[2], "phantom", UNIT_COUNT, 0, FAULT_NONE, NULL);
  measure(state, &findings[2], "duplicate", UNIT_COUNT, 0, FAULT_NONE, "pg3 could not be read");
  measure(state, &findings[3], "replication_lag.p99", UNIT_DURATION, 0.31, FAULT_NONE, NULL);
  measure(state, &findings[3], "replication_lag.bytes.p99", UNIT_SIZE, 5120, FAULT_NONE, NULL);
  findings[2].verdict = VERDICT_UNKNOWN;
  findings[2].why = text_of(state, "pg3 could not be read after the run");
  findings[2].witnesses = must(arena_calloc(&state->arena, 3, sizeof(struct witness)));
  findings[2].witness_count = 3;
  for (uint32_t i = 0; i < 3; i++) {
    const char *text = must(arena_printf(
        &state->arena,
        "row (identity 7, sequence %u), acknowledged by pg1 at %.3f s on timeline 1, is on no host",
        4312 + i, 31.98 + 0.005 * i));
    findings[2].witnesses[i] = (struct witness){
        .what = "lost", .text = text_of(state, text), .time_ns = at_ns(19.98 + 0.005 * i)};
  }
}

static void objectives_make(struct fixture_state *state, struct run_result *result,
                            double failover_s) {
  struct objective_result *objectives = must(arena_calloc(&state->arena, 4, sizeof *objectives));
  objectives[0] = (struct objective_result){.name = "failover_time",
                                            .bound = "<= 45s",
                                            .unit = UNIT_DURATION,
                                            .bound_value = 45.0,
                                            .statistic = "max",
                                            .known = true,
                                            .measured = failover_s,
                                            .verdict = VERDICT_PASS};
  objectives[1] =
      (struct objective_result){.name = "data_loss",
                                .bound = "<= 0",
                                .unit = UNIT_COUNT,
                                .statistic = "max",
                                .known = true,
                                .measured = 3,
                                .verdict = VERDICT_FAIL,
                                .why = text_of(state, "3 acknowledged writes are gone")};
  objectives[2] = (struct objective_result){.name = "availability",
                                            .bound = ">= 70%",
                                            .unit = UNIT_RATIO,
                                            .bound_value = 0.7,
                                            .at_least = true,
                                            .statistic = "min",
                                            .known = true,
                                            .measured = 0.752,
                                            .verdict = VERDICT_PASS};
  objectives[3] = (struct objective_result){.name = "staleness.p99",
                                            .bound = "<= 1s",
                                            .unit = UNIT_DURATION,
                                            .bound_value = 1.0,
                                            .statistic = "max",
                                            .verdict = VERDICT_UNKNOWN,
                                            .why = text_of(state, "no read on a replica")};
  if (state->options.nothing_measured) {
    for (int i = 0; i < 4; i++) {
      objectives[i].known = false;
      objectives[i].verdict = VERDICT_UNKNOWN;
      objectives[i].why = text_of(state, "the record holds no operation");
    }
  }
  result->objectives = objectives;
  result->objective_count = 4;
}

static void info_make(struct fixture_state *state, struct record_info *info, uint32_t faults) {
  static const char *const names[HOST_COUNT] = {"pg1", "pg2", "pg3", "client1", "monitor"};
  static const uint8_t kinds[HOST_COUNT] = {0, 0, 0, 1, 2};
  const char **hosts = must(arena_calloc(&state->arena, HOST_COUNT, sizeof *hosts));
  for (int i = 0; i < HOST_COUNT; i++) hosts[i] = text_of(state, names[i]);
  struct fault_info *list = must(arena_calloc(&state->arena, faults, sizeof *list));
  bool never = state->options.nothing_measured;
  for (uint32_t i = 0; i < faults; i++) {
    double crash_s = 20.0 + CYCLE_S * (double)i;
    const char *name = must(arena_printf(&state->arena, "host-crash-%u", i + 1));
    list[i] = (struct fault_info){.injector = "host-crash",
                                  .name = text_of(state, name),
                                  .target = text_of(state, "postgres.primary"),
                                  .host = never ? HOST_NONE : 0,
                                  .planned_ns = at_ns(crash_s - 0.05),
                                  .injected_ns = never ? TIME_NEVER : at_ns(crash_s - 0.012),
                                  .confirmed_ns = never ? TIME_NEVER : at_ns(crash_s),
                                  .healed_ns = never ? TIME_NEVER : at_ns(crash_s + 40),
                                  .heal_confirmed_ns = never ? TIME_NEVER : at_ns(crash_s + 40.3)};
  }
  *info = (struct record_info){.hosts = hosts,
                               .host_kinds = kinds,
                               .host_count = HOST_COUNT,
                               .faults = list,
                               .fault_count = faults,
                               .load_begin_ns = at_ns(0),
                               .load_end_ns = at_ns((double)faults * CYCLE_S),
                               .end_ns = at_ns((double)faults * CYCLE_S + 9.25),
                               .identity_count = 31,
                               .write_rate = 200,
                               .read_rate = 50,
                               .outage_min_ns = 100 * NS_PER_MS,
                               .lag_bound_bytes = 1 << 20};
}

static void counts_make(const struct fixture_state *state, struct run_result *result) {
  for (size_t i = 0; i < state->item_count; i++) {
    if (state->items[i].what != 0) continue;
    const struct operation *operation = &state->items[i].of.operation;
    struct operation_counts *counts = operation->kind == OPERATION_WRITE      ? &result->writes
                                      : operation->kind == OPERATION_READ_OWN ? &result->reads
                                                                              : NULL;
    if (!counts) continue;
    counts->scheduled++;
    counts->ok += operation->outcome == OUTCOME_OK;
    counts->fail += operation->outcome == OUTCOME_FAIL;
    counts->unknown += operation->outcome == OUTCOME_UNKNOWN;
    counts->skipped += operation->outcome == OUTCOME_SKIPPED;
  }
}

static void result_make(struct fixture_state *state, struct run_result *result, uint32_t faults,
                        uint32_t repeat, const char *directory) {
  double scale = 1.0 + 0.08 * sin(repeat * 2.3);
  *result = (struct run_result){
      .run_directory = directory,
      .scenario = text_of(state, "primary-crash"),
      .scenario_file = text_of(state, "scenarios/postgres/primary-crash.yaml"),
      .provider = "local",
      .seed = 42 + repeat,
      .repeat = repeat + 1,
      .wall_start_ns = UINT64_C(1795265955123) * NS_PER_MS,
      .duration_s = 9.25 + FIXTURE_BEGIN_S + (double)faults * CYCLE_S,
      .verdict = state->options.nothing_measured ? VERDICT_UNKNOWN : VERDICT_FAIL,
      .why = text_of(state, "data_loss is 3, and 0 was the bound"),
      .trusted = !state->options.nothing_measured,
      .settings_json =
          "{\"postgres\": {\"settings\": {\"hosts\": {\"pg1\": {\"parameters\": {\"fsync\": "
          "{\"value\": \"on\", \"source\": \"default\"}, \"wal_level\": {\"value\": \"<a>\", "
          "\"source\": \"file\"}}}, \"pg2\": {\"parameters\": {\"fsync\": {\"value\": \"off\"}, "
          "\"wal_level\": {\"value\": \"<a>\"}}}}, \"patroni\": {\"ttl\": 30, "
          "\"synchronous_mode\": "
          "false}}, "
          "\"bounds\": {\"failover_time_s\": 320.0, \"because\": \"anything\", "
          "\"host-crash\": {\"failover_time_s\": 42.0, "
          "\"because\": \"ttl 30 + loop_wait 10 + <promotion> 2\"}}}}",
      .versions_json = "{\"gameday\": \"0.1.0\", \"postgres\": \"15.10\", \"patroni\": \"3.0.2\"}",
  };
  info_make(state, &result->info, faults);
  counts_make(state, result);
  findings_make(state, result, scale);
  objectives_make(state, result, 22.3 * scale);
}

void report_fixture_init(struct report_fixture *fixture, const char *directory,
                         const struct report_fixture_options *options) {
  struct fixture_state *state = must(calloc(1, sizeof *state));
  arena_init(&state->arena, 0);
  state->options = *options;
  uint32_t faults = options->faults ? options->faults : 1;
  uint32_t repeats = options->repeats ? options->repeats : 1;
  if (!options->nothing_measured) items_make(state, faults);
  state->results = must(calloc(repeats, sizeof *state->results));
  for (uint32_t i = 0; i < repeats; i++) {
    result_make(state, &state->results[i], faults, i, directory);
  }
  fixture->state = state;
  fixture->input = (struct report_input){.result = &state->results[0],
                                         .repeats = state->results,
                                         .repeat_count = repeats,
                                         .record = (const void *)state,
                                         .visit = fixture_visit,
                                         .directory = directory};
}

void report_fixture_release(struct report_fixture *fixture) {
  if (!fixture->state) return;
  arena_release(&fixture->state->arena);
  free(fixture->state->results);
  free(fixture->state->items);
  free(fixture->state);
  *fixture = (struct report_fixture){.state = NULL};
}
