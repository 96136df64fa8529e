/* CMocka and what it needs before it, for every C test. */
#ifndef GAMEDAY_TESTS_SUPPORT_TEST_H
#define GAMEDAY_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"

/* A call that must succeed; prints why it did not. */
#define assert_ok(call, err)                             \
  do {                                                   \
    if (call) fail_msg("%s: %s", #call, (err)->message); \
  } while (0)

/* How many seeds a test of a model tries: one thread runs it, so ThreadSanitizer has little to find
 * there and makes it eight times slower. Not for tests of how results are spread. */
#ifdef __SANITIZE_THREAD__
#define MODEL_SEEDS(count) (((count) + 3) / 4)
#else
#define MODEL_SEEDS(count) (count)
#endif

/* Ends a test that cannot run here, and says why: a skip without a reason helps nobody. */
#define skip_because(...)                   \
  do {                                      \
    print_message("skipped: " __VA_ARGS__); \
    print_message("\n");                    \
    skip();                                 \
  } while (0)

#endif
