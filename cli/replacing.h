/* The files of a command, replaced together: all are new afterwards, or as they were. */
#ifndef GAMEDAY_CLI_REPLACING_H
#define GAMEDAY_CLI_REPLACING_H

#include "cli.h"

struct replacing {
  /* Makes the files in `directory`, an empty one; gives up once `cancel_fd` is readable. */
  int (*make)(void *data, const char *directory, int cancel_fd, struct error *err);
  /* Removes from `directory` what an earlier time left and this one need not have made; NULL: every
   * time makes the same files. */
  int (*clear)(const char *directory, struct error *err);
  void *data;
};

/* Into `directory`, made with its parents; logs where they are. STATUS_INTERRUPTED: SIGINT, SIGTERM
 * or SIGHUP came, now in *ret_signal, and the message tells which files there are. Else the errors
 * of make() and clear(), and STATUS_SYSTEM. The calling thread is to be the only one. */
int replacing_files(struct log *log, const char *directory, const struct replacing *files,
                    int *ret_signal, struct error *err);

#endif
