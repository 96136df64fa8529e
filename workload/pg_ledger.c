/* pg-ledger: a ledger of unique rows in PostgreSQL. Every acknowledged row must be there at the
 * end, and every row that is there must have been sent: what was lost, came twice or came from
 * nowhere is found by comparing. */
#include "workload/pg_ledger.h"

#include <stdlib.h>
#include <string.h>

#include "workload/ledger_row.h"
#include "workload/options.h"

#define PREPARE_TIMEOUT_NS (60 * NS_PER_S)
/* A COPY of ten million rows takes about a minute; this is for a server that hangs. */
#define FINAL_READ_TIMEOUT_NS (600 * NS_PER_S)

#define FIELD(name) .offset = offsetof(struct pg_ledger_config, name)

static const struct param params[] = {
    {.key = "rate", .same = &ledger_rate},
    {.key = "clients",
     .type = PARAM_COUNT,
     FIELD(common.clients),
     .default_text = "8",
     .minimum = "1",
     .maximum = "100000",
     .help = "Writers, each with a connection of its own that follows the primary."},
    {.key = "read_ratio",
     .type = PARAM_RATIO,
     FIELD(common.read_ratio),
     .default_text = "20%",
     .minimum = "0%",
     .maximum = "95%",
     .help = "Share of the rate that reads the client's own last write instead of writing."},
    {.key = "arrival", .same = &ledger_arrival},
    {.key = "payload",
     .type = PARAM_SIZE,
     FIELD(common.payload),
     .default_text = "128B",
     .minimum = "0B",
     .maximum = "1MiB",
     .help = "Size of the text that each row carries under its checksum."},
    {.key = "connect_timeout",
     .type = PARAM_DURATION,
     FIELD(common.options.connect_timeout_ns),
     .default_text = "2s",
     .minimum = "10ms",
     .maximum = "10min",
     .help = "One attempt on one server: name, TCP, TLS, authentication, role. 2 s is the least "
             "that libpq before version 17 takes for its connect_timeout."},
    {.key = "operation_timeout",
     .type = PARAM_DURATION,
     FIELD(common.options.operation_timeout_ns),
     .default_text = "5s",
     .minimum = "10ms",
     .maximum = "1h",
     .help =
         "From the scheduled time until the client gives up; when sent, its connection is closed "
         "and the outcome is unknown."},
    {.key = "reconnect_delay",
     .type = PARAM_DURATION,
     FIELD(common.options.reconnect_delay_ns),
     .default_text = "100ms",
     .minimum = "1ms",
     .maximum = "10min",
     .help = "Pause after a round over all servers that found none to connect to."},
    {.key = "tcp_user_timeout",
     .type = PARAM_DURATION,
     FIELD(common.options.tcp_user_timeout_ns),
     .default_text = "0s",
     .minimum = "0s",
     .maximum = "1h",
     .help = "How long sent data may stay unacknowledged before the kernel closes the connection "
             "(TCP_USER_TIMEOUT); 0s is the system's default, as libpq's is."},
    {.key = "pipeline_depth",
     .type = PARAM_COUNT,
     FIELD(common.options.pipeline_depth),
     .default_text = "1",
     .minimum = "1",
     .maximum = "1024",
     .help =
         "Operations in flight on one connection; above 1 libpq's pipeline mode, each statement "
         "still commits alone."},
    {.key = "pinned_rate", .same = &ledger_pinned_rate},
    {.key = "replica_rate",
     .type = PARAM_RATE,
     FIELD(replica_rate),
     .default_text = "10/s",
     .minimum = "0/s",
     .maximum = "100000/s",
     .help = "Reads of the newest row on each host, for staleness."},
    {.key = "heartbeat",
     .type = PARAM_DURATION,
     FIELD(common.heartbeat_ns),
     .default_text = "100ms",
     .minimum = "1ms",
     .maximum = "1min",
     .help = "Interval of a beat written on the primary and read on each host: the replication lag "
             "end to end, to this resolution."},
    {.key = "probe_interval",
     .type = PARAM_DURATION,
     FIELD(common.probe_interval_ns),
     .default_text = "1s",
     .minimum = "10ms",
     .maximum = "1h",
     .help = "Interval of the probe with a fresh connection: connect, authenticate, read, write, "
             "close, each timed."},
    {.key = NULL},
};

static const struct statement statements[] = {
    [PG_LEDGER_APPEND] = {.meaning = STATEMENT_APPEND,
                          .text =
                              "INSERT INTO gameday.ledger (identity, sequence, checksum, payload)"
                              " VALUES ($1, $2, $3, $4)",
                          .parameter_count = 4},
    [PG_LEDGER_APPEND_HERE] = {.meaning = STATEMENT_APPEND,
                               .text = "SELECT gameday.append_here($1, $2, $3, $4)",
                               .parameter_count = 4},
    [PG_LEDGER_READ_OWN] = {.meaning = STATEMENT_READ_OWN,
                            .text = "SELECT identity, sequence FROM gameday.ledger"
                                    " WHERE identity = $1 ORDER BY sequence DESC LIMIT 1",
                            .parameter_count = 1},
    [PG_LEDGER_READ_NEWEST] = {.meaning = STATEMENT_READ_NEWEST,
                               .text = "SELECT identity, sequence FROM gameday.ledger"
                                       " ORDER BY position DESC LIMIT 1",
                               .parameter_count = 0},
    [PG_LEDGER_HEARTBEAT_SET] = {.meaning = STATEMENT_HEARTBEAT_SET,
                                 .text = "UPDATE gameday.heartbeat SET beat = $1 WHERE id = 1",
                                 .parameter_count = 1},
    [PG_LEDGER_HEARTBEAT_GET] = {.meaning = STATEMENT_HEARTBEAT_GET,
                                 .text = "SELECT beat FROM gameday.heartbeat WHERE id = 1",
                                 .parameter_count = 0},
};

/* No other run of the same cluster may leave rows behind. The heartbeat's page has room for the
 * next versions of its row, so that no index is touched ten times a second. Pinned clients ask the
 * replicas too, a hundred times a second, and an INSERT there would fill their logs with errors. */
static const char tables_text[] =
    "DROP SCHEMA IF EXISTS gameday CASCADE;"
    "CREATE SCHEMA gameday;"
    "CREATE TABLE gameday.ledger ("
    "  identity integer NOT NULL,"
    "  sequence bigint NOT NULL,"
    "  checksum bigint NOT NULL,"
    "  payload text NOT NULL,"
    "  position bigint GENERATED ALWAYS AS IDENTITY,"
    "  PRIMARY KEY (identity, sequence));"
    "CREATE INDEX ledger_position ON gameday.ledger (position);"
    "CREATE TABLE gameday.heartbeat ("
    "  id integer PRIMARY KEY,"
    "  beat bigint NOT NULL) WITH (fillfactor = 10);"
    "INSERT INTO gameday.heartbeat VALUES (1, 0);"
    "CREATE FUNCTION gameday.append_here(integer, bigint, bigint, text) RETURNS integer"
    " LANGUAGE plpgsql AS $$ BEGIN"
    "  IF pg_is_in_recovery() THEN RETURN 0; END IF;"
    "  INSERT INTO gameday.ledger (identity, sequence, checksum, payload)"
    "  VALUES ($1, $2, $3, $4);"
    "  RETURN 1;"
    " END $$";

/* --- clients --------------------------------------------------------------------------------- */

#define USES(statement) (UINT32_C(1) << (statement))

static struct client_class replica_class(const struct pg_ledger_config *config, uint16_t host) {
  return (struct client_class){.name = "replica",
                               .count = 1,
                               .route = ROUTE_REPLICA,
                               .host = host,
                               .rate = config->replica_rate,
                               .uses = USES(PG_LEDGER_READ_NEWEST)};
}

static int classes(const struct workload_env *env, struct client_class *ret_classes, uint32_t max,
                   uint32_t *ret_count, struct error *err) {
  const struct pg_ledger_config *config = env->config;
  const struct access *access = env->access;
  if (3 + 3 * access->endpoint_count > max) {
    return error_set(err, STATUS_USAGE, "%u hosts are more than the load has classes for",
                     (unsigned)access->endpoint_count);
  }
  const struct ledger_config *common = &config->common;
  uint32_t count = 0;
  ret_classes[count++] = ledger_writers(common, USES(PG_LEDGER_APPEND) | USES(PG_LEDGER_READ_OWN));
  ret_classes[count++] = ledger_heartbeat_writer(common, USES(PG_LEDGER_HEARTBEAT_SET));
  ret_classes[count++] = ledger_probe(common, USES(PG_LEDGER_READ_NEWEST) | USES(PG_LEDGER_APPEND));
  for (uint32_t i = 0; i < access->endpoint_count; i++) {
    uint16_t host = access->endpoints[i].host;
    if (common->pinned_rate > 0)
      ret_classes[count++] = ledger_pinned(common, host, USES(PG_LEDGER_APPEND_HERE));
    if (config->replica_rate > 0) ret_classes[count++] = replica_class(config, host);
    ret_classes[count++] = ledger_heartbeat_reader(common, host, USES(PG_LEDGER_HEARTBEAT_GET));
  }
  *ret_count = count;
  return 0;
}

static int prepare(struct workload_env *env, struct error *err) {
  const struct access *access = env->access;
  int status = access->driver->execute(access, NULL, tables_text, PREPARE_TIMEOUT_NS, err);
  if (status < 0) return error_wrap(err, "cannot make the ledger's tables");
  return 0;
}

/* --- operations ------------------------------------------------------------------------------ */

static void submit(struct client *client, struct operation *operation, struct request *request,
                   char *payload) {
  switch (operation->kind) {
    case OPERATION_WRITE:
    case OPERATION_PROBE:
      ledger_append(client, operation, request, payload);
      request->statement =
          client->class->route == ROUTE_PINNED ? PG_LEDGER_APPEND_HERE : PG_LEDGER_APPEND;
      break;
    case OPERATION_READ_OWN:
      operation->read_identity = client->identity;
      request->statement = PG_LEDGER_READ_OWN;
      request->numbers[0] = client->identity;
      request->number_count = 1;
      break;
    case OPERATION_READ_NEWEST: request->statement = PG_LEDGER_READ_NEWEST; break;
    case OPERATION_HEARTBEAT_WRITE:
      operation->value = operation->sequence;
      request->statement = PG_LEDGER_HEARTBEAT_SET;
      request->numbers[0] = (int64_t)operation->sequence;
      request->number_count = 1;
      break;
    case OPERATION_HEARTBEAT_READ: request->statement = PG_LEDGER_HEARTBEAT_GET; break;
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

/* Millions of rows are read back: by hand this takes a tenth of strtoll()'s time. */
static bool parse_number(const char *text, int64_t *ret_number) {
  if (!text) return false;
  bool negative = *text == '-';
  if (negative) text++;
  uint64_t number = 0, limit = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
  if (*text == '\0') return false;
  for (; *text; text++) {
    if (*text < '0' || *text > '9') return false;
    uint64_t digit = (uint64_t)(*text - '0');
    if (number > (limit - digit) / 10) return false;
    number = number * 10 + digit;
  }
  *ret_number = negative ? (int64_t)-number : (int64_t)number;
  return true;
}

static int take_row(void *data, const char *const columns[], uint32_t count, struct error *err) {
  struct final_reader *reader = data;
  int64_t identity, sequence, stored;
  if (count != 4 || !parse_number(columns[0], &identity) || !parse_number(columns[1], &sequence) ||
      !parse_number(columns[2], &stored) || !columns[3]) {
    return error_set(err, STATUS_SERVER, "the ledger has a row that is none of its rows");
  }
  uint32_t checksum =
      ledger_checksum((uint32_t)identity, (uint64_t)sequence, columns[3], strlen(columns[3]));
  struct final_row row = {.identity = (uint32_t)identity,
                          .corrupt = stored != (int64_t)checksum,
                          .sequence = (uint64_t)sequence,
                          .value = checksum};
  return reader->row(reader, &row, err);
}

static int final_read(struct workload_env *env, const struct endpoint *host,
                      struct final_reader *reader, struct error *err) {
  static const char text[] =
      "COPY (SELECT identity, sequence, checksum, payload FROM gameday.ledger) TO STDOUT";
  int status = env->access->driver->read_rows(env->access, host, text, FINAL_READ_TIMEOUT_NS,
                                              take_row, reader, err);
  if (status < 0) return error_wrap(err, "cannot read the ledger of %s", host->name);
  return 0;
}

static int validate(const void *data, struct error *err) {
  const struct pg_ledger_config *config = data;
  return client_options_validate(&config->common.options, err);
}

const struct workload workload_pg_ledger = {
    .plugin = {.name = "pg-ledger",
               .summary =
                   "Unique checksummed rows in PostgreSQL, every one accounted for at the end",
               .params = params,
               .config_size = sizeof(struct pg_ledger_config),
               .validate = validate},
    .service = "postgres",
    .statements = statements,
    .statement_count = sizeof statements / sizeof *statements,
    .payload_offset = offsetof(struct pg_ledger_config, common.payload),
    .classes = classes,
    .options = ledger_options,
    .prepare = prepare,
    .plan = ledger_plan,
    .submit = submit,
    .answer = ledger_answer,
    .final_read = final_read,
};
