/* What servers said when they did not start: the most telling lines of their logs. */
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "services/postgres.h"

#define LOG_READ_MAX (64u << 20)
#define LOG_PICK_LINES 12

/* How much a line explains. Connections refused while a server starts are ordinary, and say FATAL
 * too. */
static int weigh(const char *line, size_t length) {
  static const struct {
    const char *text;
    int weight;
  } words[] = {
      {"the database system is", 0},
      {"password authentication failed", 0},
      {"terminating connection", 0},
      {"terminating walreceiver", 0},
      {"could not receive data from WAL stream", 0},
      {"PANIC:", 3},
      {"FATAL:", 3},
      {"HINT:", 3},
      {"DETAIL:", 3},
      {"LOG:  invalid value", 3},
      {"LOG:  unrecognized configuration parameter", 3},
      {"configuration file \"", 3},
      {"\"level\":\"fatal\"", 3},
      {"\"level\":\"panic\"", 3},
      {"Removing ", 2},
      {"CRITICAL", 2},
      {"ERROR", 2},
      {"Error", 2},
      {"Exception", 2},
      {"error:", 2},
      {"\"level\":\"error\"", 2},
  };
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (memmem(line, length, words[i].text, strlen(words[i].text))) return words[i].weight;
  return 1;
}

struct line {
  const char *text;
  size_t length;
};

/* The last lines of at least `weight`, newest first; as many as fit into `size` with separators. */
static uint32_t collect(const char *log, size_t length, int weight, size_t size,
                        struct line lines[LOG_PICK_LINES]) {
  uint32_t count = 0;
  size_t used = 0, end = length;
  while (end > 0 && count < LOG_PICK_LINES) {
    const char *newline = memrchr(log, '\n', end);
    size_t begin = newline ? (size_t)(newline - log) + 1 : 0;
    size_t line_length = end - begin;
    if (line_length > 0 && weigh(log + begin, line_length) >= weight) {
      if (line_length >= size) line_length = size - 1;
      if (used + line_length + 1 > size) break;
      lines[count++] = (struct line){log + begin, line_length};
      used += line_length + 1;
    }
    end = newline ? begin - 1 : 0;
  }
  return count;
}

void postgres_log_pick(const char *log, size_t length, char *text, size_t size) {
  struct line lines[LOG_PICK_LINES];
  uint32_t count = 0;
  for (int weight = 3; weight >= 1 && count == 0; weight--)
    count = collect(log, length, weight, size, lines);
  size_t at = 0;
  text[0] = '\0';
  for (uint32_t i = count; i-- > 0;) {
    memcpy(text + at, lines[i].text, lines[i].length);
    at += lines[i].length;
    text[at] = '\0';
    if (i > 0) {
      text[at++] = '\n';
      text[at] = '\0';
    }
  }
}

void postgres_log_read(const struct service_instance *service, const struct host *host,
                       const char *unit, char *text, size_t size) {
  char path[PATH_MAX];
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  text[0] = '\0';
  if (path_format(path, sizeof path, NULL, "%s/logs/%s/%s.log", service->cluster->run_directory,
                  host->name, unit) < 0 ||
      file_read(path, LOG_READ_MAX, &content, NULL) < 0)
    return;
  postgres_log_pick(content.data, content.length, text, size);
}
