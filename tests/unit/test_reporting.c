/* Reports of a judged record: the word on the screen and the exit code say the same. */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "cli/cli.h"
#include "cli/reporting.h"
#include "engine/record_seal.h"
#include "support/scenario_fixture.h"
#include "support/synthetic.h"
#include "support/test.h"

struct fixture {
  struct synthetic it;
  struct cli cli;
  char summary[4096];
};

/* A failover of 22.002 s, with everything that the checkers want to see. */
static void begin(struct fixture *f, const char *bound) {
  struct error err = ERROR_INIT;
  char path[128], yaml[512];
  memset(f, 0, sizeof *f);
  synthetic_begin(&f->it, NULL);
  synthetic_crash(&f->it, 100);
  synthetic_finish(&f->it);
  snprintf(path, sizeof path, "%s/scenario.yaml", f->it.directory);
  snprintf(yaml, sizeof yaml, "%.*s%s\n", (int)(strstr(fixture_minimal, "<=") - fixture_minimal),
           fixture_minimal, bound);
  assert_ok(file_puts(path, yaml, 0644, &err), &err);
  assert_ok(record_seal(f->it.directory, &err), &err);
  f->cli.tables = fixture_tables;
  log_init(&f->cli.log, open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_ERROR);
  assert_true(f->cli.log.fd >= 0);
}

static void end(struct fixture *f) {
  close(f->cli.log.fd);
  synthetic_release(&f->it);
}

static int report(struct fixture *f) {
  const char *const directories[] = {f->it.directory};
  FILE *file = tmpfile();
  assert_non_null(file);
  int code = reporting_write(&f->cli, directories, 1, NULL, f->it.directory, fileno(file));
  rewind(file);
  f->summary[fread(f->summary, 1, sizeof f->summary - 1, file)] = '\0';
  fclose(file);
  return code;
}

/* A directory of the same name cannot be replaced by a file, whoever asks. */
static void block(struct fixture *f, const char *name) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", f->it.directory, name);
  unlink(path);
  assert_int_equal(mkdir(path, 0755), 0);
}

static bool holds(struct fixture *f, const char *name, const char *words) {
  CLEANUP(buf_release) struct buf text;
  char path[128];
  buf_init(&text);
  snprintf(path, sizeof path, "%s/%s", f->it.directory, name);
  return file_read(path, 1u << 24, &text, NULL) == 0 && strstr(text.data, words);
}

static void test_a_pass_is_one_everywhere(void **state) {
  struct fixture f;
  (void)state;
  begin(&f, "<= 45s");
  int code = report(&f);
  assert_int_equal(code, EXIT_MET);
  assert_memory_equal(f.summary, "PASS ", 5);
  assert_true(holds(&f, "result.json", "\"verdict\": \"pass\""));
  end(&f);
}

/* The disk behind --out was full: PASS was printed beside exit code 3. */
static void test_no_pass_is_printed_when_a_report_cannot_be_written(void **state) {
  struct fixture f;
  (void)state;
  begin(&f, "<= 45s");
  block(&f, "report.html");
  assert_int_equal(report(&f), EXIT_ENVIRONMENT);
  assert_memory_equal(f.summary, "UNKNOWN ", 8);
  assert_non_null(strstr(f.summary, "the reports are incomplete: report html"));
  assert_true(holds(&f, "summary.txt", "UNKNOWN "));
  assert_true(holds(&f, "result.json", "\"verdict\": \"unknown\""));
  assert_true(holds(&f, "junit.xml", "name=\"verdict\" value=\"unknown\""));
  /* All of its cases had passed: green, for a server that counts cases. */
  assert_true(holds(&f, "junit.xml", "failures=\"0\" errors=\"1\""));
  end(&f);
}

/* The screen does not depend on the file. */
static void test_the_summary_is_printed_that_cannot_be_written(void **state) {
  struct fixture f;
  (void)state;
  begin(&f, "<= 45s");
  block(&f, "summary.txt");
  assert_int_equal(report(&f), EXIT_ENVIRONMENT);
  assert_memory_equal(f.summary, "UNKNOWN ", 8);
  end(&f);
}

static void test_a_missed_objective_stays_one(void **state) {
  struct fixture f;
  (void)state;
  begin(&f, "<= 20s");
  block(&f, "report.html");
  assert_int_equal(report(&f), EXIT_MISSED);
  assert_memory_equal(f.summary, "FAIL ", 5);
  assert_true(holds(&f, "result.json", "\"verdict\": \"fail\""));
  end(&f);
}

/* Nothing is wrong with such a record, and nobody here could make its reports again: they were
 * removed, as those of a damaged one are. */
static void test_reports_of_another_version_stay(void **state) {
  struct fixture f;
  struct error err = ERROR_INIT;
  char path[128];
  (void)state;
  begin(&f, "<= 45s");
  assert_int_equal(report(&f), EXIT_MET);
  snprintf(path, sizeof path, "%s/operations.bin", f.it.directory);
  CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
  assert_true(fd >= 0);
  assert_int_equal(pwrite(fd, "\1", 1, 7), 1);
  assert_ok(record_seal(f.it.directory, &err), &err);
  assert_int_equal(report(&f), EXIT_BAD_USAGE);
  assert_true(holds(&f, "result.json", "\"verdict\": \"pass\""));
  assert_int_equal(pwrite(fd, "X", 1, 0), 1);
  assert_ok(record_seal(f.it.directory, &err), &err);
  assert_int_equal(report(&f), EXIT_BAD_USAGE);
  assert_false(holds(&f, "result.json", ""));
  end(&f);
}

/* Once for the page and once for the files, as errors; and the page was there all the same. */
static void test_missing_gnuplot_is_one_warning(void **state) {
  struct fixture f;
  (void)state;
  begin(&f, "<= 45s");
  CLEANUP_FREE char *path = strdup(getenv("PATH") ? getenv("PATH") : "");
  FILE *file = tmpfile();
  assert_true(path && file);
  int null_fd = f.cli.log.fd;
  f.cli.log.fd = fileno(file);
  f.cli.log.level = LOG_WARNING;
  setenv("PATH", f.it.directory, 1);
  int code = report(&f);
  setenv("PATH", path, 1);
  f.cli.log.fd = null_fd;
  rewind(file);
  char text[2048];
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  assert_int_equal(code, EXIT_MET);
  assert_memory_equal(f.summary, "PASS ", 5);
  assert_non_null(strstr(text, "gnuplot is missing (Debian, Ubuntu: apt-get install gnuplot-nox)"));
  assert_ptr_equal(strchr(text, '\n'), strrchr(text, '\n'));
  assert_true(holds(&f, "report.html", "gnuplot is missing"));
  end(&f);
}

static void test_a_changed_record_is_no_pass(void **state) {
  struct fixture f;
  char path[128];
  (void)state;
  begin(&f, "<= 45s");
  snprintf(path, sizeof path, "%s/final-pg2.bin", f.it.directory);
  assert_int_equal(unlink(path), 0);
  assert_int_equal(report(&f), EXIT_UNTRUSTED);
  assert_non_null(strstr(f.summary, "changed after the run: final-pg2.bin is not there any more"));
  end(&f);
}

/* `gameday export RUN_DIR | head` complained twice. A child, because stdout is at stake. */
static void test_export_ends_quietly_when_nobody_reads(void **state) {
  struct fixture f;
  (void)state;
  begin(&f, "<= 45s");
  FILE *log = tmpfile();
  assert_non_null(log);
  fflush(stdout);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    int ends[2];
    const void *no_options = &(const char *const){NULL};
    char *words[] = {f.it.directory, NULL};
    signal(SIGPIPE, SIG_IGN);
    if (pipe(ends) != 0 || dup2(ends[1], STDOUT_FILENO) < 0) _exit(100);
    close(ends[0]);
    f.cli.log.fd = fileno(log);
    _exit(command_export.main(&f.cli, no_options, 1, words));
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), EXIT_MET);
  rewind(log);
  assert_int_equal(fgetc(log), EOF);
  fclose(log);
  end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_pass_is_one_everywhere),
      cmocka_unit_test(test_no_pass_is_printed_when_a_report_cannot_be_written),
      cmocka_unit_test(test_the_summary_is_printed_that_cannot_be_written),
      cmocka_unit_test(test_a_missed_objective_stays_one),
      cmocka_unit_test(test_reports_of_another_version_stay),
      cmocka_unit_test(test_missing_gnuplot_is_one_warning),
      cmocka_unit_test(test_a_changed_record_is_no_pass),
      cmocka_unit_test(test_export_ends_quietly_when_nobody_reads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
