/* run.json: what it says can be read again, whatever bytes a file's name or a server's words have.
 */
#include <jansson.h>

#include "engine/run_file.h"
#include "support/fake.h"
#include "support/test.h"

struct fixture {
  char directory[TEMPORARY_SIZE];
  struct fake fake;
  struct target target;
  struct timeline_entry entry;
  struct scenario scenario;
  struct run_file file;
};

static const struct injector injector = {.plugin = {.name = "test-fault"}};

static int setup(void **state) {
  struct fixture *f = calloc(1, sizeof *f);
  assert_non_null(f);
  temporary_make(f->directory);
  fake_init(&f->fake, f->directory);
  f->target = (struct target){.kind = TARGET_REPLICA, .index = 1, .service = "fakedb"};
  f->entry = (struct timeline_entry){.name = "first", .injector = &injector, .target = &f->target};
  f->scenario = (struct scenario){.file = "a.yaml",
                                  .name = "a",
                                  .provider = &fake_provider,
                                  .timeline = &f->entry,
                                  .timeline_count = 1,
                                  .outage_min_ns = 5,
                                  .load_minimum = 7};
  f->file = (struct run_file){.run_directory = f->directory,
                              .cluster_id = "gd00000000",
                              .scenario = &f->scenario,
                              .seed = 42,
                              .wall_start_ns = 1};
  *state = f;
  return 0;
}

static int teardown(void **state) {
  struct fixture *f = *state;
  temporary_remove(f->directory);
  free(f);
  return 0;
}

static json_t *write_and_read(const struct fixture *f) {
  char path[TEMPORARY_SIZE + 16];
  struct error err = ERROR_INIT;
  json_error_t where;
  assert_ok(run_file_write(&f->file, &err), &err);
  snprintf(path, sizeof path, "%s/run.json", f->directory);
  json_t *root = json_load_file(path, 0, &where);
  if (!root) fail_msg("%s:%d: %s", path, where.line, where.text);
  return root;
}

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  if (!text) fail_msg("there is no text '%s'", key);
  return text;
}

static void test_before_there_is_a_cluster(void **state) {
  struct fixture *f = *state;
  json_t *root = write_and_read(f);
  assert_string_equal(text_of(root, "schema"), "gameday/run/v1");
  assert_string_equal(text_of(root, "id"), "gd00000000");
  assert_string_equal(text_of(root, "provider"), "fake");
  assert_int_equal(json_integer_value(json_object_get(root, "seed")), 42);
  assert_int_equal(json_array_size(json_object_get(root, "hosts")), 0);
  assert_true(json_is_false(json_object_get(root, "finished")));
  assert_true(json_is_null(json_object_get(root, "stopped_because")));
  const json_t *fault = json_array_get(json_object_get(root, "faults"), 0);
  assert_string_equal(text_of(fault, "target"), "fakedb.replica[1]");
  assert_string_equal(text_of(fault, "injector"), "test-fault");
  json_decref(root);
}

static void test_hosts_and_settings(void **state) {
  struct fixture *f = *state;
  f->file.cluster = &f->fake.cluster;
  f->file.settings_json = "{\"fakedb\": {\"settings\": {\"a\": 1}}}";
  f->file.finished = true;
  json_t *root = write_and_read(f);
  const json_t *hosts = json_object_get(root, "hosts");
  assert_int_equal(json_array_size(hosts), FAKE_HOSTS);
  assert_string_equal(text_of(json_array_get(hosts, 3), "kind"), "client");
  assert_non_null(json_object_get(json_object_get(root, "settings"), "fakedb"));
  assert_true(json_is_true(json_object_get(root, "finished")));
  json_decref(root);
}

static int plan_two(const void *config, struct host_spec *ret_hosts, uint32_t *ret_count,
                    struct error *err) {
  (void)config;
  (void)err;
  ret_hosts[0].name = "db1";
  ret_hosts[1].name = "db3";
  *ret_count = 2;
  return 0;
}

static int plan_one(const void *config, struct host_spec *ret_hosts, uint32_t *ret_count,
                    struct error *err) {
  (void)config;
  (void)err;
  ret_hosts[0].name = "db2";
  *ret_count = 1;
  return 0;
}

static void test_who_is_of_which_service(void **state) {
  struct fixture *f = *state;
  const struct service first = {.plugin = {.name = "first"}, .plan = plan_two};
  const struct service second = {.plugin = {.name = "second"}, .plan = plan_one};
  const struct workload cached = {.plugin = {.name = "cached"}, .service = "second"};
  const struct workload kept = {
      .plugin = {.name = "kept"}, .service = "first", .final_read = fake_final_read};
  struct scenario_service rows[] = {{.service = &first}, {.service = &second}};
  struct scenario_workload loads[] = {{.workload = &cached}, {.workload = &kept}};
  f->file.cluster = &f->fake.cluster;
  f->scenario.services = rows;
  f->scenario.service_count = 2;
  f->scenario.workloads = loads;
  f->scenario.workload_count = 2;
  json_t *root = write_and_read(f);
  const json_t *hosts = json_object_get(root, "hosts");
  assert_string_equal(json_string_value(json_array_get(json_object_get(root, "services"), 1)),
                      "second");
  assert_string_equal(text_of(json_array_get(hosts, 0), "service"), "first");
  assert_string_equal(text_of(json_array_get(hosts, 1), "service"), "second");
  assert_string_equal(text_of(json_array_get(hosts, 2), "service"), "first");
  assert_null(json_object_get(json_array_get(hosts, 3), "service"));
  const json_t *facts = json_object_get(root, "workload_facts");
  assert_string_equal(text_of(json_array_get(facts, 0), "service"), "second");
  assert_true(json_is_false(json_object_get(json_array_get(facts, 0), "reads_back")));
  assert_true(json_is_true(json_object_get(json_array_get(facts, 1), "reads_back")));
  json_decref(root);
}

/* JSON takes no other bytes, and the reason why a run had stopped was lost. */
static void test_bytes_that_are_no_text(void **state) {
  struct fixture *f = *state;
  f->scenario.file = "sch\xf6n.yaml";
  f->file.stopped_because = "the log says: \xff\xfe d\xc3\xa9j\xc3\xa0";
  json_t *root = write_and_read(f);
  assert_string_equal(text_of(root, "scenario_file"), "sch?n.yaml");
  assert_string_equal(text_of(root, "stopped_because"), "the log says: ?? d??j??");
  json_decref(root);
}

static void test_text_in_utf8_stays(void **state) {
  struct fixture *f = *state;
  f->file.stopped_because = "d\xc3\xa9j\xc3\xa0 \"vu\"\n";
  json_t *root = write_and_read(f);
  assert_string_equal(text_of(root, "stopped_because"), "d\xc3\xa9j\xc3\xa0 \"vu\"\n");
  json_decref(root);
}

static void test_directory_that_is_not_there(void **state) {
  struct fixture *f = *state;
  struct error err = ERROR_INIT;
  f->file.run_directory = "/nonexistent";
  assert_int_equal(run_file_write(&f->file, &err), STATUS_SYSTEM);
  assert_non_null(strstr(err.message, "/nonexistent"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_before_there_is_a_cluster), TEST(test_hosts_and_settings),
      TEST(test_who_is_of_which_service),   TEST(test_bytes_that_are_no_text),
      TEST(test_text_in_utf8_stays),        TEST(test_directory_that_is_not_there),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
