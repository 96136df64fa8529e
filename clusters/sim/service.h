/* The simulator's form of the service `postgres` among its parts. */
#ifndef GAMEDAY_CLUSTERS_SIM_SERVICE_H
#define GAMEDAY_CLUSTERS_SIM_SERVICE_H

#include "services/postgres_redundancy.h"
#include "services/postgres_settings.h"
#include "sim/sim.h"

#define SIM_WORD_SIZE 160
#define SIM_LAG_TICKS 256

/* Where the primary's log ended, at one look: from it a standby's lag in time is told. */
struct sim_mark {
  uint64_t time_ns, position;
};

struct sim_watched {
  uint64_t mute_since_ns;   /* TIME_NEVER: it answers */
  uint32_t timeline;        /* as last sampled; 0: not */
  char word[SIM_WORD_SIZE]; /* Patroni's, as last recorded */
};

struct sim_service {
  struct service_instance *instance;
  struct sim_cluster *cluster;
  struct sim_postgres_cluster *servers;
  struct sim_patroni *patroni; /* NULL without a manager */
  uint32_t count;
  struct endpoint endpoints[POSTGRES_INSTANCES_MAX];
  struct sim_process units[POSTGRES_INSTANCES_MAX]; /* "postgres", without a manager */
  uint64_t asked[POSTGRES_INSTANCES_MAX];           /* by unit: number of its last question */
  struct service_view view;
  /* Watching. */
  uint16_t monitor;  /* host; HOST_NONE: there is none */
  struct loop *loop; /* NULL: not watching */
  struct timer look, replication, connections, manager;
  struct sim_watched watched[POSTGRES_INSTANCES_MAX];
  struct replica_words words[POSTGRES_INSTANCES_MAX]; /* by member */
  struct sim_mark marks[SIM_LAG_TICKS];
  uint64_t mark_count;
};

static inline struct sim_service *sim_service_of(const struct service_instance *instance) {
  return instance->state;
}
static inline const struct postgres_config *sim_service_config(const struct sim_service *service) {
  return service->instance->config;
}
static inline uint64_t sim_service_now_ns(const struct sim_service *service) {
  return sim_now_ns(&service->cluster->world);
}
/* Whether it answers questions now: it runs, is not starting, and is not frozen. */
bool sim_service_answers(const struct sim_service *service, uint32_t member);
/* The one member that is a primary; UINT32_MAX: none, or several. */
uint32_t sim_service_primary(const struct sim_service *service);

/* --- service_watch.c --- */
int sim_service_watch(struct service_instance *instance, struct loop *loop, struct error *err);
void sim_service_unwatch(struct service_instance *instance);

/* --- service_settings.c --- */
int sim_service_settings(struct service_instance *instance, struct buf *json, struct error *err);

/* --- service_steps.c --- */
int sim_service_step(struct service_instance *instance, enum service_step step,
                     const struct host *host, struct error *err);
int sim_service_converged(struct service_instance *instance, bool *ret_converged, char *why,
                          size_t why_size, struct error *err);

/* --- service_unit.c: the unit `postgres` of the topologies without a manager --- */
void sim_service_add_units(struct sim_service *service);
/* SIGTERM or SIGINT to a postmaster. */
void sim_service_terminate(void *data, struct sim_process *process, int signal);

/* --- postgres_facts.c --- */
uint32_t sim_postgres_connections(const struct sim_postgres *server); /* of clients */
/* Its data directory has a standby.signal. */
bool sim_postgres_was_standby(const struct sim_postgres *server);
/* Whether a standby receives (pg_stat_wal_receiver), from which member, by which connection. */
bool sim_postgres_receives(const struct sim_postgres *standby, uint32_t *ret_upstream,
                           uint64_t *ret_connection);
/* What a server knows of its sender to a standby beside sim_postgres_streams_to(). */
struct sim_postgres_sends {
  uint64_t connection;
  uint64_t heard_ns; /* the last report */
  bool behind;       /* not all that is flushed here is reported to be flushed there */
};
void sim_postgres_sends(const struct sim_postgres *server, uint32_t standby,
                        struct sim_postgres_sends *ret);

#endif
