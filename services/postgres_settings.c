/* What is really in effect, read from the servers: parameters by host, Patroni's dynamic
 * configuration, versions; and the bounds that follow from it. */
#include "services/postgres_settings.h"

#include <string.h>

#include "services/settings.h"

#define TIMEOUT_NS (3 * NS_PER_S)

/* What decides about loss, lag and the time to recover. Names that a version does not have are left
 * out by the server. */
static const char *const parameter_names[] = {
    "synchronous_commit",
    "synchronous_standby_names",
    "wal_level",
    "fsync",
    "full_page_writes",
    "max_connections",
    "shared_buffers",
    "wal_keep_size",
    "max_slot_wal_keep_size",
    "hot_standby_feedback",
    "max_wal_senders",
    "max_replication_slots",
    "wal_sender_timeout",
    "wal_receiver_timeout",
    "wal_receiver_status_interval",
    "wal_retrieve_retry_interval",
    "recovery_min_apply_delay",
    "max_standby_streaming_delay",
    "checkpoint_timeout",
    "checkpoint_completion_target",
    "max_wal_size",
    "wal_sync_method",
    "wal_log_hints",
    "wal_compression",
    "commit_delay",
    "tcp_keepalives_idle",
    "tcp_keepalives_interval",
    "tcp_keepalives_count",
    "tcp_user_timeout",
    "data_checksums",
    "password_encryption",
    "ssl",
    "ssl_min_protocol_version",
    "block_size",
    "wal_segment_size",
    "restart_after_crash",
    "superuser_reserved_connections",
    "idle_replication_slot_timeout",
    "sync_replication_slots",
};

static int add_literal(PGconn *conn, const char *text, bool first, struct buf *query,
                       struct error *err) {
  char *literal = PQescapeLiteral(conn, text, strlen(text));
  if (!literal) return error_set(err, STATUS_MEMORY, "out of memory for a query");
  buf_printf(query, "%s%s", first ? "" : ", ", literal);
  PQfreemem(literal);
  return 0;
}

static int settings_query(PGconn *conn, const struct settings *asked, struct buf *query,
                          struct error *err) {
  int status = 0;
  buf_puts(query,
           "select name, current_setting(name), source, pending_restart from pg_settings"
           " where lower(name) = any (array[");
  for (size_t i = 0; status == 0 && i < sizeof parameter_names / sizeof parameter_names[0]; i++)
    status = add_literal(conn, parameter_names[i], i == 0, query, err);
  buf_puts(query, "]) or lower(name) = any (array[''");
  for (uint32_t i = 0; status == 0 && i < asked->count; i++) {
    buf_puts(query, ", lower(");
    status = add_literal(conn, asked->items[i].name, true, query, err);
    buf_putc(query, ')');
  }
  buf_puts(query, "]) order by name");
  return status == 0 ? buf_ok(query, err) : status;
}

/* {"name": {"value": ..., "source": ...}}: whether a value is a default matters when two runs are
 * compared. */
static json_t *settings_object(const PGresult *result) {
  json_t *object = json_object();
  for (int row = 0; row < PQntuples(result); row++) {
    json_t *one = json_pack("{s:s, s:s}", "value", PQgetvalue(result, row, 1), "source",
                            PQgetvalue(result, row, 2));
    if (PQgetvalue(result, row, 3)[0] == 't')
      json_object_set_new(one, "pending_restart", json_true());
    if (json_object_set_new(object, PQgetvalue(result, row, 0), one) < 0) {
      json_decref(object);
      return NULL;
    }
  }
  return object;
}

static int read_host(struct service_instance *service, uint32_t member, json_t *hosts,
                     json_t *versions, struct error *err) {
  const char *name = service->members[member]->name;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + TIMEOUT_NS;
  CLEANUP(cleanup_conn) PGconn *conn = NULL;
  CLEANUP(cleanup_result) PGresult *result = NULL;
  CLEANUP(cleanup_result) PGresult *facts = NULL;
  CLEANUP(buf_release) struct buf query;
  buf_init(&query);
  int status = postgres_sql_connect(service, member, deadline_ns, &conn, err);
  if (status == 0)
    status = settings_query(conn, &postgres_config(service)->parameters, &query, err);
  if (status == 0) status = postgres_sql_query(conn, query.data, deadline_ns, &result, err);
  if (status == 0)
    status = postgres_sql_query(
        conn, "select current_setting('server_version'), pg_is_in_recovery(), version()",
        deadline_ns, &facts, err);
  if (status < 0) return error_wrap(err, "cannot read the settings of %s", name);
  const char *version = PQgetvalue(facts, 0, 0);
  bool primary = PQgetvalue(facts, 0, 1)[0] != 't';
  if (settings_put_host(hosts, name, primary, version, settings_object(result)) < 0 ||
      json_object_set_new(versions, "postgresql", json_string(version)) < 0)
    return error_set(err, STATUS_MEMORY, "out of memory for settings");
  return 0;
}

/* An answer of Patroni or etcd as JSON; anything else is the server's fault. */
static int parse_answer(const struct buf *answer, const char *who, json_t **ret,
                        struct error *err) {
  json_t *root = json_loadb(answer->data, answer->length, 0, NULL);
  if (!json_is_object(root)) {
    json_decref(root);
    return error_set(err, STATUS_SERVER, "%s did not answer with JSON", who);
  }
  *ret = root;
  return 0;
}

static int read_patroni(struct service_instance *service, json_t *settings, json_t *versions,
                        struct error *err) {
  CLEANUP(buf_release) struct buf answer;
  buf_init(&answer);
  json_t *config = NULL, *patroni = NULL, *etcd = NULL;
  long code = 0;
  int status = postgres_rest(service, 0, "GET", "/config", NULL, TIMEOUT_NS, &code, &answer, err);
  if (status == 0) status = parse_answer(&answer, "Patroni", &config, err);
  if (status < 0) return status;
  json_object_set_new(settings, "patroni", config);
  buf_clear(&answer);
  status = postgres_rest(service, 0, "GET", "/patroni", NULL, TIMEOUT_NS, &code, &answer, err);
  if (status == 0) status = parse_answer(&answer, "Patroni", &patroni, err);
  if (status < 0) return status;
  json_object_set(versions, "patroni",
                  json_object_get(json_object_get(patroni, "patroni"), "version"));
  json_decref(patroni);
  buf_clear(&answer);
  status = postgres_etcd_get(service, 0, "/version", TIMEOUT_NS, &answer, err);
  if (status == 0) status = parse_answer(&answer, "etcd", &etcd, err);
  if (status < 0) return status;
  json_object_set(versions, "etcd", json_object_get(etcd, "etcdserver"));
  json_decref(etcd);
  json_object_set_new(settings, "etcd",
                      json_pack("{s:I, s:I, s:I}", "voters",
                                (json_int_t)postgres_etcd_count(postgres_config(service)),
                                "heartbeat_interval_ms", (json_int_t)ETCD_HEARTBEAT_MS,
                                "election_timeout_ms", (json_int_t)ETCD_ELECTION_MS));
  return 0;
}

static double number_or(const json_t *object, const char *key, double otherwise) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : otherwise;
}

/* Absent means Patroni's own default (docs/dynamic_configuration.rst). */
struct postgres_timing postgres_timing_of(const json_t *patroni) {
  return (struct postgres_timing){
      .ttl_s = number_or(patroni, "ttl", 30),
      .loop_wait_s = number_or(patroni, "loop_wait", 10),
      .primary_start_timeout_s = number_or(patroni, "primary_start_timeout",
                                           number_or(patroni, "master_start_timeout", 300)),
  };
}

static int collect(struct service_instance *service, void *root, struct error *err) {
  static const char *const topologies[] = {"patroni", "streaming", "single"};
  const struct postgres_config *config = postgres_config(service);
  json_t *hosts = json_object(), *versions = json_object();
  json_t *settings = json_pack("{s:s, s:o, s:o}", "topology", topologies[config->topology], "hosts",
                               hosts, "versions", versions);
  if (!settings || json_object_set_new(root, "settings", settings) < 0)
    return error_set(err, STATUS_MEMORY, "out of memory for settings");
  int status = 0;
  for (uint32_t i = 0; status == 0 && i < postgres_instances(config); i++)
    status = read_host(service, i, hosts, versions, err);
  if (status == 0 && config->topology == TOPOLOGY_PATRONI)
    status = read_patroni(service, settings, versions, err);
  if (status < 0) return status;
  const struct postgres_timing timing = postgres_timing_of(json_object_get(settings, "patroni"));
  if (json_object_set_new(root, "bounds", postgres_bounds(config, &timing)) < 0)
    return error_set(err, STATUS_MEMORY, "out of memory for settings");
  return 0;
}

int postgres_settings(struct service_instance *service, struct buf *json, struct error *err) {
  return settings_collect(service, postgres_state(service)->monitor, collect, json, err);
}
