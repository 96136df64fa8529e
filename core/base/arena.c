/* Bump allocation in blocks that are released together. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)16 * 1024)

struct arena_block {
  struct arena_block *next;
  size_t used, size;
  _Alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena, size_t limit_bytes) {
  *arena = (struct arena){.limit_bytes = limit_bytes};
}

void arena_release(struct arena *arena) {
  struct arena_block *block = arena->blocks;
  while (block) {
    struct arena_block *next = block->next;
    free(block);
    block = next;
  }
  arena->blocks = NULL;
  arena->total_bytes = 0;
}

/* Adds a block with room for `size`. A request that is large for a block gets one of its own, put
 * behind the current one so that the rest of that is not lost. */
static struct arena_block *add_block(struct arena *arena, size_t size) {
  size_t room = size > BLOCK_BYTES / 4 ? size : BLOCK_BYTES;
  struct arena_block *block = calloc(1, sizeof *block + room);
  if (!block) return NULL;
  block->size = room;
  if (room == size && arena->blocks) {
    block->next = arena->blocks->next;
    arena->blocks->next = block;
  } else {
    block->next = arena->blocks;
    arena->blocks = block;
  }
  return block;
}

void *arena_alloc(struct arena *arena, size_t size) {
  const size_t align = _Alignof(max_align_t);
  if (size > SIZE_MAX / 2) return NULL;
  size_t rounded = size == 0 ? align : (size + align - 1) & ~(align - 1);
  if (arena->limit_bytes && (arena->total_bytes > arena->limit_bytes ||
                             rounded > arena->limit_bytes - arena->total_bytes))
    return NULL;
  struct arena_block *block = arena->blocks;
  if (!block || block->size - block->used < rounded) block = add_block(arena, rounded);
  if (!block) return NULL;
  void *memory = block->bytes + block->used;
  block->used += rounded;
  arena->total_bytes += rounded;
  return memory;
}

void *arena_calloc(struct arena *arena, size_t count, size_t size) {
  if (size && count > SIZE_MAX / size) return NULL;
  return arena_alloc(arena, count * size);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length) {
  size_t used = strnlen(text, length);
  char *copy = arena_alloc(arena, used + 1);
  if (copy) memcpy(copy, text, used); /* the rest is zero already */
  return copy;
}

char *arena_strdup(struct arena *arena, const char *text) {
  return arena_strndup(arena, text, SIZE_MAX);
}

char *arena_printf(struct arena *arena, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int length = vsnprintf(NULL, 0, format, args);
  va_end(args);
  char *text = length < 0 ? NULL : arena_alloc(arena, (size_t)length + 1);
  if (text) vsnprintf(text, (size_t)length + 1, format, again);
  va_end(again);
  return text;
}
