/* The event hooks of hiredis' asynchronous contexts, put on our loop. What hiredis wants is noted
 * while something is going on and told to the kernel once, at the end. */
#include "plugin/redis_loop.h"

#include <stdlib.h>

struct redis_loop {
  struct loop *loop;
  redisAsyncContext *context; /* NULL: hiredis has let go, only to be freed */
  struct watch watch;
  unsigned wanted;  /* what hiredis waits for: enum loop_interest */
  unsigned holding; /* > 0: `wanted` is not told to the loop yet */
};

/* The end of one hold; the last one writes what was collected and may free everything. */
static void let_go(struct redis_loop *self) {
  redisAsyncContext *context = self->context;
  if (self->holding == 1 && context && (self->wanted & LOOP_WRITE) &&
      (context->c.flags & REDIS_CONNECTED))
    redisAsyncHandleWrite(context);
  if (--self->holding > 0) return;
  if (!self->context) {
    free(self);
    return;
  }
  /* It can fail only for want of memory, once for each descriptor: the owner's deadline finds a
   * connection from which nothing comes. */
  loop_watch_set(self->loop, &self->watch, self->wanted, NULL);
}

static void want(struct redis_loop *self, unsigned wanted) {
  self->wanted = wanted;
  if (self->holding == 0) loop_watch_set(self->loop, &self->watch, wanted, NULL);
}

static void add_read(void *data) {
  struct redis_loop *self = data;
  want(self, self->wanted | LOOP_READ);
}

static void del_read(void *data) {
  struct redis_loop *self = data;
  want(self, self->wanted & ~(unsigned)LOOP_READ);
}

static void add_write(void *data) {
  struct redis_loop *self = data;
  want(self, self->wanted | LOOP_WRITE);
}

static void del_write(void *data) {
  struct redis_loop *self = data;
  want(self, self->wanted & ~(unsigned)LOOP_WRITE);
}

/* hiredis 0.14 may call it more than once. */
static void clean_up(void *data) {
  struct redis_loop *self = data;
  redisAsyncContext *context = self->context;
  context->ev.addRead = context->ev.delRead = NULL;
  context->ev.addWrite = context->ev.delWrite = NULL;
  context->ev.cleanup = NULL;
  context->ev.data = NULL;
  loop_watch_set(self->loop, &self->watch, 0, NULL);
  self->context = NULL;
  if (self->holding == 0) free(self);
}

static void socket_ready(struct watch *watch, unsigned events) {
  struct redis_loop *self = watch->owner;
  self->holding++;
  if (events & LOOP_READ && self->wanted & LOOP_READ) redisAsyncHandleRead(self->context);
  /* While it connects, hiredis waits for writing only, and asks the socket how it went. */
  if (self->context && events & LOOP_WRITE && self->wanted & LOOP_WRITE)
    redisAsyncHandleWrite(self->context);
  let_go(self);
}

int redis_loop_attach(redisAsyncContext *context, struct loop *loop, struct error *err) {
  struct redis_loop *self = calloc(1, sizeof *self);
  if (!self) return error_set(err, STATUS_MEMORY, "out of memory for a connection");
  *self = (struct redis_loop){
      .loop = loop,
      .context = context,
      .watch = {.ready = socket_ready, .owner = self, .fd = (int)context->c.fd},
      .wanted = LOOP_WRITE,
  };
  int status = loop_watch_set(loop, &self->watch, LOOP_WRITE, err);
  if (status < 0) {
    free(self);
    return status;
  }
  context->ev.data = self;
  context->ev.addRead = add_read;
  context->ev.delRead = del_read;
  context->ev.addWrite = add_write;
  context->ev.delWrite = del_write;
  context->ev.cleanup = clean_up;
  return 0;
}

struct redis_loop *redis_loop_begin(redisAsyncContext *context) {
  struct redis_loop *self = context->ev.data;
  if (self) self->holding++;
  return self;
}

void redis_loop_end(struct redis_loop *hold) {
  if (hold) let_go(hold);
}
