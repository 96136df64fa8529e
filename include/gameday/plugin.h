/* What every plug-in has in common: a name, a summary, and its parameters as a table.
 *
 * One `struct param` row drives the YAML parser, its error messages, `gameday list NAME`, the page
 * in docs/ and the JSON Schema. A unit is one file that ends in one `const` descriptor, and one row
 * in its family's table; tables are arrays of pointers ended by NULL. */
#ifndef GAMEDAY_PLUGIN_H
#define GAMEDAY_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/value.h"

enum param_type {
  PARAM_BOOL,      /* field: bool */
  PARAM_COUNT,     /* field: uint32_t */
  PARAM_INTEGER,   /* field: int64_t */
  PARAM_NUMBER,    /* field: double */
  PARAM_DURATION,  /* field: uint64_t, nanoseconds */
  PARAM_SIZE,      /* field: uint64_t, bytes */
  PARAM_RATE,      /* field: double, events a second */
  PARAM_RATIO,     /* field: double, 1.0 is 100 % */
  PARAM_STRING,    /* field: const char *, NULL when absent and without default */
  PARAM_CHOICE,    /* field: int, the index in `choices` */
  PARAM_TARGET,    /* field: struct target */
  PARAM_SETTINGS,  /* field: struct settings, a mapping of free names to scalars */
  PARAM_COUNTS,    /* field: struct param_range; "1..4", or "3" for 3..3 */
  PARAM_DURATIONS, /* field: struct param_range, nanoseconds; "1s..30s" */
  PARAM_NAMES,     /* field: struct names, a list of names */
};

/* From the one to the other, both included; low <= high. */
struct param_range {
  uint64_t low, high;
};

struct param {
  const char *key; /* as in the YAML, snake_case */
  enum param_type type;
  size_t offset;                 /* of the field in the configuration struct */
  const char *default_text;      /* as a user would write it; NULL: none (zero) */
  const char *minimum, *maximum; /* inclusive, as a user would write them; NULL: none */
  const char *const *choices;    /* PARAM_CHOICE: NULL-terminated */
  const char *help;              /* one sentence; says the source of a default that has one */
  bool required;
  /* Instead of all this but the key: the row with that key which several tables share. Their
   * configurations begin alike, so that its offset is right in each of them. */
  const struct param *same;
};
/* The row at `index` of a table, NULL behind the last one: for walking from 0 until then. */
static inline const struct param *param_at(const struct param *table, uint32_t index) {
  const struct param *row = table && table[index].key ? &table[index] : NULL;
  return row && row->same ? row->same : row;
}

/* One free `name: value` pair (a server parameter); text as written, not interpreted. */
struct setting {
  const char *name, *value;
};
struct settings {
  const struct setting *items; /* in the order written */
  uint32_t count;
};

struct names {
  const char *const *items; /* in the order written; NULL when there are none */
  uint32_t count;
};

/* Whom a fault hits; resolved to a host at the time of the fault. */
enum target_kind {
  TARGET_NONE,
  TARGET_HOST,    /* host/NAME */
  TARGET_PRIMARY, /* SERVICE.primary; of a service with shards SERVICE.primary[SHARD], from 0 */
  TARGET_REPLICA, /* SERVICE.replica[INDEX], in host order among the replicas of that moment */
  TARGET_ANY,     /* SERVICE.any: a host of the service drawn from the seed */
};
struct target {
  enum target_kind kind;
  uint32_t index;      /* TARGET_REPLICA, TARGET_PRIMARY */
  const char *service; /* NULL for TARGET_HOST */
  const char *host;    /* TARGET_HOST */
};

/* Common head of all descriptors. `params` ends with a row whose key is NULL (or is NULL itself).
 */
struct plugin {
  const char *name;    /* kebab-case, as in scenarios */
  const char *summary; /* one line */
  const struct param *params;
  size_t config_size; /* of the struct that `params` fill */
  size_t state_size;  /* of the plug-in's private state, allocated zeroed by the engine */
  /* Checks what no single row can (a contradiction between two parameters). May be NULL. */
  int (*validate)(const void *config, struct error *err);
};

#endif
