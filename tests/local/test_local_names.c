/* On a client host the names of the cluster's hosts resolve, and all else is this machine as it is.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "gameday/drivers.h"
#include "support/local_cluster.h"
#include "support/test.h"

#define PATIENCE_NS (20 * NS_PER_S)

static struct error err;

/* What a thread on the client host finds. Asserted by the test: CMocka's checks are for one thread.
 */
struct visit {
  const struct local_test *test;
  void (*look)(struct visit *visit);
  int status;
  struct error error;
  struct resolver_answer answer;
  const char *name; /* to resolve, or of the endpoint */
  uint32_t answers;
  enum session_state state;
  struct error why;
  uint64_t resolve_ns, took_ns;
  char text[PATH_MAX];
  ino_t hosts;
};

static void *visit_main(void *data) {
  struct visit *visit = data;
  visit->status =
      provider_local.network_enter(visit->test->cluster, visit->test->client, &visit->error);
  if (visit->status == 0) visit->look(visit);
  return NULL;
}

static void visit_client(struct visit *visit) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, visit_main, visit), 0);
  pthread_join(thread, NULL);
  assert_ok(visit->status, &visit->error);
}

/* --- names --- */

static void take_answer(struct resolver_request *request, const struct resolver_answer *answer) {
  struct visit *visit = request->owner;
  visit->answer = *answer;
  visit->answers++;
}

static void look_up(struct visit *visit) {
  struct loop *loop = NULL;
  struct resolver *resolver = NULL;
  struct resolver_request request = {.answered = take_answer, .owner = visit};
  visit->status = loop_new(&loop, &visit->error);
  if (visit->status < 0) return;
  uint64_t begin_ns = loop_now_ns(loop);
  visit->status = resolver_new(loop, &resolver, &visit->error);
  if (visit->status == 0)
    visit->status = resolver_ask(resolver, &request, visit->name, &visit->error);
  while (visit->status == 0 && visit->answers == 0) {
    visit->status = loop_turn(loop, begin_ns + PATIENCE_NS, &visit->error);
    if (visit->status == 0 && loop_now_ns(loop) > begin_ns + PATIENCE_NS)
      visit->status = error_set(&visit->error, STATUS_TIMEOUT, "no answer");
  }
  visit->took_ns = loop_now_ns(loop) - begin_ns;
  resolver_free(resolver);
  loop_free(loop);
}

static void a_client_resolves_the_names_of_the_hosts(void **state) {
  const struct local_test *test = *state;
  struct visit visit = {.test = test, .look = look_up, .name = "two"};
  visit_client(&visit);
  assert_int_equal(visit.answer.count, 1);
  assert_string_equal(visit.answer.addresses[0], test->two->address);
  print_message("resolved in %.0f us, a thread made for it\n", (double)visit.took_ns / 1e3);
}

/* No name server is reached, and none is waited for. */
static void another_name_is_unknown_at_once(void **state) {
  struct visit visit = {.test = *state, .look = look_up, .name = "absent"};
  visit_client(&visit);
  assert_int_equal(visit.answer.count, 0);
  assert_true(strlen(visit.answer.why) > 0);
  assert_true(visit.took_ns < NS_PER_S);
}

/* --- a session --- */

static void session_changed(struct session *session, enum session_state state,
                            const struct error *why) {
  struct visit *visit = session->spec.owner;
  visit->state = state;
  visit->answers++;
  if (why) visit->why = *why;
}

/* One connect to host two under some name; nobody listens there. */
static void connect_by_name(struct visit *visit) {
  struct endpoint endpoint = {
      .name = visit->name, .address = visit->test->two->address, .port = 5432};
  const struct access access = {.driver = &driver_pg,
                                .endpoints = &endpoint,
                                .endpoint_count = 1,
                                .user = "nobody",
                                .database = "nothing",
                                .resolve = true};
  const struct client_options options = {.connect_timeout_ns = PATIENCE_NS, .pipeline_depth = 1};
  struct session_spec spec = {.access = &access,
                              .options = &options,
                              .route = ROUTE_PRIMARY,
                              .pinned_host = HOST_NONE,
                              .changed = session_changed,
                              .owner = visit};
  struct loop *loop = NULL;
  struct session *session = calloc(1, driver_pg.session_size);
  visit->status = session ? loop_new(&loop, &visit->error) : STATUS_MEMORY;
  if (visit->status == 0) visit->status = resolver_new(loop, &spec.resolver, &visit->error);
  if (visit->status == 0)
    visit->status = driver_pg.session_init(session, &spec, loop, &visit->error);
  if (visit->status == 0) driver_pg.session_connect(session);
  while (visit->status == 0 && visit->answers == 0)
    visit->status = loop_turn(loop, TIME_NEVER, &visit->error);
  if (session) visit->resolve_ns = session->timing.resolve_ns;
  driver_pg.session_release(session);
  free(session);
  resolver_free(spec.resolver);
  loop_free(loop);
}

static void a_session_finds_its_server_by_name(void **state) {
  struct visit visit = {.test = *state, .look = connect_by_name, .name = "two"};
  visit_client(&visit);
  assert_int_equal(visit.state, SESSION_LOST);
  assert_non_null(strstr(visit.why.message, "refused"));
  assert_non_null(strstr(visit.why.message, visit.test->two->address));
  assert_true(visit.resolve_ns > 0);
}

/* Although the address that the name would have is known: falling back to it would hide what an
 * application suffers. */
static void a_name_missing_in_the_hosts_file_is_a_failed_connect(void **state) {
  struct visit visit = {.test = *state, .look = connect_by_name, .name = "absent"};
  visit_client(&visit);
  assert_int_equal(visit.state, SESSION_LOST);
  assert_non_null(strstr(visit.why.message, "absent: this name does not resolve: "));
}

/* --- files --- */

static void look_around(struct visit *visit) {
  struct stat info;
  if (!getcwd(visit->text, sizeof visit->text) || stat("/etc/hosts", &info) < 0)
    visit->status = error_set_errno(&visit->error, errno, "looking around");
  else if (!file_exists(visit->test->directory))
    visit->status = error_set(&visit->error, STATUS_INTERNAL, "the run directory is not seen");
  else if (access("/etc/hosts", W_OK) == 0)
    visit->status = error_set(&visit->error, STATUS_INTERNAL, "the names can be written");
  visit->hosts = info.st_ino;
}

static void files_are_this_machine_s_under_their_own_paths(void **state) {
  struct visit visit = {.test = *state, .look = look_around};
  char before[PATH_MAX], after[PATH_MAX];
  struct stat hosts;
  assert_non_null(getcwd(before, sizeof before));
  visit_client(&visit);
  assert_string_equal(visit.text, before);
  assert_non_null(getcwd(after, sizeof after));
  assert_string_equal(after, before);
  assert_int_equal(stat("/etc/hosts", &hosts), 0);
  assert_int_not_equal(hosts.st_ino, visit.hosts); /* ours is as it was */
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(file_read("/etc/hosts", 1 << 20, &text, &err), &err);
  assert_null(strstr(text.data, visit.test->two->address));
  buf_clear(&text);
  assert_ok(file_read("/proc/self/mountinfo", 4u << 20, &text, &err), &err);
  assert_null(strstr(text.data, LOCAL_WORLD));
}

static void run_program(struct visit *visit) {
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  const char *argv[] = {"getent", "hosts", "one", "monitor", NULL};
  const struct process_spec spec = {.argv = argv};
  visit->status = process_run(&spec, &result, &visit->error);
  if (visit->status == 0) snprintf(visit->text, sizeof visit->text, "%s", result.out.data);
}

static void programs_of_this_machine_find_the_names_too(void **state) {
  struct visit visit = {.test = *state, .look = run_program};
  visit_client(&visit);
  assert_non_null(strstr(visit.text, visit.test->one->address));
  assert_non_null(strstr(visit.text, "monitor"));
}

/* A thread may go from one host to another. */
static void look_up_from_the_monitor(struct visit *visit) {
  struct cluster *cluster = visit->test->cluster;
  for (uint32_t i = 0; i < cluster->host_count && visit->status == 0; i++)
    if (cluster->hosts[i].kind == HOST_MONITOR)
      visit->status = provider_local.network_enter(cluster, &cluster->hosts[i], &visit->error);
  if (visit->status == 0) look_up(visit);
}

static void a_second_network_has_the_names_too(void **state) {
  struct visit visit = {.test = *state, .look = look_up_from_the_monitor, .name = "client"};
  visit_client(&visit);
  assert_int_equal(visit.answer.count, 1);
  assert_string_equal(visit.answer.addresses[0], visit.test->client->address);
}

int main(void) {
  if (!local_test_possible()) return LOCAL_TEST_SKIPPED;
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_client_resolves_the_names_of_the_hosts),
      cmocka_unit_test(another_name_is_unknown_at_once),
      cmocka_unit_test(a_session_finds_its_server_by_name),
      cmocka_unit_test(a_name_missing_in_the_hosts_file_is_a_failed_connect),
      cmocka_unit_test(files_are_this_machine_s_under_their_own_paths),
      cmocka_unit_test(programs_of_this_machine_find_the_names_too),
      cmocka_unit_test(a_second_network_has_the_names_too),
  };
  return cmocka_run_group_tests_name("local_names", tests, local_test_set_up, local_test_tear_down);
}
