/* See local_cluster.h. */
#include "support/local_cluster.h"

#include <ctype.h>
#include <dirent.h>
#include <poll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/prng.h"
#include "support/test.h"

void local_test_init(struct local_test *test) {
  struct error err = ERROR_INIT;
  *test = (struct local_test){.config = {.image = "/",
                                         .storage = LOCAL_STORAGE_AUTO,
                                         .disk_bytes = UINT64_C(64) << 20,
                                         .power_loss = true}};
  uint32_t number = 0;
  assert_ok(random_bytes(&number, sizeof number, &err), &err);
  snprintf(test->id, sizeof test->id, "test-%08x", number);
  snprintf(test->directory, sizeof test->directory, "/tmp/gameday-test-XXXXXX");
  assert_non_null(mkdtemp(test->directory));
}

int local_test_probe(struct error *err) {
  const struct local_config config = {.image = "/", .storage = LOCAL_STORAGE_AUTO};
  return provider_local.probe(&config, err);
}

bool local_test_possible(void) {
  struct error err = ERROR_INIT;
  if (local_test_probe(&err) == 0) return true;
  printf("skipped: %s\n", err.message);
  return false;
}

int local_test_up(struct local_test *test, bool keep, struct error *err) {
  static const struct host_spec hosts[] = {
      {.name = "client", .kind = HOST_CLIENT},
      {.name = "one", .kind = HOST_SERVER, .memory_bytes = UINT64_C(256) << 20},
      {.name = "monitor", .kind = HOST_MONITOR},
      {.name = "two", .kind = HOST_SERVER, .memory_bytes = UINT64_C(256) << 20},
  };
  const struct cluster_spec spec = {.id = test->id,
                                    .run_directory = test->directory,
                                    .hosts = hosts,
                                    .host_count = sizeof hosts / sizeof *hosts,
                                    .keep = keep};
  int status = provider_local.up(&test->config, &spec, &test->cluster, err);
  if (status < 0) return status;
  test->one = &test->cluster->hosts[0]; /* servers come first */
  test->two = &test->cluster->hosts[1];
  test->client = &test->cluster->hosts[2];
  return 0;
}

void local_test_begin(struct local_test *test) {
  struct error err = ERROR_INIT;
  local_test_init(test);
  assert_ok(local_test_up(test, false, &err), &err);
  assert_string_equal(test->one->name, "one");
  assert_string_equal(test->two->name, "two");
  assert_string_equal(test->client->name, "client");
}

void local_test_end(struct local_test *test) {
  struct error err = ERROR_INIT;
  char what[256];
  provider_local.detach(test->cluster);
  test->cluster = NULL;
  assert_ok(provider_local.destroy(test->directory, test->id, &err), &err);
  /* The call itself promises it: no waiting here. */
  if (!local_test_gone(test, 0, what)) fail_msg("left behind: %s", what);
  assert_ok(directory_remove(test->directory, &err), &err);
}

int local_test_set_up(void **state) {
  static struct local_test test;
  local_test_begin(&test);
  *state = &test;
  return 0;
}

int local_test_tear_down(void **state) {
  local_test_end(*state);
  return 0;
}

/* --- what is left */

static bool process_left(const char *id, char what[256]) {
  DIR *directory = opendir("/proc");
  assert_non_null(directory);
  bool left = false;
  for (const struct dirent *entry; !left && (entry = readdir(directory)) != NULL;) {
    struct local_proc proc;
    pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
    /* What has ended and waits for its parent is not ours to judge. */
    if (!isdigit((unsigned char)entry->d_name[0]) || !local_proc_read(pid, &proc)) continue;
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
    CLEANUP(buf_release) struct buf text;
    buf_init(&text);
    left = local_proc_has_mark(pid, id) ||
           (file_read(path, 65536, &text, NULL) == 0 && local_proc_cgroup_names(text.data, id));
    if (left) snprintf(what, 256, "process %d", (int)pid);
  }
  closedir(directory);
  return left;
}

static bool cgroup_left(const char *id, char what[256]) {
  struct error err = ERROR_INIT;
  struct local_cgroups cgroups;
  assert_ok(local_cgroups_find(&cgroups, &err), &err);
  for (uint32_t i = 0; i < cgroups.count; i++) {
    snprintf(what, 256, "%s/gameday-%s", cgroups.mounts[i], id);
    if (file_exists(what)) return true;
  }
  return false;
}

static bool loop_left(const char *run_directory, char what[256]) {
  for (int number = 0; number < 256; number++) {
    char path[64];
    snprintf(path, sizeof path, "/sys/block/loop%d/loop/backing_file", number);
    CLEANUP(buf_release) struct buf text;
    buf_init(&text);
    if (!file_exists(path) || file_read(path, 8192, &text, NULL) < 0) continue;
    snprintf(what, 256, "loop%d on %.200s", number, text.data);
    if (strncmp(text.data, run_directory, strlen(run_directory)) == 0) return true;
  }
  return false;
}

static bool mount_left(const char *run_directory, char what[256]) {
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  assert_ok(file_read("/proc/self/mountinfo", 4u << 20, &text, &err), &err);
  snprintf(what, 256, "a mount");
  return strstr(text.data, run_directory) || strstr(text.data, LOCAL_WORLD);
}

static bool interface_left(char what[256]) {
  snprintf(what, 256, "an interface");
  return file_exists("/sys/class/net/gd0") || file_exists("/sys/class/net/sw0");
}

static bool file_left(const struct local_test *test, char what[256]) {
  static const char *const names[] = {"cluster.json", "disks"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(what, 256, "%s/%s", test->directory, names[i]);
    if (file_exists(what)) return true;
  }
  snprintf(what, 256, "%s/%s.json", LOCAL_REGISTRY, test->id);
  return file_exists(what);
}

bool local_test_gone(const struct local_test *test, uint64_t timeout_ns, char ret_what[256]) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + timeout_ns;
  while (process_left(test->id, ret_what) || cgroup_left(test->id, ret_what) ||
         loop_left(test->directory, ret_what) || mount_left(test->directory, ret_what) ||
         interface_left(ret_what) || file_left(test, ret_what)) {
    if (clock_now_ns(&clock_monotonic) >= deadline_ns) return false;
    poll(NULL, 0, 5); /* what ends by itself says nothing */
  }
  return true;
}

/* --- doing things on hosts */

int local_test_shell(const struct local_test *test, const struct host *host, const char *user,
                     const char *line, char *out, size_t size) {
  struct error err = ERROR_INIT;
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  const char *argv[] = {"/bin/sh", "-c", line, NULL};
  struct process_spec spec = {.argv = argv};
  assert_ok(provider_local.exec(test->cluster, host, user, &spec, &result, &err), &err);
  if (out) {
    snprintf(out, size, "%s", result.out.data);
    size_t length = strlen(out);
    if (length > 0 && out[length - 1] == '\n') out[length - 1] = 0;
  }
  return result.exit_code;
}

void local_test_unit(const struct local_test *test, const struct host *host, const char *name,
                     const char *line) {
  struct error err = ERROR_INIT;
  const char *argv[] = {"/bin/sh", "-c", line, NULL};
  const struct host_unit unit = {.name = name, .argv = argv};
  assert_ok(provider_local.unit_define(test->cluster, host, &unit, &err), &err);
  assert_ok(provider_local.unit_start(test->cluster, host, name, &err), &err);
}

void local_test_await(const struct local_test *test, const struct host *host, const char *line) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + 10 * NS_PER_S;
  while (local_test_shell(test, host, NULL, line, NULL, 0) != 0)
    if (clock_now_ns(&clock_monotonic) > deadline_ns) fail_msg("never true: %s", line);
}
