/* Reading and printing of what servers wrote to their logs. */
#include "services/server_log.h"

#include <limits.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define LOG_READ_MAX (64u << 20)

bool server_log_last_line(const char *log, size_t *ret_end, struct log_line *ret) {
  size_t end = *ret_end;
  if (end == 0) return false;
  const char *newline = memrchr(log, '\n', end);
  size_t begin = newline ? (size_t)(newline - log) + 1 : 0;
  *ret = (struct log_line){log + begin, end - begin};
  *ret_end = newline ? begin - 1 : 0;
  return true;
}

void server_log_pick(server_log_chooser *choose, const char *log, size_t length, char *text,
                     size_t size) {
  struct log_line lines[LOG_LINES_MAX];
  uint32_t count = 0;
  for (int weight = 3; weight >= 1 && count == 0; weight--)
    count = choose(log, length, weight, size, lines);
  size_t at = 0;
  text[0] = '\0';
  for (uint32_t i = count; i-- > 0;) {
    memcpy(text + at, lines[i].text, lines[i].length);
    at += lines[i].length;
    if (i > 0) text[at++] = '\n';
    text[at] = '\0';
  }
}

void server_log_read(server_log_chooser *choose, const struct service_instance *service,
                     const struct host *host, const char *unit, char *text, size_t size) {
  char path[PATH_MAX];
  CLEANUP(buf_release) struct buf content;
  buf_init(&content);
  text[0] = '\0';
  if (path_format(path, sizeof path, NULL, "%s/logs/%s/%s.log", service->cluster->run_directory,
                  host->name, unit) < 0 ||
      file_read(path, LOG_READ_MAX, &content, NULL) < 0)
    return;
  server_log_pick(choose, content.data, content.length, text, size);
}

int server_log_check_unit(server_log_chooser *choose, struct service_instance *service,
                          const char *unit, uint32_t count, struct error *err) {
  const struct provider *provider = service->cluster->provider;
  for (uint32_t i = 0; i < count; i++) {
    const struct host *host = service->members[i];
    bool running = false;
    int status = provider->unit_running(service->cluster, host, unit, &running, err);
    if (status < 0) return status;
    if (running) continue;
    char lines[LOG_TEXT_SIZE];
    server_log_read(choose, service, host, unit, lines, sizeof lines);
    return error_set(err, STATUS_SERVER, "%s on %s has ended while starting; its log says:\n%s",
                     unit, host->name, lines[0] ? lines : "(nothing)");
  }
  return 0;
}
