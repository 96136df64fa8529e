/* From "ttl=20s..60s/5s" to the values. */
#include "scenario/sweep.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "scenario/mistakes.h"

/* In the order in which a text is taken for one: "3" is a count, "0.5" a plain number. */
static const enum unit units[] = {UNIT_COUNT, UNIT_DURATION, UNIT_SIZE,
                                  UNIT_RATE,  UNIT_RATIO,    UNIT_NONE};
#define UNIT_TYPES (sizeof units / sizeof *units)

static bool is_whole(enum unit unit) {
  return unit == UNIT_COUNT || unit == UNIT_DURATION || unit == UNIT_SIZE;
}

/* A quantity in both shapes; only the one of its unit is set. */
struct quantity {
  int64_t integer;
  double number;
};

/* So far from the limits of the type, sums and differences of quantities are safe. */
#define INTEGER_MAX (INT64_MAX / 8)

static bool take(const char *text, enum unit unit, struct quantity *ret) {
  struct quantity quantity = {.integer = 0, .number = 0};
  int64_t *integer = is_whole(unit) ? &quantity.integer : NULL;
  if (value_parse(text, unit, integer, &quantity.number, NULL) < 0) return false;
  if (quantity.integer > INTEGER_MAX || quantity.integer < -INTEGER_MAX) return false;
  *ret = quantity;
  return true;
}

/* As measures have it: durations in seconds. */
static double plain(double number, enum unit unit) {
  return unit == UNIT_DURATION ? number / (double)NS_PER_S : number;
}

/* --- FROM..TO/STEP --------------------------------------------------------------------------- */

struct bounds {
  enum unit unit;
  struct quantity from, to, step;
};

/* "60s/5s" into both quantities. A rate has a slash of its own: each one is tried. */
static bool take_end(char *text, struct bounds *bounds) {
  for (char *slash = strchr(text, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    bool taken =
        take(text, bounds->unit, &bounds->to) && take(slash + 1, bounds->unit, &bounds->step);
    *slash = '/';
    if (taken) return true;
  }
  return false;
}

static int take_bounds(const char *text, struct arena *arena, struct bounds *ret,
                       struct error *err) {
  char *copy = arena_strdup(arena, text);
  if (!copy) return error_set(err, STATUS_MEMORY, "out of memory for a sweep");
  char quoted[SHOWN_SIZE];
  char *end = strstr(copy, ".."), *to = end + 2;
  *end = '\0';
  for (size_t i = 0; i < UNIT_TYPES; i++) {
    ret->unit = units[i];
    if (take(copy, units[i], &ret->from) && take_end(to, ret)) return 0;
  }
  return error_set(err, STATUS_USAGE,
                   "--sweep: %s is no range; expected FROM..TO/STEP in one unit such as "
                   "20s..60s/5s",
                   shown(text, quoted));
}

/* How many values the bounds give; 0: none, or too many to count. */
static uint32_t count_steps(const struct bounds *bounds) {
  double from = bounds->from.number, to = bounds->to.number, step = bounds->step.number;
  if (step <= 0 || from > to) return 0;
  /* A step of 0.1 comes to its end in spite of binary fractions. */
  double steps = floor((to - from) / step * (1 + 1e-12) + 1e-9);
  return steps < SWEEP_VALUES_MAX ? (uint32_t)steps + 1 : UINT32_MAX;
}

static int64_t common_divisor(int64_t a, int64_t b) {
  while (b != 0) {
    int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a < 0 ? -a : a;
}

/* All values of a sweep in one unit: "60s" after "55s", and not "1min". The largest unit that
 * divides FROM and STEP divides all. */
static void print_step(const struct bounds *bounds, const struct quantity *value, char text[48]) {
  if (!is_whole(bounds->unit) || bounds->unit == UNIT_COUNT) {
    value_print(value->integer, value->number, bounds->unit, text);
    return;
  }
  int64_t grain = common_divisor(bounds->from.integer, bounds->step.integer);
  char grain_text[48], *suffix = NULL;
  value_print(grain, (double)grain, bounds->unit, grain_text);
  int64_t scale = grain / strtoll(grain_text, &suffix, 10);
  snprintf(text, 48, "%lld%.8s", (long long)(value->integer / scale), suffix);
}

static int fill_steps(const struct bounds *bounds, struct arena *arena, struct sweep *sweep,
                      struct error *err) {
  struct sweep_value *values = arena_calloc(arena, sweep->count, sizeof *values);
  bool complete = values != NULL;
  for (uint32_t i = 0; complete && i < sweep->count; i++) {
    struct quantity value = {.integer = bounds->from.integer + (int64_t)i * bounds->step.integer,
                             .number = bounds->from.number + i * bounds->step.number};
    /* 0.1 + 2 * 0.1 is 0.30000000000000004: as many digits as the bounds can have meant. */
    if (is_whole(bounds->unit))
      value.number = (double)value.integer;
    else
      value.number = round(value.number * 1e9) / 1e9;
    char text[48];
    print_step(bounds, &value, text);
    values[i] = (struct sweep_value){.text = arena_strdup(arena, text),
                                     .number = plain(value.number, bounds->unit)};
    complete = values[i].text != NULL;
  }
  if (!complete) return error_set(err, STATUS_MEMORY, "out of memory for a sweep");
  sweep->values = values;
  return 0;
}

static int parse_steps(const char *text, struct arena *arena, struct sweep *sweep,
                       struct error *err) {
  struct bounds bounds = {.unit = UNIT_NONE};
  char quoted[SHOWN_SIZE];
  int status = take_bounds(text, arena, &bounds, err);
  if (status < 0) return status;
  sweep->numeric = true;
  sweep->unit = bounds.unit;
  sweep->count = count_steps(&bounds);
  if (sweep->count == 0)
    return error_set(err, STATUS_USAGE,
                     "--sweep: %s has no values; expected FROM at most TO, and STEP above 0",
                     shown(text, quoted));
  if (sweep->count > SWEEP_VALUES_MAX)
    return error_set(err, STATUS_USAGE, "--sweep: %s has more values than %d", shown(text, quoted),
                     SWEEP_VALUES_MAX);
  return fill_steps(&bounds, arena, sweep, err);
}

/* --- VALUE,VALUE,... ------------------------------------------------------------------------- */

static void sort(struct sweep_value *values, uint32_t count) {
  for (uint32_t i = 1; i < count; i++) {
    struct sweep_value value = values[i];
    uint32_t at = i;
    for (; at > 0 && values[at - 1].number > value.number; at--) values[at] = values[at - 1];
    values[at] = value;
  }
}

/* The unit that all values have, if there is one. */
static void find_unit(struct sweep *sweep, struct sweep_value *values) {
  for (size_t i = 0; i < UNIT_TYPES && !sweep->numeric; i++) {
    struct quantity quantity = {.integer = 0};
    uint32_t fitting = 0;
    while (fitting < sweep->count && take(values[fitting].text, units[i], &quantity)) fitting++;
    if (fitting < sweep->count) continue;
    sweep->numeric = true;
    sweep->unit = units[i];
    for (uint32_t v = 0; v < sweep->count; v++) {
      (void)take(values[v].text, units[i], &quantity);
      values[v].number = plain(quantity.number, units[i]);
    }
    sort(values, sweep->count);
  }
}

static int take_item(const char *text, size_t length, struct arena *arena, struct sweep *sweep,
                     struct sweep_value *values, struct error *err) {
  while (length > 0 && *text == ' ') text++, length--;
  while (length > 0 && text[length - 1] == ' ') length--;
  if (length == 0) return error_set(err, STATUS_USAGE, "--sweep: a value of the list is empty");
  if (sweep->count == SWEEP_VALUES_MAX)
    return error_set(err, STATUS_USAGE, "--sweep: the list has more than %d values",
                     SWEEP_VALUES_MAX);
  char quoted[SHOWN_SIZE], *item = arena_strndup(arena, text, length);
  if (!item) return error_set(err, STATUS_MEMORY, "out of memory for a sweep");
  for (uint32_t i = 0; i < sweep->count; i++)
    if (strcmp(values[i].text, item) == 0)
      return error_set(err, STATUS_USAGE, "--sweep: %s is in the list twice", shown(item, quoted));
  values[sweep->count++].text = item;
  return 0;
}

static int parse_list(const char *text, struct arena *arena, struct sweep *sweep,
                      struct error *err) {
  struct sweep_value *values = arena_calloc(arena, SWEEP_VALUES_MAX, sizeof *values);
  char quoted[SHOWN_SIZE];
  if (!values) return error_set(err, STATUS_MEMORY, "out of memory for a sweep");
  if (strpbrk(text, "[]{}\"'"))
    return error_set(err, STATUS_USAGE,
                     "--sweep: %s: expected plain values without brackets and quotes",
                     shown(text, quoted));
  for (bool last = false; !last;) {
    size_t length = strcspn(text, ",");
    int status = take_item(text, length, arena, sweep, values, err);
    if (status < 0) return status;
    last = text[length] == '\0';
    text += length + 1;
  }
  find_unit(sweep, values);
  sweep->values = values;
  return 0;
}

/* Keys that a prediction has a word of its own in, or that change nothing that it measures. */
static int refuse_path(const char *path, struct error *err) {
  static const struct {
    const char *path, *why;
  } refused[] = {
      {"cluster.provider",
       "predictions are made where the scenario's time is virtual; compare "
       "providers with runs of each"},
      {"seed", "every point is run with the same seeds; --seeds and --seed set them"},
      {"repeat", "--seeds says how many runs are made of each point"},
      {"name", "it changes nothing about the runs"},
      {"description", "it changes nothing about the runs"},
  };
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    if (strcmp(path, refused[i].path) == 0)
      return error_set(err, STATUS_USAGE, "--sweep: %s cannot be swept: %s", path, refused[i].why);
  return 0;
}

int sweep_parse(const char *text, struct arena *arena, struct sweep *ret_sweep, struct error *err) {
  const char *equals = strchr(text, '=');
  char quoted[SHOWN_SIZE];
  if (!equals || equals == text || equals[1] == '\0')
    return error_set(err, STATUS_USAGE,
                     "--sweep: %s: expected PATH=FROM..TO/STEP or PATH=VALUE,VALUE... such as "
                     "cluster.services.postgres.ttl=20s..60s/5s",
                     shown(text, quoted));
  struct sweep sweep = {.path = arena_strndup(arena, text, (size_t)(equals - text))};
  if (!sweep.path) return error_set(err, STATUS_MEMORY, "out of memory for a sweep");
  int status = refuse_path(sweep.path, err);
  if (status < 0) return status;
  const char *values = equals + 1;
  /* Values may themselves be ranges; a comma tells a list of those from a range of values. */
  bool steps = strstr(values, "..") && !strchr(values, ',');
  status = steps ? parse_steps(values, arena, &sweep, err) : parse_list(values, arena, &sweep, err);
  if (status == 0) *ret_sweep = sweep;
  return status;
}
