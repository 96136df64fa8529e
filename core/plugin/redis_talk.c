/* A line on which the thread waits with poll(). */
#include "plugin/redis_talk.h"

#include <poll.h>
#include <stdlib.h>

#include "plugin/redis_line.h"

struct redis_talk {
  struct redis_line line;
};

static int wait_for(const struct redis_talk *talk, unsigned wants, const struct patience *patience,
                    struct error *err) {
  short events = 0;
  if (wants & LOOP_READ) events |= POLLIN;
  if (wants & LOOP_WRITE) events |= POLLOUT;
  return patience_wait_socket(patience, talk->line.connection.fd, events, err);
}

static int connect_to(struct redis_talk *talk, const struct endpoint *endpoint,
                      const struct tls_trust *trust, const struct patience *patience,
                      struct error *err) {
  struct tcp_connection *connection = &talk->line.connection;
  int status = tcp_dial(connection, endpoint->address, endpoint->port, 0, err);
  if (status == 0) status = wait_for(talk, LOOP_WRITE, patience, err);
  if (status == 0) status = tcp_check(connection, endpoint->address, endpoint->port, err);
  for (unsigned wants = LOOP_READ; trust && wants && status == 0;) {
    status = tcp_secure(connection, trust, endpoint->name, &wants, err);
    if (status == 0 && wants) status = wait_for(talk, wants, patience, err);
  }
  return status;
}

int redis_talk_open(const struct endpoint *endpoint, const struct tls_trust *trust,
                    const struct patience *patience, struct redis_talk **ret_talk,
                    struct error *err) {
  struct redis_talk *talk = malloc(sizeof *talk);
  if (!talk) return error_set(err, STATUS_MEMORY, "out of memory for a connection");
  redis_line_init(&talk->line);
  int status = connect_to(talk, endpoint, trust, patience, err);
  if (status < 0) {
    redis_talk_close(talk);
    return status;
  }
  *ret_talk = talk;
  return 0;
}

void redis_talk_close(struct redis_talk *talk) {
  if (!talk) return;
  redis_line_close(&talk->line);
  free(talk);
}

int redis_talk_put(struct redis_talk *talk, const char *const words[], uint32_t count,
                   struct error *err) {
  return redis_line_put(&talk->line, words, count, err);
}

int redis_talk_take(struct redis_talk *talk, const struct patience *patience,
                    redisReply **ret_reply, struct error *err) {
  struct redis_line *line = &talk->line;
  const struct tcp_connection *connection = &line->connection;
  for (;;) {
    redisReply *reply = NULL;
    int status = redis_line_flush(line, err);
    if (status == 0) status = redis_line_take(line, &reply, err);
    if (status < 0) return status;
    if (reply) {
      *ret_reply = reply;
      return 0;
    }
    if (!tcp_pending(connection))
      status = wait_for(talk, connection->send_wants | connection->receive_wants, patience, err);
    if (status == 0) status = redis_line_receive(line, err);
    if (status < 0) return status;
  }
}
