/* A mapping of the YAML tree to a configuration struct, by its parameter table. */
#ifndef GAMEDAY_SCENARIO_PARAMS_H
#define GAMEDAY_SCENARIO_PARAMS_H

#include "gameday/plugin.h"
#include "scenario/tree.h"

/* What is read, and where mistakes go. */
struct params_input {
  struct arena *arena;
  struct mistakes *mistakes;
  const struct node *mapping; /* NODE_NULL is an empty mapping */
  struct place place;         /* of what is missing in it: the key before the mapping */
  const char *what;           /* "cluster", "postgres": names the mapping in messages */
  const struct param *table;  /* ended by a NULL key; NULL: no parameter */
  const char *missing;        /* what to expect of a missing PARAM_STRING; NULL: "a text" */
  const char *const *others;  /* further keys that the caller reads; NULL-terminated or NULL */
};

/* Fills `config` (zeroed): what is given, defaults for the rest. Every mistake is added, and
 * `ret_clean` says whether there was none. Errors: STATUS_MEMORY. */
int params_read(const struct params_input *input, void *config, bool *ret_clean, struct error *err);

/* The row of a key, or at an offset; NULL when there is none. */
const struct param *params_find(const struct param *table, const char *key);
const struct param *params_find_offset(const struct param *table, enum param_type type,
                                       size_t offset);

/* Adds "'what' must be a mapping, ..." unless `node` is a mapping or nothing. */
bool params_is_mapping(struct mistakes *mistakes, const struct node *node, const char *what);

#endif
