/* Numbers as people read them: three significant digits with a unit, never more precision than was
 * measured, and never a miss that prints like its bound. Pure; any thread. */
#ifndef GAMEDAY_REPORT_FORMAT_H
#define GAMEDAY_REPORT_FORMAT_H

#include <stdint.h>

#include "base/value.h"

#define FORMAT_SIZE 48

/* A span of time: "420 µs", "35.2 ms", "1.25 s", "22.3 s", "12 min 5 s", "2 h 3 min". */
void format_seconds(double seconds, char text[FORMAT_SIZE]);
/* A moment on the run's axis, rounded to the millisecond: "20.012 s"; "never" for TIME_NEVER. */
void format_moment(uint64_t time_ns, char text[FORMAT_SIZE]);
/* A whole number with its thousands apart: "18,000". */
void format_count(uint64_t count, char text[FORMAT_SIZE]);
/* A measured value of any unit (durations in seconds, sizes in bytes, ratios as fractions). A ratio
 * below 1 never prints as 100 %. */
void format_value(double value, enum unit unit, char text[FORMAT_SIZE]);
/* As format_value(), with as many digits more as are needed to tell `value` from `bound`. */
void format_against(double value, double bound, enum unit unit, char text[FORMAT_SIZE]);

#endif
