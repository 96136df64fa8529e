/* Checks a record of 1 and of 10 million acknowledged rows with all checkers, and prints how
 * long it took and how much memory, to show the growth. Each size is checked in a process of its
 * own, so that its peak is its own. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "engine/judge.h"
#include "engine/recorder.h"

#define HOSTS 3
#define CLIENTS 32
#define RATE 10000u /* writes a second */
#define RING_COUNT (1u << 16)

struct bench {
  char directory[64];
  uint64_t rows;
  struct clock clock;
  _Atomic uint64_t now_ns;
  struct recorder *recorder;
};

static int give_up(const struct error *err) {
  fprintf(stderr, "bench-check: %s\n", err->message);
  return 1;
}

static uint64_t clock_read(const struct clock *clock) {
  return atomic_load((const _Atomic uint64_t *)clock->state);
}

static uint64_t checksum_of(uint32_t identity, uint64_t sequence) {
  return (identity * UINT64_C(2654435761) ^ sequence * 40503) & UINT32_MAX;
}

static uint64_t second_of(const struct bench *bench, double part) {
  return 10 * NS_PER_S + (uint64_t)((double)bench->rows / RATE * part * 1e9);
}

static void event(struct bench *bench, uint64_t time_ns, enum event_kind kind, int32_t fault,
                  uint16_t host, int64_t number, const char *text) {
  struct sink *sink = recorder_sink(bench->recorder);
  struct event it = {.time_ns = time_ns,
                     .kind = kind,
                     .fault = fault,
                     .host = host,
                     .role = host == 1 ? ROLE_PRIMARY : ROLE_NONE,
                     .number = number};
  snprintf(it.text, sizeof it.text, "%s", text);
  sink->event(sink, &it);
}

/* Row i is client i % CLIENTS's; half way the primary crashes and pg2 takes over 10 s later. */
static void write_operations(struct bench *bench) {
  uint64_t crash_ns = second_of(bench, 0.5);
  for (uint64_t i = 0; i < bench->rows; i++) {
    uint64_t scheduled_ns = 10 * NS_PER_S + i * (NS_PER_S / RATE);
    bool late = scheduled_ns >= crash_ns;
    struct operation operation = {.scheduled_ns = scheduled_ns,
                                  .sent_ns = scheduled_ns + 20000,
                                  .done_ns = scheduled_ns + 1200000,
                                  .sequence = i / CLIENTS + 1,
                                  .identity = (uint32_t)(i % CLIENTS) + 1,
                                  .timeline = late ? 2 : 1,
                                  .client = (uint16_t)(i % CLIENTS),
                                  .outcome = OUTCOME_OK,
                                  .route = ROUTE_PRIMARY,
                                  .host = late ? 1 : 0};
    if (late && scheduled_ns < crash_ns + 10 * NS_PER_S)
      operation.done_ns = crash_ns + 10 * NS_PER_S + (scheduled_ns - crash_ns) / 100;
    operation.value = checksum_of(operation.identity, operation.sequence);
    if (i % (RING_COUNT / 4) == 0) recorder_flush(bench->recorder);
    atomic_store(&bench->now_ns, operation.done_ns);
    (void)recorder_operation(bench->recorder, 0, &operation);
  }
}

static int write_rows(struct bench *bench, struct error *err) {
  static const char *const names[HOSTS] = {"pg1", "pg2", "pg3"};
  for (uint16_t h = 0; h < HOSTS; h++) {
    int status = recorder_rows_begin(bench->recorder, h, names[h], err);
    for (uint64_t i = 0; i < bench->rows && status == 0; i++) {
      struct final_row row = {.identity = (uint32_t)(i % CLIENTS) + 1, .sequence = i / CLIENTS + 1};
      row.value = checksum_of(row.identity, row.sequence);
      status = recorder_row(bench->recorder, &row, err);
    }
    if (status == 0) status = recorder_rows_end(bench->recorder, err);
    if (status < 0) return status;
    event(bench, second_of(bench, 1) + NS_PER_S, EVENT_FINAL_READ, FAULT_NONE, h,
          (int64_t)bench->rows, "");
  }
  return 0;
}

static int write_run(const struct bench *bench, struct error *err) {
  char path[128], text[1024];
  snprintf(path, sizeof path, "%s/run.json", bench->directory);
  snprintf(text, sizeof text,
           "{\"schema\": \"gameday/run/v1\", \"hosts\": [{\"name\": \"pg1\", \"kind\": \"server\"},"
           "{\"name\": \"pg2\", \"kind\": \"server\"}, {\"name\": \"pg3\", \"kind\": \"server\"}],"
           "\"faults\": [{\"name\": \"crash\", \"injector\": \"host-crash\", \"target\": \"\","
           "\"planned\": false}], \"identity_count\": %d, \"dropped\": 0, \"finished\": true,"
           "\"outage_min_ns\": 200000000, \"load_minimum\": 100}",
           CLIENTS);
  return file_puts(path, text, 0644, err);
}

static int make_record(struct bench *bench, struct error *err) {
  bench->clock = (struct clock){.now = clock_read, .state = &bench->now_ns};
  int status = recorder_new(&(struct recorder_spec){.run_directory = bench->directory,
                                                    .clock = &bench->clock,
                                                    .start_ns = 0,
                                                    .wall_start_ns = 1,
                                                    .producers = 1,
                                                    .ring_count = RING_COUNT},
                            &bench->recorder, err);
  if (status < 0) return status;
  uint64_t crash_ns = second_of(bench, 0.5), end_ns = second_of(bench, 1);
  event(bench, 10 * NS_PER_S, EVENT_RUN, FAULT_NONE, HOST_NONE, 0, "steady");
  event(bench, crash_ns - 1000, EVENT_FAULT_JOURNALED, 0, 0, 0, "");
  event(bench, crash_ns, EVENT_FAULT_CONFIRMED, 0, 0, 0, "");
  event(bench, crash_ns + 9 * NS_PER_S, EVENT_ROLE, FAULT_NONE, 1, 0, "");
  event(bench, crash_ns + 9 * NS_PER_S, EVENT_PROMOTED, FAULT_NONE, 1, 0, "");
  event(bench, end_ns, EVENT_RUN, FAULT_NONE, HOST_NONE, 0, "drain");
  event(bench, end_ns, EVENT_FAULT_HEALED, 0, 0, 0, "");
  event(bench, end_ns + 1, EVENT_FAULT_HEAL_CONFIRMED, 0, 0, 0, "");
  write_operations(bench);
  status = write_rows(bench, err);
  event(bench, end_ns + 2 * NS_PER_S, EVENT_RUN, FAULT_NONE, HOST_NONE, 0, "end");
  struct recorder_totals totals = {0};
  int finished = recorder_finish(bench->recorder, &totals, status < 0 ? NULL : err);
  recorder_free(bench->recorder);
  if (status < 0 || finished < 0) return status < 0 ? status : finished;
  if (totals.dropped > 0)
    return error_set(err, STATUS_INTERNAL, "%" PRIu64 " operations were dropped", totals.dropped);
  return write_run(bench, err);
}

/* In the child: nothing but opening and judging. */
static int check(const struct bench *bench) {
  struct error err = ERROR_INIT;
  struct record record;
  struct run_result result;
  struct arena arena;
  uint64_t begin_ns = clock_now_ns(&clock_monotonic);
  arena_init(&arena, 0);
  if (record_open(bench->directory, &record, &err) < 0) return give_up(&err);
  uint64_t opened_ns = clock_now_ns(&clock_monotonic);
  if (judge_run(&record, NULL, checkers, &arena, &result, &err) < 0) return give_up(&err);
  uint64_t end_ns = clock_now_ns(&clock_monotonic);
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  printf("%8" PRIu64
         " rows on %d hosts: opened in %.2f s, checked in %.2f s, %.2f us a row; peak "
         "%.0f MiB, %.1f bytes a row; verdict %s\n",
         bench->rows, HOSTS, (double)(opened_ns - begin_ns) * 1e-9,
         (double)(end_ns - opened_ns) * 1e-9,
         (double)(end_ns - begin_ns) * 1e-3 / (double)bench->rows, (double)usage.ru_maxrss / 1024,
         (double)usage.ru_maxrss * 1024 / (double)bench->rows, verdict_name(result.verdict));
  if (result.why && result.verdict != VERDICT_PASS) printf("%s\n", result.why);
  fflush(stdout);
  arena_release(&arena);
  record_close(&record);
  return 0;
}

static int measure(uint64_t rows) {
  struct error err = ERROR_INIT;
  struct bench bench = {.rows = rows};
  const char *base = getenv("TMPDIR");
  snprintf(bench.directory, sizeof bench.directory, "%.32s/gameday-bench-XXXXXX",
           base ? base : "/tmp");
  if (!mkdtemp(bench.directory)) return 1;
  int result = make_record(&bench, &err) < 0 ? give_up(&err) : 0;
  if (result == 0) {
    pid_t child = fork();
    if (child == 0) {
      char self[32], number[32];
      snprintf(self, sizeof self, "/proc/self/exe");
      snprintf(number, sizeof number, "%" PRIu64, rows);
      execl(self, "bench-check", "--check", bench.directory, number, (char *)NULL);
      _exit(1);
    }
    int status = 1;
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0) result = 1;
  }
  (void)directory_remove(bench.directory, NULL);
  return result;
}

int main(int argc, char **argv) {
  if (argc == 4 && strcmp(argv[1], "--check") == 0) {
    struct bench bench = {.rows = strtoull(argv[3], NULL, 10)};
    snprintf(bench.directory, sizeof bench.directory, "%s", argv[2]);
    return check(&bench);
  }
  int result = 0;
  for (int i = 1; i < argc; i++) result |= measure(strtoull(argv[i], NULL, 10));
  if (argc == 1) result = measure(1000000) | measure(10000000);
  return result;
}
