/* The record condensed for drawing, and distributions over repeats. */
#include <math.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "report/beats.h"
#include "report/facts.h"
#include "report/series.h"
#include "report/statistics.h"
#include "support/report_fixture.h"
#include "support/test.h"

static void build(struct report_fixture *fixture, struct series *series, uint32_t faults) {
  struct error err = ERROR_INIT;
  struct report_fixture_options options = {.faults = faults};
  report_fixture_init(fixture, ".", &options);
  assert_ok(series_build(&fixture->input, series, &err), &err);
}

static void test_counts_add_up_to_the_result(void **state) {
  (void)state;
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  CLEANUP(series_release) struct series series = {.warning_count = 0};
  build(&fixture, &series, 2);
  uint64_t sums[SERIES_CLASS_COUNT][OUTCOME_COUNT] = {{0}};
  for (uint32_t i = 0; i < series.axis.count; i++) {
    for (int class = 0; class < SERIES_CLASS_COUNT; class ++) {
      for (int j = 0; j < OUTCOME_COUNT; j++) sums[class][j] += series.counts[i].outcomes[class][j];
    }
  }
  const struct operation_counts *writes = &fixture.input.result->writes;
  assert_int_equal(sums[SERIES_WRITES][OUTCOME_OK], writes->ok);
  assert_int_equal(sums[SERIES_WRITES][OUTCOME_FAIL], writes->fail);
  assert_int_equal(sums[SERIES_WRITES][OUTCOME_UNKNOWN], writes->unknown);
  assert_int_equal(sums[SERIES_WRITES][OUTCOME_SKIPPED], writes->skipped);
  assert_int_equal(series.latency_total[SERIES_WRITES]->count, writes->ok);
  assert_int_equal(sums[SERIES_READS][OUTCOME_OK], fixture.input.result->reads.ok);
  uint64_t not_ok = 0;
  for (uint32_t i = 0; i < series.code_count; i++) not_ok += series.codes[i].count;
  const struct operation_counts *reads = &fixture.input.result->reads;
  assert_int_equal(not_ok, writes->scheduled - writes->ok + reads->scheduled - reads->ok);
}

static void test_axis_is_the_measured_time(void **state) {
  (void)state;
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  CLEANUP(series_release) struct series series = {.warning_count = 0};
  build(&fixture, &series, 1);
  assert_int_equal(series.axis.step_ns, NS_PER_S);
  assert_int_equal(series.axis.count, 90);
  assert_true(axis_seconds(&series.axis, 0) == FIXTURE_BEGIN_S);
  assert_int_equal(axis_index(&series.axis, 0), UINT32_MAX);
  assert_int_equal(axis_index(&series.axis, (FIXTURE_BEGIN_S + 90) * NS_PER_S), UINT32_MAX);
  assert_int_equal(axis_index(&series.axis, (FIXTURE_BEGIN_S + 90) * NS_PER_S - 1), 89);
  assert_int_equal(series.warning_count, 1);
  assert_non_null(strstr(series.warnings[0].text, "120 ms late"));
}

/* Of the last 30 ms a rate was made that nobody had: a spike, or a drop to nothing. */
static void test_the_last_milliseconds_are_no_interval_of_their_own(void **state) {
  static const struct {
    uint64_t more_ns;
    uint32_t count;
  } ends[] = {{1, 90}, {30 * NS_PER_MS, 90}, {499 * NS_PER_MS, 90}, {600 * NS_PER_MS, 91}};
  (void)state;
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    struct error err = ERROR_INIT;
    struct report_fixture_options options = {.faults = 1};
    CLEANUP(report_fixture_release) struct report_fixture fixture;
    CLEANUP(series_release) struct series series = {.warning_count = 0};
    report_fixture_init(&fixture, ".", &options);
    struct run_result result = *fixture.input.result;
    result.info.load_end_ns += ends[i].more_ns;
    fixture.input.result = &result;
    assert_ok(series_build(&fixture.input, &series, &err), &err);
    assert_int_equal(series.axis.count, ends[i].count);
    assert_int_equal(axis_index(&series.axis, result.info.load_end_ns - 1), ends[i].count - 1);
    assert_int_equal(axis_index(&series.axis, result.info.load_end_ns), UINT32_MAX);
    double end_s = axis_seconds(&series.axis, series.axis.count);
    assert_true(fabs(end_s - (double)result.info.load_end_ns / 1e9) < 1e-6);
    double last_s = end_s - axis_seconds(&series.axis, series.axis.count - 1);
    assert_true(last_s >= 0.5 && last_s < 1.5);
  }
}

/* Whatever the length of the run, the arrays have a bound. */
static void test_memory_does_not_grow_with_the_run(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  struct report_fixture_options options = {.faults = 1};
  static const uint64_t lengths_s[] = {1, 19, 20, 599, 600, 601, 7200, 86400, 31536000};
  for (size_t i = 0; i < sizeof lengths_s / sizeof lengths_s[0]; i++) {
    CLEANUP(report_fixture_release) struct report_fixture fixture;
    CLEANUP(series_release) struct series series = {.warning_count = 0};
    report_fixture_init(&fixture, ".", &options);
    struct run_result result = *fixture.input.result;
    result.info.load_end_ns = result.info.load_begin_ns + lengths_s[i] * NS_PER_S;
    result.info.end_ns = result.info.load_end_ns + NS_PER_S;
    fixture.input.result = &result;
    assert_ok(series_build(&fixture.input, &series, &err), &err);
    assert_in_range(series.axis.count, 1, SERIES_INTERVALS_MAX);
    assert_in_range(series.columns.count, 1, SERIES_COLUMNS_MAX);
    assert_true(axis_seconds(&series.axis, series.axis.count) - axis_seconds(&series.axis, 0) >=
                (double)lengths_s[i]);
  }
}

static void test_lag_has_gaps_where_no_replica_answers(void **state) {
  (void)state;
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  CLEANUP(series_release) struct series series = {.warning_count = 0};
  build(&fixture, &series, 1);
  const double *old_primary = series.lag[LAG_BYTES][0];
  assert_non_null(old_primary);
  assert_true(isnan(old_primary[10]) && isnan(old_primary[30]) && !isnan(old_primary[80]));
  assert_null(series.lag[LAG_BYTES][3]); /* a client host */
  /* 12 beats of 100 ms behind: the first of them it does not show was 1.1 to 1.2 s old. */
  assert_true(series.lag[LAG_HEARTBEAT][2][44] > 1.0 && series.lag[LAG_HEARTBEAT][2][44] < 1.3);
}

/* It drew the primary's line too, a flat one at the bottom, among those of the replicas. */
static void test_the_primary_has_no_lag_while_it_is_primary(void **state) {
  (void)state;
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  CLEANUP(series_release) struct series series = {.warning_count = 0};
  build(&fixture, &series, 1);
  const double *first = series.lag[LAG_HEARTBEAT][0], *second = series.lag[LAG_HEARTBEAT][1];
  assert_true(isnan(first[10]) && !isnan(first[80]));
  assert_true(!isnan(second[10]) && isnan(second[80]));
}

static void test_a_run_without_anything(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  struct report_fixture_options options = {.nothing_measured = true};
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  CLEANUP(series_release) struct series series = {.warning_count = 0};
  report_fixture_init(&fixture, ".", &options);
  struct run_result result = *fixture.input.result;
  result.info.load_begin_ns = result.info.load_end_ns = TIME_NEVER;
  result.info.end_ns = 0;
  fixture.input.result = &result;
  assert_ok(series_build(&fixture.input, &series, &err), &err);
  assert_int_equal(series.axis.count, 1);
  assert_null(series.latency_total[SERIES_WRITES]);
}

static int refuse(const struct record *record, uint32_t wants, record_visit *item, void *data,
                  struct error *err) {
  (void)record, (void)wants, (void)item, (void)data;
  return error_set(err, STATUS_UNTRUSTED, "out of order");
}

static void test_a_visit_that_fails_leaves_nothing(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  struct report_fixture_options options = {.faults = 1};
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  report_fixture_init(&fixture, ".", &options);
  fixture.input.visit = refuse;
  struct series series;
  assert_int_equal(series_build(&fixture.input, &series, &err), STATUS_UNTRUSTED);
  assert_string_equal(err.message, "out of order");
}

static void test_beats(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  struct beats *beats = beats_new();
  assert_non_null(beats);
  assert_true(beats_age_s(beats, 1, NS_PER_S) == 0);
  assert_ok(beats_written(beats, 1, 1 * NS_PER_S, &err), &err);
  assert_ok(beats_written(beats, 2, 2 * NS_PER_S, &err), &err);
  assert_ok(beats_written(beats, 5, 5 * NS_PER_S, &err), &err); /* 3 and 4 failed */
  assert_true(beats_age_s(beats, 5, 9 * NS_PER_S) == 0);
  assert_true(beats_age_s(beats, 2, 9 * NS_PER_S) == 4);
  assert_true(beats_age_s(beats, 3, 9 * NS_PER_S) == 4);
  assert_true(beats_age_s(beats, 0, 9 * NS_PER_S) == 8);
  /* Sent before the beat was acknowledged: not behind. */
  assert_true(beats_age_s(beats, 2, 4 * NS_PER_S) == 0);
  /* More than the ring holds: at least as old as the oldest that is kept. */
  for (uint64_t i = 6; i < BEATS_MAX + 1000; i++) {
    assert_ok(beats_written(beats, i, i * NS_PER_S, &err), &err);
  }
  double age_s = beats_age_s(beats, 0, (BEATS_MAX + 1000) * NS_PER_S);
  assert_true(age_s == BEATS_MAX);
  assert_true(beats_age_s(beats, BEATS_MAX, (BEATS_MAX + 3) * NS_PER_S) == 2);
  beats_free(beats);
}

static void test_spread(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  struct report_fixture_options options = {.faults = 2, .repeats = 10};
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  report_fixture_init(&fixture, ".", &options);
  struct spread spread;
  assert_ok(spread_of_repeats(&fixture.input, "failover_time", &spread, &err), &err);
  assert_int_equal(spread.count, 20);
  assert_true(spread.minimum <= spread.median && spread.median <= spread.p95 &&
              spread.p95 <= spread.maximum);
  assert_true(spread.has_interval && spread.low <= spread.median && spread.median <= spread.high);
  /* For n = 20 the 6th and the 15th value bracket the median (a textbook table). */
  double values[32];
  assert_int_equal(spread_values(&fixture.input, "failover_time", values, 32), 20);
  assert_true(spread.low == values[5] && spread.high == values[14]);
  assert_true(spread.has_p95 && spread.p95 == values[18]);
  assert_ok(spread_of_repeats(&fixture.input, "time_to_full_redundancy", &spread, &err), &err);
  assert_int_equal(spread.count, 10);
  assert_int_equal(spread.unknown, 10);
  assert_ok(spread_of_repeats(&fixture.input, "nonsense", &spread, &err), &err);
  assert_int_equal(spread.count, 0);
}

/* Five values cannot bracket a median with 95 %; claiming an interval would be a lie. */
static void test_few_repeats_have_no_interval(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  for (uint32_t n = 1; n <= 6; n++) {
    struct report_fixture_options options = {.faults = 1, .repeats = n};
    CLEANUP(report_fixture_release) struct report_fixture fixture;
    report_fixture_init(&fixture, ".", &options);
    struct spread spread;
    assert_ok(spread_of_repeats(&fixture.input, "failover_time", &spread, &err), &err);
    assert_int_equal(spread.has_interval, n == 6);
    char text[SPREAD_TEXT_SIZE];
    spread_text(&spread, text);
    assert_null(strstr(text, "p95"));
  }
}

static void test_floors_are_worse_than_what_is_known(void **state) {
  (void)state;
  struct measure measures[] = {
      {.name = "failover_time", .known = true, .value = 20, .host = HOST_NONE},
      {.name = "failover_time", .floor = true, .value = 60, .host = HOST_NONE, .why = "never"},
      {.name = "failover_time", .not_applicable = true, .host = HOST_NONE, .why = "no fault"},
  };
  measures[0].unit = measures[1].unit = UNIT_DURATION;
  struct finding finding = {.measures = measures, .measure_count = 3};
  struct run_result result = {.findings = &finding, .finding_count = 1};
  struct measure worst;
  char text[FACTS_TEXT_SIZE];
  facts_text(facts_worst(&result, "failover_time", &worst), text);
  assert_string_equal(text, "at least 60.0 s: never");
  facts_text(&measures[2], text);
  assert_string_equal(text, "does not apply: no fault");
  facts_text(NULL, text);
  assert_string_equal(text, "not measured: no checker measured it");
  /* 80 s were told, beside a failover that did not end within 60 s. */
  measures[0].value = 80;
  facts_text(facts_worst(&result, "failover_time", &worst), text);
  assert_string_equal(text, "at least 80.0 s: never");
  measures[1].floor = false;
  facts_text(facts_worst(&result, "failover_time", &worst), text);
  assert_string_equal(text, "at least 80.0 s: never");
  measures[1].known = true;
  facts_text(facts_worst(&result, "failover_time", &worst), text);
  assert_string_equal(text, "80.0 s");
  finding.measure_count = 0;
  assert_null(facts_worst(&result, "failover_time", &worst));
}

/* "two primaries acknowledged writes 0 s" stood in the report of a run that was interrupted. */
static void test_values_of_a_run_that_broke_off_are_floors(void **state) {
  (void)state;
  struct measure measures[] = {
      {.name = "dual_primary", .unit = UNIT_DURATION, .known = true, .host = HOST_NONE},
      {.name = "staleness.p99", .unit = UNIT_DURATION, .known = true, .host = HOST_NONE},
  };
  struct finding finding = {.measures = measures, .measure_count = 2};
  struct run_result result = {.findings = &finding, .finding_count = 1};
  struct measure worst;
  char text[FACTS_TEXT_SIZE];
  facts_text(facts_worst(&result, "dual_primary", &worst), text);
  assert_string_equal(text, "at least 0 s: the record is incomplete");
  facts_text(facts_worst(&result, "staleness.p99", &worst), text);
  assert_string_equal(text, "0 s"); /* more of the run might have made it smaller */
  result.info.complete = true;
  facts_text(facts_worst(&result, "dual_primary", &worst), text);
  assert_string_equal(text, "0 s");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_counts_add_up_to_the_result),
      cmocka_unit_test(test_axis_is_the_measured_time),
      cmocka_unit_test(test_the_last_milliseconds_are_no_interval_of_their_own),
      cmocka_unit_test(test_memory_does_not_grow_with_the_run),
      cmocka_unit_test(test_lag_has_gaps_where_no_replica_answers),
      cmocka_unit_test(test_the_primary_has_no_lag_while_it_is_primary),
      cmocka_unit_test(test_a_run_without_anything),
      cmocka_unit_test(test_a_visit_that_fails_leaves_nothing),
      cmocka_unit_test(test_beats),
      cmocka_unit_test(test_spread),
      cmocka_unit_test(test_few_repeats_have_no_interval),
      cmocka_unit_test(test_floors_are_worse_than_what_is_known),
      cmocka_unit_test(test_values_of_a_run_that_broke_off_are_floors),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
