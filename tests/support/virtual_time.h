/* Virtual time in tests. */
#ifndef GAMEDAY_TESTS_SUPPORT_VIRTUAL_TIME_H
#define GAMEDAY_TESTS_SUPPORT_VIRTUAL_TIME_H

#include "base/virtual_time.h"

/* virtual_time_init(), failing the test when it cannot. */
void virtual_time_begin(struct virtual_time *time);
/* Turns the loop until clock time `until_ns`, or until `*done` (NULL: none) is true. */
void virtual_time_run(struct virtual_time *time, uint64_t until_ns, const bool *done);

#endif
