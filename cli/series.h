/* The repeats of one scenario in one directory: DIR/repeat-1, DIR/repeat-2, ... A series says in
 * DIR/series.json, before its first repeat, how many repeats it is to have: one that is gone, or
 * was never run, must not go unseen. */
#ifndef GAMEDAY_CLI_SERIES_H
#define GAMEDAY_CLI_SERIES_H

#include "base/arena.h"
#include "base/error.h"
#include "scenario/scenario.h"

#define REPEATS_MAX 1000
#define SERIES_NAME "series.json"

/* What there is to judge; all texts live in the arena. */
struct series {
  const char *const *directories; /* of the repeats that are there, or of the single run */
  uint32_t count;
  const char *missing; /* "repeat-2 is missing: 4 of 5 repeats"; NULL: nothing is */
};

/* Writes DIR/series.json. Errors: memory, and those of writing a file. */
int series_write(const char *directory, const struct scenario *scenario, uint64_t repeats,
                 uint64_t first_seed, struct error *err);

/* Finds the repeats, or the single run that `directory` itself is. Without series.json the highest
 * number is how many there were. STATUS_UNTRUSTED: none is left, series.json is damaged, or the
 * repeats are not of one series. */
int series_find(const char *directory, struct arena *arena, struct series *ret, struct error *err);

/* The number in its series of the repeat that has this directory; 0: it is none. */
uint32_t series_number(const char *directory);

/* Which of the repeats 1 to `asked` are missing, in words, from a flag for each; NULL: none, or out
 * of memory (then `err` is set, and the status is negative). */
int series_missing(const bool *there, uint32_t asked, struct arena *arena, const char **ret,
                   struct error *err);

/* STATUS_USAGE when `directory` is that of a whole series: for commands that take a single run. */
int series_refuse(const char *directory, struct error *err);

/* Whether `directory` holds anything that only gameday writes. */
bool series_is_record(const char *directory);

#endif
