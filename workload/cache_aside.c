/* cache-aside: readers of popular keys through Redis, with PostgreSQL behind it: what is not in the
 * cache is read from the database, which takes its time, and written back with a time to live. What
 * everybody misses at once everybody reads at once: the cache stampede, and what is done against
 * it. */
#include "workload/cache_aside.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workload/cache_process.h"
#include "workload/ledger_row.h"
#include "workload/options.h"

#define PREPARE_TIMEOUT_NS (60 * NS_PER_S)

static const char *const popularities[] = {"zipf", "uniform", NULL};
static const char *const mitigations[] = {
    "none", "single-flight", "lock", "ttl-jitter", "stale-while-revalidate", "xfetch", NULL};
static const char *const cache_errors[] = {"origin", "fail", NULL};
enum cache_error { CACHE_ERROR_ORIGIN, CACHE_ERROR_FAIL };

#define FIELD(name) .offset = offsetof(struct cache_aside_config, name)

static const struct param params[] = {
    {.key = "rate",
     .type = PARAM_RATE,
     FIELD(rate),
     .default_text = "500/s",
     .minimum = "1/s",
     .maximum = "100000/s",
     .help = "Reads of all clients together."},
    {.key = "clients",
     .type = PARAM_COUNT,
     FIELD(clients),
     .default_text = "64",
     .minimum = "1",
     .maximum = "10000",
     .help = "Readers, each with a connection to the cache and, when it needs one, to the "
             "database; one read at a time, so that there are never more calls of the database "
             "at a time than clients."},
    {.key = "arrival",
     .type = PARAM_CHOICE,
     FIELD(arrival),
     .default_text = "poisson",
     .choices = arrival_choices,
     .help = "Gaps between a client's reads: even, or exponential, as independent users arrive."},
    {.key = "keys",
     .type = PARAM_COUNT,
     FIELD(keys),
     .default_text = "100",
     .minimum = "1",
     .maximum = "1000000",
     .help = "How many keys are read."},
    {.key = "popularity",
     .type = PARAM_CHOICE,
     FIELD(popularity),
     .default_text = "zipf",
     .choices = popularities,
     .help = "How often each key is read: the n-th with a weight of 1 / n^skew, or all alike."},
    {.key = "skew",
     .type = PARAM_NUMBER,
     FIELD(skew),
     .default_text = "1",
     .minimum = "0",
     .maximum = "4",
     .help = "The exponent of zipf; requests to the web were found between 0.64 and 0.83 "
             "(Breslau and others, INFOCOM 1999), 1 is Zipf's law."},
    {.key = "payload",
     .type = PARAM_SIZE,
     FIELD(payload),
     .default_text = "256B",
     .minimum = "0B",
     .maximum = "1MiB",
     .help = "Size of the text that each value carries."},
    {.key = "ttl",
     .type = PARAM_DURATION,
     FIELD(ttl_ns),
     .default_text = "60s",
     .minimum = "100ms",
     .maximum = "24h",
     .help = "Time to live of a value in the cache."},
    {.key = "cost",
     .type = PARAM_DURATION,
     FIELD(cost_ns),
     .default_text = "100ms",
     .minimum = "0ms",
     .maximum = "1min",
     .help = "How long the database takes for a value (pg_sleep beside the row's read, so that it "
             "is the same whatever the machine does)."},
    {.key = "mitigation",
     .type = PARAM_CHOICE,
     FIELD(mitigation),
     .default_text = "none",
     .choices = mitigations,
     .help = "What is done against many readers making the same value at once; see the page."},
    {.key = "jitter",
     .type = PARAM_RATIO,
     FIELD(jitter),
     .default_text = "50%",
     .minimum = "0%",
     .maximum = "100%",
     .help = "ttl-jitter: each time to live is drawn between (1 - jitter) x ttl and ttl."},
    {.key = "beta",
     .type = PARAM_NUMBER,
     FIELD(beta),
     .default_text = "1",
     .minimum = "0",
     .maximum = "1000",
     .help = "xfetch: above 1 earlier, below 1 later (default: the paper's)."},
    {.key = "stale_for",
     .type = PARAM_DURATION,
     FIELD(stale_for_ns),
     .default_text = "60s",
     .minimum = "0s",
     .maximum = "24h",
     .help = "stale-while-revalidate: for how long beyond its ttl a value is still served while it "
             "is made anew."},
    {.key = "lock_timeout",
     .type = PARAM_DURATION,
     FIELD(lock_timeout_ns),
     .default_text = "3s",
     .minimum = "10ms",
     .maximum = "10min",
     .help = "lock: how long the lock in the cache holds when its owner does not release it; "
             "shorter than cost, and it protects nothing."},
    {.key = "lock_poll",
     .type = PARAM_DURATION,
     FIELD(lock_poll_ns),
     .default_text = "20ms",
     .minimum = "1ms",
     .maximum = "10s",
     .help = "lock: how often who did not get it looks for the value."},
    {.key = "on_cache_error",
     .type = PARAM_CHOICE,
     FIELD(on_cache_error),
     .default_text = "origin",
     .choices = cache_errors,
     .help = "When the cache does not answer: read the database, or fail."},
    {.key = "cache_timeout",
     .type = PARAM_DURATION,
     FIELD(cache_timeout_ns),
     .default_text = "500ms",
     .minimum = "1ms",
     .maximum = "1h",
     .help = "How long one request to the cache may take; then its connection is closed, and that "
             "is an error of the cache."},
    {.key = "connect_timeout",
     .type = PARAM_DURATION,
     FIELD(options.connect_timeout_ns),
     .default_text = "2s",
     .minimum = "10ms",
     .maximum = "10min",
     .help = "One attempt to connect to one server of the cache; meanwhile it does not answer."},
    {.key = "operation_timeout",
     .type = PARAM_DURATION,
     FIELD(options.operation_timeout_ns),
     .default_text = "5s",
     .minimum = "10ms",
     .maximum = "1h",
     .help = "From the scheduled time until a read is given up, with all its requests."},
    {.key = "reconnect_delay",
     .type = PARAM_DURATION,
     FIELD(options.reconnect_delay_ns),
     .default_text = "100ms",
     .minimum = "1ms",
     .maximum = "10min",
     .help = "Pause between attempts to connect to the cache."},
    {.key = "tcp_user_timeout",
     .type = PARAM_DURATION,
     FIELD(options.tcp_user_timeout_ns),
     .default_text = "0s",
     .minimum = "0s",
     .maximum = "1h",
     .help = "TCP_USER_TIMEOUT of the connections to the cache; 0s: the system's default."},
    {.key = "origin_connect_timeout",
     .type = PARAM_DURATION,
     FIELD(origin.client.connect_timeout_ns),
     .default_text = "2s",
     .minimum = "10ms",
     .maximum = "10min",
     .help = "One attempt to connect to one server of the database."},
    {.key = "origin_tcp_user_timeout",
     .type = PARAM_DURATION,
     FIELD(origin.client.tcp_user_timeout_ns),
     .default_text = "0s",
     .minimum = "0s",
     .maximum = "1h",
     .help = "TCP_USER_TIMEOUT of the connections to the database; 0s: the system's default."},
    {.key = "origin_idle",
     .type = PARAM_DURATION,
     FIELD(origin.idle_ns),
     .default_text = "2s",
     .minimum = "0s",
     .maximum = "24h",
     .help = "A connection to the database that was not used for so long is closed; it is opened "
             "when it is needed, as a pool of connections grows and shrinks."},
    {.key = NULL},
};

#define KEYS "gd:c:"
#define LOCKS "gd:l:"

static const struct statement statements[] = {
    [CACHE_ASIDE_GET] = {.meaning = STATEMENT_CACHE_GET,
                         .text = "GET " KEYS "$1",
                         .parameter_count = 1},
    [CACHE_ASIDE_SET] = {.meaning = STATEMENT_CACHE_SET,
                         .text = "SET " KEYS "$1 $2:$3:$5 PX $4",
                         .parameter_count = 5},
    [CACHE_ASIDE_LOCK] = {.meaning = STATEMENT_CACHE_LOCK,
                          .text = "SET " LOCKS "$1 $2 NX PX $3",
                          .parameter_count = 3},
    [CACHE_ASIDE_UNLOCK] = {.meaning = STATEMENT_CACHE_UNLOCK,
                            .text = "UNLINK " LOCKS "$1",
                            .parameter_count = 1},
};

/* A schema of its own: other workloads make theirs anew. */
static const struct statement origin_statements[] = {
    [CACHE_ASIDE_READ] = {.meaning = STATEMENT_ORIGIN_READ,
                          .text = "SELECT version FROM gameday_cache.origin,"
                                  " pg_sleep($2::float8 / 1000000) WHERE key = $1",
                          .parameter_count = 2},
};

static int classes(const struct workload_env *env, struct client_class *ret_classes, uint32_t max,
                   uint32_t *ret_count, struct error *err) {
  const struct cache_aside_config *config = env->config;
  (void)max;
  (void)err;
  ret_classes[0] = (struct client_class){.name = "reader",
                                         .count = config->clients,
                                         .route = ROUTE_PRIMARY,
                                         .host = HOST_NONE,
                                         .rate = config->rate,
                                         .poisson = config->arrival == ARRIVAL_POISSON};
  *ret_count = 1;
  return 0;
}

static const struct client_options *options(const void *config) {
  return &((const struct cache_aside_config *)config)->options;
}

static const struct origin_options *origin_options(const void *config) {
  return &((const struct cache_aside_config *)config)->origin;
}

static int prepare(struct workload_env *env, struct error *err) {
  const struct cache_aside_config *config = env->config;
  const struct access *cache = env->access, *origin = env->origin;
  char text[512];
  snprintf(text, sizeof text,
           "DROP SCHEMA IF EXISTS gameday_cache CASCADE;"
           "CREATE SCHEMA gameday_cache;"
           "CREATE TABLE gameday_cache.origin (key integer PRIMARY KEY, version bigint NOT NULL);"
           "INSERT INTO gameday_cache.origin SELECT k, 1 FROM generate_series(1, %u) k",
           (unsigned)config->keys);
  int status = cache->driver->execute(cache, NULL, "UNLINK gd:c:*", PREPARE_TIMEOUT_NS, err);
  if (status == 0)
    status = cache->driver->execute(cache, NULL, "UNLINK gd:l:*", PREPARE_TIMEOUT_NS, err);
  if (status < 0) return error_wrap(err, "cannot empty the cache");
  status = origin->driver->execute(origin, NULL, text, PREPARE_TIMEOUT_NS, err);
  if (status < 0) return error_wrap(err, "cannot make the table behind the cache");
  return 0;
}

static void plan(struct client *client, struct operation *operation) {
  operation->kind = OPERATION_READ_NEWEST;
  operation->read_identity = cache_process_draw(client->process, prng_unit(&client->prng));
}

static void answer(struct client *client, struct operation *operation, const struct reply *reply) {
  (void)client;
  if (reply->has_row) operation->value = (uint64_t)reply->values[0];
}

/* --- the requests ---------------------------------------------------------------------------- */

static const struct cache_aside_config *config_of(const struct steps *steps) {
  return steps->client->env->config;
}

static uint64_t now_of(const struct steps *steps) {
  return clock_now_ns(steps->client->env->clock);
}

/* As values are stamped: times of the record. */
static uint64_t run_time(const struct steps *steps) {
  uint64_t now_ns = now_of(steps), start_ns = steps->client->env->service->start_ns;
  return now_ns > start_ns ? now_ns - start_ns : 0;
}

static enum next ask(struct steps *steps, uint32_t statement, uint32_t number_count) {
  const struct reading *reading = steps->state;
  struct request *request = steps->request;
  uint64_t limit_ns = now_of(steps) + config_of(steps)->cache_timeout_ns;
  if (limit_ns < request->deadline_ns) request->deadline_ns = limit_ns;
  request->statement = statement;
  request->numbers[0] = reading->key;
  request->number_count = number_count;
  return NEXT_SEND;
}

static enum next get(struct steps *steps, enum reading_stage stage) {
  ((struct reading *)steps->state)->stage = stage;
  return ask(steps, CACHE_ASIDE_GET, 1);
}

static uint64_t live_ns(const struct steps *steps) {
  const struct cache_aside_config *config = config_of(steps);
  double drawn = cache_process_random(steps->client->process);
  if (config->mitigation == CACHE_TTL_JITTER)
    return (uint64_t)((double)config->ttl_ns * (1 - config->jitter * drawn));
  if (config->mitigation == CACHE_STALE_WHILE_REVALIDATE)
    return config->ttl_ns + config->stale_for_ns;
  return config->ttl_ns;
}

static enum next store(struct steps *steps) {
  struct reading *reading = steps->state;
  uint64_t live_ms = live_ns(steps) / NS_PER_MS;
  ledger_payload(steps->client->env->seed, reading->key, reading->stamp_ns,
                 config_of(steps)->payload, steps->payload);
  reading->stage = READING_STORE;
  steps->request->numbers[1] = (int64_t)reading->stamp_ns;
  steps->request->numbers[2] = (int64_t)(reading->cost_ns / NS_PER_US);
  steps->request->numbers[3] = live_ms > 0 ? (int64_t)live_ms : 1;
  steps->request->text = steps->payload;
  return ask(steps, CACHE_ASIDE_SET, 4);
}

static enum next take_lock(struct steps *steps) {
  struct reading *reading = steps->state;
  uint64_t holds_ns = config_of(steps)->lock_timeout_ns;
  reading->stage = READING_LOCK;
  reading->lock_until_ns = now_of(steps) + holds_ns;
  steps->request->numbers[1] = steps->client->index;
  steps->request->numbers[2] = (int64_t)(holds_ns / NS_PER_MS);
  return ask(steps, CACHE_ASIDE_LOCK, 3);
}

static enum next compute(struct steps *steps) {
  struct reading *reading = steps->state;
  struct request *request = steps->request;
  reading->stage = READING_COMPUTE;
  reading->began_ns = now_of(steps);
  request->statement = CACHE_ASIDE_READ;
  request->numbers[0] = reading->key;
  request->numbers[1] = (int64_t)(config_of(steps)->cost_ns / NS_PER_US);
  request->number_count = 2;
  return NEXT_ORIGIN;
}

/* --- the course of a read -------------------------------------------------------------------- */

/* The user has an answer; `stamp_ns` says how old it is. */
static void serve(struct steps *steps, enum cache_source source, uint64_t stamp_ns) {
  struct operation *operation = steps->operation;
  if (!operation) return;
  operation->outcome = OUTCOME_OK;
  operation->code = 0;
  operation->sequence = source;
  operation->value = stamp_ns;
}

/* A lock that may have run out may be somebody else's now: it is left alone. */
static enum next finish(struct steps *steps) {
  struct reading *reading = steps->state;
  cache_process_release(steps->client->process, reading);
  if (reading->locked && now_of(steps) < reading->lock_until_ns) {
    reading->locked = false;
    reading->stage = READING_UNLOCK;
    return ask(steps, CACHE_ASIDE_UNLOCK, 1);
  }
  if (reading->served) {
    serve(steps, reading->source, reading->stamp_ns);
  } else if (steps->operation) {
    steps->operation->outcome = reading->outcome;
    steps->operation->code = reading->code;
  }
  return NEXT_DONE;
}

static enum next fail(struct steps *steps, const struct reply *reply) {
  struct reading *reading = steps->state;
  reading->outcome = reply->outcome == OUTCOME_OK ? OUTCOME_FAIL : reply->outcome;
  reading->code = reply->code;
  return finish(steps);
}

/* The value has to be made anew; by whom? */
static enum next make_anew(struct steps *steps, enum cache_source source) {
  struct reading *reading = steps->state;
  reading->source = source;
  switch ((enum cache_mitigation)config_of(steps)->mitigation) {
    case CACHE_SINGLE_FLIGHT:
      if (cache_process_lead(steps->client->process, reading)) break;
      reading->stage = READING_JOIN;
      steps->until_ns = steps->deadline_ns;
      return NEXT_WAIT;
    case CACHE_LOCK:
      if (source != CACHE_BYPASS) return take_lock(steps);
      break;
    case CACHE_NO_MITIGATION:
    case CACHE_TTL_JITTER:
    case CACHE_STALE_WHILE_REVALIDATE:
    case CACHE_XFETCH: break;
  }
  return compute(steps);
}

static enum next cache_failed(struct steps *steps, const struct reply *reply) {
  if (config_of(steps)->on_cache_error == CACHE_ERROR_FAIL) return fail(steps, reply);
  return make_anew(steps, CACHE_BYPASS);
}

bool cache_aside_early(double beta, double random, uint64_t cost_ns, uint64_t left_ns) {
  return -beta * (double)cost_ns * log(random) >= (double)left_ns;
}

static enum next take_value(struct steps *steps, const struct reply *reply) {
  const struct cache_aside_config *config = config_of(steps);
  struct reading *reading = steps->state;
  uint64_t stamp_ns = (uint64_t)reply->values[0], now_ns = run_time(steps);
  uint64_t cost_ns = (uint64_t)reply->values[1] * NS_PER_US;
  uint64_t age_ns = now_ns > stamp_ns ? now_ns - stamp_ns : 0;
  uint64_t left_ns = age_ns < config->ttl_ns ? config->ttl_ns - age_ns : 0;
  reading->stamp_ns = stamp_ns;
  reading->served = true;
  if (config->mitigation == CACHE_STALE_WHILE_REVALIDATE && left_ns == 0) {
    serve(steps, CACHE_STALE, stamp_ns);
    if (!cache_process_lead(steps->client->process, reading)) return NEXT_DONE;
    reading->stage = READING_REFRESH;
    return NEXT_ANSWERED;
  }
  double random = 1 - cache_process_random(steps->client->process);
  if (config->mitigation == CACHE_XFETCH &&
      cache_aside_early(config->beta, random, cost_ns, left_ns))
    return make_anew(steps, CACHE_EARLY);
  reading->source = left_ns > 0 || config->mitigation == CACHE_TTL_JITTER ? CACHE_HIT : CACHE_STALE;
  return finish(steps);
}

static enum next asked(struct steps *steps, const struct reply *reply) {
  if (reply->outcome != OUTCOME_OK) return cache_failed(steps, reply);
  if (reply->has_row) return take_value(steps, reply);
  return make_anew(steps, CACHE_MISS);
}

static enum next locked(struct steps *steps, const struct reply *reply) {
  struct reading *reading = steps->state;
  if (reply->outcome == OUTCOME_OK) {
    reading->locked = true;
    return compute(steps);
  }
  if (reply->code != code_pack(CODE_CONDITION)) return cache_failed(steps, reply);
  reading->stage = READING_POLL;
  steps->until_ns = now_of(steps) + config_of(steps)->lock_poll_ns;
  return NEXT_WAIT;
}

static enum next polled(struct steps *steps, const struct reply *reply) {
  struct reading *reading = steps->state;
  if (reply->outcome != OUTCOME_OK) return cache_failed(steps, reply);
  if (!reply->has_row) return take_lock(steps);
  reading->served = true;
  reading->source = CACHE_WAITED;
  reading->stamp_ns = (uint64_t)reply->values[0];
  return finish(steps);
}

static enum next computed(struct steps *steps, const struct reply *reply) {
  struct reading *reading = steps->state;
  if (reply->outcome != OUTCOME_OK || !reply->has_row) {
    if (reading->source == CACHE_EARLY) reading->source = CACHE_HIT; /* that value is still good */
    return fail(steps, reply);
  }
  reading->served = true;
  reading->cost_ns = reply->done_ns - reading->began_ns;
  reading->stamp_ns = run_time(steps);
  if (reading->source == CACHE_BYPASS) return finish(steps);
  return store(steps);
}

/* The leader has the value, or has none. */
static enum next joined(struct steps *steps) {
  struct reading *reading = steps->state;
  reading->source = CACHE_WAITED;
  return finish(steps);
}

static enum next next(struct steps *steps, const struct reply *reply) {
  struct reading *reading = steps->state;
  if (steps->over) {
    cache_process_release(steps->client->process, reading);
    return NEXT_DONE;
  }
  switch (reading->stage) {
    case READING_BEGIN:
      reading->steps = steps;
      reading->key = steps->operation->read_identity;
      return get(steps, READING_ASK);
    case READING_ASK: return asked(steps, reply);
    case READING_JOIN: return joined(steps);
    case READING_LOCK: return locked(steps, reply);
    case READING_POLL: return get(steps, READING_POLL_ASK);
    case READING_POLL_ASK: return polled(steps, reply);
    case READING_REFRESH: return compute(steps);
    case READING_COMPUTE: return computed(steps, reply);
    case READING_STORE: /* whether the cache took it does not matter to the user */
    case READING_UNLOCK: return finish(steps);
  }
  return NEXT_DONE;
}

static int validate(const void *data, struct error *err) {
  const struct cache_aside_config *config = data;
  if (config->cost_ns >= config->options.operation_timeout_ns)
    return error_set(err, STATUS_USAGE,
                     "cost must be shorter than operation_timeout: no read would ever get a value");
  if (config->cache_timeout_ns >= config->options.operation_timeout_ns)
    return error_set(err, STATUS_USAGE,
                     "cache_timeout must be shorter than operation_timeout: a cache that does not "
                     "answer would leave no time to read the database");
  return 0;
}

const struct workload workload_cache_aside = {
    .plugin = {.name = "cache-aside",
               .summary = "Readers of popular keys through Redis, with PostgreSQL behind it",
               .params = params,
               .config_size = sizeof(struct cache_aside_config),
               .validate = validate},
    .service = "redis",
    .statements = statements,
    .statement_count = sizeof statements / sizeof *statements,
    .payload_offset = offsetof(struct cache_aside_config, payload),
    .classes = classes,
    .options = options,
    .prepare = prepare,
    .plan = plan,
    .answer = answer,
    .next = next,
    .step_size = sizeof(struct reading),
    .origin = "postgres",
    .origin_statements = origin_statements,
    .origin_statement_count = sizeof origin_statements / sizeof *origin_statements,
    .origin_options = origin_options,
    .process_new = cache_process_new,
    .process_free = cache_process_free,
};
