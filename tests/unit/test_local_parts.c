/* The parts of the provider `local` that need no cluster: what it reads of /proc and mountinfo,
 * which paths it hides, which ids it takes, the state file. */
#include "support/test.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "clusters/local/filter.h"
#include "clusters/local/local.h"

static struct error err;

static const char v1[] =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer\n";
static const char v2_line[] =
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";

static void cgroups_of_version_1_are_found_by_the_freezer(void **state) {
  (void)state;
  struct local_cgroups found;
  assert_ok(local_cgroups_parse(v1, &found, &err), &err);
  assert_false(found.unified);
  assert_int_equal(found.count, 3);
  assert_string_equal(found.main, "/sys/fs/cgroup/freezer");
  assert_true(found.memory);
  assert_false(found.pids);
}

static void with_both_versions_the_freezer_of_version_1_counts(void **state) {
  (void)state;
  char text[2048];
  struct local_cgroups found;
  snprintf(text, sizeof text, "%s%s", v2_line, v1);
  assert_ok(local_cgroups_parse(text, &found, &err), &err);
  assert_false(found.unified);
  assert_int_equal(found.count, 4);
  assert_string_equal(found.main, "/sys/fs/cgroup/freezer");
}

static void version_2_alone_is_unified(void **state) {
  (void)state;
  struct local_cgroups found;
  assert_ok(local_cgroups_parse(v2_line, &found, &err), &err);
  assert_true(found.unified);
  assert_string_equal(found.main, "/sys/fs/cgroup/unified");
}

static void a_second_mount_at_the_same_place_is_not_counted_twice(void **state) {
  (void)state;
  char text[2048];
  struct local_cgroups found;
  snprintf(text, sizeof text, "%s%s", v2_line, v2_line);
  assert_ok(local_cgroups_parse(text, &found, &err), &err);
  assert_int_equal(found.count, 1);
}

static void no_cgroups_is_an_error_of_the_environment(void **state) {
  (void)state;
  struct local_cgroups found;
  assert_int_equal(local_cgroups_parse("", &found, &err), STATUS_ENVIRONMENT);
  assert_int_equal(local_cgroups_parse("a - b\nnonsense\n - cgroup2\n", &found, &err),
                   STATUS_ENVIRONMENT);
}

static void stat_is_read_past_a_name_with_brackets(void **state) {
  (void)state;
  struct local_proc proc = {.pid = 0};
  assert_true(local_proc_parse_stat(
      "812 (a) S 1 (b) T 77 812 812 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 1 0 4242 900 100\n", &proc));
  assert_int_equal(proc.pid, 812);
  assert_int_equal(proc.parent, 77);
  assert_int_equal(proc.state, 'T');
  assert_int_equal(proc.start, 4242);
  assert_false(local_proc_parse_stat("812 (cut) S 1", &proc));
  assert_false(local_proc_parse_stat("", &proc));
}

static void a_process_is_read_as_it_is(void **state) {
  (void)state;
  struct local_proc proc;
  uint64_t start = 0;
  assert_true(local_proc_read(getpid(), &proc));
  assert_int_equal(proc.parent, getppid());
  assert_true(local_proc_start(getpid(), &start));
  assert_int_equal(proc.start, start);
  int fd = local_proc_open(&proc);
  assert_true(fd >= 0);
  close(fd);
}

static void a_reused_process_number_is_not_opened(void **state) {
  (void)state;
  struct local_proc proc;
  assert_true(local_proc_read(getpid(), &proc));
  proc.start++;
  assert_int_equal(local_proc_open(&proc), -1);
}

static void a_cluster_is_not_taken_for_one_whose_id_begins_alike(void **state) {
  (void)state;
  assert_true(local_proc_cgroup_names("7:freezer:/gameday-a1/pg1\n", "a1"));
  assert_true(local_proc_cgroup_names("0::/x/gameday-a1\n", "a1"));
  assert_false(local_proc_cgroup_names("7:freezer:/gameday-a12/pg1\n", "a1"));
  assert_false(local_proc_cgroup_names("7:freezer:/gameday-a1-b/pg1\n0::/\n", "a1"));
  assert_true(local_proc_cgroup_names("0::/gameday-a12/x\n1:y:/gameday-a1/z\n", "a1"));
}

static void ids_are_checked(void **state) {
  (void)state;
  assert_true(local_id_valid("a-1"));
  assert_false(local_id_valid(""));
  assert_false(local_id_valid("A"));
  assert_false(local_id_valid("a/../b"));
  assert_true(local_id_valid("0123456789012345678901234567890a"));
  assert_false(local_id_valid("0123456789012345678901234567890ab"));
}

static void check_hidden(const char *image, const char *run_directory, const char *expected) {
  char path[PATH_MAX];
  local_container_hidden(image, run_directory, path, sizeof path);
  assert_string_equal(path, expected);
}

static void the_folder_of_runs_is_hidden_but_nothing_that_servers_need(void **state) {
  (void)state;
  check_hidden("/", "/data/runs/one", "/data/runs");
  check_hidden("/", "/one", "/one");
  check_hidden("/", "/var/one", "/var/one");
  check_hidden("/", "/var/lib/one", "/var/lib/one");
  check_hidden("/", "/var/lib/runs/one", "/var/lib/runs");
  check_hidden("/", "/tmp/x/one", "");
  check_hidden("/", "/home/me/runs/one", "");
  check_hidden("/", "/tmpfoo/runs/one", "/tmpfoo/runs");
  check_hidden("/srv/image", "/data/runs/one", "");
  check_hidden("/srv/image", "/srv/image/data/one", "/data");
}

static void addresses_follow_the_order_of_hosts(void **state) {
  (void)state;
  char address[48];
  local_network_address(0, address);
  assert_string_equal(address, "10.213.0.11");
  local_network_address(LOCAL_HOSTS_MAX - 1, address);
  assert_string_equal(address, "10.213.0.74");
}

static struct local_cluster *sample_cluster(const char *directory) {
  struct local_cluster *lc = NULL;
  assert_ok(local_cluster_new(2, &lc, &err), &err);
  snprintf(lc->id, sizeof lc->id, "sample");
  snprintf(lc->run_directory, sizeof lc->run_directory, "%s", directory);
  snprintf(lc->image, sizeof lc->image, "/");
  snprintf(lc->runtime, sizeof lc->runtime, "runc");
  lc->storage = LOCAL_STORAGE_TMPFS;
  lc->keep = true;
  lc->anchor = 4242;
  lc->anchor_start = UINT64_C(1) << 40;
  snprintf(lc->hosts[0].name, sizeof lc->hosts[0].name, "pg1");
  snprintf(lc->hosts[1].name, sizeof lc->hosts[1].name, "monitor");
  lc->hosts[1].kind = HOST_MONITOR;
  local_network_address(0, lc->hosts[0].address);
  local_network_address(1, lc->hosts[1].address);
  lc->locals[0].memory_bytes = UINT64_C(3) << 33;
  lc->locals[0].disk_bytes = 1 << 30;
  return lc;
}

static void the_state_file_gives_the_same_cluster_again(void **state) {
  (void)state;
  char directory[] = "/tmp/gameday-test-XXXXXX", path[64];
  assert_non_null(mkdtemp(directory));
  struct local_cluster *lc = sample_cluster(directory), *again = NULL;
  assert_ok(local_state_write(lc, &err), &err);
  snprintf(path, sizeof path, "%s/cluster.json", directory);
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  assert_ok(local_state_read(directory, &again, &err), &err);
  assert_string_equal(again->id, lc->id);
  assert_string_equal(again->runtime, "runc");
  assert_string_equal(again->run_directory, directory);
  assert_int_equal(again->storage, LOCAL_STORAGE_TMPFS);
  assert_true(again->keep);
  assert_false(again->power_loss);
  assert_int_equal(again->anchor, 4242);
  assert_int_equal(again->anchor_start, lc->anchor_start);
  assert_int_equal(again->public.host_count, 2);
  assert_string_equal(again->hosts[0].name, "pg1");
  assert_string_equal(again->hosts[0].address, "10.213.0.11");
  assert_int_equal(again->hosts[1].kind, HOST_MONITOR);
  assert_int_equal(again->hosts[1].index, 1);
  assert_int_equal(again->locals[0].memory_bytes, lc->locals[0].memory_bytes);
  local_cluster_free(lc);
  local_cluster_free(again);
  assert_ok(directory_remove(directory, &err), &err);
}

/* A file cut short at any place is refused, never half believed. */
static void a_damaged_state_file_is_refused(void **state) {
  (void)state;
  char directory[] = "/tmp/gameday-test-XXXXXX", path[64];
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/cluster.json", directory);
  struct local_cluster *lc = sample_cluster(directory), *again = NULL;
  assert_int_equal(local_state_read(directory, &again, &err), STATUS_USAGE);
  assert_ok(local_state_write(lc, &err), &err);
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(file_read(path, 65536, &text, &err), &err);
  for (size_t length = 0; length + 2 < text.length; length += 7) {
    assert_ok(file_write(path, text.data, length, 0600, &err), &err);
    assert_int_equal(local_state_read(directory, &again, &err), STATUS_USAGE);
  }
  static const char *const bad[] = {
      "[]", "{\"schema\": \"gameday/cluster/v1\"}",
      "{\"schema\": \"gameday/cluster/v1\", \"provider\": \"local\", \"hosts\": [{}]}",
      "{\"schema\": \"gameday/cluster/v1\", \"provider\": \"kind\", \"hosts\": []}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_ok(file_puts(path, bad[i], 0600, &err), &err);
    assert_int_equal(local_state_read(directory, &again, &err), STATUS_USAGE);
  }
  assert_null(again);
  local_cluster_free(lc);
  assert_ok(directory_remove(directory, &err), &err);
}

static void probe_refuses_an_image_that_cannot_be_overlaid(void **state) {
  (void)state;
  if (geteuid() != 0) skip_because("the check of the image comes after that for root");
  struct local_config config = {.image = "/no/such/place", .storage = LOCAL_STORAGE_TMPFS};
  struct local_cgroups cgroups;
  if (local_cgroups_find(&cgroups, &err) < 0 || !local_probe_runtime(&cgroups))
    skip_because("the check of the image comes after that for a container runtime");
  assert_int_equal(local_probe(&config, &err), STATUS_ENVIRONMENT);
  assert_non_null(strstr(err.message, "/no/such/place"));
  config.image = "/a:b";
  assert_int_equal(local_probe(&config, &err), STATUS_USAGE);
}

/* A helper that is killed leaves an empty buffer, whose bytes are not to be written to. */
static void a_start_that_died_without_a_word_is_told(void **state) {
  (void)state;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  result.exit_code = 137;
  assert_int_equal(local_unit_failed(&result, &err), STATUS_SERVER);
  assert_string_equal(err.message, "its start ended with exit code 137 and said nothing");
  buf_puts(&result.err, "gameday-host: /bin/false: no\nmore\n");
  assert_int_equal(local_unit_failed(&result, &err), STATUS_SERVER);
  assert_string_equal(err.message, "gameday-host: /bin/false: no");
}

/* Of every action, with ports and without: as another fault's cuts are told apart. */
static void a_cut_is_known_by_whom_it_cuts(void **state) {
  (void)state;
  static const struct link_rule rules[] = {{.action = LINK_DROP, .established_only = true},
                                           {.action = LINK_REJECT, .port = 5432},
                                           {.action = LINK_RESET}};
  static const struct host hosts[] = {{.address = "10.213.0.11"}, {.address = "fd00::12"}};
  const struct host *const froms[] = {&hosts[0], &hosts[1]};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    CLEANUP(buf_release) struct buf batch;
    buf_init(&batch);
    assert_ok(filter_add_cut(&batch, "gameday-test", froms, 2, &rules[i], 1, &err), &err);
    assert_true(filter_cuts(&batch, "10.213.0.11"));
    assert_true(filter_cuts(&batch, "fd00::12"));
    assert_false(filter_cuts(&batch, "10.213.0.12"));
    assert_false(filter_cuts(&batch, "fd00::11"));
    assert_false(filter_cuts(&batch, "nobody"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cgroups_of_version_1_are_found_by_the_freezer),
      cmocka_unit_test(with_both_versions_the_freezer_of_version_1_counts),
      cmocka_unit_test(version_2_alone_is_unified),
      cmocka_unit_test(a_second_mount_at_the_same_place_is_not_counted_twice),
      cmocka_unit_test(no_cgroups_is_an_error_of_the_environment),
      cmocka_unit_test(stat_is_read_past_a_name_with_brackets),
      cmocka_unit_test(a_process_is_read_as_it_is),
      cmocka_unit_test(a_reused_process_number_is_not_opened),
      cmocka_unit_test(a_cluster_is_not_taken_for_one_whose_id_begins_alike),
      cmocka_unit_test(ids_are_checked),
      cmocka_unit_test(the_folder_of_runs_is_hidden_but_nothing_that_servers_need),
      cmocka_unit_test(addresses_follow_the_order_of_hosts),
      cmocka_unit_test(the_state_file_gives_the_same_cluster_again),
      cmocka_unit_test(a_damaged_state_file_is_refused),
      cmocka_unit_test(probe_refuses_an_image_that_cannot_be_overlaid),
      cmocka_unit_test(a_start_that_died_without_a_word_is_told),
      cmocka_unit_test(a_cut_is_known_by_whom_it_cuts),
  };
  return cmocka_run_group_tests_name("local_parts", tests, NULL, NULL);
}
