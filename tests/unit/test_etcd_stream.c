/* Reading etcd's JSON gateway and Patroni's REST interface: streams cut anywhere, base64. */
#include "support/test.h"

#include "base/cleanup.h"
#include "services/postgres_watch.h"

/* As etcd 3.4 sends it; the values are "pg1" and "pg2" in base64. */
static const char stream_text[] =
    "{\"result\":{\"header\":{\"cluster_id\":\"14841639068965178418\",\"revision\":\"12\"},"
    "\"created\":true}}\n"
    "{\"result\":{\"header\":{\"revision\":\"20\"},\"events\":[{\"type\":\"DELETE\",\"kv\":"
    "{\"key\":\"L2dhbWVkYXkve30iXCJ7L2xlYWRlcg==\",\"mod_revision\":\"20\"}}]}}\n"
    "{\"result\":{\"header\":{\"revision\":\"24\"},\"note\":\"brace } and \\\" quote {\","
    "\"events\":[{\"kv\":{\"mod_revision\":\"23\",\"value\":\"cGcy\"}},"
    "{\"kv\":{\"mod_revision\":\"24\",\"value\":\"cGcx\"}}]}}\n";

struct seen {
  struct etcd_news news[8];
  uint32_t count, objects, bad;
};

static void on_news(void *data, const struct etcd_news *news) {
  struct seen *seen = data;
  if (seen->count < 8) seen->news[seen->count++] = *news;
}
static void on_object(void *data, const char *text, size_t length) {
  struct seen *seen = data;
  seen->objects++;
  if (!etcd_parse_watch(text, length, on_news, seen)) seen->bad++;
}

static void check_seen(const struct seen *seen) {
  assert_int_equal(seen->objects, 3);
  assert_int_equal(seen->bad, 0);
  assert_int_equal(seen->count, 3);
  assert_int_equal(seen->news[0].change, ETCD_DELETED);
  assert_int_equal(seen->news[0].revision, 20);
  assert_int_equal(seen->news[1].change, ETCD_PUT);
  assert_string_equal(seen->news[1].value, "pg2");
  assert_int_equal(seen->news[2].revision, 24);
  assert_string_equal(seen->news[2].value, "pg1");
}

static void test_stream_cut_anywhere(void **state) {
  (void)state;
  size_t length = strlen(stream_text);
  for (size_t cut = 0; cut <= length; cut++) {
    struct etcd_stream stream = {.depth = 0};
    struct seen seen = {.count = 0};
    buf_init(&stream.object);
    assert_true(etcd_stream_feed(&stream, stream_text, cut, on_object, &seen));
    assert_true(etcd_stream_feed(&stream, stream_text + cut, length - cut, on_object, &seen));
    check_seen(&seen);
    buf_release(&stream.object);
  }
  struct etcd_stream stream = {.depth = 0};
  struct seen seen = {.count = 0};
  buf_init(&stream.object);
  for (size_t i = 0; i < length; i++)
    assert_true(etcd_stream_feed(&stream, stream_text + i, 1, on_object, &seen));
  check_seen(&seen);
  buf_release(&stream.object);
}

static void test_stream_that_is_none(void **state) {
  (void)state;
  struct etcd_stream stream = {.depth = 0};
  struct seen seen = {.count = 0};
  buf_init(&stream.object);
  assert_false(etcd_stream_feed(&stream, "404 page not found\n", 19, on_object, &seen));
  etcd_stream_reset(&stream);
  assert_true(etcd_stream_feed(&stream, "{]", 2, on_object, &seen)); /* nested wrongly */
  assert_int_equal(seen.bad, 1);
  etcd_stream_reset(&stream);
  char brace = '{';
  bool ok = true;
  for (uint32_t i = 0; i < (2u << 20) && ok; i++)
    ok = etcd_stream_feed(&stream, &brace, 1, on_object, &seen);
  assert_false(ok); /* endless */
  buf_release(&stream.object);
}

static void test_canceled_watch(void **state) {
  (void)state;
  static const char text[] =
      "{\"result\":{\"header\":{\"revision\":\"9\"},\"canceled\":true,"
      "\"compact_revision\":\"7\"}}";
  struct seen seen = {.count = 0};
  assert_true(etcd_parse_watch(text, strlen(text), on_news, &seen));
  assert_int_equal(seen.count, 1);
  assert_int_equal(seen.news[0].change, ETCD_CANCELED);
  static const char error[] = "{\"error\":{\"grpc_code\":14,\"message\":\"no leader\"}}";
  assert_false(etcd_parse_watch(error, strlen(error), on_news, &seen));
}

static void test_range(void **state) {
  (void)state;
  struct etcd_news news;
  static const char there[] =
      "{\"header\":{\"revision\":\"31\"},\"kvs\":[{\"key\":\"eA==\",\"mod_revision\":\"12\","
      "\"value\":\"cGcz\"}],\"count\":\"1\"}";
  static const char absent[] = "{\"header\":{\"revision\":\"31\"}}";
  assert_true(etcd_parse_range(there, strlen(there), &news));
  assert_int_equal(news.change, ETCD_PUT);
  assert_int_equal(news.revision, 12);
  assert_int_equal(news.store, 31);
  assert_string_equal(news.value, "pg3");
  assert_true(etcd_parse_range(absent, strlen(absent), &news));
  assert_int_equal(news.change, ETCD_ABSENT);
  assert_int_equal(news.revision, 31);
  static const char *const bad[] = {"", "[]", "{}", "{\"header\":{}}", "{\"error\":\"timed out\"}"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_false(etcd_parse_range(bad[i], strlen(bad[i]), &news));
}

static void test_base64(void **state) {
  (void)state;
  /* RFC 4648, section 10. */
  static const char *const pairs[][2] = {{"", ""},
                                         {"f", "Zg=="},
                                         {"fo", "Zm8="},
                                         {"foo", "Zm9v"},
                                         {"foob", "Zm9vYg=="},
                                         {"fooba", "Zm9vYmE="},
                                         {"foobar", "Zm9vYmFy"},
                                         {"/gameday/x/leader", "L2dhbWVkYXkveC9sZWFkZXI="}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    char text[64];
    assert_int_equal(base64_encode(pairs[i][0], text, sizeof text, NULL), 0);
    assert_string_equal(text, pairs[i][1]);
    assert_true(base64_decode(pairs[i][1], text, sizeof text));
    assert_string_equal(text, pairs[i][0]);
  }
  static const char *const bad[] = {"Z", "Zg=", "Zg==Zg==", "Z===", "====", "Zg=a", "Zm9 ", "Zm9-"};
  char text[16];
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_false(base64_decode(bad[i], text, sizeof text));
  assert_false(base64_decode("Zm9vYmFy", text, 6)); /* six letters and the end need seven */
  assert_true(base64_decode("Zm9vYmFy", text, 7));
  assert_int_equal(base64_encode("foo", text, 4, NULL), STATUS_USAGE);
}

static void test_patroni_describes_itself(void **state) {
  (void)state;
  char word[160];
  static const char three[] =
      "{\"state\":\"running\",\"role\":\"master\",\"timeline\":3,\"pending_restart\":true}";
  static const char four[] = "{\"state\":\"running\",\"role\":\"primary\",\"timeline\":3}";
  static const char down[] = "{\"state\":\"stopped\",\"role\":\"demoted\"}";
  assert_true(patroni_describe(three, strlen(three), word, sizeof word));
  assert_string_equal(word, "running as primary, timeline 3, restart pending");
  assert_true(patroni_describe(four, strlen(four), word, sizeof word));
  assert_string_equal(word, "running as primary, timeline 3");
  assert_true(patroni_describe(down, strlen(down), word, sizeof word));
  assert_string_equal(word, "stopped as demoted");
  assert_true(patroni_describe(three, strlen(three), word, 8)); /* cut, not overrun */
  assert_string_equal(word, "running");
  assert_false(patroni_describe("{}", 2, word, sizeof word));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_stream_cut_anywhere),
      cmocka_unit_test(test_stream_that_is_none),
      cmocka_unit_test(test_canceled_watch),
      cmocka_unit_test(test_range),
      cmocka_unit_test(test_base64),
      cmocka_unit_test(test_patroni_describes_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
