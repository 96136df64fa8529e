/* The guard: what happens to a run whose harness dies. The harness is a child of the test, the
 * cluster a file that the fake provider's destroy() leaves behind. */
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/guard.h"
#include "engine/journal.h"
#include "support/fake.h"
#include "support/test.h"

#define DEADLINE_MS 20000

/* --- a cluster and its injectors ------------------------------------------------------------- */

static void append(const char *directory, const char *name, const char *text) {
  char path[4200];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  FILE *file = fopen(path, "a");
  assert_non_null(file);
  fprintf(file, "%s\n", text);
  fclose(file);
}

static int note_heal(struct injection *in, struct error *err) {
  char text[512];
  (void)err;
  assert_null(in->service);
  snprintf(text, sizeof text, "%s %s %s %s", in->host ? in->host->name : "-", in->note,
           in->process ? in->process->name : "-",
           in->process && in->process->unit ? in->process->unit : "-");
  append(in->cluster->run_directory, "healed", text);
  return 0;
}

static int no_heal(struct injection *in, struct error *err) {
  (void)in;
  return error_set(err, STATUS_SERVER, "this one never heals");
}

static const struct injector injector_good = {.plugin = {.name = "good"}, .heal = note_heal};
static const struct injector injector_bad = {.plugin = {.name = "bad"}, .heal = no_heal};
static const struct injector injector_gone = {.plugin = {.name = "gone"}, .heal = note_heal};

static int destroy_fails(const char *run_directory, const char *id, struct error *err) {
  append(run_directory, "tried", id);
  return error_set(err, STATUS_SERVER, "it will not go");
}

/* --- the fixture ----------------------------------------------------------------------------- */

struct fixture {
  char directory[TEMPORARY_SIZE];
  const struct injector *injectors[3];
  const struct service *services[2];
  struct scenario_tables tables;
  struct provider provider;
  struct guard_spec spec;
  struct fake fake;
};

static int setup(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  temporary_make(f->directory);
  fake_init(&f->fake, f->directory);
  f->injectors[0] = &injector_good;
  f->injectors[1] = &injector_bad;
  f->services[0] = &fake_service;
  f->tables = (struct scenario_tables){.injectors = f->injectors, .services = f->services};
  f->provider = fake_provider;
  f->spec = (struct guard_spec){.tables = &f->tables,
                                .provider = &f->provider,
                                .run_directory = f->directory,
                                .cluster_id = "gd-test"};
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  temporary_remove(f->directory);
  free(f);
  return 0;
}

static bool exists(const struct fixture *f, const char *name) {
  char path[TEMPORARY_SIZE + 32];
  snprintf(path, sizeof path, "%s/%s", f->directory, name);
  return file_exists(path);
}

static void assert_content(const struct fixture *f, const char *name, const char *content) {
  char path[TEMPORARY_SIZE + 32];
  struct error err = ERROR_INIT;
  struct buf text;
  snprintf(path, sizeof path, "%s/%s", f->directory, name);
  buf_init(&text);
  assert_ok(file_read(path, 1u << 20, &text, &err), &err);
  assert_string_equal(text.data, content);
  buf_release(&text);
}

/* --- a harness ------------------------------------------------------------------------------- */

struct harness {
  pid_t pid, guard;
  int guard_fd; /* a pidfd */
};

/* In the child: starts the guard, tells its number, waits to be killed. */
static _Noreturn void harness_main(const struct fixture *f, int tell, bool without_stdio) {
  struct guard guard;
  setpgid(0, 0);
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  for (int i = 0; without_stdio && i <= 2; i++)
    if (i != tell) close(i);
  if (guard_start(&f->spec, &guard, NULL) < 0) _exit(1);
  if (write(tell, &guard.pid, sizeof guard.pid) != sizeof guard.pid) _exit(1);
  close(tell); /* the other end sees this once the guard has let go of it too */
  for (;;) pause();
}

static struct harness harness_start(const struct fixture *f, bool without_stdio) {
  struct harness harness;
  int ends[2];
  char rest;
  assert_int_equal(pipe(ends), 0);
  harness.pid = fork();
  assert_true(harness.pid >= 0);
  if (harness.pid == 0) {
    close(ends[0]);
    harness_main(f, ends[1], without_stdio);
  }
  close(ends[1]);
  assert_int_equal(read(ends[0], &harness.guard, sizeof harness.guard), sizeof harness.guard);
  harness.guard_fd = (int)syscall(SYS_pidfd_open, harness.guard, 0);
  assert_true(harness.guard_fd >= 0);
  struct pollfd end = {.fd = ends[0], .events = POLLIN};
  assert_int_equal(poll(&end, 1, DEADLINE_MS), 1);
  assert_int_equal(read(ends[0], &rest, 1), 0);
  close(ends[0]);
  return harness;
}

static bool guard_ends(const struct harness *harness, int timeout_ms) {
  struct pollfd end = {.fd = harness->guard_fd, .events = POLLIN};
  return poll(&end, 1, timeout_ms) == 1;
}

static void harness_kill(struct harness *harness) {
  assert_int_equal(kill(harness->pid, SIGKILL), 0);
  assert_int_equal(waitpid(harness->pid, NULL, 0), harness->pid);
  assert_true(guard_ends(harness, DEADLINE_MS));
  close(harness->guard_fd);
}

/* --- the guard ------------------------------------------------------------------------------- */

static void test_killed_harness_is_cleaned_up_after(void **state) {
  struct fixture *f = *state;
  struct harness harness = harness_start(f, false);
  assert_false(exists(f, FAKE_DESTROYED));
  harness_kill(&harness);
  assert_content(f, FAKE_DESTROYED, "gd-test\n");
  assert_true(exists(f, "guard.log"));
}

static void test_dismissed_guard_does_nothing(void **state) {
  struct fixture *f = *state;
  struct guard guard;
  struct error err = ERROR_INIT;
  assert_ok(guard_start(&f->spec, &guard, &err), &err);
  guard_dismiss(&guard);
  assert_int_equal(guard.pid, 0);
  guard_dismiss(&guard); /* twice is fine */
  assert_false(exists(f, FAKE_DESTROYED));
  assert_false(exists(f, "guard.log"));
}

static void test_tripped_guard_has_done_its_work(void **state) {
  struct fixture *f = *state;
  struct guard guard;
  struct error err = ERROR_INIT;
  assert_ok(guard_start(&f->spec, &guard, &err), &err);
  assert_ok(guard_trip(&guard, f->directory, &err), &err);
  assert_int_equal(guard.pid, 0);
  assert_ok(guard_trip(&guard, f->directory, &err), &err); /* there is none any more */
  assert_content(f, FAKE_DESTROYED, "gd-test\n");
}

/* Ctrl-C on a terminal goes to the whole process group, a hang-up to the session, and a careless
 * script may find the guard by its name. */
static void test_guard_survives_signals(void **state) {
  struct fixture *f = *state;
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
  struct harness harness = harness_start(f, false);
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
    assert_int_equal(kill(-harness.pid, signals[i]), 0);
    assert_int_equal(kill(harness.guard, signals[i]), 0);
  }
  assert_false(guard_ends(&harness, 50));
  assert_false(exists(f, FAKE_DESTROYED));
  harness_kill(&harness);
  assert_content(f, FAKE_DESTROYED, "gd-test\n");
}

/* The pipe was on a standard descriptor, which the guard then turned to /dev/null: an end of file,
 * so that the cluster was removed from under a run that went well. */
static void test_harness_without_standard_descriptors(void **state) {
  struct fixture *f = *state;
  struct harness harness = harness_start(f, true);
  assert_false(guard_ends(&harness, 50));
  assert_false(exists(f, FAKE_DESTROYED));
  harness_kill(&harness);
  assert_content(f, FAKE_DESTROYED, "gd-test\n");
}

/* It was dismissed, or tripped without a word: the cluster outlived the run, and nobody knew. */
static void test_guard_tries_again_and_says_so(void **state) {
  struct fixture *f = *state;
  struct guard guard;
  struct error err = ERROR_INIT;
  struct buf log;
  char path[TEMPORARY_SIZE + 32];
  f->provider.destroy = destroy_fails;
  assert_ok(guard_start(&f->spec, &guard, &err), &err);
  assert_int_equal(guard_trip(&guard, f->directory, &err), STATUS_SERVER);
  assert_non_null(strstr(err.message, "could not be removed"));
  assert_non_null(strstr(err.message, "gameday heal"));
  assert_content(f, "tried", "gd-test\ngd-test\ngd-test\n");
  snprintf(path, sizeof path, "%s/guard.log", f->directory);
  buf_init(&log);
  assert_ok(file_read(path, 1u << 20, &log, &err), &err);
  assert_non_null(strstr(log.data, "it will not go"));
  assert_non_null(strstr(log.data, "gameday heal"));
  buf_release(&log);
}

/* --- cleaning up ----------------------------------------------------------------------------- */

static void put(struct fixture *f, int32_t number, const struct injector *injector,
                const struct host *host, const struct service_process *process, const char *note) {
  struct journal journal;
  struct error err = ERROR_INIT;
  struct injection in = {
      .injector = injector, .fault = number, .cluster = &f->fake.cluster, .host = host};
  in.process = process;
  snprintf(in.note, sizeof in.note, "%s", note);
  assert_ok(journal_open(&journal, f->directory, &err), &err);
  assert_ok(journal_write(&journal, &in, JOURNAL_INJECTING, &err), &err);
  journal_close(&journal);
}

static void test_kept_cluster_is_healed_last_fault_first(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  uint32_t healed = 0;
  put(f, 0, &injector_good, &f->fake.hosts[0], NULL, "a");
  put(f, 1, &injector_good, &f->fake.hosts[2], &fake_service.processes[0], "b");
  put(f, 2, &injector_good, NULL, NULL, "c");
  assert_ok(guard_clean_up(&f->spec, true, &healed, &err), &err);
  assert_int_equal(healed, 3);
  assert_content(f, "healed", "- c - -\ndb3 b server db\ndb1 a - -\n");
  assert_false(exists(f, FAKE_DESTROYED));
  assert_ok(guard_clean_up(&f->spec, true, &healed, &err), &err);
  assert_int_equal(healed, 0);
}

static void test_one_that_does_not_heal_does_not_stop_the_others(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  uint32_t healed = 0;
  put(f, 0, &injector_good, &f->fake.hosts[0], NULL, "a");
  put(f, 1, &injector_bad, &f->fake.hosts[1], NULL, "b");
  put(f, 2, &injector_gone, &f->fake.hosts[1], NULL, "c");
  assert_int_equal(guard_clean_up(&f->spec, true, &healed, &err), STATUS_USAGE);
  assert_non_null(strstr(err.message, "'gone', which is unknown"));
  assert_int_equal(healed, 1);
  assert_content(f, "healed", "db1 a - -\n");
  assert_int_equal(guard_clean_up(&f->spec, true, &healed, &err), STATUS_USAGE);
  assert_int_equal(healed, 0);
}

static void test_unknown_host_is_named(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  struct host stranger = {.name = "stranger"};
  put(f, 0, &injector_good, &stranger, NULL, "a");
  assert_int_equal(guard_clean_up(&f->spec, true, NULL, &err), STATUS_USAGE);
  assert_non_null(strstr(err.message, "'stranger'"));
}

static void test_cluster_of_a_run_is_removed_not_healed(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  put(f, 0, &injector_good, &f->fake.hosts[0], NULL, "a");
  assert_ok(guard_clean_up(&f->spec, false, NULL, &err), &err);
  assert_false(exists(f, "healed"));
  assert_content(f, FAKE_DESTROYED, "gd-test\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_killed_harness_is_cleaned_up_after),
      TEST(test_dismissed_guard_does_nothing),
      TEST(test_tripped_guard_has_done_its_work),
      TEST(test_guard_survives_signals),
      TEST(test_harness_without_standard_descriptors),
      TEST(test_guard_tries_again_and_says_so),
      TEST(test_kept_cluster_is_healed_last_fault_first),
      TEST(test_one_that_does_not_heal_does_not_stop_the_others),
      TEST(test_unknown_host_is_named),
      TEST(test_cluster_of_a_run_is_removed_not_healed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
