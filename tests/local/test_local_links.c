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
  assert_ok(provider_local.link_cut(test->cluster, &from, 1, to, rule, "fault-1", &err), &err);
  print_message("link_cut: %.2f ms\n", since_ms(begin_ns));
}

static void mend(const struct local_test *test, const struct host *to) {
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider_local.link_mend(test->cluster, to, "fault-1", &err), &err);
  print_message("link_mend: %.2f ms\n", since_ms(begin_ns));
}

static bool passes(const struct local_test *test, const struct host *from, const struct host *to,
                   const struct link_rule *rule) {
  bool answer = false;
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  assert_ok(provider_local.link_passes(test->cluster, from, to, rule, &answer, &err), &err);
  print_message("link_passes %s %s: %s, %.2f ms\n", from->name, to->name, answer ? "yes" : "no",
                since_ms(begin_ns));
  return answer;
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
  mend(&test, test.two);
  assert_true(passes(&test, test.one, test.two, &everything));
  assert_false(passes(&test, test.two, test.one, &everything));
  mend(&test, test.one);
  mend(&test, test.one);
  assert_true(passes(&test, test.two, test.one, &everything));
  check_nothing_left(&test);
  local_test_end(&test);
}

int main(void) {
  if (local_test_probe(&err) < 0) {
    print_message("skipped: %s\n", err.message);
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_direction_is_cut_and_the_other_is_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
