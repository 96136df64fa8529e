/* Arenas: alignment, zeroing, limits, large requests. */
#include "base/arena.h"

#include "support/test.h"

static void test_memory_is_zeroed_and_aligned(void **state) {
  (void)state;
  struct arena arena;
  arena_init(&arena, 0);
  for (size_t size = 0; size < 3000; size += 7) {
    unsigned char *memory = arena_alloc(&arena, size);
    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
    for (size_t i = 0; i < size; i++) assert_int_equal(memory[i], 0);
    memset(memory, 0xAA, size);
  }
  arena_release(&arena);
  assert_int_equal(arena.total_bytes, 0);
  assert_non_null(arena_alloc(&arena, 1)); /* usable again */
  arena_release(&arena);
}

static void test_large_requests_do_not_waste_the_block(void **state) {
  (void)state;
  struct arena arena;
  arena_init(&arena, 0);
  char *small = arena_alloc(&arena, 16);
  char *large = arena_alloc(&arena, (size_t)1 << 20);
  assert_non_null(large);
  memset(large, 1, (size_t)1 << 20);
  char *next = arena_alloc(&arena, 16);
  assert_ptr_equal(next, small + 16);
  arena_release(&arena);
}

static void test_limit_is_kept(void **state) {
  (void)state;
  struct arena arena;
  arena_init(&arena, 1024);
  assert_non_null(arena_alloc(&arena, 1000));
  assert_null(arena_alloc(&arena, 100));
  assert_non_null(arena_alloc(&arena, 16));
  assert_true(arena.total_bytes <= 1024);
  arena_release(&arena);
}

static void test_products_and_sums_do_not_overflow(void **state) {
  (void)state;
  struct arena arena;
  arena_init(&arena, 0);
  assert_null(arena_calloc(&arena, SIZE_MAX / 2, 3));
  assert_null(arena_alloc(&arena, SIZE_MAX));
  assert_null(arena_alloc(&arena, SIZE_MAX - 8));
  assert_non_null(arena_calloc(&arena, 0, 8));
  arena_release(&arena);
}

static void test_texts(void **state) {
  (void)state;
  struct arena arena;
  arena_init(&arena, 0);
  assert_string_equal(arena_strdup(&arena, "abc"), "abc");
  assert_string_equal(arena_strndup(&arena, "abcdef", 3), "abc");
  assert_string_equal(arena_strndup(&arena, "ab", 10), "ab");
  assert_string_equal(arena_printf(&arena, "%s-%d", "x", 7), "x-7");
  char *long_text = arena_printf(&arena, "%*d", 100000, 1);
  assert_int_equal(strlen(long_text), 100000);
  arena_release(&arena);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_memory_is_zeroed_and_aligned),
      cmocka_unit_test(test_large_requests_do_not_waste_the_block),
      cmocka_unit_test(test_limit_is_kept),
      cmocka_unit_test(test_products_and_sums_do_not_overflow),
      cmocka_unit_test(test_texts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
