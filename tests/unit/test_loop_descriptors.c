/* Descriptors that are closed, copied and numbered anew behind the loop's back, as libraries do. */
#include <fcntl.h>
#include <unistd.h>

#include "base/loop.h"
#include "support/test.h"

struct seen {
  unsigned count, events;
};

static void note(struct watch *watch, unsigned events) {
  struct seen *seen = watch->owner;
  seen->count++;
  seen->events |= events;
}

static struct loop *make_loop(void) {
  struct loop *loop = NULL;
  struct error err = ERROR_INIT;
  assert_ok(loop_new(&loop, &err), &err);
  return loop;
}

/* What is ready is dispatched; nothing is waited for. */
static void turn(struct loop *loop) {
  struct error err = ERROR_INIT;
  assert_ok(loop_turn(loop, 0, &err), &err);
}

static void watch_add(struct loop *loop, struct watch *watch, int fd, struct seen *seen) {
  struct error err = ERROR_INIT;
  *watch = (struct watch){.ready = note, .owner = seen, .fd = fd};
  assert_ok(loop_watch_set(loop, watch, LOOP_READ, &err), &err);
}

static void watch_remove(struct loop *loop, struct watch *watch) {
  struct error err = ERROR_INIT;
  assert_ok(loop_watch_set(loop, watch, 0, &err), &err);
}

/* The kernel reports a closed descriptor for as long as somebody has a copy of it, which every
 * child has between fork() and exec(): a watch that had been removed and freed was called. */
static void test_freed_watch_of_a_descriptor_that_a_child_still_has(void **state) {
  struct loop *loop = make_loop();
  struct seen seen = {.count = 0};
  int ends[2];
  (void)state;
  assert_int_equal(pipe(ends), 0);
  struct watch *watch = calloc(1, sizeof *watch);
  assert_non_null(watch);
  watch_add(loop, watch, ends[0], &seen);
  int copy = dup(ends[0]);
  close(ends[0]);
  watch_remove(loop, watch);
  free(watch);
  assert_int_equal(write(ends[1], "x", 1), 1);
  turn(loop);
  assert_int_equal(seen.count, 0);
  close(copy);
  close(ends[1]);
  loop_free(loop);
}

/* The same, and the number has been given to another descriptor since. */
static void test_event_of_a_former_descriptor_of_the_same_number(void **state) {
  struct loop *loop = make_loop();
  struct seen old = {.count = 0}, new = {.count = 0};
  struct watch old_watch, new_watch;
  int first[2], second[2];
  (void)state;
  assert_int_equal(pipe(first), 0);
  assert_int_equal(pipe(second), 0);
  watch_add(loop, &old_watch, first[0], &old);
  int copy = dup(first[0]);
  close(first[0]);
  watch_remove(loop, &old_watch);
  int reused = dup2(second[0], first[0]);
  assert_int_equal(reused, first[0]);
  watch_add(loop, &new_watch, reused, &new);
  assert_int_equal(write(first[1], "x", 1), 1); /* of the former one */
  turn(loop);
  assert_int_equal(old.count + new.count, 0);
  assert_int_equal(write(second[1], "x", 1), 1);
  turn(loop);
  assert_int_equal(old.count, 0);
  assert_int_equal(new.count, 1);
  watch_remove(loop, &new_watch);
  for (int i = 0; i < 2; i++) close(second[i]);
  close(reused);
  close(copy);
  close(first[1]);
  loop_free(loop);
}

/* A watch that is removed late, when its number is another's, must not take that one's place away.
 */
static void test_late_removal_leaves_the_next_owner_alone(void **state) {
  struct loop *loop = make_loop();
  struct seen old = {.count = 0}, new = {.count = 0};
  struct watch old_watch, new_watch;
  int first[2], second[2];
  (void)state;
  assert_int_equal(pipe(first), 0);
  assert_int_equal(pipe(second), 0);
  watch_add(loop, &old_watch, first[0], &old);
  close(first[0]);
  assert_int_equal(dup2(second[0], first[0]), first[0]);
  watch_add(loop, &new_watch, first[0], &new);
  watch_remove(loop, &old_watch);
  assert_int_equal(write(second[1], "x", 1), 1);
  turn(loop);
  assert_int_equal(new.count, 1);
  assert_int_equal(old.count, 0);
  watch_remove(loop, &new_watch);
  for (int i = 0; i < 2; i++) close(second[i]);
  close(first[0]);
  close(first[1]);
  loop_free(loop);
}

static void test_renewed_descriptor_of_the_same_number(void **state) {
  struct loop *loop = make_loop();
  struct error err = ERROR_INIT;
  struct seen seen = {.count = 0};
  struct watch watch;
  int first[2], second[2];
  (void)state;
  assert_int_equal(pipe(first), 0);
  assert_int_equal(pipe(second), 0);
  watch_add(loop, &watch, first[0], &seen);
  assert_int_equal(dup2(second[0], first[0]), first[0]);
  assert_ok(loop_watch_renew(loop, &watch, first[0], LOOP_READ, &err), &err);
  assert_int_equal(write(second[1], "x", 1), 1);
  turn(loop);
  assert_int_equal(seen.count, 1);
  watch_remove(loop, &watch);
  turn(loop);
  assert_int_equal(seen.count, 1);
  for (int i = 0; i < 2; i++) {
    close(first[i]);
    close(second[i]);
  }
  loop_free(loop);
}

struct pair {
  struct loop *loop;
  struct watch *watches[2];
  unsigned count;
};

static void remove_both(struct watch *watch, unsigned events) {
  struct pair *pair = watch->owner;
  (void)events;
  pair->count++;
  for (int i = 0; i < 2; i++) {
    watch_remove(pair->loop, pair->watches[i]);
    free(pair->watches[i]);
  }
}

static void test_callback_frees_a_watch_that_is_ready_too(void **state) {
  struct pair pair = {.loop = make_loop()};
  struct error err = ERROR_INIT;
  int ends[2][2];
  (void)state;
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pipe(ends[i]), 0);
    assert_int_equal(write(ends[i][1], "x", 1), 1);
    pair.watches[i] = calloc(1, sizeof *pair.watches[i]);
    assert_non_null(pair.watches[i]);
    *pair.watches[i] = (struct watch){.ready = remove_both, .owner = &pair, .fd = ends[i][0]};
    assert_ok(loop_watch_set(pair.loop, pair.watches[i], LOOP_READ, &err), &err);
  }
  turn(pair.loop);
  assert_int_equal(pair.count, 1);
  for (int i = 0; i < 2; i++) {
    close(ends[i][0]);
    close(ends[i][1]);
  }
  loop_free(pair.loop);
}

static void test_descriptors_with_great_numbers(void **state) {
  struct loop *loop = make_loop();
  struct seen seen = {.count = 0};
  struct watch watch;
  int ends[2];
  (void)state;
  assert_int_equal(pipe(ends), 0);
  int great = fcntl(ends[0], F_DUPFD_CLOEXEC, 900);
  if (great < 0) skip_because("only few descriptors may be open");
  watch_add(loop, &watch, great, &seen);
  assert_int_equal(write(ends[1], "x", 1), 1);
  turn(loop);
  assert_int_equal(seen.count, 1);
  assert_int_equal(seen.events, LOOP_READ);
  watch_remove(loop, &watch);
  close(great);
  close(ends[0]);
  close(ends[1]);
  loop_free(loop);
}

static void test_what_is_no_descriptor_is_refused(void **state) {
  struct loop *loop = make_loop();
  struct error err = ERROR_INIT;
  struct watch watch = {.ready = note, .fd = -1};
  (void)state;
  assert_int_equal(loop_watch_set(loop, &watch, LOOP_READ, &err), STATUS_SYSTEM);
  watch.fd = 999;
  assert_int_equal(loop_watch_set(loop, &watch, LOOP_READ, &err), STATUS_SYSTEM);
  assert_false(watch.active);
  loop_free(loop);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_freed_watch_of_a_descriptor_that_a_child_still_has),
      cmocka_unit_test(test_event_of_a_former_descriptor_of_the_same_number),
      cmocka_unit_test(test_late_removal_leaves_the_next_owner_alone),
      cmocka_unit_test(test_renewed_descriptor_of_the_same_number),
      cmocka_unit_test(test_callback_frees_a_watch_that_is_ready_too),
      cmocka_unit_test(test_descriptors_with_great_numbers),
      cmocka_unit_test(test_what_is_no_descriptor_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
