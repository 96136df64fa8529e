/* Starting PostgreSQL under Patroni: etcd on the first hosts, Patroni on all, then waiting. */
#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "services/postgres.h"

static struct postgres_plan plan_of(const struct service_instance *service) {
  return (struct postgres_plan){.config = service->config,
                                .secrets = &postgres_state(service)->secrets,
                                .scope = service->cluster->id,
                                .members = (const struct host *const *)service->members};
}

static int start_etcd(struct service_instance *service, uint32_t member, struct error *err) {
  const struct postgres_plan plan = plan_of(service);
  const struct postgres_host *found = &postgres_state(service)->hosts[member];
  const struct host *host = service->members[member];
  const struct provider *provider = service->cluster->provider;
  const char *argv[ETCD_ARGUMENTS_MAX];
  CLEANUP(buf_release) struct buf text;
  buf_init(&text);
  int status = postgres_write_etcd(&plan, member, found, &text, argv, err);
  if (status < 0) return status;
  const struct host_unit unit = {.name = "etcd",
                                 .user = strcmp(found->etcd_user, "root") ? found->etcd_user : NULL,
                                 .argv = argv};
  status = provider->unit_define(service->cluster, host, &unit, err);
  if (status == 0) status = provider->unit_start(service->cluster, host, "etcd", err);
  return status;
}

static int put_patroni(struct service_instance *service, uint32_t member, struct error *err) {
  const struct postgres_plan plan = plan_of(service);
  const struct postgres_host *found = &postgres_state(service)->hosts[member];
  CLEANUP(buf_release) struct buf config;
  CLEANUP(buf_release) struct buf start;
  CLEANUP(buf_release) struct buf bootstrap;
  buf_init(&config);
  buf_init(&start);
  buf_init(&bootstrap);
  int status = postgres_write_patroni(&plan, member, found, &config, err);
  if (status == 0) status = postgres_write_patroni_start(&plan, found, &start, err);
  if (status == 0) status = postgres_write_post_bootstrap(&plan, member, found, &bootstrap, err);
  if (status == 0)
    status = postgres_put(service, member, POSTGRES_CONFIG_DIRECTORY "/patroni.yml", &config, 0600,
                          "postgres", err);
  if (status == 0)
    status = postgres_put(service, member, POSTGRES_CONFIG_DIRECTORY "/start-patroni.py", &start,
                          0644, NULL, err);
  if (status == 0)
    status = postgres_put(service, member, POSTGRES_CONFIG_DIRECTORY "/post-bootstrap", &bootstrap,
                          0700, "postgres", err);
  return status;
}

static int start_patroni(struct service_instance *service, uint32_t member, struct error *err) {
  static const char *const argv[] = {"/usr/bin/python3",
                                     POSTGRES_CONFIG_DIRECTORY "/start-patroni.py", NULL};
  static const char *const env[] = {"HOME=" POSTGRES_DIRECTORY, "PYTHONUNBUFFERED=1",
                                    "LC_ALL=C.UTF-8", NULL};
  static const struct host_unit unit = {
      .name = "patroni", .user = "postgres", .argv = argv, .env = env};
  const struct host *host = service->members[member];
  const struct provider *provider = service->cluster->provider;
  int status = put_patroni(service, member, err);
  if (status == 0) status = postgres_put_certificates(service, member, err);
  if (status == 0) status = provider->unit_define(service->cluster, host, &unit, err);
  if (status == 0) status = provider->unit_start(service->cluster, host, "patroni", err);
  return status;
}

/* Hosts are prepared at the same time. etcd goes first on each: it has to elect before Patroni can
 * do anything. */
static int start_member(struct service_instance *service, uint32_t member, void *data,
                        struct error *err) {
  (void)data;
  const struct postgres_config *config = postgres_config(service);
  int status = postgres_host_probe(service, member, err);
  if (status == 0 && member < postgres_etcd_count(config))
    status = start_etcd(service, member, err);
  if (status == 0 && member < postgres_instances(config))
    status = start_patroni(service, member, err);
  return status;
}

int postgres_patroni_start(struct service_instance *service, uint64_t deadline_ns,
                           struct error *err) {
  const struct postgres_config *config = postgres_config(service);
  int status = service_each_member(service, postgres_host_count(config), start_member, NULL, err);
  if (status == 0) status = postgres_wait_ready(service, "patroni", deadline_ns, err);
  if (status == 0)
    status =
        service_each_member(service, postgres_host_count(config), service_sync_disk, NULL, err);
  return status;
}
