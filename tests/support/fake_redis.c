/* The scripted Redis server. */
#include "support/fake_redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/test.h"

static void close_connection(struct fake_redis_connection *connection) {
  if (connection->watch.fd < 0) return;
  loop_watch_set(connection->fake->loop, &connection->watch, 0, NULL);
  SSL_free(connection->ssl); /* no farewell: as one that was killed */
  connection->ssl = NULL;
  close(connection->watch.fd);
  redisReaderFree(connection->reader);
  connection->watch.fd = -1;
  connection->subscribed = false;
}

static void say_bytes(struct fake_redis_connection *connection, const char *bytes, size_t length) {
  ssize_t said = connection->ssl ? SSL_write(connection->ssl, bytes, (int)length)
                                 : send(connection->watch.fd, bytes, length, MSG_NOSIGNAL);
  assert_int_equal(said, (ssize_t)length);
}

static void say(struct fake_redis_connection *connection, const char *text) {
  say_bytes(connection, text, strlen(text));
}

static void say_bulk(struct fake_redis_connection *connection, const char *text) {
  char whole[512];
  snprintf(whole, sizeof whole, "$%zu\r\n%s\r\n", strlen(text), text);
  say(connection, whole);
}

static bool begins(const char *text, const char *prefix) {
  return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void say_primary(struct fake_redis_connection *connection) {
  const struct endpoint *primary = connection->fake->primary;
  if (!primary) {
    say(connection, "*-1\r\n");
    return;
  }
  char text[128], port[8];
  snprintf(port, sizeof port, "%u", (unsigned)primary->port);
  snprintf(text, sizeof text, "*2\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n", strlen(primary->address),
           primary->address, strlen(port), port);
  say(connection, text);
}

static void answer_as_usual(struct fake_redis_connection *connection, const char *command) {
  const struct fake_redis *fake = connection->fake;
  char text[256];
  if (begins(command, "INFO")) {
    snprintf(text, sizeof text, "# Replication\r\nrole:%s\r\nmaster_replid:%s\r\n", fake->role,
             fake->history);
    say_bulk(connection, text);
  } else if (begins(command, "SENTINEL")) {
    say_primary(connection);
  } else if (begins(command, "SUBSCRIBE")) {
    connection->subscribed = true;
    say(connection, "*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n");
  } else if (begins(command, "CLUSTER SLOTS")) {
    say(connection, fake->slots ? fake->slots : "*0\r\n");
  } else if (begins(command, "GET")) {
    say(connection, "$-1\r\n");
  } else if (begins(command, "PING") && connection->subscribed) {
    say(connection, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
  } else if (begins(command, "WAIT")) {
    say(connection, ":1\r\n");
  } else {
    say(connection, "+OK\r\n");
  }
}

static void answer(struct fake_redis_connection *connection, const char *command) {
  struct fake_redis *fake = connection->fake;
  for (uint32_t i = fake->rule_count; i > 0; i--) {
    struct fake_redis_rule *rule = &fake->rules[i - 1];
    if (!rule->prefix || !begins(command, rule->prefix)) continue;
    enum fake_redis_action action = rule->action;
    if (rule->times > 0 && --rule->times == 0) rule->prefix = NULL;
    if (action == FAKE_REDIS_CLOSE) close_connection(connection);
    if (action == FAKE_REDIS_REPLY) say(connection, rule->reply);
    return;
  }
  answer_as_usual(connection, command);
}

static void take_command(struct fake_redis_connection *connection, const redisReply *words) {
  struct fake_redis *fake = connection->fake;
  assert_int_equal(words->type, REDIS_REPLY_ARRAY);
  size_t begin = fake->log.length;
  for (size_t i = 0; i < (size_t)words->elements; i++) {
    if (i > 0) buf_putc(&fake->log, ' ');
    buf_puts(&fake->log, words->element[i]->str);
  }
  char *command = strdup(fake->log.data + begin);
  assert_non_null(command);
  buf_putc(&fake->log, '\n');
  fake->commands++;
  answer(connection, command);
  free(command);
}

/* The handshake is a part of it. 0: nothing yet; -1: the other end has closed, or is refused. */
static ssize_t receive_tls(struct fake_redis_connection *connection, char *bytes, int size) {
  ERR_clear_error();
  int received = SSL_read(connection->ssl, bytes, size);
  if (received > 0) return received;
  return SSL_get_error(connection->ssl, received) == SSL_ERROR_WANT_READ ? 0 : -1;
}

static ssize_t receive_plain(const struct fake_redis_connection *connection, char *bytes,
                             size_t size) {
  ssize_t received = recv(connection->watch.fd, bytes, size, MSG_DONTWAIT);
  if (received < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  return received > 0 ? received : -1;
}

/* False: there is nothing more now. */
static bool take_commands(struct fake_redis_connection *connection) {
  char bytes[4096];
  ssize_t size = connection->ssl ? receive_tls(connection, bytes, sizeof bytes)
                                 : receive_plain(connection, bytes, sizeof bytes);
  if (size < 0) close_connection(connection);
  if (size <= 0) return false;
  assert_int_equal(redisReaderFeed(connection->reader, bytes, (size_t)size), REDIS_OK);
  while (connection->watch.fd >= 0) {
    void *words = NULL;
    assert_int_equal(redisReaderGetReply(connection->reader, &words), REDIS_OK);
    if (!words) break;
    take_command(connection, words);
    freeReplyObject(words);
  }
  return connection->ssl && SSL_pending(connection->ssl) > 0;
}

static void connection_ready(struct watch *watch, unsigned events) {
  (void)events;
  while (take_commands(watch->owner)) continue;
}

static SSL *accept_tls(SSL_CTX *tls, int fd) {
  SSL *ssl = SSL_new(tls);
  assert_non_null(ssl);
  assert_int_equal(SSL_set_fd(ssl, fd), 1);
  SSL_set_accept_state(ssl);
  return ssl;
}

static void accept_ready(struct watch *watch, unsigned events) {
  (void)events;
  struct fake_redis *fake = watch->owner;
  int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | (fake->tls ? SOCK_NONBLOCK : 0));
  if (fd < 0) return;
  fake->accepted++;
  for (uint32_t i = 0; i < FAKE_REDIS_CONNECTIONS; i++) {
    struct fake_redis_connection *connection = &fake->connections[i];
    if (connection->watch.fd >= 0) continue;
    *connection = (struct fake_redis_connection){
        .fake = fake,
        .watch = {.ready = connection_ready, .owner = connection, .fd = fd},
        .ssl = fake->tls ? accept_tls(fake->tls, fd) : NULL,
        .reader = redisReaderCreate()};
    assert_non_null(connection->reader);
    assert_int_equal(loop_watch_set(fake->loop, &connection->watch, LOOP_READ, NULL), 0);
    return;
  }
  fail_msg("more connections than a fake server has");
}

void fake_redis_init(struct fake_redis *fake, struct loop *loop, const char *name, uint16_t host) {
  *fake = (struct fake_redis){.loop = loop,
                              .role = "master",
                              .history = FAKE_REDIS_ID_A,
                              .endpoint = {.name = name, .address = "127.0.0.1", .host = host}};
  buf_init(&fake->log);
  for (uint32_t i = 0; i < FAKE_REDIS_CONNECTIONS; i++) fake->connections[i].watch.fd = -1;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
  assert_int_equal(listen(fd, 16), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
  fake->endpoint.port = ntohs(address.sin_port);
  fake->listening = (struct watch){.ready = accept_ready, .owner = fake, .fd = fd};
  assert_int_equal(loop_watch_set(loop, &fake->listening, LOOP_READ, NULL), 0);
}

void fake_redis_drop(struct fake_redis *fake) {
  for (uint32_t i = 0; i < FAKE_REDIS_CONNECTIONS; i++) close_connection(&fake->connections[i]);
}

void fake_redis_stop_listening(struct fake_redis *fake) {
  if (fake->listening.fd < 0) return;
  loop_watch_set(fake->loop, &fake->listening, 0, NULL);
  close(fake->listening.fd);
  fake->listening.fd = -1;
}

void fake_redis_kill(struct fake_redis *fake) {
  fake_redis_stop_listening(fake);
  fake_redis_drop(fake);
}

void fake_redis_release(struct fake_redis *fake) {
  fake_redis_kill(fake);
  buf_release(&fake->log);
}

static struct fake_redis_rule *new_rule(struct fake_redis *fake) {
  assert_true(fake->rule_count < FAKE_REDIS_RULES);
  return &fake->rules[fake->rule_count++];
}

void fake_redis_reply_to(struct fake_redis *fake, const char *prefix, const char *reply) {
  struct fake_redis_rule *rule = new_rule(fake);
  *rule = (struct fake_redis_rule){.prefix = prefix, .action = FAKE_REDIS_REPLY};
  snprintf(rule->reply, sizeof rule->reply, "%s", reply);
}

void fake_redis_rule(struct fake_redis *fake, const char *prefix, enum fake_redis_action action,
                     uint32_t times) {
  *new_rule(fake) = (struct fake_redis_rule){.prefix = prefix, .action = action, .times = times};
}

void fake_redis_say(struct fake_redis *fake, const char *bytes, size_t length) {
  for (uint32_t i = 0; i < FAKE_REDIS_CONNECTIONS; i++) {
    if (fake->connections[i].watch.fd >= 0) say_bytes(&fake->connections[i], bytes, length);
  }
}

void fake_redis_publish(struct fake_redis *fake, const char *channel, const char *text) {
  char whole[512];
  snprintf(whole, sizeof whole, "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n",
           strlen(channel), channel, strlen(text), text);
  for (uint32_t i = 0; i < FAKE_REDIS_CONNECTIONS; i++) {
    if (fake->connections[i].subscribed) say(&fake->connections[i], whole);
  }
}

uint32_t fake_redis_seen(const struct fake_redis *fake, const char *prefix) {
  uint32_t count = 0;
  for (const char *line = fake->log.data; line && *line;) {
    if (begins(line, prefix)) count++;
    line = strchr(line, '\n');
    if (line) line++;
  }
  return count;
}

char *fake_redis_slots(const struct fake_redis *const nodes[], uint32_t count) {
  struct buf text;
  buf_init(&text);
  buf_printf(&text, "*%u\r\n", count);
  for (uint32_t i = 0; i < count; i++) {
    const struct endpoint *endpoint = &nodes[i]->endpoint;
    buf_printf(&text,
               "*3\r\n:%u\r\n:%u\r\n*3\r\n$%zu\r\n%s\r\n:%u\r\n$40\r\n" FAKE_REDIS_ID_A "\r\n",
               i * 16384u / count, (i + 1) * 16384u / count - 1, strlen(endpoint->address),
               endpoint->address, (unsigned)endpoint->port);
  }
  assert_int_equal(buf_ok(&text, NULL), 0);
  return buf_steal(&text);
}
