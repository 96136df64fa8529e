/* The n-th allocation fails, for every n, while a sweep is parsed and a prediction is told. */
#include <jansson.h>
#include <math.h>

#include "report/prediction.h"
#include "scenario/sweep.h"
#include "support/test.h"
#include "torture/allocations.h"

static int sweep_once(void *data, struct error *err) {
  struct arena arena;
  struct sweep sweep;
  arena_init(&arena, 0);
  int status = sweep_parse(data, &arena, &sweep, err);
  arena_release(&arena);
  return status;
}

static void test_sweep(void **state) {
  char range[] = "cluster.services.postgres.ttl=20s..90s/1s", list[] = "a.b=one,two,three";
  (void)state;
  fail_each_allocation(sweep_once, range);
  fail_each_allocation(sweep_once, list);
}

struct told {
  const struct prediction *prediction;
  int (*writer)(const struct prediction *prediction, struct buf *out, struct error *err);
};

static int tell_once(void *data, struct error *err) {
  const struct told *told = data;
  struct buf out;
  buf_init(&out);
  int status = told->writer(told->prediction, &out, err);
  buf_release(&out);
  return status;
}

static void test_writers(void **state) {
  static const double by_seed[] = {21, NAN, 23};
  static const struct predicted_value values[] = {
      {.name = "failover_time",
       .unit = UNIT_DURATION,
       .distribution = {.known = 2, .unknown = 1, .minimum = 21, .median = 22, .maximum = 23},
       .by_seed = by_seed}};
  static const struct predicted_objective objectives[] = {
      {.name = "failover_time", .bound = "<= 22s", .statistic = "max", .met = 1, .missed = 1}};
  static const struct prediction_point points[] = {
      {.value = "<= 5s", .refused = "no \"such\" value"},
      {.value = "b c",
       .missed = 1,
       .unknown = 2,
       .missed_share = {.count = 1, .of = 1, .high = 1},
       .first_missed = {.seed = 3, .why = "failover_time: 23 s, more than 22 s"},
       .first_unknown = {.seed = 2, .why = "not known"},
       .values = values,
       .value_count = 1,
       .objectives = objectives,
       .objective_count = 1}};
  struct prediction prediction = {.scenario = "crash",
                                  .file = "crash.yaml",
                                  .seeds = 3,
                                  .command = "gameday run crash.yaml",
                                  .parameter = "a.b",
                                  .points = points,
                                  .point_count = 2};
  struct told told = {.prediction = &prediction, .writer = prediction_text};
  (void)state;
  fail_each_allocation(tell_once, &told);
  told.writer = prediction_json;
  fail_each_allocation(tell_once, &told);
  told.writer = prediction_csv;
  fail_each_allocation(tell_once, &told);
  prediction.parameter = NULL;
  prediction.points = points + 1;
  prediction.point_count = 1;
  told.writer = prediction_text;
  fail_each_allocation(tell_once, &told);
}

int main(void) {
  json_set_alloc_funcs(malloc, free); /* ours: the library itself is linked dynamically */
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_sweep), cmocka_unit_test(test_writers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
