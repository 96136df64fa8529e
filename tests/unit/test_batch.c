/* Jobs on child processes: their order, their deaths, and that nothing is left behind. */
#include "engine/batch.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "support/fake.h"
#include "support/test.h"

#define JOBS_MAX 400

/* Seen by all processes. */
struct shared {
  _Atomic uint32_t done;
  _Atomic bool began;
};

struct bench {
  char base[TEMPORARY_SIZE];
  struct shared *shared;
  uint64_t seen; /* outcomes delivered */
  enum batch_end ends[JOBS_MAX];
  int signals[JOBS_MAX], exit_codes[JOBS_MAX];
  char messages[JOBS_MAX][64];
  uint64_t stop_at;
  struct batch_spec spec;
};

static uint32_t entries_of(const char *path) {
  DIR *directory = opendir(path);
  assert_non_null(directory);
  uint32_t count = 0;
  for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory))
    count += entry->d_name[0] != '.';
  closedir(directory);
  return count;
}

static int square(void *data, uint64_t index, const char *directory, void *ret_result,
                  struct error *err) {
  struct bench *bench = data;
  char path[512];
  if (entries_of(directory) != 0) return error_set(err, STATUS_INTERNAL, "%s", "left over");
  int status = path_format(path, sizeof path, err, "%s/file", directory);
  if (status == 0) status = file_puts(path, "something", 0600, err);
  *(uint64_t *)ret_result += index * index; /* zeroed before */
  atomic_fetch_add(&bench->shared->done, 1);
  return status;
}

static int take(void *data, const struct batch_outcome *outcome, struct error *err) {
  struct bench *bench = data;
  assert_int_equal(outcome->index, bench->seen);
  if (outcome->end == BATCH_DONE)
    assert_int_equal(*(const uint64_t *)outcome->result, outcome->index * outcome->index);
  if (bench->seen < JOBS_MAX) {
    bench->ends[bench->seen] = outcome->end;
    bench->signals[bench->seen] = outcome->signal;
    bench->exit_codes[bench->seen] = outcome->exit_code;
    if (outcome->error)
      snprintf(bench->messages[bench->seen], sizeof bench->messages[0], "%.60s",
               outcome->error->message);
  }
  bench->seen++;
  if (bench->stop_at && bench->seen == bench->stop_at)
    return error_set(err, STATUS_SERVER, "enough");
  return 0;
}

static void bench_init(struct bench *bench, uint32_t workers, uint64_t count) {
  *bench = (struct bench){.seen = 0};
  temporary_make(bench->base);
  bench->shared =
      mmap(NULL, sizeof *bench->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(bench->shared, MAP_FAILED);
  bench->spec = (struct batch_spec){.workers = workers,
                                    .count = count,
                                    .result_size = sizeof(uint64_t),
                                    .scratch_base = bench->base,
                                    .job = square,
                                    .deliver = take,
                                    .data = bench};
}

static void bench_release(struct bench *bench) {
  temporary_remove(bench->base);
  munmap(bench->shared, sizeof *bench->shared);
}

static struct batch_summary run(struct bench *bench) {
  struct batch_summary summary = {.delivered = 0};
  struct error err = ERROR_INIT;
  assert_ok(batch_run(&bench->spec, &summary, &err), &err);
  assert_int_equal(entries_of(bench->base), 0);
  assert_int_equal(summary.delivered, bench->seen);
  return summary;
}

/* Runs them: all are done, but the one of that index (none: -1) is hung. */
static void run_but(struct bench *bench, int64_t hung) {
  assert_int_equal(run(bench).delivered, bench->spec.count);
  for (uint32_t i = 0; i < bench->spec.count; i++)
    assert_int_equal(bench->ends[i], i == hung ? BATCH_HUNG : BATCH_DONE);
  bench_release(bench);
}

static void test_results_come_in_order(void **state) {
  (void)state;
  for (uint32_t workers = 1; workers <= 5; workers++) {
    struct bench bench;
    bench_init(&bench, workers, JOBS_MAX);
    run_but(&bench, -1);
  }
}

static void test_nothing_to_do(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 2, 0);
  assert_int_equal(run(&bench).delivered, 0);
  bench_release(&bench);
}

/* The first job waits for many that come after it. */
static int first_is_slow(void *data, uint64_t index, const char *directory, void *ret_result,
                         struct error *err) {
  struct bench *bench = data;
  while (index == 0 && atomic_load(&bench->shared->done) < 50) sched_yield();
  return square(data, index, directory, ret_result, err);
}

static void test_those_ahead_wait_for_the_first(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 2, 300);
  bench.spec.job = first_is_slow;
  assert_int_equal(run(&bench).delivered, 300);
  bench_release(&bench);
}

static int some_die(void *data, uint64_t index, const char *directory, void *ret_result,
                    struct error *err) {
  struct bench *bench = data;
  int status = square(data, index, directory, ret_result, err);
  if (index == 3 || index == 4) raise(SIGKILL);
  if (index == 7) _exit(9);
  if (index == 11) return error_set(err, STATUS_SERVER, "job eleven is not well");
  if (index == 19) raise(SIGKILL);
  (void)bench;
  return status;
}

static void test_a_crash_takes_nothing_with_it(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 3, 20);
  bench.spec.job = some_die;
  assert_int_equal(run(&bench).delivered, 20);
  for (uint32_t i = 0; i < 20; i++) {
    bool dies = i == 3 || i == 4 || i == 7 || i == 19;
    assert_int_equal(bench.ends[i], dies ? BATCH_CRASHED : i == 11 ? BATCH_FAILED : BATCH_DONE);
  }
  assert_int_equal(bench.signals[4], SIGKILL);
  assert_int_equal(bench.signals[7], 0);
  assert_int_equal(bench.exit_codes[7], 9);
  assert_string_equal(bench.messages[11], "job eleven is not well");
  bench_release(&bench);
}

static int third_hangs(void *data, uint64_t index, const char *directory, void *ret_result,
                       struct error *err) {
  while (index == 2) pause();
  return square(data, index, directory, ret_result, err);
}

static void test_a_hung_job_is_killed(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 2, 10);
  bench.spec.job = third_hangs;
  bench.spec.job_timeout_ns = 300 * NS_PER_MS;
  run_but(&bench, 2);
}

static int take_slowly(void *data, const struct batch_outcome *outcome, struct error *err) {
  struct timespec nap = {.tv_sec = 1};
  if (outcome->index == 0) nanosleep(&nap, NULL);
  return take(data, outcome, err);
}

/* As after Ctrl-Z: what had been done meanwhile was killed as hung, and what came next crashed. */
static void test_a_pause_of_the_parent_kills_nobody(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 3, 20);
  bench.spec.deliver = take_slowly;
  bench.spec.job_timeout_ns = 400 * NS_PER_MS;
  run_but(&bench, -1);
}

static int take_and_interrupt(void *data, const struct batch_outcome *outcome, struct error *err) {
  if (outcome->index == 20) kill(getpid(), SIGINT);
  return take(data, outcome, err);
}

static void test_an_interrupt_ends_it(void **state) {
  (void)state;
  struct bench bench;
  sigset_t before, after;
  bench_init(&bench, 3, UINT64_MAX);
  bench.spec.deliver = take_and_interrupt;
  sigprocmask(SIG_BLOCK, NULL, &before);
  struct batch_summary summary = run(&bench);
  assert_int_equal(summary.signal, SIGINT);
  assert_true(summary.delivered > 20);
  sigprocmask(SIG_BLOCK, NULL, &after);
  assert_int_equal(sigismember(&after, SIGINT), sigismember(&before, SIGINT));
  bench_release(&bench);
}

static void interrupt_when_begun(void *data) {
  struct bench *bench = data;
  if (atomic_load(&bench->shared->began)) kill(getpid(), SIGTERM);
}

static int hang(void *data, uint64_t index, const char *directory, void *ret_result,
                struct error *err) {
  struct bench *bench = data;
  (void)index;
  (void)directory;
  (void)ret_result;
  (void)err;
  atomic_store(&bench->shared->began, true);
  while (pause() < 0) continue;
  return 0;
}

static void test_an_interrupt_does_not_wait_for_jobs(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 2, 10);
  bench.spec.job = hang;
  bench.spec.tick = interrupt_when_begun;
  struct batch_summary summary = run(&bench);
  assert_int_equal(summary.signal, SIGTERM);
  assert_int_equal(summary.delivered, 0);
  bench_release(&bench);
}

static void test_the_budget_ends_it(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 2, UINT64_MAX);
  bench.spec.budget_ns = 100 * NS_PER_MS;
  struct batch_summary summary = run(&bench);
  assert_true(summary.delivered > 0);
  assert_int_equal(summary.signal, 0);
  bench_release(&bench);
}

static void test_a_failed_delivery_ends_it(void **state) {
  (void)state;
  struct bench bench;
  struct batch_summary summary;
  struct error err = ERROR_INIT;
  bench_init(&bench, 2, UINT64_MAX);
  bench.stop_at = 5;
  assert_int_equal(batch_run(&bench.spec, &summary, &err), STATUS_SERVER);
  assert_string_equal(err.message, "enough");
  assert_int_equal(bench.seen, 5);
  assert_int_equal(entries_of(bench.base), 0);
  bench_release(&bench);
}

static void test_directories_are_kept_when_asked(void **state) {
  (void)state;
  struct bench bench;
  char keep[TEMPORARY_SIZE], path[TEMPORARY_SIZE + 32];
  temporary_make(keep);
  bench_init(&bench, 2, 12);
  bench.spec.keep_directory = keep;
  run(&bench);
  assert_int_equal(entries_of(keep), 12);
  snprintf(path, sizeof path, "%s/11/file", keep);
  assert_true(file_exists(path));
  bench_release(&bench);
  temporary_remove(keep);
}

/* Waits until nothing is in `path`, woken by each removal. */
static void await_empty(int notify, const char *path) {
  char events[4096];
  while (entries_of(path) > 0) {
    ssize_t got = read(notify, events, sizeof events);
    assert_true(got > 0 || errno == EINTR);
  }
}

static void test_nothing_is_left_when_the_parent_is_killed(void **state) {
  (void)state;
  struct bench bench;
  bench_init(&bench, 2, 10);
  bench.spec.job = hang;
  int notify = inotify_init1(IN_CLOEXEC);
  assert_true(notify >= 0);
  assert_true(inotify_add_watch(notify, bench.base, IN_DELETE) >= 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    struct batch_summary summary;
    (void)batch_run(&bench.spec, &summary, NULL);
    _exit(0);
  }
  while (!atomic_load(&bench.shared->began)) sched_yield();
  assert_int_equal(entries_of(bench.base), 1);
  kill(pid, SIGKILL);
  await_empty(notify, bench.base);
  waitpid(pid, NULL, 0);
  close(notify);
  bench_release(&bench);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_results_come_in_order),
      cmocka_unit_test(test_nothing_to_do),
      cmocka_unit_test(test_those_ahead_wait_for_the_first),
      cmocka_unit_test(test_a_crash_takes_nothing_with_it),
      cmocka_unit_test(test_a_hung_job_is_killed),
      cmocka_unit_test(test_a_pause_of_the_parent_kills_nobody),
      cmocka_unit_test(test_an_interrupt_ends_it),
      cmocka_unit_test(test_an_interrupt_does_not_wait_for_jobs),
      cmocka_unit_test(test_the_budget_ends_it),
      cmocka_unit_test(test_a_failed_delivery_ends_it),
      cmocka_unit_test(test_directories_are_kept_when_asked),
      cmocka_unit_test(test_nothing_is_left_when_the_parent_is_killed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
