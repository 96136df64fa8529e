/* session-store: two classes of keys in one Redis. Sessions must not be lost before their time and
 * are read again and again while they live; beside them entries of a cache, of which nothing is
 * promised. What a Redis that is short of memory throws away is told apart by them. */
#include "workload/session_store.h"

#include <string.h>

#include "workload/ledger_row.h"
#include "workload/options.h"

#define VALUE_MAX (UINT32_C(1) << 20)
#define PREPARE_TIMEOUT_NS (60 * NS_PER_S)

/* Shared by all clients. Every value is the end of this text, as long as it is wanted. */
struct session_store {
  char text[VALUE_MAX + 1];
};

#define FIELD(name) .offset = offsetof(struct session_store_config, name)

static const struct param params[] = {
    {.key = "rate",
     .type = PARAM_RATE,
     FIELD(rate),
     .default_text = "500/s",
     .minimum = "1/s",
     .maximum = "1000000/s",
     .help = "Operations on sessions and on cache entries together, writes and reads."},
    {.key = "cache_ratio",
     .type = PARAM_RATIO,
     FIELD(cache_ratio),
     .default_text = "80%",
     .minimum = "0%",
     .maximum = "99%",
     .help = "Share of the rate that is about cache entries; the rest is about sessions."},
    {.key = "write_ratio",
     .type = PARAM_RATIO,
     FIELD(write_ratio),
     .default_text = "20%",
     .minimum = "1%",
     .maximum = "99%",
     .help = "Share of the operations of either class that writes: a new session, or the cache "
             "entry that the client missed last."},
    {.key = "arrival",
     .type = PARAM_CHOICE,
     FIELD(arrival),
     .default_text = "constant",
     .choices = arrival_choices,
     .help = "Gaps between a client's operations: even, or exponential (poisson), as independent "
             "users arrive."},
    {.key = "clients",
     .type = PARAM_COUNT,
     FIELD(clients),
     .default_text = "8",
     .minimum = "1",
     .maximum = "10000",
     .help = "Clients that write sessions, and read those of their own that still live."},
    {.key = "cache_clients",
     .type = PARAM_COUNT,
     FIELD(cache_clients),
     .default_text = "8",
     .minimum = "1",
     .maximum = "10000",
     .help = "Clients of the cache; its keys are everybody's."},
    {.key = "session_ttl",
     .type = PARAM_DURATION,
     FIELD(session_ttl_ns),
     .default_text = "60s",
     .minimum = "1s",
     .maximum = "24h",
     .help = "How long a session must live: each is written with this time to live."},
    {.key = "session_size",
     .type = PARAM_SIZE,
     FIELD(session_size),
     .default_text = "512B",
     .minimum = "1B",
     .maximum = "1MiB",
     .help = "Size of a session's value."},
    {.key = "cache_keys",
     .type = PARAM_COUNT,
     FIELD(cache_keys),
     .default_text = "5000",
     .minimum = "1",
     .maximum = "100000000",
     .help = "Keys of the cache, each as popular as the others; with cache_size they are the "
             "memory that it would take to keep them all."},
    {.key = "cache_size",
     .type = PARAM_SIZE,
     FIELD(cache_size),
     .default_text = "4KiB",
     .minimum = "1B",
     .maximum = "1MiB",
     .help = "Size of a cache entry's value."},
    {.key = "cache_ttl",
     .type = PARAM_DURATION,
     FIELD(cache_ttl_ns),
     .default_text = "0s",
     .minimum = "0s",
     .maximum = "24h",
     .help = "Time to live of cache entries; 0s: they have none, which a volatile-* policy takes "
             "for keys that must stay."},
    {.key = "connect_timeout", .same = &redis_connect_timeout},
    {.key = "operation_timeout", .same = &redis_operation_timeout},
    {.key = "reconnect_delay", .same = &redis_reconnect_delay},
    {.key = "tcp_user_timeout", .same = &redis_tcp_user_timeout},
    {.key = "pipeline_depth", .same = &redis_pipeline_depth},
    {.key = NULL},
};

#define SESSION "gd:s:$1:$2"
#define ENTRY "gd:c:$1:$2"

static const struct statement statements[] = {
    [SESSION_STORE_SET] = {.meaning = STATEMENT_APPEND,
                           .text = "SET " SESSION " $4 PX $3",
                           .parameter_count = 4},
    [SESSION_STORE_GET] = {.meaning = STATEMENT_READ_OWN,
                           .text = "GET " SESSION,
                           .parameter_count = 2},
    [SESSION_STORE_CACHE_SET] = {.meaning = STATEMENT_APPEND,
                                 .text = "SET " ENTRY " $4 PX $3",
                                 .parameter_count = 4},
    [SESSION_STORE_CACHE_PUT] = {.meaning = STATEMENT_APPEND,
                                 .text = "SET " ENTRY " $3",
                                 .parameter_count = 3},
    [SESSION_STORE_CACHE_GET] = {.meaning = STATEMENT_READ_OWN,
                                 .text = "GET " ENTRY,
                                 .parameter_count = 2},
};

/* --- clients --------------------------------------------------------------------------------- */

/* Compared by address: the class of a client says what it does. */
static const char session_client[] = "session";
static const char cache_client[] = "cache";

#define USES(statement) (UINT32_C(1) << (statement))

static int classes(const struct workload_env *env, struct client_class *ret_classes, uint32_t max,
                   uint32_t *ret_count, struct error *err) {
  const struct session_store_config *config = env->config;
  uint32_t count = 0;
  if (max < 2) return error_set(err, STATUS_USAGE, "the load has no room for two classes");
  bool poisson = config->arrival == ARRIVAL_POISSON;
  ret_classes[count++] =
      (struct client_class){.name = session_client,
                            .count = config->clients,
                            .route = ROUTE_PRIMARY,
                            .host = HOST_NONE,
                            .rate = config->rate * (1 - config->cache_ratio),
                            .uses = USES(SESSION_STORE_SET) | USES(SESSION_STORE_GET),
                            .poisson = poisson};
  uint32_t set = config->cache_ttl_ns > 0 ? SESSION_STORE_CACHE_SET : SESSION_STORE_CACHE_PUT;
  if (config->cache_ratio > 0)
    ret_classes[count++] = (struct client_class){.name = cache_client,
                                                 .count = config->cache_clients,
                                                 .route = ROUTE_PRIMARY,
                                                 .host = HOST_NONE,
                                                 .rate = config->rate * config->cache_ratio,
                                                 .uses = USES(set) | USES(SESSION_STORE_CACHE_GET),
                                                 .poisson = poisson};
  *ret_count = count;
  return 0;
}

static const struct client_options *options(const void *config) {
  return &((const struct session_store_config *)config)->options;
}

/* No other run of the same servers may leave keys behind. */
static int prepare(struct workload_env *env, struct error *err) {
  const struct access *access = env->access;
  struct session_store *store = env->state;
  ledger_payload(env->seed, 0, 0, VALUE_MAX, store->text);
  int status = access->driver->execute(access, NULL, "UNLINK gd:*", PREPARE_TIMEOUT_NS, err);
  if (status < 0) return error_wrap(err, "cannot empty the key space of sessions");
  return 0;
}

/* --- what a client remembers ----------------------------------------------------------------- */

/* Of client.memory. A session client: under which identity it wrote, and how far that was
 * acknowledged, now and before its last unknown write: those sessions live on. */
enum session_memory { NOW_IDENTITY, NOW_NEWEST, FORMER_IDENTITY, FORMER_NEWEST };
/* A cache client: the key that it missed last; 0: none. */
enum cache_memory { MISSED };

static void remember_session(struct client *client, const struct operation *operation) {
  uint64_t *memory = client->memory;
  if (memory[NOW_IDENTITY] != operation->identity) {
    if (operation->identity < memory[NOW_IDENTITY]) return; /* in flight when it was renewed */
    memory[FORMER_IDENTITY] = memory[NOW_IDENTITY];
    memory[FORMER_NEWEST] = memory[NOW_NEWEST];
    memory[NOW_IDENTITY] = operation->identity;
    memory[NOW_NEWEST] = 0;
  }
  if (operation->sequence > memory[NOW_NEWEST]) memory[NOW_NEWEST] = operation->sequence;
}

/* How many sessions one client writes in the time that one lives. */
static uint64_t living(const struct session_store_config *config) {
  double rate = config->rate * (1 - config->cache_ratio) * config->write_ratio / config->clients;
  double count = rate * ((double)config->session_ttl_ns / 1e9);
  return count < 1 ? 1 : (uint64_t)count;
}

/* As random as client->prng, which belongs to the schedule and must not be drawn from when an
 * operation happens to be sent. The finalizer of SplitMix64. */
static uint64_t chance(const struct client *client, const struct operation *operation) {
  uint64_t x = client->env->seed + operation->scheduled_ns * UINT64_C(0x9E3779B97F4A7C15) +
               client->index * UINT64_C(0xD1B54A32D192ED03);
  x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
  return x ^ (x >> 31);
}

/* One of the sessions that should still live, any of them; sequence 0 before there is one. */
static void choose_session(const struct client *client, struct operation *operation) {
  const uint64_t *memory = client->memory;
  uint64_t most = living(client->env->config);
  uint64_t now = memory[NOW_NEWEST] < most ? memory[NOW_NEWEST] : most;
  uint64_t former = memory[FORMER_NEWEST] < most - now ? memory[FORMER_NEWEST] : most - now;
  operation->read_identity = operation->identity;
  if (now + former == 0) return;
  uint64_t back = chance(client, operation) % (now + former);
  bool of_now = back < now;
  operation->read_identity = (uint32_t)memory[of_now ? NOW_IDENTITY : FORMER_IDENTITY];
  operation->sequence = of_now ? memory[NOW_NEWEST] - back : memory[FORMER_NEWEST] - (back - now);
}

/* --- operations ------------------------------------------------------------------------------ */

static void plan(struct client *client, struct operation *operation) {
  const struct session_store_config *config = client->env->config;
  bool write = prng_unit(&client->prng) < config->write_ratio;
  enum operation_kind kind = write ? OPERATION_WRITE : OPERATION_READ_KEY;
  if (client->class->name == cache_client)
    kind = write ? OPERATION_CACHE_WRITE : OPERATION_CACHE_READ;
  operation->kind = kind;
}

static const char *value_of(const struct client *client, uint64_t size) {
  const struct session_store *store = client->env->state;
  return store->text + VALUE_MAX - size;
}

/* Whole milliseconds, as Redis counts. */
static uint32_t time_to_live_ms(uint64_t ttl_ns) {
  return (uint32_t)(ttl_ns / NS_PER_MS);
}

static void submit_session(struct client *client, struct operation *operation,
                           struct request *request) {
  const struct session_store_config *config = client->env->config;
  request->text = value_of(client, config->session_size);
  operation->value = ledger_checksum(operation->identity, operation->sequence, request->text,
                                     config->session_size);
  operation->read_identity = time_to_live_ms(config->session_ttl_ns);
  request->statement = SESSION_STORE_SET;
  request->numbers[0] = operation->identity;
  request->numbers[1] = (int64_t)operation->sequence;
  request->numbers[2] = operation->read_identity;
  request->number_count = 3;
}

static void submit_read(struct client *client, struct operation *operation,
                        struct request *request) {
  choose_session(client, operation);
  request->statement = SESSION_STORE_GET;
  request->numbers[0] = operation->read_identity;
  request->numbers[1] = (int64_t)operation->sequence;
  request->number_count = 2;
}

static void submit_entry(struct client *client, struct operation *operation,
                         struct request *request) {
  const struct session_store_config *config = client->env->config;
  operation->sequence = client->memory[MISSED];
  client->memory[MISSED] = 0;
  if (operation->sequence == 0)
    operation->sequence = chance(client, operation) % config->cache_keys + 1;
  operation->read_identity = time_to_live_ms(config->cache_ttl_ns);
  bool stays = operation->read_identity == 0;
  request->text = value_of(client, config->cache_size);
  request->statement = stays ? SESSION_STORE_CACHE_PUT : SESSION_STORE_CACHE_SET;
  request->numbers[0] = 0;
  request->numbers[1] = (int64_t)operation->sequence;
  request->numbers[2] = operation->read_identity;
  request->number_count = stays ? 2 : 3;
}

static void submit_lookup(struct client *client, struct operation *operation,
                          struct request *request) {
  const struct session_store_config *config = client->env->config;
  operation->sequence = chance(client, operation) % config->cache_keys + 1;
  request->statement = SESSION_STORE_CACHE_GET;
  request->numbers[0] = 0;
  request->numbers[1] = (int64_t)operation->sequence;
  request->number_count = 2;
}

static void submit(struct client *client, struct operation *operation, struct request *request,
                   char *payload) {
  (void)payload;
  if (operation->kind == OPERATION_WRITE)
    submit_session(client, operation, request);
  else if (operation->kind == OPERATION_READ_KEY)
    submit_read(client, operation, request);
  else if (operation->kind == OPERATION_CACHE_WRITE)
    submit_entry(client, operation, request);
  else
    submit_lookup(client, operation, request);
}

static void answer(struct client *client, struct operation *operation, const struct reply *reply) {
  if (operation->outcome != OUTCOME_OK) return;
  bool lookup = operation->kind == OPERATION_CACHE_READ;
  if (operation->kind == OPERATION_WRITE) remember_session(client, operation);
  if (lookup || operation->kind == OPERATION_READ_KEY)
    operation->value = reply->has_row ? operation->sequence : 0;
  if (lookup && !reply->has_row) client->memory[MISSED] = operation->sequence;
}

static int validate(const void *data, struct error *err) {
  const struct session_store_config *config = data;
  int status = client_options_validate(&config->options, err);
  if (status < 0) return status;
  if (config->cache_ttl_ns > 0 && config->cache_ttl_ns < NS_PER_MS)
    return error_set(err, STATUS_USAGE, "cache_ttl must be 0s or at least 1ms, as Redis counts");
  return 0;
}

const struct workload workload_session_store = {
    .plugin = {.name = "session-store",
               .summary = "Sessions in Redis that must live their time, beside a cache that may go",
               .params = params,
               .config_size = sizeof(struct session_store_config),
               .state_size = sizeof(struct session_store),
               .validate = validate},
    .service = "redis",
    .keeps_sessions = true,
    .statements = statements,
    .statement_count = sizeof statements / sizeof *statements,
    .payload_offset = SIZE_MAX,
    .classes = classes,
    .options = options,
    .prepare = prepare,
    .plan = plan,
    .submit = submit,
    .answer = answer,
};
