/* Quantities as text: for people, and so that value_parse() gives the same again. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/value.h"

/* Three significant digits (all of them above 100), without zeros at the end. */
static void format_short(double number, char text[32]) {
  double magnitude = fabs(number);
  /* The limits are where rounding would add a digit: 9.996 is "10", not "10.00". */
  int decimals = magnitude < 9.995 ? 2 : magnitude < 99.95 ? 1 : 0;
  snprintf(text, 32, "%.*f", decimals, number);
  if (decimals == 0) return;
  size_t length = strlen(text);
  while (text[length - 1] == '0') length--;
  if (text[length - 1] == '.') length--;
  text[length] = '\0';
}

/* One step of a scale for people: used from `from` on. */
struct step {
  double from, divisor;
  const char *suffix;
};

static void format_steps(double number, const struct step *step, char text[32]) {
  while (fabs(number) < step->from) step++; /* the last begins at 0 */
  char digits[32];
  format_short(number / step->divisor, digits);
  snprintf(text, 32, "%.20s %s", digits, step->suffix);
}

static void format_duration(double ns, char text[32]) {
  static const struct step steps[] = {
      {999.5e6, 1e9, "s"}, {999.5e3, 1e6, "ms"}, {999.5, 1e3, "us"}, {0, 1, "ns"}};
  const double minute = 60e9, hour = 3600e9, limit = 1e18;
  if (ns == 0) { /* not "0 ns" among seconds */
    snprintf(text, 32, "0 s");
    return;
  }
  if (fabs(ns) < 10 * minute || fabs(ns) > limit) {
    format_steps(ns, steps, text);
    return;
  }
  const char *sign = ns < 0 ? "-" : "";
  double left = fabs(ns);
  if (left < 2 * hour) {
    long long seconds = llround(left / 1e9);
    snprintf(text, 32, "%s%lld min %lld s", sign, seconds / 60, seconds % 60);
  } else {
    long long minutes = llround(left / minute);
    snprintf(text, 32, "%s%lld h %lld min", sign, minutes / 60, minutes % 60);
  }
}

/* Two decimals, or as many as it takes to tell nearly all from all: 99.999 % is not 100 %. */
static void format_ratio(double ratio, char text[32]) {
  double percent = ratio * 100;
  int decimals = 2;
  while (decimals < 8 && fabs(percent - 100) > 0 && fabs(percent - 100) < 0.5 * pow(10, -decimals))
    decimals++;
  snprintf(text, 32, "%.*f %%", decimals, percent);
}

void value_format(double number, enum unit unit, char text[32]) {
  static const struct step sizes[] = {{0x1p40, 0x1p40, "TiB"},
                                      {0x1p30, 0x1p30, "GiB"},
                                      {0x1p20, 0x1p20, "MiB"},
                                      {0x1p10, 0x1p10, "KiB"},
                                      {0, 1, "B"}};
  if (!isfinite(number)) {
    snprintf(text, 32, "%s", isnan(number) ? "not a number" : "infinite");
    return;
  }
  switch (unit) {
    case UNIT_NONE: snprintf(text, 32, "%.6g", number); return;
    case UNIT_COUNT: snprintf(text, 32, fabs(number) < 1e15 ? "%.0f" : "%.6g", number); return;
    case UNIT_DURATION: format_duration(number, text); return;
    case UNIT_SIZE: format_steps(number, sizes, text); return;
    case UNIT_RATE: {
      char digits[32];
      if (fabs(number) >= 1 || number == 0)
        format_short(number, digits);
      else
        snprintf(digits, sizeof digits, "%.3g", number);
      snprintf(text, 32, "%.24s /s", digits);
      return;
    }
    case UNIT_RATIO: format_ratio(number, text); return;
  }
  text[0] = '\0';
}

/* The largest unit that divides the integer. */
static void print_whole(int64_t integer, const struct step *step, char text[48]) {
  if (integer == 0) { /* any unit would do; the usual one */
    while (strcmp(step->suffix, "s") != 0 && strcmp(step->suffix, "B") != 0) step++;
  } else {
    while (integer % (int64_t)step->divisor != 0) step++; /* the last is 1 */
  }
  snprintf(text, 48, "%lld%s", (long long)(integer / (int64_t)step->divisor), step->suffix);
}

/* The fewest digits that give the same number again; plain decimals where 15 digits do. */
static void print_number(double number, enum unit unit, const char *suffix, char text[48]) {
  for (int digits = 1; digits <= 17; digits++) {
    char scientific[40];
    snprintf(scientific, sizeof scientific, "%.*e", digits - 1, number);
    char *power = strchr(scientific, 'e');
    if (strtod(scientific, NULL) != number && digits < 17) continue;
    /* A percentage is two decimal places up, shifted in the text so that nothing is rounded. */
    int exponent = (int)strtol(power + 1, NULL, 10) + (unit == UNIT_RATIO ? 2 : 0);
    *power = '\0';
    char shifted[48];
    snprintf(shifted, sizeof shifted, "%se%d", scientific, exponent);
    if (digits <= 15 && exponent >= -5 && exponent < 15) {
      int decimals = digits - 1 - exponent;
      snprintf(text, 48, "%.*f%s", decimals > 0 ? decimals : 0, strtod(shifted, NULL), suffix);
    } else {
      snprintf(text, 48, "%.32s%s", shifted, suffix);
    }
    return;
  }
}

void value_print(int64_t integer, double number, enum unit unit, char text[48]) {
  static const struct step durations[] = {{0, 86400e9, "d"}, {0, 3600e9, "h"}, {0, 60e9, "min"},
                                          {0, 1e9, "s"},     {0, 1e6, "ms"},   {0, 1e3, "us"},
                                          {0, 1, "ns"}};
  static const struct step sizes[] = {{0, 0x1p40, "TiB"}, {0, 1e12, "TB"},    {0, 0x1p30, "GiB"},
                                      {0, 1e9, "GB"},     {0, 0x1p20, "MiB"}, {0, 1e6, "MB"},
                                      {0, 0x1p10, "KiB"}, {0, 1e3, "kB"},     {0, 1, "B"}};
  switch (unit) {
    case UNIT_NONE: print_number(number, unit, "", text); return;
    case UNIT_COUNT: snprintf(text, 48, "%lld", (long long)integer); return;
    case UNIT_DURATION: print_whole(integer, durations, text); return;
    case UNIT_SIZE: print_whole(integer, sizes, text); return;
    case UNIT_RATE: print_number(number, unit, "/s", text); return;
    case UNIT_RATIO: print_number(number, unit, "%", text); return;
  }
  text[0] = '\0';
}
