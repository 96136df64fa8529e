/* TLS of Redis' clients, with certificates made as for a run: sessions of driver_redis with
 * scripted servers, and the blocking helpers. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/authority.h"
#include "support/redis_bench.h"
#include "support/test.h"

/* Made once: each certificate is a key that has to be found. */
static struct authority authority;

static void bench_init(struct redis_bench *bench, uint32_t fakes) {
  if (!authority.trust) skip_because("there are no certificates");
  redis_bench_init(bench, fakes);
  bench->redis.trust = authority.trust;
  bench->access.ca_file = "ca.crt";
  for (uint32_t i = 0; i < fakes; i++) bench->fakes[i].tls = authority.servers[i];
}

static void refused_with(struct redis_bench *bench, const char *words) {
  redis_bench_session(bench, ROUTE_PRIMARY, 1);
  redis_bench_cannot_connect(bench);
  if (!strstr(bench->why.message, words)) {
    fail_msg("'%s' is not in '%s'", words, bench->why.message);
  }
  assert_int_equal(bench->fakes[0].commands, 0); /* above all no password */
  redis_bench_release(bench);
}

/* --- who is there ---------------------------------------------------------------------------- */

static void test_connects_and_writes(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  bench.access.user = "app";
  bench.access.password = "secret";
  redis_bench_open(&bench, ROUTE_PRIMARY, 1);
  assert_true(bench.session->base.timing.connect_ns > 0);
  assert_true(bench.session->base.timing.authenticate_ns > 0);
  redis_bench_append_gets(&bench, 7, 1, OUTCOME_OK, "");
  assert_int_equal(fake_redis_seen(&bench.fakes[0], "AUTH app secret"), 1);
  assert_int_equal(fake_redis_seen(&bench.fakes[0], "SET gd:w:7:1 5:xyz\n"), 1);
  SSL *ssl = bench.fakes[0].connections[0].ssl;
  assert_true(SSL_version(ssl) >= TLS1_2_VERSION);
  assert_string_equal(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name), "redis1");
  redis_bench_release(&bench);
}

static void test_tls_1_2_will_do_and_older_will_not(void **state) {
  (void)state;
  static const int versions[] = {TLS1_2_VERSION, TLS1_1_VERSION};
  for (size_t i = 0; i < 2; i++) {
    struct redis_bench bench;
    bench_init(&bench, 1);
    SSL_CTX *server = bench.fakes[0].tls;
    SSL_CTX_set_security_level(server, 0); /* else 1.1 would not even be offered */
    assert_int_equal(SSL_CTX_set_min_proto_version(server, TLS1_1_VERSION), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(server, versions[i]), 1);
    if (i == 0) {
      redis_bench_open(&bench, ROUTE_PRIMARY, 1);
      redis_bench_append_gets(&bench, 1, 1, OUTCOME_OK, "");
      redis_bench_release(&bench);
    } else {
      refused_with(&bench, "in the TLS handshake");
    }
    assert_int_equal(SSL_CTX_set_max_proto_version(server, 0), 1);
  }
}

static void test_certificate_of_another_host_is_refused(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  bench.access.password = "secret";
  bench.fakes[0].tls = authority.servers[1];
  refused_with(&bench, "certificate is refused: hostname mismatch");
}

/* An endpoint may have no name but its address. */
static void test_address_is_verified_as_one(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  bench.endpoints[0].name = "127.0.0.1";
  redis_bench_open(&bench, ROUTE_PRIMARY, 1);
  redis_bench_append_gets(&bench, 1, 1, OUTCOME_OK, "");
  redis_bench_release(&bench);
  bench_init(&bench, 1);
  bench.endpoints[0].name = "127.0.0.2";
  refused_with(&bench, "certificate is refused: IP address mismatch");
}

static void test_certificate_of_another_authority_is_refused(void **state) {
  (void)state;
  struct redis_bench bench;
  struct authority other;
  bench_init(&bench, 1);
  authority_make(&other);
  bench.access.password = "secret";
  bench.fakes[0].tls = other.servers[0];
  refused_with(&bench, "certificate is refused: ");
  authority_remove(&other);
}

static void test_authority_that_is_none(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  struct tls_trust *trust = NULL;
  assert_int_equal(tls_trust_new("/nonexistent/ca.crt", &trust, &err), STATUS_ENVIRONMENT);
  assert_non_null(strstr(err.message, "/nonexistent/ca.crt"));
  assert_non_null(strstr(err.message, "No such file"));
  assert_int_equal(tls_trust_new("/etc/hostname", &trust, &err), STATUS_ENVIRONMENT);
  assert_null(trust);
}

/* --- handshakes that come to nothing --------------------------------------------------------- */

static void ignore_connections(struct redis_bench *bench, uint32_t fake) {
  struct error err = ERROR_INIT;
  assert_ok(loop_watch_set(bench->loop, &bench->fakes[fake].listening, 0, &err), &err);
}

static void test_server_that_stalls_ends_the_attempt(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 2);
  bench.options.connect_timeout_ns = 200 * NS_PER_MS;
  ignore_connections(&bench, 0); /* the kernel takes them */
  ignore_connections(&bench, 1);
  redis_bench_session(&bench, ROUTE_PRIMARY, 1);
  redis_bench_cannot_connect(&bench);
  assert_non_null(strstr(bench.why.message, "redis1: connected, but the TLS handshake"));
  assert_non_null(strstr(bench.why.message, "redis2: connected, but the TLS handshake"));
  redis_bench_release(&bench);
}

/* Stands for the server: takes the greeting, says `answer` (NULL: nothing) and closes. */
static void answer_greeting(struct redis_bench *bench, const char *answer) {
  char bytes[4096];
  ignore_connections(bench, 0);
  redis_bench_session(bench, ROUTE_PRIMARY, 1);
  driver_redis.session_connect(&bench->session->base);
  int fd = -1;
  while ((fd = accept(bench->fakes[0].listening.fd, NULL, NULL)) < 0) redis_bench_turn(bench);
  while (recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) <= 0) redis_bench_turn(bench);
  if (answer) assert_true(send(fd, answer, strlen(answer), MSG_NOSIGNAL) > 0);
  close(fd);
  redis_bench_await(bench, &bench->lost, 1);
}

static void test_plain_server_is_refused(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  answer_greeting(&bench, "-ERR unknown command\r\n");
  assert_non_null(strstr(bench.why.message, "TLS failed in the TLS handshake: wrong version"));
  redis_bench_release(&bench);
}

static void test_end_in_the_handshake(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  answer_greeting(&bench, NULL);
  assert_non_null(strstr(bench.why.message, "closed the connection in the TLS handshake"));
  redis_bench_release(&bench);
}

/* Nothing is said in the clear by mistake. */
static void test_authority_that_was_not_read_is_no_session(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  bench.redis.trust = NULL;
  struct error err = ERROR_INIT;
  assert_int_equal(redis_bench_try_session(&bench, ROUTE_PRIMARY, 1, &err), STATUS_INTERNAL);
  assert_non_null(strstr(err.message, "TLS"));
  redis_bench_release(&bench);
}

/* --- records --------------------------------------------------------------------------------- */

/* Each answer is a record of its own, and one read takes many off the socket. */
static void test_what_was_read_ahead_is_answered_for(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 200);
  for (int64_t i = 1; i <= 200; i++) redis_bench_send_append(&bench, 1, i);
  redis_bench_await(&bench, &bench.replies, 200);
  assert_int_equal(bench.outcomes[OUTCOME_OK], 200);
  redis_bench_release(&bench);
}

/* Records were taken one by one, each answered with one command, which the server answered with one
 * record: a pipeline of 16 cost ten times as much. */
static void test_records_are_received_together(void **state) {
  (void)state;
  struct redis_bench bench;
  struct error err = ERROR_INIT;
  char bytes[64];
  size_t size = 0;
  bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 1);
  for (size_t i = 0; i < 3; i++) redis_bench_say(&bench, 0, "+OK\r\n", 5);
  struct tcp_connection *connection = &bench.session->links[0].connection;
  assert_ok(tcp_receive(connection, bytes, sizeof bytes, &size, &err), &err);
  assert_int_equal(size, 15);
  assert_false(tcp_pending(connection));
  redis_bench_release(&bench);
}

static char *long_text(size_t size) {
  char *text = malloc(size + 1);
  assert_non_null(text);
  memset(text, 'x', size);
  text[size] = '\0';
  return text;
}

static void test_answer_of_many_records(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 2);
  fake_redis_rule(&bench.fakes[0], "GET", FAKE_REDIS_SILENCE, 0);
  redis_bench_send(&bench, REDIS_LEDGER_READ_OWN, (int64_t[]){7, 3}, 2, NULL);
  redis_bench_send(&bench, REDIS_LEDGER_HEARTBEAT_GET, NULL, 0, NULL);
  redis_bench_await_seen(&bench, 0, "GET", 2);
  enum { SIZE = 100000 };
  char *text = long_text(SIZE);
  redis_bench_say(&bench, 0, "$100002\r\n5:", 11);
  redis_bench_say(&bench, 0, text, SIZE);
  redis_bench_say(&bench, 0, "\r\n$2\r\n42\r\n", 10);
  redis_bench_await(&bench, &bench.replies, 2);
  assert_int_equal(bench.outcomes[OUTCOME_OK], 2);
  assert_int_equal(bench.last.values[0], 42);
  free(text);
  redis_bench_release(&bench);
}

static void send_long(struct redis_bench *bench, const char *text, int64_t count) {
  for (int64_t i = 1; i <= count; i++) {
    redis_bench_send(bench, REDIS_LEDGER_APPEND, (int64_t[]){1, i, 5}, 3, text);
  }
}

/* More than the kernel takes at once goes on when it takes more. */
static void test_long_requests_arrive_whole(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 16);
  char *text = long_text(1 << 20);
  send_long(&bench, text, 16);
  redis_bench_await(&bench, &bench.replies, 16);
  assert_int_equal(bench.outcomes[OUTCOME_OK], 16);
  assert_true(bench.fakes[0].log.length > UINT64_C(16) << 20);
  free(text);
  redis_bench_release(&bench);
}

/* --- ends ------------------------------------------------------------------------------------ */

static void test_end_after_the_send_is_unknown(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 4);
  redis_bench_ends_after_sends(&bench);
  redis_bench_release(&bench);
}

static void test_farewell_ends_the_session(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 1);
  fake_redis_rule(&bench.fakes[0], "SET", FAKE_REDIS_SILENCE, 0);
  redis_bench_send_append(&bench, 1, 1);
  redis_bench_await_seen(&bench, 0, "SET", 1);
  SSL_shutdown(bench.fakes[0].connections[0].ssl);
  redis_bench_await(&bench, &bench.lost, 1);
  assert_non_null(strstr(bench.why.message, "the server closed the connection"));
  redis_bench_assert_reply(&bench, OUTCOME_UNKNOWN, CODE_CONNECTION_LOST);
  redis_bench_release(&bench);
}

/* A record that has not left whole is one that the server cannot read. */
static void test_what_was_not_sent_whole_has_failed(void **state) {
  (void)state;
  struct redis_bench bench;
  bench_init(&bench, 1);
  redis_bench_open(&bench, ROUTE_PRIMARY, 64);
  /* An answer to who has gone would be answered with a reset, and what is under way be lost. */
  fake_redis_rule(&bench.fakes[0], "SET", FAKE_REDIS_SILENCE, 0);
  struct watch *server = &bench.fakes[0].connections[0].watch;
  assert_int_equal(loop_watch_set(bench.loop, server, 0, NULL), 0); /* nobody reads */
  char *text = long_text(1 << 20);
  send_long(&bench, text, 64);
  uint32_t seen = bench.fakes[0].commands;
  driver_redis.session_close(&bench.session->base);
  assert_int_equal(bench.replies, 64);
  assert_true(bench.outcomes[OUTCOME_UNKNOWN] > 0);
  assert_true(bench.outcomes[OUTCOME_FAIL] > 32);
  redis_bench_assert_reply(&bench, OUTCOME_FAIL, CODE_NO_CONNECTION);
  /* What it can read of it are those that are unknown, and no others. */
  assert_int_equal(loop_watch_set(bench.loop, server, LOOP_READ, NULL), 0);
  while (server->fd >= 0) redis_bench_turn(&bench);
  assert_int_equal(bench.fakes[0].commands - seen, bench.outcomes[OUTCOME_UNKNOWN]);
  free(text);
  redis_bench_release(&bench);
}

/* --- blocking -------------------------------------------------------------------------------- */

struct caller {
  struct redis_bench *bench;
  uint64_t timeout_ns;
  int executed, read;
  uint32_t rows;
  struct error err;
  atomic_bool done;
};

static int take_row(void *data, const char *const columns[], uint32_t count, struct error *err) {
  struct caller *caller = data;
  (void)err;
  if (count == 2 && strcmp(columns[0], "key") == 0 && strcmp(columns[1], "7") == 0) caller->rows++;
  return 0;
}

static void *call(void *data) {
  struct caller *caller = data;
  const struct access *access = &caller->bench->access;
  const struct endpoint *endpoint = &access->endpoints[0];
  caller->executed =
      driver_redis.execute(access, endpoint, "SET a b", caller->timeout_ns, &caller->err);
  if (caller->executed == 0) {
    caller->read = driver_redis.read_rows(access, endpoint, "k*", caller->timeout_ns, take_row,
                                          caller, &caller->err);
  }
  atomic_store(&caller->done, true);
  return NULL;
}

static void run_caller(struct caller *caller, struct redis_bench *bench, uint64_t timeout_ns) {
  pthread_t thread;
  *caller = (struct caller){.bench = bench, .timeout_ns = timeout_ns, .err = ERROR_INIT};
  assert_int_equal(pthread_create(&thread, NULL, call, caller), 0);
  while (!atomic_load(&caller->done)) {
    loop_turn(bench->loop, loop_now_ns(bench->loop) + 5 * NS_PER_MS, NULL);
  }
  pthread_join(thread, NULL);
}

static void test_blocking_helpers(void **state) {
  (void)state;
  struct redis_bench bench;
  struct caller caller;
  bench_init(&bench, 1);
  bench.access.password = "secret";
  fake_redis_reply_to(&bench.fakes[0], "SCAN", "*2\r\n$1\r\n0\r\n*2\r\n$3\r\nkey\r\n$3\r\nkey\r\n");
  fake_redis_reply_to(&bench.fakes[0], "GET key", "$1\r\n7\r\n");
  run_caller(&caller, &bench, 20 * NS_PER_S);
  assert_ok(caller.executed, &caller.err);
  assert_ok(caller.read, &caller.err);
  assert_int_equal(caller.rows, 2);
  assert_int_equal(fake_redis_seen(&bench.fakes[0], "AUTH secret"), 2);
  assert_int_equal(fake_redis_seen(&bench.fakes[0], "SET a b"), 1);
  redis_bench_release(&bench);
}

static void test_blocking_helpers_refuse_strangers(void **state) {
  (void)state;
  struct redis_bench bench;
  struct caller caller;
  bench_init(&bench, 1);
  bench.access.password = "secret";
  bench.fakes[0].tls = authority.servers[1];
  run_caller(&caller, &bench, 20 * NS_PER_S);
  assert_int_equal(caller.executed, STATUS_SERVER);
  assert_non_null(strstr(caller.err.message, "hostname mismatch"));
  assert_int_equal(bench.fakes[0].commands, 0);
  redis_bench_release(&bench);
}

static void test_blocking_helpers_do_not_wait_for_a_stalled_handshake(void **state) {
  (void)state;
  struct redis_bench bench;
  struct caller caller;
  bench_init(&bench, 1);
  ignore_connections(&bench, 0);
  run_caller(&caller, &bench, 200 * NS_PER_MS);
  assert_int_equal(caller.executed, STATUS_TIMEOUT);
  redis_bench_release(&bench);
}

static int make_authority(void **state) {
  (void)state;
  signal(SIGPIPE, SIG_IGN); /* the scripted servers' own */
  if (process_exists("openssl")) authority_make(&authority);
  return 0;
}

static int remove_authority(void **state) {
  (void)state;
  if (authority.trust) authority_remove(&authority);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_connects_and_writes),
      cmocka_unit_test(test_tls_1_2_will_do_and_older_will_not),
      cmocka_unit_test(test_certificate_of_another_host_is_refused),
      cmocka_unit_test(test_address_is_verified_as_one),
      cmocka_unit_test(test_certificate_of_another_authority_is_refused),
      cmocka_unit_test(test_authority_that_is_none),
      cmocka_unit_test(test_server_that_stalls_ends_the_attempt),
      cmocka_unit_test(test_plain_server_is_refused),
      cmocka_unit_test(test_end_in_the_handshake),
      cmocka_unit_test(test_authority_that_was_not_read_is_no_session),
      cmocka_unit_test(test_what_was_read_ahead_is_answered_for),
      cmocka_unit_test(test_records_are_received_together),
      cmocka_unit_test(test_answer_of_many_records),
      cmocka_unit_test(test_long_requests_arrive_whole),
      cmocka_unit_test(test_end_after_the_send_is_unknown),
      cmocka_unit_test(test_farewell_ends_the_session),
      cmocka_unit_test(test_what_was_not_sent_whole_has_failed),
      cmocka_unit_test(test_blocking_helpers),
      cmocka_unit_test(test_blocking_helpers_refuse_strangers),
      cmocka_unit_test(test_blocking_helpers_do_not_wait_for_a_stalled_handshake),
  };
  return cmocka_run_group_tests(tests, make_authority, remove_authority);
}
