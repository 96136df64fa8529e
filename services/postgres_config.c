/* The configuration files of Patroni, etcd and PostgreSQL as text. Pure: from a plan to bytes. */
#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "services/postgres.h"

#define TLS_DIRECTORY POSTGRES_CONFIG_DIRECTORY "/tls"

/* Local replication connections are Patroni's own look at the timeline. The superuser may come in
 * without a password only as the operating system's user `postgres` of the same host. */
static const char *const hba_lines[] = {
    "local all postgres peer",
    "local all all scram-sha-256",
    "local replication replicator scram-sha-256",
    "hostssl all all all scram-sha-256",
    "hostssl replication replicator all scram-sha-256",
};
#define HBA_LINE_COUNT (sizeof hba_lines / sizeof hba_lines[0])

struct pair {
  const char *name, *value;
};
/* What must be so for the run to work; a scenario cannot change these. */
static const struct pair fixed_parameters[] = {
    {"ssl", "on"},
    {"ssl_cert_file", TLS_DIRECTORY "/server.crt"},
    {"ssl_key_file", TLS_DIRECTORY "/server.key"},
    {"ssl_ca_file", TLS_DIRECTORY "/ca.crt"},
    {"password_encryption", "scram-sha-256"},
    {"unix_socket_directories", POSTGRES_SOCKETS},
    {"logging_collector", "off"},
    {"log_destination", "stderr"},
};
#define FIXED_PARAMETER_COUNT (sizeof fixed_parameters / sizeof fixed_parameters[0])

static json_int_t whole_seconds(uint64_t value_ns) {
  return (json_int_t)(value_ns / NS_PER_S);
}

/* Appends the object as JSON, which is YAML too, and frees it; `object` NULL: out of memory. */
static int dump(json_t *object, struct buf *ret, struct error *err) {
  char *text = object ? json_dumps(object, JSON_INDENT(2)) : NULL;
  json_decref(object);
  if (!text) return error_set(err, STATUS_MEMORY, "out of memory for a configuration");
  buf_puts(ret, text);
  buf_putc(ret, '\n');
  explicit_bzero(text, strlen(text)); /* it may hold passwords */
  free(text);
  return buf_ok(ret, err);
}

/* NULL instead of the object when a member could not be added: none is lost in silence. */
static json_t *whole(json_t *object, size_t expected_count) {
  size_t count = json_is_array(object) ? json_array_size(object) : json_object_size(object);
  if (count == expected_count) return object;
  json_decref(object);
  return NULL;
}

static json_t *authentication(const char *user, const char *password) {
  return json_pack("{s:s, s:s, s:s, s:s}", "username", user, "password", password, "sslmode",
                   "verify-full", "sslrootcert", TLS_DIRECTORY "/ca.crt");
}

static json_t *dynamic_configuration(const struct postgres_config *config) {
  json_t *parameters = json_pack("{s:I}", "max_connections", (json_int_t)config->max_connections);
  for (uint32_t i = 0; i < config->parameters.count; i++)
    json_object_set_new(parameters, config->parameters.items[i].name,
                        json_string(config->parameters.items[i].value));
  parameters = whole(parameters, 1u + config->parameters.count);
  json_t *postgresql = json_pack("{s:b, s:b, s:o}", "use_pg_rewind", config->use_pg_rewind,
                                 "use_slots", 1, "parameters", parameters);
  return json_pack("{s:I, s:I, s:I, s:I, s:I, s:b, s:b, s:I, s:o}", "ttl",
                   whole_seconds(config->ttl_ns), "loop_wait", whole_seconds(config->loop_wait_ns),
                   "retry_timeout", whole_seconds(config->retry_timeout_ns),
                   "primary_start_timeout", whole_seconds(config->primary_start_timeout_ns),
                   "maximum_lag_on_failover", (json_int_t)config->maximum_lag_on_failover_bytes,
                   "synchronous_mode", config->synchronous_mode, "synchronous_mode_strict",
                   config->synchronous_mode_strict, "synchronous_node_count",
                   (json_int_t)config->synchronous_node_count, "postgresql", postgresql);
}

static json_t *bootstrap_section(const struct postgres_plan *plan,
                                 const struct postgres_host *host) {
  /* no-sync: start() flushes the whole file system once at its end instead. */
  json_t *initdb =
      json_pack("[{s:s}, {s:s}, s, {s:s}, {s:s}]", "encoding", "UTF8", "locale", "C.UTF-8",
                "no-sync", "auth-local", "peer", "auth-host", "scram-sha-256");
  /* PostgreSQL 18 has checksums on unless told otherwise, and only it knows that option. */
  const char *checksums = "data-checksums";
  if (!plan->config->data_checksums) checksums = host->major >= 18 ? "no-data-checksums" : NULL;
  if (initdb && checksums) {
    json_array_append_new(initdb, json_string(checksums));
    initdb = whole(initdb, 6);
  }
  return json_pack("{s:o, s:o, s:s}", "dcs", dynamic_configuration(plan->config), "initdb", initdb,
                   "post_bootstrap", POSTGRES_CONFIG_DIRECTORY "/post-bootstrap");
}

static json_t *postgresql_section(const struct postgres_plan *plan, uint32_t member,
                                  const struct postgres_host *host) {
  const struct postgres_secrets *secrets = plan->secrets;
  char address[80];
  snprintf(address, sizeof address, "%s:%d", plan->members[member]->address, POSTGRES_PORT);
  json_t *hba = json_array(), *parameters = json_object();
  for (size_t i = 0; i < HBA_LINE_COUNT; i++) json_array_append_new(hba, json_string(hba_lines[i]));
  for (size_t i = 0; i < FIXED_PARAMETER_COUNT; i++)
    json_object_set_new(parameters, fixed_parameters[i].name,
                        json_string(fixed_parameters[i].value));
  hba = whole(hba, HBA_LINE_COUNT);
  parameters = whole(parameters, FIXED_PARAMETER_COUNT);
  json_t *users =
      json_pack("{s:o, s:o, s:o}", "superuser", authentication("postgres", secrets->superuser),
                "replication", authentication("replicator", secrets->replication), "rewind",
                authentication("rewinder", secrets->rewind));
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:b, s:o, s:[{s:s}, s], s:o, s:o}", "listen",
                   "0.0.0.0:5432", "connect_address", address, "data_dir", POSTGRES_DATA, "bin_dir",
                   host->bin_directory, "pgpass", POSTGRES_DIRECTORY "/pgpass", "use_unix_socket",
                   1, "authentication", users, "basebackup", "checkpoint", "fast", "no-sync",
                   "pg_hba", hba, "parameters", parameters);
}

static json_t *restapi_section(const struct postgres_plan *plan, uint32_t member) {
  char address[80];
  snprintf(address, sizeof address, "%s:%d", plan->members[member]->address, PATRONI_PORT);
  return json_pack("{s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s}}", "listen", "0.0.0.0:8008",
                   "connect_address", address, "certfile", TLS_DIRECTORY "/server.crt", "keyfile",
                   TLS_DIRECTORY "/server.key", "cafile", TLS_DIRECTORY "/ca.crt", "authentication",
                   "username", PATRONI_REST_USER, "password", plan->secrets->rest);
}

int postgres_write_patroni(const struct postgres_plan *plan, uint32_t member,
                           const struct postgres_host *host, struct buf *ret, struct error *err) {
  json_t *voters = json_array();
  for (uint32_t i = 0; i < postgres_etcd_count(plan->config); i++) {
    char address[80];
    snprintf(address, sizeof address, "%s:%d", plan->members[i]->address, ETCD_CLIENT_PORT);
    json_array_append_new(voters, json_string(address));
  }
  voters = whole(voters, postgres_etcd_count(plan->config));
  return dump(json_pack("{s:s, s:s, s:s, s:{s:s}, s:o, s:{s:o}, s:o, s:o}", "scope", plan->scope,
                        "namespace", PATRONI_NAMESPACE, "name", plan->members[member]->name, "log",
                        "level", "INFO", "restapi", restapi_section(plan, member), "etcd3", "hosts",
                        voters, "bootstrap", bootstrap_section(plan, host), "postgresql",
                        postgresql_section(plan, member, host)),
              ret, err);
}

int postgres_write_patroni_start(const struct postgres_plan *plan, const struct postgres_host *host,
                                 struct buf *ret, struct error *err) {
  buf_puts(ret,
           "# Waits until etcd answers, then becomes Patroni: started before that, Patroni sleeps\n"
           "# 5 seconds and tries again.\n"
           "import os, socket, time\n"
           "voters = [");
  for (uint32_t i = 0; i < postgres_etcd_count(plan->config); i++)
    buf_printf(ret, "%s'%s'", i ? ", " : "", plan->members[i]->address);
  buf_printf(ret,
             "]\n"
             "def healthy(address):\n"
             "  try:\n"
             "    with socket.create_connection((address, %d), timeout=1) as s:\n"
             "      s.sendall(b'GET /health HTTP/1.0\\r\\n\\r\\n')\n"
             "      answer = b''\n"
             "      while True:\n"
             "        part = s.recv(4096)\n"
             "        if not part: return b'\"health\":\"true\"' in answer\n"
             "        answer += part\n"
             "  except OSError:\n"
             "    return False\n"
             "end = time.monotonic() + 60\n"
             "while not any(healthy(v) for v in voters) and time.monotonic() < end:\n"
             "  time.sleep(0.05)\n"
             "os.execv('%s', ['%s', '%s/patroni.yml'])\n",
             ETCD_CLIENT_PORT, host->patroni, host->patroni, POSTGRES_CONFIG_DIRECTORY);
  return buf_ok(ret, err);
}

int postgres_write_bootstrap_sql(const struct postgres_plan *plan, uint32_t member, struct buf *ret,
                                 struct error *err) {
  uint32_t instances = postgres_instances(plan->config);
  /* The password must not reach a log, whatever logging the scenario asked for. No replica is there
   * yet for which a commit could wait. */
  buf_puts(ret,
           "set synchronous_commit = local;\n"
           "set log_statement = 'none';\n"
           "set log_min_duration_statement = -1;\n"
           "set log_min_error_statement = 'panic';\n");
  buf_printf(ret,
             "create role %s login password '%s' in role pg_monitor;\n"
             "create database %s owner %s;\n",
             POSTGRES_USER, plan->secrets->client, POSTGRES_USER, POSTGRES_USER);
  for (uint32_t i = 0; i < instances; i++)
    if (i != member)
      buf_printf(ret, "select pg_create_physical_replication_slot('%s');\n",
                 plan->members[i]->name);
  return buf_ok(ret, err);
}

int postgres_write_post_bootstrap(const struct postgres_plan *plan, uint32_t member,
                                  const struct postgres_host *host, struct buf *ret,
                                  struct error *err) {
  buf_printf(ret,
             "#!/bin/sh\n"
             "exec %s/psql -qXAt -o /dev/null -v ON_ERROR_STOP=1 \"$1\" <<'END'\n",
             host->bin_directory);
  int status = postgres_write_bootstrap_sql(plan, member, ret, err);
  if (status < 0) return status;
  buf_puts(ret, "END\n");
  return buf_ok(ret, err);
}

/* `argument` is appended to `text` with its final NUL; pointers are made when the text is whole. */
static void etcd_argument(struct buf *text, const char *flag, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void etcd_argument(struct buf *text, const char *flag, const char *format, ...) {
  va_list args;
  va_start(args, format);
  buf_puts(text, flag);
  buf_putc(text, '=');
  buf_vprintf(text, format, args);
  buf_putc(text, '\0');
  va_end(args);
}

int postgres_write_etcd(const struct postgres_plan *plan, uint32_t member,
                        const struct postgres_host *host, struct buf *ret_text,
                        const char *ret_arguments[ETCD_ARGUMENTS_MAX], struct error *err) {
  const char *name = plan->members[member]->name, *address = plan->members[member]->address;
  buf_puts(ret_text, host->etcd);
  buf_putc(ret_text, '\0');
  etcd_argument(ret_text, "--name", "%s", name);
  etcd_argument(ret_text, "--data-dir", "%s", HOST_DATA_DIRECTORY "/etcd");
  etcd_argument(ret_text, "--listen-peer-urls", "http://%s:%d", address, ETCD_PEER_PORT);
  etcd_argument(ret_text, "--listen-client-urls", "http://%s:%d,http://127.0.0.1:%d", address,
                ETCD_CLIENT_PORT, ETCD_CLIENT_PORT);
  etcd_argument(ret_text, "--initial-advertise-peer-urls", "http://%s:%d", address, ETCD_PEER_PORT);
  etcd_argument(ret_text, "--advertise-client-urls", "http://%s:%d", address, ETCD_CLIENT_PORT);
  buf_puts(ret_text, "--initial-cluster=");
  for (uint32_t i = 0; i < postgres_etcd_count(plan->config); i++)
    buf_printf(ret_text, "%s%s=http://%s:%d", i ? "," : "", plan->members[i]->name,
               plan->members[i]->address, ETCD_PEER_PORT);
  buf_putc(ret_text, '\0');
  etcd_argument(ret_text, "--initial-cluster-state", "new");
  etcd_argument(ret_text, "--initial-cluster-token", "%s", plan->scope);
  etcd_argument(ret_text, "--heartbeat-interval", "%d", ETCD_HEARTBEAT_MS);
  etcd_argument(ret_text, "--election-timeout", "%d", ETCD_ELECTION_MS);
  etcd_argument(ret_text, "--pre-vote", "true");
  etcd_argument(ret_text, "--logger", "zap");
  etcd_argument(ret_text, "--log-level", "info");
  int status = buf_ok(ret_text, err);
  if (status < 0) return status;
  uint32_t count = 0;
  for (size_t at = 0; at < ret_text->length; at += strlen(ret_text->data + at) + 1)
    ret_arguments[count++] = ret_text->data + at;
  ret_arguments[count] = NULL;
  return 0;
}

/* A value of postgresql.conf: in single quotes, which double inside. */
static void conf_line(struct buf *conf, const char *name, const char *value) {
  buf_printf(conf, "%s = '", name);
  for (const char *c = value; *c; c++) {
    if (*c == '\'' || *c == '\\') buf_putc(conf, *c);
    buf_putc(conf, *c);
  }
  buf_puts(conf, "'\n");
}

int postgres_write_conf(const struct postgres_plan *plan, uint32_t member, struct buf *ret,
                        struct error *err) {
  const struct postgres_config *config = plan->config;
  uint32_t instances = postgres_instances(config);
  CLEANUP(buf_release) struct buf names, addresses;
  buf_init(&names);
  buf_init(&addresses);
  for (uint32_t i = 0; i < instances; i++) {
    if (i == member) continue;
    buf_printf(&names, "%s%s", names.length ? "," : "", plan->members[i]->name);
    buf_printf(&addresses, "%s%s", addresses.length ? "," : "", plan->members[i]->address);
  }
  buf_printf(ret, "listen_addresses = '*'\nport = %d\ncluster_name = '%s'\n", POSTGRES_PORT,
             plan->scope);
  buf_printf(ret, "max_connections = %u\n", config->max_connections);
  /* What Patroni sets by default, so that the topologies differ in the manager alone. */
  if (instances > 1)
    buf_puts(ret,
             "wal_level = 'replica'\nhot_standby = 'on'\nwal_log_hints = on\n"
             "wal_keep_size = '128MB'\n");
  for (size_t i = 0; i < FIXED_PARAMETER_COUNT; i++)
    conf_line(ret, fixed_parameters[i].name, fixed_parameters[i].value);
  for (uint32_t i = 0; i < config->parameters.count; i++)
    conf_line(ret, config->parameters.items[i].name, config->parameters.items[i].value);
  if (instances > 1) {
    /* Whoever is primary: after a promotion the other replicas find the new one by themselves. A
     * replica's receiver heeds no connect_timeout (PostgreSQL 15), so the kernel has to give up. */
    buf_printf(ret,
               "primary_conninfo = 'host=%s hostaddr=%s port=%d user=replicator "
               "passfile=%s/pgpass sslmode=verify-full sslrootcert=%s/ca.crt gssencmode=disable "
               "target_session_attrs=primary tcp_user_timeout=5000 application_name=%s'\n"
               "primary_slot_name = '%s'\nrecovery_target_timeline = 'latest'\n",
               names.data, addresses.data, POSTGRES_PORT, POSTGRES_DIRECTORY, TLS_DIRECTORY,
               plan->members[member]->name, plan->members[member]->name);
  }
  int status = buf_ok(&names, err);
  if (status == 0) status = buf_ok(&addresses, err);
  return status == 0 ? buf_ok(ret, err) : status;
}

/* $1 is a member as NAME=ADDRESS. Passwords come from the password file. */
static const char start_functions[] =
    "conninfo() {\n"
    "  echo \"host=${1%=*} hostaddr=${1#*=} port=$port user=replicator dbname=postgres \\\n"
    "passfile=$home/pgpass sslmode=verify-full sslrootcert=$tls/ca.crt gssencmode=disable \\\n"
    "connect_timeout=2\"\n"
    "}\n"
    "is_primary() {\n"
    "  [ \"$(\"$bin/psql\" -XAtq -d \"$(conninfo \"$1\")\" \\\n"
    "    -c 'select not pg_is_in_recovery()' 2>/dev/null)\" = t ]\n"
    "}\n"
    "follow() {\n"
    "  echo \"$1 is primary: copying it\"\n"
    "  rm -rf \"$home/data.new\"\n"
    "  \"$bin/pg_basebackup\" -D \"$home/data.new\" -d \"$(conninfo \"$1\")\" -X stream \\\n"
    "    --checkpoint=fast -S \"$name\" || return 1\n"
    "  touch \"$home/data.new/standby.signal\"\n"
    "  rm -rf \"$home/data\"\n"
    "  mv \"$home/data.new\" \"$home/data\"\n"
    "}\n"
    "if [ ! -e \"$home/data/standby.signal\" ]; then\n"
    "  for other in $others; do\n"
    "    is_primary \"$other\" || continue\n"
    "    follow \"$other\" || { sleep 1; exec /bin/sh \"$0\"; }\n"
    "    break\n"
    "  done\n"
    "fi\n";

int postgres_write_start(const struct postgres_plan *plan, uint32_t member,
                         const struct postgres_host *host, struct buf *ret, struct error *err) {
  buf_printf(ret,
             "#!/bin/sh\n"
             "# Starts PostgreSQL. A former primary that finds another one at work when it boots\n"
             "# is copied anew from it and follows: without a manager, somebody has to.\n"
             "bin=%s home=%s tls=%s port=%d name=%s\nothers='",
             host->bin_directory, POSTGRES_DIRECTORY, TLS_DIRECTORY, POSTGRES_PORT,
             plan->members[member]->name);
  for (uint32_t i = 0; i < postgres_instances(plan->config); i++)
    if (i != member) buf_printf(ret, " %s=%s", plan->members[i]->name, plan->members[i]->address);
  buf_printf(ret,
             "'\n%sexec \"$bin/postgres\" -D \"$home/data\" --config-file=%s/postgresql.conf "
             "--hba-file=%s/pg_hba.conf\n",
             start_functions, POSTGRES_CONFIG_DIRECTORY, POSTGRES_CONFIG_DIRECTORY);
  return buf_ok(ret, err);
}

int postgres_write_hba(struct buf *ret, struct error *err) {
  for (size_t i = 0; i < HBA_LINE_COUNT; i++) buf_printf(ret, "%s\n", hba_lines[i]);
  return buf_ok(ret, err);
}

int postgres_write_pgpass(const struct postgres_plan *plan, struct buf *ret, struct error *err) {
  buf_printf(ret, "*:*:*:replicator:%s\n", plan->secrets->replication);
  return buf_ok(ret, err);
}
