/* Real Redis servers for tests. */
#include "support/redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"

#define START_TIMEOUT_NS (20 * NS_PER_S)
#define LOOK_AGAIN_MS 5

static int free_port(uint16_t *ret_port, struct error *err) {
  CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 ||
      getsockname(fd, (struct sockaddr *)&address, &size) < 0) {
    return error_set_errno(err, errno, "cannot find a free port");
  }
  *ret_port = ntohs(address.sin_port);
  return 0;
}

int redis_server_make(struct redis_server *server, const char *name, uint16_t host,
                      struct error *err) {
  *server = (struct redis_server){.pid = 0};
  if (!process_exists("redis-server")) {
    return error_set(err, STATUS_ENVIRONMENT, "no redis-server is installed");
  }
  uint16_t port = 0;
  /* A node of a cluster also listens 10000 higher. */
  do {
    int found = free_port(&port, err);
    if (found < 0) return found;
  } while (port > 55000);
  const char *parent = getenv("TMPDIR");
  int status = path_format(server->directory, sizeof server->directory, err, "%s/gd-redis-XXXXXX",
                           parent ? parent : "/tmp");
  if (status < 0) return status;
  if (!mkdtemp(server->directory)) {
    server->directory[0] = '\0';
    return error_set_errno(err, errno, "cannot make a directory");
  }
  server->endpoint =
      (struct endpoint){.host = host, .name = name, .address = "127.0.0.1", .port = port};
  return 0;
}

redisReply *redis_server_say(const struct redis_server *server, const char *command) {
  const struct timeval patience = {.tv_sec = 2};
  redisContext *context =
      redisConnectWithTimeout(server->endpoint.address, server->endpoint.port, patience);
  redisReply *reply = NULL;
  if (context && !context->err) {
    redisSetTimeout(context, patience);
    freeReplyObject(redisCommand(context, "AUTH %s", REDIS_SERVER_PASSWORD));
    if (!context->err) reply = redisCommand(context, command); /* no % in any */
  }
  if (context) redisFree(context);
  return reply;
}

bool redis_server_says(const struct redis_server *server, const char *command, const char *text) {
  redisReply *reply = redis_server_say(server, command);
  bool found = reply && reply->str && strstr(reply->str, text);
  if (reply) freeReplyObject(reply);
  return found;
}

/* Asks until it answers, or until it has ended. */
static int wait_started(struct redis_server *server, struct error *err) {
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + START_TIMEOUT_NS;
  while (!redis_server_says(server, "PING", "PONG")) {
    if (waitpid(server->pid, NULL, WNOHANG) == server->pid) {
      server->pid = 0;
      return error_set(err, STATUS_SERVER, "redis-server did not start, see %s/log",
                       server->directory);
    }
    if (clock_now_ns(&clock_monotonic) > deadline_ns) {
      return error_set(err, STATUS_TIMEOUT, "redis-server does not answer");
    }
    poll(NULL, 0, LOOK_AGAIN_MS);
  }
  return 0;
}

int redis_server_start(struct redis_server *server, const char *lines, bool sentinel,
                       struct error *err) {
  char path[160], log[160], text[2048];
  int status = path_format(path, sizeof path, err, "%s/redis.conf", server->directory);
  if (status == 0) status = path_format(log, sizeof log, err, "%s/log", server->directory);
  if (status < 0) return status;
  snprintf(text, sizeof text,
           "port %u\nbind 127.0.0.1\ndir %s\nlogfile %s\nrequirepass %s\n%s%s%s\n",
           (unsigned)server->endpoint.port, server->directory, log, REDIS_SERVER_PASSWORD,
           sentinel ? "" : "save \"\"\nmasterauth " REDIS_SERVER_PASSWORD "\n",
           sentinel ? "sentinel sentinel-pass " REDIS_SERVER_PASSWORD "\n" : "", lines);
  status = file_puts(path, text, 0600, err);
  if (status < 0) return status;
  const char *const argv[] = {"redis-server", path, sentinel ? "--sentinel" : NULL, NULL};
  struct process_spec spec = {.argv = argv, .directory = "/", .dies_with_parent = true};
  status = process_start(&spec, &server->pid, err);
  if (status < 0) return status;
  return wait_started(server, err);
}

void redis_server_signal(struct redis_server *server, int signal) {
  if (server->pid > 0) kill(server->pid, signal);
}

void redis_server_stop(struct redis_server *server) {
  if (server->pid == 0) return;
  kill(server->pid, SIGKILL);
  while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR) continue;
  server->pid = 0;
}

void redis_server_remove(struct redis_server *server) {
  redis_server_stop(server);
  if (server->directory[0]) directory_remove(server->directory, NULL);
  server->directory[0] = '\0';
}
