/* One parameter: its text to the field of a configuration struct, and back. */
#ifndef GAMEDAY_SCENARIO_PARAM_H
#define GAMEDAY_SCENARIO_PARAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "gameday/plugin.h"

/* The unit in which a type is written. */
enum unit param_unit(enum param_type type);

/* Parses `text` into the field of `config`, bounds checked. Not for PARAM_SETTINGS and PARAM_NAMES.
 * Errors: STATUS_USAGE with "what is wrong; what was expected" and no place; STATUS_MEMORY. */
int param_parse(const struct param *row, const char *text, struct arena *arena, void *config,
                struct error *err);
/* Puts the default, or nothing (zero), into the field. Asserts that a default parses. */
int param_set_default(const struct param *row, struct arena *arena, void *config,
                      struct error *err);

/* Whether the field holds what param_set_default() puts there when the row has no default: then it
 * is absent, and is not printed. */
bool param_is_absent(const struct param *row, const void *config);
/* Appends the text that param_parse() takes for the same value. Not for PARAM_SETTINGS and
 * PARAM_NAMES. */
void param_print(const struct param *row, const void *config, struct buf *text);

/* What the user should write: "a duration such as 30s", "one of a, b", "true or false". */
#define EXPECTED_SIZE 256
const char *param_expected(const struct param *row, char text[EXPECTED_SIZE]);
/* "1 to 7", "at least 1s", "at most 99%", or "" without bounds. */
const char *param_bounds(const struct param *row, char text[EXPECTED_SIZE]);

/* "postgres.replica[1]" and back; the target's texts live in `arena`. */
int target_parse(const char *text, struct arena *arena, struct target *ret_target,
                 struct error *err);
void target_print(const struct target *target, struct buf *text);
bool target_equal(const struct target *a, const struct target *b);

#endif
