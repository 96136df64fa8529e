/* Records that changed after the run: each used to be judged as if it were what was measured. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "engine/record_seal.h"
#include "support/synthetic.h"
#include "support/test.h"

static const char *path_of(const struct synthetic *it, const char *name, char path[160]) {
  snprintf(path, 160, "%s/%s", it->directory, name);
  return path;
}

static void begin(struct synthetic *it) {
  struct error err = ERROR_INIT;
  synthetic_begin(it, NULL);
  synthetic_crash(it, 20);
  synthetic_finish(it);
  assert_ok(record_seal(it->directory, &err), &err);
}

static void flip(const struct synthetic *it, const char *name, off_t offset) {
  char path[160];
  unsigned char byte;
  CLEANUP_CLOSE int fd = open(path_of(it, name, path), O_RDWR | O_CLOEXEC);
  assert_true(fd >= 0);
  assert_int_equal(pread(fd, &byte, 1, offset), 1);
  byte ^= 1;
  assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
}

/* Opens and judges; gives why the verdict is no pass. */
static const char *reason(const struct synthetic *it, char text[512]) {
  struct error err = ERROR_INIT;
  struct record record;
  struct run_result result;
  struct arena arena;
  arena_init(&arena, 0);
  assert_ok(record_open_sealed(it->directory, &record, &err), &err);
  assert_ok(judge_run(&record, NULL, checkers, &arena, &result, &err), &err);
  assert_true(result.trusted == (result.verdict == VERDICT_PASS));
  snprintf(text, 512, "%s", result.verdict == VERDICT_PASS ? "" : result.why);
  arena_release(&arena);
  record_close(&record);
  return text;
}

static void test_an_unchanged_record_passes(void **state) {
  struct synthetic it;
  char text[512];
  (void)state;
  begin(&it);
  assert_string_equal(reason(&it, text), "");
  synthetic_release(&it);
}

/* The lowest bit of a time: no field is out of range, no answer before its question. */
static void test_a_flipped_bit(void **state) {
  static const struct {
    const char *name;
    off_t offset;
  } places[] = {{"operations.bin", 64 + 16}, {"samples.bin", 24}, {"final-pg2.bin", 64 + 16}};
  (void)state;
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    struct synthetic it;
    char text[512], words[128];
    begin(&it);
    flip(&it, places[i].name, places[i].offset);
    snprintf(words, sizeof words,
             "record: the record was changed after the run: %s is not what was written (CRC-32C ",
             places[i].name);
    assert_non_null(strstr(reason(&it, text), words));
    synthetic_release(&it);
  }
}

static void test_events_without_their_last_line(void **state) {
  struct synthetic it;
  char text[512], path[160];
  (void)state;
  begin(&it);
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  assert_int_equal(file_read(path_of(&it, "events.jsonl", path), 1u << 20, &content, NULL), 0);
  content.data[content.length - 1] = '\0';
  size_t length = (size_t)(strrchr(content.data, '\n') + 1 - content.data);
  assert_int_equal(truncate(path, (off_t)length), 0);
  assert_non_null(strstr(reason(&it, text), "events.jsonl has "));
  synthetic_release(&it);
}

static void test_a_file_is_gone_or_was_added(void **state) {
  struct synthetic it;
  char text[512], path[160];
  (void)state;
  begin(&it);
  unlink(path_of(&it, "final-pg3.bin", path));
  assert_non_null(strstr(reason(&it, text), "final-pg3.bin is not there any more"));
  synthetic_release(&it);
  begin(&it);
  assert_int_equal(file_puts(path_of(&it, "final-pg9.bin", path), "", 0644, NULL), 0);
  assert_non_null(strstr(reason(&it, text), "final-pg9.bin is not under the seal"));
  synthetic_release(&it);
}

static void test_the_seal_itself(void **state) {
  static const char *const bad[] = {
      "",
      "{}",
      "[1]",
      "{\"schema\": \"gameday/seal/v1\"}",
      "{\"schema\": \"gameday/seal/v2\", \"files\": []}",
      "{\"schema\": \"gameday/seal/v1\", \"files\": [{\"name\": \"run.json\"}]}"};
  struct synthetic it;
  char text[512], path[160];
  (void)state;
  begin(&it);
  path_of(&it, "seal.json", path);
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_int_equal(file_puts(path, bad[i], 0644, NULL), 0);
    assert_non_null(strstr(reason(&it, text), "seal.json is damaged itself"));
  }
  const char *empty = "{\"schema\": \"gameday/seal/v1\", \"files\": []}";
  assert_int_equal(file_puts(path, empty, 0644, NULL), 0);
  assert_non_null(strstr(reason(&it, text), "run.json is not under the seal"));
  unlink(path);
  assert_non_null(strstr(reason(&it, text), "its record has no seal"));
  synthetic_release(&it);
}

/* Nobody had the time to seal it, and it says so itself. */
static void test_a_run_that_did_not_finish_needs_no_seal(void **state) {
  const struct synthetic_options options = {.load_begin_s = 10,
                                            .load_end_s = 70,
                                            .end_s = 90,
                                            .faults = 1,
                                            .outage_min_ns = 50 * NS_PER_MS,
                                            .unfinished = true};
  struct synthetic it;
  struct error err = ERROR_INIT;
  struct record record;
  (void)state;
  synthetic_begin(&it, &options);
  synthetic_crash(&it, 20);
  synthetic_finish(&it);
  assert_ok(record_open_sealed(it.directory, &record, &err), &err);
  assert_null(record.damage);
  record_close(&record);
  synthetic_release(&it);
}

/* What cannot be read at all is no usage error when it was a record once. */
static void test_an_unreadable_record_that_was_sealed(void **state) {
  struct synthetic it;
  struct error err = ERROR_INIT;
  struct record record;
  (void)state;
  begin(&it);
  flip(&it, "operations.bin", 0);
  assert_int_equal(record_open_sealed(it.directory, &record, &err), STATUS_UNTRUSTED);
  assert_non_null(strstr(err.message, "changed after the run: operations.bin is not what was"));
  assert_non_null(strstr(err.message, "does not begin as such a file must"));
  synthetic_release(&it);
  assert_int_equal(record_open_sealed("/nonexistent", &record, &err), STATUS_USAGE);
}

/* A bad line was told without its place. */
static void test_a_bad_line_has_its_place(void **state) {
  struct synthetic it;
  struct error err = ERROR_INIT;
  struct record record;
  (void)state;
  begin(&it);
  flip(&it, "events.jsonl", 0);
  assert_int_equal(record_open_sealed(it.directory, &record, &err), STATUS_UNTRUSTED);
  assert_non_null(strstr(err.message, "events.jsonl:1:"));
  synthetic_release(&it);
}

/* A seal of as many hosts as a record can have: it was called damaged itself. */
static void test_a_seal_of_many_hosts(void **state) {
  struct synthetic it;
  struct error err = ERROR_INIT;
  char text[512], name[80], path[160];
  (void)state;
  begin(&it);
  for (int i = SYNTHETIC_HOSTS; i < 1024; i++) {
    snprintf(name, sizeof name, "final-a-host-with-a-long-name-%d.bin", i);
    CLEANUP_CLOSE int fd = open(path_of(&it, name, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
  }
  assert_ok(record_seal(it.directory, &err), &err);
  assert_string_equal(reason(&it, text), "");
  unlink(path);
  assert_non_null(strstr(reason(&it, text), "long-name-1023.bin is not there any more"));
  synthetic_release(&it);
}

static void test_a_seal_that_is_no_regular_file(void **state) {
  struct synthetic it;
  char text[512], path[160];
  (void)state;
  begin(&it);
  assert_int_equal(unlink(path_of(&it, "seal.json", path)), 0);
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_non_null(strstr(reason(&it, text), "seal.json is damaged itself"));
  synthetic_release(&it);
}

/* Reading them would hang, or never end. */
static void test_what_is_no_regular_file_is_refused(void **state) {
  static const char *const names[] = {"events.jsonl", "run.json", "operations.bin"};
  (void)state;
  for (size_t i = 0; i < COUNT(names); i++) {
    for (int sealed = 0; sealed < 2; sealed++) {
      struct synthetic it;
      struct error err = ERROR_INIT;
      struct record record;
      char path[160];
      begin(&it);
      if (!sealed) assert_int_equal(unlink(path_of(&it, "seal.json", path)), 0);
      assert_int_equal(unlink(path_of(&it, names[i], path)), 0);
      assert_int_equal(mkfifo(path, 0600), 0);
      assert_int_equal(record_open_sealed(it.directory, &record, &err), STATUS_USAGE);
      assert_non_null(strstr(err.message, "is not a regular file"));
      synthetic_release(&it);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_an_unchanged_record_passes),
      cmocka_unit_test(test_a_flipped_bit),
      cmocka_unit_test(test_events_without_their_last_line),
      cmocka_unit_test(test_a_file_is_gone_or_was_added),
      cmocka_unit_test(test_the_seal_itself),
      cmocka_unit_test(test_a_run_that_did_not_finish_needs_no_seal),
      cmocka_unit_test(test_an_unreadable_record_that_was_sealed),
      cmocka_unit_test(test_a_bad_line_has_its_place),
      cmocka_unit_test(test_a_seal_of_many_hosts),
      cmocka_unit_test(test_a_seal_that_is_no_regular_file),
      cmocka_unit_test(test_what_is_no_regular_file_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
