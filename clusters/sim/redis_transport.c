/* How clients of the real driver (workload/redis_client.h) reach simulated servers: their bytes go
 * over the simulated network in place of sockets. */
#include <string.h>

#include "sim/redis_internal.h"

struct dialed {
  struct dialed *next_free;
  struct sim_wire *wire;
  struct redis_dial dial;
  struct sim_redis_cluster *cluster;
  bool connected;
  bool sentinel;
};

static void give(struct dialed *it) {
  it->wire = NULL;
  it->next_free = it->cluster->free_dialed;
  it->cluster->free_dialed = it;
}

/* --- news ------------------------------------------------------------------------------------ */

static void opened(struct sim_wire *wire) {
  struct dialed *it = wire->owner;
  it->connected = true;
  it->dial.connected(it->dial.owner, NULL);
}

static void lost(struct sim_wire *wire, const char *why) {
  struct dialed *it = wire->owner;
  const struct redis_dial dial = it->dial;
  bool connected = it->connected;
  give(it);
  if (connected)
    dial.ended(dial.owner, why);
  else
    dial.connected(dial.owner, why);
}

static void received(struct sim_wire *wire, const char *bytes, size_t size) {
  const struct dialed *it = wire->owner;
  it->dial.received(it->dial.owner, bytes, size);
}

static void reached(struct sim_wire *wire, const struct sim_redis_told *told) {
  const struct dialed *it = wire->owner;
  const struct sim_redis_truth *truth = &it->cluster->truth;
  const struct sim_redis *server = wire->to->process.owner;
  if (truth->received) truth->received(truth->data, told, server->member);
}

/* --- the transport --------------------------------------------------------------------------- */

static struct sim_program *program_of(struct sim_redis_cluster *cluster,
                                      const struct endpoint *endpoint) {
  if (endpoint->port != REDIS_SENTINEL_PORT) {
    struct sim_redis *server = cluster->by_host[endpoint->host];
    return server ? &server->program : NULL;
  }
  for (uint32_t i = 0; i < cluster->sentinel_count; i++)
    if (cluster->members[i]->index == endpoint->host) return sentinel_program(cluster, i);
  return NULL;
}

static int dial_open(void *data, const struct redis_dial *dial, void **ret_wire,
                     struct error *err) {
  static const struct sim_wire_events events = {.opened = opened, .lost = lost};
  struct sim_redis_cluster *cluster = data;
  struct sim_process *client =
      dial->from_host < HOSTS_MAX ? cluster->clients[dial->from_host] : NULL;
  struct sim_program *program = program_of(cluster, dial->endpoint);
  if (!client || !program)
    return error_set(err, STATUS_USAGE, "%s has no such simulated server, or the client no host",
                     dial->endpoint->name);
  struct dialed *it = cluster->free_dialed;
  if (it) cluster->free_dialed = it->next_free;
  if (!it) it = arena_alloc(&cluster->arena, sizeof *it);
  if (!it) return error_set(err, STATUS_MEMORY, "out of memory for a connection");
  *it = (struct dialed){
      .dial = *dial, .cluster = cluster, .sentinel = dial->endpoint->port == REDIS_SENTINEL_PORT};
  it->wire = sim_wire_open(&cluster->wires, client, client, program, &events, it);
  if (!it->wire) {
    give(it);
    return error_set(err, STATUS_MEMORY, "out of memory for a connection");
  }
  it->wire->user_timeout_ns = dial->tcp_user_timeout_ns;
  it->wire->received = received;
  it->wire->told = reached;
  *ret_wire = it;
  return 0;
}

static void dial_send(void *data, const char *bytes, size_t size) {
  const struct dialed *it = data;
  if (!sim_wire_put(it->wire, &it->wire->in, bytes, size)) return;
  sim_wire_tell(it->wire, it->sentinel ? sentinel_bytes : command_bytes,
                &(struct sim_args){.number2 = size}, (uint32_t)size);
}

static void dial_close(void *data) {
  struct dialed *it = data;
  sim_wire_close(it->wire);
  give(it);
}

/* --- before and after the load --------------------------------------------------------------- */

static int execute(const struct access *access, const struct endpoint *endpoint, const char *text,
                   uint64_t timeout_ns, struct error *err) {
  const struct redis_access *redis = access->context;
  struct sim_redis_cluster *cluster = redis->transport->data;
  (void)timeout_ns;
  if (endpoint || strncmp(text, "UNLINK ", 7) != 0)
    return error_set(err, STATUS_INTERNAL, "the simulated Redis does not know: %.60s", text);
  uint32_t primaries = 0;
  for (uint32_t i = 0; i < cluster->count; i++)
    primaries += redis_takes_writes(&cluster->servers[i]);
  if (primaries < (access->shards > 0 ? access->shards : 1u))
    return error_set(err, STATUS_SERVER, "%u primaries take writes", (unsigned)primaries);
  cluster->table++;
  return 0;
}

struct reader {
  row_callback *row;
  void *data;
  const char *pattern;
};

/* Patterns are a text with * at its end. */
static int read_row(void *data, const struct sim_redis_entry *entry, struct error *err) {
  const struct reader *reader = data;
  size_t length = strlen(reader->pattern);
  if (length > 0 && reader->pattern[length - 1] == '*') length--;
  if (strncmp(entry->key, reader->pattern, length) != 0) return 0;
  const char *const columns[] = {entry->key, entry->value};
  return reader->row(reader->data, columns, 2, err);
}

static int read_rows(const struct access *access, const struct endpoint *endpoint, const char *text,
                     uint64_t timeout_ns, row_callback *row, void *data, struct error *err) {
  const struct redis_access *redis = access->context;
  struct sim_redis_cluster *cluster = redis->transport->data;
  const struct sim_redis *server = endpoint ? cluster->by_host[endpoint->host] : NULL;
  (void)timeout_ns;
  if (!server || !redis_answers(server))
    return error_set(err, STATUS_SERVER, "%s: no server answers",
                     endpoint ? endpoint->name : "no endpoint");
  struct reader reader = {.row = row, .data = data, .pattern = text};
  return sim_redis_rows(cluster, server->member, read_row, &reader, err);
}

const struct redis_transport *transport_new(struct sim_redis_cluster *cluster) {
  struct redis_transport *transport = arena_alloc(&cluster->arena, sizeof *transport);
  if (transport)
    *transport = (struct redis_transport){.data = cluster,
                                          .open = dial_open,
                                          .send = dial_send,
                                          .close = dial_close,
                                          .execute = execute,
                                          .read_rows = read_rows};
  return transport;
}
