/* The writers, each on a plausible run, on one with hostile names, and on one that measured
 * nothing. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "report/plot.h"
#include "report/summary.h"
#include "report/writers.h"
#include "support/report_fixture.h"
#include "support/test.h"

#define PATH_BYTES 512
#define FILE_BYTES_MAX (16u << 20)

struct place {
  char directory[PATH_BYTES];
  char *path; /* PATH as it was */
};

static int set_up(void **state) {
  const char *base = getenv("TMPDIR"), *path = getenv("PATH");
  struct place *place = calloc(1, sizeof *place);
  if (!place) return -1;
  place->path = strdup(path ? path : "");
  snprintf(place->directory, sizeof place->directory, "%.400s/gameday-report-XXXXXX",
           base ? base : "/tmp");
  *state = place;
  return place->path && mkdtemp(place->directory) ? 0 : -1;
}

static int tear_down(void **state) {
  struct place *place = *state;
  setenv("PATH", place->path, 1);
  int status = directory_remove(place->directory, NULL);
  free(place->path);
  free(place);
  return status;
}

static void make(void **state, const struct report_fixture_options *options,
                 struct report_fixture *fixture) {
  const struct place *place = *state;
  report_fixture_init(fixture, place->directory, options);
}

static void read_back(void **state, const char *name, struct buf *content) {
  const struct place *place = *state;
  struct error err = ERROR_INIT;
  char path[PATH_BYTES];
  buf_init(content);
  assert_ok(path_format(path, sizeof path, &err, "%s/%s", place->directory, name), &err);
  assert_ok(file_read(path, FILE_BYTES_MAX, content, &err), &err);
}

static void write_and_read(void **state, const struct report *report,
                           const struct report_fixture_options *options, struct buf *content) {
  struct error err = ERROR_INIT;
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  make(state, options, &fixture);
  assert_ok(report->write(&fixture.input, &err), &err);
  read_back(state, report->file, content);
}

static const struct report_fixture_options plain = {.faults = 1};
static const struct report_fixture_options hostile = {.hostile = true, .faults = 2, .repeats = 3};
static const struct report_fixture_options nothing = {.nothing_measured = true};

static const char python[] = "/usr/bin/python3";

static int python_exit_code(const char *program, const char *first, const char *second) {
  struct error err = ERROR_INIT;
  const char *const argv[] = {python, "-c", program, first, second, NULL};
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  struct process_spec spec = {.argv = argv};
  assert_ok(process_run(&spec, &result, &err), &err);
  if (result.exit_code != 0) print_message("%s%s", result.out.data, result.err.data);
  return result.exit_code;
}

/* Before anything is allocated, because a skip jumps away. The distribution's interpreter: it has
 * its modules. */
static void need_python(const char *import) {
  if (access(python, X_OK) != 0) skip_because("there is no %s", python);
  if (python_exit_code(import, "", "") != 0) skip_because("it cannot %s", import);
}

static void run_python(const char *program, const char *first, const char *second) {
  assert_int_equal(python_exit_code(program, first, second), 0);
}

static const char validate_json[] =
    "import json, jsonschema, sys\n"
    "schema, result = (json.load(open(p)) for p in sys.argv[1:])\n"
    "jsonschema.Draft7Validator.check_schema(schema)\n"
    "jsonschema.Draft7Validator(schema).validate(result)\n";

static void check_schema(void **state, const struct report_fixture_options *options) {
  const struct place *place = *state;
  const char *source = getenv("GAMEDAY_SOURCE");
  if (!source) skip_because("GAMEDAY_SOURCE does not say where docs/result.schema.json is");
  need_python("import jsonschema");
  CLEANUP(buf_release) struct buf content;
  write_and_read(state, &report_json, options, &content);
  char schema[PATH_BYTES + 64], result[PATH_BYTES + 64];
  snprintf(schema, sizeof schema, "%.400s/docs/result.schema.json", source);
  snprintf(result, sizeof result, "%s/result.json", place->directory);
  run_python(validate_json, schema, result);
}

static void test_json_fits_its_schema(void **state) {
  check_schema(state, &plain);
}
static void test_json_with_hostile_names_fits(void **state) {
  check_schema(state, &hostile);
}
static void test_json_of_nothing_fits(void **state) {
  check_schema(state, &nothing);
}

static void test_json_says_what_the_issue_asks(void **state) {
  static const char *const parts[] = {"\"schema\": \"gameday/result/v1\"",
                                      "\"verdict\": \"fail\"",
                                      "\"detection_time_s\": 21,",
                                      "\"promotion_time_s\": 22,",
                                      "\"failover_time_s\": 22.3,",
                                      "\"time_to_full_redundancy_s\": 51,",
                                      "\"confirmed_s\": 32,",
                                      "\"counts_of\": \"the clients that follow the primary",
                                      "\"scheduled\": 18000,",
                                      "\"rows_of\": \"all clients",
                                      "\"lost\": 3,",
                                      "\"unknown_survived\": 12,",
                                      "\"duplicate\": null,",
                                      "\"duplicate\": \"not measured: pg3 could not be read\"",
                                      "\"p99\": 0.31,",
                                      "\"p99\": 5120,"};
  CLEANUP(buf_release) struct buf content;
  write_and_read(state, &report_json, &plain, &content);
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
    if (!strstr(content.data, parts[i])) fail_msg("result.json lacks %s", parts[i]);
  }
}

/* The same record gives the same bytes. */
static void test_reports_are_deterministic(void **state) {
  const struct report *const writers[] = {&report_json, &report_text, &report_markdown,
                                          &report_junit, &report_html};
  for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
    if (writers[i] == &report_html && !process_exists("gnuplot")) continue;
    CLEANUP(buf_release) struct buf first, second;
    write_and_read(state, writers[i], &hostile, &first);
    write_and_read(state, writers[i], &hostile, &second);
    assert_string_equal(first.data, second.data);
  }
}

static void test_text_fits_the_terminal(void **state) {
  CLEANUP(buf_release) struct buf content;
  write_and_read(state, &report_text, &plain, &content);
  assert_int_equal(strncmp(content.data, "FAIL ", 5), 0);
  assert_non_null(strstr(content.data, "of its primary within 42.0 s: ttl 30"));
  assert_non_null(strstr(content.data, "the harness was 120 ms late"));
  for (const char *line = content.data; *line;) {
    size_t length = strcspn(line, "\n"), width = 0;
    for (size_t i = 0; i < length; i++) width += ((unsigned char)line[i] & 0xc0) != 0x80;
    if (width > SUMMARY_COLUMNS) fail_msg("too wide: %.*s", (int)length, line);
    line += length + (line[length] == '\n');
  }
}

static void test_text_of_nothing_says_why(void **state) {
  CLEANUP(buf_release) struct buf content;
  write_and_read(state, &report_text, &nothing, &content);
  assert_int_equal(strncmp(content.data, "UNKNOWN ", 8), 0);
  assert_non_null(strstr(content.data, "do not trust these numbers"));
  assert_non_null(strstr(content.data, "not measured: no checker measured it"));
  /* It was a finding, of a run in which nothing was sought. */
  assert_null(strstr(content.data, "none was found"));
}

static const char parse_junit[] =
    "import sys, xml.etree.ElementTree as tree\n"
    "root = tree.parse(sys.argv[1]).getroot()\n"
    "assert root.tag == 'testsuites', root.tag\n"
    "suite, = root\n"
    "assert suite.tag == 'testsuite'\n"
    "cases = suite.findall('testcase')\n"
    "allowed = {'name', 'classname', 'time'}\n"
    "assert all(set(c.attrib) == allowed for c in cases)\n"
    "assert [c.tag for c in suite] == ['properties'] + ['testcase'] * len(cases)\n"
    "def count(tag): return sum(len(c.findall(tag)) for c in cases)\n"
    "for e in (root, suite):\n"
    "  assert int(e.get('tests')) == len(cases)\n"
    "  assert int(e.get('failures')) == count('failure')\n"
    "  assert int(e.get('errors')) == count('error')\n"
    "for c in cases:\n"
    "  for e in c:\n"
    "    assert e.get('message') and e.get('type') and e.text\n"
    "assert count('failure') == int(sys.argv[2]), count('failure')\n";

static void check_junit(void **state, const struct report_fixture_options *options,
                        const char *failures) {
  const struct place *place = *state;
  need_python("import xml.etree.ElementTree");
  CLEANUP(buf_release) struct buf content;
  write_and_read(state, &report_junit, options, &content);
  char path[PATH_BYTES + 64];
  snprintf(path, sizeof path, "%s/junit.xml", place->directory);
  run_python(parse_junit, path, failures);
}

static void test_junit(void **state) {
  check_junit(state, &plain, "1");
}
static void test_junit_with_hostile_names(void **state) {
  check_junit(state, &hostile, "1");
}
static void test_junit_of_nothing_has_no_pass(void **state) {
  check_junit(state, &nothing, "0");
  CLEANUP(buf_release) struct buf content;
  read_back(state, "junit.xml", &content);
  assert_null(strstr(content.data, "time=\"0.000\"/>"));
}

static void test_markdown(void **state) {
  CLEANUP(buf_release) struct buf content;
  write_and_read(state, &report_markdown, &plain, &content);
  assert_non_null(strstr(content.data, "| data\\_loss (max) | &lt;= 0 | 3 | ❌ fail"));
  CLEANUP(buf_release) struct buf bad;
  write_and_read(state, &report_markdown, &hostile, &bad);
  assert_null(strstr(bad.data, "<script"));
}

static uint32_t count_of(const char *text, const char *part) {
  uint32_t count = 0;
  while ((text = strstr(text, part))) {
    count++;
    text += strlen(part);
  }
  return count;
}

static void need_gnuplot(void) {
  if (!process_exists("gnuplot")) skip_because("gnuplot is missing");
}

/* The HTML page with its pictures. */
static void read_page(void **state, const struct report_fixture_options *options,
                      struct buf *content) {
  need_gnuplot();
  write_and_read(state, &report_html, options, content);
}

static void test_html_has_its_pictures(void **state) {
  CLEANUP(buf_release) struct buf content;
  read_page(state, &plain, &content);
  assert_int_equal(count_of(content.data, "<svg class=\"plot\""), 6);
  assert_int_equal(count_of(content.data, "</svg>"), 6);
  assert_int_equal(count_of(content.data, "class=\"missing\""), 0);
  assert_non_null(strstr(content.data, "prefers-color-scheme:dark"));
  assert_non_null(strstr(content.data, "stroke='var(--"));
  /* Every colour follows the scheme: none of gnuplot's is left. */
  assert_null(strstr(content.data, "rgb("));
  assert_null(strstr(content.data, "\"black\""));
}

/* On a narrow screen the columns of a wide table were out of sight: each value has its name there,
 * and a table without room is a list. */
static void test_html_names_each_value_of_a_wide_table(void **state) {
  CLEANUP(buf_release) struct buf content;
  read_page(state, &plain, &content);
  assert_non_null(strstr(content.data, "<table class=\"wide\">"));
  assert_non_null(strstr(content.data, "<td data-c=\"fault\">host-crash"));
  assert_non_null(strstr(content.data, "<td class=\"n\" data-c=\"full redundancy\">51.0 s"));
  assert_non_null(strstr(content.data, "max-width:600px"));
}

/* The command named the file that was run, without what --set had changed in it. */
static void test_html_repeats_the_resolved_scenario(void **state) {
  CLEANUP(buf_release) struct buf content;
  read_page(state, &plain, &content);
  const char *command = strstr(content.data, "<pre>gameday run ");
  assert_non_null(command);
  const char *end = strchr(command, '\n'), *scenario = strstr(command, "/scenario.yaml --seed ");
  assert_true(scenario && scenario < end);
}

/* No text of the run becomes markup, and nothing is loaded from anywhere. */
static void test_html_with_hostile_names(void **state) {
  CLEANUP(buf_release) struct buf content;
  read_page(state, &hostile, &content);
  assert_null(strstr(content.data, "<script"));
  assert_non_null(strstr(content.data, "&lt;script&gt;alert(&#39;x&#39;)"));
  assert_null(strstr(content.data, "uid="));
  assert_null(strstr(content.data, "url("));
  assert_null(strstr(content.data, "<link"));
  assert_null(strstr(content.data, "src=\"http"));
  assert_int_equal(count_of(content.data, "href=\"http"), 0);
  assert_int_equal(count_of(content.data, "href='data:image/png;base64,"),
                   count_of(content.data, "<image"));
}

/* Several pictures in one page: no id twice, and each reference has its target. */
static void test_html_ids_are_unique(void **state) {
  need_gnuplot();
  need_python("import re");
  static const char program[] =
      "import re, sys\n"
      "text = open(sys.argv[1], encoding='utf-8').read()\n"
      "ids = re.findall(r'\\bid=[\"\\']([^\"\\']+)', text)\n"
      "twice = {i for i in ids if ids.count(i) > 1}\n"
      "assert not twice, twice\n"
      "refs = set(re.findall(r'href=[\"\\']#([^\"\\']+)', text))\n"
      "assert refs <= set(ids), refs - set(ids)\n";
  const struct place *place = *state;
  CLEANUP(buf_release) struct buf content;
  write_and_read(state, &report_html, &plain, &content);
  char path[PATH_BYTES + 64];
  snprintf(path, sizeof path, "%s/report.html", place->directory);
  run_python(program, path, "");
}

static void test_html_of_nothing_says_why(void **state) {
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  struct error err = ERROR_INIT;
  make(state, &nothing, &fixture);
  int status = report_html.write(&fixture.input, &err);
  assert_true(status == 0 || status == STATUS_ENVIRONMENT);
  CLEANUP(buf_release) struct buf content;
  read_back(state, "report.html", &content);
  assert_int_equal(count_of(content.data, "<svg"), 0);
  assert_non_null(strstr(content.data, "the record holds no operation of the measured time"));
}

/* A program of this name in a directory of the test's own, first on PATH. */
static void fake_program(void **state, const char *name, const char *script, bool only) {
  struct place *place = *state;
  struct error err = ERROR_INIT;
  char path[PATH_BYTES + 64], list[8192];
  snprintf(path, sizeof path, "%s/bin", place->directory);
  assert_ok(directory_make(path, 0755, &err), &err);
  snprintf(list, sizeof list, "%s%s%.4000s", path, only ? "" : ":", only ? "" : place->path);
  assert_int_equal(setenv("PATH", list, 1), 0);
  if (!script) return;
  snprintf(path, sizeof path, "%s/bin/%s", place->directory, name);
  assert_ok(file_puts(path, script, 0755, &err), &err);
}

static void test_html_without_gnuplot_keeps_its_tables(void **state) {
  fake_program(state, "none", NULL, true);
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  struct error err = ERROR_INIT;
  make(state, &plain, &fixture);
  assert_int_equal(report_html.write(&fixture.input, &err), STATUS_ENVIRONMENT);
  assert_non_null(strstr(err.message, "gnuplot-nox"));
  CLEANUP(buf_release) struct buf content;
  read_back(state, "report.html", &content);
  assert_int_equal(count_of(content.data, "class=\"missing\""), 6);
  assert_int_equal(count_of(content.data, "gnuplot is missing"), 6);
  assert_non_null(strstr(content.data, "22.3 s"));
}

/* The PNGs of an earlier report stayed beside the new page. */
static void test_no_picture_of_an_earlier_report_stays(void **state) {
  const struct place *place = *state;
  fake_program(state, "none", NULL, true);
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  struct error err = ERROR_INIT;
  char old[PATH_BYTES + 64], other[PATH_BYTES + 64];
  make(state, &plain, &fixture);
  snprintf(old, sizeof old, "%s/%s.png", place->directory, plots[0]->name);
  snprintf(other, sizeof other, "%s/photo.png", place->directory);
  assert_ok(file_puts(old, "old", 0644, &err), &err);
  assert_ok(file_puts(other, "not ours", 0644, &err), &err);
  assert_int_equal(report_plots.write(&fixture.input, &err), STATUS_ENVIRONMENT);
  assert_false(file_exists(old));
  assert_true(file_exists(other));
}

static void test_html_with_a_gnuplot_that_fails(void **state) {
  fake_program(state, "gnuplot", "#!/bin/sh\necho 'line 7: no such thing' >&2\nexit 1\n", true);
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  struct error err = ERROR_INIT;
  make(state, &plain, &fixture);
  assert_int_equal(report_html.write(&fixture.input, &err), STATUS_ENVIRONMENT);
  assert_non_null(strstr(err.message, "no such thing"));
  CLEANUP(buf_release) struct buf content;
  read_back(state, "report.html", &content);
  assert_int_equal(count_of(content.data, "no such thing"), 6);
}

/* The names that begin with a dot, but for the two that are always there. */
static uint32_t hidden_files(const char *directory) {
  uint32_t count = 0;
  DIR *list = opendir(directory);
  assert_non_null(list);
  for (const struct dirent *entry; (entry = readdir(list));) {
    count += entry->d_name[0] == '.' && strcmp(entry->d_name, ".") != 0 &&
             strcmp(entry->d_name, "..") != 0;
  }
  closedir(list);
  return count;
}

static void check_pictures(void **state, const struct report_fixture_options *options,
                           uint32_t expected) {
  const struct place *place = *state;
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  struct error err = ERROR_INIT;
  make(state, options, &fixture);
  assert_ok(report_plots.write(&fixture.input, &err), &err);
  uint32_t count = 0;
  for (size_t i = 0; plots[i]; i++) {
    char path[PATH_BYTES + 64];
    CLEANUP(buf_release) struct buf content;
    buf_init(&content);
    snprintf(path, sizeof path, "%s/%s.png", place->directory, plots[i]->name);
    if (!file_exists(path)) continue;
    assert_ok(file_read(path, FILE_BYTES_MAX, &content, &err), &err);
    assert_true(content.length > 2000 && memcmp(content.data, "\x89PNG", 4) == 0);
    count++;
  }
  assert_int_equal(count, expected);
  assert_int_equal(hidden_files(place->directory), 0);
}

static void test_pictures(void **state) {
  need_gnuplot();
  check_pictures(state, &plain, 6);
}
static void test_pictures_with_hostile_names(void **state) {
  need_gnuplot();
  check_pictures(state, &hostile, 7);
}
static void test_pictures_of_nothing(void **state) {
  need_gnuplot();
  check_pictures(state, &nothing, 0);
}

/* A gnuplot built without cairo: the SVG is converted. */
static void test_pictures_without_pngcairo(void **state) {
  need_gnuplot();
  if (!process_exists("rsvg-convert")) skip_because("rsvg-convert is missing");
  fake_program(state, "gnuplot",
               "#!/bin/sh\ncase \"$*\" in *pngcairo*) exit 1;; esac\n"
               "PATH=${PATH#*:} exec gnuplot \"$@\"\n",
               false);
  check_pictures(state, &plain, 6);
}

/* What is judged again replaces what was there; a directory that cannot be written is an error. */
static void test_a_directory_that_is_not_there(void **state) {
  struct place *place = *state;
  CLEANUP(report_fixture_release) struct report_fixture fixture;
  make(state, &plain, &fixture);
  char path[PATH_BYTES + 64];
  snprintf(path, sizeof path, "%s/absent", place->directory);
  fixture.input.directory = path;
  for (size_t i = 0; reports[i]; i++) {
    struct error err = ERROR_INIT;
    assert_true(reports[i]->write(&fixture.input, &err) < 0);
    assert_non_null(strstr(err.message, "absent"));
  }
}

static void test_colors_are_told_apart(void **state) {
  (void)state;
  for (int i = 0; i < COLOR_COUNT; i++) {
    assert_non_null(plot_colors[i].name);
    for (int j = 0; j < i; j++) assert_true(plot_colors[i].light != plot_colors[j].light);
  }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_json_fits_its_schema),
      TEST(test_json_with_hostile_names_fits),
      TEST(test_json_of_nothing_fits),
      TEST(test_json_says_what_the_issue_asks),
      TEST(test_reports_are_deterministic),
      TEST(test_text_fits_the_terminal),
      TEST(test_text_of_nothing_says_why),
      TEST(test_junit),
      TEST(test_junit_with_hostile_names),
      TEST(test_junit_of_nothing_has_no_pass),
      TEST(test_markdown),
      TEST(test_html_has_its_pictures),
      TEST(test_html_names_each_value_of_a_wide_table),
      TEST(test_html_repeats_the_resolved_scenario),
      TEST(test_html_with_hostile_names),
      TEST(test_html_ids_are_unique),
      TEST(test_html_of_nothing_says_why),
      TEST(test_html_without_gnuplot_keeps_its_tables),
      TEST(test_no_picture_of_an_earlier_report_stays),
      TEST(test_html_with_a_gnuplot_that_fails),
      TEST(test_pictures),
      TEST(test_pictures_with_hostile_names),
      TEST(test_pictures_of_nothing),
      TEST(test_pictures_without_pngcairo),
      TEST(test_a_directory_that_is_not_there),
      TEST(test_colors_are_told_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
