/* The life of local clusters: up, down, attached to by others, two at once, cut short at any
 * moment; and that nothing of them is ever left. */
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/prng.h"
#include "support/local_cluster.h"
#include "support/test.h"

static struct error err;

static double since_ms(uint64_t begin_ns) {
  return (double)(clock_now_ns(&clock_monotonic) - begin_ns) / 1e6;
}

static void assert_gone_within(const struct local_test *test, uint64_t timeout_ns) {
  char what[256];
  if (!local_test_gone(test, timeout_ns, what)) fail_msg("left behind: %s", what);
}

static void remove_directory(const struct local_test *test) {
  assert_ok(directory_remove(test->directory, &err), &err);
}

/* Six hosts, as a run with three servers has; the times are printed, not judged. */
static void three_servers_come_up_and_go(void **state) {
  (void)state;
  static const struct host_spec hosts[] = {
      {.name = "pg1", .kind = HOST_SERVER},     {.name = "pg2", .kind = HOST_SERVER},
      {.name = "pg3", .kind = HOST_SERVER},     {.name = "client1", .kind = HOST_CLIENT},
      {.name = "client2", .kind = HOST_CLIENT}, {.name = "monitor", .kind = HOST_MONITOR}};
  for (int round = 0; round < 3; round++) {
    struct local_test test;
    local_test_init(&test);
    test.config.disk_bytes = UINT64_C(2) << 30;
    const struct cluster_spec spec = {
        .id = test.id, .run_directory = test.directory, .hosts = hosts, .host_count = 6};
    uint64_t begin_ns = clock_now_ns(&clock_monotonic);
    assert_ok(provider_local.up(&test.config, &spec, &test.cluster, &err), &err);
    double up_ms = since_ms(begin_ns);
    for (uint32_t i = 0; i < 6; i++) {
      bool running = false;
      assert_ok(provider_local.host_running(test.cluster, &test.cluster->hosts[i], &running, &err),
                &err);
      assert_true(running);
    }
    provider_local.detach(test.cluster);
    begin_ns = clock_now_ns(&clock_monotonic);
    assert_ok(provider_local.destroy(test.directory, test.id, &err), &err);
    print_message("3 servers, 3 others: up %.0f ms, down %.0f ms\n", up_ms, since_ms(begin_ns));
    assert_gone_within(&test, 0);
    remove_directory(&test);
  }
}

static void destroying_twice_or_what_never_was_is_fine(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  provider_local.detach(test.cluster);
  assert_ok(provider_local.destroy(test.directory, test.id, &err), &err);
  assert_ok(provider_local.destroy(test.directory, test.id, &err), &err);
  assert_gone_within(&test, 0);
  remove_directory(&test);
  assert_ok(provider_local.destroy("/no/such/directory", "never-was", &err), &err);
  assert_int_equal(provider_local.destroy(test.directory, "../etc", &err), STATUS_USAGE);
}

/* In a child: attaches and looks around; the exit code says what failed. */
static int look_around(const char *directory) {
  struct cluster *cluster = NULL;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  const char *argv[] = {"cat", "/etc/hostname-test", NULL};
  struct process_spec spec = {.argv = argv};
  uint32_t count = 0;
  const struct process_match match = {.unit = "sleeper"};
  if (provider_local.attach(directory, &cluster, &err) < 0) return 1;
  const struct host *one = &cluster->hosts[0];
  if (strcmp(one->name, "one") != 0 || cluster->host_count != 4) return 2;
  if (provider_local.file_put(cluster, one, "/etc/hostname-test", "here", 4, 0644, NULL, &err) < 0)
    return 3;
  if (provider_local.exec(cluster, one, NULL, &spec, &result, &err) < 0) return 4;
  if (strcmp(result.out.data, "here") != 0) return 5;
  if (provider_local.process_signal(cluster, one, &match, 0, &count, &err) < 0 || count != 1)
    return 6;
  /* Off and on by somebody else: the unit's definition is found too. */
  if (provider_local.host_stop(cluster, one, &err) < 0) return 7;
  if (provider_local.host_start(cluster, one, &err) < 0) return 8;
  if (provider_local.process_signal(cluster, one, &match, 0, &count, &err) < 0 || count != 1)
    return 9;
  provider_local.detach(cluster);
  return 0;
}

static int wait_for(pid_t pid) {
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void another_process_attaches_from_the_run_directory(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  local_test_unit(&test, test.one, "sleeper", "exec sleep 1000");
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(look_around(test.directory));
  assert_int_equal(wait_for(pid), 0);
  char out[64];
  local_test_shell(&test, test.one, NULL, "cat /etc/hostname-test", out, sizeof out);
  assert_string_equal(out, "here");
  local_test_end(&test);
}

static void attaching_to_what_is_gone_is_refused(void **state) {
  (void)state;
  struct local_test test;
  struct cluster *cluster = NULL;
  char path[PATH_MAX];
  local_test_begin(&test);
  snprintf(path, sizeof path, "%s/cluster.json", test.directory);
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(file_read(path, 65536, &text, &err), &err);
  provider_local.detach(test.cluster);
  assert_ok(provider_local.destroy(test.directory, test.id, &err), &err);
  assert_int_equal(provider_local.attach(test.directory, &cluster, &err), STATUS_USAGE);
  assert_ok(file_write(path, text.data, text.length, 0600, &err), &err);
  assert_int_equal(provider_local.attach(test.directory, &cluster, &err), STATUS_ENVIRONMENT);
  assert_null(cluster);
  remove_directory(&test);
}

/* The same names, the same addresses, and nothing in common. */
static void two_clusters_do_not_meet(void **state) {
  (void)state;
  struct local_test a, b;
  char out[64];
  local_test_begin(&a);
  local_test_begin(&b);
  local_test_shell(&a, a.one, NULL, "echo a >/etc/mark; echo a >/var/lib/gameday/mark", NULL, 0);
  local_test_shell(&b, b.one, NULL, "echo b >/etc/mark; echo b >/var/lib/gameday/mark", NULL, 0);
  local_test_unit(&a, a.one, "sleeper", "exec sleep 1000");
  uint32_t count = 1;
  assert_ok(provider_local.process_signal(b.cluster, b.one, NULL, SIGKILL, &count, &err), &err);
  assert_int_equal(count, 0);
  assert_ok(provider_local.freeze(b.cluster, b.one, NULL, true, &err), &err);
  assert_int_equal(local_test_shell(&a, a.one, NULL, "true", NULL, 0), 0);
  assert_ok(provider_local.freeze(b.cluster, b.one, NULL, false, &err), &err);
  local_test_end(&b);
  local_test_shell(&a, a.one, NULL, "cat /etc/mark /var/lib/gameday/mark", out, sizeof out);
  assert_string_equal(out, "a\na");
  assert_ok(provider_local.process_signal(a.cluster, a.one, NULL, 0, &count, &err), &err);
  assert_int_equal(count, 1);
  local_test_end(&a);
}

struct seen {
  const struct local_test *test;
  uint32_t times;
};

static int see(void *data, const char *id, const char *run_directory) {
  struct seen *seen = data;
  if (strcmp(id, seen->test->id) == 0 && strcmp(run_directory, seen->test->directory) == 0)
    seen->times++;
  return 0;
}

static void a_cluster_is_listed_while_it_is_there(void **state) {
  (void)state;
  struct local_test test;
  local_test_begin(&test);
  struct seen seen = {.test = &test};
  assert_ok(provider_local.list(see, &seen, &err), &err);
  assert_int_equal(seen.times, 1);
  local_test_end(&test);
  assert_ok(provider_local.list(see, &seen, &err), &err);
  assert_int_equal(seen.times, 1);
}

/* --- cut short */

static void a_failed_up_leaves_nothing(void **state) {
  (void)state;
  struct local_test test;
  char path[PATH_MAX];
  local_test_init(&test);
  test.config.storage = LOCAL_STORAGE_LOOP;
  if (local_probe(&test.config, &err) < 0) {
    remove_directory(&test);
    skip_because("%s", err.message);
  }
  /* The second host's image cannot be made: by then the others are on their way. */
  snprintf(path, sizeof path, "%s/disks/two.img", test.directory);
  assert_ok(directory_make(path, 0700, &err), &err);
  assert_int_equal(local_test_up(&test, false, &err), STATUS_SYSTEM);
  assert_non_null(strstr(err.message, "two.img"));
  assert_gone_within(&test, 0);
  remove_directory(&test);
}

static void two_hosts_of_one_name_are_refused(void **state) {
  (void)state;
  struct local_test test;
  static const struct host_spec hosts[] = {{.name = "a", .kind = HOST_SERVER},
                                           {.name = "a", .kind = HOST_CLIENT}};
  local_test_init(&test);
  const struct cluster_spec spec = {
      .id = test.id, .run_directory = test.directory, .hosts = hosts, .host_count = 2};
  assert_int_equal(provider_local.up(&test.config, &spec, &test.cluster, &err), STATUS_USAGE);
  assert_gone_within(&test, 0);
  remove_directory(&test);
}

/* As a harness: up, and work, until it is killed. */
static _Noreturn void live(struct local_test *test, int ready) {
  if (local_test_up(test, false, NULL) < 0) _exit(1);
  static const char *const argv[] = {"/bin/sleep", "1000", NULL};
  const struct host_unit unit = {.name = "sleeper", .argv = argv};
  if (provider_local.unit_define(test->cluster, test->one, &unit, NULL) < 0) _exit(2);
  if (write(ready, "x", 1) != 1) _exit(3);
  for (;;) {
    if (provider_local.host_start(test->cluster, test->one, NULL) < 0) _exit(4);
    if (provider_local.freeze(test->cluster, test->one, NULL, true, NULL) < 0) _exit(5);
    if (provider_local.host_stop(test->cluster, test->one, NULL) < 0) _exit(6);
  }
}

static pid_t start_living(struct local_test *test, int *ret_ready) {
  int ends[2];
  local_test_init(test);
  assert_int_equal(pipe(ends), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    close(ends[0]);
    live(test, ends[1]);
  }
  close(ends[1]);
  *ret_ready = ends[0];
  return pid;
}

/* Harness and guard killed together: the anchor removes it all. */
static void a_killed_harness_without_a_guard_leaves_nothing(void **state) {
  (void)state;
  for (int round = 0; round < 5; round++) {
    struct local_test test;
    int ready;
    char byte;
    uint64_t delay_ms = 0;
    pid_t pid = start_living(&test, &ready);
    assert_int_equal(read(ready, &byte, 1), 1);
    assert_ok(random_bytes(&delay_ms, 1, &err), &err);
    poll(NULL, 0, (int)delay_ms); /* the moment is what is tried */
    kill(pid, SIGKILL);
    assert_int_equal(wait_for(pid), 128 + SIGKILL);
    uint64_t begin_ns = clock_now_ns(&clock_monotonic);
    assert_gone_within(&test, 5 * NS_PER_S);
    print_message("killed %llu ms after it was up: gone after %.0f ms\n",
                  (unsigned long long)delay_ms, since_ms(begin_ns));
    close(ready);
    remove_directory(&test);
  }
}

/* At any moment of coming up; the guard calls destroy() right away. */
static void a_harness_killed_while_coming_up_leaves_nothing_after_destroy(void **state) {
  (void)state;
  for (int round = 0; round < 20; round++) {
    struct local_test test;
    int ready;
    uint64_t delay_ms = 0;
    pid_t pid = start_living(&test, &ready);
    assert_ok(random_bytes(&delay_ms, 1, &err), &err);
    poll(NULL, 0, (int)delay_ms); /* the moment is what is tried */
    kill(pid, SIGKILL);
    uint64_t begin_ns = clock_now_ns(&clock_monotonic);
    assert_ok(provider_local.destroy(test.directory, test.id, &err), &err);
    assert_true(since_ms(begin_ns) < 5000);
    assert_int_equal(wait_for(pid), 128 + SIGKILL);
    assert_gone_within(&test, 5 * NS_PER_S - (clock_now_ns(&clock_monotonic) - begin_ns));
    close(ready);
    remove_directory(&test);
  }
}

/* The state file is lost, cut short, or of another cluster: the marks are enough. */
static void a_cluster_without_its_state_file_is_removed(void **state) {
  (void)state;
  static const char *const contents[] = {NULL, "{\"schema\": \"gameday/clus", "{}"};
  for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
    struct local_test test;
    char path[PATH_MAX];
    local_test_begin(&test);
    local_test_unit(&test, test.one, "sleeper", "exec sleep 1000");
    assert_ok(provider_local.freeze(test.cluster, test.one, NULL, true, &err), &err);
    snprintf(path, sizeof path, "%s/cluster.json", test.directory);
    if (contents[i])
      assert_ok(file_puts(path, contents[i], 0600, &err), &err);
    else
      assert_int_equal(unlink(path), 0);
    local_test_end(&test);
  }
}

static void a_kept_cluster_outlives_its_maker(void **state) {
  (void)state;
  struct local_test test;
  local_test_init(&test);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(local_test_up(&test, true, NULL) < 0 ? 1 : 0);
  assert_int_equal(wait_for(pid), 0);
  assert_ok(provider_local.attach(test.directory, &test.cluster, &err), &err);
  test.one = &test.cluster->hosts[0];
  assert_int_equal(local_test_shell(&test, test.one, NULL, "true", NULL, 0), 0);
  local_test_end(&test);
}

/* What a dead harness left before it had a world, the next cluster takes away. */
static void the_next_up_removes_what_a_dead_harness_left(void **state) {
  (void)state;
  struct local_test dead, next;
  local_test_init(&dead);
  struct local_cluster *lc = NULL;
  assert_ok(local_cluster_new(0, &lc, &err), &err);
  snprintf(lc->id, sizeof lc->id, "%s", dead.id);
  snprintf(lc->run_directory, sizeof lc->run_directory, "%s", dead.directory);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(local_state_write(lc, NULL) < 0 || local_registry_add(lc, NULL) < 0);
  assert_int_equal(wait_for(pid), 0);
  local_cluster_free(lc);
  local_test_begin(&next);
  assert_gone_within(&dead, 0);
  local_test_end(&next);
  remove_directory(&dead);
}

static void without_root_it_says_so(void **state) {
  (void)state;
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    if (setresuid(65534, 65534, 65534) < 0) _exit(9);
    if (local_test_probe(&err) != STATUS_ENVIRONMENT) _exit(1);
    _exit(strstr(err.message, "root is missing") ? 0 : 2);
  }
  assert_int_equal(wait_for(pid), 0);
}

int main(void) {
  if (!local_test_possible()) return LOCAL_TEST_SKIPPED;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(three_servers_come_up_and_go),
      cmocka_unit_test(destroying_twice_or_what_never_was_is_fine),
      cmocka_unit_test(another_process_attaches_from_the_run_directory),
      cmocka_unit_test(attaching_to_what_is_gone_is_refused),
      cmocka_unit_test(two_clusters_do_not_meet),
      cmocka_unit_test(a_cluster_is_listed_while_it_is_there),
      cmocka_unit_test(a_failed_up_leaves_nothing),
      cmocka_unit_test(two_hosts_of_one_name_are_refused),
      cmocka_unit_test(a_killed_harness_without_a_guard_leaves_nothing),
      cmocka_unit_test(a_harness_killed_while_coming_up_leaves_nothing_after_destroy),
      cmocka_unit_test(a_cluster_without_its_state_file_is_removed),
      cmocka_unit_test(a_kept_cluster_outlives_its_maker),
      cmocka_unit_test(the_next_up_removes_what_a_dead_harness_left),
      cmocka_unit_test(without_root_it_says_so),
  };
  return cmocka_run_group_tests_name("local_life", tests, NULL, NULL);
}
