/* A place for what is being made: a directory of its own, hidden in the one where the finished
 * files go, so that they are moved there by renames, and that nothing of what is cut short is seen.
 */
#ifndef GAMEDAY_REPORT_STAGING_H
#define GAMEDAY_REPORT_STAGING_H

#include <limits.h>

#include "base/error.h"

struct staging {
  char directory[PATH_MAX]; /* "": there is none */
  int lock; /* on the directory while it is in use: without it, it is a killed process's */
};

/* Makes one inside `parent`, and removes those of processes that were killed. */
int staging_make(const char *parent, struct staging *ret, struct error *err);
/* Removes it with what is still in it; zeroed is fine, and twice. */
void staging_remove(struct staging *staging);

#endif
