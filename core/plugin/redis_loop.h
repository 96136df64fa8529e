/* hiredis' asynchronous connections on the loop: shared by what watches Redis and by what loads it.
 * Works with hiredis 0.14 and 1.x; their timeouts are not used, owners have deadlines of their own.
 * Everything here runs on the loop's thread. */
#ifndef GAMEDAY_PLUGIN_REDIS_LOOP_H
#define GAMEDAY_PLUGIN_REDIS_LOOP_H

#include <hiredis/async.h>

#include "base/error.h"
#include "base/loop.h"

struct redis_loop;

/* Lets `loop` wait for `context`, which was just made and has no callbacks yet
 * (redisAsyncSetConnectCallback comes after it). hiredis lets go of the loop when it frees the
 * context, before it closes the socket. Replies are handled first, then what their callbacks sent
 * is written at once, without waiting for the socket to be announced writable. */
int redis_loop_attach(redisAsyncContext *context, struct loop *loop, struct error *err);

/* Between the two, commands are only collected; the end writes them all at once. For commands that
 * are not sent from a reply's callback: saves a turn of the loop and two system calls for each. The
 * context may be gone when the end returns (the write found the connection broken), or even before
 * it. They nest. */
struct redis_loop *redis_loop_begin(redisAsyncContext *context);
void redis_loop_end(struct redis_loop *hold);

#endif
