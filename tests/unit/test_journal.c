/* The journal: what was written before a crash is what is undone after it. */
#include <sys/stat.h>

#include "base/file.h"
#include "engine/journal.h"
#include "support/fake.h"
#include "support/test.h"

#define MANY 200

struct fixture {
  char directory[TEMPORARY_SIZE];
  struct fake fake;
  struct journal journal;
};

static const struct injector injector = {.plugin = {.name = "test-fault"}};

static int setup(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  struct error err = ERROR_INIT;
  assert_non_null(f);
  temporary_make(f->directory);
  fake_init(&f->fake, f->directory);
  assert_ok(journal_open(&f->journal, f->directory, &err), &err);
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  journal_close(&f->journal);
  journal_close(&f->journal); /* closed is fine */
  temporary_remove(f->directory);
  free(f);
  return 0;
}

static struct injection fault(struct fixture *f, int32_t number) {
  return (struct injection){.injector = &injector,
                            .fault = number,
                            .cluster = &f->fake.cluster,
                            .host = &f->fake.hosts[1]};
}

static void put(struct fixture *f, int32_t number, enum journal_state state) {
  struct injection in = fault(f, number);
  struct error err = ERROR_INIT;
  assert_ok(journal_write(&f->journal, &in, state, &err), &err);
}

static uint32_t read_open(const struct fixture *f, struct journal_fault faults[MANY]) {
  struct error err = ERROR_INIT;
  uint32_t count = 0;
  assert_ok(journal_read_open(f->directory, faults, MANY, &count, &err), &err);
  return count;
}

/* Appends bytes as they are, like a harness that was killed while it wrote. */
static void append(const struct fixture *f, const char *text) {
  char path[TEMPORARY_SIZE + 32];
  snprintf(path, sizeof path, "%s/journal.jsonl", f->directory);
  FILE *file = fopen(path, "a");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static void test_open_until_healed(void **state) {
  struct fixture *f = *state;
  static struct journal_fault faults[MANY];
  assert_int_equal(read_open(f, faults), 0);
  put(f, 3, JOURNAL_INJECTING);
  assert_int_equal(read_open(f, faults), 1);
  assert_int_equal(faults[0].fault, 3);
  assert_string_equal(faults[0].injector, "test-fault");
  assert_string_equal(faults[0].host, "db2");
  assert_string_equal(faults[0].process, "");
  put(f, 3, JOURNAL_INJECTED);
  assert_int_equal(read_open(f, faults), 1);
  put(f, 3, JOURNAL_HEALING);
  assert_int_equal(read_open(f, faults), 1);
  put(f, 3, JOURNAL_HEALED);
  assert_int_equal(read_open(f, faults), 0);
}

static void test_note_and_process_are_kept(void **state) {
  struct fixture *f = *state;
  static struct journal_fault faults[MANY];
  struct error err = ERROR_INIT;
  struct injection in = fault(f, 0);
  in.process = &fake_service.processes[0];
  snprintf(in.note, sizeof in.note, "a \"note\"\nof two lines");
  assert_ok(journal_write(&f->journal, &in, JOURNAL_INJECTING, &err), &err);
  snprintf(in.note, sizeof in.note, "changed");
  assert_ok(journal_write(&f->journal, &in, JOURNAL_INJECTED, &err), &err);
  assert_int_equal(read_open(f, faults), 1);
  assert_string_equal(faults[0].note, "changed");
  assert_string_equal(faults[0].process, "server");
  assert_string_equal(faults[0].program, "server");
  assert_string_equal(faults[0].argument, "");
  assert_string_equal(faults[0].unit, "db");
  assert_true(faults[0].tree);
}

static void test_fault_without_a_host(void **state) {
  struct fixture *f = *state;
  static struct journal_fault faults[MANY];
  struct error err = ERROR_INIT;
  struct injection in = fault(f, 0);
  in.host = NULL;
  assert_ok(journal_write(&f->journal, &in, JOURNAL_INJECTING, &err), &err);
  assert_int_equal(read_open(f, faults), 1);
  assert_string_equal(faults[0].host, "");
}

static void test_torn_last_line_is_ignored(void **state) {
  struct fixture *f = *state;
  static struct journal_fault faults[MANY];
  put(f, 0, JOURNAL_INJECTED);
  append(f, "{\"fault\":0,\"state\":\"hea");
  assert_int_equal(read_open(f, faults), 1);
}

/* The healed line was appended to the torn one, and both were lost. */
static void test_line_after_a_torn_one_is_read(void **state) {
  struct fixture *f = *state;
  static struct journal_fault faults[MANY];
  struct error err = ERROR_INIT;
  put(f, 0, JOURNAL_INJECTED);
  append(f, "{\"fault\":0,\"state\":\"hea");
  journal_close(&f->journal);
  assert_ok(journal_open(&f->journal, f->directory, &err), &err);
  put(f, 0, JOURNAL_HEALED);
  assert_int_equal(read_open(f, faults), 0);
}

static void test_foreign_lines_are_ignored(void **state) {
  struct fixture *f = *state;
  static struct journal_fault faults[MANY];
  append(f, "\n[]\n12\n\"text\"\n{}\n{\"fault\":\"0\",\"state\":\"injected\"}\n{\"fault\":1}\n");
  assert_int_equal(read_open(f, faults), 0);
  append(f, "{\"fault\":1,\"state\":\"injected\",\"host\":7}\n");
  assert_int_equal(read_open(f, faults), 1);
  assert_string_equal(faults[0].host, "");
}

static void test_many_faults_stay_in_order(void **state) {
  struct fixture *f = *state;
  static struct journal_fault faults[MANY];
  for (int32_t i = 0; i < MANY; i++) put(f, i, JOURNAL_INJECTED);
  for (int32_t i = 0; i < MANY; i += 2) put(f, i, JOURNAL_HEALED);
  assert_int_equal(read_open(f, faults), MANY / 2);
  for (int32_t i = 0; i < MANY / 2; i++) assert_int_equal(faults[i].fault, 2 * i + 1);
}

static void test_too_many_open_faults_is_an_error(void **state) {
  struct fixture *f = *state;
  struct journal_fault faults[2];
  struct error err = ERROR_INIT;
  uint32_t count = 77;
  for (int32_t i = 0; i < 3; i++) put(f, i, JOURNAL_INJECTED);
  assert_int_equal(journal_read_open(f->directory, faults, 2, &count, &err), STATUS_USAGE);
  assert_int_equal(count, 77);
}

static void test_no_journal_is_no_fault(void **state) {
  (void)state;
  char directory[TEMPORARY_SIZE];
  struct journal_fault faults[1];
  struct error err = ERROR_INIT;
  uint32_t count = 77;
  temporary_make(directory);
  assert_ok(journal_read_open(directory, faults, 1, &count, &err), &err);
  assert_int_equal(count, 0);
  temporary_remove(directory);
}

static void test_missing_directory_is_named(void **state) {
  (void)state;
  struct journal journal = {.fd = 0};
  struct error err = ERROR_INIT;
  assert_int_equal(journal_open(&journal, "/nonexistent/run", &err), STATUS_SYSTEM);
  assert_int_equal(journal.fd, -1);
  assert_non_null(strstr(err.message, "/nonexistent/run/journal.jsonl"));
}

static void test_journal_is_for_the_owner_alone(void **state) {
  struct fixture *f = *state;
  char path[TEMPORARY_SIZE + 32];
  struct stat info;
  snprintf(path, sizeof path, "%s/journal.jsonl", f->directory);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 07777, 0600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_open_until_healed),
      TEST(test_note_and_process_are_kept),
      TEST(test_fault_without_a_host),
      TEST(test_torn_last_line_is_ignored),
      TEST(test_line_after_a_torn_one_is_read),
      TEST(test_foreign_lines_are_ignored),
      TEST(test_many_faults_stay_in_order),
      TEST(test_too_many_open_faults_is_an_error),
      cmocka_unit_test(test_no_journal_is_no_fault),
      cmocka_unit_test(test_missing_directory_is_named),
      TEST(test_journal_is_for_the_owner_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
