/* Progress: when the load counts as recovered, and what a person is shown. */
#include <fcntl.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/progress.h"
#include "support/fake.h"
#include "support/test.h"
#include "support/virtual_time.h"

struct fixture {
  char directory[TEMPORARY_SIZE];
  struct virtual_time time;
  struct fake fake;
  struct recorder *recorder;
  struct log log;
  struct progress progress;
  uint64_t start_ns;
  int screen; /* what the log writes to */
};

static int setup(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  struct error err = ERROR_INIT;
  char path[TEMPORARY_SIZE + 16];
  assert_non_null(f);
  temporary_make(f->directory);
  virtual_time_begin(&f->time);
  fake_init(&f->fake, f->directory);
  snprintf(path, sizeof path, "%s/screen", f->directory);
  f->screen = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  assert_true(f->screen >= 0);
  log_init(&f->log, f->screen, LOG_INFO);
  f->start_ns = f->time.now_ns;
  assert_ok(recorder_new(&(struct recorder_spec){.run_directory = f->directory,
                                                 .clock = &f->time.clock,
                                                 .start_ns = f->start_ns,
                                                 .wall_start_ns = 1,
                                                 .producers = 1,
                                                 .ring_count = 1024},
                         &f->recorder, &err),
            &err);
  assert_ok(progress_init(&f->progress, &f->log, f->recorder, f->start_ns, &err), &err);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  progress_release(&f->progress);
  recorder_free(f->recorder);
  virtual_time_release(&f->time);
  close(f->screen);
  temporary_remove(f->directory);
  free(f);
  return 0;
}

static void write_once(struct fixture *f, enum outcome outcome, enum route route) {
  struct operation operation = {.scheduled_ns = f->time.now_ns - f->start_ns,
                                .done_ns = f->time.now_ns - f->start_ns,
                                .kind = OPERATION_WRITE,
                                .outcome = outcome,
                                .route = route};
  assert_true(recorder_operation(f->recorder, 0, &operation));
}

/* `periods` of 100 ms with `ok` good and `bad` failed writes in each. */
static void pass(struct fixture *f, uint32_t periods, uint32_t ok, uint32_t bad) {
  for (uint32_t i = 0; i < periods; i++) {
    for (uint32_t n = 0; n < ok; n++) write_once(f, OUTCOME_OK, ROUTE_PRIMARY);
    for (uint32_t n = 0; n < bad; n++) write_once(f, OUTCOME_FAIL, ROUTE_PRIMARY);
    f->time.now_ns += PROGRESS_PERIOD_NS; /* the recorder holds what is newer than 50 ms */
    recorder_flush(f->recorder);
    progress_tick(&f->progress, f->time.now_ns, &f->fake.service, "");
  }
}

static bool recovered(const struct fixture *f) {
  return progress_all_ok_since(&f->progress, f->time.now_ns - 2 * NS_PER_S);
}

static const char *screen(struct fixture *f) {
  static char text[1 << 16];
  ssize_t got = pread(f->screen, text, sizeof text - 1, 0);
  assert_true(got >= 0);
  text[got] = '\0';
  return text;
}

static void test_nothing_is_no_success(void **state) {
  struct fixture *f = *state;
  assert_false(recovered(f));
  pass(f, 40, 0, 0);
  assert_false(recovered(f));
}

static void test_too_short_a_time_is_no_success(void **state) {
  struct fixture *f = *state;
  pass(f, 15, 5, 0);
  assert_false(recovered(f));
  pass(f, 15, 5, 0);
  assert_true(recovered(f));
}

static void test_one_failure_is_no_success(void **state) {
  struct fixture *f = *state;
  pass(f, 30, 5, 0);
  pass(f, 1, 5, 1);
  assert_false(recovered(f));
  pass(f, 19, 5, 0);
  assert_false(recovered(f));
  pass(f, 3, 5, 0);
  assert_true(recovered(f));
}

/* Two seconds after a crash that leaves every write hanging, nothing had failed, and what had been
 * done just before it was taken for success: the run ended before the failover began. */
static void test_writes_that_hang_are_no_success(void **state) {
  struct fixture *f = *state;
  pass(f, 50, 20, 0);
  for (uint32_t periods = 0; periods < 60; periods++) {
    pass(f, 1, periods < 3 ? 20 : 0, 0); /* the last of before, counted late */
    if (periods >= 19) assert_false(recovered(f));
  }
  pass(f, 21, 20, 0);
  assert_true(recovered(f));
}

static void write_to(struct fixture *f, uint8_t workload, uint16_t shard) {
  struct operation operation = {.scheduled_ns = f->time.now_ns - f->start_ns,
                                .done_ns = f->time.now_ns - f->start_ns,
                                .kind = OPERATION_WRITE,
                                .workload = workload & (WORKLOADS_MAX - 1),
                                .shard = shard & SHARD_MASK,
                                .outcome = OUTCOME_OK,
                                .route = ROUTE_PRIMARY};
  assert_true(recorder_operation(f->recorder, 0, &operation));
}

/* Writes on one shard hang: nothing has failed yet, and the others' succeed. */
static void test_a_shard_that_hangs_is_no_success(void **state) {
  struct fixture *f = *state;
  for (uint32_t periods = 0; periods < 120; periods++) {
    bool hangs = periods >= 50 && periods < 90;
    for (uint16_t shard = 1; shard <= 3; shard++)
      for (uint32_t n = 0; n < 5 && !(hangs && shard == 2); n++) write_to(f, 0, shard);
    pass(f, 1, 0, 0);
    if (periods == 49) assert_true(recovered(f));
    if (periods >= 70 && periods < 90) assert_false(recovered(f));
  }
  assert_true(recovered(f));
}

static void test_a_workload_that_hangs_is_no_success(void **state) {
  struct fixture *f = *state;
  for (uint32_t periods = 0; periods < 90; periods++) {
    for (uint32_t n = 0; n < 5; n++) write_to(f, 0, 0);
    for (uint32_t n = 0; n < 5 && periods < 50; n++) write_to(f, 1, 0);
    pass(f, 1, 0, 0);
    if (periods == 49) assert_true(recovered(f));
  }
  assert_false(recovered(f));
}

/* One write in ten seconds tells nothing of two seconds without any. */
static void test_a_shard_that_nobody_asks_is_not_waited_for(void **state) {
  struct fixture *f = *state;
  for (uint32_t periods = 0; periods < 90; periods++) {
    for (uint32_t n = 0; n < 5; n++) write_to(f, 0, 1);
    if (periods == 10) write_to(f, 0, 2);
    pass(f, 1, 0, 0);
  }
  assert_true(recovered(f));
}

static void test_slow_load_recovers_too(void **state) {
  struct fixture *f = *state;
  for (uint32_t i = 0; i < 8; i++) {
    pass(f, 1, 1, 0);
    pass(f, 6, 0, 0);
  }
  assert_true(recovered(f));
}

/* The main loop stood still: what happened in between is not known. */
static void test_gap_of_ticks_is_no_success(void **state) {
  struct fixture *f = *state;
  pass(f, 30, 5, 0);
  f->time.now_ns += 10 * NS_PER_S;
  pass(f, 1, 5, 0);
  assert_false(recovered(f));
}

static void test_other_routes_do_not_count(void **state) {
  struct fixture *f = *state;
  pass(f, 30, 5, 0);
  write_once(f, OUTCOME_FAIL, ROUTE_PINNED);
  pass(f, 1, 5, 0);
  assert_true(recovered(f));
}

static void test_plain_output_is_a_line_now_and_then(void **state) {
  struct fixture *f = *state;
  progress_phase(&f->progress, "warmup", f->time.now_ns);
  pass(f, 99, 20, 1);
  assert_non_null(strstr(screen(f), "warmup"));
  assert_null(strstr(screen(f), "writes"));
  pass(f, 2, 20, 1);
  assert_non_null(
      strstr(screen(f), "10.0 s  warmup  writes 200/s ok, 10/s not  db1:P db2:r db3:r"));
  assert_null(strchr(screen(f), '\033'));
}

static void test_status_line_has_a_bar_and_is_erased(void **state) {
  struct fixture *f = *state;
  f->log.live = true;
  f->progress.expected_end_ns = f->start_ns + 20 * NS_PER_S;
  progress_phase(&f->progress, "faults", f->time.now_ns);
  pass(f, 100, 20, 0);
  assert_non_null(strstr(screen(f), "[##########..........] 10.0 s  faults"));
  pass(f, 150, 20, 0); /* longer than was expected */
  assert_non_null(strstr(screen(f), "[####################] 25.0 s"));
  assert_null(strchr(screen(f), '\n') == NULL ? "" : strchr(strchr(screen(f), '\n') + 1, '\n'));
  progress_end(&f->progress);
  const char *text = screen(f);
  assert_memory_equal(text + strlen(text) - 3, "\033[K", 3);
}

static void test_shards_are_shown(void **state) {
  struct fixture *f = *state;
  f->log.live = true;
  f->fake.view.shards = 2;
  f->fake.view.hosts[0].shard = 1;
  f->fake.view.hosts[1].shard = f->fake.view.hosts[2].shard = 2;
  f->fake.view.hosts[2].role = ROLE_PRIMARY;
  pass(f, 2, 1, 0);
  assert_non_null(strstr(screen(f), " db1:P1 db2:r2 db3:P2"));
}

static void test_every_service_is_shown(void **state) {
  struct fixture *f = *state;
  const struct service_instance both[] = {f->fake.service, f->fake.service};
  f->log.live = true;
  f->progress.service_count = 2;
  f->time.now_ns += PROGRESS_PERIOD_NS;
  progress_tick(&f->progress, f->time.now_ns, both, "");
  assert_non_null(strstr(screen(f), " db1:P db2:r db3:r db1:P db2:r db3:r"));
}

static void test_no_service_yet(void **state) {
  struct fixture *f = *state;
  f->log.live = true;
  f->time.now_ns += PROGRESS_PERIOD_NS;
  progress_tick(&f->progress, f->time.now_ns, NULL, "host-crash planned");
  assert_non_null(strstr(screen(f), "0/s not  host-crash planned"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_nothing_is_no_success),
      TEST(test_too_short_a_time_is_no_success),
      TEST(test_one_failure_is_no_success),
      TEST(test_writes_that_hang_are_no_success),
      TEST(test_a_shard_that_hangs_is_no_success),
      TEST(test_a_workload_that_hangs_is_no_success),
      TEST(test_a_shard_that_nobody_asks_is_not_waited_for),
      TEST(test_shards_are_shown),
      TEST(test_every_service_is_shown),
      TEST(test_slow_load_recovers_too),
      TEST(test_gap_of_ticks_is_no_success),
      TEST(test_other_routes_do_not_count),
      TEST(test_plain_output_is_a_line_now_and_then),
      TEST(test_status_line_has_a_bar_and_is_erased),
      TEST(test_no_service_yet),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
