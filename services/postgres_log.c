/* What servers said when they did not start: the most telling lines of their logs. */
#include <string.h>

#include "services/postgres.h"

/* How much a line explains. Connections refused while a server starts are ordinary, and say FATAL
 * too. */
static int weigh(const struct log_line *line) {
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
    if (memmem(line->text, line->length, words[i].text, strlen(words[i].text)))
      return words[i].weight;
  return 1;
}

uint32_t postgres_log_choose(const char *log, size_t length, int weight, size_t size,
                             struct log_line lines[LOG_LINES_MAX]) {
  uint32_t count = 0;
  size_t used = 0, end = length;
  struct log_line line;
  while (count < LOG_LINES_MAX && server_log_last_line(log, &end, &line)) {
    if (line.length == 0 || weigh(&line) < weight) continue;
    if (line.length >= size) line.length = size - 1;
    if (used + line.length + 1 > size) break;
    lines[count++] = line;
    used += line.length + 1;
  }
  return count;
}
