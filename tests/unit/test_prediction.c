/* Predictions as people and programs get them: text, JSON, CSV, the picture of a sweep. */
#include "report/prediction.h"

#include <jansson.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"
#include "engine/distribution.h"
#include "report/columns.h"
#include "report/escape.h"
#include "report/json_parts.h"
#include "support/fake.h"
#include "support/test.h"

#define POINTS 4
#define SEEDS 40
#define VALUES 4
#define HOSTILE "<b>'x\",\n`id`"

/* A prediction over `POINTS` values: failover times that grow with the value, a loss now and then,
 * the first point refused. */
struct made {
  struct prediction prediction;
  struct prediction_point points[POINTS];
  struct predicted_value values[POINTS][VALUES];
  struct predicted_objective objectives[POINTS][2];
  double cells[POINTS][VALUES][SEEDS];
};

static void make_value(struct made *made, int point, int index, const char *name, enum unit unit) {
  struct predicted_value *value = &made->values[point][index];
  double sorted[SEEDS];
  *value =
      (struct predicted_value){.name = name, .unit = unit, .by_seed = made->cells[point][index]};
  uint32_t count = 0;
  for (int i = 0; i < SEEDS; i++)
    if (!isnan(value->by_seed[i])) sorted[count++] = value->by_seed[i];
  distribution_fill(sorted, count, &value->distribution);
  value->distribution.unknown = SEEDS - count;
}

static void make_point(struct made *made, int p) {
  struct prediction_point *point = &made->points[p];
  for (int i = 0; i < SEEDS; i++) {
    made->cells[p][0][i] = 20 + 5 * p + (i * 7) % 11;
    made->cells[p][1][i] = i % 20 == 3 ? 0.012 * p : 0;
    made->cells[p][2][i] = i % 20 == 3 ? 0.04 : 0;
    made->cells[p][3][i] = NAN;
  }
  make_value(made, p, 0, "failover_time", UNIT_DURATION);
  make_value(made, p, 1, "recovery_point", UNIT_DURATION);
  make_value(made, p, 2, "loss_window", UNIT_DURATION);
  make_value(made, p, 3, "staleness.p99", UNIT_DURATION);
  made->values[p][3].distribution = (struct distribution){.none = SEEDS};
  uint32_t missed = p == 3 ? 10 : 0;
  made->objectives[p][0] = (struct predicted_objective){.name = "failover_time",
                                                        .bound = "<= 40s",
                                                        .statistic = "max",
                                                        .unit = UNIT_DURATION,
                                                        .bound_value = 40,
                                                        .met = SEEDS - missed - 1,
                                                        .missed = missed,
                                                        .unknown = 1};
  made->objectives[p][1] = (struct predicted_objective){.name = "dual_primary",
                                                        .bound = "<= 0s (of every run)",
                                                        .statistic = "max",
                                                        .unit = UNIT_DURATION,
                                                        .none = SEEDS};
  *point = (struct prediction_point){.met = SEEDS - missed - 1,
                                     .missed = missed,
                                     .unknown = 1,
                                     .missed_share = share_of(missed, SEEDS - 1),
                                     .lost_share = share_of(2, SEEDS),
                                     .first_unknown = {.seed = 9, .why = "too little load"},
                                     .values = made->values[p],
                                     .value_count = VALUES,
                                     .objectives = made->objectives[p],
                                     .objective_count = 2};
  if (missed)
    point->first_missed = (struct predicted_example){.seed = 4, .why = "failover_time: 41 s"};
}

static struct made *make(bool sweep) {
  static const char *const texts[POINTS] = {"5s", "10s", "15s", "20s"};
  struct made *made = test_calloc(1, sizeof *made);
  for (int p = 0; p < POINTS; p++) {
    make_point(made, p);
    if (!sweep) continue;
    made->points[p].value = texts[p];
    made->points[p].number = 5 * (p + 1);
  }
  if (sweep)
    made->points[0] = (struct prediction_point){
        .value = texts[0], .number = 5, .refused = "ttl must be more, said \"he\", than it is"};
  made->prediction = (struct prediction){.scenario = "primary-crash",
                                         .file = "primary-crash.yaml",
                                         .first_seed = 1,
                                         .seeds = SEEDS,
                                         .command = "gameday run x.yaml --provider sim",
                                         .parameter = sweep ? "cluster.ttl" : NULL,
                                         .numeric = sweep,
                                         .unit = UNIT_DURATION,
                                         .points = made->points,
                                         .point_count = sweep ? POINTS : 1};
  return made;
}

static char *print(const struct made *made,
                   int (*writer)(const struct prediction *, struct buf *, struct error *)) {
  struct buf out;
  struct error err = ERROR_INIT;
  buf_init(&out);
  assert_ok(writer(&made->prediction, &out, &err), &err);
  char *text = buf_steal(&out);
  assert_non_null(text);
  return text;
}

static void has(const char *text, const char *part) {
  if (!strstr(text, part)) fail_msg("no \"%s\" in:\n%s", part, text);
}

static void has_not(const char *text, const char *part) {
  if (strstr(text, part)) fail_msg("\"%s\" in:\n%s", part, text);
}

static void fits(const char *text) {
  for (const char *line = text; *line;) {
    size_t length = strcspn(line, "\n"), width = 0;
    for (size_t i = 0; i < length; i++) width += ((unsigned char)line[i] & 0xc0) != 0x80;
    if (width > COLUMNS_MAX) fail_msg("too wide: %.*s", (int)length, line);
    line += length + (line[length] == '\n');
  }
}

/* --- text ------------------------------------------------------------------------------------ */

static void test_one_setting_is_told_in_full(void **state) {
  (void)state;
  struct made *made = make(false);
  char *text = print(made, prediction_text);
  fits(text);
  has(text, "UNKNOWN  primary-crash: not predicted: every objective is met in 39 simulated runs, ");
  has(text, "first unknown: seed 9: too little load");
  has(text, "again: gameday run x.yaml --provider sim --seed 9");
  has(text, "lost in 2 of 40 runs: 5.00 % (95 % interval 0.61 % to 16.9 %)");
  has(text, "  UNKNOWN  failover_time (max)               <= 40s");
  has(text, "  failover_time                20.0 s    25.0 s");
  has_not(text, "dual_primary"); /* it never applied */
  has_not(text, "staleness");    /* there was nothing to measure */
  free(text);
  test_free(made);
}

static void test_what_misses_comes_first(void **state) {
  (void)state;
  struct made *made = make(false);
  made->points[0] = made->points[3];
  char *text = print(made, prediction_text);
  has(text, "FAIL     primary-crash: predicted to miss in 25.6 % of 39 simulated runs (in 10;");
  has(text, "seeds 1 to 40; besides, 1 could not be decided");
  has(text, "first that misses: seed 4: failover_time: 41 s");
  free(text);
  test_free(made);
}

static void test_pass_is_said_only_where_all_is_decided(void **state) {
  (void)state;
  struct made *made = make(false);
  made->points[0].met = SEEDS;
  made->points[0].unknown = 0;
  made->points[0].missed_share = share_of(0, SEEDS);
  char *text = print(made, prediction_text);
  has(text, "PASS     primary-crash: predicted to pass: every objective is met in all of 40 ");
  free(text);
  test_free(made);
}

static void test_nothing_decided_is_no_pass(void **state) {
  (void)state;
  struct made *made = make(false);
  made->points[0].met = 0;
  made->points[0].unknown = SEEDS;
  made->points[0].missed_share = made->points[0].lost_share = share_of(0, 0);
  char *text = print(made, prediction_text);
  has(text, "UNKNOWN  primary-crash: not predicted: none of 40 simulated runs could be ");
  has(text, "could not be told in any run");
  free(text);
  test_free(made);
}

static void test_a_sweep_is_a_table(void **state) {
  (void)state;
  struct made *made = make(true);
  char *text = print(made, prediction_text);
  fits(text);
  has(text, "FAIL     primary-crash: cluster.ttl at 4 values, each with 40 simulated runs");
  has(text, "\n  5s          refused: ttl must be more");
  has(text,
      "\n  20s          25.6 %       1 5.00 %  40.0 s  45.0 s  45.0 s 36.0 ms 40.0 ms  failover");
  has(text, "--set cluster.ttl=20s --seed 4");
  free(text);
  test_free(made);
}

/* The command can be pasted, whatever the value. */
static void test_commands_are_quoted(void **state) {
  (void)state;
  struct made *made = make(true);
  made->prediction.numeric = false;
  made->points[3].value = "<= 5s 'x'";
  char *text = print(made, prediction_text);
  has(text, "--set 'cluster.ttl=<= 5s '\\''x'\\''' --seed 4");
  free(text);
  test_free(made);
}

static void test_the_verdict_is_the_worst_of_all_points(void **state) {
  (void)state;
  struct made *made = make(true);
  assert_int_equal(prediction_verdict(&made->prediction), VERDICT_FAIL);
  made->points[3].missed = 0;
  assert_int_equal(prediction_verdict(&made->prediction), VERDICT_UNKNOWN);
  for (int i = 1; i < POINTS; i++) made->points[i].unknown = 0;
  assert_int_equal(prediction_verdict(&made->prediction), VERDICT_PASS);
  for (int i = 1; i < POINTS; i++) made->points[i].refused = "no";
  assert_int_equal(prediction_verdict(&made->prediction), VERDICT_UNKNOWN);
  test_free(made);
}

/* --- for programs ---------------------------------------------------------------------------- */

static const json_t *at(const json_t *json, const char *key) {
  const json_t *value = json_object_get(json, key);
  if (!value) fail_msg("the key %s is missing", key);
  return value;
}

static void test_json(void **state) {
  (void)state;
  struct made *made = make(true);
  char *text = print(made, prediction_json), *again = print(made, prediction_json);
  assert_string_equal(text, again);
  CLEANUP(cleanup_json) json_t *root = json_loads(text, 0, NULL);
  assert_non_null(root);
  assert_string_equal(json_string_value(at(root, "schema")), "gameday/predict/v1");
  assert_string_equal(json_string_value(at(root, "parameter_unit")), "duration");
  assert_string_equal(json_string_value(at(root, "verdict")), "fail");
  const json_t *points = at(root, "points");
  assert_int_equal(json_array_size(points), POINTS);
  const json_t *refused = json_array_get(points, 0), *last = json_array_get(points, 3);
  assert_non_null(strstr(json_string_value(at(refused, "refused")), "ttl must"));
  assert_true(json_is_null(at(last, "refused")));
  assert_int_equal(json_integer_value(at(at(last, "missed"), "count")), 10);
  const json_t *failover = at(at(last, "values"), "failover_time");
  assert_float_equal(json_number_value(at(failover, "median")), 40, 0);
  assert_int_equal(json_array_size(at(failover, "by_seed")), SEEDS);
  assert_true(json_is_null(at(at(at(last, "values"), "staleness.p99"), "median")));
  assert_true(
      json_is_null(json_array_get(at(at(at(last, "values"), "staleness.p99"), "by_seed"), 0)));
  free(text);
  free(again);
  test_free(made);
}

/* Fields of one line, quotes taken into account. */
static uint32_t count_fields(const char *line, size_t length) {
  uint32_t fields = 1;
  bool quoted = false;
  for (size_t i = 0; i < length; i++) {
    if (line[i] == '"') quoted = !quoted;
    fields += line[i] == ',' && !quoted;
  }
  return fields;
}

static void test_every_line_of_the_csv_has_the_columns_of_its_head(void **state) {
  (void)state;
  struct made *made = make(true);
  char *text = print(made, prediction_csv);
  uint32_t lines = 0;
  for (const char *line = text; *line; lines++) {
    size_t length = strcspn(line, "\n");
    assert_int_equal(count_fields(line, length), 20);
    line += length + 1;
  }
  assert_int_equal(lines, 1 + 1 + (POINTS - 1) * VALUES);
  has(text, "\ncluster.ttl,5s,5,\"ttl must be more, said \"\"he\"\", than it is\",,");
  has(text, "\ncluster.ttl,20s,20,,29,10,1,2,40,failover_time,duration,40,0,0,35,40,");
  free(text);
  test_free(made);
}

/* --- the picture ----------------------------------------------------------------------------- */

static void draws(const struct made *made) {
  char directory[TEMPORARY_SIZE], path[TEMPORARY_SIZE + 32];
  struct error err = ERROR_INIT;
  struct stat file;
  temporary_make(directory);
  assert_ok(prediction_draw(&made->prediction, directory, 0, &err), &err);
  snprintf(path, sizeof path, "%s/" PREDICTION_PLOT ".png", directory);
  assert_int_equal(stat(path, &file), 0);
  assert_true(file.st_size > 1000);
  struct buf svg;
  buf_init(&svg);
  snprintf(path, sizeof path, "%s/" PREDICTION_PLOT ".svg", directory);
  assert_ok(file_read(path, 1 << 24, &svg, &err), &err);
  has(svg.data, "failover time");
  has(svg.data, "</svg>");
  has_not(svg.data, "<b>");
  buf_release(&svg);
  temporary_remove(directory);
}

static void test_pictures_of_all_kinds_of_sweeps(void **state) {
  (void)state;
  if (!process_exists("gnuplot")) skip_because("gnuplot is not installed");
  struct made *made = make(true);
  draws(made);
  made->prediction.point_count = 2; /* one of them refused: nothing to join by lines */
  draws(made);
  made->prediction.point_count = POINTS;
  made->prediction.numeric = false;
  made->prediction.parameter = made->points[1].value = HOSTILE;
  draws(made);
  for (int p = 1; p < POINTS; p++) { /* nothing was measured, nothing decided */
    made->values[p][0].distribution = made->values[p][1].distribution = (struct distribution){0};
    made->points[p].missed_share = made->points[p].lost_share = share_of(0, 0);
  }
  draws(made);
  test_free(made);
}

static void test_words_for_a_shell(void **state) {
  static const char *const words[][2] = {{"plain-1.2_x=3%,/y:z", "plain-1.2_x=3%,/y:z"},
                                         {"", "''"},
                                         {"a b", "'a b'"},
                                         {"timeline[0].for", "'timeline[0].for'"},
                                         {"it's", "'it'\\''s'"},
                                         {"$(x)", "'$(x)'"}};
  (void)state;
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    struct buf out;
    buf_init(&out);
    escape_shell(&out, words[i][0]);
    assert_string_equal(out.data, words[i][1]);
    buf_release(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_setting_is_told_in_full),
      cmocka_unit_test(test_what_misses_comes_first),
      cmocka_unit_test(test_pass_is_said_only_where_all_is_decided),
      cmocka_unit_test(test_nothing_decided_is_no_pass),
      cmocka_unit_test(test_a_sweep_is_a_table),
      cmocka_unit_test(test_commands_are_quoted),
      cmocka_unit_test(test_the_verdict_is_the_worst_of_all_points),
      cmocka_unit_test(test_json),
      cmocka_unit_test(test_every_line_of_the_csv_has_the_columns_of_its_head),
      cmocka_unit_test(test_pictures_of_all_kinds_of_sweeps),
      cmocka_unit_test(test_words_for_a_shell),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
