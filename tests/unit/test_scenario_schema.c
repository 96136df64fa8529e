/* The JSON Schema as a structure. Whether it takes and refuses the same files as the parser is
 * tested with an independent validator in tests/consistency. */
#include <jansson.h>

#include "support/scenario_fixture.h"
#include "support/test.h"

static json_t *load_schema(void) {
  struct buf text;
  struct error err = ERROR_INIT;
  buf_init(&text);
  assert_ok(scenario_schema(&fixture_tables, &text, &err), &err);
  json_t *schema = json_loads(text.data, JSON_REJECT_DUPLICATES, NULL);
  assert_non_null(schema);
  buf_release(&text);
  return schema;
}

/* The member at a path of keys, ended by NULL. */
static json_t *at(json_t *schema, const char *const *path) {
  for (; *path; path++) {
    schema = json_object_get(schema, *path);
    if (!schema) fail_msg("no member '%s'", *path);
  }
  return schema;
}
#define AT(schema, ...) at(schema, (const char *const[]){__VA_ARGS__, NULL})

static void assert_text(json_t *found, const char *expected) {
  assert_true(json_is_string(found));
  assert_string_equal(json_string_value(found), expected);
}

static void test_parameters_have_type_default_and_help(void **state) {
  (void)state;
  json_t *schema = load_schema();
  assert_text(AT(schema, "$schema"), "http://json-schema.org/draft-07/schema#");
  json_t *cluster = AT(schema, "properties", "cluster", "properties");
  json_t *store = AT(cluster, "services", "properties", "store", "properties");
  assert_text(AT(store, "ttl", "type"), "string");
  assert_text(AT(store, "ttl", "default"), "30s");
  assert_text(AT(store, "ttl", "description"), "How long a leader is believed. (5s to 300s)");
  assert_text(AT(store, "ttl", "pattern"), "^\\+?[0-9]+(\\.[0-9]+)? *(ns|us|ms|s|min|h|d)$");
  assert_text(AT(store, "instances", "type"), "integer");
  assert_int_equal(json_integer_value(AT(store, "instances", "maximum")), 7);
  assert_int_equal(json_integer_value(AT(store, "instances", "default")), 3);
  assert_true(json_is_false(AT(store, "synchronous", "default")));
  assert_text(json_array_get(AT(cluster, "provider", "enum"), 1), "glass");
  assert_int_equal(json_array_size(AT(schema, "properties", "timeline", "items", "oneOf")), 5);
  json_t *explore = AT(schema, "properties", "explore", "properties");
  assert_text(AT(explore, "faults", "pattern"), "^[0-9]+(\\.\\.[0-9]+)?$");
  assert_int_equal(json_integer_value(AT(explore, "faults", "maximum")), 16);
  assert_int_equal(json_array_size(AT(explore, "injectors", "items", "enum")), 5);
  assert_non_null(AT(schema, "properties", "objectives", "properties", "replication_lag.p99"));
  json_decref(schema);
}

/* Every mapping with known keys refuses others, and says what it is for. */
static void check_closed(json_t *schema) {
  if (json_is_object(schema) && json_object_get(schema, "properties") &&
      json_is_object(json_object_get(schema, "properties")) && json_object_get(schema, "type")) {
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    assert_true(json_is_string(json_object_get(schema, "description")));
  }
  const char *key;
  json_t *member;
  size_t index;
  json_object_foreach(schema, key, member) check_closed(member);
  json_array_foreach(schema, index, member) check_closed(member);
}

static void test_mappings_are_closed(void **state) {
  (void)state;
  json_t *schema = load_schema();
  check_closed(schema);
  json_decref(schema);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parameters_have_type_default_and_help),
      cmocka_unit_test(test_mappings_are_closed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
