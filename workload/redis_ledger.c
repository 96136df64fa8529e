/* redis-ledger: a ledger of unique keys in Redis. Every acknowledged key must be there at the end,
 * and every key that is there must have been sent: what was lost or came from nowhere is found by
 * comparing. */
#include "workload/redis_ledger.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "gameday/redis_access.h"
#include "workload/ledger_row.h"
#include "workload/options.h"

#define KEYS "gd:w:"
#define BEAT "gd:beat:"
#define PREPARE_TIMEOUT_NS (60 * NS_PER_S)
/* Ten million keys are read in about a minute; this is for a server that hangs. */
#define FINAL_READ_TIMEOUT_NS (600 * NS_PER_S)

static const char *const arrivals[] = {"constant", "poisson", NULL};
enum arrival { ARRIVAL_CONSTANT, ARRIVAL_POISSON };

#define FIELD(name) .offset = offsetof(struct redis_ledger_config, name)

static const struct param params[] = {
    {.key = "rate",
     .type = PARAM_RATE,
     FIELD(rate),
     .default_text = "200/s",
     .minimum = "1/s",
     .maximum = "1000000/s",
     .help = "Operations of all writers together, writes and reads; one every 5 ms resolves an "
             "outage to 5 ms."},
    {.key = "clients",
     .type = PARAM_COUNT,
     FIELD(clients),
     .default_text = "8",
     .minimum = "1",
     .maximum = "10000",
     .help = "Writers, each with connections of its own that follow the primary: through Sentinel, "
             "or to every primary of a cluster."},
    {.key = "read_ratio",
     .type = PARAM_RATIO,
     FIELD(read_ratio),
     .default_text = "20%",
     .minimum = "0%",
     .maximum = "95%",
     .help = "Share of the rate that reads the client's own last acknowledged write instead of "
             "writing."},
    {.key = "arrival",
     .type = PARAM_CHOICE,
     FIELD(arrival),
     .default_text = "constant",
     .choices = arrivals,
     .help = "Gaps between a client's operations: even, for the finest resolution of an outage, or "
             "exponential (poisson), as independent users arrive."},
    {.key = "payload",
     .type = PARAM_SIZE,
     FIELD(payload),
     .default_text = "128B",
     .minimum = "0B",
     .maximum = "1MiB",
     .help = "Size of the text that each value carries behind its checksum."},
    {.key = "wait",
     .type = PARAM_COUNT,
     FIELD(wait),
     .default_text = "0",
     .minimum = "0",
     .maximum = "16",
     .help = "WAIT is sent behind each write, which counts as acknowledged only when so many "
             "replicas have it; 0: none is sent."},
    {.key = "wait_timeout",
     .type = PARAM_DURATION,
     FIELD(wait_timeout_ns),
     .default_text = "1s",
     .minimum = "1ms",
     .maximum = "1h",
     .help = "How long WAIT waits in the server; then the write is unknown."},
    {.key = "connect_timeout",
     .type = PARAM_DURATION,
     FIELD(options.connect_timeout_ns),
     .default_text = "1s",
     .minimum = "10ms",
     .maximum = "10min",
     .help = "One attempt on one server or sentinel: name, TCP, authentication, role."},
    {.key = "operation_timeout",
     .type = PARAM_DURATION,
     FIELD(options.operation_timeout_ns),
     .default_text = "2s",
     .minimum = "10ms",
     .maximum = "1h",
     .help = "From the scheduled time until the client gives up; when sent, its connection is "
             "closed and the outcome is unknown. 2 s is what Jedis waits for an answer."},
    {.key = "reconnect_delay",
     .type = PARAM_DURATION,
     FIELD(options.reconnect_delay_ns),
     .default_text = "100ms",
     .minimum = "1ms",
     .maximum = "10min",
     .help = "Pause after a round over all servers that found none to connect to, between attempts "
             "on one primary of a cluster, and between questions for its map."},
    {.key = "tcp_user_timeout",
     .type = PARAM_DURATION,
     FIELD(options.tcp_user_timeout_ns),
     .default_text = "0s",
     .minimum = "0s",
     .maximum = "1h",
     .help = "How long sent data may stay unacknowledged before the kernel closes the connection "
             "(TCP_USER_TIMEOUT); 0s is the system's default, as most clients' is."},
    {.key = "pipeline_depth",
     .type = PARAM_COUNT,
     FIELD(options.pipeline_depth),
     .default_text = "1",
     .minimum = "1",
     .maximum = "1024",
     .help = "Operations in flight of one client."},
    {.key = "pinned_rate",
     .type = PARAM_RATE,
     FIELD(pinned_rate),
     .default_text = "100/s",
     .minimum = "0/s",
     .maximum = "100000/s",
     .help = "Writes to each host directly, whatever its role: an old primary that still "
             "acknowledges is seen only so, and a new one is seen first so: failover_time is "
             "measured to this resolution."},
    {.key = "heartbeat",
     .type = PARAM_DURATION,
     FIELD(heartbeat_ns),
     .default_text = "100ms",
     .minimum = "1ms",
     .maximum = "1min",
     .help = "Interval of a beat written on each primary and read on each host: the replication "
             "lag end to end, to this resolution."},
    {.key = "probe_interval",
     .type = PARAM_DURATION,
     FIELD(probe_interval_ns),
     .default_text = "1s",
     .minimum = "10ms",
     .maximum = "1h",
     .help = "Interval of the probe with a fresh connection: find the primary, connect, "
             "authenticate, read, write, close, each timed."},
    {.key = NULL},
};

static const struct statement statements[] = {
    [REDIS_LEDGER_APPEND] = {.meaning = STATEMENT_APPEND,
                             .text = "SET " KEYS "$1:$2 $3:$4",
                             .parameter_count = 4},
    [REDIS_LEDGER_APPEND_WAIT] = {.meaning = STATEMENT_APPEND,
                                  .text = "SET " KEYS "$1:$2 $3:$6 ; WAIT $4 $5",
                                  .parameter_count = 6},
    [REDIS_LEDGER_APPEND_HERE] = {.meaning = STATEMENT_APPEND,
                                  .text = "SET " KEYS "$s$1:$2 $3:$4",
                                  .parameter_count = 4},
    [REDIS_LEDGER_APPEND_HERE_WAIT] = {.meaning = STATEMENT_APPEND,
                                       .text = "SET " KEYS "$s$1:$2 $3:$6 ; WAIT $4 $5",
                                       .parameter_count = 6},
    [REDIS_LEDGER_READ_OWN] = {.meaning = STATEMENT_READ_OWN,
                               .text = "GET " KEYS "$1:$2",
                               .parameter_count = 2},
    [REDIS_LEDGER_HEARTBEAT_SET] = {.meaning = STATEMENT_HEARTBEAT_SET,
                                    .text = "SET " BEAT " $1",
                                    .parameter_count = 1},
    [REDIS_LEDGER_HEARTBEAT_SET_SHARD] = {.meaning = STATEMENT_HEARTBEAT_SET,
                                          .text = "SET " BEAT "{$2}: $1",
                                          .parameter_count = 2},
    [REDIS_LEDGER_HEARTBEAT_GET] = {.meaning = STATEMENT_HEARTBEAT_GET,
                                    .text = "GET " BEAT "$s",
                                    .parameter_count = 0},
};

/* --- clients --------------------------------------------------------------------------------- */

/* Compared by address: the class of a client says what it does. */
static const char writer[] = "writer";
static const char pinned[] = "pinned";
static const char heartbeat_reader[] = "heartbeat-reader";
static const char probe[] = "probe";

static const char heartbeat_writer[] = "heartbeat-writer"; /* one a shard */

#define USES(statement) (UINT32_C(1) << (statement))

static double rate_of(uint64_t interval_ns) {
  return 1e9 / (double)interval_ns;
}

static uint32_t append_of(const struct redis_ledger_config *config, bool here) {
  if (here) return config->wait > 0 ? REDIS_LEDGER_APPEND_HERE_WAIT : REDIS_LEDGER_APPEND_HERE;
  return config->wait > 0 ? REDIS_LEDGER_APPEND_WAIT : REDIS_LEDGER_APPEND;
}

/* The classes of which each host has one. */
static uint32_t host_classes(const struct redis_ledger_config *config, uint16_t host,
                             struct client_class *ret) {
  uint32_t count = 0;
  if (config->pinned_rate > 0) {
    ret[count++] = (struct client_class){.name = pinned,
                                         .count = 1,
                                         .route = ROUTE_PINNED,
                                         .host = host,
                                         .rate = config->pinned_rate,
                                         .uses = USES(append_of(config, true))};
  }
  ret[count++] = (struct client_class){.name = heartbeat_reader,
                                       .count = 1,
                                       .route = ROUTE_PINNED,
                                       .host = host,
                                       .rate = rate_of(config->heartbeat_ns),
                                       .uses = USES(REDIS_LEDGER_HEARTBEAT_GET),
                                       .always_on = true};
  return count;
}

static struct client_class heartbeat_class(const struct redis_ledger_config *config, uint32_t shard,
                                           bool sharded) {
  uint32_t statement = sharded ? REDIS_LEDGER_HEARTBEAT_SET_SHARD : REDIS_LEDGER_HEARTBEAT_SET;
  return (struct client_class){.name = heartbeat_writer,
                               .number = shard,
                               .count = 1,
                               .route = ROUTE_PRIMARY,
                               .host = HOST_NONE,
                               .rate = rate_of(config->heartbeat_ns),
                               .uses = USES(statement),
                               .always_on = true};
}

static int classes(const struct workload_env *env, struct client_class *ret_classes, uint32_t max,
                   uint32_t *ret_count, struct error *err) {
  const struct redis_ledger_config *config = env->config;
  const struct access *access = env->access;
  uint32_t shards = access->shards > 0 ? access->shards : 1, count = 0;
  if (2 + shards + 2 * access->endpoint_count > max) {
    return error_set(err, STATUS_USAGE, "%u hosts are more than the load has classes for",
                     (unsigned)access->endpoint_count);
  }
  ret_classes[count++] =
      (struct client_class){.name = writer,
                            .count = config->clients,
                            .route = ROUTE_PRIMARY,
                            .host = HOST_NONE,
                            .rate = config->rate,
                            .uses = USES(append_of(config, false)) | USES(REDIS_LEDGER_READ_OWN),
                            .poisson = config->arrival == ARRIVAL_POISSON};
  for (uint32_t i = 0; i < shards; i++) {
    ret_classes[count++] = heartbeat_class(config, i, access->shards > 0);
  }
  ret_classes[count++] =
      (struct client_class){.name = probe,
                            .count = 1,
                            .route = ROUTE_PRIMARY,
                            .host = HOST_NONE,
                            .rate = rate_of(config->probe_interval_ns),
                            .uses = USES(append_of(config, false)) | USES(REDIS_LEDGER_READ_OWN),
                            .fresh = true};
  for (uint32_t i = 0; i < access->endpoint_count; i++) {
    count += host_classes(config, access->endpoints[i].host, &ret_classes[count]);
  }
  *ret_count = count;
  return 0;
}

static const struct client_options *options(const void *config) {
  return &((const struct redis_ledger_config *)config)->options;
}

/* No other run of the same servers may leave keys behind. */
static int prepare(struct workload_env *env, struct error *err) {
  const struct access *access = env->access;
  int status = access->driver->execute(access, NULL, "UNLINK gd:*", PREPARE_TIMEOUT_NS, err);
  if (status < 0) return error_wrap(err, "cannot empty the ledger's key space");
  return 0;
}

/* --- operations ------------------------------------------------------------------------------ */

static enum operation_kind kind_of(struct client *client) {
  const struct redis_ledger_config *config = client->env->config;
  const char *name = client->class->name;
  if (name == heartbeat_reader) return OPERATION_HEARTBEAT_READ;
  if (name == probe) return OPERATION_PROBE;
  if (name == pinned) return OPERATION_WRITE;
  if (client->class->name == heartbeat_writer) return OPERATION_HEARTBEAT_WRITE;
  return prng_unit(&client->prng) < config->read_ratio ? OPERATION_READ_OWN : OPERATION_WRITE;
}

static void plan(struct client *client, struct operation *operation) {
  operation->kind = kind_of(client);
}

static void submit_append(struct client *client, struct operation *operation,
                          struct request *request, char *payload) {
  const struct redis_ledger_config *config = client->env->config;
  ledger_payload(client->env->seed, operation->identity, operation->sequence, config->payload,
                 payload);
  operation->value =
      ledger_checksum(operation->identity, operation->sequence, payload, config->payload);
  bool here = client->class->name == pinned;
  request->statement = append_of(config, here);
  request->numbers[0] = operation->identity;
  request->numbers[1] = (int64_t)operation->sequence;
  request->numbers[2] = (int64_t)operation->value;
  request->number_count = 3;
  request->text = payload;
  if (config->wait == 0) return;
  request->numbers[3] = config->wait;
  request->numbers[4] = (int64_t)((config->wait_timeout_ns + NS_PER_MS - 1) / NS_PER_MS);
  request->number_count = 5;
}

/* The newest write that was acknowledged under this identity: the key is known, and that it is
 * there is the answer. Before there is one this is a key that nobody writes. */
static void submit_read_own(struct client *client, struct operation *operation,
                            struct request *request) {
  operation->read_identity = client->identity;
  request->statement = REDIS_LEDGER_READ_OWN;
  request->numbers[0] = client->identity;
  request->numbers[1] = (int64_t)client->acknowledged;
  request->number_count = 2;
}

static void submit_beat(struct client *client, struct operation *operation,
                        struct request *request) {
  uint16_t shards = client->env->access->shards;
  operation->value = operation->sequence;
  request->numbers[0] = (int64_t)operation->sequence;
  request->number_count = 1;
  request->statement = REDIS_LEDGER_HEARTBEAT_SET;
  if (shards == 0) return;
  char tag[REDIS_TAG_SIZE];
  redis_shard_tag((uint16_t)(client->class->number + 1), shards, tag);
  request->numbers[1] = strtoll(tag + 1, NULL, 10);
  request->number_count = 2;
  request->statement = REDIS_LEDGER_HEARTBEAT_SET_SHARD;
}

static void submit(struct client *client, struct operation *operation, struct request *request,
                   char *payload) {
  switch (operation->kind) {
    case OPERATION_WRITE:
    case OPERATION_PROBE: submit_append(client, operation, request, payload); break;
    case OPERATION_READ_OWN:
    case OPERATION_READ_NEWEST: /* the probe's */
      submit_read_own(client, operation, request);
      break;
    case OPERATION_HEARTBEAT_WRITE: submit_beat(client, operation, request); break;
    case OPERATION_HEARTBEAT_READ: request->statement = REDIS_LEDGER_HEARTBEAT_GET; break;
    case OPERATION_READ_KEY: /* plan() makes no others */
    case OPERATION_CACHE_WRITE:
    case OPERATION_CACHE_READ:
    case OPERATION_ORIGIN:
    case OPERATION_REGISTER_READ:
    case OPERATION_REGISTER_CAS:
    case OPERATION_KIND_COUNT: break;
  }
}

/* --- the end --------------------------------------------------------------------------------- */

/* Keys that were seen: SCAN may bring one twice. Open addressing; 0 is an empty place. */
struct seen_keys {
  uint64_t *places;
  size_t capacity, count; /* a power of two; 0: none yet */
};

static void cleanup_seen(struct seen_keys *seen) {
  free(seen->places);
}

static uint64_t *place_of(const struct seen_keys *seen, uint64_t key) {
  uint64_t hash = key * UINT64_C(0x9E3779B97F4A7C15);
  for (size_t i = (size_t)(hash >> 20);; i++) {
    uint64_t *place = &seen->places[i & (seen->capacity - 1)];
    if (*place == 0 || *place == key) return place;
  }
}

static int grow(struct seen_keys *seen, struct error *err) {
  struct seen_keys larger = {.capacity = seen->capacity ? seen->capacity * 2 : 4096,
                             .count = seen->count};
  larger.places = calloc(larger.capacity, sizeof *larger.places);
  if (!larger.places) return error_set(err, STATUS_MEMORY, "out of memory for the ledger's keys");
  for (size_t i = 0; i < seen->capacity; i++) {
    if (seen->places[i] != 0) *place_of(&larger, seen->places[i]) = seen->places[i];
  }
  free(seen->places);
  *seen = larger;
  return 0;
}

/* A row's key is its identity and its sequence, of which no run has more than 2^32 of one. */
static int note_key(struct seen_keys *seen, const struct final_row *row, bool *ret_new,
                    struct error *err) {
  if (seen->count >= seen->capacity / 2) {
    int status = grow(seen, err);
    if (status < 0) return status;
  }
  uint64_t key = (uint64_t)row->identity << 32 | (uint32_t)row->sequence;
  uint64_t *place = place_of(seen, key);
  *ret_new = *place == 0;
  if (*ret_new) seen->count++;
  *place = key;
  return 0;
}

/* Decimal digits up to `end`, and past it. */
static bool parse_number(const char **text, char end, uint64_t limit, uint64_t *ret_number) {
  uint64_t number = 0;
  const char *next = *text;
  if (*next == end) return false;
  for (; *next != end; next++) {
    if (*next < '0' || *next > '9') return false;
    uint64_t digit = (uint64_t)(*next - '0');
    if (number > (limit - digit) / 10) return false;
    number = number * 10 + digit;
  }
  *text = *next ? next + 1 : next;
  *ret_number = number;
  return true;
}

/* "gd:w:IDENTITY:SEQUENCE", or with a tag "gd:w:{7}:IDENTITY:SEQUENCE"; "CHECKSUM:PAYLOAD". */
static bool parse_row(const char *key, const char *value, struct final_row *ret) {
  uint64_t identity, sequence, stored;
  if (strncmp(key, KEYS, strlen(KEYS)) != 0) return false;
  key += strlen(KEYS);
  if (*key == '{') {
    key = strstr(key, "}:");
    if (!key) return false;
    key += 2;
  }
  if (!parse_number(&key, ':', UINT32_MAX, &identity) ||
      !parse_number(&key, '\0', UINT32_MAX, &sequence) ||
      !parse_number(&value, ':', UINT32_MAX, &stored)) {
    return false;
  }
  uint32_t checksum = ledger_checksum((uint32_t)identity, sequence, value, strlen(value));
  *ret = (struct final_row){.identity = (uint32_t)identity,
                            .corrupt = stored != checksum,
                            .sequence = sequence,
                            .value = checksum};
  return true;
}

struct row_taker {
  struct final_reader *reader;
  struct seen_keys seen;
};

static int take_row(void *data, const char *const columns[], uint32_t count, struct error *err) {
  struct row_taker *taker = data;
  struct final_row row;
  bool new = false;
  if (count != 2 || !parse_row(columns[0], columns[1], &row)) {
    return error_set(err, STATUS_SERVER, "the ledger has a key that is none of its keys: %.80s",
                     count > 0 ? columns[0] : "");
  }
  int status = note_key(&taker->seen, &row, &new, err);
  if (status < 0 || !new) return status;
  return taker->reader->row(taker->reader, &row, err);
}

static int final_read(struct workload_env *env, const struct endpoint *host,
                      struct final_reader *reader, struct error *err) {
  CLEANUP(cleanup_seen) struct seen_keys seen = {.places = NULL};
  struct row_taker taker = {.reader = reader};
  int status = env->access->driver->read_rows(env->access, host, KEYS "*", FINAL_READ_TIMEOUT_NS,
                                              take_row, &taker, err);
  seen = taker.seen;
  if (status < 0) return error_wrap(err, "cannot read the ledger of %s", host->name);
  return 0;
}

static int validate(const void *data, struct error *err) {
  const struct redis_ledger_config *config = data;
  int status = client_options_validate(&config->options, err);
  if (status < 0) return status;
  if (config->wait > 0 && config->wait_timeout_ns >= config->options.operation_timeout_ns) {
    return error_set(err, STATUS_USAGE,
                     "wait_timeout must be shorter than operation_timeout: the client would "
                     "otherwise give up before the server says how many replicas have the write");
  }
  return 0;
}

const struct workload workload_redis_ledger = {
    .plugin = {.name = "redis-ledger",
               .summary = "Unique checksummed keys in Redis, every one accounted for at the end",
               .params = params,
               .config_size = sizeof(struct redis_ledger_config),
               .validate = validate},
    .service = "redis",
    .statements = statements,
    .statement_count = sizeof statements / sizeof *statements,
    .payload_offset = offsetof(struct redis_ledger_config, payload),
    .classes = classes,
    .options = options,
    .prepare = prepare,
    .plan = plan,
    .submit = submit,
    .answer = ledger_answer,
    .final_read = final_read,
};
