/* What servers said when they did not start: the most telling lines of their logs. */
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "services/redis.h"

#define LOG_READ_MAX (64u << 20)
#define LOG_PICK_LINES 8

struct line {
  const char *text;
  size_t length;
};

static bool has(const struct line *line, const char *text) {
  return memmem(line->text, line->length, text, strlen(text)) != NULL;
}

/* How much a line explains. Redis marks what an operator should see with '#', advice on the
 * machine's settings included. */
static int weigh(const struct line *line) {
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

static bool next_line(const char *log, size_t *end, struct line *ret) {
  if (*end == 0) return false;
  const char *newline = memrchr(log, '\n', *end);
  size_t begin = newline ? (size_t)(newline - log) + 1 : 0;
  *ret = (struct line){log + begin, *end - begin};
  *end = newline ? begin - 1 : 0;
  return true;
}

static void take(const struct line *line, struct line lines[LOG_PICK_LINES], uint32_t *count,
                 size_t *used, size_t size) {
  struct line whole = *line;
  if (whole.length == 0 || *count == LOG_PICK_LINES) return;
  if (whole.length > size / 2) whole.length = size / 2;
  if (*used + whole.length + 1 >= size) return;
  lines[(*count)++] = whole;
  *used += whole.length + 1;
}

/* The last lines of at least `weight`, newest first. What comes after the announcement of a bad
 * configuration is all part of it, whatever it says. */
static uint32_t collect(const char *log, size_t length, int weight, size_t size,
                        struct line lines[LOG_PICK_LINES]) {
  static const char fatal[] = "*** FATAL CONFIG FILE ERROR";
  const char *from = memmem(log, length, fatal, strlen(fatal));
  size_t skip = from ? (size_t)(from - log) : 0;
  size_t end = length - skip, used = 0;
  uint32_t count = 0;
  struct line line;
  while (count < LOG_PICK_LINES && next_line(log + skip, &end, &line))
    if (from || weigh(&line) >= weight) take(&line, lines, &count, &used, size);
  return count;
}

void redis_log_pick(const char *log, size_t length, char *text, size_t size) {
  struct line lines[LOG_PICK_LINES];
  uint32_t count = 0;
  for (int weight = 3; weight >= 1 && count == 0; weight--)
    count = collect(log, length, weight, size, lines);
  size_t at = 0;
  text[0] = '\0';
  for (uint32_t i = count; i-- > 0;) {
    memcpy(text + at, lines[i].text, lines[i].length);
    at += lines[i].length;
    if (i > 0) text[at++] = '\n';
    text[at] = '\0';
  }
}

void redis_log_read(const struct service_instance *service, const struct host *host,
                    const char *unit, char *text, size_t size) {
  char path[PATH_MAX];
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  text[0] = '\0';
  if (path_format(path, sizeof path, NULL, "%s/logs/%s/%s.log", service->cluster->run_directory,
                  host->name, unit) < 0 ||
      file_read(path, LOG_READ_MAX, &content, NULL) < 0)
    return;
  redis_log_pick(content.data, content.length, text, size);
}
