/* What libFuzzer calls, and what replay.c calls for each file of a corpus. */
#ifndef GAMEDAY_TESTS_FUZZ_FUZZ_H
#define GAMEDAY_TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
