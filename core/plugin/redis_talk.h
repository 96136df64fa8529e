/* A connection to a Redis server or Sentinel of a thread that may block. */
#ifndef GAMEDAY_PLUGIN_REDIS_TALK_H
#define GAMEDAY_PLUGIN_REDIS_TALK_H

#include <hiredis/hiredis.h>

#include "plugin/patience.h"
#include "plugin/tls.h"

struct redis_talk;

/* Connects to the endpoint's address; `trust` not NULL: with TLS, to who has a certificate for its
 * name. STATUS_SERVER, STATUS_SYSTEM, STATUS_MEMORY; those of patience_wait_socket(). */
int redis_talk_open(const struct endpoint *endpoint, const struct tls_trust *trust,
                    const struct patience *patience, struct redis_talk **ret_talk,
                    struct error *err);
void redis_talk_close(struct redis_talk *talk); /* NULL is fine */
/* Adds a command; take() sends what was added. STATUS_MEMORY. */
int redis_talk_put(struct redis_talk *talk, const char *const words[], uint32_t count,
                   struct error *err);
/* Waits for the next answer, which may be an error; the caller's (freeReplyObject). After a failure
 * the connection is of no more use. */
int redis_talk_take(struct redis_talk *talk, const struct patience *patience,
                    redisReply **ret_reply, struct error *err);

#endif
