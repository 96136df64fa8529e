/* Codes, names and findings: what plug-ins and the engine share. */
#include "gameday/checker.h"
#include "gameday/event.h"
#include "gameday/provider.h"
#include "support/test.h"

static void test_sizes_of_the_record(void **state) {
  (void)state;
  assert_int_equal(sizeof(struct operation), 64);
  assert_int_equal(sizeof(struct sample), 24);
  assert_int_equal(sizeof(struct final_row), 24);
}

static void test_codes_come_back(void **state) {
  (void)state;
  static const char *const codes[] = {"00000", "ZZZZZ", "25006", "40001", "GDTMO", "57P01"};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    char text[6] = "";
    assert_int_not_equal(code_pack(codes[i]), 0);
    code_unpack(code_pack(codes[i]), text);
    assert_string_equal(text, codes[i]);
  }
  assert_int_equal(code_pack("00000"), 1);
  char short_text[5] = "123", lower[6] = "abcde", other[6] = "12-45";
  assert_int_equal(code_pack(short_text), 0);
  assert_int_equal(code_pack(lower), 0);
  assert_int_equal(code_pack(other), 0);
  char text[6] = "xxxxx";
  code_unpack(0, text);
  assert_string_equal(text, "");
  code_unpack(UINT32_MAX, text);
  assert_string_equal(text, "");
}

static void test_every_name_exists(void **state) {
  (void)state;
  for (int i = 0; i < OPERATION_KIND_COUNT; i++)
    assert_string_not_equal(operation_kind_name((enum operation_kind)i), "invalid");
  for (int i = 0; i < OUTCOME_COUNT; i++)
    assert_string_not_equal(outcome_name((enum outcome)i), "invalid");
  for (int i = 0; i < ROUTE_COUNT; i++)
    assert_string_not_equal(route_name((enum route)i), "invalid");
  for (int i = 0; i < EVENT_KIND_COUNT; i++)
    assert_string_not_equal(event_kind_name((enum event_kind)i), "invalid");
  for (int i = 0; i < METRIC_COUNT; i++) {
    assert_string_not_equal(metric_info((enum metric)i)->name, "invalid");
    assert_non_null(metric_info((enum metric)i)->unit);
  }
  for (int i = ROLE_NONE; i <= ROLE_REPLICA; i++)
    assert_string_not_equal(role_name((enum role)i), "invalid");
  for (int i = VERDICT_PASS; i <= VERDICT_FAIL; i++)
    assert_string_not_equal(verdict_name((enum verdict)i), "invalid");
  for (int i = 1; i <= CAN_LINKS; i *= 2)
    assert_string_not_equal(capability_name((enum capability)i), "invalid");
  assert_string_equal(operation_kind_name((enum operation_kind)200), "invalid");
  assert_string_equal(metric_info((enum metric)200)->name, "invalid");
}

static void test_finding_copies_what_it_is_given(void **state) {
  (void)state;
  struct arena arena;
  arena_init(&arena, 0);
  struct finding finding = {.arena = &arena};
  struct error err = ERROR_INIT;
  char name[32];
  for (int i = 0; i < 100; i++) {
    snprintf(name, sizeof name, "measure%d", i);
    struct measure measure = {.name = name, .value = i, .known = i % 2 != 0, .why = name};
    assert_ok(finding_measure(&finding, &measure, &err), &err);
    struct interval interval = {.what = name, .begin_ns = 1, .end_ns = 2};
    assert_ok(finding_interval(&finding, &interval, &err), &err);
  }
  memset(name, 0, sizeof name);
  assert_int_equal(finding.measure_count, 100);
  assert_int_equal(finding.interval_count, 100);
  assert_string_equal(finding.measures[37].name, "measure37");
  assert_string_equal(finding.measures[37].why, "measure37");
  assert_true(finding.measures[37].value == 37);
  assert_string_equal(finding.intervals[99].what, "measure99");
  arena_release(&arena);
}

static void test_witnesses_are_bounded_by_kind(void **state) {
  (void)state;
  struct arena arena;
  arena_init(&arena, 0);
  struct finding finding = {.arena = &arena};
  struct error err = ERROR_INIT;
  for (int i = 0; i < WITNESSES_MAX + 50; i++) {
    char what[8] = "lost";
    assert_ok(finding_witness(&finding, &(struct witness){.what = what, .text = "row"}, &err),
              &err);
  }
  assert_ok(finding_witness(&finding, &(struct witness){.what = "phantom", .text = "x"}, &err),
            &err);
  assert_int_equal(finding.witness_count, WITNESSES_MAX + 1);
  assert_string_equal(finding.witnesses[WITNESSES_MAX].what, "phantom");
  arena_release(&arena);
}

static void test_full_arena_is_an_error(void **state) {
  (void)state;
  struct arena arena;
  arena_init(&arena, 64);
  struct finding finding = {.arena = &arena};
  struct error err = ERROR_INIT;
  struct measure measure = {.name = "name"};
  assert_int_equal(finding_measure(&finding, &measure, &err), STATUS_MEMORY);
  assert_int_equal(finding.measure_count, 0);
  arena_release(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_sizes_of_the_record),
      cmocka_unit_test(test_codes_come_back),
      cmocka_unit_test(test_every_name_exists),
      cmocka_unit_test(test_finding_copies_what_it_is_given),
      cmocka_unit_test(test_witnesses_are_bounded_by_kind),
      cmocka_unit_test(test_full_arena_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
