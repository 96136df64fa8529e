/* Files and directories, in a directory of the test's own. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "support/test.h"

#define PATH_BYTES 512

struct place {
  char directory[PATH_BYTES];
};

static int set_up(void **state) {
  const char *base = getenv("TMPDIR");
  struct place *place = calloc(1, sizeof *place);
  if (!place) return -1;
  snprintf(place->directory, sizeof place->directory, "%.400s/gameday-file-XXXXXX",
           base ? base : "/tmp");
  *state = place;
  return mkdtemp(place->directory) ? 0 : -1;
}

static int tear_down(void **state) {
  struct place *place = *state;
  int status = directory_remove(place->directory, NULL);
  free(place);
  return status;
}

/* The path of `name` in the test's directory. */
static const char *at(void **state, const char *name, char path[PATH_BYTES]) {
  const struct place *place = *state;
  struct error err = ERROR_INIT;
  assert_ok(path_format(path, PATH_BYTES, &err, "%s/%s", place->directory, name), &err);
  return path;
}

static mode_t mode_of(const char *path) {
  struct stat info;
  assert_int_equal(lstat(path, &info), 0);
  return info.st_mode & 07777;
}

static void test_write_then_read(void **state) {
  char path[PATH_BYTES];
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  buf_puts(&content, "old content of the buffer");
  assert_ok(file_write(at(state, "a", path), "x\0y", 3, 0600, &err), &err);
  assert_ok(file_read(path, 3, &content, &err), &err);
  assert_int_equal(content.length, 3);
  assert_memory_equal(content.data, "x\0y", 4);
  assert_int_equal(mode_of(path), 0600);
  assert_ok(file_puts(path, "second", 0640, &err), &err);
  assert_ok(file_read(path, 100, &content, &err), &err);
  assert_string_equal(content.data, "second");
  /* Nothing temporary stays: the file is alone in its directory. */
  assert_int_equal(unlink(path), 0);
  assert_int_equal(rmdir(((struct place *)*state)->directory), 0);
}

static void test_read_keeps_its_limit_and_leaves_the_result(void **state) {
  char path[PATH_BYTES];
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  buf_puts(&content, "kept");
  assert_ok(file_puts(at(state, "a", path), "123456", 0600, &err), &err);
  assert_int_equal(file_read(path, 5, &content, &err), STATUS_USAGE);
  assert_non_null(strstr(err.message, path));
  assert_int_equal(file_read(at(state, "absent", path), 5, &content, &err), STATUS_SYSTEM);
  assert_int_equal(err.errnum, ENOENT);
  assert_non_null(strstr(err.message, path));
  assert_int_equal(file_read(at(state, ".", path), 5, &content, &err), STATUS_SYSTEM);
  assert_string_equal(content.data, "kept");
}

static void test_write_replaces_at_once_or_not_at_all(void **state) {
  char path[PATH_BYTES], other[PATH_BYTES];
  struct error err = ERROR_INIT;
  assert_ok(directory_make(at(state, "taken", path), 0700, &err), &err);
  assert_ok(file_puts(at(state, "taken/inside", other), "x", 0600, &err), &err);
  assert_int_equal(file_puts(path, "x", 0600, &err), STATUS_SYSTEM); /* a directory is there */
  assert_true(file_exists(other));
  assert_int_equal(file_puts(at(state, "no/such", other), "x", 0600, &err), STATUS_SYSTEM);
  /* A link is replaced, not followed. */
  assert_ok(file_puts(at(state, "target", other), "untouched", 0600, &err), &err);
  assert_int_equal(symlink("target", at(state, "link", path)), 0);
  assert_ok(file_puts(path, "new", 0600, &err), &err);
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  assert_ok(file_read(other, 100, &content, &err), &err);
  assert_string_equal(content.data, "untouched");
}

static void test_set_needs_a_file(void **state) {
  char path[PATH_BYTES];
  struct error err = ERROR_INIT;
  assert_int_equal(file_set(at(state, "a", path), "1", &err), STATUS_SYSTEM);
  assert_false(file_exists(path));
  assert_ok(file_puts(path, "old", 0600, &err), &err);
  assert_ok(file_set(path, "new", &err), &err);
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  assert_ok(file_read(path, 100, &content, &err), &err);
  assert_string_equal(content.data, "new");
}

static void test_copy(void **state) {
  char from[PATH_BYTES], to[PATH_BYTES];
  struct error err = ERROR_INIT;
  enum { LENGTH = 200000 };
  CLEANUP_FREE char *bytes = malloc(LENGTH);
  assert_non_null(bytes);
  for (int i = 0; i < LENGTH; i++) bytes[i] = (char)(i * 7);
  assert_ok(file_write(at(state, "from", from), bytes, LENGTH, 0700, &err), &err);
  assert_ok(file_copy(from, at(state, "to", to), &err), &err);
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  assert_ok(file_read(to, LENGTH, &content, &err), &err);
  assert_int_equal(content.length, LENGTH);
  assert_memory_equal(content.data, bytes, LENGTH);
  assert_int_equal(mode_of(to), 0700);
  assert_int_equal(file_copy(at(state, "absent", from), to, &err), STATUS_SYSTEM);
}

static void test_make_directories(void **state) {
  char path[PATH_BYTES];
  struct error err = ERROR_INIT;
  assert_ok(directory_make(at(state, "a/b/c", path), 0700, &err), &err);
  assert_ok(directory_make(path, 0700, &err), &err);
  assert_ok(directory_make(at(state, "a/b//d/", path), 0750, &err), &err);
  assert_int_equal(mode_of(path), 0750);
  assert_ok(file_puts(at(state, "a/file", path), "x", 0600, &err), &err);
  assert_int_equal(directory_make(path, 0700, &err), STATUS_SYSTEM);
  assert_int_equal(err.errnum, ENOTDIR);
  assert_int_equal(directory_make(at(state, "a/file/below", path), 0700, &err), STATUS_SYSTEM);
}

static void test_remove_does_not_follow_links(void **state) {
  char path[PATH_BYTES], outside[PATH_BYTES], file[PATH_BYTES];
  struct error err = ERROR_INIT;
  assert_ok(directory_make(at(state, "tree/a/b", path), 0700, &err), &err);
  assert_ok(directory_make(at(state, "outside", outside), 0700, &err), &err);
  assert_ok(file_puts(at(state, "outside/keep", file), "x", 0600, &err), &err);
  assert_ok(file_puts(at(state, "tree/a/b/file", path), "x", 0400, &err), &err);
  assert_int_equal(symlink(outside, at(state, "tree/a/link", path)), 0);
  assert_int_equal(symlink("nowhere", at(state, "tree/dangling", path)), 0);
  assert_int_equal(mkfifo(at(state, "tree/fifo", path), 0600), 0);
  assert_ok(directory_remove(at(state, "tree", path), &err), &err);
  assert_false(file_exists(path));
  assert_true(file_exists(file));
  assert_ok(directory_remove(path, &err), &err); /* absent is fine */
  /* A link given as the tree itself is removed, not what it leads to. */
  assert_int_equal(symlink(outside, at(state, "link", path)), 0);
  assert_ok(directory_remove(path, &err), &err);
  assert_true(file_exists(file));
  assert_ok(directory_remove(file, &err), &err); /* a plain file */
  assert_false(file_exists(file));
}

static void test_remove_stops_at_too_deep_a_tree(void **state) {
  char path[PATH_BYTES];
  struct error err = ERROR_INIT;
  int fd = open(at(state, ".", path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int depth = 0; depth < 260; depth++) {
    assert_int_equal(mkdirat(fd, "d", 0700), 0);
    int below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(fd);
    fd = below;
  }
  close(fd);
  assert_int_equal(directory_remove(at(state, "d", path), &err), STATUS_SYSTEM);
  assert_int_equal(err.errnum, ELOOP);
  /* So that the directory of the test can be removed: half of the levels go up first. */
  char top[PATH_BYTES], half[2 * PATH_BYTES];
  int length = snprintf(half, sizeof half, "%s", at(state, "d", path));
  for (int depth = 0; depth < 130; depth++)
    length += snprintf(half + length, sizeof half - (size_t)length, "/d");
  assert_int_equal(rename(half, at(state, "half", top)), 0);
}

static void test_files_are_moved_over_others(void **state) {
  char from[PATH_BYTES], to[PATH_BYTES], path[PATH_BYTES];
  struct error err = ERROR_INIT;
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  assert_ok(directory_make(at(state, "from", from), 0755, &err), &err);
  assert_ok(directory_make(at(state, "to", to), 0755, &err), &err);
  assert_ok(file_puts(at(state, "from/a", path), "new", 0644, &err), &err);
  assert_ok(file_puts(at(state, "from/b", path), "new", 0644, &err), &err);
  assert_ok(file_puts(at(state, "to/a", path), "old", 0644, &err), &err);
  assert_ok(file_puts(at(state, "to/c", path), "old", 0644, &err), &err);
  assert_ok(directory_move_files(from, to, &err), &err);
  assert_int_equal(rmdir(from), 0); /* nothing is left in it */
  assert_ok(file_read(at(state, "to/a", path), 16, &content, &err), &err);
  assert_string_equal(content.data, "new");
  assert_true(file_exists(at(state, "to/b", path)));
  assert_true(file_exists(at(state, "to/c", path)));
  /* A directory is not replaced by a file. */
  assert_ok(directory_make(from, 0755, &err), &err);
  assert_ok(file_puts(at(state, "from/d", path), "new", 0644, &err), &err);
  assert_ok(directory_make(at(state, "to/d", path), 0755, &err), &err);
  assert_int_equal(directory_move_files(from, to, &err), STATUS_SYSTEM);
  assert_int_equal(err.errnum, EISDIR);
  assert_true(file_exists(at(state, "from/d", path)));
}

static void test_path_that_does_not_fit(void **state) {
  (void)state;
  char path[8] = "old";
  struct error err = ERROR_INIT;
  assert_ok(path_format(path, sizeof path, &err, "%s", "1234567"), &err);
  assert_int_equal(path_format(path, sizeof path, &err, "%s", "12345678"), STATUS_USAGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_write_then_read, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_read_keeps_its_limit_and_leaves_the_result, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(test_write_replaces_at_once_or_not_at_all, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_set_needs_a_file, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_copy, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_make_directories, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_remove_does_not_follow_links, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_remove_stops_at_too_deep_a_tree, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_files_are_moved_over_others, set_up, tear_down),
      cmocka_unit_test(test_path_that_does_not_fit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
