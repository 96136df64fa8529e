/* Starting PostgreSQL without a manager: a primary, and replicas copied from it; or one server. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "services/postgres.h"

#define SLOTS_TIMEOUT_NS (5 * NS_PER_S)

static const char data_directory[] = POSTGRES_DATA;
static const char start_program[] = POSTGRES_CONFIG_DIRECTORY "/start-postgres";
static const char password_file[] = POSTGRES_DIRECTORY "/pwfile";
static const char password_option[] = "--pwfile=" POSTGRES_DIRECTORY "/pwfile";
static const char standby_signal[] = POSTGRES_DATA "/standby.signal";

static struct postgres_plan plan_of(const struct service_instance *service) {
  return (struct postgres_plan){.config = service->config,
                                .secrets = &postgres_state(service)->secrets,
                                .scope = service->cluster->id,
                                .members = (const struct host *const *)service->members};
}

/* Runs a program as the user postgres; its own words are the error. */
static int run(struct service_instance *service, uint32_t member, const char *const argv[],
               const char *input, struct error *err) {
  const struct host *host = service->members[member];
  const struct process_spec spec = {
      .argv = argv, .input = input, .input_length = input ? strlen(input) : 0};
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  int status =
      service->cluster->provider->exec(service->cluster, host, "postgres", &spec, &result, err);
  if (status < 0) return status;
  if (result.exit_code == 0) return 0;
  char lines[800];
  server_log_pick(postgres_log_choose, result.err.data, result.err.length, lines, sizeof lines);
  return error_set(err, STATUS_SERVER, "%s: %s failed:\n%s", host->name, argv[0], lines);
}

static int put_files(struct service_instance *service, uint32_t member, struct error *err) {
  const struct postgres_plan plan = plan_of(service);
  CLEANUP(buf_release) struct buf conf;
  CLEANUP(buf_release) struct buf hba;
  CLEANUP(buf_release) struct buf pgpass;
  buf_init(&conf);
  buf_init(&hba);
  buf_init(&pgpass);
  int status = postgres_write_conf(&plan, member, &conf, err);
  if (status == 0) status = postgres_write_hba(&hba, err);
  if (status == 0) status = postgres_write_pgpass(&plan, &pgpass, err);
  if (status == 0)
    status = postgres_put(service, member, POSTGRES_CONFIG_DIRECTORY "/postgresql.conf", &conf,
                          0640, "postgres", err);
  if (status == 0)
    status = postgres_put(service, member, POSTGRES_CONFIG_DIRECTORY "/pg_hba.conf", &hba, 0640,
                          "postgres", err);
  if (status == 0)
    status =
        postgres_put(service, member, POSTGRES_DIRECTORY "/pgpass", &pgpass, 0600, "postgres", err);
  return status;
}

static int define_unit(struct service_instance *service, uint32_t member, struct error *err) {
  static const char *const argv[] = {"/bin/sh", start_program, NULL};
  static const char *const env[] = {"LC_ALL=C.UTF-8", NULL};
  static const struct host_unit unit = {
      .name = "postgres", .user = "postgres", .argv = argv, .env = env};
  const struct postgres_plan plan = plan_of(service);
  CLEANUP(buf_release) struct buf start;
  buf_init(&start);
  int status =
      postgres_write_start(&plan, member, &postgres_state(service)->hosts[member], &start, err);
  if (status == 0) status = postgres_put(service, member, start_program, &start, 0644, NULL, err);
  if (status < 0) return status;
  return service->cluster->provider->unit_define(service->cluster, service->members[member], &unit,
                                                 err);
}

static int prepare_member(struct service_instance *service, uint32_t member, void *data,
                          struct error *err) {
  (void)data;
  int status = postgres_host_probe(service, member, err);
  if (status == 0) status = put_files(service, member, err);
  if (status == 0) status = postgres_put_certificates(service, member, err);
  if (status == 0) status = define_unit(service, member, err);
  return status;
}

static int init_primary(struct service_instance *service, struct error *err) {
  const struct postgres_state *state = postgres_state(service);
  char program[160];
  snprintf(program, sizeof program, "%s/initdb", state->hosts[0].bin_directory);
  CLEANUP(buf_release) struct buf password;
  buf_init(&password);
  buf_puts(&password, state->secrets.superuser);
  buf_putc(&password, '\n');
  int status = buf_ok(&password, err);
  if (status == 0)
    status = postgres_put(service, 0, password_file, &password, 0600, "postgres", err);
  if (status < 0) return status;
  /* PostgreSQL 18 has checksums on unless told otherwise, and only it knows that option. */
  const char *checksums = "--data-checksums";
  if (!postgres_config(service)->data_checksums)
    checksums = state->hosts[0].major >= 18 ? "--no-data-checksums" : NULL;
  const char *const argv[] = {program,
                              "-D",
                              data_directory,
                              "-U",
                              "postgres",
                              "-E",
                              "UTF8",
                              "--locale=C.UTF-8",
                              "--no-sync",
                              "--auth-local=peer",
                              "--auth-host=scram-sha-256",
                              password_option,
                              checksums,
                              NULL};
  status = run(service, 0, argv, NULL, err);
  static const char *const forget[] = {"rm", "-f", password_file, NULL};
  int forgotten = run(service, 0, forget, NULL, status < 0 ? NULL : err);
  return status < 0 ? status : forgotten;
}

/* Waits until the server answers on its socket, then makes roles, database and slots. */
static int bootstrap_primary(struct service_instance *service, uint64_t deadline_ns,
                             struct error *err) {
  const struct postgres_plan plan = plan_of(service);
  const struct postgres_state *state = postgres_state(service);
  const struct provider *provider = service->cluster->provider;
  char program[160];
  snprintf(program, sizeof program, "%s/psql", state->hosts[0].bin_directory);
  static const char script[] =
      "until \"$1\" -qXAt -h " POSTGRES_SOCKETS
      " -d postgres -c 'select 1' >/dev/null 2>&1; do\n"
      "  [ \"$n\" = xxxxxxxxxxxxxxxxxxxx ] && exit 75\n"
      "  n=x$n; sleep 0.05\n"
      "done\n"
      "exec \"$1\" -qXAt -o /dev/null -v ON_ERROR_STOP=1 -h " POSTGRES_SOCKETS " -d postgres\n";
  CLEANUP(buf_release) struct buf sql;
  buf_init(&sql);
  int status = postgres_write_bootstrap_sql(&plan, 0, &sql, err);
  buf_printf(&sql, "create role replicator replication login password '%s';\n",
             state->secrets.replication);
  if (status == 0) status = buf_ok(&sql, err);
  const char *const argv[] = {"/bin/sh", "-c", script, "sh", program, NULL};
  const struct process_spec spec = {.argv = argv, .input = sql.data, .input_length = sql.length};
  while (status == 0) {
    CLEANUP(process_result_release) struct process_result result;
    process_result_init(&result);
    status = provider->exec(service->cluster, service->members[0], "postgres", &spec, &result, err);
    if (status < 0 || result.exit_code == 0) break;
    if (result.exit_code != 75)
      return error_set(err, STATUS_SERVER, "%s: cannot make the roles: %s",
                       service->members[0]->name, result.err.data);
    status = server_log_check_unit(postgres_log_choose, service, "postgres", 1, err);
    if (status == 0 && clock_now_ns(&clock_monotonic) > deadline_ns)
      status = error_set(err, STATUS_SERVER, "%s: the server did not answer in time",
                         service->members[0]->name);
  }
  return status;
}

static int start_replica(struct service_instance *service, uint32_t member, void *data,
                         struct error *err) {
  (void)data;
  if (member == 0) return 0;
  const struct host *primary = service->members[0], *host = service->members[member];
  const struct provider *provider = service->cluster->provider;
  char program[160], conninfo[512];
  snprintf(program, sizeof program, "%s/pg_basebackup",
           postgres_state(service)->hosts[member].bin_directory);
  snprintf(conninfo, sizeof conninfo,
           "host=%s hostaddr=%s port=%d user=replicator passfile=%s/pgpass sslmode=verify-full "
           "sslrootcert=%s/tls/ca.crt gssencmode=disable",
           primary->name, primary->address, POSTGRES_PORT, POSTGRES_DIRECTORY,
           POSTGRES_CONFIG_DIRECTORY);
  const char *const argv[] = {program,     "-D", data_directory, "-d",
                              conninfo,    "-X", "stream",       "--checkpoint=fast",
                              "--no-sync", "-S", host->name,     NULL};
  int status = run(service, member, argv, NULL, err);
  static const char *const mark[] = {"touch", standby_signal, NULL};
  if (status == 0) status = run(service, member, mark, NULL, err);
  if (status == 0) status = provider->unit_start(service->cluster, host, "postgres", err);
  return status;
}

/* A slot for each other member on every replica too: whoever is promoted can be followed at once.
 * A slot that nobody has used yet holds no WAL back. */
static int make_slots(struct service_instance *service, void *data, struct error *err) {
  (void)data;
  uint32_t instances = postgres_instances(postgres_config(service));
  int status = 0;
  for (uint32_t i = 1; status == 0 && i < instances; i++) {
    CLEANUP(buf_release) struct buf query;
    buf_init(&query);
    for (uint32_t j = 0; j < instances; j++)
      if (j != i)
        buf_printf(&query, "select pg_create_physical_replication_slot('%s');",
                   service->members[j]->name);
    status = buf_ok(&query, err);
    if (status == 0)
      status = postgres_sql_once(service, i, query.data, SLOTS_TIMEOUT_NS, NULL, err);
  }
  return status < 0 ? error_wrap(err, "cannot make replication slots") : 0;
}

int postgres_streaming_start(struct service_instance *service, uint64_t deadline_ns,
                             struct error *err) {
  uint32_t instances = postgres_instances(postgres_config(service));
  const struct provider *provider = service->cluster->provider;
  int status = service_each_member(service, instances, prepare_member, NULL, err);
  if (status == 0) status = init_primary(service, err);
  if (status == 0)
    status = provider->unit_start(service->cluster, service->members[0], "postgres", err);
  if (status == 0) status = bootstrap_primary(service, deadline_ns, err);
  if (status == 0) status = service_each_member(service, instances, start_replica, NULL, err);
  if (status == 0) status = postgres_wait_ready(service, "postgres", deadline_ns, err);
  if (status == 0) status = postgres_on_monitor(service, make_slots, NULL, err);
  if (status == 0) status = service_each_member(service, instances, service_sync_disk, NULL, err);
  return status;
}
