/* The n-th allocation fails, for every n, in the base library. */
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/process.h"
#include "base/ring.h"
#include "torture/allocations.h"

static int arena_once(void *data, struct error *err) {
  (void)data;
  struct arena arena;
  arena_init(&arena, 0);
  const char *texts[3] = {NULL};
  texts[0] = arena_strdup(&arena, "text");
  texts[1] = arena_printf(&arena, "%*d", 30000, 1); /* a block of its own */
  texts[2] = arena_alloc(&arena, 12000);
  void *last = arena_alloc(&arena, 6000); /* the next block */
  size_t total_bytes = arena.total_bytes;
  int status = 0;
  if (!texts[0] || !texts[1] || !texts[2] || !last)
    status = error_set(err, STATUS_MEMORY, "no memory");
  else
    assert_true(total_bytes > 48000);
  arena_release(&arena);
  return status;
}

static void test_arena(void **state) {
  (void)state;
  assert_int_equal(fail_each_allocation(arena_once, NULL), 3);
}

static int buf_once(void *data, struct error *err) {
  (void)data;
  CLEANUP(buf_release) struct buf buf;
  buf_init(&buf);
  for (int i = 0; i < 100; i++) {
    buf_puts(&buf, "0123456789");
    buf_printf(&buf, "%d", i);
    assert_int_equal(buf.data[buf.length], 0); /* a text, whatever failed */
  }
  int status = buf_ok(&buf, err);
  if (!status) assert_int_equal(buf.length, 1190);
  return status;
}

static void test_buf(void **state) {
  (void)state;
  fail_each_allocation(buf_once, NULL);
}

static int steal_once(void *data, struct error *err) {
  (void)data;
  struct buf buf;
  buf_init(&buf);
  char *text = buf_steal(&buf);
  if (!text) return error_set(err, STATUS_MEMORY, "no memory");
  free(text);
  return 0;
}

static void test_steal_of_nothing(void **state) {
  (void)state;
  fail_each_allocation(steal_once, NULL);
}

static void count_down(struct timer *timer, uint64_t now_ns) {
  (void)now_ns;
  --*(int *)timer->owner;
}

static int loop_once(void *data, struct error *err) {
  (void)data;
  struct loop *loop = NULL;
  int status = loop_new(&loop, err);
  if (status) {
    assert_null(loop);
    return status;
  }
  int left = 0;
  struct timer timers[100] = {{.fire = NULL}};
  for (int i = 0; i < 100 && !status; i++) {
    timers[i] = (struct timer){.fire = count_down, .owner = &left};
    status = loop_timer_arm(loop, &timers[i], 1, err);
    if (!status) left++;
    assert_int_equal(timers[i].position != 0, status == 0);
  }
  struct error ignored;
  assert_int_equal(loop_turn(loop, 0, &ignored), 0); /* those that were armed fire all the same */
  assert_int_equal(left, 0);
  loop_free(loop);
  return status;
}

static void test_loop(void **state) {
  (void)state;
  fail_each_allocation(loop_once, NULL);
}

static int ring_once(void *data, struct error *err) {
  (void)data;
  struct ring ring;
  int status = ring_init(&ring, 64, 1000, err);
  if (!status) ring_release(&ring);
  return status;
}

static void test_ring(void **state) {
  (void)state;
  fail_each_allocation(ring_once, NULL);
}

static int process_once(void *data, struct error *err) {
  (void)data;
  const char *const argv[] = {"sh", "-c", "head -c 40000 /dev/zero; echo why >&2", NULL};
  const char *const extra[] = {"A=b", NULL};
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  struct process_spec spec = {.argv = argv, .env_extra = extra, .input = "in", .input_length = 2};
  int status = process_run(&spec, &result, err);
  assert_int_equal(result.out.length, status ? 0 : 40000);
  return status;
}

static void test_process(void **state) {
  (void)state;
  fail_each_allocation(process_once, NULL);
}

static int read_once(void *data, struct error *err) {
  (void)data;
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  return file_read("/proc/self/status", 100000, &content, err);
}

static void test_file_read(void **state) {
  (void)state;
  fail_each_allocation(read_once, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_arena),
      cmocka_unit_test(test_buf),
      cmocka_unit_test(test_steal_of_nothing),
      cmocka_unit_test(test_loop),
      cmocka_unit_test(test_ring),
      cmocka_unit_test(test_process),
      cmocka_unit_test(test_file_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
