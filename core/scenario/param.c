/* Texts to fields by the type of the parameter, and back. */
#include "scenario/param.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenario/mistakes.h"
#include "scenario/suggest.h"

/* Room for any field, to compare bounds in. */
union field {
  bool truth;
  uint32_t count;
  int64_t integer;
  uint64_t whole;
  double number;
  const char *text;
  int choice;
  struct target target;
  struct settings settings;
  struct param_range range;
  struct names names;
};

enum unit param_unit(enum param_type type) {
  switch (type) {
    case PARAM_DURATION:
    case PARAM_DURATIONS: return UNIT_DURATION;
    case PARAM_SIZE: return UNIT_SIZE;
    case PARAM_RATE: return UNIT_RATE;
    case PARAM_RATIO: return UNIT_RATIO;
    case PARAM_COUNT:
    case PARAM_COUNTS:
    case PARAM_INTEGER: return UNIT_COUNT;
    case PARAM_BOOL:
    case PARAM_NUMBER:
    case PARAM_STRING:
    case PARAM_CHOICE:
    case PARAM_TARGET:
    case PARAM_NAMES:
    case PARAM_SETTINGS: break;
  }
  return UNIT_NONE;
}

static size_t field_size(enum param_type type) {
  switch (type) {
    case PARAM_BOOL: return sizeof(bool);
    case PARAM_COUNT: return sizeof(uint32_t);
    case PARAM_CHOICE: return sizeof(int);
    case PARAM_INTEGER:
    case PARAM_DURATION:
    case PARAM_SIZE: return sizeof(uint64_t);
    case PARAM_NUMBER:
    case PARAM_RATE:
    case PARAM_RATIO: return sizeof(double);
    case PARAM_STRING: return sizeof(const char *);
    case PARAM_TARGET: return sizeof(struct target);
    case PARAM_SETTINGS: return sizeof(struct settings);
    case PARAM_COUNTS:
    case PARAM_DURATIONS: return sizeof(struct param_range);
    case PARAM_NAMES: return sizeof(struct names);
  }
  return 0;
}

/* Fields are reached by memcpy: a table may describe any struct, and signedness may differ. */
static void get_field(const struct param *row, const void *config, union field *ret_field) {
  memset(ret_field, 0, sizeof *ret_field);
  memcpy(ret_field, (const char *)config + row->offset, field_size(row->type));
}

static void set_field(const struct param *row, void *config, const union field *field) {
  memcpy((char *)config + row->offset, field, field_size(row->type));
}

const char *param_expected(const struct param *row, char text[EXPECTED_SIZE]) {
  switch (row->type) {
    case PARAM_BOOL: return "true or false";
    case PARAM_COUNT:
    case PARAM_INTEGER: return "a whole number";
    case PARAM_NUMBER: return "a number";
    case PARAM_STRING: return "a text";
    case PARAM_TARGET: return "a target such as postgres.primary";
    case PARAM_SETTINGS: return "a mapping of names to values";
    case PARAM_COUNTS: return "whole numbers such as 1..4";
    case PARAM_DURATIONS: return "durations such as 1s..30s";
    case PARAM_NAMES: return "a list of names";
    case PARAM_CHOICE: {
      size_t length = (size_t)snprintf(text, EXPECTED_SIZE, "one of ");
      for (size_t i = 0; row->choices[i] && length < EXPECTED_SIZE; i++)
        length += (size_t)snprintf(text + length, EXPECTED_SIZE - length, "%s%s", i ? ", " : "",
                                   row->choices[i]);
      return text;
    }
    case PARAM_DURATION:
    case PARAM_SIZE:
    case PARAM_RATE:
    case PARAM_RATIO: {
      enum unit unit = param_unit(row->type);
      snprintf(text, EXPECTED_SIZE, "a %s such as %s", unit_name(unit), unit_example(unit));
      return text;
    }
  }
  return "";
}

const char *param_bounds(const struct param *row, char text[EXPECTED_SIZE]) {
  text[0] = '\0';
  if (row->minimum && row->maximum)
    snprintf(text, EXPECTED_SIZE, "%s to %s", row->minimum, row->maximum);
  else if (row->minimum || row->maximum)
    snprintf(text, EXPECTED_SIZE, "at %s %s", row->minimum ? "least" : "most",
             row->minimum ? row->minimum : row->maximum);
  return text;
}

static int parse_choice(const struct param *row, const char *text, union field *ret,
                        struct error *err) {
  char quoted[SHOWN_SIZE], end[SUGGESTION_SIZE];
  struct suggestion suggestion;
  suggestion_init(&suggestion, text);
  for (int i = 0; row->choices[i]; i++) {
    suggestion_offer(&suggestion, row->choices[i]);
    if (strcmp(row->choices[i], text) != 0) continue;
    ret->choice = i;
    return 0;
  }
  return error_set(err, STATUS_USAGE, "%s is not a choice%s", shown(text, quoted),
                   suggestion_text(&suggestion, end));
}

static int parse_whole(const char *text, int64_t *ret_integer, struct error *err) {
  char quoted[SHOWN_SIZE];
  const char *digits = text + (*text == '-');
  size_t length = strspn(digits, "0123456789");
  if (length == 0 || digits[length])
    return error_set(err, STATUS_USAGE, "%s is not a whole number; expected one such as 3",
                     shown(text, quoted));
  if (digits[0] == '0' && length > 1) /* YAML 1.1 readers take it as octal */
    return error_set(err, STATUS_USAGE, "%s begins with a zero; expected a whole number without",
                     shown(text, quoted));
  errno = 0;
  long long integer = strtoll(text, NULL, 10);
  if (errno == ERANGE)
    return error_set(err, STATUS_USAGE, "%s is too large; expected at most %lld in size",
                     shown(text, quoted), (long long)INT64_MAX);
  *ret_integer = integer;
  return 0;
}

/* What does not fit into the field is beyond any bounds of the row; where it has none there are
 * those of the field. */
static int parse_count(const struct param *row, const char *text, union field *ret,
                       struct error *err) {
  char quoted[SHOWN_SIZE], bounds[EXPECTED_SIZE];
  int64_t integer = 0;
  int status = parse_whole(text, &integer, err);
  if (status < 0) return status;
  if (integer < 0)
    return error_set(err, STATUS_USAGE, "%s is too small; expected %s", shown(text, quoted),
                     row->minimum ? param_bounds(row, bounds) : "at least 0");
  if (integer > UINT32_MAX)
    return error_set(err, STATUS_USAGE, "%s is too large; expected %s", shown(text, quoted),
                     row->maximum ? param_bounds(row, bounds) : "at most 4294967295");
  ret->count = (uint32_t)integer;
  return 0;
}

static int parse_bool(const char *text, union field *ret, struct error *err) {
  char quoted[SHOWN_SIZE];
  ret->truth = strcmp(text, "true") == 0;
  if (ret->truth || strcmp(text, "false") == 0) return 0;
  return error_set(err, STATUS_USAGE, "%s is not a truth value; expected true or false",
                   shown(text, quoted));
}

/* Nothing else is shown to value_parse(), whose messages repeat what they are given. */
#define QUANTITY_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-./% "

static int parse_quantity(enum param_type type, const char *text, union field *ret,
                          struct error *err) {
  char quoted[SHOWN_SIZE];
  int64_t integer = 0;
  double number = 0;
  enum unit unit = param_unit(type);
  bool whole = type == PARAM_DURATION || type == PARAM_SIZE;
  if (strspn(text, QUANTITY_CHARACTERS) != strlen(text) || strlen(text) > 40)
    return error_set(err, STATUS_USAGE, "%s is not a %s; expected one such as %s",
                     shown(text, quoted), unit_name(unit), unit_example(unit));
  int status = value_parse(text, unit, whole ? &integer : NULL, &number, err);
  if (status < 0) return status;
  if (whole)
    ret->whole = (uint64_t)integer;
  else
    ret->number = number;
  return 0;
}

/* "LOW..HIGH", or one value for both. */
static int parse_range(const struct param *row, const char *text, union field *ret,
                       struct error *err) {
  char quoted[SHOWN_SIZE], part[64];
  const char *dots = strstr(text, "..");
  const char *ends[2] = {text, dots ? dots + 2 : text};
  uint64_t values[2] = {0, 0};
  for (int i = 0; i < 2; i++) {
    size_t length = i == 0 && dots ? (size_t)(dots - text) : strlen(ends[i]);
    if (length >= sizeof part)
      return error_set(err, STATUS_USAGE, "%s is too long for a range", shown(text, quoted));
    memcpy(part, ends[i], length);
    part[length] = '\0';
    union field field = {0};
    int status = row->type == PARAM_COUNTS ? parse_count(row, part, &field, err)
                                           : parse_quantity(PARAM_DURATION, part, &field, err);
    if (status < 0) return status;
    values[i] = row->type == PARAM_COUNTS ? field.count : field.whole;
  }
  if (values[0] > values[1])
    return error_set(err, STATUS_USAGE, "%s runs backwards; expected the smaller one first",
                     shown(text, quoted));
  ret->range = (struct param_range){.low = values[0], .high = values[1]};
  return 0;
}

/* By type alone, without bounds. */
static int parse_field(const struct param *row, const char *text, struct arena *arena,
                       union field *ret, struct error *err) {
  switch (row->type) {
    case PARAM_BOOL: return parse_bool(text, ret, err);
    case PARAM_COUNT: return parse_count(row, text, ret, err);
    case PARAM_INTEGER: return parse_whole(text, &ret->integer, err);
    case PARAM_NUMBER:
    case PARAM_DURATION:
    case PARAM_SIZE:
    case PARAM_RATE:
    case PARAM_RATIO: return parse_quantity(row->type, text, ret, err);
    case PARAM_CHOICE: return parse_choice(row, text, ret, err);
    case PARAM_TARGET: return target_parse(text, arena, &ret->target, err);
    case PARAM_STRING:
      ret->text = arena_strdup(arena, text);
      return ret->text ? 0 : error_set(err, STATUS_MEMORY, "out of memory");
    case PARAM_COUNTS:
    case PARAM_DURATIONS: return parse_range(row, text, ret, err);
    case PARAM_NAMES:
    case PARAM_SETTINGS: break;
  }
  char expected[EXPECTED_SIZE];
  return error_set(err, STATUS_USAGE, "expected %s", param_expected(row, expected));
}

/* The smaller end of a range is held against the minimum, the greater one against the maximum: `a`
 * is the value, `b` a bound. Negative, zero or positive as `a` is below, at or above `b`. */
static int compare_fields(enum param_type type, const union field *a, const union field *b,
                          bool high) {
  uint64_t end = high ? a->range.high : a->range.low;
  switch (type) {
    case PARAM_COUNT: return (a->count > b->count) - (a->count < b->count);
    case PARAM_INTEGER: return (a->integer > b->integer) - (a->integer < b->integer);
    case PARAM_DURATION:
    case PARAM_SIZE: return (a->whole > b->whole) - (a->whole < b->whole);
    case PARAM_NUMBER:
    case PARAM_RATE:
    case PARAM_RATIO: return (a->number > b->number) - (a->number < b->number);
    case PARAM_COUNTS:
    case PARAM_DURATIONS: return (end > b->range.low) - (end < b->range.low);
    case PARAM_BOOL:
    case PARAM_STRING:
    case PARAM_CHOICE:
    case PARAM_TARGET:
    case PARAM_NAMES:
    case PARAM_SETTINGS: break;
  }
  return 0;
}

static int check_bounds(const struct param *row, const char *text, const union field *field,
                        struct error *err) {
  char quoted[SHOWN_SIZE], bounds[EXPECTED_SIZE];
  union field bound = {0};
  const char *wrong = NULL;
  if (row->minimum) {
    int status = parse_field(row, row->minimum, NULL, &bound, NULL);
    assert(status == 0);
    if (compare_fields(row->type, field, &bound, false) < 0) wrong = "small";
  }
  if (row->maximum) {
    int status = parse_field(row, row->maximum, NULL, &bound, NULL);
    assert(status == 0);
    if (compare_fields(row->type, field, &bound, true) > 0) wrong = "large";
  }
  if (!wrong) return 0;
  return error_set(err, STATUS_USAGE, "%s is too %s; expected %s", shown(text, quoted), wrong,
                   param_bounds(row, bounds));
}

int param_parse(const struct param *row, const char *text, struct arena *arena, void *config,
                struct error *err) {
  union field field = {0};
  int status = parse_field(row, text, arena, &field, err);
  if (status == 0) status = check_bounds(row, text, &field, err);
  if (status == 0) set_field(row, config, &field);
  return status;
}

int param_set_default(const struct param *row, struct arena *arena, void *config,
                      struct error *err) {
  if (!row->default_text) {
    union field nothing;
    memset(&nothing, 0, sizeof nothing);
    set_field(row, config, &nothing);
    return 0;
  }
  int status = param_parse(row, row->default_text, arena, config, err);
  assert(status == 0 || status == STATUS_MEMORY);
  return status;
}

bool param_is_absent(const struct param *row, const void *config) {
  if (row->default_text || row->required) return false;
  union field field;
  get_field(row, config, &field);
  const unsigned char *bytes = (const unsigned char *)&field;
  for (size_t i = 0; i < field_size(row->type); i++)
    if (bytes[i]) return false;
  return true;
}

static void print_range(enum param_type type, const struct param_range *range, struct buf *text) {
  const uint64_t ends[2] = {range->low, range->high};
  for (int i = 0; i < (range->low == range->high ? 1 : 2); i++) {
    char value[48];
    value_print((int64_t)ends[i], (double)ends[i], param_unit(type), value);
    buf_printf(text, "%s%s", i ? ".." : "", value);
  }
}

void param_print(const struct param *row, const void *config, struct buf *text) {
  char value[48];
  union field field;
  get_field(row, config, &field);
  switch (row->type) {
    case PARAM_BOOL: buf_puts(text, field.truth ? "true" : "false"); break;
    case PARAM_COUNT: buf_printf(text, "%u", field.count); break;
    case PARAM_INTEGER: buf_printf(text, "%lld", (long long)field.integer); break;
    case PARAM_DURATION:
    case PARAM_SIZE:
      value_print((int64_t)field.whole, (double)field.whole, param_unit(row->type), value);
      buf_puts(text, value);
      break;
    case PARAM_NUMBER:
    case PARAM_RATE:
    case PARAM_RATIO:
      value_print(0, field.number, param_unit(row->type), value);
      buf_puts(text, value);
      break;
    case PARAM_STRING: buf_puts(text, field.text ? field.text : ""); break;
    case PARAM_CHOICE: buf_puts(text, row->choices[field.choice]); break;
    case PARAM_TARGET: target_print(&field.target, text); break;
    case PARAM_COUNTS:
    case PARAM_DURATIONS: print_range(row->type, &field.range, text); break;
    case PARAM_NAMES:
    case PARAM_SETTINGS: break;
  }
}
