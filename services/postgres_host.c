/* Preparing one host: what is installed on it, directories, files, certificates. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "services/certificates.h"
#include "services/postgres.h"

/* Prints "key value" lines and makes the directories; $1 is "patroni" when a manager is
 * needed. One program, because each start of one costs 20 ms or more. */
static const char probe_script[] =
    "for d in /usr/lib/postgresql/*/bin /usr/local/pgsql/bin; do\n"
    "  [ -x \"$d/postgres\" ] && [ -x \"$d/initdb\" ] && \"$d/postgres\" --version |\n"
    "    sed -n \"s!.*) \\([0-9][0-9]*\\).*!postgres \\1 $d!p\"\n"
    "done\n"
    "if [ \"$1\" = patroni ]; then\n"
    "  echo \"patroni $(command -v patroni)\"\n"
    "  echo \"etcd $(command -v etcd)\"\n"
    "fi\n"
    "id -u postgres >/dev/null 2>&1 || exit 0\n"
    "echo user postgres\n"
    "owner=root\n"
    "id -u etcd >/dev/null 2>&1 && owner=etcd\n"
    "echo \"owner $owner\"\n"
    "chmod 755 " HOST_DATA_DIRECTORY
    " &&\n"
    "mkdir -p " POSTGRES_SOCKETS " " HOST_DATA_DIRECTORY
    "/etcd &&\n"
    "chown postgres:postgres " POSTGRES_DIRECTORY " " POSTGRES_SOCKETS
    " &&\n"
    "chmod 700 " POSTGRES_DIRECTORY " " HOST_DATA_DIRECTORY
    "/etcd &&\n"
    "chown $owner: " HOST_DATA_DIRECTORY "/etcd && echo made\n";

struct findings {
  struct postgres_host host;
  bool user, made;
};

static void take_path(char *to, size_t size, const char *value) {
  if (value[0] == '/' && strlen(value) < size) snprintf(to, size, "%s", value);
}

/* One line; of several versions the wanted or the newest is kept. */
static void take_line(char *line, uint32_t wanted, struct findings *found) {
  char *value = strchr(line, ' ');
  if (strcmp(line, "made") == 0) found->made = true;
  if (!value) return;
  *value++ = '\0';
  if (strcmp(line, "patroni") == 0)
    take_path(found->host.patroni, sizeof found->host.patroni, value);
  else if (strcmp(line, "etcd") == 0)
    take_path(found->host.etcd, sizeof found->host.etcd, value);
  else if (strcmp(line, "user") == 0)
    found->user = true;
  else if (strcmp(line, "owner") == 0)
    snprintf(found->host.etcd_user, sizeof found->host.etcd_user, "%s", value);
  else if (strcmp(line, "postgres") == 0) {
    char *directory = NULL;
    uint32_t major = (uint32_t)strtoul(value, &directory, 10);
    if (*directory != ' ' || (wanted && major != wanted) || major <= found->host.major) return;
    found->host.major = major;
    take_path(found->host.bin_directory, sizeof found->host.bin_directory, directory + 1);
  }
}

static int judge(const struct findings *found, const char *name, uint32_t wanted, bool patroni,
                 bool voter, bool database, struct error *err) {
  if (database && found->host.major == 0 && wanted)
    return error_set(err, STATUS_ENVIRONMENT,
                     "%s: PostgreSQL %u is not installed (Debian: apt-get install postgresql-%u)",
                     name, wanted, wanted);
  if (database && found->host.major == 0)
    return error_set(err, STATUS_ENVIRONMENT,
                     "%s: PostgreSQL is not installed (Debian: apt-get install postgresql)", name);
  if (patroni && database && !found->host.patroni[0])
    return error_set(err, STATUS_ENVIRONMENT,
                     "%s: Patroni is not installed (Debian: apt-get install patroni)", name);
  if (patroni && voter && !found->host.etcd[0])
    return error_set(err, STATUS_ENVIRONMENT,
                     "%s: etcd is not installed (Debian: apt-get install etcd-server)", name);
  if (!found->user)
    return error_set(err, STATUS_ENVIRONMENT,
                     "%s: there is no user postgres (Debian: apt-get install postgresql)", name);
  if (!found->made)
    return error_set(err, STATUS_ENVIRONMENT, "%s: cannot make the directories of the service",
                     name);
  return 0;
}

int postgres_host_probe(struct service_instance *service, uint32_t member, struct error *err) {
  const struct postgres_config *config = postgres_config(service);
  const struct host *host = service->members[member];
  bool patroni = config->topology == TOPOLOGY_PATRONI;
  const char *version = config->version ? config->version : "auto";
  uint32_t wanted = isdigit((unsigned char)version[0]) ? (uint32_t)strtoul(version, NULL, 10) : 0;
  const char *const argv[] = {"/bin/sh", "-c", probe_script, "sh", patroni ? "patroni" : "plain",
                              NULL};
  const struct process_spec spec = {.argv = argv};
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  int status = service->cluster->provider->exec(service->cluster, host, NULL, &spec, &result, err);
  if (status < 0) return status;
  struct findings found = {.user = false};
  char *rest = result.out.data;
  for (char *line; (line = strsep(&rest, "\n"));) take_line(line, wanted, &found);
  if (!found.made && found.user && result.err.length > 0)
    return error_set(err, STATUS_ENVIRONMENT, "%s: cannot make the directories of the service: %s",
                     host->name, result.err.data);
  status = judge(&found, host->name, wanted, patroni, member < postgres_etcd_count(config),
                 member < postgres_instances(config), err);
  if (status == 0) postgres_state(service)->hosts[member] = found.host;
  return status;
}

int postgres_put(struct service_instance *service, uint32_t member, const char *path,
                 const struct buf *content, mode_t mode, const char *owner, struct error *err) {
  return service->cluster->provider->file_put(service->cluster, service->members[member], path,
                                              content->data, content->length, mode, owner, err);
}

int postgres_put_certificates(struct service_instance *service, uint32_t member,
                              struct error *err) {
  char directory[PATH_MAX];
  int status = path_format(directory, sizeof directory, err, "%s/secrets/tls",
                           service->cluster->run_directory);
  return status < 0 ? status
                    : certificates_put(service, member, directory, POSTGRES_CONFIG_DIRECTORY "/tls",
                                       "postgres", err);
}
