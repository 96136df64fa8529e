/* The parts of the `redis` service among themselves: state, and what each of the services/redis_*.c
 * files offers to the others. Nothing outside services/ includes this, but the service's own tests.
 */
#ifndef GAMEDAY_SERVICES_REDIS_H
#define GAMEDAY_SERVICES_REDIS_H

#include <hiredis/hiredis.h>
#include <limits.h>
#include <pthread.h>

#include "base/cleanup.h"
#include "gameday/service.h"
#include "plugin/redis_talk.h"
#include "services/members.h"
#include "services/redis_info.h"
#include "services/redis_parameters.h"
#include "services/remote.h"
#include "services/secrets.h"
#include "services/server_log.h"

#define REDIS_HOSTS_MAX (REDIS_INSTANCES_MAX + REDIS_SENTINELS_MAX)
#define REDIS_UNIT "redis"
#define REDIS_SENTINEL_UNIT "redis-sentinel"
/* The servers' own: they write their configuration anew when a role changes. */
#define REDIS_CONFIG_DIRECTORY "/etc/gameday/redis"
#define REDIS_CONFIG REDIS_CONFIG_DIRECTORY "/redis.conf"
#define REDIS_ACL REDIS_CONFIG_DIRECTORY "/users.acl"
#define REDIS_SENTINEL_CONFIG REDIS_CONFIG_DIRECTORY "/sentinel.conf"
#define REDIS_SENTINEL_ACL REDIS_CONFIG_DIRECTORY "/sentinel-users.acl"
#define REDIS_TLS_DIRECTORY REDIS_CONFIG_DIRECTORY "/tls"
#define REDIS_DATA HOST_DATA_DIRECTORY "/redis"
#define REDIS_CLIENT_USER "gameday"
#define REDIS_REPLICATION_USER "gameday-replica"
#define REDIS_SENTINEL_USER "gameday-sentinel"
#define REDIS_OBSERVER_USER "gameday-observer"

struct redis_secrets {
  char client[SECRET_SIZE];
  char replication[SECRET_SIZE];
  char sentinel[SECRET_SIZE]; /* of Sentinels, to servers and to each other */
  char observer[SECRET_SIZE];
};

/* What is installed on a host, found out at run time. */
struct redis_host {
  char program[128]; /* "/usr/bin/redis-server" */
  char user[32];     /* "redis", "valkey", or "root" where the package made no user */
};

struct redis_watcher;

struct redis_state {
  struct redis_secrets secrets;
  char ca_file[PATH_MAX];                                /* "" without TLS */
  struct tls_trust *trust;                               /* NULL without TLS */
  struct redis_host hosts[REDIS_HOSTS_MAX];              /* by member */
  struct endpoint endpoints[REDIS_INSTANCES_MAX];        /* the data servers, by member */
  struct endpoint sentinels[REDIS_SENTINELS_MAX];        /* by member, from the first */
  char sentinel_ids[REDIS_SENTINELS_MAX][REDIS_ID_SIZE]; /* while starting */
  struct redis_histories histories;
  bool histories_ready;
  struct redis_access access;
  const struct host *monitor;    /* whose network we use; NULL: the machine's own */
  struct redis_watcher *watcher; /* NULL: not watching */
  pthread_mutex_t view_mutex;    /* guards view */
  bool view_mutex_ready;
  struct service_view view;
};

static inline struct redis_state *redis_state(const struct service_instance *service) {
  return service->state;
}
static inline const struct redis_config *redis_config(const struct service_instance *service) {
  return service->config;
}
static inline uint32_t redis_data_count(const struct service_instance *service) {
  return redis_instances(redis_config(service));
}

/* Which member a host is; UINT32_MAX when it carries no data server of this service. */
static inline uint32_t redis_member(const struct service_instance *service,
                                    const struct host *host) {
  return service_member(service, redis_data_count(service), host);
}
/* The member with this address; UINT32_MAX: none. */
uint32_t redis_member_at(const struct service_instance *service, const char *address);
/* Where member `member` keeps its Sentinel: the first members do, or those behind the data servers
 * when there are more Sentinels than data servers. */
static inline bool redis_has_sentinel(const struct redis_config *config, uint32_t member) {
  return member < redis_sentinel_count(config);
}

/* --- redis_config.c: texts of configuration files; pure --- */

/* Everything that configuration texts are made of. */
struct redis_plan {
  const struct redis_config *config;
  const struct redis_secrets *secrets;
  const struct host *const *members;
  const char (*sentinel_ids)[REDIS_ID_SIZE];
};
int redis_write_conf(const struct redis_plan *plan, uint32_t member, struct buf *ret,
                     struct error *err);
int redis_write_acl(const struct redis_plan *plan, struct buf *ret, struct error *err);
int redis_write_sentinel_conf(const struct redis_plan *plan, uint32_t member, struct buf *ret,
                              struct error *err);
int redis_write_sentinel_acl(const struct redis_plan *plan, struct buf *ret, struct error *err);

/* --- redis_secrets.c --- */
/* Of `struct redis_secrets`. */
extern const struct secrets redis_secret_table;

/* --- redis_remote.c: to the servers, blocking --- */

/* Runs `call` on a thread of its own in the monitor host's network, and waits for it. */
int redis_on_monitor(struct service_instance *service, monitor_call *call, void *data,
                     struct error *err);

/* A connection as the observer's user. The caller's thread stands in the monitor's network. */
struct redis_console {
  struct redis_talk *talk; /* NULL: not connected */
  const char *name;        /* of the host, borrowed */
  uint64_t timeout_ns;     /* of each command */
};
void redis_console_close(struct redis_console *console); /* closed is fine */
/* `port` is that of the server or of the Sentinel. STATUS_SERVER when refused, STATUS_TIMEOUT. */
int redis_console_open(const struct service_instance *service, uint32_t member, uint16_t port,
                       uint64_t timeout_ns, struct redis_console *ret, struct error *err);
/* One command of words; the answer is freed by the caller (freeReplyObject). An error answer is
 * STATUS_SERVER. A link that failed is closed. */
int redis_console_ask(struct redis_console *console, uint32_t count, const char *const words[],
                      redisReply **ret, struct error *err);
/* The same of words with single spaces between them, no reply wanted but an answer without error;
 * `ret` may be NULL. */
int redis_console_say(struct redis_console *console, const char *text, redisReply **ret,
                      struct error *err);
/* One command on a connection of its own. */
int redis_ask_once(const struct service_instance *service, uint32_t member, uint16_t port,
                   const char *text, uint64_t timeout_ns, redisReply **ret, struct error *err);
void cleanup_reply(redisReply **reply);
/* The value of `key` in a flat list of keys and values; "" when it is not there. */
const char *redis_reply_field(const redisReply *reply, const char *key);
/* INFO of a server, parsed; `section` NULL: all. */
int redis_ask_info(const struct service_instance *service, uint32_t member, const char *section,
                   uint64_t timeout_ns, struct redis_info *ret, struct error *err);

/* --- redis_log.c --- */

server_log_chooser redis_log_choose;

/* --- starting; access is filled --- */

/* redis_host.c: finds the programs, makes directories, files and units. A `member_call`. */
int redis_prepare_member(struct service_instance *service, uint32_t member, void *data,
                         struct error *err);
/* redis_start.c: everything; returns when it is ready. */
int redis_bring_up(struct service_instance *service, uint64_t deadline_ns, struct error *err);
/* Where the certificates of the run are until they are on their hosts, and the CA's after that. */
int redis_tls_directory(const struct service_instance *service, char ret[PATH_MAX],
                        struct error *err);

/* --- redis_ready.c --- */

/* Whether what is waited for is there; `why` (`size` bytes) says what is missing. The thread stands
 * in the monitor's network. */
typedef bool redis_condition(struct service_instance *service, char *why, size_t size);
/* Waits for it; STATUS_SERVER with the log's words when a started unit has ended, or at the
 * deadline. `sentinels`: those were started too. */
int redis_wait(struct service_instance *service, redis_condition *condition, bool sentinels,
               uint64_t deadline_ns, struct error *err);
redis_condition redis_first_answers, redis_all_answer, redis_replicas_follow, redis_sentinels_agree;

/* --- redis_cluster.c: making a cluster of running servers --- */
int redis_cluster_make(struct service_instance *service, uint64_t deadline_ns, struct error *err);

/* --- redis_memory.c --- */
extern const struct service_memory_hooks redis_memory;

/* --- redis_watch.c --- */
int redis_watch(struct service_instance *service, struct loop *loop, struct error *err);
void redis_unwatch(struct service_instance *service);
void redis_view(const struct service_instance *service, struct service_view *ret_view);

/* --- redis_settings.c, redis_steps.c, redis_converged.c --- */
int redis_settings(struct service_instance *service, struct buf *json, struct error *err);
int redis_step(struct service_instance *service, enum service_step step, const struct host *host,
               struct error *err);
/* redis_keys.c */
int redis_keys(struct service_instance *service, enum keys_action action, const struct host *host,
               const char *pattern, struct keys_count *ret, struct error *err);
int redis_converged(struct service_instance *service, bool *ret_converged, char *why,
                    size_t why_size, struct error *err);

#endif
