/* Quantities as people write them: "30s", "250ms", "512MiB", "500/s", "99.9%". One table of units
 * serves the scenario parser, its messages, `gameday list` and the reports. */
#ifndef GAMEDAY_BASE_VALUE_H
#define GAMEDAY_BASE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum unit {
  UNIT_NONE,     /* a plain number; stored as is */
  UNIT_COUNT,    /* a whole number, no unit is written */
  UNIT_DURATION, /* ns us ms s min h d; stored in nanoseconds */
  UNIT_SIZE,     /* B KiB MiB GiB TiB, kB MB GB TB; stored in bytes */
  UNIT_RATE,     /* "/s" "/min" "/h"; stored in events a second (a double) */
  UNIT_RATIO,    /* "%"; stored as a fraction, 1.0 is 100 % */
};

/* Parses `text` of the given unit. Whole units give an exact `ret_integer` (nanoseconds, bytes);
 * all give `ret_number`. Either may be NULL. A missing or wrong unit is STATUS_USAGE and the
 * message names what is expected ("a duration such as 30s or 250ms"); no file place is set. */
int value_parse(const char *text, enum unit unit, int64_t *ret_integer, double *ret_number,
                struct error *err);
/* For people: "1.25 s", "512 MiB", "99.90 %". `text` holds 32 bytes. */
void value_format(double number, enum unit unit, char text[32]);
/* So that value_parse() gives the same again: "1250ms", "512MiB". `text` holds 48 bytes. */
void value_print(int64_t integer, double number, enum unit unit, char text[48]);
const char *unit_example(enum unit unit); /* "30s", "512MiB", "500/s", "99.9%", "3" */
const char *unit_name(enum unit unit);    /* "duration", "size", "rate", "ratio", ... */

#endif
