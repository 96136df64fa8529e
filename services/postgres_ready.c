/* Waiting until a just started service can be used, and saying why when it never will. */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "services/postgres.h"

#define SLICE_NS (250 * NS_PER_MS) /* between two looks at the units */
#define POLL_MS 40
#define ATTEMPT_NS NS_PER_S

struct waiting {
  PGconn *primary_conn;
  uint32_t primary; /* member; meaningless without a connection */
  bool ready;
  uint64_t poked_ns;
  char why[160]; /* what is still missing */
};

static void drop_primary(struct waiting *waiting) {
  if (waiting->primary_conn) PQfinish(waiting->primary_conn);
  waiting->primary_conn = NULL;
}

/* Looks for the member that accepts writes and keeps a connection to it. */
static void find_primary(struct service_instance *service, struct waiting *waiting) {
  for (uint32_t i = 0; i < postgres_instances(postgres_config(service)); i++) {
    uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + ATTEMPT_NS;
    CLEANUP(cleanup_conn) PGconn *conn = NULL;
    CLEANUP(cleanup_result) PGresult *result = NULL;
    struct error why = ERROR_INIT;
    if (postgres_sql_connect(service, i, deadline_ns, &conn, &why) < 0 ||
        postgres_sql_query(conn, "select pg_is_in_recovery()", deadline_ns, &result, &why) < 0) {
      snprintf(waiting->why, sizeof waiting->why, "no primary yet: %.120s", why.message);
      continue;
    }
    if (PQntuples(result) != 1 || PQgetvalue(result, 0, 0)[0] != 'f') continue;
    waiting->primary = i;
    waiting->primary_conn = conn;
    conn = NULL;
    return;
  }
}

/* Patroni looks for synchronous replicas once a loop_wait; a change request that changes nothing
 * makes it look at once. */
static void poke_patroni(struct service_instance *service, struct waiting *waiting) {
  const struct postgres_config *config = postgres_config(service);
  uint64_t now_ns = clock_now_ns(&clock_monotonic);
  if (now_ns - waiting->poked_ns < NS_PER_S) return;
  waiting->poked_ns = now_ns;
  char body[64];
  long code = 0;
  CLEANUP(buf_release) struct buf answer;
  buf_init(&answer);
  snprintf(body, sizeof body, "{\"ttl\": %llu}", (unsigned long long)(config->ttl_ns / NS_PER_S));
  postgres_rest(service, waiting->primary, "PATCH", "/config", body, ATTEMPT_NS, &code, &answer,
                NULL);
}

static bool leader_key_held(struct service_instance *service, struct waiting *waiting) {
  long code = 0;
  struct error why = ERROR_INIT;
  CLEANUP(buf_release) struct buf answer;
  buf_init(&answer);
  if (postgres_rest(service, waiting->primary, "GET", "/leader", NULL, ATTEMPT_NS, &code, &answer,
                    &why) == 0 &&
      code == 200)
    return true;
  snprintf(waiting->why, sizeof waiting->why, "Patroni does not hold the leader key yet (%.100s)",
           why.message);
  return false;
}

/* How many replicas may take over by what Patroni has written to etcd. It does so 2 seconds or more
 * after PostgreSQL calls them synchronous; a primary that is lost in between has no successor. */
static uint32_t count_successors(struct service_instance *service, struct waiting *waiting) {
  long code = 0;
  uint32_t count = 0;
  size_t i;
  const json_t *member;
  CLEANUP(buf_release) struct buf answer;
  buf_init(&answer);
  if (postgres_rest(service, waiting->primary, "GET", "/cluster", NULL, ATTEMPT_NS, &code, &answer,
                    NULL) < 0)
    return 0;
  json_t *root = json_loadb(answer.data, answer.length, 0, NULL);
  json_array_foreach(json_object_get(root, "members"), i, member) {
    const char *role = json_string_value(json_object_get(member, "role"));
    if (role && (strcmp(role, "sync_standby") == 0 || strcmp(role, "quorum_standby") == 0)) count++;
  }
  json_decref(root);
  return count;
}

static bool successors_known(struct service_instance *service, struct waiting *waiting) {
  const struct postgres_config *config = postgres_config(service);
  if (!config->synchronous_mode || postgres_instances(config) == 1) return true;
  uint32_t count = count_successors(service, waiting);
  if (count >= config->synchronous_node_count) return true;
  snprintf(waiting->why, sizeof waiting->why, "%u of %u replicas are synchronous", count,
           config->synchronous_node_count);
  poke_patroni(service, waiting);
  return false;
}

/* The names of our members: pg_basebackup's walsenders have none of them. */
static const char ready_query[] =
    "select (select count(*) from pg_database where datname = '" POSTGRES_USER
    "'),"
    " (select count(distinct application_name) from pg_stat_replication"
    "   where state = 'streaming' and application_name ~ '^pg[0-9]+$')";

static void look(struct service_instance *service, struct waiting *waiting) {
  const struct postgres_config *config = postgres_config(service);
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + ATTEMPT_NS;
  CLEANUP(cleanup_result) PGresult *result = NULL;
  struct error why = ERROR_INIT;
  if (!waiting->primary_conn) find_primary(service, waiting);
  if (!waiting->primary_conn) return;
  if (postgres_sql_query(waiting->primary_conn, ready_query, deadline_ns, &result, &why) < 0) {
    snprintf(waiting->why, sizeof waiting->why, "%.140s", why.message);
    drop_primary(waiting);
    return;
  }
  uint32_t replicas = postgres_instances(config) - 1;
  uint32_t streaming = (uint32_t)strtoul(PQgetvalue(result, 0, 1), NULL, 10);
  if (PQgetvalue(result, 0, 0)[0] != '1') {
    snprintf(waiting->why, sizeof waiting->why, "the database %s is not there yet", POSTGRES_USER);
  } else if (streaming < replicas) {
    snprintf(waiting->why, sizeof waiting->why, "%u of %u replicas stream", streaming, replicas);
  } else if (config->topology != TOPOLOGY_PATRONI ||
             (leader_key_held(service, waiting) && successors_known(service, waiting))) {
    waiting->ready = true;
  }
}

static int wait_slice(struct service_instance *service, void *data, struct error *err) {
  (void)err;
  struct waiting *waiting = data;
  uint64_t end_ns = clock_now_ns(&clock_monotonic) + SLICE_NS;
  while (!waiting->ready && clock_now_ns(&clock_monotonic) < end_ns) {
    look(service, waiting);
    if (!waiting->ready) poll(NULL, 0, POLL_MS);
  }
  return 0;
}

static int late(struct service_instance *service, const char *unit, const struct waiting *waiting,
                struct error *err) {
  char lines[LOG_TEXT_SIZE];
  const struct host *host = service->members[0];
  uint32_t instances = postgres_instances(postgres_config(service));
  lines[0] = '\0';
  for (uint32_t i = 0; i < instances && !lines[0]; i++) {
    host = service->members[i];
    server_log_read(postgres_log_choose, service, host, unit, lines, sizeof lines);
  }
  return error_set(err, STATUS_SERVER,
                   "the service postgres was not ready in time (%s); the log of %s on %s says:\n%s",
                   waiting->why, unit, host->name, lines[0] ? lines : "(nothing)");
}

/* Compares what was asked for with what is in effect: Patroni drops a parameter that it does not
 * know or whose value it cannot read, with a line in its log that nobody would look at. */
static int check_parameters(struct service_instance *service, struct waiting *waiting,
                            struct error *err) {
  const struct settings *parameters = &postgres_config(service)->parameters;
  if (parameters->count == 0) return 0;
  CLEANUP(buf_release) struct buf query;
  CLEANUP(cleanup_result) PGresult *result = NULL;
  buf_init(&query);
  buf_puts(&query,
           "select p.name, p.value, current_setting(p.name, true)"
           " from (values ");
  for (uint32_t i = 0; i < parameters->count; i++) {
    char *name = PQescapeLiteral(waiting->primary_conn, parameters->items[i].name,
                                 strlen(parameters->items[i].name));
    char *value = PQescapeLiteral(waiting->primary_conn, parameters->items[i].value,
                                  strlen(parameters->items[i].value));
    if (name && value) buf_printf(&query, "%s(%s, %s)", i ? ", " : "", name, value);
    bool escaped = name && value;
    PQfreemem(name);
    PQfreemem(value);
    if (!escaped)
      return error_set(err, STATUS_USAGE, "the server parameter %s is not valid text",
                       parameters->items[i].name);
  }
  buf_puts(&query,
           ") p(name, value) left join pg_settings s on lower(s.name) = lower(p.name)"
           " where case when s.name is null then current_setting(p.name, true) is null"
           "   when s.source = 'default' then true"
           "   when s.vartype = 'bool' then lower(p.value) in ('on', 'true', 'yes', '1')"
           "     <> (s.setting = 'on')"
           "   when s.vartype = 'enum' then lower(s.setting) <> lower(p.value)"
           "     and not (lower(p.value) in ('true', 'yes', '1') and s.setting = 'on')"
           "     and not (lower(p.value) in ('false', 'no', '0') and s.setting = 'off')"
           "   when s.vartype = 'string' then s.setting <> p.value"
           /* Units are not read here; but what is no number at all cannot be in effect, and a plain
            * one is in the unit that the server answers in. */
           "   when s.vartype in ('integer', 'real') and p.value !~ '^ *[-+]?[0-9.]' then true"
           "   when s.vartype = 'integer' and p.value ~ '^[1-9][0-9]*$' then s.setting <> p.value"
           "   else false end limit 1");
  int status = buf_ok(&query, err);
  if (status == 0)
    status = postgres_sql_query(waiting->primary_conn, query.data,
                                clock_now_ns(&clock_monotonic) + 5 * NS_PER_S, &result, err);
  if (status < 0 || PQntuples(result) == 0) return status;
  char lines[LOG_TEXT_SIZE];
  const struct host *host = service->members[waiting->primary];
  bool patroni = postgres_config(service)->topology == TOPOLOGY_PATRONI;
  server_log_read(postgres_log_choose, service, host, patroni ? "patroni" : "postgres", lines,
                  sizeof lines);
  return error_set(err, STATUS_SERVER,
                   "the server parameter %s = %s is not in effect on %s (%s is); the log says:\n%s",
                   PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1), host->name,
                   PQgetisnull(result, 0, 2) ? "nothing" : PQgetvalue(result, 0, 2), lines);
}

static int check_on_monitor(struct service_instance *service, void *data, struct error *err) {
  return check_parameters(service, data, err);
}

int postgres_wait_ready(struct service_instance *service, const char *unit, uint64_t deadline_ns,
                        struct error *err) {
  const struct postgres_config *config = postgres_config(service);
  struct waiting waiting = {.why = "nothing answered"};
  int status = 0;
  while (status == 0 && !waiting.ready) {
    status = postgres_on_monitor(service, wait_slice, &waiting, err);
    if (status < 0 || waiting.ready) break;
    status =
        server_log_check_unit(postgres_log_choose, service, unit, postgres_instances(config), err);
    if (status == 0)
      status = server_log_check_unit(postgres_log_choose, service, "etcd",
                                     postgres_etcd_count(config), err);
    if (status == 0 && clock_now_ns(&clock_monotonic) > deadline_ns)
      status = late(service, unit, &waiting, err);
  }
  if (status == 0) status = postgres_on_monitor(service, check_on_monitor, &waiting, err);
  drop_primary(&waiting);
  return status;
}
