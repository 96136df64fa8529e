/* An arena: many allocations, one release. The scenario tree is one. Not thread safe. */
#ifndef GAMEDAY_BASE_ARENA_H
#define GAMEDAY_BASE_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
  struct arena_block *blocks;
  size_t total_bytes; /* handed out so far */
  size_t limit_bytes; /* 0: none */
};

void arena_init(struct arena *arena, size_t limit_bytes);
void arena_release(struct arena *arena); /* frees all of it; the arena may be used again */

/* Zeroed memory aligned for any type; NULL when memory or the limit is exhausted. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_calloc(struct arena *arena, size_t count, size_t size); /* checks the product */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
