/* Faults on local hosts do what they say: power, signals, freezing. A cluster a test. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "support/local_cluster.h"
#include "support/test.h"

static struct error err;

static double since_ms(uint64_t begin_ns) {
  return (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e6;
}

static void stop(const struct local_test *test) {
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider_local.host_stop(test->cluster, test->one, &err), &err);
  print_message("host_stop: %.1f ms\n", since_ms(begin_ns));
}

static void start(const struct local_test *test) {
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider_local.host_start(test->cluster, test->one, &err), &err);
  print_message("host_start: %.1f ms\n", since_ms(begin_ns));
}

static bool host_runs(const struct local_test *test) {
  bool running = false;
  assert_ok(provider_local.host_running(test->cluster, test->one, &running, &err), &err);
  return running;
}

static uint32_t send_signal(const struct local_test *test, const struct process_match *match,
                            int signal) {
  uint32_t count = 0;
  assert_ok(provider_local.process_signal(test->cluster, test->one, match, signal, &count, &err),
            &err);
  return count;
}

/* Waits until so many processes match: a shell needs a moment to start its children. */
static void await_count(const struct local_test *test, const struct process_match *match,
                        uint32_t expected) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + 10 * NS_PER_S;
  uint32_t count;
  while ((count = send_signal(test, match, 0)) != expected) {
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      fail_msg("%u processes match, not %u", count, expected);
    poll(NULL, 0, 2);
  }
}

/* --- power */

/* Says one byte to whoever comes, and never ends. */
static const char greeter[] =
    "exec perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET,"
    " SO_REUSEADDR, 1); bind(S, sockaddr_in(7000, INADDR_ANY)) or die; listen(S, 5);"
    " while (accept(C, S)) { syswrite(C, \"x\"); push @keep, *C; sleep 1000 }'";

struct visit {
  const struct local_test *test;
  int fd;
};

/* Connects from the client host and hears the greeting. */
static void *visit_server(void *data) {
  struct visit *visit = data;
  const struct local_test *test = visit->test;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7000)};
  inet_pton(AF_INET, test->one->address, &address.sin_addr);
  visit->fd = -1;
  if (provider_local.network_enter(test->cluster, test->client, NULL) < 0) return NULL;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + 10 * NS_PER_S;
  while (clock_now_ns(&clock_monotonic) < deadline_ns) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && read(fd, &byte, 1) == 1) {
      visit->fd = fd;
      return NULL;
    }
    close(fd);
    poll(NULL, 0, 10); /* it does not listen yet */
  }
  return NULL;
}

static int connect_to_greeter(const struct local_test *test) {
  struct visit visit = {.test = test};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, visit_server, &visit), 0);
  pthread_join(thread, NULL);
  assert_true(visit.fd >= 0);
  return visit.fd;
}

static int tcp_state(int fd) {
  struct tcp_info info;
  socklen_t size = sizeof info;
  assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  return info.tcpi_state;
}

/* A peer sees silence: no FIN, no RST, the connection stays established; also when the sockets of
 * the killed processes are closed by the kernel. When the host is back it knows nothing of it. */
static void power_off_is_silent_and_a_restarted_host_resets_old_connections(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  local_test_unit(&test, test.one, "greeter", greeter);
  CLEANUP_CLOSE int fd = connect_to_greeter(&test);
  assert_true(host_runs(&test));
  stop(&test);
  assert_false(host_runs(&test));
  struct pollfd events = {.fd = fd, .events = POLLIN | POLLRDHUP};
  assert_int_equal(poll(&events, 1, 300), 0); /* nothing comes; that is what is waited for */
  assert_int_equal(tcp_state(fd), TCP_ESTABLISHED);
  start(&test);
  assert_true(host_runs(&test));
  /* Not by itself: a surviving socket would say FIN now. */
  assert_int_equal(poll(&events, 1, 300), 0);
  assert_int_equal(send(fd, "y", 1, MSG_NOSIGNAL), 1);
  assert_int_equal(poll(&events, 1, 10000), 1);
  char byte;
  assert_int_equal(read(fd, &byte, 1), -1);
  assert_int_equal(errno, ECONNRESET);
  /* And its daemon runs again. */
  CLEANUP_CLOSE int again = connect_to_greeter(&test);
  assert_int_equal(tcp_state(again), TCP_ESTABLISHED);
  local_test_end(&test);
}

static const char write_files[] =
    "cd /var/lib/gameday && echo kept >synced && sync synced . && "
    "head -c 3000000 /dev/zero >unsynced && echo outside >/etc/outside";

static void power_loss_keeps_what_was_synced_and_loses_what_was_not(void **state) {
  (void)state;
  struct local_test test;
  char out[256];
  local_test_begin(&test);
  if (!local_of(test.cluster)->power_loss) {
    local_test_end(&test);
    skip_because("loop devices do not work here, so a disk cannot be cut off");
  }
  for (int round = 0; round < 5; round++) {
    assert_int_equal(local_test_shell(&test, test.one, NULL, write_files, NULL, 0), 0);
    stop(&test);
    start(&test);
    local_test_shell(&test, test.one, NULL,
                     "cat /etc/outside; cd /var/lib/gameday; cat synced; find unsynced -size +0",
                     out, sizeof out);
    assert_string_equal(out, "outside\nkept");
  }
  local_test_end(&test);
}

static void check_all_is_kept(enum local_storage storage) {
  struct local_test test;
  char out[256];
  local_test_init(&test);
  test.config.storage = (int)storage;
  test.config.power_loss = false;
  assert_ok(local_test_up(&test, false, &err), &err);
  assert_int_equal(local_test_shell(&test, test.one, NULL, write_files, NULL, 0), 0);
  stop(&test);
  start(&test);
  local_test_shell(&test, test.one, NULL, "cd /var/lib/gameday; cat synced; wc -c <unsynced", out,
                   sizeof out);
  assert_string_equal(out, "kept\n3000000");
  local_test_end(&test);
}

static void without_power_loss_everything_is_kept(void **state) {
  (void)state;
  check_all_is_kept(LOCAL_STORAGE_AUTO);
}

static void data_in_memory_is_kept_over_power_off(void **state) {
  (void)state;
  check_all_is_kept(LOCAL_STORAGE_TMPFS);
}

static void off_twice_and_on_twice_are_fine_and_off_refuses_the_rest(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  local_test_unit(&test, test.one, "sleeper", "exec sleep 1000");
  stop(&test);
  stop(&test);
  bool answer = true;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  const char *argv[] = {"true", NULL};
  struct process_spec spec = {.argv = argv};
  assert_int_equal(provider_local.exec(test.cluster, test.one, NULL, &spec, &result, &err),
                   STATUS_SERVER);
  assert_int_equal(provider_local.file_put(test.cluster, test.one, "/x", "x", 1, 0600, NULL, &err),
                   STATUS_SERVER);
  assert_int_equal(provider_local.unit_start(test.cluster, test.one, "sleeper", &err),
                   STATUS_SERVER);
  assert_int_equal(provider_local.freeze(test.cluster, test.one, NULL, true, &err), STATUS_SERVER);
  assert_int_equal(provider_local.frozen(test.cluster, test.one, NULL, &answer, &err),
                   STATUS_SERVER);
  assert_ok(provider_local.freeze(test.cluster, test.one, NULL, false, &err), &err);
  assert_ok(provider_local.unit_running(test.cluster, test.one, "sleeper", &answer, &err), &err);
  assert_false(answer);
  assert_int_equal(send_signal(&test, NULL, SIGKILL), 0);
  start(&test);
  start(&test);
  const struct process_match match = {.unit = "sleeper"};
  await_count(&test, &match, 1);
  assert_int_equal(provider_local.host_stop(test.cluster, test.client, &err), STATUS_USAGE);
  local_test_end(&test);
}

/* What a fault has started ends with the power, and does not come back with it. */
static void a_unit_started_by_hand_does_not_start_with_its_host(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  static const char *const argv[] = {"/bin/sleep", "1000", NULL};
  const struct host_unit unit = {.name = "eater", .argv = argv, .by_hand = true};
  const struct process_match match = {.unit = "eater"};
  bool running = true;
  assert_ok(provider_local.unit_define(test.cluster, test.one, &unit, &err), &err);
  local_test_unit(&test, test.one, "sleeper", "exec sleep 1000");
  start(&test); /* on already: what does not run is started */
  await_count(&test, &match, 0);
  assert_ok(provider_local.unit_start(test.cluster, test.one, "eater", &err), &err);
  await_count(&test, &match, 1);
  stop(&test);
  start(&test);
  await_count(&test, &(struct process_match){.unit = "sleeper"}, 1);
  assert_ok(provider_local.unit_running(test.cluster, test.one, "eater", &running, &err), &err);
  assert_false(running);
  local_test_end(&test);
}

static void a_frozen_host_can_be_powered_off(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  local_test_unit(&test, test.one, "sleeper", "sleep 1000 & exec sleep 1000");
  const struct process_match match = {.unit = "sleeper"};
  assert_ok(provider_local.freeze(test.cluster, test.one, &match, true, &err), &err);
  assert_ok(provider_local.freeze(test.cluster, test.one, NULL, true, &err), &err);
  stop(&test);
  assert_false(host_runs(&test));
  start(&test);
  bool frozen = true;
  await_count(&test, &match, 2);
  assert_ok(provider_local.frozen(test.cluster, test.one, &match, &frozen, &err), &err);
  assert_false(frozen);
  local_test_end(&test);
}

/* --- signals */

/* Its child leaves it and its session, as a daemon does: pg_ctl starts PostgreSQL like this. */
static const char family[] =
    "setsid sh -c 'sleep 4001 & sleep 4002 & exec sleep 4000' & "
    "sh -c 'setsid sleep 5000 &'; exec sleep 3000";

static void processes_are_found_by_program_argument_unit_and_descent(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  local_test_unit(&test, test.one, "family", family);
  local_test_unit(&test, test.one, "other", "exec sleep 6000");
  await_count(&test, &(struct process_match){.unit = "family", .program = "sleep"}, 5);
  await_count(&test, &(struct process_match){.program = "sleep"}, 6);
  await_count(&test, &(struct process_match){.argument = "4000"}, 1);
  await_count(&test, &(struct process_match){.argument = "sleep 400"}, 3);
  await_count(&test, &(struct process_match){.argument = "4000", .tree = true}, 3);
  await_count(&test, &(struct process_match){.argument = "5000", .unit = "family"}, 1);
  await_count(&test, &(struct process_match){.argument = "5000", .unit = "other"}, 0);
  await_count(&test, &(struct process_match){.program = "leep"}, 0);
  await_count(&test, &(struct process_match){.unit = "no-such-unit"}, 0);
  await_count(&test, NULL, 6);
  local_test_end(&test);
}

static void signals_reach_those_that_match_and_no_others(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  local_test_unit(&test, test.one, "family", family);
  local_test_unit(&test, test.one, "other", "trap '' TERM; while :; do sleep 6000; done");
  await_count(&test, NULL, 7);
  assert_int_equal(
      send_signal(&test, &(struct process_match){.argument = "4000", .tree = true}, SIGKILL), 3);
  /* Killed means gone when the call returns. */
  assert_int_equal(send_signal(&test, NULL, 0), 4);
  assert_int_equal(send_signal(&test, &(struct process_match){.unit = "family"}, SIGTERM), 2);
  await_count(&test, &(struct process_match){.unit = "family"}, 0);
  assert_int_equal(send_signal(&test, &(struct process_match){.unit = "other"}, SIGKILL), 2);
  assert_int_equal(send_signal(&test, NULL, 0), 0);
  assert_true(host_runs(&test)); /* all of them gone, the host lives on */
  local_test_end(&test);
}

/* --- freezing */

static const char counter[] = "i=0; while :; do i=$((i+1)); done";

/* Processor time of the matching process, in clock ticks. */
static uint64_t busy_ticks(const struct local_test *test, const struct process_match *match) {
  CLEANUP(local_matched_release) struct local_matched matched = {.count = 0};
  assert_ok(local_match(local_of(test->cluster), test->one, match, &matched, &err), &err);
  assert_int_equal(matched.count, 1);
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/schedstat", (int)matched.items[0].pid);
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(file_read(path, 4096, &text, &err), &err);
  return strtoull(text.data, NULL, 10);
}

static void await_busy(const struct local_test *test, const struct process_match *match) {
  uint64_t before = busy_ticks(test, match);
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + 10 * NS_PER_S;
  while (busy_ticks(test, match) == before) {
    assert_true(clock_now_ns(&clock_monotonic) < deadline_ns);
    poll(NULL, 0, 2);
  }
}

static bool is_frozen(const struct local_test *test, const struct process_match *match) {
  bool frozen = false;
  assert_ok(provider_local.frozen(test->cluster, test->one, match, &frozen, &err), &err);
  return frozen;
}

static void freeze(const struct local_test *test, const struct process_match *match, bool frozen) {
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider_local.freeze(test->cluster, test->one, match, frozen, &err), &err);
  print_message("%s: %.1f ms\n", frozen ? "freeze" : "thaw", since_ms(begin_ns));
}

static void a_frozen_process_does_nothing_until_it_is_thawed(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  local_test_unit(&test, test.one, "one", counter);
  local_test_unit(&test, test.one, "other", counter);
  const struct process_match one = {.unit = "one"}, other = {.unit = "other"};
  await_busy(&test, &one);
  freeze(&test, &one, true);
  assert_true(is_frozen(&test, &one));
  assert_false(is_frozen(&test, &other));
  assert_false(is_frozen(&test, NULL));
  uint64_t ticks = busy_ticks(&test, &one);
  await_busy(&test, &other);
  assert_int_equal(busy_ticks(&test, &one), ticks);
  freeze(&test, &one, true); /* again is fine */
  freeze(&test, &one, false);
  assert_false(is_frozen(&test, &one));
  await_busy(&test, &one);
  freeze(&test, &one, false);
  local_test_end(&test);
}

static void a_frozen_host_does_nothing_until_it_is_thawed(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  local_test_unit(&test, test.one, "one", counter);
  const struct process_match one = {.unit = "one"};
  await_busy(&test, &one);
  freeze(&test, NULL, true);
  assert_true(is_frozen(&test, NULL));
  assert_true(is_frozen(&test, &one));
  assert_true(host_runs(&test)); /* its link is up: it just does not answer */
  uint64_t ticks = busy_ticks(&test, &one);
  assert_int_equal(poll(NULL, 0, 50), 0); /* nothing must happen: nothing can be awaited */
  assert_int_equal(busy_ticks(&test, &one), ticks);
  freeze(&test, NULL, false);
  assert_false(is_frozen(&test, NULL));
  await_busy(&test, &one);
  local_test_end(&test);
}

/* The parent of what is frozen goes on, is not told, and new children are caught too. */
static void some_processes_of_a_unit_freeze_without_their_parent_noticing(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  local_test_unit(&test, test.one, "parent",
                  "sh -c 'echo $$; i=0; while :; do i=$((i+1)); sleep 0.001; done' child & "
                  "wait; echo noticed; exec sleep 1000");
  const struct process_match child = {.unit = "parent", .argument = "child", .tree = true};
  const struct process_match parent = {.unit = "parent", .argument = "noticed"};
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + 10 * NS_PER_S;
  while (send_signal(&test, &child, 0) == 0)
    assert_true(clock_now_ns(&clock_monotonic) < deadline_ns);
  for (int round = 0; round < 5; round++) {
    freeze(&test, &child, true);
    assert_true(is_frozen(&test, &child));
    freeze(&test, &child, false);
    assert_false(is_frozen(&test, &child));
  }
  assert_int_equal(send_signal(&test, &parent, 0), 1);
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/logs/one/parent.log", test.directory);
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(file_read(path, 4096, &text, &err), &err);
  assert_null(strstr(text.data, "noticed"));
  local_test_end(&test);
}

static void a_process_killed_while_frozen_ends_when_it_is_thawed(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  local_test_unit(&test, test.one, "one", "exec sleep 1000");
  const struct process_match one = {.unit = "one"};
  bool frozen;
  freeze(&test, &one, true);
  assert_int_equal(send_signal(&test, &one, SIGKILL), 1);
  freeze(&test, &one, false);
  await_count(&test, &one, 0);
  assert_int_equal(provider_local.frozen(test.cluster, test.one, &one, &frozen, &err),
                   STATUS_SERVER);
  local_test_end(&test);
}

int main(void) {
  if (!local_test_possible()) return LOCAL_TEST_SKIPPED;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(power_off_is_silent_and_a_restarted_host_resets_old_connections),
      cmocka_unit_test(power_loss_keeps_what_was_synced_and_loses_what_was_not),
      cmocka_unit_test(without_power_loss_everything_is_kept),
      cmocka_unit_test(data_in_memory_is_kept_over_power_off),
      cmocka_unit_test(off_twice_and_on_twice_are_fine_and_off_refuses_the_rest),
      cmocka_unit_test(a_unit_started_by_hand_does_not_start_with_its_host),
      cmocka_unit_test(a_frozen_host_can_be_powered_off),
      cmocka_unit_test(processes_are_found_by_program_argument_unit_and_descent),
      cmocka_unit_test(signals_reach_those_that_match_and_no_others),
      cmocka_unit_test(a_frozen_process_does_nothing_until_it_is_thawed),
      cmocka_unit_test(a_frozen_host_does_nothing_until_it_is_thawed),
      cmocka_unit_test(some_processes_of_a_unit_freeze_without_their_parent_noticing),
      cmocka_unit_test(a_process_killed_while_frozen_ends_when_it_is_thawed),
  };
  return cmocka_run_group_tests_name("local_faults", tests, NULL, NULL);
}
