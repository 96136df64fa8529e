/* "did you mean": distances, and which words are near enough. */
#include "scenario/suggest.h"
#include "support/test.h"

static void test_distances(void **state) {
  (void)state;
  assert_int_equal(suggest_distance("", ""), 0);
  assert_int_equal(suggest_distance("abc", ""), 3);
  assert_int_equal(suggest_distance("workers", "workers"), 0);
  assert_int_equal(suggest_distance("wrkers", "workers"), 1);
  assert_int_equal(suggest_distance("workres", "workers"), 1);
  assert_int_equal(suggest_distance("wXrkers", "workers"), 1);
  assert_int_equal(suggest_distance("kitten", "sitting"), 3);
  assert_int_equal(suggest_distance("client-hosts", "Client_Hosts"), 0);
}

static void test_long_words_are_cut(void **state) {
  (void)state;
  char word[5000];
  memset(word, 'a', sizeof word - 1);
  word[sizeof word - 1] = '\0';
  assert_int_equal(suggest_distance(word, "b"), 64);
}

static const char *end_for(const char *word, const char *const *candidates, char *text) {
  struct suggestion suggestion;
  suggestion_init(&suggestion, word);
  for (; *candidates; candidates++) suggestion_offer(&suggestion, *candidates);
  return suggestion_text(&suggestion, text);
}

static void test_the_nearest_is_suggested(void **state) {
  (void)state;
  char text[SUGGESTION_SIZE];
  const char *const words[] = {"provider", "services", "workers", NULL};
  const char *const one[] = {"only", NULL}, *const none[] = {NULL};
  assert_string_equal(end_for("servics", words, text), "; did you mean 'services'?");
  assert_string_equal(end_for("colour", words, text),
                      "; expected one of provider, services, workers");
  assert_string_equal(end_for("colour", one, text), "; expected only");
  assert_string_equal(end_for("colour", none, text), "");
}

static void test_long_lists_end_in_dots(void **state) {
  (void)state;
  struct suggestion suggestion;
  char text[SUGGESTION_SIZE];
  suggestion_init(&suggestion, "somewhere");
  for (int i = 0; i < 100; i++) suggestion_offer(&suggestion, "candidate");
  suggestion_offer(&suggestion, "z");
  suggestion_text(&suggestion, text);
  assert_non_null(strstr(text, "candidate, ..."));
  assert_null(strstr(text, "z"));
}

static void test_shown_text_cannot_speak_to_the_terminal(void **state) {
  (void)state;
  char text[SHOWN_SIZE];
  assert_string_equal(shown("a\x1b[2J\n\xc2\x9b", text), "\"a?[2J??\"");
  assert_string_equal(shown("\xc3\xa4", text), "\"\xc3\xa4\"");
  char word[200];
  memset(word, 'a', sizeof word - 1);
  word[sizeof word - 1] = '\0';
  shown(word, text);
  assert_in_range(strlen(text), SHOWN_SIZE - 8, SHOWN_SIZE - 1);
  assert_string_equal(text + strlen(text) - 5, "a...\"");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_distances),
      cmocka_unit_test(test_long_words_are_cut),
      cmocka_unit_test(test_the_nearest_is_suggested),
      cmocka_unit_test(test_long_lists_end_in_dots),
      cmocka_unit_test(test_shown_text_cannot_speak_to_the_terminal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
