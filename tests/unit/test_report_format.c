/* Numbers and texts as reports print them. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "report/columns.h"
#include "report/escape.h"
#include "report/format.h"
#include "support/test.h"

static void check_seconds(double seconds, const char *expected) {
  char text[FORMAT_SIZE];
  format_seconds(seconds, text);
  assert_string_equal(text, expected);
}

static void test_seconds(void **state) {
  (void)state;
  check_seconds(0, "0 s");
  check_seconds(4.2e-8, "42.0 ns");
  check_seconds(0.00042, "420 µs");
  check_seconds(0.0351, "35.1 ms");
  check_seconds(0.3, "300 ms");
  check_seconds(0.9999, "1.00 s");
  check_seconds(22.3, "22.3 s");
  check_seconds(99.96, "100 s");
  check_seconds(599, "599 s");
  check_seconds(725, "12 min 5 s");
  check_seconds(7380, "2 h 3 min");
  check_seconds(7439, "2 h 4 min"); /* rounded, as all others */
  check_seconds(10799, "3 h 0 min");
  check_seconds(-1.5, "-1.50 s");
}

static void check_value(double value, enum unit unit, const char *expected) {
  char text[FORMAT_SIZE];
  format_value(value, unit, text);
  assert_string_equal(text, expected);
}

static void test_values(void **state) {
  (void)state;
  check_value(18000, UNIT_COUNT, "18,000");
  check_value(999, UNIT_COUNT, "999");
  check_value(1234567, UNIT_COUNT, "1,234,567");
  check_value(0, UNIT_SIZE, "0 B");
  check_value(1023, UNIT_SIZE, "1023 B");
  check_value(1536, UNIT_SIZE, "1.50 KiB");
  check_value(1 << 20, UNIT_SIZE, "1.00 MiB");
  check_value(200, UNIT_RATE, "200 /s");
  check_value(0.752, UNIT_RATIO, "75.2 %");
  check_value(1, UNIT_RATIO, "100 %");
  check_value(0, UNIT_RATIO, "0 %");
}

/* An availability of five nines must not read as perfect. */
static void test_ratio_below_one_never_prints_as_one(void **state) {
  (void)state;
  check_value(0.999, UNIT_RATIO, "99.90 %");
  check_value(0.99996, UNIT_RATIO, "99.9960 %");
  char text[FORMAT_SIZE];
  for (double missing = 0.1; missing > 1e-14; missing /= 10) {
    format_value(1.0 - missing, UNIT_RATIO, text);
    assert_true(strncmp(text, "100", 3) != 0);
    assert_true(strncmp(text, "> 100", 5) != 0);
  }
}

/* 45.004 s misses a bound of 45 s: it must not print as "45.0 s". */
static void test_a_miss_never_prints_as_its_bound(void **state) {
  (void)state;
  char text[FORMAT_SIZE];
  format_against(45.004, 45, UNIT_DURATION, text);
  assert_string_equal(text, "45.004 s");
  format_against(45.0004, 45, UNIT_DURATION, text);
  assert_string_equal(text, "45.0004 s");
  format_against(45.000000001, 45, UNIT_DURATION, text);
  assert_string_equal(text, "45.000000001 s");
  format_against(44.9996, 45, UNIT_DURATION, text);
  assert_string_equal(text, "44.9996 s");
  format_against(22.3, 45, UNIT_DURATION, text);
  assert_string_equal(text, "22.3 s");
  format_against(45, 45, UNIT_DURATION, text);
  assert_string_equal(text, "45.0 s");
  format_against(700.5, 700, UNIT_DURATION, text);
  assert_string_equal(text, "11 min 41 s");
  format_against(700.01, 700, UNIT_DURATION, text);
  assert_string_equal(text, "700.01 s");
}

static void test_moments(void **state) {
  (void)state;
  char text[FORMAT_SIZE];
  format_moment(UINT64_C(20012345678), text);
  assert_string_equal(text, "20.012 s");
  format_moment(UINT64_C(20012500000), text); /* it was cut off: 20.012 s */
  assert_string_equal(text, "20.013 s");
  format_moment(UINT64_C(19999999999), text);
  assert_string_equal(text, "20.000 s");
  format_moment(TIME_NEVER, text);
  assert_string_equal(text, "never");
}

static void check_escape(void (*escape)(struct buf *, const char *), const char *text,
                         const char *expected) {
  CLEANUP(buf_release) struct buf out;
  buf_init(&out);
  escape(&out, text);
  assert_string_equal(out.data, expected);
}

static void test_escapes(void **state) {
  (void)state;
  check_escape(escape_plain, "a\nb\tc\x1b[31m", "a b c\xef\xbf\xbd[31m");
  check_escape(escape_plain, NULL, "");
  check_escape(escape_html, "<b a=\"1\" c='2'>&", "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;");
  check_escape(escape_markdown, "a|b *c* <i> @x", "a\\|b \\*c\\* &lt;i\\> &#64;x");
  CLEANUP(buf_release) struct buf out;
  buf_init(&out);
  escape_gnuplot(&out, "it's <a> & `id`", 100);
  assert_string_equal(out.data, "'it''s ‹a› + ´id´'");
  buf_clear(&out);
  escape_gnuplot(&out, "abcdefgh", 4);
  assert_string_equal(out.data, "'abc…'");
  assert_int_equal(escape_width("µs…"), 3);
}

/* Each invalid byte becomes one U+FFFD, and no byte after the end is read. */
static void test_invalid_utf8(void **state) {
  (void)state;
  check_escape(escape_plain, "\xff", "\xef\xbf\xbd");
  check_escape(escape_plain, "\xc3", "\xef\xbf\xbd");
  check_escape(escape_plain, "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd");
  check_escape(escape_plain, "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"); /* overlong */
  check_escape(escape_plain, "\xed\xa0\x80x",
               "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdx"); /* surrogate */
  check_escape(escape_plain, "ä€😀", "ä€😀");
  check_escape(escape_html, "\xe2\x80\xae", "\xef\xbf\xbd"); /* right-to-left override */
}

/* "healed at 72.523" ended a line, and " s" began the next. */
static void test_a_number_keeps_its_unit(void **state) {
  static const struct {
    const char *text;
    size_t column;
    const char *expected;
  } rows[] = {
      {"healed at 72.523 s by itself", COLUMNS_MAX - 16, "healed at\n  72.523 s by itself\n"},
      {"healed at 72.523 s by itself", COLUMNS_MAX - 18, "healed at 72.523 s\n  by itself\n"},
      {"took 3 ms, not more", COLUMNS_MAX - 7, "took\n  3 ms, not more\n"},
      {"(5 min 30 s)", COLUMNS_MAX - 8, "(5 min\n  30 s)\n"},
      {"12 µs.", COLUMNS_MAX - 6, "12 µs.\n"},
      {"of 20 seconds", COLUMNS_MAX - 5, "of 20\n  seconds\n"}, /* no unit: a word */
      {"of 99.9 %", COLUMNS_MAX - 7, "of\n  99.9 %\n"},
      {"ends with 7", COLUMNS_MAX - 11, "ends with 7\n"},
      {"two  spaces", 0, "two spaces\n"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct buf out;
    buf_init(&out);
    columns_wrapped(&out, rows[i].text, rows[i].column, 2);
    assert_string_equal(out.data, rows[i].expected);
    buf_release(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_seconds),
      cmocka_unit_test(test_values),
      cmocka_unit_test(test_ratio_below_one_never_prints_as_one),
      cmocka_unit_test(test_a_miss_never_prints_as_its_bound),
      cmocka_unit_test(test_moments),
      cmocka_unit_test(test_escapes),
      cmocka_unit_test(test_invalid_utf8),
      cmocka_unit_test(test_a_number_keeps_its_unit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
