/* The recorder: order, drops, full disks, a harness that is killed. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "engine/record.h"
#include "engine/recorder.h"

struct place {
  char directory[64];
  struct recorder *recorder;
};

static void must(int status, const struct error *err) {
  if (status < 0) print_error("%s\n", err->message);
  assert_int_equal(status, 0);
}

static void place_make(struct place *place) {
  const char *base = getenv("TMPDIR");
  snprintf(place->directory, sizeof place->directory, "%.32s/gameday-test-XXXXXX",
           base ? base : "/tmp");
  assert_non_null(mkdtemp(place->directory));
  place->recorder = NULL;
}

static void place_begin(struct place *place, uint32_t producers, uint32_t ring_count) {
  struct error err = ERROR_INIT;
  place_make(place);
  must(recorder_new(&(struct recorder_spec){.run_directory = place->directory,
                                            .clock = &clock_monotonic,
                                            .start_ns = clock_now_ns(&clock_monotonic),
                                            .wall_start_ns = 77,
                                            .producers = producers,
                                            .ring_count = ring_count},
                    &place->recorder, &err),
       &err);
}

static void place_end(struct place *place) {
  struct error err = ERROR_INIT;
  recorder_free(place->recorder);
  must(directory_remove(place->directory, &err), &err);
}

static void write_run(const struct place *place, const char *hosts) {
  struct error err = ERROR_INIT;
  char path[128], text[1024];
  snprintf(path, sizeof path, "%s/run.json", place->directory);
  snprintf(text, sizeof text,
           "{\"schema\": \"gameday/run/v1\", \"hosts\": [%s], \"faults\": [], \"finished\": true}",
           hosts);
  must(file_puts(path, text, 0644, &err), &err);
}

static void read_file(const struct place *place, const char *name, struct buf *ret) {
  struct error err = ERROR_INIT;
  char path[128];
  snprintf(path, sizeof path, "%s/%s", place->directory, name);
  buf_init(ret);
  must(file_read(path, (size_t)1 << 30, ret, &err), &err);
}

static struct operation operation_at(uint64_t done_ns, uint16_t client) {
  return (struct operation){.scheduled_ns = done_ns,
                            .done_ns = done_ns,
                            .client = client,
                            .outcome = OUTCOME_OK,
                            .route = ROUTE_PRIMARY,
                            .host = HOST_NONE};
}

/* --- order ----------------------------------------------------------------------------------- */

struct producer {
  struct recorder *recorder;
  uint32_t index, count;
  uint64_t start_ns;
};

static void *produce(void *data) {
  const struct producer *producer = data;
  for (uint32_t i = 0; i < producer->count; i++) {
    uint64_t now_ns = clock_now_ns(&clock_monotonic) - producer->start_ns;
    const struct operation operation = operation_at(now_ns, (uint16_t)producer->index);
    while (!recorder_operation(producer->recorder, producer->index, &operation))
      recorder_flush(producer->recorder);
  }
  return NULL;
}

static int check_order(void *data, const struct record_item *item, struct error *err) {
  uint64_t *last_ns = data;
  (void)err;
  assert_true(item->operation->done_ns >= *last_ns);
  *last_ns = item->operation->done_ns;
  return 0;
}

static void test_workers_are_merged_in_the_order_of_completion(void **state) {
  enum { WORKERS = 4, EACH = 20000 };
  struct error err = ERROR_INIT;
  struct place place;
  pthread_t threads[WORKERS];
  struct producer producers[WORKERS];
  (void)state;
  place_begin(&place, WORKERS, 1024);
  uint64_t start_ns = clock_now_ns(&clock_monotonic);
  for (uint32_t i = 0; i < WORKERS; i++) {
    producers[i] = (struct producer){place.recorder, i, EACH, start_ns};
    assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
  }
  for (uint32_t i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
  struct recorder_totals totals;
  must(recorder_finish(place.recorder, &totals, &err), &err);
  assert_int_equal(totals.operations, WORKERS * EACH);
  uint64_t writes[OUTCOME_COUNT], reads[OUTCOME_COUNT];
  recorder_counts(place.recorder, writes, reads);
  assert_int_equal(writes[OUTCOME_OK], WORKERS * EACH);
  assert_int_equal(reads[OUTCOME_OK], 0);
  write_run(&place, "");
  struct record record;
  must(record_open(place.directory, &record, &err), &err);
  uint64_t last_ns = 0;
  must(record_visit_all(&record, WANTS_OPERATIONS, check_order, &last_ns, &err), &err);
  record_close(&record);
  place_end(&place);
}

static void test_a_full_ring_is_counted(void **state) {
  struct error err = ERROR_INIT;
  struct place place;
  struct recorder_totals totals;
  uint64_t taken = 0;
  (void)state;
  place_begin(&place, 1, 16);
  const struct operation operation = operation_at(1, 0);
  for (int i = 0; i < 100000; i++)
    if (recorder_operation(place.recorder, 0, &operation)) taken++;
  must(recorder_finish(place.recorder, &totals, &err), &err);
  assert_int_equal(totals.operations, taken);
  assert_int_equal(totals.dropped, 100000 - taken);
  assert_true(totals.dropped > 0);
  place_end(&place);
}

/* Hands over so many events as fast as it goes. */
static struct recorder_totals hand_over_events(int count) {
  struct error err = ERROR_INIT;
  struct place place;
  struct recorder_totals totals;
  place_begin(&place, 1, 16);
  struct sink *sink = recorder_sink(place.recorder);
  const struct event event = {.kind = EVENT_IDENTITY, .fault = FAULT_NONE, .host = HOST_NONE};
  for (int i = 0; i < count; i++) sink->event(sink, &event);
  must(recorder_finish(place.recorder, &totals, &err), &err);
  place_end(&place);
  return totals;
}

static void test_a_full_queue_is_counted(void **state) {
  (void)state;
  struct recorder_totals totals = hand_over_events(400000);
  assert_int_equal(totals.events + totals.dropped, 400000);
}

/* Every client of a run tells of a new identity at the moment at which their server dies. */
static void test_events_of_many_clients_at_once_fit(void **state) {
  (void)state;
  struct recorder_totals totals = hand_over_events(100000);
  assert_int_equal(totals.events, 100000);
  assert_int_equal(totals.dropped, 0);
}

/* --- events ---------------------------------------------------------------------------------- */

static void test_events_are_json_whatever_a_server_says(void **state) {
  struct error err = ERROR_INIT;
  struct place place;
  struct buf text;
  (void)state;
  place_begin(&place, 1, 16);
  struct sink *sink = recorder_sink(place.recorder);
  struct event event = {.time_ns = 5,
                        .kind = EVENT_ROLE,
                        .fault = 3,
                        .host = 2,
                        .number = -4,
                        .role = ROLE_PRIMARY,
                        .number2 = INT64_MAX};
  strcpy(event.text, "a \"quote\" \\ tab\t bell\a high\xc3\xa9 bad\xff\xc3 cut\xe2\x82");
  sink->event(sink, &event);
  memset(event.text, 'x', sizeof event.text); /* no NUL at all */
  sink->event(sink, &event);
  memset(event.text, '\xf0', sizeof event.text); /* the end of the text cuts a sequence */
  sink->event(sink, &event);
  must(recorder_finish(place.recorder, NULL, &err), &err);
  read_file(&place, "events.jsonl", &text);
  int lines = 0;
  for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n"), lines++) {
    json_error_t why;
    json_t *object = json_loads(line, 0, &why);
    assert_non_null(object);
    if (lines == 0) {
      assert_string_equal(json_string_value(json_object_get(object, "schema")),
                          "gameday/events/v1");
      assert_int_equal(json_integer_value(json_object_get(object, "wall_start_ns")), 77);
    } else {
      assert_int_equal(json_integer_value(json_object_get(object, "time_ns")), 5);
      assert_int_equal(json_integer_value(json_object_get(object, "number")), -4);
      assert_true(json_integer_value(json_object_get(object, "number2")) == INT64_MAX);
      assert_string_equal(json_string_value(json_object_get(object, "role")), "primary");
    }
    if (lines == 1)
      assert_string_equal(json_string_value(json_object_get(object, "text")),
                          "a \"quote\" \\ tab\t bell\a high\xc3\xa9 bad\xef\xbf\xbd\xef\xbf\xbd "
                          "cut\xef\xbf\xbd\xef\xbf\xbd");
    if (lines == 2)
      assert_int_equal(strlen(json_string_value(json_object_get(object, "text"))),
                       EVENT_TEXT_SIZE - 1);
    json_decref(object);
  }
  assert_int_equal(lines, 4);
  buf_release(&text);
  place_end(&place);
}

static void test_a_time_of_zero_is_stamped(void **state) {
  struct error err = ERROR_INIT;
  struct place place;
  struct buf text;
  (void)state;
  place_begin(&place, 1, 16);
  struct sink *sink = recorder_sink(place.recorder);
  const struct sample sample = {.metric = METRIC_CONNECTIONS, .host = 1, .value = 2};
  sink->sample(sink, &sample);
  must(recorder_finish(place.recorder, NULL, &err), &err);
  read_file(&place, "samples.bin", &text);
  assert_int_equal(text.length, sizeof(struct record_head) + sizeof sample);
  struct sample written;
  memcpy(&written, text.data + sizeof(struct record_head), sizeof written);
  assert_true(written.time_ns > 0 && written.time_ns < 60 * NS_PER_S);
  buf_release(&text);
  place_end(&place);
}

/* --- final rows ------------------------------------------------------------------------------ */

static void add_rows(struct recorder *recorder, uint32_t identity, uint32_t count) {
  struct error err = ERROR_INIT;
  must(recorder_rows_begin(recorder, 0, "pg1", &err), &err);
  for (uint32_t i = 1; i <= count; i++) {
    const struct final_row row = {.identity = identity, .sequence = i};
    must(recorder_row(recorder, &row, &err), &err);
  }
  must(recorder_rows_end(recorder, &err), &err);
}

static void test_rows_of_a_second_workload_are_added(void **state) {
  struct error err = ERROR_INIT;
  struct place place;
  struct buf text;
  struct recorder_totals totals;
  (void)state;
  place_begin(&place, 1, 16);
  add_rows(place.recorder, 1, 5000);
  add_rows(place.recorder, 2, 3);
  must(recorder_finish(place.recorder, &totals, &err), &err);
  assert_int_equal(totals.rows, 5003);
  read_file(&place, "final-pg1.bin", &text);
  assert_int_equal(text.length, sizeof(struct record_head) + 5003 * sizeof(struct final_row));
  buf_release(&text);
  assert_int_equal(recorder_rows_begin(place.recorder, 1, "../evil", &err), STATUS_INTERNAL);
  place_end(&place);
}

/* What an earlier run left in the directory is not taken for this one's. */
static void test_older_files_go(void **state) {
  struct error err = ERROR_INIT;
  struct place place;
  struct buf text;
  (void)state;
  place_begin(&place, 1, 16);
  add_rows(place.recorder, 1, 10);
  recorder_free(place.recorder);
  must(recorder_new(&(struct recorder_spec){.run_directory = place.directory,
                                            .clock = &clock_monotonic,
                                            .start_ns = 0,
                                            .wall_start_ns = 0,
                                            .producers = 1,
                                            .ring_count = 16},
                    &place.recorder, &err),
       &err);
  add_rows(place.recorder, 1, 2);
  recorder_free(place.recorder);
  place.recorder = NULL;
  read_file(&place, "final-pg1.bin", &text);
  assert_int_equal(text.length, sizeof(struct record_head) + 2 * sizeof(struct final_row));
  buf_release(&text);
  read_file(&place, "events.jsonl", &text);
  assert_null(strchr(strchr(text.data, '\n') + 1, '\n'));
  buf_release(&text);
  place_end(&place);
}

/* --- failures -------------------------------------------------------------------------------- */

/* A file size limit is a full disk for one process: a write past it fails with EFBIG. */
static void test_a_full_disk_is_reported_and_leaves_whole_elements(void **state) {
  struct error err = ERROR_INIT;
  struct place place;
  struct recorder_totals totals;
  struct buf text;
  struct rlimit before, little;
  (void)state;
  place_begin(&place, 1, 4096);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  little = before;
  little.rlim_cur = sizeof(struct record_head) + 100 * sizeof(struct operation) + 17;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
  for (uint64_t i = 0; i < 1000; i++) {
    const struct operation operation = operation_at(i + 1, 0);
    assert_true(recorder_operation(place.recorder, 0, &operation));
  }
  int status = recorder_finish(place.recorder, &totals, &err);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(status, STATUS_SYSTEM);
  assert_int_equal(err.errnum, EFBIG);
  assert_non_null(strstr(err.message, "operations.bin"));
  assert_int_equal(totals.operations + totals.dropped, 1000);
  assert_true(totals.dropped > 0);
  read_file(&place, "operations.bin", &text);
  assert_int_equal((text.length - sizeof(struct record_head)) % sizeof(struct operation), 0);
  buf_release(&text);
  place_end(&place);
}

static void test_a_directory_that_is_not_there(void **state) {
  struct error err = ERROR_INIT;
  struct recorder *recorder = NULL;
  (void)state;
  int status = recorder_new(&(struct recorder_spec){.run_directory = "/nonexistent/run",
                                                    .clock = &clock_monotonic,
                                                    .start_ns = 0,
                                                    .wall_start_ns = 0,
                                                    .producers = 1,
                                                    .ring_count = 16},
                            &recorder, &err);
  assert_int_equal(status, STATUS_SYSTEM);
  assert_null(recorder);
  recorder_free(NULL);
}

/* Everything up to 100 ms before the kill is there, and the record opens. */
static void test_a_killed_harness_leaves_a_readable_record(void **state) {
  struct error err = ERROR_INIT;
  struct place place;
  int ready[2];
  char byte;
  (void)state;
  place_make(&place);
  write_run(&place, "");
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (recorder_new(&(struct recorder_spec){.run_directory = place.directory,
                                             .clock = &clock_monotonic,
                                             .start_ns = 0,
                                             .wall_start_ns = 0,
                                             .producers = 1,
                                             .ring_count = 4096},
                     &place.recorder, NULL) < 0)
      _exit(1);
    struct sink *sink = recorder_sink(place.recorder);
    const struct event event = {
        .time_ns = 9, .kind = EVENT_WARNING, .fault = FAULT_NONE, .host = HOST_NONE};
    sink->event(sink, &event);
    for (uint64_t i = 1; i <= 1000; i++) {
      const struct operation operation = operation_at(i, 0);
      (void)recorder_operation(place.recorder, 0, &operation);
    }
    recorder_flush(place.recorder);
    if (write(ready[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  assert_int_equal(read(ready[0], &byte, 1), 1);
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
  close(ready[0]);
  close(ready[1]);
  struct record record;
  struct operation_counts writes, reads;
  must(record_open(place.directory, &record, &err), &err);
  must(record_count(&record, &writes, &reads, &err), &err);
  assert_int_equal(record.info.end_ns, 1000);
  assert_int_equal(record.info.load_begin_ns, TIME_NEVER);
  record_close(&record);
  place_end(&place);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_workers_are_merged_in_the_order_of_completion),
      cmocka_unit_test(test_a_full_ring_is_counted),
      cmocka_unit_test(test_a_full_queue_is_counted),
      cmocka_unit_test(test_events_of_many_clients_at_once_fit),
      cmocka_unit_test(test_events_are_json_whatever_a_server_says),
      cmocka_unit_test(test_a_time_of_zero_is_stamped),
      cmocka_unit_test(test_rows_of_a_second_workload_are_added),
      cmocka_unit_test(test_older_files_go),
      cmocka_unit_test(test_a_full_disk_is_reported_and_leaves_whole_elements),
      cmocka_unit_test(test_a_directory_that_is_not_there),
      cmocka_unit_test(test_a_killed_harness_leaves_a_readable_record),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
