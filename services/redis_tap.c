/* A connection of the watcher: it is made again whenever it is lost, and says when nothing comes.
 * A server that is frozen still has a kernel that answers for it: its connection is kept, so that
 * its first word after the thaw is heard at once. A host that is gone is noticed by our kernel. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "services/redis_watch.h"

#define ANSWER_TIMEOUT_NS NS_PER_S /* connecting, or an answer: then the host counts as silent */
#define RECONNECT_NS (100 * NS_PER_MS)
#define PATIENCE_NS (10 * NS_PER_S)
#define USER_TIMEOUT_NS (3 * NS_PER_S)
#define WORDS_MAX 8
#define TEXT_MAX 128

static void await(struct redis_tap *tap) {
  loop_timer_arm(tap->loop, &tap->deadline, loop_now_ns(tap->loop) + ANSWER_TIMEOUT_NS, NULL);
}

static void forget(struct redis_tap *tap) {
  loop_timer_cancel(tap->loop, &tap->deadline);
  if (tap->watch.fd >= 0) loop_watch_set(tap->loop, &tap->watch, 0, NULL);
  tap->watch.fd = -1;
  redis_line_close(&tap->line);
  tap->connected = tap->secured = tap->ready = false;
  tap->awaited = 0;
  tap->subscription = NULL;
}

static void retry_at(struct redis_tap *tap, uint64_t at_ns) {
  loop_timer_arm(tap->loop, &tap->retry, at_ns, NULL);
}

void redis_tap_drop(struct redis_tap *tap, const char *why) {
  char text[200];
  snprintf(text, sizeof text, "%s", why); /* may be part of what is forgotten */
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

/* A Sentinel that gives a server another role has it close the connections of all its clients: who
 * takes a new one at once was never silent. */
static void ended(struct redis_tap *tap, const char *why) {
  if (!tap->ready || !tap->line.connection.ended) {
    redis_tap_drop(tap, why);
    return;
  }
  forget(tap);
  retry_at(tap, 0);
}

/* --- asking --- */

static void watch_for(struct redis_tap *tap, unsigned wants) {
  /* It can fail only for want of memory, once for each descriptor: the owner's deadline finds a
   * connection from which nothing comes. */
  loop_watch_set(tap->loop, &tap->watch, wants, NULL);
}

/* A broken connection is found by the next receive: the server may have said why. */
static void flush(struct redis_tap *tap) {
  const struct tcp_connection *connection = &tap->line.connection;
  redis_line_flush(&tap->line, NULL);
  watch_for(tap, connection->send_wants | connection->receive_wants);
}

/* For want of memory nothing is asked, and the owner asks again in its time. */
static void send_words(struct redis_tap *tap, const struct redis_question *question, uint32_t count,
                       const char *const words[]) {
  if (tap->awaited == REDIS_TAP_QUESTIONS || redis_line_put(&tap->line, words, count, NULL) < 0)
    return;
  tap->questions[tap->awaited++] = question;
  if (tap->awaited == 1) await(tap);
  flush(tap);
}

void redis_tap_ask(struct redis_tap *tap, const struct redis_question *question, const char *text) {
  char copy[TEXT_MAX];
  const char *words[WORDS_MAX];
  uint32_t count = 0;
  if (!tap->ready) return;
  snprintf(copy, sizeof copy, "%s", text);
  char *rest = copy;
  for (char *word; count < WORDS_MAX && (word = strsep(&rest, " "));) words[count++] = word;
  send_words(tap, question, count, words);
}

void redis_tap_subscribe(struct redis_tap *tap, const struct redis_question *question,
                         const char *pattern) {
  const char *const words[] = {"PSUBSCRIBE", pattern};
  if (!tap->ready) return;
  tap->subscription = question;
  send_words(tap, question, 2, words);
}

/* --- answers --- */

static void take_answer(struct redis_tap *tap, const redisReply *reply) {
  const struct redis_question *question = tap->subscription;
  if (tap->awaited > 0) {
    question = tap->questions[0];
    tap->awaited--;
    memmove(tap->questions, tap->questions + 1, tap->awaited * sizeof tap->questions[0]);
    if (tap->awaited > 0)
      await(tap);
    else
      loop_timer_cancel(tap->loop, &tap->deadline);
  }
  if (question)
    question->answered(tap, reply);
  else
    redis_tap_drop(tap, reply->type == REDIS_REPLY_ERROR ? reply->str : "an unasked answer");
}

/* False: the connection is gone. */
static bool take_answers(struct redis_tap *tap) {
  for (;;) {
    struct error err = ERROR_INIT;
    redisReply *reply = NULL;
    if (redis_line_take(&tap->line, &reply, &err) < 0) {
      redis_tap_drop(tap, err.message);
      return false;
    }
    if (!reply) return true;
    take_answer(tap, reply);
    freeReplyObject(reply);
    if (tap->watch.fd < 0) return false;
  }
}

static void receive(struct redis_tap *tap) {
  const struct tcp_connection *connection = &tap->line.connection;
  do {
    struct error err = ERROR_INIT;
    if (redis_line_receive(&tap->line, &err) < 0) {
      ended(tap, err.message);
      return;
    }
    if (!take_answers(tap)) return;
  } while (tcp_pending(connection));
  watch_for(tap, connection->send_wants | connection->receive_wants);
}

/* --- connecting --- */

static void authenticated(struct redis_tap *tap, const redisReply *reply) {
  if (reply->type == REDIS_REPLY_ERROR) {
    redis_tap_drop(tap, reply->str);
    return;
  }
  tap->ready = true;
  tap->opened(tap);
}

static void authenticate(struct redis_tap *tap) {
  static const struct redis_question question = {.answered = authenticated};
  const char *const words[] = {"AUTH", REDIS_OBSERVER_USER,
                               redis_state(tap->service)->secrets.observer};
  tap->secured = true;
  send_words(tap, &question, 3, words);
}

/* Begins the handshake, or goes on with it. */
static void secure(struct redis_tap *tap, const struct tls_trust *trust) {
  struct error err = ERROR_INIT;
  unsigned wants = 0;
  if (tcp_secure(&tap->line.connection, trust, tap->host->name, &wants, &err) < 0)
    redis_tap_drop(tap, err.message);
  else if (wants)
    watch_for(tap, wants);
  else
    authenticate(tap);
}

static void go_on_connecting(struct redis_tap *tap) {
  const struct tls_trust *trust = redis_state(tap->service)->trust;
  struct error err = ERROR_INIT;
  if (!tap->connected &&
      tcp_check(&tap->line.connection, tap->host->address, tap->port, &err) < 0) {
    redis_tap_drop(tap, err.message);
    return;
  }
  tap->connected = true;
  if (trust)
    secure(tap, trust);
  else
    authenticate(tap);
}

static void socket_ready(struct watch *watch, unsigned events) {
  struct redis_tap *tap = watch->owner;
  const struct tcp_connection *connection = &tap->line.connection;
  if (!tap->secured) {
    go_on_connecting(tap);
    return;
  }
  if (events & connection->send_wants) flush(tap);
  if (events & connection->receive_wants) receive(tap);
}

/* Without words for a while the kernel asks the peer whether it is still there; with words that
 * nobody acknowledges it gives up soon. */
static void set_socket(int fd) {
  static const struct {
    int name, value;
  } options[] = {{TCP_KEEPIDLE, 1}, {TCP_KEEPINTVL, 1}, {TCP_KEEPCNT, 3}};
  for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
    setsockopt(fd, IPPROTO_TCP, options[i].name, &options[i].value, sizeof options[i].value);
}

static void open_connection(struct redis_tap *tap) {
  struct tcp_connection *connection = &tap->line.connection;
  struct error err = ERROR_INIT;
  int status = tcp_dial(connection, tap->host->address, tap->port, USER_TIMEOUT_NS, &err);
  if (status == 0) {
    set_socket(connection->fd);
    status = loop_watch_renew(tap->loop, &tap->watch, connection->fd, LOOP_WRITE, &err);
  }
  if (status < 0) {
    redis_tap_drop(tap, err.message);
    return;
  }
  tap->patience_ns = loop_now_ns(tap->loop) + PATIENCE_NS;
  await(tap);
}

static void retry_fired(struct timer *timer, uint64_t now_ns) {
  (void)now_ns;
  open_connection(timer->owner);
}

int redis_tap_start(struct redis_tap *tap, struct error *err) {
  redis_line_init(&tap->line);
  tap->watch = (struct watch){.ready = socket_ready, .owner = tap, .fd = -1};
  tap->deadline = (struct timer){.fire = deadline_fired, .owner = tap};
  tap->retry = (struct timer){.fire = retry_fired, .owner = tap};
  int status = loop_reserve_timers(tap->loop, 2, err);
  if (status == 0) status = loop_timer_arm(tap->loop, &tap->retry, 0, err);
  return status;
}

void redis_tap_stop(struct redis_tap *tap) {
  if (!tap->watch.ready) return;
  forget(tap);
  loop_timer_cancel(tap->loop, &tap->retry);
}
