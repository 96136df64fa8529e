/* What the terminal's summary and the pictures choose to show, and of whom they speak. */
#include "base/clock.h"
#include "report/facts.h"
#include "report/plot.h"
#include "report/summary.h"
#include "support/report_fixture.h"
#include "support/test.h"

#define OUTAGES 35

/* Outages at 10 s, 20 s, ...; every third longer than those before it, two of the same length. */
static void make_outages(struct interval *intervals) {
  for (uint32_t i = 0; i < OUTAGES; i++) {
    uint64_t begin_ns = (i + 1) * 10 * NS_PER_S;
    uint64_t span_ns = i % 3 == 2 ? (i / 3 + 1) * 100 * NS_PER_MS : 60 * NS_PER_MS;
    intervals[i] = (struct interval){.what = "write_outage",
                                     .begin_ns = begin_ns,
                                     .end_ns = begin_ns + span_ns,
                                     .fault = FAULT_NONE,
                                     .host = HOST_NONE,
                                     .other_host = HOST_NONE};
  }
}

struct begins {
  double seconds[OUTAGES];
  size_t count;
};

static void note(void *data, const struct interval *interval) {
  struct begins *begins = data;
  begins->seconds[begins->count++] = (double)interval->begin_ns / 1e9;
}

static void test_the_longest_outages_are_listed(void **state) {
  struct interval intervals[OUTAGES];
  struct finding finding = {.intervals = intervals, .interval_count = OUTAGES};
  const struct run_result result = {.findings = &finding, .finding_count = 1, .duration_s = 400};
  struct begins begins = {.count = 0};
  (void)state;
  make_outages(intervals);
  assert_int_equal(facts_longest(&result, "write_outage", 3, note, &begins), OUTAGES);
  assert_int_equal(begins.count, 3);
  assert_int_equal((int)begins.seconds[0], 270); /* in the order of time */
  assert_int_equal((int)begins.seconds[1], 300);
  assert_int_equal((int)begins.seconds[2], 330);
  /* the first of equals: the eleven long ones, then the earliest short one */
  begins.count = 0;
  facts_longest(&result, "write_outage", 12, note, &begins);
  assert_int_equal(begins.count, 12);
  assert_int_equal((int)begins.seconds[0], 10);
  begins.count = 0;
  assert_int_equal(facts_longest(&result, "read_outage", 3, note, &begins), 0);
  assert_int_equal(begins.count, 0);
}

/* A report on one run with one fault, in which nothing else was found. */
static void begin_with(struct report_fixture *fixture, struct run_result *result,
                       struct finding *finding) {
  report_fixture_init(fixture, ".", &(struct report_fixture_options){.faults = 1});
  *result = *fixture->input.result;
  finding->checker = fixture->input.repeats->findings[0].checker;
  result->findings = finding;
  result->finding_count = 1;
  fixture->input.result = result;
}

/* The first ten used to be shown, however short: the one of 1.1 s was the 33rd. */
static void test_summary_shows_the_longest_and_says_so(void **state) {
  struct interval intervals[OUTAGES];
  struct finding finding = {.intervals = intervals, .interval_count = OUTAGES};
  struct report_fixture fixture;
  struct error err = ERROR_INIT;
  struct buf text;
  (void)state;
  make_outages(intervals);
  struct run_result result;
  begin_with(&fixture, &result, &finding);
  buf_init(&text);
  assert_ok(summary_text(&fixture.input, &text, &err), &err);
  assert_non_null(strstr(text.data, "1.10 s   from 330.000 s to 331.100 s"));
  assert_null(strstr(text.data, "from 10.000 s"));
  assert_non_null(strstr(text.data, "These are the longest 10 of 35 (writes); all are in result"));
  buf_release(&text);
  report_fixture_release(&fixture);
}

#define FLAPS 100 /* more than are drawn of one fault */

/* "64 outages, the longest 60 ms": those that came after the 64th were not there. And of reads, of
 * which there were none, it said that they had no outage. */
static void test_waterfall_counts_all_outages(void **state) {
  struct interval intervals[FLAPS];
  struct measure no_reads = {.name = "read_outage",
                             .not_applicable = true,
                             .why = "no reads were scheduled",
                             .fault = FAULT_NONE,
                             .host = HOST_NONE};
  struct finding finding = {
      .intervals = intervals, .interval_count = FLAPS, .measures = &no_reads, .measure_count = 1};
  struct report_fixture fixture;
  struct buf script;
  (void)state;
  struct run_result result;
  begin_with(&fixture, &result, &finding);
  for (uint32_t i = 0; i < FLAPS; i++) {
    uint64_t begin_ns = result.info.faults[0].confirmed_ns + (i + 1) * NS_PER_S / 4;
    intervals[i] = (struct interval){.what = "write_outage",
                                     .begin_ns = begin_ns,
                                     .end_ns = begin_ns + (i == 90 ? 200 : 60) * NS_PER_MS,
                                     .host = HOST_NONE,
                                     .other_host = HOST_NONE};
  }
  buf_init(&script);
  plot_waterfall.script(&(struct plot_input){.report = &fixture.input}, 400, &script);
  assert_non_null(strstr(script.data, "100, longest 200 ms"));
  assert_non_null(strstr(script.data, "from first 22.750000,")); /* and it is drawn */
  assert_null(strstr(script.data, "no outage"));
  assert_non_null(strstr(script.data, "no reads were scheduled"));
  buf_release(&script);
  report_fixture_release(&fixture);
}

/* What a cache fault is followed by: nothing that servers recover from. */
static void test_a_fault_without_failover_is_told_in_short(void **state) {
  static const char why[] = "nothing failed over";
  struct measure phases[PHASE_COUNT];
  struct interval outage = {
      .what = "read_outage", .host = HOST_NONE, .other_host = HOST_NONE, .fault = 0};
  struct finding finding = {.measures = phases, .measure_count = PHASE_COUNT};
  struct report_fixture fixture;
  struct error err = ERROR_INIT;
  struct buf text;
  const char *reason = NULL;
  (void)state;
  struct run_result result;
  begin_with(&fixture, &result, &finding);
  for (enum phase phase = 0; phase < PHASE_COUNT; phase++)
    phases[phase] = (struct measure){
        .name = phase_table[phase].measure, .not_applicable = true, .why = why, .host = HOST_NONE};
  buf_init(&text);
  assert_ok(summary_text(&fixture.input, &text, &err), &err);
  assert_non_null(strstr(text.data,
                         "\n    detected, promoted, writes back, clients back, full "
                         "redundancy: do not apply: nothing"));
  assert_null(strstr(text.data, "does not apply"));
  const struct plot_input in = {.report = &fixture.input};
  phases[PHASE_REDUNDANT].known = true; /* after 0 s: it was never lost */
  assert_int_equal(plot_waterfall.height(&in, &reason), 0);
  assert_string_equal(reason, "no fault was followed by a failover or an outage");
  /* With an outage it is drawn, and the axis reaches as far. */
  outage.begin_ns = result.info.faults[0].confirmed_ns + NS_PER_S;
  outage.end_ns = outage.begin_ns + 49 * NS_PER_S;
  finding.intervals = &outage;
  finding.interval_count = 1;
  uint32_t height = plot_waterfall.height(&in, &reason);
  assert_true(height > 0);
  buf_clear(&text);
  plot_waterfall.script(&in, height, &text);
  assert_non_null(strstr(text.data, "set xrange [0:62.0"));
  buf_release(&text);
  report_fixture_release(&fixture);
}

/* It was listed as long as the run went on after its load, and so longer than it was measured. */
static void test_an_open_outage_is_seen_until_the_load_ends(void **state) {
  struct interval outage = {.what = "write_outage",
                            .end_ns = TIME_NEVER,
                            .host = HOST_NONE,
                            .other_host = HOST_NONE,
                            .fault = 0};
  struct finding finding = {.intervals = &outage, .interval_count = 1};
  struct report_fixture fixture;
  struct run_result result;
  struct error err = ERROR_INIT;
  struct buf text;
  (void)state;
  begin_with(&fixture, &result, &finding);
  outage.begin_ns = result.info.load_end_ns - 7 * NS_PER_S;
  assert_true(result.info.end_ns > result.info.load_end_ns);
  assert_float_equal((float)facts_span_s(&result, &outage), 7, 1e-6F);
  buf_init(&text);
  assert_ok(summary_text(&fixture.input, &text, &err), &err);
  assert_non_null(strstr(text.data, " to the end of the load, "));
  buf_release(&text);
  report_fixture_release(&fixture);
}

/* Counts of unknown writes differ between the two: they are not of the same clients. */
static void test_summary_says_whose_operations_it_counts(void **state) {
  struct report_fixture fixture;
  struct error err = ERROR_INIT;
  struct buf text;
  (void)state;
  report_fixture_init(&fixture, ".", &(struct report_fixture_options){.faults = 1});
  buf_init(&text);
  assert_ok(summary_text(&fixture.input, &text, &err), &err);
  assert_non_null(
      strstr(text.data, "\nLOAD of the clients that follow the primary, in the measured time\n"));
  assert_non_null(strstr(text.data, "\nDATA of all clients (pinned ones and probes too), over "));
  buf_release(&text);
  report_fixture_release(&fixture);
}

/* The bound on a failover stood there for faults that had caused none. */
static void test_a_bound_is_told_where_there_was_a_failover(void **state) {
  struct measure time = {
      .name = "failover_time", .unit = UNIT_DURATION, .known = true, .host = HOST_NONE};
  struct finding finding = {.measures = &time, .measure_count = 1};
  struct report_fixture fixture;
  (void)state;
  struct run_result result;
  begin_with(&fixture, &result, &finding);
  for (int seconds = 0; seconds < 2; seconds++) {
    struct error err = ERROR_INIT;
    struct buf text;
    time.value = seconds;
    buf_init(&text);
    assert_ok(summary_text(&fixture.input, &text, &err), &err);
    const char *bound = strstr(text.data, "By its settings postgres fails over");
    assert_int_equal(bound != NULL, seconds > 0);
    buf_release(&text);
  }
  report_fixture_release(&fixture);
}

/* They used to stand as in the scenario, whenever they happened. */
static void test_faults_stand_in_the_order_of_time(void **state) {
  static const struct fault_info faults[] = {
      {.name = "late", .injected_ns = 40, .confirmed_ns = 41, .planned_ns = 40},
      {.name = "never",
       .injected_ns = TIME_NEVER,
       .confirmed_ns = TIME_NEVER,
       .planned_ns = TIME_NEVER},
      {.name = "early", .injected_ns = 10, .confirmed_ns = TIME_NEVER, .planned_ns = 10},
      {.name = "also late", .injected_ns = 40, .confirmed_ns = 42, .planned_ns = 40},
      {.name = "refused", .injected_ns = TIME_NEVER, .confirmed_ns = TIME_NEVER, .planned_ns = 20},
  };
  const struct run_result result = {.info = {.faults = faults, .fault_count = 5}};
  uint32_t found[5] = {0};
  static const uint32_t expected[] = {2, 4, 0, 3, 1};
  (void)state;
  assert_int_equal(facts_faults(&result, 5, found), 5);
  assert_memory_equal(found, expected, sizeof expected);
  memset(found, 0, sizeof found);
  assert_int_equal(facts_faults(&result, 2, found), 2); /* the earliest, not the first listed */
  assert_memory_equal(found, expected, 2 * sizeof expected[0]);
  assert_int_equal(found[2], 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_longest_outages_are_listed),
      cmocka_unit_test(test_waterfall_counts_all_outages),
      cmocka_unit_test(test_a_fault_without_failover_is_told_in_short),
      cmocka_unit_test(test_an_open_outage_is_seen_until_the_load_ends),
      cmocka_unit_test(test_summary_shows_the_longest_and_says_so),
      cmocka_unit_test(test_a_bound_is_told_where_there_was_a_failover),
      cmocka_unit_test(test_faults_stand_in_the_order_of_time),
      cmocka_unit_test(test_summary_says_whose_operations_it_counts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
