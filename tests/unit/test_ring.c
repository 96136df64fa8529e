/* The ring: order, fullness, and two threads at once (ThreadSanitizer reads this one). */
#include "base/ring.h"

#include <pthread.h>
#include <sched.h>

#include "support/test.h"

struct element {
  uint64_t number, check, more;
};

static struct element element_of(uint64_t number) {
  return (struct element){.number = number, .check = ~number, .more = number * 3};
}

static void test_order_and_fullness(void **state) {
  (void)state;
  struct ring ring;
  struct error err = ERROR_INIT;
  assert_ok(ring_init(&ring, sizeof(struct element), 5, &err), &err); /* rounded up to 8 */
  uint64_t pushed = 0, popped = 0;
  for (int round = 0; round < 100; round++) {
    struct element element = element_of(pushed);
    while (ring_push(&ring, &element)) element = element_of(++pushed);
    assert_int_equal(ring_length(&ring), 8);
    struct element got[8];
    uint32_t count = ring_pop(&ring, got, (uint32_t)(round % 8) + 1);
    assert_int_equal(count, round % 8 + 1);
    for (uint32_t i = 0; i < count; i++) {
      struct element expected = element_of(popped++);
      assert_memory_equal(&got[i], &expected, sizeof expected);
    }
  }
  struct element rest[8];
  uint32_t left = ring_length(&ring);
  assert_int_equal(left, pushed - popped);
  assert_int_equal(ring_pop(&ring, rest, 8), left);
  ring_release(&ring);
  ring_release(NULL);
}

static void test_numbers_wrap_around(void **state) {
  (void)state;
  struct ring ring;
  struct error err = ERROR_INIT;
  assert_ok(ring_init(&ring, sizeof(uint32_t), 4, &err), &err);
  atomic_store(&ring.head, UINT32_MAX - 1);
  atomic_store(&ring.tail, UINT32_MAX - 1);
  for (uint32_t i = 0; i < 4; i++) assert_true(ring_push(&ring, &i));
  uint32_t more = 9, got[8];
  assert_false(ring_push(&ring, &more));
  assert_int_equal(ring_length(&ring), 4);
  assert_int_equal(ring_pop(&ring, got, 8), 4);
  for (uint32_t i = 0; i < 4; i++) assert_int_equal(got[i], i);
  assert_int_equal(ring_pop(&ring, got, 8), 0);
  ring_release(&ring);
}

static void test_too_long_is_refused(void **state) {
  (void)state;
  struct ring ring;
  struct error err = ERROR_INIT;
  assert_int_equal(ring_init(&ring, 1, (UINT32_C(1) << 24) + 1, &err), STATUS_INTERNAL);
  assert_int_equal(ring_init(&ring, SIZE_MAX / 2, 4, &err), STATUS_MEMORY);
}

enum { THREAD_ELEMENTS = 200000 };

static void *produce(void *data) {
  struct ring *ring = data;
  for (uint64_t i = 0; i < THREAD_ELEMENTS; i++) {
    struct element element = element_of(i);
    while (!ring_push(ring, &element)) sched_yield();
  }
  return NULL;
}

static void test_two_threads(void **state) {
  (void)state;
  struct ring ring;
  struct error err = ERROR_INIT;
  assert_ok(ring_init(&ring, sizeof(struct element), 64, &err), &err);
  pthread_t producer;
  assert_int_equal(pthread_create(&producer, NULL, produce, &ring), 0);
  uint64_t next = 0;
  while (next < THREAD_ELEMENTS) {
    struct element got[16];
    uint32_t count = ring_pop(&ring, got, 16);
    assert_true(ring_length(&ring) <= 64);
    if (count == 0) sched_yield();
    for (uint32_t i = 0; i < count; i++) {
      struct element expected = element_of(next++);
      assert_memory_equal(&got[i], &expected, sizeof expected);
    }
  }
  pthread_join(producer, NULL);
  ring_release(&ring);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_order_and_fullness),
      cmocka_unit_test(test_numbers_wrap_around),
      cmocka_unit_test(test_too_long_is_refused),
      cmocka_unit_test(test_two_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
