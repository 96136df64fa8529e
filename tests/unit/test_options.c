/* The parser of command-line options. */
#include "cli/options.h"
#include "support/test.h"

struct options {
  bool force;
  const char *out;
  struct option_number seed;
  struct option_list sets;
};

static const struct option_row rows[] = {
    {"force", OPTION_FLAG, offsetof(struct options, force), NULL, "Do it."},
    {"out", OPTION_TEXT, offsetof(struct options, out), "DIR", "Where to."},
    {"seed", OPTION_COUNT, offsetof(struct options, seed), "N", "A number."},
    {"set", OPTION_LIST, offsetof(struct options, sets), "PATH=VALUE", "A value."},
    {0},
};

/* One parse of a line of words, separated by single spaces; "" gives no word. */
struct parse {
  struct options options;
  char text[512];
  char *argv[96];
  int argc, status;
  struct error error;
};

static void parse_rows(struct parse *p, const struct option_row *table, const char *line) {
  *p = (struct parse){.error = ERROR_INIT};
  snprintf(p->text, sizeof p->text, "%s", line);
  char *rest = *line ? p->text : NULL;
  for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) p->argv[p->argc++] = word;
  p->status = options_parse(table, &p->options, &p->argc, p->argv, &p->error);
}

static void parse(struct parse *p, const char *line) {
  parse_rows(p, rows, line);
}

static void assert_refused(const char *line, const char *message) {
  struct parse p;
  parse(&p, line);
  assert_int_equal(p.status, STATUS_USAGE);
  assert_string_equal(p.error.message, message);
}

static void test_nothing(void **state) {
  struct parse p;
  (void)state;
  parse(&p, "");
  assert_int_equal(p.status, 0);
  assert_int_equal(p.argc, 0);
  assert_false(p.options.force || p.options.out || p.options.seed.given || p.options.sets.count);
}

/* `cluster exec ID HOST -- cat FILE` ran `cat FILE FILE`: the last word was left behind the end. */
static void test_words_end_where_they_end(void **state) {
  struct parse p;
  (void)state;
  parse(&p, "id pg1 -- cat file");
  assert_int_equal(p.argc, 4);
  assert_string_equal(p.argv[3], "file");
  assert_null(p.argv[4]);
}

static void test_every_type_in_both_spellings(void **state) {
  struct parse p;
  (void)state;
  parse(&p, "a --force --out dir b --seed=12 --set x=1 --set=y=2 c");
  assert_int_equal(p.status, 0);
  assert_int_equal(p.argc, 3);
  assert_string_equal(p.argv[0], "a");
  assert_string_equal(p.argv[1], "b");
  assert_string_equal(p.argv[2], "c");
  assert_true(p.options.force);
  assert_string_equal(p.options.out, "dir");
  assert_true(p.options.seed.given);
  assert_int_equal(p.options.seed.value, 12);
  assert_int_equal(p.options.sets.count, 2);
  assert_string_equal(p.options.sets.items[0], "x=1");
  assert_string_equal(p.options.sets.items[1], "y=2");
}

static void test_two_dashes_end_options(void **state) {
  struct parse p;
  (void)state;
  parse(&p, "--force -- --out x --");
  assert_int_equal(p.status, 0);
  assert_int_equal(p.argc, 3);
  assert_string_equal(p.argv[0], "--out");
  assert_string_equal(p.argv[2], "--");
  assert_null(p.options.out);
}

static void test_one_dash_is_a_word(void **state) {
  struct parse p;
  (void)state;
  parse(&p, "-");
  assert_int_equal(p.status, 0);
  assert_int_equal(p.argc, 1);
}

static void test_value_may_look_like_an_option(void **state) {
  struct parse p;
  (void)state;
  parse(&p, "--out --force");
  assert_int_equal(p.status, 0);
  assert_string_equal(p.options.out, "--force");
  assert_false(p.options.force);
}

static void test_empty_value_is_a_value(void **state) {
  struct parse p;
  (void)state;
  parse(&p, "--out=");
  assert_int_equal(p.status, 0);
  assert_string_equal(p.options.out, "");
}

/* The last one counted, without a word. */
static void test_one_value_is_given_once(void **state) {
  struct parse p;
  (void)state;
  assert_refused("--out a --out b", "--out is given twice; expected it once");
  assert_refused("--seed 1 --seed=1", "--seed is given twice; expected it once");
  parse(&p, "--force --force --set a=1 --set a=2");
  assert_int_equal(p.status, 0);
  assert_int_equal(p.options.sets.count, 2);
}

static void test_unknown_options_with_suggestion(void **state) {
  (void)state;
  assert_refused("--froce", "unknown option --froce; did you mean --force?");
  assert_refused("--seeds=3", "unknown option --seeds; did you mean --seed?");
  assert_refused("--hlep", "unknown option --hlep; did you mean --help?");
  assert_refused("--colour", "unknown option --colour");
  assert_refused("--=x", "unknown option --");
  assert_refused("-f", "unknown option -f; options are long (--help lists them)");
}

static void test_very_long_unknown_option(void **state) {
  struct parse p;
  char line[400] = "--";
  (void)state;
  memset(line + 2, 'x', sizeof line - 3);
  line[sizeof line - 1] = '\0';
  parse(&p, line);
  assert_int_equal(p.status, STATUS_USAGE);
}

static void test_missing_and_superfluous_values(void **state) {
  (void)state;
  assert_refused("--out", "--out needs a value (DIR)");
  assert_refused("a --set", "--set needs a value (PATH=VALUE)");
  assert_refused("--force=yes", "--force takes no value");
}

/* strtoull() skips spaces before it looks for a sign, so that " -1" was 2^64 - 1. */
static void test_numbers_are_whole_and_positive(void **state) {
  (void)state;
  static const char *const bad[] = {"-1", "+1", "1.5", "x", "1x", "", "18446744073709551616"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    char line[64], message[128];
    snprintf(line, sizeof line, "--seed=%s", bad[i]);
    bool large = strlen(bad[i]) > 18;
    snprintf(message, sizeof message, "--seed: \"%s\" is %s; expected one such as 3", bad[i],
             large ? "too large" : "not a whole number from 0 on");
    assert_refused(line, message);
  }
  struct options options = {.force = false};
  struct error err = ERROR_INIT;
  char *argv[] = {(char[]){"--seed"}, (char[]){" -1"}};
  int argc = 2;
  assert_int_equal(options_parse(rows, &options, &argc, argv, &err), STATUS_USAGE);
  struct parse p;
  parse(&p, "--seed 18446744073709551615");
  assert_int_equal(p.status, 0);
  assert_true(p.options.seed.value == UINT64_MAX);
}

static void test_list_is_bounded(void **state) {
  struct options options = {.force = false};
  struct error err = ERROR_INIT;
  char word[] = "--set=a=1";
  char *argv[OPTION_LIST_MAX + 1];
  (void)state;
  for (int i = 0; i <= OPTION_LIST_MAX; i++) argv[i] = word;
  int argc = OPTION_LIST_MAX;
  assert_ok(options_parse(rows, &options, &argc, argv, &err), &err);
  assert_int_equal(options.sets.count, OPTION_LIST_MAX);
  options.sets.count = 0;
  argc = OPTION_LIST_MAX + 1;
  argv[0] = word; /* argv was rewritten */
  assert_int_equal(options_parse(rows, &options, &argc, argv, &err), STATUS_USAGE);
}

static void test_command_without_options(void **state) {
  struct parse p;
  (void)state;
  parse_rows(&p, NULL, "a b");
  assert_int_equal(p.status, 0);
  assert_int_equal(p.argc, 2);
  parse_rows(&p, NULL, "--force");
  assert_int_equal(p.status, STATUS_USAGE);
}

static void test_help_has_every_option(void **state) {
  char *text = NULL;
  size_t size = 0;
  (void)state;
  FILE *out = open_memstream(&text, &size);
  assert_non_null(out);
  options_help(rows, out);
  options_help(NULL, out);
  fclose(out);
  assert_non_null(strstr(text, "  --force                  Do it.\n"));
  assert_non_null(strstr(text, "  --set PATH=VALUE         A value.\n"));
  assert_non_null(strstr(text, "  --help"));
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing),
      cmocka_unit_test(test_words_end_where_they_end),
      cmocka_unit_test(test_every_type_in_both_spellings),
      cmocka_unit_test(test_one_value_is_given_once),
      cmocka_unit_test(test_two_dashes_end_options),
      cmocka_unit_test(test_one_dash_is_a_word),
      cmocka_unit_test(test_value_may_look_like_an_option),
      cmocka_unit_test(test_empty_value_is_a_value),
      cmocka_unit_test(test_unknown_options_with_suggestion),
      cmocka_unit_test(test_very_long_unknown_option),
      cmocka_unit_test(test_missing_and_superfluous_values),
      cmocka_unit_test(test_numbers_are_whole_and_positive),
      cmocka_unit_test(test_list_is_bounded),
      cmocka_unit_test(test_command_without_options),
      cmocka_unit_test(test_help_has_every_option),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
