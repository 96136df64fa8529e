/* Quantities: exact parsing, messages, and printing that parses to the same again. */
#include "base/value.h"

#include <float.h>
#include <math.h>

#include "base/prng.h"
#include "support/test.h"

struct whole_case {
  const char *text;
  enum unit unit;
  int64_t expected;
};

static void test_whole_units_are_exact(void **state) {
  (void)state;
  static const struct whole_case cases[] = {
      {"30s", UNIT_DURATION, INT64_C(30000000000)},
      {"0.5s", UNIT_DURATION, 500000000},
      {"0.1s", UNIT_DURATION, 100000000},
      {"1.000000001s", UNIT_DURATION, 1000000001},
      {"0.123456789s", UNIT_DURATION, 123456789},
      {"250ms", UNIT_DURATION, 250000000},
      {"1.5us", UNIT_DURATION, 1500},
      {"7ns", UNIT_DURATION, 7},
      {"7.000ns", UNIT_DURATION, 7},
      {"2min", UNIT_DURATION, INT64_C(120000000000)},
      {"0.00001min", UNIT_DURATION, 600000},
      {"1h", UNIT_DURATION, INT64_C(3600000000000)},
      {"1.25d", UNIT_DURATION, INT64_C(108000000000000)},
      {"0s", UNIT_DURATION, 0},
      {"30 s", UNIT_DURATION, INT64_C(30000000000)},
      {"+3s", UNIT_DURATION, INT64_C(3000000000)},
      {"0.0000000000000000s", UNIT_DURATION, 0},
      {"9223372036854775807ns", UNIT_DURATION, INT64_MAX},
      {"512MiB", UNIT_SIZE, INT64_C(536870912)},
      {"0.5KiB", UNIT_SIZE, 512},
      {"0.0009765625KiB", UNIT_SIZE, 1},
      {"1.5GB", UNIT_SIZE, INT64_C(1500000000)},
      {"8kB", UNIT_SIZE, 8000},
      {"1TiB", UNIT_SIZE, INT64_C(1) << 40},
      {"3TB", UNIT_SIZE, INT64_C(3000000000000)},
      {"17B", UNIT_SIZE, 17},
      {"3", UNIT_COUNT, 3},
      {"-3", UNIT_COUNT, -3},
      {"-9223372036854775807", UNIT_COUNT, -INT64_MAX},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error err = ERROR_INIT;
    int64_t integer = -1;
    double number = -1;
    assert_ok(value_parse(cases[i].text, cases[i].unit, &integer, &number, &err), &err);
    if (integer != cases[i].expected) fail_msg("%s gives %lld", cases[i].text, (long long)integer);
    assert_true(number == (double)integer);
    assert_ok(value_parse(cases[i].text, cases[i].unit, NULL, NULL, &err), &err);
  }
}

struct number_case {
  const char *text;
  enum unit unit;
  double expected;
};

static void test_other_units_are_the_nearest_double(void **state) {
  (void)state;
  static const struct number_case cases[] = {
      {"99.9%", UNIT_RATIO, 0.999},     {"0.1%", UNIT_RATIO, 0.001}, {"100 %", UNIT_RATIO, 1},
      {"99.999%", UNIT_RATIO, 0.99999}, {"500/s", UNIT_RATE, 500},   {"0.5/s", UNIT_RATE, 0.5},
      {"30/min", UNIT_RATE, 0.5},       {"1800/h", UNIT_RATE, 0.5},  {"1.5", UNIT_NONE, 1.5},
      {"-2e3", UNIT_NONE, -2000},       {"1e3/s", UNIT_RATE, 1000},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error err = ERROR_INIT;
    double number = -1;
    int64_t untouched = 77;
    assert_ok(value_parse(cases[i].text, cases[i].unit, &untouched, &number, &err), &err);
    if (number != cases[i].expected) fail_msg("%s gives %.17g", cases[i].text, number);
    assert_int_equal(untouched, 77);
  }
}

struct mistake_case {
  const char *text;
  enum unit unit;
  const char *message;
};

static void test_mistakes_say_what_is_expected(void **state) {
  (void)state;
  static const struct mistake_case cases[] = {
      {"30", UNIT_DURATION, "\"30\" has no unit; expected a duration such as 30s or 250ms"},
      {"30 ", UNIT_DURATION, "\"30 \" has no unit; expected a duration such as 30s or 250ms"},
      {"30sec", UNIT_DURATION,
       "\"30sec\" has the unknown unit \"sec\" (known: ns, us, ms, s, min, h, d); expected a "
       "duration such as 30s or 250ms"},
      {"1e3s", UNIT_DURATION,
       "\"1e3s\" has the unknown unit \"e3s\" (known: ns, us, ms, s, min, h, d); expected a "
       "duration such as 30s or 250ms"},
      {"-1s", UNIT_DURATION, "\"-1s\" is negative; expected a duration such as 30s or 250ms"},
      {"", UNIT_DURATION, "\"\" is not a duration; expected a duration such as 30s or 250ms"},
      {"s", UNIT_DURATION, "\"s\" is not a duration; expected a duration such as 30s or 250ms"},
      {"5.s", UNIT_DURATION, "\"5.s\" is not a duration; expected a duration such as 30s or 250ms"},
      {".5s", UNIT_DURATION, "\".5s\" is not a duration; expected a duration such as 30s or 250ms"},
      {"0.5ns", UNIT_DURATION,
       "\"0.5ns\" is not a multiple of 1 ns; expected a duration such as 30s or 250ms"},
      {"0.0000000001s", UNIT_DURATION,
       "\"0.0000000001s\" is not a multiple of 1 ns; expected a duration such as 30s or 250ms"},
      {"9223372036854775808ns", UNIT_DURATION,
       "\"9223372036854775808ns\" is too large for a duration"},
      {"99999999999999999999999s", UNIT_DURATION,
       "\"99999999999999999999999s\" is too large for a duration"},
      {"200000000000d", UNIT_DURATION, "\"200000000000d\" is too large for a duration"},
      {"512M", UNIT_SIZE,
       "\"512M\" has the unknown unit \"M\" (known: B, KiB, MiB, GiB, TiB, kB, MB, GB, TB); "
       "expected a size such as 512MiB or 8kB"},
      {"0.1KiB", UNIT_SIZE,
       "\"0.1KiB\" is not a multiple of 1 B; expected a size such as 512MiB or "
       "8kB"},
      {"99.9", UNIT_RATIO, "\"99.9\" has no unit; expected a percentage such as 99.9%"},
      {"500", UNIT_RATE, "\"500\" has no unit; expected a rate such as 500/s or 30/min"},
      {"1e999%", UNIT_RATIO, "\"1e999%\" is too large for a ratio"},
      {"3.5", UNIT_COUNT, "\"3.5\" is not a multiple of 1; expected a whole number such as 3"},
      {"3s", UNIT_COUNT, "\"3s\" is not a count; expected a whole number such as 3"},
      {"3 ", UNIT_COUNT, "\"3 \" is not a count; expected a whole number such as 3"},
      {"nan", UNIT_NONE, "\"nan\" is not a number; expected a number such as 1.5"},
      {"inf", UNIT_NONE, "\"inf\" is not a number; expected a number such as 1.5"},
      {"0x10", UNIT_NONE, "\"0x10\" is not a number; expected a number such as 1.5"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct error err = ERROR_INIT;
    int64_t integer = 77;
    double number = 77;
    assert_int_equal(value_parse(cases[i].text, cases[i].unit, &integer, &number, &err),
                     STATUS_USAGE);
    assert_string_equal(err.message, cases[i].message);
    assert_int_equal(err.line, 0);
    assert_int_equal(integer, 77);
    assert_true(number == 77);
  }
}

static void test_long_garbage_is_quoted_shortly(void **state) {
  (void)state;
  char text[5000];
  memset(text, '9', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  struct error err = ERROR_INIT;
  for (enum unit unit = UNIT_NONE; unit <= UNIT_RATIO; unit++) {
    assert_int_equal(value_parse(text, unit, NULL, NULL, &err), STATUS_USAGE);
    assert_true(strlen(err.message) < 200);
  }
}

static void test_examples_parse(void **state) {
  (void)state;
  for (enum unit unit = UNIT_NONE; unit <= UNIT_RATIO; unit++) {
    struct error err = ERROR_INIT;
    assert_ok(value_parse(unit_example(unit), unit, NULL, NULL, &err), &err);
    assert_non_null(unit_name(unit));
  }
}

struct format_case {
  double number;
  enum unit unit;
  const char *expected;
};

static void test_format_for_people(void **state) {
  (void)state;
  static const struct format_case cases[] = {
      {1.25e9, UNIT_DURATION, "1.25 s"},
      {29.4e9, UNIT_DURATION, "29.4 s"},
      {0, UNIT_DURATION, "0 s"},
      {850e6, UNIT_DURATION, "850 ms"},
      {999.6e6, UNIT_DURATION, "1 s"},
      {12345, UNIT_DURATION, "12.3 us"},
      {999, UNIT_DURATION, "999 ns"},
      {125e9, UNIT_DURATION, "125 s"},
      {750e9, UNIT_DURATION, "12 min 30 s"},
      {7500e9, UNIT_DURATION, "2 h 5 min"},
      {-1.5e9, UNIT_DURATION, "-1.5 s"},
      {9.996e9, UNIT_DURATION, "10 s"},
      {512 * 0x1p20, UNIT_SIZE, "512 MiB"},
      {1.5 * 0x1p30, UNIT_SIZE, "1.5 GiB"},
      {12, UNIT_SIZE, "12 B"},
      {0.999, UNIT_RATIO, "99.90 %"},
      {1, UNIT_RATIO, "100.00 %"},
      {0.99999, UNIT_RATIO, "99.999 %"},
      {0.9999999, UNIT_RATIO, "99.99999 %"},
      {0, UNIT_RATIO, "0.00 %"},
      {500, UNIT_RATE, "500 /s"},
      {0.0012, UNIT_RATE, "0.0012 /s"},
      {3, UNIT_COUNT, "3"},
      {10000000, UNIT_COUNT, "10000000"},
      {1.5, UNIT_NONE, "1.5"},
      {(double)NAN, UNIT_DURATION, "not a number"},
      {(double)INFINITY, UNIT_SIZE, "infinite"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[32];
    value_format(cases[i].number, cases[i].unit, text);
    assert_string_equal(text, cases[i].expected);
  }
}

static void test_print_chooses_plain_texts(void **state) {
  (void)state;
  char text[48];
  value_print(INT64_C(1250000000), 0, UNIT_DURATION, text);
  assert_string_equal(text, "1250ms");
  value_print(0, 0, UNIT_DURATION, text);
  assert_string_equal(text, "0s");
  value_print(0, 0, UNIT_SIZE, text);
  assert_string_equal(text, "0B");
  value_print(INT64_C(536870912), 0, UNIT_SIZE, text);
  assert_string_equal(text, "512MiB");
  value_print(INT64_C(1500000000), 0, UNIT_SIZE, text);
  assert_string_equal(text, "1500MB");
  value_print(0, 0.999, UNIT_RATIO, text);
  assert_string_equal(text, "99.9%");
  value_print(0, 1, UNIT_RATIO, text);
  assert_string_equal(text, "100%");
  value_print(0, 500, UNIT_RATE, text);
  assert_string_equal(text, "500/s");
  value_print(-3, 0, UNIT_COUNT, text);
  assert_string_equal(text, "-3");
  value_print(0, 0.25, UNIT_NONE, text);
  assert_string_equal(text, "0.25");
}

static void check_round_trip(int64_t integer, double number, enum unit unit) {
  char text[48];
  value_print(integer, number, unit, text);
  int64_t integer_again = integer;
  double number_again = 0;
  struct error err = ERROR_INIT;
  assert_ok(value_parse(text, unit, &integer_again, &number_again, &err), &err);
  bool whole = unit == UNIT_COUNT || unit == UNIT_DURATION || unit == UNIT_SIZE;
  if (whole ? integer_again != integer : number_again != number)
    fail_msg("%lld, %.17g prints as %s", (long long)integer, number, text);
}

static void test_print_parses_to_the_same(void **state) {
  (void)state;
  struct prng prng;
  prng_init(&prng, 6, "value");
  for (int i = 0; i < 20000; i++) {
    int64_t integer = (int64_t)(prng_next(&prng) >> (1 + prng_below(&prng, 63)));
    double number = ldexp(prng_unit(&prng), (int)prng_below(&prng, 120) - 80);
    for (enum unit unit = UNIT_NONE; unit <= UNIT_RATIO; unit++)
      check_round_trip(integer, number, unit);
    /* What people write: few digits. */
    number = (double)(prng_below(&prng, 100000)) / 1000;
    check_round_trip(0, number, UNIT_RATE);
    check_round_trip(0, number / 100, UNIT_RATIO);
  }
  check_round_trip(INT64_MAX, DBL_MAX / 1e6, UNIT_COUNT);
  check_round_trip(INT64_MAX, 1e300, UNIT_NONE);
  check_round_trip(INT64_MAX, 0, UNIT_DURATION);
  check_round_trip(INT64_MAX, 5e-324, UNIT_RATE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_whole_units_are_exact),
      cmocka_unit_test(test_other_units_are_the_nearest_double),
      cmocka_unit_test(test_mistakes_say_what_is_expected),
      cmocka_unit_test(test_long_garbage_is_quoted_shortly),
      cmocka_unit_test(test_examples_parse),
      cmocka_unit_test(test_format_for_people),
      cmocka_unit_test(test_print_chooses_plain_texts),
      cmocka_unit_test(test_print_parses_to_the_same),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
