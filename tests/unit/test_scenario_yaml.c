/* Scenario files that are no YAML, or YAML that is refused: the messages, word for word. */
#include "support/scenario_fixture.h"
#include "support/test.h"

struct refused {
  const char *what, *yaml, *expected;
};

static void check_samples(const struct refused *samples, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char *found = fixture_mistakes(samples[i].yaml, NULL, 0);
    assert_non_null(found);
    if (strcmp(found, samples[i].expected) != 0)
      fail_msg("%s:\nfound    %sexpected %s", samples[i].what, found, samples[i].expected);
    free(found);
  }
}

static void test_syntax_errors_are_translated(void **state) {
  (void)state;
  static const struct refused samples[] = {
      {"a bound that begins with >", "name: a\nobjectives:\n  availability: >= 99%  # nines\n",
       "s.yaml:3:17: '>' and '|' begin a block of text in YAML; expected a quoted value: "
       "\">= 99%\"\n"},
      {"a tab", "name: a\n\tseed: 1\n", "s.yaml:2:1: a tab in the indentation; expected spaces\n"},
      {"an index in braces", "a: {target: b.replica[0]}\n",
       "s.yaml:1:22: expected ',' or '}' here: '{' on line 1 is not closed; between '{' and '}' a "
       "value that holds any of [ ] { } , must be quoted\n"},
      {"an open list", "a: [1, 2\nb: 3\n",
       "s.yaml:2:2: expected ',' or ']' here: '[' on line 1 is not closed\n"},
      {"a key below a value", "a: 1\n  b: 2\n",
       "s.yaml:2:4: ':' is not expected here; expected a new line before the key, the indentation "
       "of the keys above, or quotes around a value that holds ': '\n"},
      {"a key between two indentations", "a:\n    b: 1\n  c: 2\n",
       "s.yaml:3:3: expected a key here, indented as the other keys of the mapping that begins on "
       "line 1\n"},
      {"a list that goes on wrong", "a:\n  - 1\n  b: 2\n",
       "s.yaml:3:3: expected '- ' here, as in the list that begins on line 2\n"},
      {"an open quote", "a: \"x\n",
       "s.yaml:1:4: a quoted text is not closed; expected the same quote at its end\n"},
      {"a character that begins nothing", "a: @x\n",
       "s.yaml:1:4: a value cannot begin with this character; expected it in quotes: @x\n"},
      {"a colon without a space in braces", "a: {b:c:, d: 1}\n",
       "s.yaml:1:8: ':' touches a word between brackets; expected a space after the ':' of a key, "
       "or the value in quotes\n"},
      {"a star", "a: *\n",
       "s.yaml:1:4: '*' begins an alias in YAML; expected a name after it, or the value in "
       "quotes\n"},
      {"an escape", "a: \"\\q\"\n",
       "s.yaml:1:5: an unknown escape in a text in double quotes; expected \\\\ for a backslash, "
       "or single quotes\n"},
      {"a list on the line of its key", "a: - b\n",
       "s.yaml:1:4: '- ' is not expected here; expected the list on lines of its own below its "
       "key\n"},
      {"a line without a colon", "abc\ndef: 1\n",
       "s.yaml:2:4: ':' is not expected here; expected a new line before the key, the indentation "
       "of the keys above, or quotes around a value that holds ': '\n"},
  };
  check_samples(samples, sizeof samples / sizeof samples[0]);
}

static void test_texts_that_are_refused(void **state) {
  (void)state;
  static const struct refused samples[] = {
      {"nothing", "",
       "s.yaml:1:1: the file is empty; expected a scenario: name, cluster, workloads, "
       "objectives\n"},
      {"comments only", "# nothing\n",
       "s.yaml:1:1: the file is empty; expected a scenario: name, cluster, workloads, "
       "objectives\n"},
      {"a list", "- 1\n",
       "s.yaml:1:1: the scenario: found a list; expected a mapping (key: value)\n"},
      {"a word", "hello\n",
       "s.yaml:1:1: the scenario: found \"hello\"; expected a mapping (key: value)\n"},
      {"Latin-1", "name: caf\xe9\n", "s.yaml:1:10: byte 0xe9 is not UTF-8; expected UTF-8 text\n"},
      {"an overlong sequence", "\xc0\xaf",
       "s.yaml:1:1: byte 0xc0 is not UTF-8; expected UTF-8 text\n"},
      {"a surrogate", "a: \xed\xa0\x80",
       "s.yaml:1:4: byte 0xed is not UTF-8; expected UTF-8 text\n"},
      {"UTF-16", "\xff\xfe", "s.yaml:1:1: the text is UTF-16; expected UTF-8\n"},
      {"an escape sequence", "a: 1\nb: \x1b[2J\n",
       "s.yaml:2:4: control character U+001B; expected text\n"},
      {"two documents", "---\na: 1\n---\nb: 2\n",
       "s.yaml:3:1: a second document begins here; expected one document in a file\n"},
      {"an alias inside its anchor", "a: &b [*b]\n",
       "s.yaml:1:8: an alias stands inside its own anchor; expected it after\n"},
      {"a list as a key", "? [x]\n: 2\n",
       "s.yaml:1:3: a key is a list or a mapping; expected a plain name\n"},
  };
  check_samples(samples, sizeof samples / sizeof samples[0]);
}

/* Columns count characters, not bytes, so that an editor finds them. */
static void test_columns_count_characters(void **state) {
  (void)state;
  char *found = fixture_mistakes("\xc3\xa4\xc3\xb6\xc3\xbc: @\n", NULL, 0);
  assert_string_equal(found,
                      "s.yaml:1:6: a value cannot begin with this character; expected it in "
                      "quotes: @\n");
  free(found);
}

/* As some editors save it: where the first line is a key, the second used to be refused. */
static void test_a_byte_order_mark_is_no_text(void **state) {
  (void)state;
  char *text = NULL;
  assert_true(asprintf(&text, "\xef\xbb\xbf%s", fixture_minimal) > 0);
  char *found = fixture_mistakes(text, NULL, 0);
  assert_string_equal(found, "");
  free(found);
  free(text);
  found = fixture_mistakes(
      "\xef\xbb\xbf"
      "b: @\n",
      NULL, 0);
  assert_string_equal(found,
                      "s.yaml:1:4: a value cannot begin with this character; expected it in "
                      "quotes: @\n");
  free(found);
}

static char *with(const char *yaml, const char *more) {
  char *text = NULL;
  assert_true(asprintf(&text, "%s%s", yaml, more) > 0);
  return text;
}

static void check_with_minimal(const char *more, const char *expected) {
  char *text = with(fixture_minimal, more);
  char *found = fixture_mistakes(text, NULL, 0);
  assert_string_equal(found, expected);
  free(found);
  free(text);
}

static void test_mistakes_that_leave_a_tree(void **state) {
  (void)state;
  check_with_minimal("name: other\n",
                     "s.yaml:10:1: duplicate key \"name\"; expected it once, and it is on line 1 "
                     "already\n");
  check_with_minimal("seed: !!int 5\n",
                     "s.yaml:10:7: the tag \"tag:yaml.org,2002:int\" is not understood; expected a "
                     "value without a tag\n");
  check_with_minimal("seed: *five\n",
                     "s.yaml:10:7: the alias \"five\" names no anchor above it; expected '&five'\n"
                     "s.yaml:10:7: seed: found nothing; expected a whole number\n");
  check_with_minimal("\"\": 5\n", "s.yaml:10:1: a key is empty; expected a name before the ':'\n");
  check_with_minimal("description: \"a\\0b\"\n",
                     "s.yaml:10:14: the text contains a NUL character; expected text\n");
  check_with_minimal("<<: 5\n",
                     "s.yaml:10:5: '<<' merges mappings, found \"5\"; expected an alias\n");
}

/* The name of the alias was freed with its event, and looked at as a key. */
static void test_unknown_alias_as_a_key_is_kept(void **state) {
  (void)state;
  check_with_minimal(
      "*b : 5\n",
      "s.yaml:10:1: the alias \"b\" names no anchor above it; expected '&b'\n"
      "s.yaml:10:1: unknown key \"b\" in the scenario; expected one of name, "
      "description, seed, repeat, cluster, workloads, load, timeline, explore, measure, "
      "objectives\n");
}

/* Ten aliases of ten aliases of ... is 10^9 values from 400 bytes. */
static void test_billion_laughs_are_refused(void **state) {
  (void)state;
  static const char yaml[] =
      "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
      "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
      "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
      "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
      "e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
  char *found = fixture_mistakes(yaml, NULL, 0);
  assert_string_equal(found, "s.yaml:5:8: too large: more than 20000 values, aliases expanded\n");
  free(found);
}

static void test_aliases_are_counted(void **state) {
  (void)state;
  struct buf yaml;
  buf_init(&yaml);
  buf_puts(&yaml, "a: &a 1\nb:\n");
  for (int i = 0; i <= SCENARIO_ALIASES_MAX; i++) buf_puts(&yaml, "- *a\n");
  char *found = fixture_mistakes(yaml.data, NULL, 0);
  assert_string_equal(found, "s.yaml:67:3: too many aliases; expected at most 64\n");
  free(found);
  buf_release(&yaml);
}

static void test_depth_and_size_are_bounded(void **state) {
  (void)state;
  struct buf yaml;
  buf_init(&yaml);
  for (int i = 0; i < 100000; i++) buf_putc(&yaml, '[');
  char *found = fixture_mistakes(yaml.data, NULL, 0);
  assert_string_equal(found, "s.yaml:1:17: nested too deeply; expected at most 16 levels\n");
  free(found);
  buf_clear(&yaml);
  while (yaml.length <= SCENARIO_BYTES_MAX) buf_puts(&yaml, "# a comment that fills the file\n");
  found = fixture_mistakes(yaml.data, NULL, 0);
  assert_string_equal(found, "s.yaml:1:1: too large; expected at most 1048576 bytes\n");
  free(found);
  buf_release(&yaml);
}

static void test_aliases_do_not_nest_deeper_than_the_cap(void **state) {
  (void)state;
  char *found = fixture_mistakes("a: &a [[[[[[[[[1]]]]]]]]]\nb: [[[[[[[*a]]]]]]]\n", NULL, 0);
  assert_string_equal(found, "s.yaml:2:11: nested too deeply; expected at most 16 levels\n");
  free(found);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_syntax_errors_are_translated),
      cmocka_unit_test(test_texts_that_are_refused),
      cmocka_unit_test(test_columns_count_characters),
      cmocka_unit_test(test_a_byte_order_mark_is_no_text),
      cmocka_unit_test(test_mistakes_that_leave_a_tree),
      cmocka_unit_test(test_unknown_alias_as_a_key_is_kept),
      cmocka_unit_test(test_billion_laughs_are_refused),
      cmocka_unit_test(test_aliases_are_counted),
      cmocka_unit_test(test_depth_and_size_are_bounded),
      cmocka_unit_test(test_aliases_do_not_nest_deeper_than_the_cap),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
