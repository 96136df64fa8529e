/* The parts of the `postgres` service among themselves: configuration, state, and what each of the
 * services/postgres_*.c files offers to the others. Nothing outside services/ includes this, but
 * the service's own tests. */
#ifndef GAMEDAY_SERVICES_POSTGRES_H
#define GAMEDAY_SERVICES_POSTGRES_H

#include <libpq-fe.h>
#include <limits.h>
#include <pthread.h>

#include "base/cleanup.h"
#include "gameday/service.h"
#include "services/members.h"
#include "services/postgres_parameters.h"
#include "services/remote.h"
#include "services/secrets.h"
#include "services/server_log.h"

#define POSTGRES_CONFIG_DIRECTORY "/etc/gameday"
#define POSTGRES_DIRECTORY HOST_DATA_DIRECTORY "/postgres"
#define POSTGRES_DATA POSTGRES_DIRECTORY "/data"
#define POSTGRES_SOCKETS POSTGRES_DIRECTORY "/run"
#define POSTGRES_USER "gameday" /* the clients' role, and its database */
#define PATRONI_NAMESPACE "/gameday/"
#define PATRONI_REST_USER "gameday"

struct postgres_secrets {
  char superuser[SECRET_SIZE];
  char replication[SECRET_SIZE];
  char rewind[SECRET_SIZE];
  char client[SECRET_SIZE];
  char rest[SECRET_SIZE];
};

/* What is installed on a host, found out at run time. */
struct postgres_host {
  char bin_directory[128]; /* of PostgreSQL: "/usr/lib/postgresql/15/bin" */
  char patroni[128], etcd[128];
  char etcd_user[32]; /* "etcd", or "root" where the package made no user */
  uint32_t major;     /* of PostgreSQL */
};

struct postgres_watcher;

struct postgres_state {
  struct postgres_secrets secrets;
  struct postgres_host hosts[POSTGRES_INSTANCES_MAX + 1]; /* by member */
  struct endpoint endpoints[POSTGRES_INSTANCES_MAX];      /* by member */
  char ca_file[PATH_MAX];
  const struct host *monitor;       /* whose network we use; NULL: the machine's own */
  struct postgres_watcher *watcher; /* NULL: not watching */
  pthread_mutex_t view_mutex;       /* guards view */
  bool view_mutex_ready;
  struct service_view view;
};

static inline struct postgres_state *postgres_state(const struct service_instance *service) {
  return service->state;
}
static inline const struct postgres_config *postgres_config(
    const struct service_instance *service) {
  return service->config;
}

/* Checks what no single parameter can: struct plugin's validate. */
int postgres_validate(const void *config, struct error *err);

/* --- postgres_config.c: texts of configuration files; pure --- */

/* Everything that configuration texts are made of. */
struct postgres_plan {
  const struct postgres_config *config;
  const struct postgres_secrets *secrets;
  const char *scope; /* Patroni's; the name of the cluster in etcd */
  const struct host *const *members;
};
int postgres_write_patroni(const struct postgres_plan *plan, uint32_t member,
                           const struct postgres_host *host, struct buf *ret, struct error *err);
/* The program that waits for etcd and then becomes Patroni. */
int postgres_write_patroni_start(const struct postgres_plan *plan, const struct postgres_host *host,
                                 struct buf *ret, struct error *err);
int postgres_write_post_bootstrap(const struct postgres_plan *plan, uint32_t member,
                                  const struct postgres_host *host, struct buf *ret,
                                  struct error *err);
/* The SQL that makes the clients' role and database and the other members' slots. */
int postgres_write_bootstrap_sql(const struct postgres_plan *plan, uint32_t member, struct buf *ret,
                                 struct error *err);
/* etcd's arguments, NULL-terminated, in `arguments`; texts in `ret_text`, which must stay. */
#define ETCD_ARGUMENTS_MAX 32
int postgres_write_etcd(const struct postgres_plan *plan, uint32_t member,
                        const struct postgres_host *host, struct buf *ret_text,
                        const char *ret_arguments[ETCD_ARGUMENTS_MAX], struct error *err);
int postgres_write_conf(const struct postgres_plan *plan, uint32_t member, struct buf *ret,
                        struct error *err);
/* The program of the unit `postgres`, without a manager. */
int postgres_write_start(const struct postgres_plan *plan, uint32_t member,
                         const struct postgres_host *host, struct buf *ret, struct error *err);
int postgres_write_hba(struct buf *ret, struct error *err);
int postgres_write_pgpass(const struct postgres_plan *plan, struct buf *ret, struct error *err);
/* Server parameters that the service sets itself and refuses from a scenario. */
bool postgres_parameter_reserved(const char *name, const struct postgres_config *config,
                                 const char **ret_why);

/* --- postgres_secrets.c --- */
/* Of `struct postgres_secrets`. */
extern const struct secrets postgres_secret_table;

/* --- postgres_remote.c: to the servers, blocking --- */

/* Runs `call` on a thread of its own in the monitor host's network, and waits for it. */
int postgres_on_monitor(struct service_instance *service, monitor_call *call, void *data,
                        struct error *err);

/* How a connection to a member is made. The arrays point into the struct and the service. */
struct postgres_conninfo {
  const char *keywords[24], *values[24];
  char port[8];
};
void postgres_conninfo(const struct service_instance *service, uint32_t member,
                       struct postgres_conninfo *ret);
/* Starts a connection to a member, to be polled on and ended by the caller. What the server says
 * beside answers is dropped: the terminal is not ours. NULL: out of memory. */
PGconn *postgres_connection_start(const struct service_instance *service, uint32_t member);

/* As the superuser, with a deadline (clock time of CLOCK_MONOTONIC) of our own. The caller's thread
 * stands in the monitor's network. STATUS_SERVER when refused, STATUS_TIMEOUT. */
int postgres_sql_connect(const struct service_instance *service, uint32_t member,
                         uint64_t deadline_ns, PGconn **ret, struct error *err);
int postgres_sql_query(PGconn *conn, const char *text, uint64_t deadline_ns, PGresult **ret,
                       struct error *err);
/* Both, for one query on a new connection. */
int postgres_sql_once(const struct service_instance *service, uint32_t member, const char *text,
                      uint64_t timeout_ns, PGresult **ret, struct error *err);
void cleanup_conn(PGconn **conn);
void cleanup_result(PGresult **result);

/* Patroni's REST interface of a member, by TLS and with authentication. `body` NULL: no body. */
int postgres_rest(const struct service_instance *service, uint32_t member, const char *method,
                  const char *path, const char *body, uint64_t timeout_ns, long *ret_code,
                  struct buf *ret, struct error *err);
/* GET of an etcd client address's path. */
int postgres_etcd_get(const struct service_instance *service, uint32_t member, const char *path,
                      uint64_t timeout_ns, struct buf *ret, struct error *err);

/* --- postgres_log.c --- */

server_log_chooser postgres_log_choose;

/* --- starting, by topology; members are prepared and access is filled --- */
int postgres_host_probe(struct service_instance *service, uint32_t member, struct error *err);
int postgres_put(struct service_instance *service, uint32_t member, const char *path,
                 const struct buf *content, mode_t mode, const char *owner, struct error *err);
/* The CA's certificate, and the host's own with its key, for the user postgres. */
int postgres_put_certificates(struct service_instance *service, uint32_t member, struct error *err);
int postgres_patroni_start(struct service_instance *service, uint64_t deadline_ns,
                           struct error *err);
int postgres_streaming_start(struct service_instance *service, uint64_t deadline_ns,
                             struct error *err);
/* Waits until writable and all replicas stream; `unit` is looked after on every member. */
int postgres_wait_ready(struct service_instance *service, const char *unit, uint64_t deadline_ns,
                        struct error *err);

/* --- postgres_watch.c, postgres_leader.c --- */
int postgres_watch(struct service_instance *service, struct loop *loop, struct error *err);
void postgres_unwatch(struct service_instance *service);
void postgres_view(const struct service_instance *service, struct service_view *ret_view);

/* --- postgres_settings.c, postgres_steps.c --- */
int postgres_settings(struct service_instance *service, struct buf *json, struct error *err);
int postgres_step(struct service_instance *service, enum service_step step, const struct host *host,
                  struct error *err);
int postgres_converged(struct service_instance *service, bool *ret_converged, char *why,
                       size_t why_size, struct error *err);

#endif
