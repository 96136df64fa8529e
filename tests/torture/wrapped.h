/* The linker sends malloc and its kin of everything that is linked statically through here, so that
 * the n-th allocation can be made to fail; each torture test is one program of one file, which
 * includes this once. */
#ifndef GAMEDAY_TESTS_TORTURE_WRAPPED_H
#define GAMEDAY_TESTS_TORTURE_WRAPPED_H

#include <stddef.h>

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

#endif
