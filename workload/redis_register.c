/* redis-register: few keys that all clients read, write, and compare and set by a script. Every
 * value is unique, and the record says which write each read found: enough to look for an order in
 * which all of it could have happened one after the other. */
#include "workload/redis_register.h"

#include <string.h>

#include "workload/options.h"

#define PREPARE_TIMEOUT_NS (60 * NS_PER_S)

#define FIELD(name) .offset = offsetof(struct redis_register_config, name)

static const struct param params[] = {
    {.key = "rate",
     .type = PARAM_RATE,
     FIELD(rate),
     .default_text = "100/s",
     .minimum = "1/s",
     .maximum = "100000/s",
     .help = "Operations of all clients together on all registers."},
    {.key = "clients",
     .type = PARAM_COUNT,
     FIELD(clients),
     .default_text = "5",
     .minimum = "1",
     .maximum = "1000",
     .help = "Clients that follow the primary; the more at once, the harder it is to find an order "
             "for what they did."},
    {.key = "keys",
     .type = PARAM_COUNT,
     FIELD(keys),
     .default_text = "5",
     .minimum = "1",
     .maximum = "10000",
     .help = "Registers, each as often used as the others."},
    {.key = "write_ratio",
     .type = PARAM_RATIO,
     FIELD(write_ratio),
     .default_text = "30%",
     .minimum = "1%",
     .maximum = "99%",
     .help = "Share of the operations that write whatever the register holds."},
    {.key = "cas_ratio",
     .type = PARAM_RATIO,
     FIELD(cas_ratio),
     .default_text = "20%",
     .minimum = "0%",
     .maximum = "98%",
     .help = "Share that compares and sets: writes when the register holds what the client read "
             "last. The rest reads."},
    {.key = "arrival",
     .type = PARAM_CHOICE,
     FIELD(arrival),
     .default_text = "constant",
     .choices = arrival_choices,
     .help = "Gaps between a client's operations: even, or exponential (poisson), as independent "
             "users arrive."},
    {.key = "pinned_rate",
     .type = PARAM_RATE,
     FIELD(pinned_rate),
     .default_text = "0/s",
     .minimum = "0/s",
     .maximum = "10000/s",
     .help =
         "Operations of one more client a host, which goes to that host whatever its role: what "
         "two primaries do shows there."},
    {.key = "connect_timeout", .same = &redis_connect_timeout},
    {.key = "operation_timeout", .same = &redis_operation_timeout},
    {.key = "reconnect_delay", .same = &redis_reconnect_delay},
    {.key = "tcp_user_timeout", .same = &redis_tcp_user_timeout},
    {.key = "pipeline_depth",
     .type = PARAM_COUNT,
     FIELD(options.pipeline_depth),
     .default_text = "1",
     .minimum = "1",
     .maximum = "1024",
     .help = "Operations in flight of one client; with one they follow each other, as those of one "
             "process do."},
    {.key = NULL},
};

#define REGISTER "gd:r:$1"
/* No spaces: they end words. Nil for a register that holds something else. */
#define COMPARE_AND_SET                                \
  "if(redis.call('GET',KEYS[1])==ARGV[1])then\treturn" \
  "(redis.call('SET',KEYS[1],ARGV[2]))end;return(false)"

static const struct statement statements[] = {
    [REDIS_REGISTER_READ] = {.meaning = STATEMENT_READ_NEWEST,
                             .text = "GET " REGISTER,
                             .parameter_count = 1},
    [REDIS_REGISTER_WRITE] = {.meaning = STATEMENT_APPEND,
                              .text = "SET " REGISTER " $2:$3",
                              .parameter_count = 3},
    [REDIS_REGISTER_CAS] = {.meaning = STATEMENT_APPEND,
                            .text = "EVAL " COMPARE_AND_SET " 1 " REGISTER " $2:$3 $4:$5",
                            .parameter_count = 5},
};

/* --- clients --------------------------------------------------------------------------------- */

static int classes(const struct workload_env *env, struct client_class *ret_classes, uint32_t max,
                   uint32_t *ret_count, struct error *err) {
  const struct redis_register_config *config = env->config;
  const struct access *access = env->access;
  uint32_t pinned = config->pinned_rate > 0 ? access->endpoint_count : 0;
  if (pinned + 1 > max)
    return error_set(err, STATUS_USAGE, "%u hosts are more than the load has classes for",
                     (unsigned)pinned);
  bool poisson = config->arrival == ARRIVAL_POISSON;
  ret_classes[0] = (struct client_class){.name = "client",
                                         .count = config->clients,
                                         .route = ROUTE_PRIMARY,
                                         .host = HOST_NONE,
                                         .rate = config->rate,
                                         .poisson = poisson};
  for (uint32_t i = 0; i < pinned; i++)
    ret_classes[1 + i] = (struct client_class){.name = "pinned",
                                               .count = 1,
                                               .route = ROUTE_PINNED,
                                               .host = access->endpoints[i].host,
                                               .rate = config->pinned_rate,
                                               .poisson = poisson};
  *ret_count = pinned + 1;
  return 0;
}

static const struct client_options *options(const void *config) {
  return &((const struct redis_register_config *)config)->options;
}

/* A register that nobody has written holds nothing. */
static int prepare(struct workload_env *env, struct error *err) {
  const struct access *access = env->access;
  int status = access->driver->execute(access, NULL, "UNLINK gd:*", PREPARE_TIMEOUT_NS, err);
  return status < 0 ? error_wrap(err, "cannot empty the registers") : 0;
}

/* --- operations ------------------------------------------------------------------------------ */

/* Of client.memory: what it read last, and where. */
enum register_memory { READ_NUMBER, READ_IDENTITY, READ_SEQUENCE };

static void plan(struct client *client, struct operation *operation) {
  const struct redis_register_config *config = client->env->config;
  double drawn = prng_unit(&client->prng);
  enum operation_kind kind = OPERATION_REGISTER_READ;
  if (drawn < config->write_ratio)
    kind = OPERATION_WRITE;
  else if (drawn < config->write_ratio + config->cas_ratio)
    kind = OPERATION_REGISTER_CAS;
  operation->kind = kind;
  /* Known from the schedule on; the sequence comes with what it is. */
  operation->value = register_value(prng_below(&client->prng, config->keys) + 1, 0);
}

static void submit_cas(struct client *client, struct operation *operation,
                       struct request *request) {
  const uint64_t *memory = client->memory;
  request->statement = REDIS_REGISTER_CAS;
  if (memory[READ_NUMBER] > 0) { /* where it knows what to expect */
    operation->value = register_value(memory[READ_NUMBER], memory[READ_SEQUENCE]);
    operation->read_identity = (uint32_t)memory[READ_IDENTITY];
    request->numbers[0] = (int64_t)memory[READ_NUMBER];
  }
  request->numbers[1] = operation->read_identity;
  request->numbers[2] = (int64_t)memory[READ_SEQUENCE];
  request->numbers[3] = operation->identity;
  request->numbers[4] = (int64_t)operation->sequence;
  request->number_count = 5;
}

static void submit(struct client *client, struct operation *operation, struct request *request,
                   char *payload) {
  (void)payload;
  request->numbers[0] = (int64_t)(operation->value >> REGISTER_SHIFT);
  if (operation->kind == OPERATION_REGISTER_CAS) {
    submit_cas(client, operation, request);
  } else if (operation->kind == OPERATION_WRITE) {
    request->statement = REDIS_REGISTER_WRITE;
    request->numbers[1] = operation->identity;
    request->numbers[2] = (int64_t)operation->sequence;
    request->number_count = 3;
  } else {
    request->statement = REDIS_REGISTER_READ;
    request->number_count = 1;
  }
}

static void answer(struct client *client, struct operation *operation, const struct reply *reply) {
  if (operation->kind != OPERATION_REGISTER_READ || operation->outcome != OUTCOME_OK) return;
  uint64_t number = operation->value >> REGISTER_SHIFT;
  if (!reply->has_row) return;
  operation->read_identity = (uint32_t)reply->values[0];
  operation->value = register_value(number, (uint64_t)reply->values[1]);
  client->memory[READ_NUMBER] = number;
  client->memory[READ_IDENTITY] = operation->read_identity;
  client->memory[READ_SEQUENCE] = (uint64_t)reply->values[1];
}

static int validate(const void *data, struct error *err) {
  const struct redis_register_config *config = data;
  int status = client_options_validate(&config->options, err);
  if (status < 0) return status;
  if (config->write_ratio + config->cas_ratio > 0.99)
    return error_set(err, STATUS_USAGE,
                     "write_ratio and cas_ratio leave nothing to read; expected 99%% at most of "
                     "both");
  return 0;
}

const struct workload workload_redis_register = {
    .plugin = {.name = "redis-register",
               .summary = "Few keys that all clients read, write and compare and set",
               .params = params,
               .config_size = sizeof(struct redis_register_config),
               .validate = validate},
    .service = "redis",
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
