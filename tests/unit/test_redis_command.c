/* Templates of Redis commands. */
#include "workload/redis_command.h"

#include <inttypes.h>

#include "plugin/redis_words.h"
#include "support/test.h"

static void check(const char *text, uint32_t parameters, const struct redis_arguments *arguments,
                  const char *expected, const char *key) {
  struct redis_command command;
  struct error err = ERROR_INIT;
  const struct statement statement = {.text = text, .parameter_count = parameters};
  assert_ok(redis_command_init(&command, &statement, &err), &err);
  size_t bound = redis_command_bound(&command, arguments);
  char *out = malloc(bound);
  assert_non_null(out);
  struct redis_shape shape = redis_command_format(&command, arguments, out);
  assert_true(shape.length <= bound);
  assert_int_equal(shape.length, strlen(expected));
  assert_memory_equal(out, expected, shape.length);
  if (key) {
    assert_int_equal(shape.key_length, strlen(key));
    assert_memory_equal(shape.key, key, shape.key_length);
  } else {
    assert_null(shape.key);
  }
  free(out);
  redis_command_release(&command);
}

static const struct redis_arguments nothing = {.number_count = 0};

static void test_constant_words(void **state) {
  (void)state;
  check("PING", 0, &nothing, "*1\r\n$4\r\nPING\r\n", NULL);
  check("GET a:b", 0, &nothing, "*2\r\n$3\r\nGET\r\n$3\r\na:b\r\n", "a:b");
  check("SET $ $x", 0, &nothing, "*3\r\n$3\r\nSET\r\n$1\r\n$\r\n$2\r\n$x\r\n", "$");
}

static void test_parameters_anywhere_in_a_word(void **state) {
  (void)state;
  const int64_t numbers[] = {7, -12, 4294967295};
  const struct redis_arguments arguments = {
      .numbers = numbers, .number_count = 3, .text = "abc", .text_length = 3};
  check("SET gd:w:$1:$2 $3:$4", 4, &arguments,
        "*3\r\n$3\r\nSET\r\n$10\r\ngd:w:7:-12\r\n$14\r\n4294967295:abc\r\n", "gd:w:7:-12");
  check("SET $1 $4$4", 4, &arguments, "*3\r\n$3\r\nSET\r\n$1\r\n7\r\n$6\r\nabcabc\r\n", "7");
}

/* The last parameter is a number where the request has no text. */
static void test_last_parameter_may_be_a_number(void **state) {
  (void)state;
  const int64_t numbers[] = {7, 8};
  const struct redis_arguments arguments = {.numbers = numbers, .number_count = 2};
  check("GET a:$1:$2", 2, &arguments, "*2\r\n$3\r\nGET\r\n$5\r\na:7:8\r\n", "a:7:8");
}

static void test_tag_of_the_shard(void **state) {
  (void)state;
  struct redis_arguments arguments = {.tag = "{17}:", .tag_length = 5};
  check("GET b:$s", 0, &arguments, "*2\r\n$3\r\nGET\r\n$7\r\nb:{17}:\r\n", "b:{17}:");
  check("GET b:$s", 0, &nothing, "*2\r\n$3\r\nGET\r\n$2\r\nb:\r\n", "b:");
}

static void test_numbers_of_every_length(void **state) {
  (void)state;
  int64_t number = 1;
  for (uint32_t digits = 1; digits <= 18; digits++, number *= 10) {
    const int64_t around[] = {number - 1, number, number + 1, -number, number * 9};
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
      char key[32], expected[96];
      snprintf(key, sizeof key, "%" PRId64, around[i]);
      snprintf(expected, sizeof expected, "*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(key), key);
      check("GET $1", 1, &(struct redis_arguments){.numbers = &around[i], .number_count = 1},
            expected, key);
    }
  }
  const int64_t most[] = {INT64_MAX, INT64_MIN};
  check("GET $1$2", 2, &(struct redis_arguments){.numbers = most, .number_count = 2},
        "*2\r\n$3\r\nGET\r\n$39\r\n9223372036854775807-9223372036854775808\r\n",
        "9223372036854775807-9223372036854775808");
}

static void test_wait_is_a_second_command(void **state) {
  (void)state;
  const int64_t numbers[] = {7, 2, 100};
  const struct redis_arguments arguments = {
      .numbers = numbers, .number_count = 3, .text = "abc", .text_length = 3};
  const struct statement statement = {.text = "SET k$1 $4 ; WAIT $2 $3", .parameter_count = 4};
  struct redis_command command;
  assert_int_equal(redis_command_init(&command, &statement, NULL), 0);
  char out[1024];
  assert_true(redis_command_bound(&command, &arguments) <= sizeof out);
  struct redis_shape shape = redis_command_format(&command, &arguments, out);
  static const char first[] = "*3\r\n$3\r\nSET\r\n$2\r\nk7\r\n$3\r\nabc\r\n";
  static const char second[] = "*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n$3\r\n100\r\n";
  assert_int_equal(shape.first_length, strlen(first));
  assert_int_equal(shape.length, strlen(first) + strlen(second));
  assert_memory_equal(out, first, strlen(first));
  assert_memory_equal(out + strlen(first), second, strlen(second));
  assert_int_equal(redis_command_wait(&command, &arguments), 2);
  redis_command_release(&command);
  const struct statement constant = {.text = "SET k v ; WAIT 3 50"};
  assert_int_equal(redis_command_init(&command, &constant, NULL), 0);
  assert_int_equal(redis_command_wait(&command, &nothing), 3);
  redis_command_release(&command);
}

static void test_what_is_no_statement(void **state) {
  (void)state;
  static const char *const texts[] = {"", " GET a", "GET  a", "GET a ", "SET a b ; GET a"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    struct redis_command command;
    struct error err = ERROR_INIT;
    const struct statement statement = {.text = texts[i]};
    assert_int_equal(redis_command_init(&command, &statement, &err), STATUS_INTERNAL);
    assert_null(command.parts);
  }
}

static void test_words(void **state) {
  (void)state;
  const char *const words[] = {"AUTH", "", "a b"};
  char out[64];
  static const char expected[] = "*3\r\n$4\r\nAUTH\r\n$0\r\n\r\n$3\r\na b\r\n";
  assert_int_equal(redis_words(words, 3, NULL), strlen(expected));
  assert_int_equal(redis_words(words, 3, out), strlen(expected));
  assert_memory_equal(out, expected, strlen(expected));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_constant_words),
      cmocka_unit_test(test_parameters_anywhere_in_a_word),
      cmocka_unit_test(test_last_parameter_may_be_a_number),
      cmocka_unit_test(test_tag_of_the_shard),
      cmocka_unit_test(test_numbers_of_every_length),
      cmocka_unit_test(test_wait_is_a_second_command),
      cmocka_unit_test(test_what_is_no_statement),
      cmocka_unit_test(test_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
