/* A connection of the watcher: it is made again whenever it is lost, and says when nothing comes.
 * A server that is frozen still has a kernel that answers for it: its connection is kept, so that
 * its first word after the thaw is heard at once. A host that is gone is noticed by our kernel. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "plugin/redis_loop.h"
#include "services/redis_watch.h"

#define ANSWER_TIMEOUT_NS NS_PER_S /* connecting, or an answer: then the host counts as silent */
#define RECONNECT_NS (100 * NS_PER_MS)
#define PATIENCE_NS (10 * NS_PER_S)
#define USER_TIMEOUT_MS 3000
#define WORDS_MAX 8
#define TEXT_MAX 128

static void await(struct redis_tap *tap) {
  loop_timer_arm(tap->loop, &tap->deadline, loop_now_ns(tap->loop) + ANSWER_TIMEOUT_NS, NULL);
}

/* hiredis lets go of a context at once, or after the callback that it is in; we hear no more of
 * it. */
static void forget(struct redis_tap *tap) {
  redisAsyncContext *context = tap->context;
  loop_timer_cancel(tap->loop, &tap->deadline);
  tap->context = NULL;
  tap->connected = tap->ready = false;
  tap->awaited = 0;
  if (!context) return;
  context->data = NULL;
  redisAsyncFree(context);
}

static void retry_at(struct redis_tap *tap, uint64_t at_ns) {
  loop_timer_arm(tap->loop, &tap->retry, at_ns, NULL);
}

void redis_tap_drop(struct redis_tap *tap, const char *why) {
  char text[200];
  snprintf(text, sizeof text, "%s", why); /* may be part of the context */
  forget(tap);
  retry_at(tap, loop_now_ns(tap->loop) + RECONNECT_NS);
  tap->silent(tap, text);
}

static void deadline_fired(struct timer *timer, uint64_t now_ns) {
  struct redis_tap *tap = timer->owner;
  if (tap->ready) {
    tap->silent(tap, "no answer within 1 s");
  } else if (!tap->connected || now_ns > tap->patience_ns) {
    redis_tap_drop(tap, "no connection within 1 s");
  } else {
    tap->silent(tap, "no connection within 1 s");
    await(tap);
  }
}

/* hiredis says so of a context that it is about to free by itself. A Sentinel that gives a server
 * another role has it close the connections of all its clients: who takes a new one at once was
 * never silent. */
static void ended(struct redis_tap *tap, const redisAsyncContext *context) {
  char text[160];
  bool was_ready = tap->ready && context->err == REDIS_ERR_EOF;
  snprintf(text, sizeof text, "%s",
           context->err && context->errstr ? context->errstr : "the connection was closed");
  tap->context = NULL;
  if (!was_ready) {
    redis_tap_drop(tap, text);
    return;
  }
  forget(tap);
  retry_at(tap, 0);
}

static void connected(const redisAsyncContext *context, int status) {
  struct redis_tap *tap = context->data;
  if (!tap) return;
  if (status == REDIS_OK)
    tap->connected = true;
  else
    ended(tap, context);
}

static void disconnected(const redisAsyncContext *context, int status) {
  (void)status;
  struct redis_tap *tap = context->data;
  if (tap) ended(tap, context);
}

static void answered(redisAsyncContext *context, void *data, void *privdata) {
  struct redis_tap *tap = context->data;
  const redisReply *reply = data;
  const struct redis_question *question = privdata;
  if (!tap || !reply) return; /* the end of the connection is told by other ways */
  if (tap->awaited > 0) tap->awaited--;
  if (tap->awaited > 0)
    await(tap);
  else
    loop_timer_cancel(tap->loop, &tap->deadline);
  question->answered(tap, reply);
}

static void send_words(struct redis_tap *tap, const struct redis_question *question, int count,
                       const char **words) {
  struct redis_loop *hold = redis_loop_begin(tap->context);
  /* hiredis hands the pointer back as it is. */
  void *privdata = (void *)(uintptr_t)question;
  if (redisAsyncCommandArgv(tap->context, answered, privdata, count, words, NULL) == REDIS_OK &&
      tap->awaited++ == 0)
    await(tap);
  redis_loop_end(hold);
}

void redis_tap_ask(struct redis_tap *tap, const struct redis_question *question, const char *text) {
  char copy[TEXT_MAX];
  const char *words[WORDS_MAX];
  int count = 0;
  if (!tap->ready) return;
  snprintf(copy, sizeof copy, "%s", text);
  char *rest = copy;
  for (char *word; count < WORDS_MAX && (word = strsep(&rest, " "));) words[count++] = word;
  send_words(tap, question, count, words);
}

void redis_tap_subscribe(struct redis_tap *tap, const struct redis_question *question,
                         const char *pattern) {
  const char *words[] = {"PSUBSCRIBE", pattern};
  if (tap->ready) send_words(tap, question, 2, words);
}

static void authenticated(struct redis_tap *tap, const redisReply *reply) {
  if (reply->type == REDIS_REPLY_ERROR) {
    redis_tap_drop(tap, reply->str);
    return;
  }
  tap->ready = true;
  tap->opened(tap);
}

/* Without words for a while the kernel asks the peer whether it is still there; with words that
 * nobody acknowledges it gives up soon. */
static void set_socket(int fd) {
  static const struct {
    int level, name, value;
  } options[] = {
      {SOL_SOCKET, SO_KEEPALIVE, 1},
      {IPPROTO_TCP, TCP_KEEPIDLE, 1},
      {IPPROTO_TCP, TCP_KEEPINTVL, 1},
      {IPPROTO_TCP, TCP_KEEPCNT, 3},
      {IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS},
      {IPPROTO_TCP, TCP_NODELAY, 1},
  };
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
    setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

static void open_connection(struct redis_tap *tap) {
  static const struct redis_question question = {.answered = authenticated};
  const char *words[] = {"AUTH", REDIS_OBSERVER_USER, redis_state(tap->service)->secrets.observer};
  tap->context = redisAsyncConnect(tap->host->address, tap->port);
  if (!tap->context || tap->context->err) {
    redis_tap_drop(tap, tap->context ? tap->context->errstr : "out of memory");
    return;
  }
  if (redis_loop_attach(tap->context, tap->loop, NULL) < 0) {
    redis_tap_drop(tap, "out of memory");
    return;
  }
  set_socket((int)tap->context->c.fd);
  tap->context->data = tap;
  tap->patience_ns = loop_now_ns(tap->loop) + PATIENCE_NS;
  redisAsyncSetConnectCallback(tap->context, connected);
  redisAsyncSetDisconnectCallback(tap->context, disconnected);
  send_words(tap, &question, 3, words);
}

static void retry_fired(struct timer *timer, uint64_t now_ns) {
  (void)now_ns;
  open_connection(timer->owner);
}

int redis_tap_start(struct redis_tap *tap, struct error *err) {
  tap->deadline = (struct timer){.fire = deadline_fired, .owner = tap};
  tap->retry = (struct timer){.fire = retry_fired, .owner = tap};
  int status = loop_reserve_timers(tap->loop, 2, err);
  if (status == 0) status = loop_timer_arm(tap->loop, &tap->retry, 0, err);
  return status;
}

void redis_tap_stop(struct redis_tap *tap) {
  if (!tap->loop) return;
  forget(tap);
  loop_timer_cancel(tap->loop, &tap->retry);
}
