/* Parsing quantities, exactly: "0.1s" is 100000000 ns because the decimal digits are scaled as
 * integers; no floating point is between the text and a whole unit. */
#include "base/value.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One spelling of a unit. `scale` brings a number to what is stored; rates are divided by it. */
struct unit_spelling {
  const char *text;
  uint64_t scale;
};

static const struct unit_spelling duration_units[] = {
    {"ns", 1},
    {"us", UINT64_C(1000)},
    {"ms", UINT64_C(1000000)},
    {"s", UINT64_C(1000000000)},
    {"min", UINT64_C(60000000000)},
    {"h", UINT64_C(3600000000000)},
    {"d", UINT64_C(86400000000000)},
    {NULL, 0},
};
static const struct unit_spelling size_units[] = {
    {"B", 1},
    {"kB", UINT64_C(1000)},
    {"KiB", UINT64_C(1) << 10},
    {"MB", UINT64_C(1000000)},
    {"MiB", UINT64_C(1) << 20},
    {"GB", UINT64_C(1000000000)},
    {"GiB", UINT64_C(1) << 30},
    {"TB", UINT64_C(1000000000000)},
    {"TiB", UINT64_C(1) << 40},
    {NULL, 0},
};
static const struct unit_spelling rate_units[] = {{"/s", 1}, {"/min", 60}, {"/h", 3600}, {NULL, 0}};
static const struct unit_spelling ratio_units[] = {{"%", 1}, {NULL, 0}};
static const struct unit_spelling no_units[] = {{"", 1}, {NULL, 0}};

/* All that is known of a unit, by enum unit. */
struct unit_info {
  const char *name, *example;
  const char *expected; /* "a duration such as 30s or 250ms" */
  const char *accepted; /* the spellings, for messages */
  const char *grain;    /* the smallest step of a whole unit */
  const struct unit_spelling *spellings;
  bool whole, negative;
};

static const struct unit_info unit_infos[] = {
    [UNIT_NONE] = {.name = "number",
                   .example = "1.5",
                   .expected = "a number such as 1.5",
                   .accepted = "none",
                   .spellings = no_units,
                   .negative = true},
    [UNIT_COUNT] = {.name = "count",
                    .example = "3",
                    .expected = "a whole number such as 3",
                    .accepted = "none",
                    .grain = "1",
                    .spellings = no_units,
                    .whole = true,
                    .negative = true},
    [UNIT_DURATION] = {.name = "duration",
                       .example = "30s",
                       .expected = "a duration such as 30s or 250ms",
                       .accepted = "ns, us, ms, s, min, h, d",
                       .grain = "1 ns",
                       .spellings = duration_units,
                       .whole = true},
    [UNIT_SIZE] = {.name = "size",
                   .example = "512MiB",
                   .expected = "a size such as 512MiB or 8kB",
                   .accepted = "B, KiB, MiB, GiB, TiB, kB, MB, GB, TB",
                   .grain = "1 B",
                   .spellings = size_units,
                   .whole = true},
    [UNIT_RATE] = {.name = "rate",
                   .example = "500/s",
                   .expected = "a rate such as 500/s or 30/min",
                   .accepted = "/s, /min, /h",
                   .spellings = rate_units},
    [UNIT_RATIO] = {.name = "ratio",
                    .example = "99.9%",
                    .expected = "a percentage such as 99.9%",
                    .accepted = "%",
                    .spellings = ratio_units},
};

static const struct unit_info *info_of(enum unit unit) {
  assert((unsigned)unit < sizeof unit_infos / sizeof *unit_infos);
  return &unit_infos[unit];
}

const char *unit_example(enum unit unit) {
  return info_of(unit)->example;
}

const char *unit_name(enum unit unit) {
  return info_of(unit)->name;
}

/* The number of a text, taken apart. */
struct decimal {
  bool negative;
  const char *digits; /* where the number begins, after the sign */
  size_t whole_count; /* digits before the point */
  const char *fraction;
  size_t fraction_count;
  int exponent;           /* 0 when none is written */
  size_t mantissa_length; /* sign, digits and point */
  size_t length;          /* with the exponent */
};

static size_t count_digits(const char *text) {
  return strspn(text, "0123456789");
}

/* False when `text` does not begin with a number. */
static bool read_decimal(const char *text, bool exponent_allowed, struct decimal *ret) {
  struct decimal d = {.negative = text[0] == '-'};
  const char *next = text + (text[0] == '-' || text[0] == '+');
  d.digits = next;
  d.whole_count = count_digits(next);
  next += d.whole_count;
  d.fraction = next;
  if (*next == '.') {
    d.fraction = next + 1;
    d.fraction_count = count_digits(d.fraction);
    next = d.fraction + d.fraction_count;
    if (d.fraction_count == 0) return false;
  }
  if (d.whole_count == 0) return false;
  d.mantissa_length = (size_t)(next - text);
  if (exponent_allowed && (*next == 'e' || *next == 'E')) {
    const char *power = next + 1;
    power += *power == '-' || *power == '+';
    size_t count = count_digits(power);
    if (count > 0 && count <= 4) {
      d.exponent = atoi(next + 1);
      next = power + count;
    }
  }
  d.length = (size_t)(next - text);
  *ret = d;
  return true;
}

enum scaled { SCALED_EXACT, SCALED_TOO_LARGE, SCALED_TOO_FINE };

/* The digits after the point times `scale`. Factors that 10^places and `scale` share are cancelled
 * first, so that the product does not overflow on its way. */
static enum scaled scale_fraction(const struct decimal *d, uint64_t scale, uint64_t *ret) {
  size_t places = d->fraction_count;
  while (places > 0 && d->fraction[places - 1] == '0') places--;
  if (places > 18) return SCALED_TOO_FINE; /* 10^18 is what 64 bits hold; nobody means more */
  uint64_t digits = 0, divisor = 1;
  for (size_t i = 0; i < places; i++) {
    digits = digits * 10 + (uint64_t)(d->fraction[i] - '0');
    divisor *= 10;
  }
  for (; divisor % 2 == 0 && scale % 2 == 0; scale /= 2) divisor /= 2;
  for (; divisor % 5 == 0 && scale % 5 == 0; scale /= 5) divisor /= 5;
  if (digits % divisor != 0) return SCALED_TOO_FINE;
  if (__builtin_mul_overflow(digits / divisor, scale, ret)) return SCALED_TOO_LARGE;
  return SCALED_EXACT;
}

/* The number times `scale` as an integer, exactly. */
static enum scaled scale_decimal(const struct decimal *d, uint64_t scale, int64_t *ret) {
  uint64_t whole = 0;
  for (size_t i = 0; i < d->whole_count; i++) {
    if (__builtin_mul_overflow(whole, 10, &whole) ||
        __builtin_add_overflow(whole, (uint64_t)(d->digits[i] - '0'), &whole))
      return SCALED_TOO_LARGE;
  }
  uint64_t fraction;
  enum scaled scaled = scale_fraction(d, scale, &fraction);
  if (scaled != SCALED_EXACT) return scaled;
  if (__builtin_mul_overflow(whole, scale, &whole) ||
      __builtin_add_overflow(whole, fraction, &whole) || whole > INT64_MAX)
    return SCALED_TOO_LARGE;
  *ret = d->negative ? -(int64_t)whole : (int64_t)whole;
  return SCALED_EXACT;
}

/* How much of the user's text a message repeats. */
#define QUOTED_MAX 60

static int parse_whole(const char *text, const struct decimal *d, const struct unit_info *info,
                       uint64_t scale, int64_t *ret_integer, double *ret_number,
                       struct error *err) {
  int64_t integer = 0;
  switch (scale_decimal(d, scale, &integer)) {
    case SCALED_TOO_LARGE:
      return error_set(err, STATUS_USAGE, "\"%.*s\" is too large for a %s", QUOTED_MAX, text,
                       info->name);
    case SCALED_TOO_FINE:
      return error_set(err, STATUS_USAGE, "\"%.*s\" is not a multiple of %s; expected %s",
                       QUOTED_MAX, text, info->grain, info->expected);
    case SCALED_EXACT: break;
  }
  if (ret_integer) *ret_integer = integer;
  if (ret_number) *ret_number = (double)integer;
  return 0;
}

static int parse_number(const char *text, const struct decimal *d, const struct unit_info *info,
                        uint64_t divisor, double *ret_number, struct error *err) {
  char plain[64];
  /* A percentage is two decimal places down: done in the text, so that "99.9%" is the double next
   * to 0.999 and prints as it was written. */
  int exponent = d->exponent - (info == &unit_infos[UNIT_RATIO] ? 2 : 0);
  int length = snprintf(plain, sizeof plain, "%.*se%d", (int)d->mantissa_length, text, exponent);
  if (d->mantissa_length > 40 || length < 0 || (size_t)length >= sizeof plain)
    return error_set(err, STATUS_USAGE, "\"%.*s\" has too many digits", QUOTED_MAX, text);
  double number = strtod(plain, NULL) / (double)divisor;
  if (!isfinite(number))
    return error_set(err, STATUS_USAGE, "\"%.*s\" is too large for a %s", QUOTED_MAX, text,
                     info->name);
  if (ret_number) *ret_number = number;
  return 0;
}

int value_parse(const char *text, enum unit unit, int64_t *ret_integer, double *ret_number,
                struct error *err) {
  const struct unit_info *info = info_of(unit);
  struct decimal d;
  if (!read_decimal(text, !info->whole, &d))
    return error_set(err, STATUS_USAGE, "\"%.*s\" is not a %s; expected %s", QUOTED_MAX, text,
                     info->name, info->expected);
  const char *suffix = text + d.length;
  bool bare = info->spellings == no_units;
  if (!bare) suffix += strspn(suffix, " ");
  const struct unit_spelling *spelling = info->spellings;
  while (spelling->text && strcmp(spelling->text, suffix) != 0) spelling++;
  if (!spelling->text && bare)
    return error_set(err, STATUS_USAGE, "\"%.*s\" is not a %s; expected %s", QUOTED_MAX, text,
                     info->name, info->expected);
  if (!spelling->text && *suffix == '\0')
    return error_set(err, STATUS_USAGE, "\"%.*s\" has no unit; expected %s", QUOTED_MAX, text,
                     info->expected);
  if (!spelling->text)
    return error_set(err, STATUS_USAGE,
                     "\"%.*s\" has the unknown unit \"%.*s\" (known: %s); expected %s", QUOTED_MAX,
                     text, QUOTED_MAX, suffix, info->accepted, info->expected);
  if (d.negative && !info->negative)
    return error_set(err, STATUS_USAGE, "\"%.*s\" is negative; expected %s", QUOTED_MAX, text,
                     info->expected);
  if (info->whole)
    return parse_whole(text, &d, info, spelling->scale, ret_integer, ret_number, err);
  return parse_number(text, &d, info, spelling->scale, ret_number, err);
}
