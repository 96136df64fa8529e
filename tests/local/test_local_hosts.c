/* What a local host is: programs, files, daemons, network, limits. One cluster for all tests. */
#include <arpa/inet.h>
#include <netinet/in.h>
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

static void exec_gives_output_exit_code_and_input(void **state) {
  const struct local_test *test = *state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  const char *argv[] = {"sh", "-c", "cat; echo oops >&2; exit 7", NULL};
  struct process_spec spec = {.argv = argv, .input = "given", .input_length = 5};
  assert_ok(provider_local.exec(test->cluster, test->one, NULL, &spec, &result, &err), &err);
  assert_int_equal(result.exit_code, 7);
  assert_string_equal(result.out.data, "given");
  assert_string_equal(result.err.data, "oops\n");
}

static void exec_runs_as_the_named_user_with_a_clean_environment(void **state) {
  const struct local_test *test = *state;
  char out[1024];
  setenv("GAMEDAY_TEST_SECRET", "tell-nobody", 1);
  assert_int_equal(local_test_shell(test, test->one, "nobody", "id -un; env", out, sizeof out), 0);
  assert_int_equal(strncmp(out, "nobody\n", 7), 0);
  assert_null(strstr(out, "tell-nobody"));
  assert_null(strstr(out, LOCAL_MARK));
  assert_non_null(strstr(out, "LANG=C.UTF-8"));
  assert_int_equal(local_test_shell(test, test->one, NULL, "id -u", out, sizeof out), 0);
  assert_string_equal(out, "0");
}

static void exec_passes_the_variables_that_are_asked_for(void **state) {
  const struct local_test *test = *state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  const char *argv[] = {"sh", "-c", "echo \"$A $B\"", NULL};
  const char *env[] = {"A=1 2", "B=x", NULL};
  struct process_spec spec = {.argv = argv, .env_extra = env};
  assert_ok(provider_local.exec(test->cluster, test->one, NULL, &spec, &result, &err), &err);
  assert_string_equal(result.out.data, "1 2 x\n");
}

static void what_runs_on_a_host_can_gain_no_rights(void **state) {
  const struct local_test *test = *state;
  char out[256];
  assert_int_equal(
      local_test_shell(test, test->one, NULL,
                       "grep -E 'NoNewPrivs|CapBnd' /proc/self/status | cut -f2", out, sizeof out),
      0);
  assert_string_equal(out, "00000000000405fb\n1");
  assert_int_not_equal(
      local_test_shell(test, test->one, NULL, "mount -t tmpfs x /mnt 2>&1", out, sizeof out), 0);
}

static void a_missing_program_or_user_is_told(void **state) {
  const struct local_test *test = *state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  const char *argv[] = {"no-such-program", NULL};
  struct process_spec spec = {.argv = argv};
  assert_ok(provider_local.exec(test->cluster, test->one, NULL, &spec, &result, &err), &err);
  assert_int_equal(result.exit_code, 127);
  assert_non_null(strstr(result.err.data, "no-such-program"));
  process_result_release(&result);
  process_result_init(&result);
  assert_ok(provider_local.exec(test->cluster, test->one, "no-such-user", &spec, &result, &err),
            &err);
  assert_int_not_equal(result.exit_code, 0);
  assert_non_null(strstr(result.err.data, "no-such-user"));
}

static void exec_ends_what_outlasts_its_deadline(void **state) {
  const struct local_test *test = *state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  const char *argv[] = {"sleep", "1234", NULL};
  struct process_spec spec = {.argv = argv, .timeout_ns = 100 * NS_PER_MS};
  assert_int_equal(provider_local.exec(test->cluster, test->one, NULL, &spec, &result, &err),
                   STATUS_TIMEOUT);
  const struct process_match match = {.program = "sleep", .argument = "1234"};
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + 5 * NS_PER_S;
  for (uint32_t count = 1; count > 0;) {
    assert_ok(provider_local.process_signal(test->cluster, test->one, &match, 0, &count, &err),
              &err);
    assert_true(clock_now_ns(&clock_monotonic) < deadline_ns);
  }
}

static void exec_on_a_frozen_host_ends_with_its_deadline(void **state) {
  const struct local_test *test = *state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  const char *argv[] = {"true", NULL};
  struct process_spec spec = {.argv = argv, .timeout_ns = 200 * NS_PER_MS};
  assert_ok(provider_local.freeze(test->cluster, test->two, NULL, true, &err), &err);
  int status = provider_local.exec(test->cluster, test->two, NULL, &spec, &result, &err);
  assert_ok(provider_local.freeze(test->cluster, test->two, NULL, false, &err), &err);
  assert_int_equal(status, STATUS_TIMEOUT);
  assert_int_equal(local_test_shell(test, test->two, NULL, "true", NULL, 0), 0);
}

static void a_file_has_the_asked_content_mode_and_owner(void **state) {
  const struct local_test *test = *state;
  char out[256];
  static const char bytes[] = "a\0b\n";
  const char *path = "/etc/gameday/deep/er/file";
  assert_ok(provider_local.file_put(test->cluster, test->one, path, bytes, sizeof bytes - 1, 0640,
                                    "nobody", &err),
            &err);
  local_test_shell(test, test->one, NULL, "stat -c '%U %a %s' /etc/gameday/deep/er/file", out,
                   sizeof out);
  assert_string_equal(out, "nobody 640 4");
  assert_ok(provider_local.file_put(test->cluster, test->one, path, "new", 3, 0400, NULL, &err),
            &err);
  local_test_shell(test, test->one, NULL, "cd /etc/gameday/deep/er; ls; cat file; stat -c '%U%a' .",
                   out, sizeof out);
  assert_string_equal(out, "file\nnewroot755");
  /* Written into the host, not into the machine that it is a copy of. */
  assert_false(file_exists(path));
  assert_int_not_equal(local_test_shell(test, test->two, NULL, "test -e /etc/gameday", NULL, 0), 0);
  assert_int_equal(
      provider_local.file_put(test->cluster, test->one, path, "x", 1, 0400, "no-such-user", &err),
      STATUS_USAGE);
}

static void a_host_has_its_name_and_knows_the_others(void **state) {
  const struct local_test *test = *state;
  char out[256], expected[256];
  local_test_shell(test, test->one, NULL,
                   "hostname; getent hosts two client monitor | tr -s ' '; cat /etc/resolv.conf",
                   out, sizeof out);
  snprintf(expected, sizeof expected, "one\n%s two\n%s client\n10.213.0.14 monitor",
           test->two->address, test->client->address);
  assert_string_equal(out, expected);
}

static void a_host_sees_nothing_of_the_machine_s_runs_and_users(void **state) {
  const struct local_test *test = *state;
  char out[1024], line[256];
  local_test_shell(test, test->one, NULL, "ls -A /home /root /tmp", out, sizeof out);
  assert_string_equal(out, "/home:\n\n/root:\n\n/tmp:");
  snprintf(line, sizeof line, "test -e %s", test->directory);
  assert_int_not_equal(local_test_shell(test, test->one, NULL, line, NULL, 0), 0);
  local_test_shell(test, test->one, NULL, "ls /sys/class/net; ls -d /proc/[0-9]* | wc -l", out,
                   sizeof out);
  assert_int_equal(strncmp(out, "eth0\nlo\n", 8), 0);
  assert_true(atoi(out + 8) < 8);
}

/* --- the network, from our own threads */

struct peer {
  const struct local_test *test;
  const struct host *host;
  int fd; /* out: a listening or a connected socket */
};

static void *listen_on_host(void *data) {
  struct peer *peer = data;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7000)};
  peer->fd = -1;
  if (provider_local.network_enter(peer->test->cluster, peer->host, NULL) < 0) return NULL;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0)
    peer->fd = fd;
  return NULL;
}

static void *connect_from_host(void *data) {
  struct peer *peer = data;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(7000)};
  inet_pton(AF_INET, peer->test->one->address, &address.sin_addr);
  peer->fd = -1;
  if (provider_local.network_enter(peer->test->cluster, peer->host, NULL) < 0) return NULL;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) peer->fd = fd;
  return NULL;
}

static void in_thread(void *(*function)(void *), struct peer *peer) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, function, peer), 0);
  pthread_join(thread, NULL);
}

static void a_thread_on_a_client_host_reaches_a_server_and_comes_from_the_client(void **state) {
  const struct local_test *test = *state;
  struct peer server = {.test = test, .host = test->one};
  struct peer client = {.test = test, .host = test->client};
  in_thread(listen_on_host, &server);
  assert_true(server.fd >= 0);
  in_thread(connect_from_host, &client);
  assert_true(client.fd >= 0);
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  int accepted = accept(server.fd, (struct sockaddr *)&from, &size);
  assert_true(accepted >= 0);
  char text[48];
  assert_non_null(inet_ntop(AF_INET, &from.sin_addr, text, sizeof text));
  assert_string_equal(text, test->client->address);
  close(accepted);
  close(client.fd);
  close(server.fd);
}

/* --- daemons */

/* Waits for the unit's log to be exactly this. */
static void await_log(const struct local_test *test, const char *name, const char *expected) {
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/logs/one/%s.log", test->directory, name);
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + 5 * NS_PER_S;
  for (;;) {
    CLEANUP(buf_release) struct buf text;
    buf_init(&text);
    assert_ok(file_read(path, 1 << 20, &text, &err), &err);
    if (strcmp(text.data, expected) == 0) return;
    if (clock_now_ns(&clock_monotonic) > deadline_ns) fail_msg("the log is: %s", text.data);
    poll(NULL, 0, 5);
  }
}

static void a_unit_runs_logs_and_is_not_started_twice(void **state) {
  const struct local_test *test = *state;
  bool running = false;
  local_test_unit(test, test->one, "talker", "echo begun; echo bad >&2; exec sleep 1000");
  assert_ok(provider_local.unit_running(test->cluster, test->one, "talker", &running, &err), &err);
  assert_true(running);
  assert_ok(provider_local.unit_start(test->cluster, test->one, "talker", &err), &err);
  const struct process_match match = {.unit = "talker"};
  uint32_t count = 0;
  assert_ok(provider_local.process_signal(test->cluster, test->one, &match, 0, &count, &err), &err);
  assert_int_equal(count, 1);
  await_log(test, "talker", "begun\nbad\n");
}

static void a_unit_that_ended_is_seen_and_can_be_started_again(void **state) {
  const struct local_test *test = *state;
  bool running = true;
  local_test_unit(test, test->one, "short", "echo life; exec sleep 1000");
  const struct process_match match = {.unit = "short"};
  uint32_t count = 0;
  assert_ok(provider_local.process_signal(test->cluster, test->one, &match, SIGKILL, &count, &err),
            &err);
  assert_int_equal(count, 1);
  assert_ok(provider_local.unit_running(test->cluster, test->one, "short", &running, &err), &err);
  assert_false(running);
  assert_ok(provider_local.unit_start(test->cluster, test->one, "short", &err), &err);
  assert_ok(provider_local.unit_running(test->cluster, test->one, "short", &running, &err), &err);
  assert_true(running);
}

static void a_unit_that_cannot_start_says_why(void **state) {
  const struct local_test *test = *state;
  const char *argv[] = {"/no/such/server", NULL};
  struct host_unit unit = {.name = "absent", .argv = argv};
  assert_ok(provider_local.unit_define(test->cluster, test->one, &unit, &err), &err);
  assert_int_equal(provider_local.unit_start(test->cluster, test->one, "absent", &err),
                   STATUS_SERVER);
  assert_non_null(strstr(err.message, "/no/such/server"));
  assert_non_null(strstr(err.message, "absent"));
  assert_int_equal(provider_local.unit_start(test->cluster, test->one, "unknown", &err),
                   STATUS_USAGE);
  unit.name = "../escape";
  assert_int_equal(provider_local.unit_define(test->cluster, test->one, &unit, &err), STATUS_USAGE);
  /* Taken away again: a host that cannot start all its units does not start. */
  const char *harmless[] = {"/bin/true", NULL};
  unit = (struct host_unit){.name = "absent", .argv = harmless};
  assert_ok(provider_local.unit_define(test->cluster, test->one, &unit, &err), &err);
}

static void a_unit_has_its_user_and_variables(void **state) {
  const struct local_test *test = *state;
  const char *argv[] = {"/bin/sh", "-c", "echo \"$(id -un) $COLOR $HOME\"; exec sleep 1000", NULL};
  const char *env[] = {"COLOR=blue", NULL};
  const struct host_unit unit = {.name = "painter", .user = "nobody", .argv = argv, .env = env};
  assert_ok(provider_local.unit_define(test->cluster, test->one, &unit, &err), &err);
  assert_ok(provider_local.unit_start(test->cluster, test->one, "painter", &err), &err);
  await_log(test, "painter", "nobody blue /nonexistent\n");
}

/* --- limits */

static void too_much_memory_kills_the_process_not_the_host(void **state) {
  const struct local_test *test = *state;
  if (!local_of(test->cluster)->cgroups.memory)
    skip_because("this machine's control groups cannot limit memory");
  char out[256];
  /* tail keeps a line without an end in memory. */
  int code = local_test_shell(test, test->one, NULL,
                              "head -c 400M /dev/zero | tail -n 1 | wc -c; :", out, sizeof out);
  assert_true(code != 0 || atol(out) < 400000000);
  bool running = false;
  assert_ok(provider_local.host_running(test->cluster, test->one, &running, &err), &err);
  assert_true(running);
}

static void a_full_disk_is_full_for_this_host_alone(void **state) {
  const struct local_test *test = *state;
  char out[1024];
  int code = local_test_shell(test, test->one, NULL,
                              "head -c 100M /dev/zero 2>&1 >/var/lib/gameday/big", out, sizeof out);
  assert_int_not_equal(code, 0);
  assert_non_null(strstr(out, "No space left on device"));
  assert_int_equal(local_test_shell(test, test->one, NULL, "rm /var/lib/gameday/big", NULL, 0), 0);
  assert_int_equal(
      local_test_shell(test, test->two, NULL,
                       "head -c 20M /dev/zero >/var/lib/gameday/x && rm /var/lib/gameday/x", NULL,
                       0),
      0);
}

static void a_new_data_directory_is_empty(void **state) {
  const struct local_test *test = *state;
  char out[256];
  assert_int_equal(
      local_test_shell(test, test->two, NULL, "ls -A " HOST_DATA_DIRECTORY, out, sizeof out), 0);
  assert_string_equal(out, "");
}

int main(void) {
  if (!local_test_possible()) return LOCAL_TEST_SKIPPED;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_data_directory_is_empty),
      cmocka_unit_test(exec_gives_output_exit_code_and_input),
      cmocka_unit_test(exec_runs_as_the_named_user_with_a_clean_environment),
      cmocka_unit_test(exec_passes_the_variables_that_are_asked_for),
      cmocka_unit_test(what_runs_on_a_host_can_gain_no_rights),
      cmocka_unit_test(a_missing_program_or_user_is_told),
      cmocka_unit_test(exec_ends_what_outlasts_its_deadline),
      cmocka_unit_test(exec_on_a_frozen_host_ends_with_its_deadline),
      cmocka_unit_test(a_file_has_the_asked_content_mode_and_owner),
      cmocka_unit_test(a_host_has_its_name_and_knows_the_others),
      cmocka_unit_test(a_host_sees_nothing_of_the_machine_s_runs_and_users),
      cmocka_unit_test(a_thread_on_a_client_host_reaches_a_server_and_comes_from_the_client),
      cmocka_unit_test(a_unit_runs_logs_and_is_not_started_twice),
      cmocka_unit_test(a_unit_that_ended_is_seen_and_can_be_started_again),
      cmocka_unit_test(a_unit_that_cannot_start_says_why),
      cmocka_unit_test(a_unit_has_its_user_and_variables),
      cmocka_unit_test(too_much_memory_kills_the_process_not_the_host),
      cmocka_unit_test(a_full_disk_is_full_for_this_host_alone),
  };
  return cmocka_run_group_tests_name("local_hosts", tests, local_test_set_up, local_test_tear_down);
}
