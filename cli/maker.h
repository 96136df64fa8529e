/* Who made a cluster: what run.json in its run directory says. */
#ifndef GAMEDAY_CLI_MAKER_H
#define GAMEDAY_CLI_MAKER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct maker {
  char id[64], provider[64], scenario[128]; /* "": not known */
  bool kept;                                /* the cluster stays when its maker has ended */
  bool finished;
  pid_t process; /* 0: not known */
};

/* STATUS_USAGE when the directory has no run.json that can be read. */
int maker_read(const char *run_directory, struct maker *ret, struct error *err);

/* Whether a run goes on on the cluster: its process is there, and has not finished. A number may
 * have gone to another process since, so that there must be a way to insist. */
bool maker_is_busy(const struct maker *maker);

#endif
