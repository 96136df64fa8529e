/* A connection to a Redis server or Sentinel for commands that need not be fast: those of who
 * watches and prepares. Commands go out and answers come in, by hiredis' reader, in any version of
 * it; its contexts are not used, because before 1.0 they have no TLS. Nothing in here blocks; the
 * connection's owner makes it and waits, see tcp.h. */
#ifndef GAMEDAY_PLUGIN_REDIS_LINE_H
#define GAMEDAY_PLUGIN_REDIS_LINE_H

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "plugin/tcp.h"

struct redis_line {
  struct tcp_connection connection;
  redisReader *reader; /* NULL: none yet */
  struct buf out;      /* what is not sent yet, from `out_start` on */
  size_t out_start;
};

void redis_line_init(struct redis_line *line);
void redis_line_close(struct redis_line *line); /* as after init; again is fine */

/* Adds a command to what is to be sent. STATUS_MEMORY. */
int redis_line_put(struct redis_line *line, const char *const words[], uint32_t count,
                   struct error *err);
/* Sends what can be sent now; connection.send_wants says whether something is left. STATUS_SERVER.
 */
int redis_line_flush(struct redis_line *line, struct error *err);
/* Receives once. Then all answers are to be taken, and it is done again while
 * tcp_pending(). STATUS_SERVER, STATUS_MEMORY. */
int redis_line_receive(struct redis_line *line, struct error *err);
/* The next answer, the caller's (freeReplyObject); NULL: not all of it is here. STATUS_SERVER: what
 * came is no answer of a Redis server. */
int redis_line_take(struct redis_line *line, redisReply **ret_reply, struct error *err);

#endif
