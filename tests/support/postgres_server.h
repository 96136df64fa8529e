/* A real PostgreSQL server of a test's own: initdb in a temporary directory, loopback only, with
 * passwords, without fsync (its crash recovery still works when only the server dies). */
#ifndef GAMEDAY_TESTS_SUPPORT_POSTGRES_SERVER_H
#define GAMEDAY_TESTS_SUPPORT_POSTGRES_SERVER_H

#include <sys/types.h>

#include "gameday/driver.h"

struct postgres_server {
  char directory[128]; /* data/, log, pwfile below it */
  char programs[64];   /* where initdb and postgres are */
  char password[40];
  pid_t pid; /* of the postmaster; 0: not running */
  struct endpoint endpoint;
  struct access access; /* with driver_pg */
};

/* Makes the files, does not start. STATUS_ENVIRONMENT with the reason when this machine has no
 * PostgreSQL or no user for it. The struct must not be moved afterwards. */
int postgres_server_make(struct postgres_server *server, struct error *err);
/* Starts and waits until it answers: with writes accepted, or in recovery when `standby`.
 * `options`: "-c" "name=value" ..., NULL-terminated; NULL: none. */
int postgres_server_start(struct postgres_server *server, const char *const *options, bool standby,
                          struct error *err);
/* Sends `signal` to the postmaster and waits for its end. */
void postgres_server_stop(struct postgres_server *server, int signal);
/* Stops and removes everything. */
void postgres_server_remove(struct postgres_server *server);
/* Makes an empty file in the data directory, owned by the server ("standby.signal"). */
int postgres_server_touch(const struct postgres_server *server, const char *name,
                          struct error *err);
int postgres_server_execute(const struct postgres_server *server, const char *text,
                            struct error *err);

#endif
