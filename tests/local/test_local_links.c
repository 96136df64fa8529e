/* Cut links on local hosts: what is refused and how, in one direction and in both, over a restart;
 * and that nothing is left of it when it is mended. A cluster a test. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "support/local_cluster.h"
#include "support/test.h"

static struct error err;
static const struct link_rule everything = {.action = LINK_DROP};

static double since_ms(uint64_t begin_ns) {
  return (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e6;
}

static void cut(const struct local_test *test, const struct host *from, const struct host *to,
                const struct link_rule *rule) {
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider_local.link_cut(test->cluster, &from, 1, to, rule, 1, "fault-1", &err), &err);
  print_message("link_cut: %.2f ms\n", since_ms(begin_ns));
}

static void mend(const struct local_test *test) {
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider_local.link_mend(test->cluster, "fault-1", &err), &err);
  print_message("link_mend: %.2f ms\n", since_ms(begin_ns));
}

static bool passes_but_for(const struct local_test *test, const struct host *from,
                           const struct host *to, const struct link_rule *rule, const char *tag) {
  bool answer = false;
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider_local.link_passes(test->cluster, from, to, rule, tag, &answer, &err), &err);
  print_message("link_passes %s %s: %s, %.2f ms\n", from->name, to->name, answer ? "yes" : "no",
                since_ms(begin_ns));
  return answer;
}

static bool passes(const struct local_test *test, const struct host *from, const struct host *to,
                   const struct link_rule *rule) {
  return passes_but_for(test, from, to, rule, NULL);
}

/* What nft(8) says of a host's packet filter. */
static void ruleset(const struct local_test *test, const struct host *host, struct buf *text) {
  static const char *const argv[] = {"nft", "list", "ruleset", NULL};
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  struct process_spec spec = {.argv = argv,
                              .namespace_pidfd = local_host_of(test->cluster, host)->netns,
                              .namespace_flags = CLONE_NEWNET};
  assert_ok(process_run(&spec, &result, &err), &err);
  assert_int_equal(result.exit_code, 0);
  buf_clear(text);
  buf_add(text, result.out.data, result.out.length);
}

static void check_nothing_left(const struct local_test *test) {
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  if (!process_exists("nft")) {
    print_message("not looked at: nft is missing (apt-get install nftables)\n");
    return;
  }
  for (uint32_t i = 0; i < test->cluster->host_count; i++) {
    ruleset(test, &test->cluster->hosts[i], &text);
    assert_string_equal(text.data, "");
  }
}

/* --- what is cut */

static void one_direction_is_cut_and_the_other_is_not(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  assert_true(passes(&test, test.one, test.two, &everything));
  assert_true(passes(&test, test.two, test.one, &everything));
  cut(&test, test.one, test.two, &everything);
  assert_false(passes(&test, test.one, test.two, &everything));
  assert_true(passes(&test, test.two, test.one, &everything));
  cut(&test, test.one, test.two, &everything); /* twice is once */
  cut(&test, test.two, test.one, &everything);
  assert_false(passes(&test, test.one, test.two, &everything));
  assert_false(passes(&test, test.two, test.one, &everything));
  assert_true(passes(&test, test.client, test.one, &everything));
  assert_true(passes(&test, test.client, test.two, &everything));
  mend(&test);
  mend(&test);
  assert_true(passes(&test, test.one, test.two, &everything));
  assert_true(passes(&test, test.two, test.one, &everything));
  check_nothing_left(&test);
  local_test_end(&test);
}

static void faults_do_not_mend_each_others_cuts(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  cut(&test, test.one, test.two, &everything);
  assert_ok(provider_local.link_cut(test.cluster, &test.one, 1, test.two, &everything, 1, "fault-2",
                                    &err),
            &err);
  mend(&test);
  assert_false(passes(&test, test.one, test.two, &everything));
  assert_ok(provider_local.link_mend(test.cluster, "fault-2", &err), &err);
  assert_true(passes(&test, test.one, test.two, &everything));
  assert_int_equal(provider_local.link_mend(test.cluster, "no; tag", &err), STATUS_USAGE);
  check_nothing_left(&test);
  local_test_end(&test);
}

/* Of two faults on one link each is in effect, and healed, by itself: whose the refusal is, is told
 * by whose cut of that sender is left. */
static void a_cut_is_judged_apart_from_anothers(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  const struct host *const ends[][2] = {{test.one, test.two}, {test.two, test.client}};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    const struct host *from = ends[i][0], *to = ends[i][1];
    cut(&test, from, to, &everything);
    assert_ok(provider_local.link_cut(test.cluster, &from, 1, to, &everything, 1, "fault-2", &err),
              &err);
    assert_false(passes_but_for(&test, from, to, &everything, "fault-1"));
    assert_false(passes_but_for(&test, from, to, &everything, "fault-2"));
    mend(&test);
    assert_false(passes(&test, from, to, &everything));
    assert_true(passes_but_for(&test, from, to, &everything, "fault-1"));
    assert_false(passes_but_for(&test, from, to, &everything, "fault-2"));
    assert_ok(provider_local.link_mend(test.cluster, "fault-2", &err), &err);
    assert_true(passes_but_for(&test, from, to, &everything, "fault-2"));
  }
  check_nothing_left(&test);
  local_test_end(&test);
}

/* --- real connections */

struct socket_call {
  const struct local_test *test;
  const struct host *host;
  int fd;
};

static void *make_socket(void *data) {
  struct socket_call *call = data;
  call->fd = -1;
  if (provider_local.network_enter(call->test->cluster, call->host, NULL) == 0)
    call->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return NULL;
}

/* In the network of that host, wherever its user is. */
static int socket_on(const struct local_test *test, const struct host *host) {
  struct socket_call call = {.test = test, .host = host};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, make_socket, &call), 0);
  pthread_join(thread, NULL);
  assert_true(call.fd >= 0);
  return call.fd;
}

static int listen_on(const struct local_test *test, const struct host *host, uint16_t port) {
  int fd = socket_on(test, host);
  const struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
  const int on = 1;
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&any, sizeof any), 0);
  assert_int_equal(listen(fd, 8), 0);
  return fd;
}

/* 0: connected, and *ret_fd is the caller's; ETIMEDOUT: nothing came within `wait_ms`. */
static int connect_to(const struct local_test *test, const struct host *from, const struct host *to,
                      uint16_t port, int wait_ms, int *ret_fd) {
  int fd = socket_on(test, from), error = 0;
  socklen_t size = sizeof error;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  assert_int_equal(inet_pton(AF_INET, to->address, &address.sin_addr), 1);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
    assert_int_equal(errno, EINPROGRESS);
    struct pollfd done = {.fd = fd, .events = POLLOUT};
    if (poll(&done, 1, wait_ms) == 0)
      error = ETIMEDOUT;
    else
      assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size), 0);
  }
  if (error == 0)
    *ret_fd = fd;
  else
    close(fd);
  return error;
}

#define AT_ONCE_MS 900 /* before a SYN is sent again */
#define SILENCE_MS 300

static void the_action_decides_what_the_sender_learns(void **state) {
  (void)state;
  static const struct {
    enum link_action action;
    int error;
  } cases[] = {{LINK_DROP, ETIMEDOUT}, {LINK_REJECT, EHOSTUNREACH}, {LINK_RESET, ECONNREFUSED}};
  struct local_test test;
  local_test_begin(&test);
  CLEANUP_CLOSE int listener = listen_on(&test, test.two, 7001);
  assert_true(listener >= 0);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    for (int both = 0; both < 2; both++) {
      const struct link_rule rule = {.action = cases[i].action};
      CLEANUP_CLOSE int fd = -1;
      cut(&test, test.one, test.two, &rule);
      /* The news that a packet is refused must not be refused by the other side of the cut. */
      if (both) cut(&test, test.two, test.one, &rule);
      int wait_ms = cases[i].action == LINK_DROP ? SILENCE_MS : AT_ONCE_MS;
      assert_int_equal(connect_to(&test, test.one, test.two, 7001, wait_ms, &fd), cases[i].error);
      assert_false(passes(&test, test.one, test.two, &rule));
      mend(&test);
      assert_int_equal(connect_to(&test, test.one, test.two, 7001, 10000, &fd), 0);
    }
  check_nothing_left(&test);
  local_test_end(&test);
}

static void a_cut_port_is_that_of_either_end(void **state) {
  (void)state;
  const struct link_rule rule = {.action = LINK_DROP, .port = 7001};
  const struct link_rule other = {.action = LINK_DROP, .port = 7002};
  struct local_test test;
  local_test_begin(&test);
  CLEANUP_CLOSE int there = listen_on(&test, test.two, 7001);
  CLEANUP_CLOSE int here = listen_on(&test, test.one, 7001);
  CLEANUP_CLOSE int beside = listen_on(&test, test.two, 7002);
  CLEANUP_CLOSE int fd = -1;
  assert_true(there >= 0 && here >= 0 && beside >= 0);
  cut(&test, test.one, test.two, &rule);
  assert_false(passes(&test, test.one, test.two, &rule));
  assert_true(passes(&test, test.one, test.two, &other));
  assert_true(passes(&test, test.one, test.two, &everything));
  assert_int_equal(connect_to(&test, test.one, test.two, 7001, SILENCE_MS, &fd), ETIMEDOUT);
  assert_int_equal(connect_to(&test, test.two, test.one, 7001, SILENCE_MS, &fd), ETIMEDOUT);
  assert_int_equal(connect_to(&test, test.one, test.two, 7002, 10000, &fd), 0);
  mend(&test);
  check_nothing_left(&test);
  local_test_end(&test);
}

/* Whether a byte gets from the one end of a connection to the other. */
static bool says(int from, int to) {
  char byte;
  assert_int_equal(send(from, "x", 1, MSG_NOSIGNAL), 1);
  struct pollfd readable = {.fd = to, .events = POLLIN};
  return poll(&readable, 1, SILENCE_MS) == 1 && recv(to, &byte, 1, 0) == 1;
}

struct pair {
  int near, far;
};

static bool open_pair(const struct local_test *test, int listener, struct pair *ret) {
  ret->near = -1;
  if (connect_to(test, test->one, test->two, 7001, SILENCE_MS, &ret->near) != 0) return false;
  struct pollfd readable = {.fd = listener, .events = POLLIN};
  assert_int_equal(poll(&readable, 1, 10000), 1);
  ret->far = accept(listener, NULL, NULL);
  assert_true(ret->far >= 0);
  return true;
}

static void close_pair(const struct pair *pair) {
  close(pair->near);
  close(pair->far);
}

static void new_and_established_connections_are_told_apart(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  CLEANUP_CLOSE int listener = listen_on(&test, test.two, 7001);
  for (int established = 0; established < 2; established++) {
    const struct link_rule rule = {
        .action = LINK_DROP, .established_only = established, .new_only = !established};
    struct pair old, new;
    assert_true(open_pair(&test, listener, &old));
    assert_true(says(old.near, old.far) && says(old.far, old.near));
    cut(&test, test.one, test.two, &rule);
    cut(&test, test.two, test.one, &rule);
    assert_false(passes(&test, test.one, test.two, &rule));
    assert_int_equal(says(old.near, old.far), !established);
    assert_int_equal(open_pair(&test, listener, &new), established);
    if (established) {
      assert_true(says(new.near, new.far) && says(new.far, new.near));
      close_pair(&new);
    }
    mend(&test);
    assert_true(passes(&test, test.one, test.two, &rule));
    close_pair(&old);
  }
  check_nothing_left(&test);
  local_test_end(&test);
}

/* --- over the life of a host and of a process */

static void a_cut_holds_when_the_host_is_switched_off_and_on(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  cut(&test, test.one, test.two, &everything);
  assert_ok(provider_local.host_stop(test.cluster, test.two, &err), &err);
  assert_false(passes(&test, test.two, test.one, &everything)); /* it is off */
  assert_ok(provider_local.host_start(test.cluster, test.two, &err), &err);
  assert_false(passes(&test, test.one, test.two, &everything));
  assert_true(passes(&test, test.two, test.one, &everything));
  mend(&test);
  assert_true(passes(&test, test.one, test.two, &everything));
  /* Mended while it is off, and cut while it is off. */
  cut(&test, test.one, test.two, &everything);
  assert_ok(provider_local.host_stop(test.cluster, test.two, &err), &err);
  mend(&test);
  cut(&test, test.client, test.two, &everything);
  assert_ok(provider_local.host_start(test.cluster, test.two, &err), &err);
  assert_true(passes(&test, test.one, test.two, &everything));
  assert_false(passes(&test, test.client, test.two, &everything));
  mend(&test);
  assert_ok(provider_local.host_stop(test.cluster, test.two, &err), &err);
  assert_ok(provider_local.host_start(test.cluster, test.two, &err), &err);
  assert_true(passes(&test, test.client, test.two, &everything));
  check_nothing_left(&test);
  local_test_end(&test);
}

/* As the guard does: it knows the run directory and the tag. */
static void a_cut_is_mended_by_whoever_attaches(void **state) {
  (void)state;
  struct local_test test;
  struct cluster *other = NULL;
  local_test_begin(&test);
  cut(&test, test.one, test.two, &everything);
  cut(&test, test.two, test.client, &everything);
  assert_ok(provider_local.attach(test.directory, &other, &err), &err);
  assert_ok(provider_local.link_mend(other, "fault-1", &err), &err);
  provider_local.detach(other);
  assert_true(passes(&test, test.one, test.two, &everything));
  assert_true(passes(&test, test.two, test.client, &everything));
  check_nothing_left(&test);
  local_test_end(&test);
}

int main(void) {
  if (!local_test_possible()) return LOCAL_TEST_SKIPPED;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_direction_is_cut_and_the_other_is_not),
      cmocka_unit_test(faults_do_not_mend_each_others_cuts),
      cmocka_unit_test(a_cut_is_judged_apart_from_anothers),
      cmocka_unit_test(the_action_decides_what_the_sender_learns),
      cmocka_unit_test(a_cut_port_is_that_of_either_end),
      cmocka_unit_test(new_and_established_connections_are_told_apart),
      cmocka_unit_test(a_cut_holds_when_the_host_is_switched_off_and_on),
      cmocka_unit_test(a_cut_is_mended_by_whoever_attaches),
  };
  return cmocka_run_group_tests_name("local_links", tests, NULL, NULL);
}
