/* All mistakes of one scenario file, collected as they are found and delivered in the order of
 * their places. They live in the scenario's arena. Not thread safe. */
#ifndef GAMEDAY_SCENARIO_MISTAKES_H
#define GAMEDAY_SCENARIO_MISTAKES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "scenario/scenario.h"

/* Where something was written: in the file, or in an argument of the command line. */
struct place {
  const char *argument; /* "--set path=value"; NULL: in the file */
  int line, column;     /* from 1; in the file */
};

struct mistake;
struct mistakes {
  struct arena *arena;
  struct mistake *first, *last;
  uint32_t count;
  bool failed; /* a mistake could not be stored: memory */
};

void mistakes_init(struct mistakes *mistakes, struct arena *arena);

void mistakes_add(struct mistakes *mistakes, const struct place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* 0 when nothing was found. Otherwise STATUS_USAGE: sorts, drops repetitions (an anchor that is
 * used twice is wrong once), fills `ret_errors`, and `err` with the first. STATUS_MEMORY when
 * some could not be stored. */
int mistakes_deliver(struct mistakes *mistakes, const char *file,
                     struct scenario_errors *ret_errors, struct error *err);

/* A user's text for a message: shortened to fit, control characters replaced, so that a file cannot
 * speak to the terminal. `size` is at least 8. Returns the length. */
size_t show_text(const char *text, char *buffer, size_t size);

/* The same in double quotes (our own words stand in single ones). Returns `buffer`. */
#define SHOWN_SIZE 72
const char *shown(const char *text, char buffer[SHOWN_SIZE]);

#endif
