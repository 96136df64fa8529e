/* Lets the n-th allocation fail, for n = 0, 1, ... until an attempt gets through: each failure must
 * be an error of STATUS_MEMORY and leave nothing behind (the leak checker of the build looks at the
 * end). */
#ifndef GAMEDAY_TESTS_TORTURE_ALLOCATIONS_H
#define GAMEDAY_TESTS_TORTURE_ALLOCATIONS_H

#include "support/test.h"
#include "torture/wrapped.h"

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
