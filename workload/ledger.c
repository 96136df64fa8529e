/* The clients of a ledger: writers, probes, heartbeats, and writers on each host. */
#include "workload/ledger.h"

#include "workload/ledger_row.h"
#include "workload/options.h"

#define FIELD(name) .offset = offsetof(struct ledger_config, name)

const struct param ledger_rate = {
    .key = "rate",
    .type = PARAM_RATE,
    FIELD(rate),
    .default_text = "200/s",
    .minimum = "1/s",
    .maximum = "1000000/s",
    .help =
        "Operations of all writers together, writes and reads; one every 5 ms resolves an "
        "outage to 5 ms."};

const struct param ledger_arrival = {
    .key = "arrival",
    .type = PARAM_CHOICE,
    FIELD(arrival),
    .default_text = "constant",
    .choices = arrival_choices,
    .help =
        "Gaps between a client's operations: even, for the finest resolution of an outage, or "
        "exponential (poisson), as independent users arrive."};

const struct param ledger_pinned_rate = {
    .key = "pinned_rate",
    .type = PARAM_RATE,
    FIELD(pinned_rate),
    .default_text = "100/s",
    .minimum = "0/s",
    .maximum = "100000/s",
    .help =
        "Writes to each host directly, whatever its role: an old primary that still "
        "acknowledges is seen only so, and a new one is seen first so: failover_time is "
        "measured to this resolution."};

static double rate_of(uint64_t interval_ns) {
  return 1e9 / (double)interval_ns;
}

struct client_class ledger_writers(const struct ledger_config *config, uint32_t uses) {
  return (struct client_class){.name = "writer",
                               .count = config->clients,
                               .route = ROUTE_PRIMARY,
                               .host = HOST_NONE,
                               .rate = config->rate,
                               .uses = uses,
                               .poisson = config->arrival == ARRIVAL_POISSON};
}

struct client_class ledger_probe(const struct ledger_config *config, uint32_t uses) {
  return (struct client_class){.name = "probe",
                               .count = 1,
                               .route = ROUTE_PRIMARY,
                               .host = HOST_NONE,
                               .rate = rate_of(config->probe_interval_ns),
                               .uses = uses,
                               .fresh = true};
}

struct client_class ledger_heartbeat_writer(const struct ledger_config *config, uint32_t uses) {
  return (struct client_class){.name = "heartbeat-writer",
                               .count = 1,
                               .route = ROUTE_PRIMARY,
                               .host = HOST_NONE,
                               .rate = rate_of(config->heartbeat_ns),
                               .uses = uses,
                               .always_on = true};
}

struct client_class ledger_heartbeat_reader(const struct ledger_config *config, uint16_t host,
                                            uint32_t uses) {
  return (struct client_class){.name = "heartbeat-reader",
                               .count = 1,
                               .route = ROUTE_PINNED,
                               .host = host,
                               .rate = rate_of(config->heartbeat_ns),
                               .uses = uses,
                               .always_on = true};
}

struct client_class ledger_pinned(const struct ledger_config *config, uint16_t host,
                                  uint32_t uses) {
  return (struct client_class){.name = "pinned",
                               .count = 1,
                               .route = ROUTE_PINNED,
                               .host = host,
                               .rate = config->pinned_rate,
                               .uses = uses};
}

const struct client_options *ledger_options(const void *config) {
  return &((const struct ledger_config *)config)->options;
}

static enum operation_kind kind_of(struct client *client) {
  const struct ledger_config *config = client->env->config;
  const struct client_class *class = client->class;
  bool primary = class->route == ROUTE_PRIMARY;
  if (class->always_on) return primary ? OPERATION_HEARTBEAT_WRITE : OPERATION_HEARTBEAT_READ;
  if (class->fresh) return OPERATION_PROBE;
  if (class->route == ROUTE_REPLICA) return OPERATION_READ_NEWEST;
  if (class->route == ROUTE_PINNED) return OPERATION_WRITE;
  return prng_unit(&client->prng) < config->read_ratio ? OPERATION_READ_OWN : OPERATION_WRITE;
}

void ledger_plan(struct client *client, struct operation *operation) {
  operation->kind = kind_of(client);
}

void ledger_answer(struct client *client, struct operation *operation, const struct reply *reply) {
  (void)client;
  if (!reply->has_row) return;
  if (operation->kind == OPERATION_HEARTBEAT_READ) {
    operation->value = (uint64_t)reply->values[0];
  } else if (operation->kind == OPERATION_READ_OWN || operation->kind == OPERATION_READ_NEWEST) {
    operation->read_identity = (uint32_t)reply->values[0];
    operation->value = (uint64_t)reply->values[1];
  }
}

void ledger_append(struct client *client, struct operation *operation, struct request *request,
                   char *payload) {
  const struct ledger_config *config = client->env->config;
  ledger_payload(client->env->seed, operation->identity, operation->sequence, config->payload,
                 payload);
  operation->value =
      ledger_checksum(operation->identity, operation->sequence, payload, config->payload);
  request->numbers[0] = operation->identity;
  request->numbers[1] = (int64_t)operation->sequence;
  request->numbers[2] = (int64_t)operation->value;
  request->number_count = 3;
  request->text = payload;
}
