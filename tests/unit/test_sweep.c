/* Sweeps: which values a text means, and what is said of texts that mean none. */
#include "scenario/sweep.h"

#include "support/test.h"

struct fixture {
  struct arena arena;
  struct sweep sweep;
  struct error err;
};

static int parse(struct fixture *f, const char *text) {
  arena_init(&f->arena, 0);
  f->err = ERROR_INIT;
  return sweep_parse(text, &f->arena, &f->sweep, &f->err);
}

/* `expected`: the values with blanks between them. */
static void gives(const char *text, const char *expected, bool numeric, enum unit unit) {
  struct fixture f;
  char found[1024] = "";
  assert_ok(parse(&f, text), &f.err);
  for (uint32_t i = 0; i < f.sweep.count; i++)
    snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s", i > 0 ? " " : "",
             f.sweep.values[i].text);
  assert_string_equal(found, expected);
  assert_string_equal(f.sweep.path, "a.b[0]");
  assert_int_equal(f.sweep.numeric, numeric);
  if (numeric) assert_int_equal(f.sweep.unit, unit);
  arena_release(&f.arena);
}

static void refuses(const char *text, const char *why) {
  struct fixture f;
  assert_int_equal(parse(&f, text), STATUS_USAGE);
  if (!strstr(f.err.message, why)) fail_msg("%s: \"%s\" has no \"%s\"", text, f.err.message, why);
  arena_release(&f.arena);
}

static void test_ranges(void **state) {
  (void)state;
  gives("a.b[0]=20s..60s/10s", "20s 30s 40s 50s 60s", true, UNIT_DURATION);
  gives("a.b[0]=20s..29s/5s", "20s 25s", true, UNIT_DURATION); /* the end need not be met */
  gives("a.b[0]=5s..5s/1s", "5s", true, UNIT_DURATION);
  gives("a.b[0]=1..7/2", "1 3 5 7", true, UNIT_COUNT);
  gives("a.b[0]=-2..2/2", "-2 0 2", true, UNIT_COUNT);
  gives("a.b[0]=1MiB..3MiB/1MiB", "1MiB 2MiB 3MiB", true, UNIT_SIZE);
  gives("a.b[0]=100/s..300/s/100/s", "100/s 200/s 300/s", true, UNIT_RATE);
  gives("a.b[0]=90%..100%/5%", "90% 95% 100%", true, UNIT_RATIO);
}

/* 0.1 + 0.1 + 0.1 is not 0.3, and 3 x 0.1 not 0.3 either. */
static void test_steps_of_binary_fractions_end_where_they_are_written(void **state) {
  (void)state;
  gives("a.b[0]=0.1..0.5/0.1", "0.1 0.2 0.3 0.4 0.5", true, UNIT_NONE);
  gives("a.b[0]=99.1%..99.5%/0.1%", "99.1% 99.2% 99.3% 99.4% 99.5%", true, UNIT_RATIO);
}

/* "1min" between "55s" and "65s" would be right, and hard to read. */
static void test_all_values_are_in_one_unit(void **state) {
  (void)state;
  gives("a.b[0]=50s..70s/10s", "50s 60s 70s", true, UNIT_DURATION);
  gives("a.b[0]=1s..2s/500ms", "1000ms 1500ms 2000ms", true, UNIT_DURATION);
  gives("a.b[0]=0s..2min/1min", "0min 1min 2min", true, UNIT_DURATION);
  gives("a.b[0]=512KiB..2MiB/512KiB", "512KiB 1024KiB 1536KiB 2048KiB", true, UNIT_SIZE);
}

static void test_lists(void **state) {
  (void)state;
  gives("a.b[0]=true,false", "true false", false, UNIT_NONE);
  gives("a.b[0]=on", "on", false, UNIT_NONE);
  gives("a.b[0]=1..2,1..4", "1..2 1..4", false, UNIT_NONE);
  gives("a.b[0]= <= 5s , <= 9s", "<= 5s <= 9s", false, UNIT_NONE);
  gives("a.b[0]=3,x,1", "3 x 1", false, UNIT_NONE); /* not all are numbers: as written */
}

/* What is drawn along an axis stands in its order. */
static void test_numbers_of_a_list_are_put_in_order(void **state) {
  (void)state;
  gives("a.b[0]=1min,20s,500ms", "500ms 20s 1min", true, UNIT_DURATION);
  gives("a.b[0]=10,9", "9 10", true, UNIT_COUNT);
  gives("a.b[0]=1.5,1", "1 1.5", true, UNIT_NONE);
}

static void test_numbers_are_those_of_measures(void **state) {
  struct fixture f;
  (void)state;
  assert_ok(parse(&f, "x=500ms..1500ms/500ms"), &f.err);
  assert_float_equal(f.sweep.values[0].number, 0.5, 0);
  assert_float_equal(f.sweep.values[2].number, 1.5, 0);
  arena_release(&f.arena);
  assert_ok(parse(&f, "x=1MiB"), &f.err);
  assert_float_equal(f.sweep.values[0].number, 1048576, 0);
  arena_release(&f.arena);
  assert_ok(parse(&f, "x=50%"), &f.err);
  assert_float_equal(f.sweep.values[0].number, 0.5, 0);
  arena_release(&f.arena);
}

static void test_what_cannot_be_swept(void **state) {
  (void)state;
  refuses("cluster.provider=local,sim", "cluster.provider cannot be swept");
  refuses("seed=1,2", "--seeds");
  refuses("repeat=1..3/1", "repeat cannot be swept");
  refuses("name=a,b", "name cannot be swept");
}

static void test_what_is_none(void **state) {
  (void)state;
  refuses("ttl", "expected PATH=");
  refuses("=1..2/1", "expected PATH=");
  refuses("ttl=", "expected PATH=");
  refuses("ttl=20s..60s", "FROM..TO/STEP");
  refuses("ttl=20s..60/5s", "FROM..TO/STEP");
  refuses("ttl=20s..1MiB/5s", "FROM..TO/STEP");
  refuses("ttl=..60s/5s", "FROM..TO/STEP");
  refuses("ttl=20s../5s", "FROM..TO/STEP");
  refuses("ttl=a..b/c", "FROM..TO/STEP");
  refuses("ttl=60s..20s/5s", "FROM at most TO");
  refuses("ttl=20s..60s/0s", "STEP above 0");
  refuses("n=5..9/-1", "STEP above 0");
  refuses("ttl=1s..1h/1ms", "more values than 100");
  refuses("n=0..9000000000000000000/1", "more values than 100");
  refuses("x=0..1e300/1", "more values than 100");
  refuses("x=a,,b", "is empty");
  refuses("x=a,", "is empty");
  refuses("x=,", "is empty");
  refuses("x=a,b,a", "twice");
  refuses("x=[1,2]", "without brackets");
  refuses("x=\"a\",b", "without brackets");
}

static void test_the_longest_list(void **state) {
  (void)state;
  char text[8 * (SWEEP_VALUES_MAX + 1)] = "x=v0";
  for (int i = 1; i < SWEEP_VALUES_MAX; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), ",v%d", i);
  struct fixture f;
  assert_ok(parse(&f, text), &f.err);
  assert_int_equal(f.sweep.count, SWEEP_VALUES_MAX);
  arena_release(&f.arena);
  strcat(text, ",v");
  refuses(text, "more than 100 values");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_ranges),
      cmocka_unit_test(test_steps_of_binary_fractions_end_where_they_are_written),
      cmocka_unit_test(test_all_values_are_in_one_unit),
      cmocka_unit_test(test_lists),
      cmocka_unit_test(test_numbers_of_a_list_are_put_in_order),
      cmocka_unit_test(test_numbers_are_those_of_measures),
      cmocka_unit_test(test_what_cannot_be_swept),
      cmocka_unit_test(test_what_is_none),
      cmocka_unit_test(test_the_longest_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
