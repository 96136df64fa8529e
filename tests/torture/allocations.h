/* Lets the n-th allocation fail, for n = 0, 1, ... until an attempt gets through: each failure must
 * be an error of STATUS_MEMORY and leave nothing behind (the leak checker of the build looks at the
 * end). The linker sends malloc and its kin of everything that is linked statically through here;
 * each torture test is one program of one file, which includes this once. */
#ifndef GAMEDAY_TESTS_TORTURE_ALLOCATIONS_H
#define GAMEDAY_TESTS_TORTURE_ALLOCATIONS_H

#include "support/test.h"

/* Allocations left until one fails; below 0: none does. */
static long allocations_left = -1;

static int fails_now(void) {
  if (allocations_left < 0) return 0;
  return allocations_left-- == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size) {
  return fails_now() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
  return fails_now() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *memory, size_t size) {
  return fails_now() ? NULL : __real_realloc(memory, size);
}
char *__wrap_strdup(const char *text) {
  return fails_now() ? NULL : __real_strdup(text);
}

/* One attempt; 0 or the error's status. It releases what it made. */
typedef int attempt(void *data, struct error *err);

/* Returns how many allocations an attempt that gets through makes. */
static long fail_each_allocation(attempt *attempt_once, void *data) {
  for (long n = 0; n < 100000; n++) {
    struct error err = ERROR_INIT;
    allocations_left = n;
    int status = attempt_once(data, &err);
    int failed = allocations_left < 0;
    allocations_left = -1;
    if (!failed) {
      assert_int_equal(status, 0);
      assert_true(n > 0); /* else nothing went through the wrappers */
      return n;
    }
    assert_int_equal(status, STATUS_MEMORY);
    assert_int_equal(err.status, STATUS_MEMORY);
    assert_true(err.message[0] != '\0');
  }
  fail_msg("allocations without end");
  return 0;
}

#endif
