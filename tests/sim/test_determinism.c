/* The same scenario and seed give the same record, byte by byte; another seed gives another one,
 * which sanitizers have nothing to say of. Under ThreadSanitizer, with which a run takes seconds,
 * every ninth scenario. */
#include "support/simulated.h"
#include "support/test.h"

#include <dirent.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "support/fake.h"

#ifdef __SANITIZE_THREAD__
#define EACH 9
#else
#define EACH 1
#endif
#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
#define OTHER_SEED false
#else
#define OTHER_SEED true
#endif

static void run_into(const struct simulated_scenario *scenario, uint64_t seed,
                     const char *directory) {
  struct error err = ERROR_INIT;
  struct simulated run;
  assert_int_equal(mkdir(directory, 0700), 0);
  assert_ok(simulated_run(&run, scenario, seed, directory, &err), &err);
  simulated_close(&run);
}

static bool same_file(const char *left, const char *right, const char *name) {
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf a;
  CLEANUP(buf_release) struct buf b;
  char path[PATH_MAX];
  buf_init(&a);
  buf_init(&b);
  snprintf(path, sizeof path, "%s/%s", left, name);
  assert_ok(file_read(path, SIZE_MAX / 2, &a, &err), &err);
  snprintf(path, sizeof path, "%s/%s", right, name);
  assert_ok(file_read(path, SIZE_MAX / 2, &b, &err), &err);
  return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

/* How many files `left` has; all must be the same in `right`. */
static uint32_t compare_all(const char *left, const char *right) {
  DIR *directory = opendir(left);
  uint32_t count = 0;
  assert_non_null(directory);
  for (const struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    if (!same_file(left, right, entry->d_name)) fail_msg("%s differs", entry->d_name);
    count++;
  }
  closedir(directory);
  return count;
}

static void test_same_seed_same_bytes(void **state) {
  (void)state;
  for (size_t i = 0; i < SIMULATED_CASES; i++) {
    if (i % EACH != 0) {
      print_message("%-46s left out under ThreadSanitizer\n", simulated_cases[i].path);
      continue;
    }
    char work[TEMPORARY_SIZE], once[TEMPORARY_SIZE + 8], again[TEMPORARY_SIZE + 8],
        other[TEMPORARY_SIZE + 8];
    struct simulated_scenario scenario;
    struct error err = ERROR_INIT;
    temporary_make(work);
    snprintf(once, sizeof once, "%s/once", work);
    snprintf(again, sizeof again, "%s/again", work);
    snprintf(other, sizeof other, "%s/other", work);
    assert_ok(simulated_load(&scenario, simulated_cases[i].path, NULL, 0, &err), &err);
    run_into(&scenario, 7, once);
    run_into(&scenario, 7, again);
    uint32_t files = compare_all(once, again);
    assert_true(files >= 6); /* run, scenario, events, operations, samples, a host's rows */
    assert_int_equal(files, compare_all(again, once));
    if (OTHER_SEED) {
      run_into(&scenario, 8, other);
      assert_false(same_file(once, other, "operations.bin"));
    }
    print_message("%-46s %u files, the same twice\n", simulated_cases[i].path, files);
    simulated_release(&scenario);
    temporary_remove(work);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_seed_same_bytes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
