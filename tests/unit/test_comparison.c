/* Runs side by side: what stands in the cells, what is said to differ, and what is not concluded.
 */
#include "report/comparison.h"

#include "report/statistics.h"
#include "support/report_fixture.h"
#include "support/test.h"

#define REPEATS 8

/* A series in which nothing but failover times was measured. */
struct times {
  struct measure measures[REPEATS];
  struct finding findings[REPEATS];
  struct run_result results[REPEATS];
};

static struct compared_run make_times(struct times *times, const char *label, double first_s,
                                      double step_s, const char *settings) {
  for (int i = 0; i < REPEATS; i++) {
    times->measures[i] = (struct measure){.name = "failover_time",
                                          .unit = UNIT_DURATION,
                                          .value = first_s + step_s * i,
                                          .known = true,
                                          .host = HOST_NONE};
    times->findings[i] = (struct finding){.measures = &times->measures[i], .measure_count = 1};
    times->results[i] = (struct run_result){.scenario = "times",
                                            .provider = "none",
                                            .verdict = VERDICT_PASS,
                                            .trusted = true,
                                            .findings = &times->findings[i],
                                            .finding_count = 1,
                                            .settings_json = settings};
  }
  return (struct compared_run){.input = {.result = &times->results[REPEATS - 1],
                                         .repeats = times->results,
                                         .repeat_count = REPEATS,
                                         .directory = "."},
                               .label = label};
}

static const struct compared_row *find_row(const struct comparison *comparison, const char *name) {
  for (uint32_t i = 0; i < comparison->row_count; i++)
    if (strcmp(comparison->rows[i].name, name) == 0) return &comparison->rows[i];
  return NULL;
}

static void build(const struct compared_run *runs, uint32_t count, struct comparison *ret) {
  struct error err = ERROR_INIT;
  assert_ok(comparison_build(runs, count, ret, &err), &err);
}

static void test_medians_and_their_intervals(void **state) {
  struct times slow, fast, other;
  struct comparison comparison;
  char change[FORMAT_SIZE];
  (void)state;
  struct compared_run runs[] = {make_times(&slow, "slow", 40, 1, NULL),
                                make_times(&fast, "fast", 20, 1, NULL)};
  build(runs, 2, &comparison);
  const struct compared_row *median = find_row(&comparison, "failover_time.median");
  const struct compared_row *most = find_row(&comparison, "failover_time.max");
  assert_non_null(median);
  assert_non_null(most);
  assert_true(median->cells[0].value == 43.5 && median->cells[1].value == 23.5);
  assert_true(most->cells[0].value == 47 && most->cells[1].value == 27);
  assert_true(median->apart);
  assert_false(most->apart); /* nothing is known of how a maximum is spread */
  compared_change(median, 1, change);
  assert_string_equal(change, "-46 %");
  compared_change(median, 0, change);
  assert_string_equal(change, "");
  assert_non_null(strstr(comparison_caution(&comparison), "no chance"));
  comparison_release(&comparison);

  /* Half of one series lies inside the other. */
  runs[1] = make_times(&other, "other", 43, 1, NULL);
  build(runs, 2, &comparison);
  assert_false(find_row(&comparison, "failover_time.median")->apart);
  comparison_release(&comparison);
}

/* Only the phases' medians were marked. */
static void test_an_objective_on_a_median_is_marked_too(void **state) {
  static const struct {
    const char *statistic;
    double low[2];
    bool apart;
  } cases[] = {{"median", {40, 20}, true}, {"median", {40, 38}, false}, {"p95", {40, 20}, false}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct times times[2];
    struct objective_result objectives[2];
    struct compared_run runs[2];
    struct comparison comparison;
    for (int run = 0; run < 2; run++) {
      double low = cases[i].low[run];
      objectives[run] = (struct objective_result){.name = "failover_time",
                                                  .statistic = cases[i].statistic,
                                                  .bound = "<= 45s",
                                                  .unit = UNIT_DURATION,
                                                  .bound_value = 45,
                                                  .known = true,
                                                  .measured = low + 2,
                                                  .interval_known = true,
                                                  .interval_low = low,
                                                  .interval_high = low + 4};
      runs[run] = make_times(&times[run], "run", low, 1, NULL);
      struct run_result *worst = &times[run].results[REPEATS - 1];
      worst->objectives = &objectives[run];
      worst->objective_count = 1;
    }
    build(runs, 2, &comparison);
    assert_int_equal(comparison.rows[0].group, COMPARED_OBJECTIVES);
    assert_int_equal(comparison.rows[0].apart, cases[i].apart);
    comparison_release(&comparison);
  }
}

static void test_a_value_that_is_missing_is_no_number(void **state) {
  struct times whole, broken;
  struct comparison comparison;
  char change[FORMAT_SIZE];
  (void)state;
  struct compared_run runs[] = {make_times(&whole, "whole", 40, 1, NULL),
                                make_times(&broken, "broken", 20, 1, NULL)};
  broken.measures[3].known = false;
  broken.measures[3].why = "the log was cut";
  runs[1].input.repeat_count = REPEATS;
  build(runs, 2, &comparison);
  const struct compared_row *most = find_row(&comparison, "failover_time.max");
  assert_false(most->cells[1].known);
  assert_string_equal(most->cells[1].text, "at least 27.0 s");
  compared_change(most, 1, change);
  assert_string_equal(change, "");
  comparison_release(&comparison);
}

static void test_one_run_is_cautioned(void **state) {
  struct times one, two;
  struct comparison comparison;
  (void)state;
  struct compared_run runs[] = {make_times(&one, "one", 40, 1, NULL),
                                make_times(&two, "two", 20, 1, NULL)};
  runs[1].input.repeat_count = 1;
  build(runs, 2, &comparison);
  assert_non_null(strstr(comparison_caution(&comparison), "One run tells little"));
  assert_false(find_row(&comparison, "failover_time.median")->apart);
  comparison_release(&comparison);
}

static void test_settings_that_differ(void **state) {
  static const char before[] =
      "{\"redis\":{\"settings\":{\"topology\":\"sentinel\",\"quorum\":2,\"hosts\":{"
      "\"redis1\":{\"parameters\":{\"maxmemory\":{\"value\":\"0\"},\"save\":\"60 1\"}},"
      "\"redis2\":{\"parameters\":{\"maxmemory\":{\"value\":\"0\"},\"save\":\"60 1\"}}}}}}";
  static const char after[] =
      "{\"redis\":{\"settings\":{\"topology\":\"sentinel\",\"quorum\":3,\"hosts\":{"
      "\"redis1\":{\"parameters\":{\"maxmemory\":{\"value\":\"0\"},\"save\":\"60 1\"}},"
      "\"redis2\":{\"parameters\":{\"maxmemory\":{\"value\":\"9\"},\"save\":\"60 1\"}}}}}}";
  struct times one, two;
  struct comparison comparison;
  (void)state;
  const struct compared_run runs[] = {make_times(&one, "one", 40, 1, before),
                                      make_times(&two, "two", 40, 1, after)};
  build(runs, 2, &comparison);
  const struct compared_row *quorum = find_row(&comparison, "redis.quorum");
  const struct compared_row *memory = find_row(&comparison, "redis maxmemory");
  assert_non_null(quorum);
  assert_string_equal(quorum->cells[0].text, "2");
  assert_string_equal(quorum->cells[1].text, "3");
  assert_non_null(memory);
  assert_string_equal(memory->cells[0].text, "0");
  assert_string_equal(memory->cells[1].text, "{\"redis1\":\"0\",\"redis2\":\"9\"}");
  assert_null(find_row(&comparison, "redis.topology"));
  assert_null(find_row(&comparison, "redis save"));
  comparison_release(&comparison);
}

typedef int writer(const struct comparison *comparison, struct buf *out, struct error *err);

static void check_writer(const struct comparison *comparison, writer *write, const char *expected,
                         const char *never) {
  struct error err = ERROR_INIT;
  struct buf out;
  buf_init(&out);
  assert_ok(write(comparison, &out, &err), &err);
  if (!strstr(out.data, expected)) fail_msg("no '%s' in: %s", expected, out.data);
  assert_null(strstr(out.data, never));
  assert_null(strstr(out.data, "\xff"));
  buf_release(&out);
}

static void test_writers(void **state) {
  struct report_fixture plain, hostile, nothing;
  struct comparison comparison;
  (void)state;
  report_fixture_init(&plain, ".", &(struct report_fixture_options){.repeats = 20});
  report_fixture_init(&hostile, ".", &(struct report_fixture_options){.hostile = true});
  report_fixture_init(&nothing, ".", &(struct report_fixture_options){.nothing_measured = true});
  const struct compared_run runs[] = {{.input = plain.input, .label = "plain"},
                                      {.input = hostile.input, .label = FIXTURE_HOSTILE},
                                      {.input = nothing.input, .label = "nothing"},
                                      {.input = plain.input, .label = "again"},
                                      {.input = plain.input, .label = "and again"}};
  for (uint32_t count = 2; count <= 5; count++) {
    build(runs, count, &comparison);
    check_writer(&comparison, comparison_text, "[2]", "\xff");
    check_writer(&comparison, comparison_markdown, "writes scheduled", "<script>");
    check_writer(&comparison, comparison_html, "writes scheduled", "<script>");
    comparison_release(&comparison);
  }
  report_fixture_release(&plain);
  report_fixture_release(&hostile);
  report_fixture_release(&nothing);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_medians_and_their_intervals),
      cmocka_unit_test(test_an_objective_on_a_median_is_marked_too),
      cmocka_unit_test(test_a_value_that_is_missing_is_no_number),
      cmocka_unit_test(test_one_run_is_cautioned),
      cmocka_unit_test(test_settings_that_differ),
      cmocka_unit_test(test_writers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
