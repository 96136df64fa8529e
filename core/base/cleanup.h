/* Release of locals on every way out of a scope: `CLEANUP(buf_release) struct buf b;`. */
#ifndef GAMEDAY_BASE_CLEANUP_H
#define GAMEDAY_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(function) __attribute__((cleanup(function)))

static inline void cleanup_close(const int *fd) {
  if (*fd >= 0) close(*fd);
}
static inline void cleanup_free(void *pointer) {
  free(*(void **)pointer);
}
static inline void cleanup_fclose(FILE **file) {
  if (*file) fclose(*file);
}

#define CLEANUP_CLOSE CLEANUP(cleanup_close)
#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_FCLOSE CLEANUP(cleanup_fclose)

#endif
