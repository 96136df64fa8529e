/* A connection of a Redis session: connecting, sending, receiving. */
#include "workload/redis_link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/redis_words.h"

#define RECEIVE_SIZE (16u * 1024u)
#define OUT_SIZE 1024u
/* Questions on one connection at a time, beside requests: those of the setup, and an ASKING before
 * each request. */
#define QUESTIONS 8u

/* --- flights --------------------------------------------------------------------------------- */

struct redis_flight *redis_link_at(struct redis_link *link, uint32_t position) {
  assert(position < link->capacity);
  uint32_t index = link->head + position;
  if (index >= link->capacity) index -= link->capacity;
  return &link->flights[index];
}

struct redis_flight *redis_link_add(struct redis_link *link) {
  if (link->count == link->capacity) return NULL;
  struct redis_flight *flight = redis_link_at(link, link->count++);
  *flight = (struct redis_flight){.answers = 1};
  return flight;
}

struct redis_flight *redis_link_current(struct redis_link *link) {
  return link->held < link->count ? redis_link_at(link, link->held) : NULL;
}

struct redis_flight redis_link_take(struct redis_link *link) {
  assert(link->count > 0);
  struct redis_flight oldest = *redis_link_at(link, 0);
  link->head = link->head + 1 == link->capacity ? 0 : link->head + 1;
  link->count--;
  if (link->held > 0) link->held--;
  return oldest;
}

struct redis_flight redis_link_take_current(struct redis_link *link) {
  assert(link->held < link->count);
  struct redis_flight taken = *redis_link_at(link, link->held);
  /* Rare with any that are held: they move up by one. */
  for (uint32_t i = link->held; i > 0; i--) *redis_link_at(link, i) = *redis_link_at(link, i - 1);
  link->head = link->head + 1 == link->capacity ? 0 : link->head + 1;
  link->count--;
  return taken;
}

/* --- sending --------------------------------------------------------------------------------- */

char *redis_link_reserve(struct redis_link *link, size_t size) {
  if (link->out_capacity - link->out_end >= size) return link->out + link->out_end;
  size_t length = link->out_end - link->out_start;
  if (link->out_start > 0) memmove(link->out, link->out + link->out_start, length);
  link->out_start = 0;
  link->out_end = length;
  if (link->out_capacity - length < size) {
    size_t capacity = link->out_capacity ? link->out_capacity : OUT_SIZE;
    while (capacity - length < size) capacity *= 2;
    char *out = realloc(link->out, capacity);
    if (!out) return NULL;
    link->out = out;
    link->out_capacity = capacity;
  }
  return link->out + link->out_end;
}

uint64_t redis_link_commit(struct redis_link *link, size_t size) {
  uint64_t position = link->sent + (link->out_end - link->out_start);
  link->out_end += size;
  assert(link->out_end <= link->out_capacity);
  if (link->number < BITS_MAX) bits_add(&link->cork->unsent, link->number);
  return position;
}

static void set_interest(struct redis_link *link, unsigned interest) {
  if (link->watch.active && link->watch.interest == interest) return;
  struct error err = ERROR_INIT;
  if (loop_watch_set(link->loop, &link->watch, interest, &err) < 0) {
    redis_link_lose(link, err.message);
  }
}

/* Also takes LOOP_WRITE away, of the connect or of a send. */
static void await_more(struct redis_link *link) {
  set_interest(link, link->connection.send_wants | link->connection.receive_wants);
}

static void send_on_wire(struct redis_link *link) {
  size_t length = link->out_end - link->out_start;
  if (length == 0) return;
  link->transport->send(link->wire, link->out + link->out_start, length);
  link->sent += length;
  link->out_start = link->out_end = 0;
}

void redis_link_flush(struct redis_link *link) {
  if (link->cork->in || link->phase < LINK_SETUP) return;
  if (link->wire) {
    send_on_wire(link);
    return;
  }
  while (link->out_start < link->out_end && !link->broken) {
    size_t sent = 0;
    int status = tcp_send(&link->connection, link->out + link->out_start,
                          link->out_end - link->out_start, &sent, NULL);
    link->sent += sent;
    link->out_start += sent;
    /* A broken connection is found by the next receive: the server may have said why. */
    link->broken = status < 0;
    if (sent == 0) break;
  }
  if (link->out_start == link->out_end) link->out_start = link->out_end = 0;
  await_more(link);
}

bool redis_link_ask(struct redis_link *link, redis_question *answered, const char *const words[],
                    uint32_t count) {
  size_t length = redis_words(words, count, NULL);
  struct redis_flight *flight = NULL;
  char *out = redis_link_reserve(link, length);
  if (out) flight = redis_link_add(link);
  if (!flight) return false;
  redis_words(words, count, out);
  flight->answered = answered;
  flight->end = redis_link_commit(link, length) + length;
  return true;
}

/* --- receiving ------------------------------------------------------------------------------- */

/* A number in decimal digits, whole; false: something else. */
static bool read_number(const char *text, size_t length, int64_t *ret_number) {
  bool negative = length > 0 && *text == '-';
  if (negative) {
    text++;
    length--;
  }
  if (length == 0 || length > 18) return false;
  int64_t number = 0;
  for (size_t i = 0; i < length; i++) {
    if (text[i] < '0' || text[i] > '9') return false;
    number = number * 10 + (text[i] - '0');
  }
  *ret_number = negative ? -number : number;
  return true;
}

/* Reads an answer of one line, or of one string, where it stands. Returns how many bytes it takes;
 * 0: it is none of these, or not all of it is there. */
static size_t read_plain(const char *bytes, size_t size, struct redis_answer *ret) {
  const char *end = memchr(bytes, '\r', size);
  if (!end || (size_t)(end - bytes) + 2 > size) return 0;
  size_t line = (size_t)(end - bytes) + 2;
  *ret = (struct redis_answer){.text = bytes + 1, .length = line - 3};
  int64_t length = 0;
  switch (bytes[0]) {
    case '+': ret->type = REDIS_REPLY_STATUS; return line;
    case '-': ret->type = REDIS_REPLY_ERROR; return line;
    case ':':
      ret->type = REDIS_REPLY_INTEGER;
      return read_number(ret->text, ret->length, &ret->integer) ? line : 0;
    case '$':
      if (!read_number(ret->text, ret->length, &length)) return 0;
      ret->type = length < 0 ? REDIS_REPLY_NIL : REDIS_REPLY_STRING;
      if (length < 0) return line;
      if ((size_t)length > size - line || size - line - (size_t)length < 2) return 0;
      ret->text = bytes + line;
      ret->length = (size_t)length;
      return line + (size_t)length + 2;
    default: return 0;
  }
}

static struct redis_answer answer_of(const redisReply *reply) {
  return (struct redis_answer){.type = reply->type,
                               .text = reply->str,
                               .length = (size_t)reply->len,
                               .integer = reply->integer,
                               .reply = reply};
}

/* Gives `size` bytes to hiredis' reader, and its answers to the owner. */
static void read_by_reader(struct redis_link *link, const char *bytes, size_t size) {
  uint64_t epoch = link->epoch;
  if (!link->reader) link->reader = redisReaderCreate();
  if (!link->reader || redisReaderFeed(link->reader, bytes, size) != REDIS_OK) {
    redis_link_lose(link, "out of memory for an answer");
    return;
  }
  for (;;) {
    void *object = NULL;
    if (redisReaderGetReply(link->reader, &object) != REDIS_OK) {
      char why[160];
      snprintf(why, sizeof why, "no answer of a Redis server: %s", link->reader->errstr);
      redis_link_lose(link, why);
      return;
    }
    if (!object) break;
    struct redis_answer answer = answer_of(object);
    link->events->answered(link, &answer);
    freeReplyObject(object);
    if (link->epoch != epoch) return;
  }
  link->reading = link->reader->pos != link->reader->len || link->reader->ridx != -1;
}

static void take_bytes(struct redis_link *link, const char *bytes, size_t size) {
  uint64_t epoch = link->epoch;
  for (size_t done = 0; done < size;) {
    const struct redis_flight *flight = redis_link_current(link);
    struct redis_answer answer;
    size_t used = 0;
    if (!link->reading && flight && flight->request) {
      used = read_plain(bytes + done, size - done, &answer);
    }
    if (used == 0) {
      read_by_reader(link, bytes + done, size - done);
      return;
    }
    done += used;
    link->events->answered(link, &answer);
    if (link->epoch != epoch) return;
  }
}

static void received(struct redis_link *link, const char *bytes, size_t size) {
  link->cork->received_ns = loop_now_ns(link->loop);
  link->cork->in = true;
  take_bytes(link, bytes, size);
  link->cork->in = false;
  link->events->settled(link);
}

static void receive(struct redis_link *link) {
  char bytes[RECEIVE_SIZE];
  uint64_t epoch = link->epoch;
  do {
    struct error err; /* written when it fails, and large */
    size_t size = 0;
    if (tcp_receive(&link->connection, bytes, sizeof bytes, &size, &err) < 0) {
      redis_link_lose(link, err.message);
      return;
    }
    if (size > 0) received(link, bytes, size);
  } while (link->epoch == epoch && tcp_pending(&link->connection));
  if (link->epoch == epoch) await_more(link);
}

/* --- connecting ------------------------------------------------------------------------------ */

static int dial_wire(struct redis_link *link, struct error *err);

/* Begins to connect to the next of the addresses. */
static int dial(struct redis_link *link, struct error *err) {
  if (link->transport) return dial_wire(link, err);
  const char *address = link->addresses[link->address_next++];
  int status =
      tcp_dial(&link->connection, address, link->endpoint->port, link->tcp_user_timeout_ns, err);
  if (status < 0) return status;
  link->phase = LINK_CONNECTING;
  status = loop_watch_renew(link->loop, &link->watch, link->connection.fd, LOOP_WRITE, err);
  if (status < 0) {
    tcp_close(&link->connection);
    link->watch.fd = -1;
  }
  return status;
}

static void close_socket(struct redis_link *link) {
  if (link->wire) link->transport->close(link->wire);
  link->wire = NULL;
  if (link->watch.fd < 0) return;
  /* Taking a descriptor away cannot fail in a way that matters: it is closed next. */
  loop_watch_set(link->loop, &link->watch, 0, NULL);
  tcp_close(&link->connection);
  link->watch.fd = -1;
}

/* Goes through the addresses that are left; what the last one said is what counts. */
static void dial_next(struct redis_link *link, const char *why) {
  char last[ERROR_MESSAGE_SIZE];
  snprintf(last, sizeof last, "%s", why);
  while (link->address_next < link->address_count) {
    struct error err = ERROR_INIT;
    if (dial(link, &err) == 0) return;
    snprintf(last, sizeof last, "%s", err.message);
  }
  redis_link_lose(link, last);
}

static void set_up(struct redis_link *link) {
  link->phase = LINK_SETUP;
  link->events->opened(link);
  redis_link_flush(link);
}

/* Begins the handshake, or goes on with it. */
static void secure(struct redis_link *link) {
  struct error err = ERROR_INIT;
  unsigned wants = 0;
  link->phase = LINK_SECURING;
  if (tcp_secure(&link->connection, link->trust, link->endpoint->name, &wants, &err) < 0) {
    redis_link_lose(link, err.message);
  } else if (wants) {
    set_interest(link, wants);
  } else {
    set_up(link);
  }
}

static void connected(struct redis_link *link) {
  const char *address = link->addresses[link->address_next - 1];
  struct error err = ERROR_INIT;
  if (tcp_check(&link->connection, address, link->endpoint->port, &err) < 0) {
    close_socket(link);
    dial_next(link, err.message);
    return;
  }
  link->connected_ns = loop_now_ns(link->loop);
  if (link->trust) {
    secure(link);
  } else {
    set_up(link);
  }
}

/* --- by a transport -------------------------------------------------------------------------- */

static void wire_connected(void *owner, const char *why) {
  struct redis_link *link = owner;
  if (!why) {
    link->connected_ns = loop_now_ns(link->loop);
    set_up(link);
    return;
  }
  link->wire = NULL;
  dial_next(link, why);
}

static void wire_received(void *owner, const char *bytes, size_t size) {
  received(owner, bytes, size);
}

static void wire_ended(void *owner, const char *why) {
  struct redis_link *link = owner;
  link->wire = NULL;
  redis_link_lose(link, why);
}

static int dial_wire(struct redis_link *link, struct error *err) {
  const struct redis_dial dial = {.from_host = link->from_host,
                                  .endpoint = link->endpoint,
                                  .tcp_user_timeout_ns = link->tcp_user_timeout_ns,
                                  .owner = link,
                                  .connected = wire_connected,
                                  .received = wire_received,
                                  .ended = wire_ended};
  link->address_next++;
  link->phase = LINK_CONNECTING;
  return link->transport->open(link->transport->data, &dial, &link->wire, err);
}

static void socket_ready(struct watch *watch, unsigned events) {
  struct redis_link *link = watch->owner;
  if (link->phase == LINK_CONNECTING) {
    connected(link);
    return;
  }
  if (link->phase == LINK_SECURING) {
    secure(link);
    return;
  }
  uint64_t epoch = link->epoch;
  if (events & link->connection.send_wants) redis_link_flush(link);
  if (link->epoch == epoch && events & link->connection.receive_wants) receive(link);
}

static void name_answered(struct resolver_request *request, const struct resolver_answer *answer) {
  struct redis_link *link = request->owner;
  assert(link->phase == LINK_RESOLVING);
  link->resolved_ns = loop_now_ns(link->loop);
  char why[192];
  snprintf(why, sizeof why, "this name does not resolve: %s", answer->why);
  link->address_count = answer->count;
  memcpy(link->addresses, answer->addresses, sizeof link->addresses);
  dial_next(link, why);
}

int redis_link_open(struct redis_link *link, const struct endpoint *endpoint, const char *address,
                    struct resolver *resolver, const struct client_options *options,
                    struct error *err) {
  assert(link->phase == LINK_CLOSED && link->count == 0);
  if (!link->flights) link->flights = calloc(link->capacity, sizeof *link->flights);
  if (!link->flights) return error_set(err, STATUS_MEMORY, "out of memory for a connection");
  uint64_t now_ns = loop_now_ns(link->loop);
  link->endpoint = endpoint;
  link->attempt_ns = link->resolved_ns = now_ns;
  link->connected_ns = link->opened_ns = 0;
  link->deadline_ns = now_ns + options->connect_timeout_ns;
  link->retry_ns = link->ping_ns = TIME_NEVER;
  link->tcp_user_timeout_ns = options->tcp_user_timeout_ns;
  link->timeline = 0;
  link->asked = link->broken = link->reading = false;
  link->sent = 0;
  link->out_start = link->out_end = 0;
  link->address_count = link->address_next = 0;
  if (!address && resolver && strcmp(endpoint->name, endpoint->address) != 0 &&
      !resolver_is_numeric(endpoint->name)) {
    link->phase = LINK_RESOLVING;
    int status = resolver_ask(resolver, &link->name, endpoint->name, err);
    if (status < 0) redis_link_close(link);
    return status;
  }
  snprintf(link->addresses[0], sizeof link->addresses[0], "%s",
           address ? address : endpoint->address);
  link->address_count = 1;
  int status = dial(link, err);
  if (status < 0) redis_link_close(link);
  return status;
}

void redis_link_set_open(struct redis_link *link) {
  assert(link->phase >= LINK_SETUP);
  link->phase = LINK_OPEN;
  link->opened_ns = loop_now_ns(link->loop);
  if (link->number < BITS_MAX) bits_add(&link->cork->open, link->number);
}

void redis_link_close(struct redis_link *link) {
  link->epoch++;
  if (link->number < BITS_MAX) bits_remove(&link->cork->open, link->number);
  resolver_cancel(&link->name);
  close_socket(link);
  if (link->reader) redisReaderFree(link->reader);
  link->reader = NULL;
  link->phase = LINK_CLOSED;
}

void redis_link_lose(struct redis_link *link, const char *why) {
  enum redis_link_phase phase = link->phase;
  redis_link_close(link);
  link->events->lost(link, phase, why);
}

void redis_link_expire(struct redis_link *link) {
  const char *why = "connected, but no answer until the connect timeout";
  if (link->phase == LINK_SECURING) {
    why = "connected, but the TLS handshake was not done until the connect timeout";
  }
  if (link->phase == LINK_CONNECTING) why = "no connection until the connect timeout";
  if (link->phase == LINK_RESOLVING) why = "this name was not resolved until the connect timeout";
  redis_link_lose(link, why);
}

void redis_link_init(struct redis_link *link, void *owner, const struct redis_link_events *events,
                     struct loop *loop, struct redis_cork *cork, uint32_t flights) {
  link->owner = owner;
  link->cork = cork;
  link->number = BITS_MAX;
  link->events = events;
  link->loop = loop;
  link->connection = TCP_NO_CONNECTION;
  link->watch = (struct watch){.ready = socket_ready, .owner = link, .fd = -1};
  link->name = (struct resolver_request){.answered = name_answered, .owner = link};
  link->retry_ns = link->ping_ns = TIME_NEVER;
  link->capacity = 2 * flights + QUESTIONS;
}

void redis_link_use(struct redis_link *link, const struct redis_access *redis, uint16_t from_host) {
  link->transport = redis ? redis->transport : NULL;
  link->trust = redis ? redis->trust : NULL;
  link->from_host = from_host;
}

void redis_link_release(struct redis_link *link) {
  if (!link->loop) return;
  redis_link_close(link);
  free(link->flights);
  free(link->out);
  link->flights = NULL;
  link->out = NULL;
}
