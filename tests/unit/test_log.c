/* The log: levels, harmless text, the status line. */
#include "base/log.h"

#include <fcntl.h>
#include <unistd.h>

#include "support/test.h"

/* What the log wrote into a pipe. */
static const char *written(const int ends[2], char text[9000]) {
  ssize_t got = read(ends[0], text, 8999);
  text[got > 0 ? got : 0] = '\0';
  return text;
}

static struct log log_into(int ends[2], enum log_level level) {
  assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
  struct log log;
  log_init(&log, ends[1], level);
  return log;
}

static void close_both(const int ends[2]) {
  close(ends[0]);
  close(ends[1]);
}

static void test_levels_and_prefixes(void **state) {
  (void)state;
  int ends[2];
  char text[9000];
  struct log log = log_into(ends, LOG_INFO);
  assert_false(log.color || log.live); /* no terminal */
  log_print(&log, LOG_DEBUG, "hidden");
  assert_string_equal(written(ends, text), "");
  log_print(&log, LOG_INFO, "%d hosts\n", 3);
  assert_string_equal(written(ends, text), "3 hosts\n");
  log_print(&log, LOG_WARNING, "w");
  assert_string_equal(written(ends, text), "warning: w\n");
  log_print(&log, LOG_ERROR, "e");
  assert_string_equal(written(ends, text), "error: e\n");
  log_status(&log, "never shown");
  assert_string_equal(written(ends, text), "");
  close_both(ends);
}

static void test_servers_words_cannot_drive_the_terminal(void **state) {
  (void)state;
  int ends[2];
  char text[9000];
  struct log log = log_into(ends, LOG_INFO);
  log_print(&log, LOG_INFO,
            "a\033[2Jb\rc\x7F\xC2\x9B"
            "d\te\nf \xC3\xA4");
  assert_string_equal(written(ends, text), "a?[2Jb?c???d\te\nf \xC3\xA4\n");
  close_both(ends);
}

static void test_long_lines_are_cut(void **state) {
  (void)state;
  int ends[2];
  char text[9000];
  struct log log = log_into(ends, LOG_INFO);
  log_print(&log, LOG_INFO, "%*d", 6000, 1);
  size_t length = strlen(written(ends, text));
  assert_true(length > 4000 && length < 4200);
  assert_int_equal(text[length - 1], '\n');
  close_both(ends);
}

static void test_status_line_is_erased_before_a_line(void **state) {
  (void)state;
  int ends[2];
  char text[9000];
  struct log log = log_into(ends, LOG_INFO);
  log.live = true;
  log_status(&log, "");
  assert_string_equal(written(ends, text), ""); /* nothing to erase */
  log_status(&log, "working\033[2J\nhard");
  assert_string_equal(written(ends, text), "\r\033[Kworking?[2J hard");
  assert_true(log.status_shown);
  log_print(&log, LOG_INFO, "line");
  assert_string_equal(written(ends, text), "\r\033[Kline\n");
  log_print(&log, LOG_INFO, "line");
  assert_string_equal(written(ends, text), "line\n");
  log_status(&log, "again");
  log_status(&log, "");
  assert_string_equal(written(ends, text), "\r\033[Kagain\r\033[K");
  close_both(ends);
}

static void test_status_line_fits_the_terminal(void **state) {
  (void)state;
  int ends[2];
  char text[9000], wide[400] = "";
  struct log log = log_into(ends, LOG_INFO);
  log.live = true;
  for (int i = 0; i < 120; i++) strcat(wide, "\xC3\xA4"); /* two bytes, one column */
  log_status(&log, wide);
  assert_int_equal(strlen(written(ends, text)), strlen("\r\033[K") + 2 * 79);
  close_both(ends);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_levels_and_prefixes),
      cmocka_unit_test(test_servers_words_cannot_drive_the_terminal),
      cmocka_unit_test(test_long_lines_are_cut),
      cmocka_unit_test(test_status_line_is_erased_before_a_line),
      cmocka_unit_test(test_status_line_fits_the_terminal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
