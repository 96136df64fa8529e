/* The option parser. */
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "scenario/mistakes.h"
#include "scenario/suggest.h"

static const struct option_row *find(const struct option_row *rows, const char *name,
                                     size_t length) {
  for (const struct option_row *row = rows; row && row->name; row++)
    if (strlen(row->name) == length && memcmp(row->name, name, length) == 0) return row;
  return NULL;
}

static int unknown_option(const struct option_row *rows, const char *name, size_t length,
                          struct error *err) {
  char word[64];
  struct suggestion near;
  snprintf(word, sizeof word, "%.*s", (int)length, name);
  suggestion_init(&near, word);
  for (const struct option_row *row = rows; row && row->name; row++)
    suggestion_offer(&near, row->name);
  suggestion_offer(&near, "help");
  return error_set(err, STATUS_USAGE, "unknown option --%s%s%s%s", word,
                   near.best ? "; did you mean --" : "", near.best ? near.best : "",
                   near.best ? "?" : "");
}

/* Which of two values was meant, nobody can know. */
static int given_twice(const struct option_row *row, struct error *err) {
  return error_set(err, STATUS_USAGE, "--%s is given twice; expected it once", row->name);
}

static int store(const struct option_row *row, void *options, const char *value,
                 struct error *err) {
  void *field = (char *)options + row->offset;
  switch (row->type) {
    case OPTION_FLAG: *(bool *)field = true; return 0;
    case OPTION_TEXT:
      if (*(const char **)field) return given_twice(row, err);
      *(const char **)field = value;
      return 0;
    case OPTION_COUNT: {
      if (((struct option_number *)field)->given) return given_twice(row, err);
      char *end = NULL, quoted[SHOWN_SIZE];
      errno = 0;
      unsigned long long number = strtoull(value, &end, 10);
      /* strtoull() takes spaces and signs too, and " -1" for the greatest number there is. */
      if (errno != 0 || *end != '\0' || value[0] < '0' || value[0] > '9')
        return error_set(
            err, STATUS_USAGE, "--%s: %s is %s; expected one such as 3", row->name,
            shown(value, quoted),
            errno != 0 && value[0] != '-' ? "too large" : "not a whole number from 0 on");
      *(struct option_number *)field = (struct option_number){.given = true, .value = number};
      return 0;
    }
    case OPTION_LIST: {
      struct option_list *list = field;
      if (list->count == OPTION_LIST_MAX)
        return error_set(err, STATUS_USAGE, "--%s is given more than %d times", row->name,
                         OPTION_LIST_MAX);
      list->items[list->count++] = value;
      return 0;
    }
  }
  return error_set(err, STATUS_INTERNAL, "option --%s has no type", row->name);
}

/* One "--name[=value]" at argv[*index]; moves *index on when the value is a word of its own. */
static int take_option(const struct option_row *rows, void *options, int argc, char **argv,
                       int *index, struct error *err) {
  const char *name = argv[*index] + 2;
  const char *equals = strchr(name, '=');
  size_t length = equals ? (size_t)(equals - name) : strlen(name);
  const struct option_row *row = find(rows, name, length);
  if (!row) return unknown_option(rows, name, length, err);
  if (row->type == OPTION_FLAG) {
    if (equals) return error_set(err, STATUS_USAGE, "--%s takes no value", row->name);
    return store(row, options, NULL, err);
  }
  const char *value = equals ? equals + 1 : NULL;
  if (!value) {
    if (*index + 1 >= argc)
      return error_set(err, STATUS_USAGE, "--%s needs a value (%s)", row->name, row->argument);
    value = argv[++*index];
  }
  return store(row, options, value, err);
}

int options_parse(const struct option_row *rows, void *options, int *argc, char **argv,
                  struct error *err) {
  int kept = 0;
  bool words_only = false;
  for (int i = 0; i < *argc; i++) {
    const char *word = argv[i];
    if (words_only || word[0] != '-' || word[1] == '\0') {
      argv[kept++] = argv[i];
    } else if (strcmp(word, "--") == 0) {
      words_only = true;
    } else if (word[1] != '-') {
      return error_set(err, STATUS_USAGE, "unknown option %s; options are long (--help lists them)",
                       word);
    } else {
      int status = take_option(rows, options, *argc, argv, &i, err);
      if (status < 0) return status;
    }
  }
  /* Who passes the words on to a program needs the end marked, as main() was given it. */
  if (kept < *argc) argv[kept] = NULL;
  *argc = kept;
  return 0;
}

void options_help(const struct option_row *rows, FILE *out) {
  for (const struct option_row *row = rows; row && row->name; row++) {
    char left[64];
    snprintf(left, sizeof left, "--%s%s%s", row->name, row->argument ? " " : "",
             row->argument ? row->argument : "");
    fprintf(out, "  %-24s %s\n", left, row->help);
  }
  fprintf(out, "  %-24s %s\n", "--help", "Print this.");
}
