/* Command-line options as tables: one row drives the parser, its messages and --help. */
#ifndef GAMEDAY_CLI_OPTIONS_H
#define GAMEDAY_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

enum option_type {
  OPTION_FLAG,  /* field: bool */
  OPTION_TEXT,  /* field: const char * */
  OPTION_COUNT, /* field: struct option_number */
  OPTION_LIST,  /* field: struct option_list */
};

#define OPTION_LIST_MAX 64
struct option_list {
  const char *items[OPTION_LIST_MAX]; /* borrowed from argv */
  uint32_t count;
};
struct option_number {
  bool given;
  uint64_t value;
};

struct option_row {
  const char *name; /* without the dashes; NULL ends a table */
  enum option_type type;
  size_t offset;        /* in the command's options */
  const char *argument; /* "DIR"; NULL for flags */
  const char *help;
};

/* Takes `--name value`, `--name=value` and `--` out of argv, which is rewritten to hold the
 * positional words only, with a NULL after them when any was taken out. STATUS_USAGE on an unknown
 * option (with a suggestion), a missing or a malformed value,
 * and on a second value of an option that takes one. */
int options_parse(const struct option_row *rows, void *options, int *argc, char **argv,
                  struct error *err);
void options_help(const struct option_row *rows, FILE *out);

#endif
