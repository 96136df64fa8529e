/* Clients of simulated Redis servers: commands in the protocol (RESP2), and the answers to them.
 *
 * Sources: server.c (processCommand(): the order in which a command is refused: cluster, too few
 * replicas, read-only, loading), replication.c (waitCommand(), processClientsWaitingReplicas():
 * a client in WAIT is served nothing else; replicas are asked for an acknowledgement at once),
 * networking.c (CLIENT KILL TYPE normal, which Sentinel sends with a change of role). */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sim/redis_memory.h"

/* A client at a server; one a wire, in the wire's `peer`. */
struct client {
  struct sim_redis *server;
  struct client *next, **place; /* of the server's, the youngest connection first */
  struct client *next_free;
  struct sim_wire *wire;
  uint64_t written;                      /* entries with its last write */
  const struct sim_redis_entry *pending; /* a write that WAIT will acknowledge */
  bool readonly, asking;
  bool waiting;         /* in WAIT */
  uint64_t wait_number; /* of the WAIT */
  uint32_t wait_for;
};

static void run(struct client *client);

/* --- reading --------------------------------------------------------------------------------- */

/* The number that begins there; the C library's way takes a tenth of a run. */
static uint64_t digits_at(const char *at, const char *end) {
  uint64_t number = 0;
  for (; at < end && *at >= '0' && *at <= '9'; at++) number = number * 10 + (uint64_t)(*at - '0');
  return number;
}

/* "$3\r\nSET\r\n" or "*3\r\n": the number; false: not all of it is there. */
static bool read_number(const char **at, const char *end, char mark, size_t *ret_number) {
  const char *line = memchr(*at, '\r', (size_t)(end - *at));
  if (!line || line + 2 > end || **at != mark) return false;
  *ret_number = digits_at(*at + 1, line);
  *at = line + 2;
  return true;
}

uint32_t command_next(struct sim_wire *wire, struct command_word words[COMMAND_WORDS_MAX]) {
  const char *begin = wire->in.data + wire->in.start, *at = begin, *end = begin + wire->in.ready;
  size_t count = 0, length = 0;
  if (wire->in.ready == 0 || !read_number(&at, end, '*', &count) || count > COMMAND_WORDS_MAX)
    return 0;
  for (size_t i = 0; i < count; i++) {
    if (!read_number(&at, end, '$', &length) || (size_t)(end - at) < length + 2) return 0;
    words[i] = (struct command_word){.text = at, .length = length};
    at += length + 2;
  }
  wire->in.start += (size_t)(at - begin);
  wire->in.ready -= (size_t)(at - begin);
  return (uint32_t)count;
}

bool command_is(const struct command_word *word, const char *text) {
  return strlen(text) == word->length && strncasecmp(word->text, text, word->length) == 0;
}

static uint64_t number_of(const struct command_word *word) {
  return digits_at(word->text, word->text + word->length);
}

/* --- answering ------------------------------------------------------------------------------- */

void command_put(struct sim_wire *wire, const char *format, ...) {
  char text[2048];
  va_list args;
  va_start(args, format);
  int length = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  sim_wire_put(wire, &wire->out, text,
               (size_t)length < sizeof text ? (size_t)length : sizeof text - 1);
}

void command_put_text(struct sim_wire *wire, const char *text) {
  sim_wire_put(wire, &wire->out, text, strlen(text));
}

void command_put_number(struct sim_wire *wire, char mark, uint64_t number) {
  char text[24], *at = text + sizeof text;
  *--at = '\n';
  *--at = '\r';
  do *--at = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  *--at = mark;
  sim_wire_put(wire, &wire->out, at, (size_t)(text + sizeof text - at));
}

/* `pointer2`: what it says, `number2`: bytes, `number3`: the life of the host's kernel. */
static void answer_arrived(struct sim_process *self, const struct sim_args *args);

static void leaves(struct sim_process *self, const struct sim_args *args) {
  struct sim_wire *wire = sim_wire_at_program(args);
  struct sim_args all = *args;
  (void)self;
  if (!wire) return;
  all.number3 = wire->to->kernel.life;
  sim_wire_answer(wire, answer_arrived, &all, (uint32_t)args->number2);
}

void command_send(struct sim_wire *wire, size_t size, uint64_t delay_ns,
                  const struct sim_redis_told *told) {
  const struct sim_args args = {.pointer = wire,
                                .pointer2 = (void *)(uintptr_t)told,
                                .number = wire->number,
                                .number2 = size};
  uint64_t now_ns = sim_now_ns(wire->wires->world);
  /* Answers leave in the order of the commands. */
  if (now_ns + delay_ns < wire->answer_ns) delay_ns = wire->answer_ns - now_ns;
  wire->answer_ns = now_ns + delay_ns;
  sim_after(&wire->to->process, delay_ns, leaves, &args);
}

static void answer_arrived(struct sim_process *self, const struct sim_args *args) {
  struct sim_wire *wire = sim_wire_at_opener(args);
  (void)self;
  /* Power off takes the link down first: what is under way does not get out. */
  if (!wire || wire->to->kernel.life != args->number3) return;
  const struct sim_redis_told *told = args->pointer2;
  if (told && wire->told) wire->told(wire, told);
  const char *bytes = wire->out.data + wire->out.start;
  wire->out.start += args->number2;
  wire->received(wire, bytes, args->number2);
}

/* For who wants to know what has reached a client; NULL: nobody does. */
static const struct sim_redis_told *tell(struct client *client, const struct sim_redis_told *what) {
  struct sim_redis_cluster *cluster = client->server->cluster;
  if (!cluster->truth.received) return NULL;
  struct sim_redis_told *told = arena_alloc(&cluster->arena, sizeof *told);
  if (!told) {
    cluster->world->out_of_memory = true;
    return NULL;
  }
  *told = *what;
  return told;
}

static const struct sim_redis_told *tell_written(struct client *client,
                                                 const struct sim_redis_entry *entry) {
  const struct sim_redis_told told = {
      .answer = SIM_REDIS_WRITTEN, .entry = entry, .key = entry->key};
  return tell(client, &told);
}

/* Of a read or a refused write: its key, with what is known of why it is not there. */
static const struct sim_redis_told *tell_key(struct client *client, const struct command_word *key,
                                             enum sim_redis_answer answer) {
  struct sim_redis_cluster *cluster = client->server->cluster;
  if (!cluster->truth.received) return NULL;
  const struct sim_redis_entry *entry = data_newest(client->server, key->text, key->length);
  const struct sim_redis_told told = {.answer = (int)answer,
                                      .key = arena_strndup(&cluster->arena, key->text, key->length),
                                      .until_ns = entry ? entry->until_ns : 0};
  if (told.key) return tell(client, &told);
  cluster->world->out_of_memory = true;
  return NULL;
}

/* Whatever was put since `before`. */
static void answer(struct client *client, size_t before, uint64_t delay_ns,
                   const struct sim_redis_told *told) {
  const struct sim_wire_bytes *out = &client->wire->out;
  command_send(client->wire, out->end - out->start - before,
               delay_ns + client->server->cluster->costs.execute_ns, told);
}

static size_t answered_size(const struct client *client) {
  return client->wire->out.end - client->wire->out.start;
}

static void say(struct client *client, const char *text) {
  size_t before = answered_size(client);
  command_put_text(client->wire, text);
  command_put_text(client->wire, "\r\n");
  answer(client, before, 0, NULL);
}

/* --- what a server says of itself ------------------------------------------------------------ */

static void say_info(struct client *client) {
  const struct sim_redis *server = client->server;
  char text[512], id[REDIS_ID_SIZE];
  size_t before = answered_size(client);
  redis_id_text(server->history, id);
  bool primary = redis_is_primary(server);
  int length =
      snprintf(text, sizeof text,
               "# Replication\r\nrole:%s\r\nmaster_replid:%s\r\nmaster_repl_offset:%llu\r\n",
               primary ? "master" : "slave", id,
               (unsigned long long)data_offset(&server->data, server->data.count));
  command_put(client->wire, "$%d\r\n%s\r\n", length, text);
  answer(client, before, 0, NULL);
}

/* --- WAIT ------------------------------------------------------------------------------------ */

static void set_waiting(struct client *client, bool waiting) {
  if (client->waiting == waiting) return;
  client->waiting = waiting;
  if (waiting)
    client->server->waiting_count++;
  else
    client->server->waiting_count--;
}

static void end_wait(struct client *client) {
  const struct sim_redis *server = client->server;
  uint32_t count = stream_count(server, client->written);
  size_t before = answered_size(client);
  set_waiting(client, false);
  command_put_number(client->wire, ':', count);
  bool written = client->pending && count >= client->wait_for;
  answer(client, before, 0, written ? tell_written(client, client->pending) : NULL);
  client->pending = NULL;
  run(client);
}

static void wait_over(struct sim_process *self, const struct sim_args *args) {
  const struct sim_wire *wire = sim_wire_at_program(args);
  struct client *client = wire ? wire->peer : NULL;
  (void)self;
  if (client && client->waiting && client->wait_number == args->number2) end_wait(client);
}

static void do_wait(struct client *client, const struct command_word *words) {
  struct sim_redis *server = client->server;
  uint64_t timeout_ms = number_of(&words[2]);
  client->wait_for = (uint32_t)number_of(&words[1]);
  if (!redis_is_primary(server)) {
    say(client, "-ERR WAIT cannot be used with replica instances.");
    client->pending = NULL;
    return;
  }
  set_waiting(client, true);
  client->wait_number++;
  if (stream_count(server, client->written) >= client->wait_for) {
    end_wait(client);
    return;
  }
  if (timeout_ms > 0)
    sim_after(&server->program.process, timeout_ms * NS_PER_MS, wait_over,
              &(struct sim_args){.pointer = client->wire,
                                 .number = client->wire->number,
                                 .number2 = client->wait_number});
  stream_push(server, true);
}

/* --- keys ------------------------------------------------------------------------------------ */

#define OUT_OF_MEMORY "-OOM command not allowed when used memory > 'maxmemory'."

/* What a command on a key does: read, write what takes memory, write what gives some back. */
enum use { USE_READ, USE_TAKE, USE_GIVE };

/* Why the command is refused; NULL: it is run. `value`: what it writes; NULL: nothing. */
static const char *refusal(struct client *client, const struct command_word *key, enum use use,
                           const struct command_word *value, char *text, size_t size) {
  struct sim_redis *server = client->server;
  bool asking = client->asking;
  bool write = use != USE_READ;
  client->asking = false;
  if (server->node && !asking) {
    uint16_t slot = redis_key_slot(key->text, key->length);
    if (!node_serves(server, slot, write, client->readonly, text, size)) return text;
  }
  uint64_t pending = value ? memory_of_write(key->length, value->length) : 0;
  if (memory_evict(server, pending) && use == USE_TAKE) {
    server->heap.refused++;
    return OUT_OF_MEMORY;
  }
  bool primary = redis_is_primary(server);
  if (write && primary && server->good_replicas < redis_config_of(server)->min_replicas_to_write)
    return "-NOREPLICAS Not enough good replicas to write.";
  if (write && !primary) return "-READONLY You can't write against a read only replica.";
  if (server->state == REDIS_LOADING) return "-LOADING Redis is loading the dataset in memory";
  return NULL;
}

/* Whether a WAIT follows at once: then that acknowledges the write. */
static bool wait_follows(const struct sim_wire *wire) {
  static const char text[] = "*3\r\n$4\r\nWAIT";
  return wire->in.ready >= sizeof text - 1 &&
         memcmp(wire->in.data + wire->in.start, text, sizeof text - 1) == 0;
}

/* Says why; a refusal for want of memory is told. */
static void refuse(struct client *client, const struct command_word *key, const char *why) {
  size_t before = answered_size(client);
  bool full = strcmp(why, OUT_OF_MEMORY) == 0;
  command_put(client->wire, "%s\r\n", why);
  answer(client, before, 0, full ? tell_key(client, key, SIM_REDIS_REFUSED) : NULL);
}

static void do_set(struct client *client, const struct command_word *words) {
  struct sim_redis *server = client->server;
  char text[96];
  const char *why = refusal(client, &words[1], USE_TAKE, &words[2], text, sizeof text);
  client->pending = NULL;
  if (why) {
    refuse(client, &words[1], why);
    redis_guilt_refused(server, words[1].text, words[1].length, words[2].text, words[2].length);
    return;
  }
  if (redis_guilt_drops(server, words[1].text, words[1].length)) {
    say(client, "+OK");
    return;
  }
  const struct sim_redis_entry *entry =
      data_append(server, words[1].text, words[1].length, words[2].text, words[2].length);
  if (!entry) return;
  uint64_t delay_ns = redis_write_delay_ns(server);
  bool waits = wait_follows(client->wire);
  size_t before = answered_size(client);
  client->written = entry->index;
  if (waits) client->pending = entry;
  command_put_text(client->wire, "+OK\r\n");
  answer(client, before, delay_ns, waits ? NULL : tell_written(client, entry));
  stream_push(server, false);
}

/* SET KEY VALUE [NX] [PX MS]: an entry of a cache, or a session. */
static void do_set_for(struct client *client, const struct command_word *words, uint32_t count) {
  struct sim_redis *server = client->server;
  char text[96];
  const char *why = refusal(client, &words[1], USE_TAKE, &words[2], text, sizeof text);
  bool only_new = false;
  uint64_t until_ns = 0;
  for (uint32_t i = 3; i < count; i++) {
    if (command_is(&words[i], "NX")) only_new = true;
    if (command_is(&words[i], "PX") && i + 1 < count)
      until_ns = redis_now_ns(server) + number_of(&words[++i]) * NS_PER_MS;
  }
  if (why) {
    refuse(client, &words[1], why);
    return;
  }
  if (only_new && memory_look_up(server, words[1].text, words[1].length, false)) {
    say(client, "$-1");
    return;
  }
  const struct sim_redis_entry *entry = data_append_until(server, words[1].text, words[1].length,
                                                          words[2].text, words[2].length, until_ns);
  if (!entry) return;
  uint64_t delay_ns = redis_write_delay_ns(server);
  size_t before = answered_size(client);
  command_put_text(client->wire, "+OK\r\n");
  answer(client, before, delay_ns, tell_written(client, entry));
  stream_push(server, false);
}

static void do_unlink(struct client *client, const struct command_word *key) {
  struct sim_redis *server = client->server;
  char text[96];
  const char *why = refusal(client, key, USE_GIVE, NULL, text, sizeof text);
  const struct sim_redis_entry *entry =
      why ? NULL : memory_look_up(server, key->text, key->length, false);
  if (!entry) {
    say(client, why ? why : ":0");
    return;
  }
  if (!data_remove(server, entry, SIM_REDIS_REMOVED)) return;
  say(client, ":1");
  stream_push(server, false);
}

static void do_get(struct client *client, const struct command_word *words) {
  char text[96];
  const char *why = refusal(client, &words[1], USE_READ, NULL, text, sizeof text);
  if (why) {
    say(client, why);
    return;
  }
  const struct command_word *key = &words[1];
  const struct sim_redis_entry *entry =
      memory_look_up(client->server, key->text, key->length, true);
  entry = redis_guilt_seen(client->server, entry);
  size_t before = answered_size(client);
  if (entry) {
    size_t length = strlen(entry->value);
    command_put_number(client->wire, '$', length);
    sim_wire_put(client->wire, &client->wire->out, entry->value, length);
    command_put_text(client->wire, "\r\n");
  } else {
    command_put_text(client->wire, "$-1\r\n");
  }
  answer(client, before, 0, tell_key(client, key, entry ? SIM_REDIS_FOUND : SIM_REDIS_MISSED));
}

/* --- commands -------------------------------------------------------------------------------- */

static void do_cluster(struct client *client, const struct command_word *words, uint32_t count) {
  if (!client->server->node) {
    say(client, "-ERR This instance has cluster support disabled");
  } else if (count == 2 && (command_is(&words[1], "SLOTS") || command_is(&words[1], "NODES"))) {
    size_t before = answered_size(client);
    if (command_is(&words[1], "SLOTS"))
      node_put_slots(client->server, client->wire);
    else
      node_put_nodes(client->server, client->wire);
    answer(client, before, 0, NULL);
  } else {
    say(client, "-ERR unknown subcommand");
  }
}

static void do_command(struct client *client, const struct command_word *words, uint32_t count) {
  if (count == 3 && command_is(&words[0], "SET")) {
    do_set(client, words);
  } else if (count > 3 && command_is(&words[0], "SET")) {
    do_set_for(client, words, count);
  } else if (count == 2 && command_is(&words[0], "UNLINK")) {
    do_unlink(client, &words[1]);
  } else if (count == 2 && command_is(&words[0], "GET")) {
    do_get(client, words);
  } else if (count == 3 && command_is(&words[0], "WAIT")) {
    do_wait(client, words);
  } else if (command_is(&words[0], "INFO")) {
    say_info(client);
  } else if (command_is(&words[0], "AUTH")) {
    say(client, "+OK");
  } else if (command_is(&words[0], "READONLY")) {
    client->readonly = true;
    say(client, "+OK");
  } else if (command_is(&words[0], "ASKING")) {
    client->asking = true;
    say(client, "+OK");
  } else if (command_is(&words[0], "CLUSTER")) {
    do_cluster(client, words, count);
  } else {
    say(client, "-ERR unknown command");
  }
}

static void run(struct client *client) {
  struct sim_wire *wire = client->wire;
  uint64_t number = wire->number;
  struct command_word words[COMMAND_WORDS_MAX];
  while (wire->number == number && wire->to_open && !client->waiting) {
    if (client->server->paused_until_ns > 0) return;
    uint32_t count = command_next(wire, words);
    if (count == 0) return;
    do_command(client, words, count);
  }
}

/* --- connections ----------------------------------------------------------------------------- */

static void give(struct client *client) {
  struct sim_redis *server = client->server;
  set_waiting(client, false);
  *client->place = client->next;
  if (client->next) client->next->place = client->place;
  client->wire->peer = NULL;
  client->wire = NULL;
  server->client_count--;
  client->next_free = server->cluster->free_clients;
  server->cluster->free_clients = client;
}

/* Mostly it is the youngest of all. */
static void put_in_order(struct client *client) {
  struct client **place = &client->server->clients;
  while (*place && (*place)->wire->number > client->wire->number) place = &(*place)->next;
  client->next = *place;
  client->place = place;
  if (client->next) client->next->place = &client->next;
  *place = client;
}

static void closed(struct sim_wire *wire) {
  if (wire->peer) give(wire->peer);
}

static struct client *take(struct sim_redis *server, struct sim_wire *wire) {
  struct sim_redis_cluster *cluster = server->cluster;
  struct client *client = cluster->free_clients;
  if (client) {
    cluster->free_clients = client->next_free;
  } else {
    client = arena_alloc(&cluster->arena, sizeof *client);
    if (!client) {
      cluster->world->out_of_memory = true;
      return NULL;
    }
  }
  *client = (struct client){.server = server, .wire = wire};
  put_in_order(client);
  wire->use = WIRE_CLIENT;
  wire->peer = client;
  wire->peer_closed = closed;
  server->client_count++;
  return client;
}

void command_bytes(struct sim_process *self, const struct sim_args *args) {
  struct sim_redis *server = self->owner;
  struct sim_wire *wire = sim_wire_at_program(args);
  uint64_t silence_ns = wire ? redis_guilt_silence_ns(server) : 0;
  if (silence_ns > 0) sim_after(self, silence_ns, command_bytes, args);
  if (!wire || silence_ns > 0) return;
  wire->in.ready += args->number2;
  struct client *client = wire->peer;
  if (!client) client = take(server, wire);
  if (!client) return;
  if (server->client_count > redis_config_of(server)->maxclients) {
    say(client, "-ERR max number of clients reached");
    give(client);
    sim_wire_end(wire);
    return;
  }
  run(client);
}

void command_acknowledged(struct sim_redis *server) {
  for (struct client *client = server->clients; client && server->waiting_count > 0;
       client = client->next)
    if (client->waiting && stream_count(server, client->written) >= client->wait_for)
      end_wait(client);
}

void command_kill_clients(struct sim_redis *server) {
  while (server->clients) {
    struct sim_wire *wire = server->clients->wire;
    give(server->clients);
    sim_wire_end(wire);
  }
}

void command_resume(struct sim_redis *server) {
  if (server->paused_until_ns == 0) return;
  server->paused_until_ns = 0;
  for (struct client *client = server->clients; client; client = client->next) run(client);
}

void command_unblock(struct sim_redis *server) {
  for (struct client *client = server->clients; client; client = client->next) {
    if (!client->waiting) continue;
    set_waiting(client, false);
    client->pending = NULL;
    say(client,
        "-UNBLOCKED force unblock from blocking operation, instance state changed "
        "(master -> replica?)");
  }
}

void command_forget(struct sim_redis *server) {
  while (server->clients) give(server->clients);
  server->client_count = 0;
}
