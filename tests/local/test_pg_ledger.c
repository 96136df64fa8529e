/* The whole of pg-ledger against a real PostgreSQL server that is killed and started again:
 * whatever was acknowledged is there, and nothing is there that was not sent. */
#include "workload/pg_ledger.h"

#include <signal.h>
#include <time.h>

#include "base/file.h"
#include "engine/load.h"
#include "support/fake.h"
#include "support/postgres_server.h"
#include "support/test.h"

#define WORKERS 2

struct run {
  struct postgres_server server;
  char directory[TEMPORARY_SIZE];
  struct pg_ledger_config config;
  struct workload_env env;
  struct recorder *recorder;
  struct load_spec spec;
};

static void run_init(struct run *run) {
  struct error err = ERROR_INIT;
  uint64_t start_ns = clock_now_ns(&clock_monotonic);
  run->config = (struct pg_ledger_config){.common.rate = 800,
                                          .common.clients = 6,
                                          .common.read_ratio = 0.2,
                                          .common.payload = 100,
                                          .common.options = {.connect_timeout_ns = 2 * NS_PER_S,
                                                             .operation_timeout_ns = 10 * NS_PER_S,
                                                             .reconnect_delay_ns = 20 * NS_PER_MS,
                                                             .tcp_user_timeout_ns = 2 * NS_PER_S,
                                                             .pipeline_depth = 4},
                                          .common.pinned_rate = 20,
                                          .replica_rate = 20,
                                          .common.heartbeat_ns = 20 * NS_PER_MS,
                                          .common.probe_interval_ns = 200 * NS_PER_MS};
  temporary_make(run->directory);
  assert_ok(recorder_new(&(struct recorder_spec){.run_directory = run->directory,
                                                 .clock = &clock_monotonic,
                                                 .start_ns = start_ns,
                                                 .wall_start_ns = clock_wall_ns(),
                                                 .producers = WORKERS,
                                                 .ring_count = 1 << 14},
                         &run->recorder, &err),
            &err);
  run->env = (struct workload_env){.workload = &workload_pg_ledger,
                                   .config = &run->config,
                                   .seed = 12345,
                                   .access = &run->server.access,
                                   .clock = &clock_monotonic,
                                   .sink = recorder_sink(run->recorder)};
  run->spec = (struct load_spec){.workers = WORKERS,
                                 .envs = &run->env,
                                 .env_count = 1,
                                 .recorder = run->recorder,
                                 .sink = recorder_sink(run->recorder),
                                 .clock = &clock_monotonic,
                                 .start_ns = start_ns,
                                 .seed = 12345};
  assert_ok(workload_pg_ledger.prepare(&run->env, &err), &err);
}

/* Waits until this many more operations have ended well. */
static void await_ok(struct load *load, uint64_t more) {
  struct load_totals totals;
  load_totals(load, &totals);
  uint64_t target = totals.ok + more;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + 60 * NS_PER_S;
  while (totals.ok < target) {
    struct timespec pause = {.tv_nsec = 1000000};
    nanosleep(&pause, NULL);
    load_totals(load, &totals);
    assert_true(clock_now_ns(&clock_monotonic) < deadline_ns);
  }
}

static void drive(struct run *run) {
  struct error err = ERROR_INIT;
  struct load *load = NULL;
  uint64_t now_ns = clock_now_ns(&clock_monotonic);
  assert_ok(load_start(&run->spec, now_ns + 30 * NS_PER_S, &load, &err), &err);
  load_begin(load, clock_now_ns(&clock_monotonic));
  for (int i = 0; i < 2; i++) {
    await_ok(load, 500);
    postgres_server_stop(&run->server, SIGKILL);
    assert_ok(postgres_server_start(&run->server, NULL, false, &err), &err);
  }
  await_ok(load, 500);
  assert_ok(load_end(load, clock_now_ns(&clock_monotonic), &err), &err);
  assert_ok(load_stop(load, &err), &err);
  load_free(load);
  struct recorder_totals totals;
  assert_ok(recorder_finish(run->recorder, &totals, &err), &err);
  assert_int_equal(totals.dropped, 0);
}

struct rows {
  struct final_reader reader;
  struct final_row *rows;
  uint32_t count, capacity;
};

static int keep_row(struct final_reader *reader, const struct final_row *row, struct error *err) {
  struct rows *rows = (struct rows *)reader;
  if (rows->count == rows->capacity) {
    uint32_t capacity = rows->capacity ? rows->capacity * 2 : 1024;
    struct final_row *grown = realloc(rows->rows, capacity * sizeof *grown);
    if (!grown) return error_set(err, STATUS_MEMORY, "out of memory");
    rows->rows = grown;
    rows->capacity = capacity;
  }
  rows->rows[rows->count++] = *row;
  return 0;
}

static int by_identity(const void *a, const void *b) {
  const struct final_row *x = a, *y = b;
  if (x->identity != y->identity) return x->identity < y->identity ? -1 : 1;
  return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}

/* Every acknowledged write has its row; rows of unknown ones are taken too. What is left was never
 * sent. */
static void compare(const struct operation *operations, size_t count, struct rows *rows) {
  uint32_t acknowledged = 0, unknown = 0, accounted = 0;
  qsort(rows->rows, rows->count, sizeof *rows->rows, by_identity);
  for (size_t i = 0; i < count; i++) {
    const struct operation *operation = &operations[i];
    if (operation->kind != OPERATION_WRITE && operation->kind != OPERATION_PROBE) continue;
    if (operation->outcome == OUTCOME_UNKNOWN) unknown++;
    if (operation->outcome == OUTCOME_OK) {
      acknowledged++;
      assert_int_equal(operation->timeline, 1);
    }
    struct final_row key = {.identity = operation->identity, .sequence = operation->sequence};
    const struct final_row *row =
        bsearch(&key, rows->rows, rows->count, sizeof *rows->rows, by_identity);
    if (operation->outcome == OUTCOME_OK) assert_non_null(row);
    if (!row) continue;
    assert_true(operation->outcome == OUTCOME_OK || operation->outcome == OUTCOME_UNKNOWN);
    assert_int_equal(row->value, operation->value);
    assert_int_equal(row->corrupt, 0);
    accounted++;
  }
  assert_int_equal(accounted, rows->count);
  assert_true(acknowledged > 500);
  assert_true(unknown > 0);
}

static void test_acknowledged_rows_survive_and_no_others_appear(void **state) {
  (void)state;
  struct error err = ERROR_INIT;
  struct run run = {.config = {.common.rate = 0}};
  if (postgres_server_make(&run.server, &err) < 0) skip_because("%s", err.message);
  assert_ok(postgres_server_start(&run.server, NULL, false, &err), &err);
  run_init(&run);
  drive(&run);
  struct rows rows = {.reader = {.row = keep_row}};
  assert_ok(workload_pg_ledger.final_read(&run.env, &run.server.endpoint, &rows.reader, &err),
            &err);
  char path[TEMPORARY_SIZE + 32];
  snprintf(path, sizeof path, "%s/operations.bin", run.directory);
  struct buf bytes;
  buf_init(&bytes);
  assert_ok(file_read(path, 1 << 28, &bytes, &err), &err);
  const size_t head = sizeof(struct record_head);
  size_t count = (bytes.length - head) / sizeof(struct operation);
  struct operation *operations = malloc(count * sizeof *operations);
  assert_non_null(operations);
  memcpy(operations, bytes.data + head, count * sizeof *operations);
  compare(operations, count, &rows);
  free(operations);
  free(rows.rows);
  buf_release(&bytes);
  recorder_free(run.recorder);
  temporary_remove(run.directory);
  postgres_server_remove(&run.server);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_acknowledged_rows_survive_and_no_others_appear),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
