/* Preparing one host: what is installed on it, directories, configuration files, units. */
#include <string.h>

#include "services/certificates.h"
#include "services/redis.h"

/* Prints "key value" lines and makes the directories; $1 is the user's choice of program. One
 * program, because each start of one costs 20 ms or more. */
static const char probe_script[] =
    "for p in redis valkey; do\n"
    "  [ \"$1\" = auto ] || [ \"$1\" = \"$p\" ] || continue\n"
    "  s=$(command -v \"$p-server\") || continue\n"
    "  echo \"program $s\"\n"
    "  owner=root\n"
    "  for u in \"$p\" redis valkey; do id -u \"$u\" >/dev/null 2>&1 && owner=$u && break; done\n"
    "  echo \"owner $owner\"\n"
    "  chmod 755 " HOST_DATA_DIRECTORY " && mkdir -p " REDIS_DATA " " REDIS_CONFIG_DIRECTORY
    " &&\n"
    "  chown $owner: " REDIS_DATA " " REDIS_CONFIG_DIRECTORY " && chmod 700 " REDIS_DATA
    " " REDIS_CONFIG_DIRECTORY
    " && echo made\n"
    "  exit 0\n"
    "done\n";

struct findings {
  struct redis_host host;
  bool made;
};

static void take_line(char *line, struct findings *found) {
  char *value = strchr(line, ' ');
  if (strcmp(line, "made") == 0) found->made = true;
  if (!value) return;
  *value++ = '\0';
  if (strcmp(line, "program") == 0 && value[0] == '/' && strlen(value) < sizeof found->host.program)
    snprintf(found->host.program, sizeof found->host.program, "%s", value);
  if (strcmp(line, "owner") == 0 && strlen(value) < sizeof found->host.user)
    snprintf(found->host.user, sizeof found->host.user, "%s", value);
}

static int probe(struct service_instance *service, uint32_t member, struct error *err) {
  static const char *const choices[] = {"auto", "redis", "valkey"};
  static const char *const missing[] = {
      "neither Redis nor Valkey is installed (Debian: apt-get install redis-server)",
      "Redis is not installed (Debian: apt-get install redis-server)",
      "Valkey is not installed (Debian 13: apt-get install valkey-server)"};
  int program = redis_config(service)->program;
  const struct host *host = service->members[member];
  const char *const argv[] = {"/bin/sh", "-c", probe_script, "sh", choices[program], NULL};
  const struct process_spec spec = {.argv = argv};
  CLEANUP(process_result_release) struct process_result result;
  process_result_init(&result);
  int status = service->cluster->provider->exec(service->cluster, host, NULL, &spec, &result, err);
  if (status < 0) return status;
  struct findings found = {.made = false};
  char *rest = result.out.data;
  for (char *line; (line = strsep(&rest, "\n"));) take_line(line, &found);
  if (!found.host.program[0])
    return error_set(err, STATUS_ENVIRONMENT, "%s: %s", host->name, missing[program]);
  if (!found.made)
    return error_set(err, STATUS_ENVIRONMENT, "%s: cannot make the directories of the service: %s",
                     host->name, result.err.data);
  redis_state(service)->hosts[member] = found.host;
  return 0;
}

static struct redis_plan plan_of(const struct service_instance *service) {
  const struct redis_state *state = redis_state(service);
  return (struct redis_plan){.config = service->config,
                             .secrets = &state->secrets,
                             .members = (const struct host *const *)service->members,
                             .sentinel_ids = state->sentinel_ids};
}

/* For the server's user alone: there are passwords in them. */
static int put(struct service_instance *service, uint32_t member, const char *path,
               struct buf *content, struct error *err) {
  int status = service->cluster->provider->file_put(service->cluster, service->members[member],
                                                    path, content->data, content->length, 0600,
                                                    redis_state(service)->hosts[member].user, err);
  if (content->data) explicit_bzero(content->data, content->length);
  return status;
}

static int define(struct service_instance *service, uint32_t member, const char *name,
                  const char *config, const char *mode, struct error *err) {
  const struct redis_host *installed = &redis_state(service)->hosts[member];
  const char *const argv[] = {installed->program, config, mode, NULL};
  static const char *const env[] = {"LC_ALL=C.UTF-8", NULL};
  const struct host_unit unit = {.name = name, .user = installed->user, .argv = argv, .env = env};
  return service->cluster->provider->unit_define(service->cluster, service->members[member], &unit,
                                                 err);
}

static int prepare_server(struct service_instance *service, uint32_t member, struct error *err) {
  const struct redis_plan plan = plan_of(service);
  CLEANUP(buf_release) struct buf conf;
  CLEANUP(buf_release) struct buf acl;
  buf_init(&conf);
  buf_init(&acl);
  int status = redis_write_conf(&plan, member, &conf, err);
  if (status == 0) status = redis_write_acl(&plan, &acl, err);
  if (status == 0) status = put(service, member, REDIS_CONFIG, &conf, err);
  if (status == 0) status = put(service, member, REDIS_ACL, &acl, err);
  if (status == 0) status = define(service, member, REDIS_UNIT, REDIS_CONFIG, NULL, err);
  return status;
}

static int prepare_sentinel(struct service_instance *service, uint32_t member, struct error *err) {
  const struct redis_plan plan = plan_of(service);
  CLEANUP(buf_release) struct buf conf;
  CLEANUP(buf_release) struct buf acl;
  buf_init(&conf);
  buf_init(&acl);
  int status = redis_write_sentinel_conf(&plan, member, &conf, err);
  if (status == 0) status = redis_write_sentinel_acl(&plan, &acl, err);
  if (status == 0) status = put(service, member, REDIS_SENTINEL_CONFIG, &conf, err);
  if (status == 0) status = put(service, member, REDIS_SENTINEL_ACL, &acl, err);
  if (status == 0)
    status = define(service, member, REDIS_SENTINEL_UNIT, REDIS_SENTINEL_CONFIG, "--sentinel", err);
  return status;
}

static int put_certificates(struct service_instance *service, uint32_t member, struct error *err) {
  char directory[PATH_MAX];
  if (!redis_config(service)->tls) return 0;
  int status = redis_tls_directory(service, directory, err);
  return status < 0 ? status
                    : certificates_put(service, member, directory, REDIS_TLS_DIRECTORY,
                                       redis_state(service)->hosts[member].user, err);
}

int redis_prepare_member(struct service_instance *service, uint32_t member, void *data,
                         struct error *err) {
  (void)data;
  int status = probe(service, member, err);
  if (status == 0) status = put_certificates(service, member, err);
  if (status == 0 && member < redis_data_count(service))
    status = prepare_server(service, member, err);
  if (status == 0 && redis_has_sentinel(redis_config(service), member))
    status = prepare_sentinel(service, member, err);
  return status;
}
