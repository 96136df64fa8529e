/* The record reader: what it derives, what it repairs, and what it says of damaged files. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "support/synthetic.h"

static void must(int status, const struct error *err) {
  if (status < 0) print_error("%s\n", err->message);
  assert_int_equal(status, 0);
}

/* A good record, whose files a test then damages. */
static void begin(struct synthetic *it) {
  synthetic_begin(it, NULL);
  synthetic_crash(it, 20);
  synthetic_sample(it, 20, METRIC_LAG_BYTES, PG2, 1);
  synthetic_finish(it);
}

static void read_file(const struct synthetic *it, const char *name, struct buf *ret) {
  struct error err = ERROR_INIT;
  char path[128];
  snprintf(path, sizeof path, "%s/%s", it->directory, name);
  buf_init(ret);
  must(file_read(path, (size_t)1 << 30, ret, &err), &err);
}

static void write_file(const struct synthetic *it, const char *name, const void *bytes,
                       size_t length) {
  struct error err = ERROR_INIT;
  char path[128];
  snprintf(path, sizeof path, "%s/%s", it->directory, name);
  must(file_write(path, bytes, length, 0644, &err), &err);
}

/* Opens the directory again and expects an error whose full text ends with `text`. */
static void expect_damage(const struct synthetic *it, const char *text) {
  struct error err = ERROR_INIT;
  struct record record = {.files = NULL};
  char message[ERROR_MESSAGE_SIZE + ERROR_FILE_SIZE];
  assert_int_equal(record_open(it->directory, &record, &err), STATUS_USAGE);
  assert_null(record.files);
  error_format(&err, message, sizeof message);
  const char *directory = strstr(message, it->directory);
  assert_non_null(directory);
  if (strcmp(directory + strlen(it->directory) + 1, text) != 0)
    fail_msg("got '%s', expected '%s'", directory + strlen(it->directory) + 1, text);
}

static void test_facts_follow_from_the_events(void **state) {
  struct synthetic it;
  (void)state;
  begin(&it);
  const struct record_info *info = &it.record.info;
  assert_int_equal(info->host_count, 4);
  assert_string_equal(info->hosts[PG2], "pg2");
  assert_int_equal(info->load_begin_ns, SECONDS(10));
  assert_int_equal(info->load_end_ns, SECONDS(70));
  assert_int_equal(info->end_ns, SECONDS(90));
  assert_int_equal(info->fault_count, 1);
  assert_int_equal(info->faults[0].journaled_ns, SECONDS(29.990));
  assert_int_equal(info->faults[0].injected_ns, SECONDS(29.995));
  assert_int_equal(info->faults[0].confirmed_ns, SECONDS(30));
  assert_int_equal(info->faults[0].healed_ns, SECONDS(60));
  assert_int_equal(info->faults[0].heal_confirmed_ns, SECONDS(60.1));
  assert_int_equal(info->faults[0].host, PG1);
  assert_string_equal(info->faults[0].injector, "host-crash");
  assert_int_equal(info->final_primary, PG2);
  assert_int_equal(info->final_hosts.words[0], 7);
  assert_true(info->complete);
  assert_true(info->write_rate > 19.99 && info->write_rate < 20.01);
  assert_string_equal(it.record.provider, "sim");
  assert_int_equal(it.record.seed, 42);
  assert_null(it.record.settings_json);
  struct error err = ERROR_INIT;
  struct operation_counts writes, reads;
  must(record_count(&it.record, &writes, &reads, &err), &err);
  assert_int_equal(writes.scheduled, 1200);
  assert_int_equal(writes.ok, 760);
  assert_int_equal(writes.fail, 440);
  assert_int_equal(writes.scheduled, writes.ok + writes.fail + writes.unknown + writes.skipped);
  assert_int_equal(reads.scheduled, 0);
  synthetic_release(&it);
}

/* --- order ----------------------------------------------------------------------------------- */

struct order {
  uint64_t last_ns, operations, samples, events, rows;
  uint16_t last_host;
  bool rows_first;
};

static int check_item(void *data, const struct record_item *item, struct error *err) {
  struct order *order = data;
  (void)err;
  assert_int_equal((item->operation != NULL) + (item->sample != NULL) + (item->event != NULL) +
                       (item->row != NULL),
                   1);
  if (item->row) {
    assert_true(item->row_host >= order->last_host);
    order->last_host = item->row_host;
    order->rows++;
    if (order->rows_first) assert_int_equal(order->operations + order->events, 0);
    return 0;
  }
  assert_true(item->time_ns >= order->last_ns);
  order->last_ns = item->time_ns;
  if (!order->rows_first) assert_int_equal(order->rows, 0);
  if (item->operation) order->operations++;
  if (item->sample) order->samples++;
  if (item->event) order->events++;
  return 0;
}

static void test_all_is_given_in_the_order_of_time(void **state) {
  struct error err = ERROR_INIT;
  struct synthetic it;
  struct order order = {.last_ns = 0}, first = {.rows_first = true};
  (void)state;
  begin(&it);
  must(record_visit_all(&it.record, WANTS_OPERATIONS | WANTS_SAMPLES | WANTS_EVENTS | WANTS_ROWS,
                        check_item, &order, &err),
       &err);
  assert_int_equal(order.operations, 1200);
  assert_int_equal(order.samples, 1);
  assert_int_equal(order.rows, 3 * 760);
  must(record_visit_all(&it.record, WANTS_OPERATIONS | WANTS_EVENTS | WANTS_ROWS_FIRST, check_item,
                        &first, &err),
       &err);
  assert_int_equal(first.operations, 1200);
  assert_int_equal(first.events, order.events);
  assert_int_equal(first.rows, 3 * 760);
  synthetic_release(&it);
}

static int stop_at_once(void *data, const struct record_item *item, struct error *err) {
  int *calls = data;
  (void)item;
  (*calls)++;
  return error_set(err, STATUS_INTERRUPTED, "enough");
}

static void test_a_visitor_can_stop(void **state) {
  struct error err = ERROR_INIT;
  struct synthetic it;
  int calls = 0;
  (void)state;
  begin(&it);
  int status = record_visit_all(&it.record, WANTS_OPERATIONS, stop_at_once, &calls, &err);
  assert_int_equal(status, STATUS_INTERRUPTED);
  assert_int_equal(calls, 1);
  synthetic_release(&it);
}

/* Moves operation `from` to place `to` in operations.bin. */
static void move_operation(const struct synthetic *it, size_t from, size_t to) {
  struct buf file;
  read_file(it, "operations.bin", &file);
  struct operation *operations = (struct operation *)(void *)(file.data + 64);
  struct operation moved = operations[from];
  memmove(&operations[to + 1], &operations[to], (from - to) * sizeof moved);
  operations[to] = moved;
  write_file(it, "operations.bin", file.data, file.length);
  buf_release(&file);
}

static void reopen(struct synthetic *it) {
  struct error err = ERROR_INIT;
  record_close(&it->record);
  must(record_open(it->directory, &it->record, &err), &err);
}

static void test_small_disorder_is_repaired(void **state) {
  struct error err = ERROR_INIT;
  struct synthetic it;
  struct order order = {.last_ns = 0};
  (void)state;
  begin(&it);
  move_operation(&it, 130, 100); /* 1.5 s too early */
  move_operation(&it, 300, 262);
  reopen(&it);
  must(record_visit_all(&it.record, WANTS_OPERATIONS | WANTS_EVENTS, check_item, &order, &err),
       &err);
  assert_int_equal(order.operations, 1200);
  synthetic_release(&it);
}

static void test_great_disorder_is_not_trusted(void **state) {
  struct error err = ERROR_INIT;
  struct synthetic it;
  struct order order = {.last_ns = 0};
  (void)state;
  begin(&it);
  move_operation(&it, 300, 200); /* 5 s */
  reopen(&it);
  int status = record_visit_all(&it.record, WANTS_OPERATIONS, check_item, &order, &err);
  assert_int_equal(status, STATUS_UNTRUSTED);
  /* The judge says so too, and gives no number. */
  synthetic_judge(&it, NULL, NULL);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  assert_false(synthetic_measure(&it, "write_outage", FAULT_NONE)->known);
  synthetic_release(&it);
}

/* --- damage ---------------------------------------------------------------------------------- */

static void test_no_run_directory(void **state) {
  struct error err = ERROR_INIT;
  struct record record;
  (void)state;
  assert_int_equal(record_open("/nonexistent", &record, &err), STATUS_USAGE);
  assert_string_equal(err.message,
                      "/nonexistent/run.json is not there: /nonexistent is no run directory");
}

static void test_damaged_run_json(void **state) {
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"{\"schema\": \"gameday/run/v1\",\n  \"hosts\": [}", "run.json:2:13: "},
      {"[]", "run.json: schema is not gameday/run/v1"},
      {"{\"schema\": \"gameday/run/v2\"}", "run.json: schema is not gameday/run/v1"},
      {"{\"schema\": \"gameday/run/v1\"}", "run.json: hosts must be a list of at most 1024"},
      {"{\"schema\": \"gameday/run/v1\", \"hosts\": [{}], \"faults\": []}",
       "run.json: a host has no usable name"},
      {"{\"schema\": \"gameday/run/v1\", \"hosts\": [{\"name\": \"../x\"}], \"faults\": []}",
       "run.json: a host has no usable name"},
      {"{\"schema\": \"gameday/run/v1\", \"hosts\": [{\"name\": \"x\", \"kind\": \"y\"}]}",
       "run.json: a host's kind must be server, client or monitor"},
      {"{\"schema\": \"gameday/run/v1\", \"hosts\": [{\"name\": \"x\", \"kind\": \"server\"},"
       "{\"name\": \"x\", \"kind\": \"server\"}]}",
       "run.json: two hosts have the same name"},
      {"{\"schema\": \"gameday/run/v1\", \"hosts\": []}",
       "run.json: faults must be a list of at most 10000"},
      {"{\"schema\": \"gameday/run/v1\", \"hosts\": [], \"faults\": [], \"dropped\": -1}",
       "run.json: dropped must be a whole number from 0 to 9223372036854775807"},
      {"{\"schema\": \"gameday/run/v1\", \"hosts\": [], \"faults\": [], \"write_rate\": \"x\"}",
       "run.json: write_rate must be operations a second"},
      {"{\"schema\": \"gameday/run/v1\", \"services\": {}}",
       "run.json: services must be a list of at most 16"},
      {"{\"schema\": \"gameday/run/v1\", \"services\": [1]}",
       "run.json: a service's name must be text"},
      {"{\"schema\": \"gameday/run/v1\", \"services\": [\"a\"], \"hosts\": [{\"name\": \"x\","
       "\"kind\": \"server\", \"service\": \"b\"}]}",
       "run.json: a host's service is not in services"},
      {"{\"schema\": \"gameday/run/v1\", \"hosts\": [], \"workloads\": [\"w\"],"
       "\"workload_facts\": [{\"service\": \"b\"}]}",
       "run.json: a workload's service is not in services"},
  };
  struct synthetic it;
  (void)state;
  begin(&it);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_file(&it, "run.json", cases[i].text, strlen(cases[i].text));
    struct error err = ERROR_INIT;
    struct record record;
    char message[ERROR_MESSAGE_SIZE + ERROR_FILE_SIZE];
    assert_int_equal(record_open(it.directory, &record, &err), STATUS_USAGE);
    error_format(&err, message, sizeof message);
    assert_non_null(strstr(message, cases[i].message));
  }
  synthetic_release(&it);
}

static void test_damaged_events_are_located(void **state) {
  static const char head[] = "{\"schema\":\"gameday/events/v1\"}\n";
  static const struct {
    const char *text, *message;
  } cases[] = {
      {"", "events.jsonl:1:1: the first line is missing"},
      {"{}\n", "events.jsonl:1:1: schema is not gameday/events/v1"},
      {"H{\"time_ns\":1,\"kind\":\"run\"}\nnonsense\n",
       "events.jsonl:3:8: '[' or '{' expected near 'nonsense'"},
      {"H{\"kind\":\"run\"}\n", "events.jsonl:2:1: time_ns is missing or out of range"},
      {"H{\"time_ns\":-1,\"kind\":\"run\"}\n",
       "events.jsonl:2:1: time_ns is missing or out of range"},
      {"H{\"time_ns\":9223372036854775807,\"kind\":\"run\"}\n",
       "events.jsonl:2:1: time_ns is missing or out of range"},
      {"H{\"time_ns\":1,\"kind\":\"party\"}\n",
       "events.jsonl:2:1: kind is missing or not known to this version"},
      {"H{\"time_ns\":1,\"kind\":\"run\",\"fault\":1}\n",
       "events.jsonl:2:1: fault is not an index of run.json's faults"},
      {"H{\"time_ns\":1,\"kind\":\"run\",\"fault\":-1}\n",
       "events.jsonl:2:1: fault is not an index of run.json's faults"},
      {"H{\"time_ns\":1,\"kind\":\"run\",\"fault\":\"0\"}\n",
       "events.jsonl:2:1: fault is not an index of run.json's faults"},
      {"H{\"time_ns\":1,\"kind\":\"run\",\"host\":4}\n",
       "events.jsonl:2:1: host is not an index of run.json's hosts"},
      {"H{\"time_ns\":1,\"kind\":\"role\",\"host\":1}\n",
       "events.jsonl:2:1: role must be none, primary or replica"},
  };
  struct synthetic it;
  (void)state;
  begin(&it);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[512];
    bool with_head = cases[i].text[0] == 'H';
    snprintf(text, sizeof text, "%s%s", with_head ? head : "", cases[i].text + with_head);
    write_file(&it, "events.jsonl", text, strlen(text));
    expect_damage(&it, cases[i].message);
  }
  synthetic_release(&it);
}

static void test_torn_ends_are_dropped(void **state) {
  struct synthetic it;
  struct buf file;
  (void)state;
  begin(&it);
  read_file(&it, "events.jsonl", &file);
  write_file(&it, "events.jsonl", file.data, file.length - 10); /* the last is "end" at 90 s */
  buf_release(&file);
  read_file(&it, "operations.bin", &file);
  write_file(&it, "operations.bin", file.data, file.length - 1);
  buf_release(&file);
  reopen(&it);
  struct error err = ERROR_INIT;
  struct operation_counts writes, reads;
  must(record_count(&it.record, &writes, &reads, &err), &err);
  assert_int_equal(writes.scheduled, 1199);
  assert_int_equal(it.record.info.end_ns, SECONDS(88));
  synthetic_release(&it);
}

/* A finished record whose end was cut off said FAIL: of the rows whose writes were gone it said
 * that nobody had written them. */
static void test_a_cut_record_accuses_nobody(void **state) {
  struct synthetic it;
  struct buf file;
  (void)state;
  begin(&it);
  read_file(&it, "operations.bin", &file);
  write_file(&it, "operations.bin", file.data, file.length - 100 * sizeof(struct operation));
  buf_release(&file);
  reopen(&it);
  assert_non_null(strstr(it.record.damage, "operations.bin holds "));
  assert_false(it.record.info.complete);
  synthetic_judge(&it, NULL, NULL);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  assert_false(it.result.trusted);
  synthetic_release(&it);
}

static void test_damaged_heads(void **state) {
  struct synthetic it;
  struct buf file;
  (void)state;
  begin(&it);
  read_file(&it, "operations.bin", &file);
  write_file(&it, "operations.bin", file.data, 63);
  expect_damage(&it, "operations.bin is damaged: it ends within its head");
  file.data[0] = 'X';
  write_file(&it, "operations.bin", file.data, file.length);
  expect_damage(&it, "operations.bin is damaged: it does not begin as such a file must");
  file.data[0] = 'G';
  file.data[7] = 1;
  write_file(&it, "operations.bin", file.data, file.length);
  expect_damage(&it,
                "operations.bin is of version 1 of this file, and this gameday reads version 2; "
                "judge it with the gameday that wrote it (gameday_version in run.json)");
  file.data[7] = 2;
  file.data[12] = 65;
  write_file(&it, "operations.bin", file.data, file.length);
  expect_damage(&it,
                "operations.bin is damaged: head of 64 and elements of 65 bytes, expected 64 "
                "and 64");
  buf_release(&file);
  synthetic_release(&it);
}

static void test_missing_files(void **state) {
  static const char *const names[] = {"samples.bin", "operations.bin", "events.jsonl"};
  struct synthetic it;
  (void)state;
  begin(&it);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[128], text[64];
    snprintf(path, sizeof path, "%s/%s", it.directory, names[i]);
    assert_int_equal(unlink(path), 0);
    snprintf(text, sizeof text, "%s is not there", names[i]);
    expect_damage(&it, text);
  }
  synthetic_release(&it);
}

/* Where docs/record.md says that the packed fields are. */
#define PACKED_CLIENT 56
#define PACKED_SHARD 62

static void test_packed_fields_are_where_the_docs_say(void **state) {
  (void)state;
  const struct operation operation = {.client = 0xABCDE,
                                      .workload = 37,
                                      .outcome = OUTCOME_UNKNOWN,
                                      .route = ROUTE_PROXY,
                                      .host = 1003,
                                      .shard = SHARDS_MAX,
                                      .kind = OPERATION_REGISTER_CAS};
  uint32_t word;
  uint16_t half;
  memcpy(&word, (const char *)&operation + PACKED_CLIENT, sizeof word);
  memcpy(&half, (const char *)&operation + PACKED_SHARD, sizeof half);
  assert_int_equal(word & 0xFFFFF, 0xABCDE);
  assert_int_equal(word >> 20 & 63, 37);
  assert_int_equal(word >> 26 & 7, OUTCOME_UNKNOWN);
  assert_int_equal(word >> 29, ROUTE_PROXY);
  assert_int_equal(offsetof(struct operation, host), 60);
  assert_int_equal(half & SHARD_MASK, SHARDS_MAX);
  assert_int_equal(half >> 11, OPERATION_REGISTER_CAS);
  assert_true(OUTCOME_COUNT < 8 && ROUTE_COUNT < 8 && OPERATION_KIND_COUNT < 32);
}

static void test_damaged_operations_are_located(void **state) {
  static const struct {
    size_t offset;
    uint8_t byte;
    const char *message;
  } cases[] = {
      {PACKED_SHARD + 1, 31 << 3, "kind 31 is not known"},
      {PACKED_CLIENT + 3, 4 << 2, "outcome 4 is not known"},
      {PACKED_CLIENT + 3, 6 << 5, "route 6 is not known"},
      {offsetof(struct operation, host), 4, "host 4 is not in run.json"},
      {offsetof(struct operation, host) + 1, 3, "host 768 is not in run.json"},
      {PACKED_SHARD + 1, 7, "shard 1792 is out of range"},
      {offsetof(struct operation, done_ns) + 7, 255, "a time is out of range"},
      {offsetof(struct operation, scheduled_ns) + 7, 1, "a time is out of range"},
      {offsetof(struct operation, sent_ns) + 5, 40, "it was done before it was sent"},
      {offsetof(struct operation, identity) + 3, 2, "identity 33554433 is out of range"},
  };
  struct synthetic it;
  (void)state;
  begin(&it);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct buf file;
    char text[128];
    read_file(&it, "operations.bin", &file);
    char *byte = file.data + 64 + 7 * sizeof(struct operation) + cases[i].offset;
    char before = *byte;
    *byte = (char)cases[i].byte;
    write_file(&it, "operations.bin", file.data, file.length);
    snprintf(text, sizeof text, "operations.bin is damaged at element 7: %s", cases[i].message);
    expect_damage(&it, text);
    *byte = before;
    write_file(&it, "operations.bin", file.data, file.length);
    buf_release(&file);
  }
  reopen(&it);
  synthetic_release(&it);
}

static void test_damaged_samples_are_located(void **state) {
  struct synthetic it;
  const struct sample bad[] = {{.time_ns = 1, .metric = 99, .host = 0},
                               {.time_ns = 1, .metric = 0, .host = 4},
                               {.time_ns = 1, .metric = 0, .host = 0, .value = 1 / 0.0}};
  static const char *const messages[] = {"metric 99 is not known", "host 4 is not in run.json",
                                         "its time or value is out of range"};
  (void)state;
  begin(&it);
  for (size_t i = 0; i < 3; i++) {
    struct buf file;
    char text[128];
    read_file(&it, "samples.bin", &file);
    memcpy(file.data + 64, &bad[i], sizeof bad[i]);
    write_file(&it, "samples.bin", file.data, file.length);
    snprintf(text, sizeof text, "samples.bin is damaged at element 0: %s", messages[i]);
    expect_damage(&it, text);
    buf_release(&file);
  }
  synthetic_release(&it);
}

/* The file is cut after it was opened: an error, not a signal. */
static void test_a_file_that_shrinks_while_it_is_read(void **state) {
  struct error err = ERROR_INIT;
  struct synthetic it;
  struct order order = {.last_ns = 0};
  char path[128];
  (void)state;
  begin(&it);
  snprintf(path, sizeof path, "%s/operations.bin", it.directory);
  assert_int_equal(truncate(path, 100), 0);
  int status = record_visit_all(&it.record, WANTS_OPERATIONS, check_item, &order, &err);
  assert_int_equal(status, STATUS_USAGE);
  assert_non_null(strstr(err.message, "was cut while it was read"));
  synthetic_release(&it);
}

/* A run that was killed under load: what was measured ends with the last thing seen. */
static void test_a_run_cut_short(void **state) {
  struct synthetic it;
  struct buf file;
  (void)state;
  begin(&it);
  read_file(&it, "events.jsonl", &file);
  char *drain = strstr(file.data, "\"drain\"");
  assert_non_null(drain);
  while (*drain != '\n') drain--;
  write_file(&it, "events.jsonl", file.data, (size_t)(drain + 1 - file.data));
  buf_release(&file);
  read_file(&it, "run.json", &file);
  char *finished = strstr(file.data, "\"finished\": true");
  assert_non_null(finished);
  memcpy(finished, "\"finished\":false", 16);
  write_file(&it, "run.json", file.data, file.length);
  buf_release(&file);
  reopen(&it);
  assert_true(it.record.info.load_end_ns == it.record.info.end_ns);
  assert_false(it.record.info.complete);
  assert_false(bits_any(&it.record.info.final_hosts));
  synthetic_judge(&it, NULL, NULL);
  assert_int_equal(it.result.verdict, VERDICT_UNKNOWN);
  assert_false(it.result.trusted);
  synthetic_release(&it);
}

/* Samples come from several threads; they are put in order however far apart. */
static void test_samples_are_put_in_order(void **state) {
  static const double times_s[] = {50, 20, 49, 21, 48, 22, 60, 30};
  struct error err = ERROR_INIT;
  struct synthetic it;
  struct order order = {.last_ns = 0};
  (void)state;
  synthetic_begin(&it, NULL);
  synthetic_crash(&it, 20);
  for (size_t i = 0; i < 8; i++) synthetic_sample(&it, times_s[i], METRIC_LAG_BYTES, PG2, 1);
  synthetic_finish(&it);
  must(record_visit_all(&it.record, WANTS_OPERATIONS | WANTS_SAMPLES | WANTS_EVENTS, check_item,
                        &order, &err),
       &err);
  assert_int_equal(order.samples, 8);
  synthetic_release(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_facts_follow_from_the_events),
      cmocka_unit_test(test_all_is_given_in_the_order_of_time),
      cmocka_unit_test(test_a_visitor_can_stop),
      cmocka_unit_test(test_small_disorder_is_repaired),
      cmocka_unit_test(test_great_disorder_is_not_trusted),
      cmocka_unit_test(test_no_run_directory),
      cmocka_unit_test(test_damaged_run_json),
      cmocka_unit_test(test_damaged_events_are_located),
      cmocka_unit_test(test_torn_ends_are_dropped),
      cmocka_unit_test(test_a_cut_record_accuses_nobody),
      cmocka_unit_test(test_damaged_heads),
      cmocka_unit_test(test_missing_files),
      cmocka_unit_test(test_packed_fields_are_where_the_docs_say),
      cmocka_unit_test(test_damaged_operations_are_located),
      cmocka_unit_test(test_damaged_samples_are_located),
      cmocka_unit_test(test_a_file_that_shrinks_while_it_is_read),
      cmocka_unit_test(test_a_run_cut_short),
      cmocka_unit_test(test_samples_are_put_in_order),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
