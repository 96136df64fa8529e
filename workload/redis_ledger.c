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

#define FIELD(name) .offset = offsetof(struct redis_ledger_config, name)

static const struct param params[] = {
    {.key = "rate", .same = &ledger_rate},
    {.key = "clients",
     .type = PARAM_COUNT,
     FIELD(common.clients),
     .default_text = "8",
     .minimum = "1",
     .maximum = "100000",
     .help = "Writers, each with connections of its own that follow the primary: through Sentinel, "
             "or to every primary of a cluster."},
    {.key = "read_ratio",
     .type = PARAM_RATIO,
     FIELD(common.read_ratio),
     .default_text = "20%",
     .minimum = "0%",
     .maximum = "95%",
     .help = "Share of the rate that reads the client's own last acknowledged write instead of "
             "writing."},
    {.key = "arrival", .same = &ledger_arrival},
    {.key = "payload",
     .type = PARAM_SIZE,
     FIELD(common.payload),
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
    {.key = "connect_timeout", .same = &redis_connect_timeout},
    {.key = "operation_timeout", .same = &redis_operation_timeout},
    {.key = "reconnect_delay", .same = &redis_reconnect_delay},
    {.key = "tcp_user_timeout", .same = &redis_tcp_user_timeout},
    {.key = "pipeline_depth", .same = &redis_pipeline_depth},
    {.key = "pinned_rate", .same = &ledger_pinned_rate},
    {.key = "heartbeat",
     .type = PARAM_DURATION,
     FIELD(common.heartbeat_ns),
     .default_text = "100ms",
     .minimum = "1ms",
     .maximum = "1min",
     .help = "Interval of a beat written on each primary and read on each host: the replication "
             "lag end to end, to this resolution."},
    {.key = "probe_interval",
     .type = PARAM_DURATION,
     FIELD(common.probe_interval_ns),
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

#define USES(statement) (UINT32_C(1) << (statement))

static uint32_t append_of(const struct redis_ledger_config *config, bool here) {
  if (here) return config->wait > 0 ? REDIS_LEDGER_APPEND_HERE_WAIT : REDIS_LEDGER_APPEND_HERE;
  return config->wait > 0 ? REDIS_LEDGER_APPEND_WAIT : REDIS_LEDGER_APPEND;
}

static struct client_class heartbeat_class(const struct redis_ledger_config *config, uint32_t shard,
                                           bool sharded) {
  uint32_t statement = sharded ? REDIS_LEDGER_HEARTBEAT_SET_SHARD : REDIS_LEDGER_HEARTBEAT_SET;
  struct client_class class = ledger_heartbeat_writer(&config->common, USES(statement));
  class.number = shard;
  return class;
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
  const struct ledger_config *common = &config->common;
  uint32_t own = USES(append_of(config, false)) | USES(REDIS_LEDGER_READ_OWN);
  ret_classes[count++] = ledger_writers(common, own);
  for (uint32_t i = 0; i < shards; i++) {
    ret_classes[count++] = heartbeat_class(config, i, access->shards > 0);
  }
  ret_classes[count++] = ledger_probe(common, own);
  for (uint32_t i = 0; i < access->endpoint_count; i++) {
    uint16_t host = access->endpoints[i].host;
    if (common->pinned_rate > 0)
      ret_classes[count++] = ledger_pinned(common, host, USES(append_of(config, true)));
    ret_classes[count++] = ledger_heartbeat_reader(common, host, USES(REDIS_LEDGER_HEARTBEAT_GET));
  }
  *ret_count = count;
  return 0;
}

/* No other run of the same servers may leave keys behind. */
static int prepare(struct workload_env *env, struct error *err) {
  const struct access *access = env->access;
  int status = access->driver->execute(access, NULL, "UNLINK gd:*", PREPARE_TIMEOUT_NS, err);
  if (status < 0) return error_wrap(err, "cannot empty the ledger's key space");
  return 0;
}

/* --- operations ------------------------------------------------------------------------------ */

static void submit_append(struct client *client, struct operation *operation,
                          struct request *request, char *payload) {
  const struct redis_ledger_config *config = client->env->config;
  ledger_append(client, operation, request, payload);
  request->statement = append_of(config, client->class->route == ROUTE_PINNED);
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
    case OPERATION_READ_KEY: /* ledger_plan() makes no others */
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
  int status = client_options_validate(&config->common.options, err);
  if (status < 0) return status;
  if (config->wait > 0 && config->wait_timeout_ns >= config->common.options.operation_timeout_ns) {
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
    .payload_offset = offsetof(struct redis_ledger_config, common.payload),
    .classes = classes,
    .options = ledger_options,
    .prepare = prepare,
    .plan = ledger_plan,
    .submit = submit,
    .answer = ledger_answer,
    .final_read = final_read,
};
