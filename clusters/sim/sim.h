/* The simulator's provider among its own: its configuration, and the cluster that stands behind
 * `struct cluster`. */
#ifndef GAMEDAY_CLUSTERS_SIM_SIM_H
#define GAMEDAY_CLUSTERS_SIM_SIM_H

#include "gameday/service.h"
#include "sim/patroni.h"
#include "sim/postgres.h"
#include "sim/redis.h"
#include "sim/truth.h"
#include "sim/world.h"

/* One bug that a cluster may have built in. docs/simulator.md says what each does, and which
 * checker must convict it. */
enum sim_guilt {
  GUILTY_NOT,
  GUILTY_EARLY_ACK,     /* synchronous commits are acknowledged before any standby has them */
  GUILTY_TWO_PRIMARIES, /* a primary that lost its key goes on while the next one reigns */
  GUILTY_STALE_READ,    /* one replica answers from long ago while it reports that it is in step */
  GUILTY_RESURRECTED,   /* a write that was refused for certain is there in the end */
  GUILTY_CORRUPT,       /* one replica's row is not what was written */
  GUILTY_DUPLICATE,     /* one row is there twice */
  GUILTY_FLAPPING,      /* the new primary serves for a moment and falls silent again */
  GUILTY_BLINK,         /* outages shorter than any sampling of roles */
  GUILTY_LOSS_AT_HEAL,  /* what was acknowledged since the fault is lost when it is healed */
  GUILTY_EVICT_ANY,     /* keys go for want of memory that the policy keeps */
  GUILTY_SLOW,          /* a new primary's commits take long, and none fails */
  GUILTY_UNSYNCED,      /* a new primary waits for no standby, whatever its manager says */
  GUILTY_IMMUNE,        /* a killed process lives on */
};

struct sim_config {
  uint64_t latency_ns, jitter_ns; /* of every link, one way */
  uint64_t boot_ns;               /* power on until the units start */
  struct sim_postgres_costs postgres;
  struct sim_redis_costs redis;
  int patroni; /* enum sim_patroni_version */
  int guilty;  /* enum sim_guilt */
  bool truth;  /* write truth.bin */
};

/* A process is asked to end by a signal that it may handle. */
typedef void sim_terminate(void *service, struct sim_process *process, int signal);
/* Whose host it is. NULL: nobody's, its processes just die. */
struct sim_claim {
  sim_terminate *terminate;
  /* Bytes of the host's memory that a process of the service has; 0: it is none of its. NULL: the
   * model knows of no memory. */
  uint64_t (*memory)(void *service, const struct sim_process *process);
  void *service;
};

/* Processes of a host that take its memory and nothing else: sim/memory.c. */
struct sim_eaters {
  struct sim_process process; /* all of them */
  struct sim_cluster *cluster;
  struct sim_eaters *next;
  uint32_t count;       /* that live */
  uint32_t first_count; /* that are started */
  uint64_t each_bytes;  /* that one wants */
  uint64_t has_bytes;   /* that one has */
};

/* Power that comes back: a host boots for a while. */
struct sim_boot {
  struct sim_cluster *cluster;
  struct timer timer;
  uint16_t host;
};

struct sim_cluster {
  struct cluster base; /* first: `struct cluster *` is a `struct sim_cluster *` */
  struct host hosts[HOSTS_MAX];
  struct sim_config settings;
  const struct sim_config *config; /* `settings` */
  struct sim_world world;
  struct prng guilt;       /* for the bugs' own choices */
  struct sim_truth *truth; /* NULL: nobody wants to know */
  const struct service_instance *truth_of;
  struct sim_boot boots[HOSTS_MAX];
  struct sim_process clients[HOSTS_MAX]; /* "client": what runs on client hosts and the monitor */
  struct sim_claim claims[HOSTS_MAX];    /* by host */
  uint64_t memory_bytes[HOSTS_MAX];      /* a host's limit; 0: none */
  struct sim_eaters *eaters;
};

static inline struct sim_cluster *sim_cluster_of(const struct cluster *cluster) {
  return cluster->state;
}

extern const struct provider provider_sim;
/* The models of services: what provider_sim.model() gives. sim/service_postgres.c ... */
extern const struct service sim_service_postgres;
extern const struct service sim_service_redis;
/* The driver of its clients; access.context is the `struct sim_postgres_cluster`. sim/driver.c */
extern const struct driver driver_sim_postgres;

/* --- sim/claim.c: for the models of services --- */

/* The hosts of `instance` are `service`'s, which hears of their processes' signals; begins the
 * truth where it is wanted. STATUS_USAGE when it is, and another service has it; STATUS_MEMORY. */
int sim_claim_hosts(struct sim_cluster *cluster, const struct service_instance *instance,
                    sim_terminate *terminate, void *service, struct error *err);
/* Its processes have memory, of which the kernel of a host that has too little takes it back. */
void sim_claim_memory(struct sim_cluster *cluster, const struct service_instance *instance,
                      uint64_t (*memory)(void *service, const struct sim_process *process));
/* Gives them back, and writes the truth, while the servers are still there. */
void sim_leave_hosts(struct sim_cluster *cluster, const struct service_instance *instance);
/* struct service's attach: refuses. */
int sim_refuse_attach(struct service_instance *instance, struct error *err);
/* Lets `for_ns` pass, by turning the world's loop: what a step does that blocks. */
int sim_pass(struct sim_cluster *cluster, uint64_t for_ns, struct error *err);

/* --- sim/memory.c --- */

/* unit_define() of a unit that takes memory (host_unit.memory_bytes). STATUS_ENVIRONMENT where the
 * host's service has none, or the host no limit. */
int sim_memory_define(struct sim_cluster *cluster, const struct host *host,
                      const struct host_unit *unit, struct error *err);
void sim_memory_release(struct sim_cluster *cluster);

/* --- sim/power.c, sim/signal.c, sim/links.c: the primitives --- */

int sim_power_off(struct cluster *cluster, const struct host *host, struct error *err);
int sim_power_on(struct cluster *cluster, const struct host *host, struct error *err);
int sim_power_running(struct cluster *cluster, const struct host *host, bool *ret_running,
                      struct error *err);
int sim_signal(struct cluster *cluster, const struct host *host, const struct process_match *match,
               int signal, uint32_t *ret_count, struct error *err);
int sim_freeze(struct cluster *cluster, const struct host *host, const struct process_match *match,
               bool frozen, struct error *err);
int sim_frozen(struct cluster *cluster, const struct host *host, const struct process_match *match,
               bool *ret_frozen, struct error *err);
int sim_cut_links(struct cluster *cluster, const struct host *const froms[], uint32_t from_count,
                  const struct host *to, const struct link_rule rules[], uint32_t rule_count,
                  const char *tag, struct error *err);
int sim_mend_links(struct cluster *cluster, const char *tag, struct error *err);
int sim_link_passes(struct cluster *cluster, const struct host *from, const struct host *to,
                    const struct link_rule *rule, const char *tag, bool *ret_passes,
                    struct error *err);
int sim_unit_define(struct cluster *cluster, const struct host *host, const struct host_unit *unit,
                    struct error *err);
int sim_unit_start(struct cluster *cluster, const struct host *host, const char *name,
                   struct error *err);
int sim_unit_running(struct cluster *cluster, const struct host *host, const char *name,
                     bool *ret_running, struct error *err);

#endif
