/* The n-th allocation fails, for every n, while reports are written: an error, no crash, no leak
 * (the leak checker of the build looks at the end), and no report that lacks something without
 * saying so. */
#include <jansson.h>

#include "base/file.h"
#include "report/writers.h"
#include "support/report_fixture.h"
#include "support/test.h"
#include "torture/wrapped.h"

/* A record of a few events: each of thousands of attempts visits it. */
static int visit_little(const struct record *record, uint32_t wants, record_visit *item, void *data,
                        struct error *err) {
  (void)record;
  static const struct event warning = {.kind = EVENT_WARNING, .host = HOST_NONE, .text = "late"};
  static const struct operation operation = {.scheduled_ns = 40000000000,
                                             .sent_ns = 40000000000,
                                             .done_ns = 40002000000,
                                             .outcome = OUTCOME_OK,
                                             .host = 1};
  struct record_item event_item = {.event = &warning}, operation_item = {.operation = &operation};
  int status = 0;
  if (wants & WANTS_EVENTS) status = item(data, &event_item, err);
  if (status == 0 && wants & WANTS_OPERATIONS) status = item(data, &operation_item, err);
  return status;
}

/* `otherwise`: what the writer returns when it wrote its file, which then says what it lacks. */
static void fail_each_allocation(const struct report *report, int otherwise) {
  const char *base = getenv("TMPDIR");
  char directory[256];
  snprintf(directory, sizeof directory, "%.200s/gameday-torture-XXXXXX", base ? base : "/tmp");
  assert_non_null(mkdtemp(directory));
  struct report_fixture fixture;
  report_fixture_init(&fixture, directory, &(struct report_fixture_options){.hostile = true});
  fixture.input.visit = visit_little;
  bool failed = true;
  for (long n = 0; failed; n++) {
    struct error err = ERROR_INIT;
    assert_true(n < 1000000);
    allocations_left = n;
    int status = report->write(&fixture.input, &err);
    failed = allocations_left < 0;
    allocations_left = -1;
    if (failed && status == STATUS_MEMORY) {
      assert_int_equal(err.status, STATUS_MEMORY);
      assert_true(err.message[0] != '\0');
    } else {
      assert_int_equal(status, otherwise);
    }
    if (!failed) assert_true(n > 5); /* else nothing went through the wrappers */
  }
  report_fixture_release(&fixture);
  assert_int_equal(directory_remove(directory, NULL), 0);
}

static void test_text(void **state) {
  (void)state;
  fail_each_allocation(&report_text, 0);
}
static void test_markdown(void **state) {
  (void)state;
  fail_each_allocation(&report_markdown, 0);
}
static void test_junit(void **state) {
  (void)state;
  fail_each_allocation(&report_junit, 0);
}
static void test_json(void **state) {
  (void)state;
  fail_each_allocation(&report_json, 0);
}
static void test_html(void **state) {
  (void)state;
  fail_each_allocation(&report_html, STATUS_ENVIRONMENT);
}

int main(void) {
  json_set_alloc_funcs(malloc, free); /* ours: the library itself is linked dynamically */
  setenv("PATH", "/nonexistent", 1);  /* no gnuplot: pictures have tests of their own */
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_text), cmocka_unit_test(test_markdown), cmocka_unit_test(test_junit),
      cmocka_unit_test(test_json), cmocka_unit_test(test_html),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
