/* A real redis-server of a test's own, as a server or as a sentinel: in a temporary directory, on
 * loopback, with a password. */
#ifndef GAMEDAY_TESTS_SUPPORT_REDIS_SERVER_H
#define GAMEDAY_TESTS_SUPPORT_REDIS_SERVER_H

#include <hiredis/hiredis.h>
#include <sys/types.h>

#include "gameday/driver.h"

#define REDIS_SERVER_PASSWORD "secret-of-a-test"

struct redis_server {
  char directory[128]; /* its files, and its log */
  pid_t pid;           /* 0: not running */
  struct endpoint endpoint;
};

/* Makes the directory and finds a port, does not start. STATUS_ENVIRONMENT when this machine has no
 * redis-server. The struct must not be moved afterwards. */
int redis_server_make(struct redis_server *server, const char *name, uint16_t host,
                      struct error *err);
/* Starts with lines of configuration beside the port and the password, and waits until it answers.
 * `sentinel`: as one. */
int redis_server_start(struct redis_server *server, const char *lines, bool sentinel,
                       struct error *err);
void redis_server_signal(struct redis_server *server, int signal);
/* Kills it, when it runs, and waits for its end. */
void redis_server_stop(struct redis_server *server);
/* Stops and removes everything. */
void redis_server_remove(struct redis_server *server);
/* Runs one command; the reply is the caller's (freeReplyObject), NULL when there is none. */
redisReply *redis_server_say(const struct redis_server *server, const char *command);
/* Whether the answer to the command holds this text. */
bool redis_server_says(const struct redis_server *server, const char *command, const char *text);

#endif
