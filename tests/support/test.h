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

/* Ends a test that cannot run here, and says why: a skip without a reason helps nobody. */
#define skip_because(...)                   \
  do {                                      \
    print_message("skipped: " __VA_ARGS__); \
    print_message("\n");                    \
    skip();                                 \
  } while (0)

#endif
