/* Buffers: growth, formats, remembered failure, stealing. */
#include "base/buf.h"

#include "support/test.h"

static void test_empty_is_an_empty_text(void **state) {
  (void)state;
  struct buf buf;
  buf_init(&buf);
  assert_string_equal(buf.data, "");
  buf_add(&buf, "", 0);
  buf_puts(&buf, "");
  buf_printf(&buf, "%s", "");
  assert_int_equal(buf.length, 0);
  buf_clear(&buf);
  assert_string_equal(buf.data, "");
  buf_release(&buf);
  buf_release(&buf);
  buf_release(NULL);
}

static void test_grows_and_stays_terminated(void **state) {
  (void)state;
  struct buf buf;
  buf_init(&buf);
  for (int i = 0; i < 5000; i++) {
    buf_putc(&buf, (char)('a' + i % 26));
    assert_int_equal(buf.data[buf.length], 0);
  }
  assert_int_equal(buf.length, 5000);
  buf_add(&buf, "x\0y", 3);
  assert_int_equal(buf.length, 5003);
  assert_memory_equal(buf.data + 5000, "x\0y", 4);
  buf_clear(&buf);
  buf_printf(&buf, "%d %s", 42, "is it");
  buf_printf(&buf, "%*d", 1000, 7);
  assert_int_equal(buf.length, 1008);
  assert_memory_equal(buf.data, "42 is it", 8);
  buf_release(&buf);
}

static void test_failure_is_remembered(void **state) {
  (void)state;
  struct buf buf;
  buf_init(&buf);
  buf_puts(&buf, "before");
  buf_add(&buf, "x", SIZE_MAX / 2); /* no such room; nothing is read */
  buf_puts(&buf, "after");
  struct error err = ERROR_INIT;
  assert_int_equal(buf_ok(&buf, &err), STATUS_MEMORY);
  assert_string_equal(buf.data, "before");
  assert_null(buf_steal(&buf));
  assert_int_equal(buf_ok(&buf, &err), 0);
  assert_string_equal(buf.data, "");
  buf_release(&buf);
}

static void test_steal_gives_the_bytes(void **state) {
  (void)state;
  struct buf buf;
  buf_init(&buf);
  char *empty = buf_steal(&buf);
  assert_string_equal(empty, "");
  free(empty);
  buf_puts(&buf, "mine");
  char *text = buf_steal(&buf);
  assert_string_equal(text, "mine");
  assert_string_equal(buf.data, "");
  free(text);
  buf_release(&buf);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_empty_is_an_empty_text),
      cmocka_unit_test(test_grows_and_stays_terminated),
      cmocka_unit_test(test_failure_is_remembered),
      cmocka_unit_test(test_steal_gives_the_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
