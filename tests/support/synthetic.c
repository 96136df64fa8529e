/* Writing and judging synthetic records. */
#include "support/synthetic.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "gameday/checker.h"

#define RING_COUNT 4096

const struct synthetic_options synthetic_defaults = {.load_begin_s = 10,
                                                     .load_end_s = 70,
                                                     .end_s = 90,
                                                     .faults = 1,
                                                     .outage_min_ns = 200 * NS_PER_MS,
                                                     .load_minimum = 10};

static void must(int status, const struct error *err) {
  if (status < 0) print_error("%s\n", err->message);
  assert_int_equal(status, 0);
}

static uint64_t clock_read(const struct clock *clock) {
  return atomic_load((const _Atomic uint64_t *)clock->state);
}

void synthetic_begin(struct synthetic *it, const struct synthetic_options *options) {
  struct error err = ERROR_INIT;
  *it = (struct synthetic){.options = options ? *options : synthetic_defaults};
  const char *base = getenv("TMPDIR");
  snprintf(it->directory, sizeof it->directory, "%.32s/gameday-test-XXXXXX", base ? base : "/tmp");
  assert_non_null(mkdtemp(it->directory));
  it->clock = (struct clock){.now = clock_read, .state = &it->now_ns};
  for (int h = 0; h < SYNTHETIC_HOSTS_MAX; h++) it->rows[h].reported = -1;
  must(recorder_new(&(struct recorder_spec){.run_directory = it->directory,
                                            .clock = &it->clock,
                                            .start_ns = 0,
                                            .wall_start_ns = UINT64_C(1700000000000000000),
                                            .producers = 1,
                                            .ring_count = RING_COUNT},
                    &it->recorder, &err),
       &err);
  it->sink = recorder_sink(it->recorder);
}

void synthetic_release(struct synthetic *it) {
  struct error err = ERROR_INIT;
  if (it->open) {
    record_close(&it->record);
    arena_release(&it->arena);
  }
  recorder_free(it->recorder);
  free(it->operations);
  for (int h = 0; h < SYNTHETIC_HOSTS_MAX; h++) free(it->rows[h].items);
  must(directory_remove(it->directory, &err), &err);
}

/* --- adding ---------------------------------------------------------------------------------- */

uint32_t synthetic_identity(struct synthetic *it) {
  return ++it->identities;
}

uint64_t synthetic_value(uint32_t identity, uint64_t sequence) {
  return ((uint64_t)identity * 2654435761u ^ sequence * 40503u) & UINT32_MAX;
}

void synthetic_operation(struct synthetic *it, const struct operation *operation) {
  if (it->operation_count == it->operation_capacity) {
    it->operation_capacity = it->operation_capacity ? it->operation_capacity * 2 : 4096;
    it->operations = realloc(it->operations, it->operation_capacity * sizeof *it->operations);
    assert_non_null(it->operations);
  }
  it->operations[it->operation_count++] = *operation;
}

void synthetic_row(struct synthetic *it, uint16_t host, const struct final_row *row) {
  if (it->rows[host].count == it->rows[host].capacity) {
    it->rows[host].capacity = it->rows[host].capacity ? it->rows[host].capacity * 2 : 4096;
    it->rows[host].items =
        realloc(it->rows[host].items, it->rows[host].capacity * sizeof *it->rows[host].items);
    assert_non_null(it->rows[host].items);
  }
  it->rows[host].items[it->rows[host].count++] = *row;
}

void synthetic_remove_row(struct synthetic *it, uint16_t host, uint32_t identity,
                          uint64_t sequence) {
  for (uint32_t i = 0; i < it->rows[host].count; i++) {
    struct final_row *row = &it->rows[host].items[i];
    if (row->identity != identity || row->sequence != sequence) continue;
    *row = it->rows[host].items[--it->rows[host].count];
    return;
  }
  fail_msg("there is no row (%u, %" PRIu64 ") to remove", identity, sequence);
}

static const struct synthetic_span *span_at(const struct synthetic_load *load, double time_s) {
  const struct synthetic_span *span = &load->spans[0];
  for (uint32_t i = 1; i < load->span_count; i++)
    if (load->spans[i].from_s <= time_s) span = &load->spans[i];
  return span;
}

static void give_rows(struct synthetic *it, const struct operation *operation, uint32_t hosts) {
  const struct final_row row = {
      .identity = operation->identity, .sequence = operation->sequence, .value = operation->value};
  for (uint16_t h = 0; h < SYNTHETIC_HOSTS_MAX; h++)
    if (hosts >> h & 1) synthetic_row(it, h, &row);
}

void synthetic_add_load(struct synthetic *it, const struct synthetic_load *load) {
  uint32_t identity = synthetic_identity(it);
  uint64_t sequence = 0;
  bool whole = load->from_s <= 0 && load->to_s <= 0;
  double from_s = whole ? it->options.load_begin_s : load->from_s;
  double to_s = whole ? it->options.load_end_s : load->to_s;
  double rate = load->rate > 0 ? load->rate : 100;
  uint32_t count = (uint32_t)((to_s - from_s) * rate + 0.5);
  bool appends = load->kind == OPERATION_WRITE || load->kind == OPERATION_PROBE;
  for (uint32_t i = 0; i < count; i++) {
    double scheduled_s = from_s + i / rate;
    const struct synthetic_span *span = span_at(load, scheduled_s);
    struct operation operation = {.scheduled_ns = SECONDS(scheduled_s),
                                  .identity = identity,
                                  .client = load->client,
                                  .workload = load->workload & (WORKLOADS_MAX - 1),
                                  .shard = load->shard & SHARD_MASK,
                                  .kind = load->kind,
                                  .outcome = span->outcome,
                                  .route = load->route,
                                  .host = span->host,
                                  .timeline = span->timeline,
                                  .code = span->code ? code_pack(span->code) : 0};
    double done_s = span->until_s > 0 ? span->until_s + i * 1e-6 : scheduled_s + span->latency_s;
    operation.done_ns = SECONDS(done_s);
    bool sent = span->outcome == OUTCOME_OK || span->outcome == OUTCOME_UNKNOWN;
    if (sent) operation.sent_ns = operation.done_ns - SECONDS(span->latency_s) + 100000;
    if (sent && (appends || load->kind == OPERATION_HEARTBEAT_WRITE)) {
      operation.sequence = ++sequence;
      operation.value = synthetic_value(identity, sequence);
    }
    synthetic_operation(it, &operation);
    if (appends && sent) give_rows(it, &operation, span->rows);
    if (appends && span->outcome == OUTCOME_UNKNOWN) {
      identity = synthetic_identity(it);
      sequence = 0;
    }
  }
}

void synthetic_event(struct synthetic *it, double time_s, enum event_kind kind, int32_t fault,
                     uint16_t host, int64_t number, const char *text) {
  struct event event = {
      .time_ns = SECONDS(time_s), .kind = kind, .fault = fault, .host = host, .number = number};
  snprintf(event.text, sizeof event.text, "%s", text ? text : "");
  it->sink->event(it->sink, &event);
}

void synthetic_role(struct synthetic *it, double time_s, uint16_t host, enum role role) {
  const struct event event = {.time_ns = SECONDS(time_s),
                              .kind = EVENT_ROLE,
                              .fault = FAULT_NONE,
                              .host = host,
                              .role = (uint8_t)role};
  it->sink->event(it->sink, &event);
}

void synthetic_shard_role(struct synthetic *it, double time_s, uint16_t host, enum role role,
                          uint16_t shard) {
  const struct event event = {.time_ns = SECONDS(time_s),
                              .kind = EVENT_ROLE,
                              .fault = FAULT_NONE,
                              .host = host,
                              .role = (uint8_t)role,
                              .number2 = shard};
  it->sink->event(it->sink, &event);
}

void synthetic_sample(struct synthetic *it, double time_s, enum metric metric, uint16_t host,
                      double value) {
  const struct sample sample = {
      .time_ns = SECONDS(time_s), .value = value, .metric = (uint16_t)metric, .host = host};
  it->sink->sample(it->sink, &sample);
}

void synthetic_fault(struct synthetic *it, int32_t fault, uint16_t host, double confirmed_s,
                     double healed_s) {
  synthetic_event(it, confirmed_s - 0.010, EVENT_FAULT_JOURNALED, fault, host, 0, "");
  synthetic_event(it, confirmed_s - 0.005, EVENT_FAULT_INJECTED, fault, host, 5000000, "");
  synthetic_event(it, confirmed_s, EVENT_FAULT_CONFIRMED, fault, host, 0, "");
  if (healed_s <= 0) return;
  synthetic_event(it, healed_s, EVENT_FAULT_HEALED, fault, host, 0, "");
  synthetic_event(it, healed_s + 0.1, EVENT_FAULT_HEAL_CONFIRMED, fault, host, 0, "");
}

void synthetic_crash(struct synthetic *it, double rate) {
  const struct synthetic_span spans[] = {KEPT_ON(0, PG1, 1),
                                         {.from_s = 30,
                                          .outcome = OUTCOME_FAIL,
                                          .latency_s = 1,
                                          .host = HOST_NONE,
                                          .code = CODE_NO_CONNECTION},
                                         KEPT_ON(52, PG2, 2)};
  const struct synthetic_load load = {
      .rate = rate, .from_s = 10, .to_s = 70, .spans = spans, .span_count = 3};
  synthetic_role(it, 5, PG1, ROLE_PRIMARY);
  synthetic_role(it, 5, PG2, ROLE_REPLICA);
  synthetic_event(it, 5, EVENT_LEADER, FAULT_NONE, PG1, 0, "");
  synthetic_event(it, 6, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 1, "");
  synthetic_fault(it, 0, PG1, 30, 60);
  synthetic_event(it, 30.2, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 0, "");
  synthetic_role(it, 31, PG1, ROLE_NONE);
  synthetic_event(it, 50, EVENT_LEADER_LOST, FAULT_NONE, PG1, 0, "");
  synthetic_event(it, 50.5, EVENT_LEADER, FAULT_NONE, PG2, 0, "");
  synthetic_role(it, 51, PG2, ROLE_PRIMARY);
  synthetic_event(it, 51, EVENT_PROMOTED, FAULT_NONE, PG2, 0, "");
  synthetic_role(it, 62, PG1, ROLE_REPLICA);
  synthetic_event(it, 65, EVENT_REDUNDANT, FAULT_NONE, HOST_NONE, 1, "");
  synthetic_add_load(it, &load);
}

/* --- writing it out -------------------------------------------------------------------------- */

static int compare_operations(const void *left, const void *right) {
  const struct operation *a = left, *b = right;
  if (a->done_ns != b->done_ns) return a->done_ns < b->done_ns ? -1 : 1;
  return a->scheduled_ns < b->scheduled_ns ? -1 : a->scheduled_ns > b->scheduled_ns;
}

static void write_operations(struct synthetic *it) {
  if (it->operation_count > 1)
    qsort(it->operations, it->operation_count, sizeof *it->operations, compare_operations);
  for (uint32_t i = 0; i < it->operation_count; i++) {
    if (i % (RING_COUNT / 2) == 0) recorder_flush(it->recorder);
    atomic_store(&it->now_ns, it->operations[i].done_ns);
    assert_true(recorder_operation(it->recorder, 0, &it->operations[i]));
  }
}

static uint32_t host_count(const struct synthetic *it) {
  return it->options.hosts ? it->options.hosts : SYNTHETIC_HOSTS;
}

static void write_rows(struct synthetic *it) {
  static const char *const names[SYNTHETIC_HOSTS_MAX] = {"pg1", "pg2", "pg3", "pg4", "pg5", "pg6"};
  struct error err = ERROR_INIT;
  for (uint16_t h = 0; h < host_count(it); h++) {
    must(recorder_rows_begin(it->recorder, h, names[h], &err), &err);
    for (uint32_t i = 0; i < it->rows[h].count; i++)
      must(recorder_row(it->recorder, &it->rows[h].items[i], &err), &err);
    must(recorder_rows_end(it->recorder, &err), &err);
    int64_t count = it->rows[h].reported < 0 ? it->rows[h].count : it->rows[h].reported;
    synthetic_event(it, it->options.end_s - 2, EVENT_FINAL_READ, FAULT_NONE, h, count,
                    it->rows[h].failed);
  }
}

static void write_run(struct synthetic *it) {
  struct error err = ERROR_INIT;
  struct buf text;
  buf_init(&text);
  buf_puts(&text,
           "{\"schema\": \"gameday/run/v1\", \"id\": \"synthetic\", \"scenario\": \"made up\","
           " \"scenario_file\": \"synthetic.yaml\", \"provider\": \"sim\", \"seed\": 42,"
           " \"wall_start_ns\": 1700000000000000000, \"gameday_version\": \"0\","
           " \"versions\": {},");
  if (it->options.redis_from > 0)
    buf_printf(&text,
               " \"services\": [\"postgres\", \"redis\"], \"workload_facts\":"
               " [{\"service\": \"postgres\"}, {\"service\": \"redis\", \"reads_back\": %s}],",
               it->options.redis_unread ? "false" : "true");
  buf_puts(&text, " \"hosts\": [");
  for (uint32_t h = 0; h < host_count(it); h++) {
    bool redis = it->options.redis_from > 0 && h >= it->options.redis_from;
    buf_printf(&text, "{\"name\": \"pg%u\", \"kind\": \"server\", \"address\": \"\"%s}, ", h + 1,
               redis ? ", \"service\": \"redis\"" : "");
  }
  buf_puts(&text,
           "{\"name\": \"client1\", \"kind\": \"client\", \"address\": \"\"}],"
           " \"faults\": [");
  for (uint32_t f = 0; f < it->options.faults; f++)
    buf_printf(&text,
               "%s{\"name\": \"fault-%u\", \"injector\": \"host-crash\", \"target\": \"x\","
               " \"planned\": %s}",
               f ? ", " : "", f, it->options.planned[f] ? "true" : "false");
  buf_printf(&text,
             "], \"workloads\": [\"ledger\"%s], \"identity_count\": %u, \"dropped\": %" PRIu64
             ", \"operations\": %u, \"finished\": %s, \"stopped_because\": null, "
             "\"outage_min_ns\": %" PRIu64
             ", \"lag_bound_bytes\": 16777216, \"load_minimum\": %u, \"settings\": {}}",
             it->options.redis_from > 0 ? ", \"redis-ledger\"" : "", it->identities,
             it->options.dropped, it->operation_count, it->options.unfinished ? "false" : "true",
             it->options.outage_min_ns, it->options.load_minimum);
  char path[128];
  snprintf(path, sizeof path, "%s/run.json", it->directory);
  must(buf_ok(&text, &err), &err);
  must(file_puts(path, text.data, 0644, &err), &err);
  buf_release(&text);
}

void synthetic_finish(struct synthetic *it) {
  const struct synthetic_options *options = &it->options;
  struct error err = ERROR_INIT;
  synthetic_event(it, 1, EVENT_RUN, FAULT_NONE, HOST_NONE, 0, "up");
  synthetic_event(it, options->load_begin_s, EVENT_RUN, FAULT_NONE, HOST_NONE, 0, "steady");
  synthetic_event(it, options->load_end_s, EVENT_RUN, FAULT_NONE, HOST_NONE, 0, "drain");
  if (!options->no_final_read) {
    synthetic_event(it, options->end_s - 4, EVENT_RUN, FAULT_NONE, HOST_NONE, 0, "converge");
    synthetic_event(it, options->end_s - 3, EVENT_RUN, FAULT_NONE, HOST_NONE, 0, "final-read");
  }
  write_operations(it);
  if (!options->no_final_read) write_rows(it);
  synthetic_event(it, options->end_s, EVENT_RUN, FAULT_NONE, HOST_NONE, 0, "end");
  write_run(it);
  struct recorder_totals totals;
  must(recorder_finish(it->recorder, &totals, &err), &err);
  assert_int_equal(totals.dropped, 0);
  assert_int_equal(totals.operations, it->operation_count);
  must(record_open(it->directory, &it->record, &err), &err);
  arena_init(&it->arena, 0);
  it->open = true;
}

/* --- judging --------------------------------------------------------------------------------- */

void synthetic_judge(struct synthetic *it, const struct checker *checker,
                     const struct scenario *scenario) {
  struct error err = ERROR_INIT;
  const struct checker *const one[] = {checker, NULL};
  if (!it->open) synthetic_finish(it);
  must(judge_run(&it->record, scenario, checker ? one : checkers, &it->arena, &it->result, &err),
       &err);
}

const struct finding *synthetic_finding(const struct synthetic *it, const char *checker) {
  for (uint32_t i = 0; i < it->result.finding_count; i++)
    if (strcmp(it->result.findings[i].checker->plugin.name, checker) == 0)
      return &it->result.findings[i];
  fail_msg("there is no finding of %s", checker);
  return NULL;
}

const struct measure *synthetic_measure(const struct synthetic *it, const char *name,
                                        int32_t fault) {
  for (uint32_t i = 0; i < it->result.finding_count; i++) {
    const struct finding *finding = &it->result.findings[i];
    for (uint32_t j = 0; j < finding->measure_count; j++)
      if (finding->measures[j].fault == fault && finding->measures[j].host == HOST_NONE &&
          strcmp(finding->measures[j].name, name) == 0)
        return &finding->measures[j];
  }
  fail_msg("there is no measure %s of fault %d", name, fault);
  return NULL;
}

double synthetic_value_of(const struct synthetic *it, const char *name, int32_t fault) {
  const struct measure *measure = synthetic_measure(it, name, fault);
  if (!measure->known) fail_msg("%s is not known: %s", name, measure->why);
  return measure->value;
}

void synthetic_expect(const struct synthetic *it, const struct synthetic_value *values) {
  for (; values->name; values++) {
    double value = synthetic_value_of(it, values->name, values->fault);
    if (!(fabs(value - values->value) <= 1e-4)) /* not a number is not near */
      fail_msg("%s of fault %d is %g, not %g", values->name, values->fault, value, values->value);
  }
}

const char *synthetic_witness(const struct synthetic *it, const char *what) {
  for (uint32_t i = 0; i < it->result.finding_count; i++) {
    const struct finding *finding = &it->result.findings[i];
    for (uint32_t j = 0; j < finding->witness_count; j++)
      if (strcmp(finding->witnesses[j].what, what) == 0) return finding->witnesses[j].text;
  }
  return NULL;
}
