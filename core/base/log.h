/* The log: lines on stderr for a person, written by the engine and the command line only. */
#ifndef GAMEDAY_BASE_LOG_H
#define GAMEDAY_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Owned by main() and handed down; there is no global log. */
struct log {
  enum log_level level;
  bool color;        /* a terminal, and NO_COLOR is not set */
  bool live;         /* a status line may be redrawn (a terminal) */
  bool status_shown; /* the log's own: a status line is on the screen */
  int fd;
};

void log_init(struct log *log, int fd, enum log_level level);
/* One line, thread safe (a single write). The status line, if shown, is erased first. */
void log_print(struct log *log, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Redraws the status line in place (terminal only; otherwise nothing); "" erases it. */
void log_status(struct log *log, const char *text);

#endif
