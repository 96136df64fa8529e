/* What servers said when they did not start: the most telling lines of their logs. */
#include <string.h>

#include "services/redis.h"

#define LINES_MAX 8

static bool has(const struct log_line *line, const char *text) {
  return memmem(line->text, line->length, text, strlen(text)) != NULL;
}

/* How much a line explains. Redis marks what an operator should see with '#', advice on the
 * machine's settings included. */
static int weigh(const struct log_line *line) {
  static const char *const ordinary[] = {"WARNING",
                                         "oO0OoO0OoO0Oo",
                                         "Warning: no config file",
                                         "User requested shutdown",
                                         "Redis is now ready to exit",
                                         "bye bye"};
  static const char *const telling[] = {"*** FATAL",  ">>> ",          "Reading the configuration",
                                        "Fatal",      "Can't ",        "Could not ",
                                        "Bad file",   "Wrong ",        "Failed ",
                                        "Out Of Mem", "Unrecoverable", "rror"};
  for (size_t i = 0; i < sizeof ordinary / sizeof ordinary[0]; i++)
    if (has(line, ordinary[i])) return 0;
  for (size_t i = 0; i < sizeof telling / sizeof telling[0]; i++)
    if (has(line, telling[i])) return 3;
  return has(line, " # ") ? 2 : 1;
}

static void take(const struct log_line *line, struct log_line lines[], uint32_t *count,
                 size_t *used, size_t size) {
  struct log_line whole = *line;
  if (whole.length == 0) return;
  if (whole.length > size / 2) whole.length = size / 2;
  if (*used + whole.length + 1 >= size) return;
  lines[(*count)++] = whole;
  *used += whole.length + 1;
}

/* What comes after the announcement of a bad configuration is all part of it, whatever it says. */
uint32_t redis_log_choose(const char *log, size_t length, int weight, size_t size,
                          struct log_line lines[LOG_LINES_MAX]) {
  static const char fatal[] = "*** FATAL CONFIG FILE ERROR";
  const char *from = memmem(log, length, fatal, strlen(fatal));
  size_t skip = from ? (size_t)(from - log) : 0;
  size_t end = length - skip, used = 0;
  uint32_t count = 0;
  struct log_line line;
  while (count < LINES_MAX && server_log_last_line(log + skip, &end, &line))
    if (from || weigh(&line) >= weight) take(&line, lines, &count, &used, size);
  return count;
}
