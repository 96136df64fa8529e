/* Numbers as people read them. */
#include "report/format.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define DIGITS_SHOWN 3
#define DIGITS_MAX 15 /* a run of days, to the nanosecond */

/* Prints `value` with `digits` significant digits and no exponent. */
static void format_significant(double value, int digits, char text[FORMAT_SIZE]) {
  if (value == 0.0) {
    snprintf(text, FORMAT_SIZE, "0");
    return;
  }
  int magnitude = (int)floor(log10(fabs(value)));
  /* 9.996 is 10.0 with three digits: the magnitude is that of the rounded number. */
  double step = pow(10.0, magnitude - digits + 1);
  if (round(fabs(value) / step) * step >= pow(10.0, magnitude + 1)) magnitude++;
  int decimals = digits - 1 - magnitude;
  if (decimals < 0) decimals = 0;
  if (decimals > 12) decimals = 12;
  snprintf(text, FORMAT_SIZE, "%.*f", decimals, value);
}

static void format_scaled(double value, double scale, const char *unit, int digits,
                          char text[FORMAT_SIZE]) {
  char number[FORMAT_SIZE];
  format_significant(value / scale, digits, number);
  snprintf(text, FORMAT_SIZE, "%.32s %s", number, unit);
}

static void format_seconds_digits(double seconds, int digits, char text[FORMAT_SIZE]) {
  double size = fabs(seconds);
  if (size == 0.0) {
    snprintf(text, FORMAT_SIZE, "0 s");
  } else if (size < 0.9995e-6) {
    format_scaled(seconds, 1e-9, "ns", digits, text);
  } else if (size < 0.9995e-3) {
    format_scaled(seconds, 1e-6, "µs", digits, text);
  } else if (size < 0.9995) {
    format_scaled(seconds, 1e-3, "ms", digits, text);
  } else if (size < 600.0 || digits > DIGITS_SHOWN || size > 1e12) {
    format_scaled(seconds, 1.0, "s", digits, text);
  } else {
    const char *sign = seconds < 0 ? "-" : "";
    uint64_t whole = (uint64_t)llround(size);
    if (whole < 7200) {
      snprintf(text, FORMAT_SIZE, "%s%" PRIu64 " min %" PRIu64 " s", sign, whole / 60, whole % 60);
    } else {
      uint64_t minutes = (uint64_t)llround(size / 60.0);
      snprintf(text, FORMAT_SIZE, "%s%" PRIu64 " h %" PRIu64 " min", sign, minutes / 60,
               minutes % 60);
    }
  }
}

void format_seconds(double seconds, char text[FORMAT_SIZE]) {
  format_seconds_digits(seconds, DIGITS_SHOWN, text);
}

void format_moment(uint64_t time_ns, char text[FORMAT_SIZE]) {
  if (time_ns == TIME_NEVER) {
    snprintf(text, FORMAT_SIZE, "never");
    return;
  }
  uint64_t ms = (time_ns + NS_PER_MS / 2) / NS_PER_MS;
  snprintf(text, FORMAT_SIZE, "%" PRIu64 ".%03" PRIu64 " s", ms / 1000, ms % 1000);
}

void format_count(uint64_t count, char text[FORMAT_SIZE]) {
  char plain[FORMAT_SIZE];
  int length = snprintf(plain, sizeof plain, "%" PRIu64, count);
  char *out = text;
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) *out++ = ',';
    *out++ = plain[i];
  }
  *out = '\0';
}

static void format_size(double bytes, int digits, char text[FORMAT_SIZE]) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  double scaled = bytes;
  while (fabs(scaled) >= 1023.5 && unit + 1 < sizeof units / sizeof units[0]) {
    scaled /= 1024.0;
    unit++;
  }
  if (unit == 0 && scaled == floor(scaled)) {
    snprintf(text, FORMAT_SIZE, "%.0f B", scaled);
  } else {
    format_scaled(scaled, 1.0, units[unit], digits, text);
  }
}

/* As many decimals as show how far a ratio near 1 is from it, cut off rather than rounded up: an
 * availability of 0.99996 is "99.996 %", and never "100 %". */
static void format_ratio(double ratio, int digits, char text[FORMAT_SIZE]) {
  int decimals = digits - 1;
  if (ratio == 0.0 || ratio == 1.0) decimals = 0;
  if (ratio > 0.9 && ratio < 1.0) {
    decimals = (int)ceil(-log10(1.0 - ratio)) - 2 + (digits - 2);
    if (decimals > 7) decimals = 7;
    if (decimals < 1) decimals = 1;
    double scale = pow(10.0, decimals);
    /* The small term undoes binary fractions such as 0.999 * 100000 = 99899.99... */
    double percent = floor(ratio * 100.0 * scale + 1e-4) / scale;
    snprintf(text, FORMAT_SIZE, percent >= 100.0 ? "> %.*f %%" : "%.*f %%", decimals,
             percent >= 100.0 ? 100.0 - 1.0 / scale : percent);
    return;
  }
  double percent = ratio * 100.0;
  if (fabs(percent) >= 10.0 && decimals > 0) decimals--;
  snprintf(text, FORMAT_SIZE, "%.*f %%", decimals, percent);
}

static void format_digits(double value, enum unit unit, int digits, char text[FORMAT_SIZE]) {
  if (!isfinite(value)) {
    snprintf(text, FORMAT_SIZE, "%s", isnan(value) ? "not a number" : "unlimited");
    return;
  }
  switch (unit) {
    case UNIT_DURATION: format_seconds_digits(value, digits, text); return;
    case UNIT_SIZE: format_size(value, digits, text); return;
    case UNIT_RATIO: format_ratio(value, digits, text); return;
    case UNIT_RATE: format_scaled(value, 1.0, "/s", digits, text); return;
    case UNIT_COUNT:
      if (value >= 0 && value < 1e18 && value == floor(value)) {
        format_count((uint64_t)value, text);
      } else {
        format_significant(value, digits, text);
      }
      return;
    case UNIT_NONE: break;
  }
  format_significant(value, digits, text);
}

void format_value(double value, enum unit unit, char text[FORMAT_SIZE]) {
  format_digits(value, unit, DIGITS_SHOWN, text);
}

void format_against(double value, double bound, enum unit unit, char text[FORMAT_SIZE]) {
  char other[FORMAT_SIZE];
  for (int digits = DIGITS_SHOWN; digits <= DIGITS_MAX; digits++) {
    format_digits(value, unit, digits, text);
    format_digits(bound, unit, digits, other);
    if (value == bound || strcmp(text, other) != 0) return;
  }
}
