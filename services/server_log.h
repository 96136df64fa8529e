/* What servers said when they did not start: the most telling lines of their logs. Which these are
 * is known to each service. */
#ifndef GAMEDAY_SERVICES_SERVER_LOG_H
#define GAMEDAY_SERVICES_SERVER_LOG_H

#include "gameday/service.h"

#define LOG_LINES_MAX 12
#define LOG_TEXT_SIZE 800

/* Not ended by NUL. */
struct log_line {
  const char *text;
  size_t length;
};
/* The line that ends where `*ret_end` is, which becomes the end of the line before it; false when
 * there is none. */
bool server_log_last_line(const char *log, size_t *ret_end, struct log_line *ret);

/* Chooses the last lines that tell `weight` (1 to 3) at least, newest first; with a separator each
 * they have room in `size` bytes. */
typedef uint32_t server_log_chooser(const char *log, size_t length, int weight, size_t size,
                                    struct log_line lines[LOG_LINES_MAX]);
/* The lines that tell most, oldest first, at most `size` bytes; "" when there are none. */
void server_log_pick(server_log_chooser *choose, const char *log, size_t length, char *text,
                     size_t size);
/* The same of RUN_DIRECTORY/logs/HOST/UNIT.log. */
void server_log_read(server_log_chooser *choose, const struct service_instance *service,
                     const struct host *host, const char *unit, char *text, size_t size);

/* STATUS_SERVER with its log's words when the unit has ended on one of the first `count` members:
 * it will not come back, which is certain long before any deadline. */
int server_log_check_unit(server_log_chooser *choose, struct service_instance *service,
                          const char *unit, uint32_t count, struct error *err);

#endif
