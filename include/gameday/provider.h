/* A provider makes hosts, or finds them, and knows how to do things to them. It offers primitives;
 * injectors and services compose them and hold no code of any one provider. */
#ifndef GAMEDAY_PROVIDER_H
#define GAMEDAY_PROVIDER_H

#include <sys/types.h>

#include "base/process.h"
#include "gameday/plugin.h"

#define HOSTS_MAX 1024
#define HOST_NAME_SIZE 64

enum host_kind {
  HOST_SERVER,  /* runs services; faults may hit it */
  HOST_CLIENT,  /* clients run on it: a network of its own, nothing else */
  HOST_MONITOR, /* the observer: reaches all, never part of a fault */
};

struct host {
  uint16_t index; /* in cluster->hosts, and in the record */
  enum host_kind kind;
  char name[HOST_NAME_SIZE];
  char address[48]; /* numeric; as the other hosts see it */
};

/* Capabilities: what a provider `can`, what an injector or service `needs`. */
enum capability {
  CAN_HOST_POWER = 1 << 0, /* host_stop, host_start */
  CAN_SIGNAL = 1 << 1,     /* process_signal */
  CAN_FREEZE = 1 << 2,     /* freeze */
  CAN_UNITS = 1 << 3,      /* unit_*: daemons on hosts */
  CAN_EXEC = 1 << 4,
  CAN_FILES = 1 << 5,   /* file_put */
  CAN_NETWORK = 1 << 6, /* network_enter: clients on hosts of their own */
  CAN_LINKS = 1 << 7,   /* link_cut */
};
const char *capability_name(enum capability capability); /* "host power", for messages */

struct host_spec {
  const char *name;
  enum host_kind kind;
  uint64_t memory_bytes; /* limit; 0: none */
  uint64_t disk_bytes;   /* size of the file system at HOST_DATA_DIRECTORY; 0: provider's default */
};

/* Where a service keeps its data: on a file system of its own with a size limit. */
#define HOST_DATA_DIRECTORY "/var/lib/gameday"

struct cluster_spec {
  const char *id;            /* unique on this machine: [a-z0-9-]{1,32} */
  const char *run_directory; /* absolute; logs and state go below it */
  const struct host_spec *hosts;
  uint32_t host_count;
  bool keep; /* outlives the process that made it (cluster up) */
  /* For a provider in virtual time, the loop on which its hosts live, and the seed of all chance;
   * NULL and 0 otherwise. The loop outlives the cluster. */
  struct loop *loop;
  uint64_t seed;
};

struct cluster {
  const struct provider *provider;
  const char *id;
  const char *run_directory;
  struct host *hosts; /* servers first, in the order of the spec */
  uint32_t host_count;
  void *state; /* the provider's */
};

/* Which processes of a host. All given parts must match; all NULL: every process of the host. */
struct process_match {
  const char *program;  /* base name of argv[0] or of the executable */
  const char *argument; /* a substring of the command line */
  const char *unit;     /* processes started by this unit, descendants included */
  bool tree;            /* with all descendants of what matched */
};

/* What becomes of packets that a cut link refuses. */
enum link_action {
  LINK_DROP,   /* nothing: the sender waits and retransmits */
  LINK_REJECT, /* ICMP administratively prohibited: the sender fails at once */
  LINK_RESET,  /* TCP RST, and DROP for what is not TCP */
};
/* Which packets from one host to another are refused, where they arrive. Only TCP has connections
 * and ports: what asks for them leaves the rest alone. */
struct link_rule {
  enum link_action action;
  uint16_t port;         /* TCP, of either end; 0: all packets of all protocols */
  bool established_only; /* connections that were there before the cut; new ones pass */
  bool new_only;         /* new connections; those that were there before live on */
};

/* A daemon of a host: started with the host, unless it is `by_hand`, and by unit_start(). stdout
 * and stderr go to RUN_DIRECTORY/logs/HOST/NAME.log. */
struct host_unit {
  const char *name;        /* [a-z0-9-]+ */
  const char *user;        /* a user name inside the host; NULL: root */
  const char *const *argv; /* argv[0] absolute */
  const char *const *env;  /* "KEY=value"; NULL: none */
  bool by_hand;            /* by unit_start() alone: a fault ends with its host's power */
  /* What it does, where it does nothing but take memory: so many processes as much each, and keep
   * it. A host that runs no programs knows it by that. 0: something else. */
  uint32_t memory_processes;
  uint64_t memory_bytes;
};

/* A program whose model has versions, because they differ in what decides how a fault goes. */
struct modelled_program {
  const char *name;      /* "Patroni" */
  const char *command;   /* tells its version with --version, where it is installed */
  const char *parameter; /* of the provider, a PARAM_CHOICE of versions, in ascending order */
  const char *version;   /* the choice */
};
/* Appends "Patroni 3.2"; nothing when there are none. */
void modelled_print(const struct modelled_program *programs, uint32_t count, struct buf *out);

struct loop;
struct service;
struct provider {
  struct plugin plugin;
  uint32_t can;         /* enum capability */
  uint32_t hosts_max;   /* of all kinds together; 0: HOSTS_MAX */
  uint32_t clients_max; /* of one client host, each with a connection; 0: no limit of its own */
  /* Hosts exist in memory and in virtual time only: the whole run happens on one loop in one
   * thread, nothing can outlive it, and "blocking" primitives turn that loop. */
  bool virtual_time;
  /* Its own form of a service, with the same name and parameters, which is started, watched and
   * asked in place of the real one; NULL: it has none. A NULL function: real services. */
  const struct service *(*model)(const struct service *service);
  /* The program of the model of such a service that comes in versions; false: there is none. NULL:
   * never. */
  bool (*modelled)(const void *config, const struct service *service, const void *service_config,
                   struct modelled_program *ret);

  /* Whether this machine can do it: STATUS_ENVIRONMENT says what is missing and how to get it.
   * Touches nothing. */
  int (*probe)(const void *config, struct error *err);
  /* The same for what faults need of it, beyond having hosts: of these of its capabilities, whether
   * this machine lets it. NULL: wherever it works, it can all that it `can`. */
  int (*probe_can)(const void *config, uint32_t capabilities, struct error *err);
  /* Makes all hosts, running, reachable and without services. On failure nothing is left. Blocks.
   */
  int (*up)(const void *config, const struct cluster_spec *spec, struct cluster **ret_cluster,
            struct error *err);
  /* Finds a cluster again from what up() left in the run directory. The result is freed by
   * detach(); the cluster itself stays. */
  int (*attach)(const char *run_directory, struct cluster **ret_cluster, struct error *err);
  void (*detach)(struct cluster *cluster);
  /* Appends a JSON object of what the hosts are made of, as far as it decides what a fault means
   * (container runtime, kind of storage): goes into run.json. NULL: nothing to say. */
  int (*describe)(const struct cluster *cluster, struct buf *json, struct error *err);
  /* Calls `found` for each cluster of this provider that is to be known of on this machine (kept,
   * or of a run that goes on); the first non-zero answer ends the listing and is returned. NULL:
   * this provider keeps no list. */
  int (*list)(int (*found)(void *data, const char *id, const char *run_directory), void *data,
              struct error *err);
  /* Removes everything that up() of this id made or began to make: works when up() was cut short,
   * when half of it is gone, and twice. Needs no cluster handle, so that a guard can do it. */
  int (*destroy)(const char *run_directory, const char *id, struct error *err);
  /* Whether what the hosts did up to now is to be trusted: a failure (STATUS_MEMORY for hosts in
   * memory that ran out of it) ends the run. Cheap, asked often, in the run's thread; NULL: they
   * are real. */
  int (*trustworthy)(const struct cluster *cluster, struct error *err);

  /* --- primitives; all block, bounded by 30 s unless said otherwise; any thread --- */

  /* Power off, at once: first the host's link goes down, so that no FIN or RST is seen by its
   * peers, then every process is killed. Returns when the last one is gone. Already off is fine. */
  int (*host_stop)(struct cluster *cluster, const struct host *host, struct error *err);
  /* Power on: link, then the units defined on it that are not by_hand. Already on is fine. */
  int (*host_start)(struct cluster *cluster, const struct host *host, struct error *err);
  /* Whether its init runs and its link is up. Every provider can tell. */
  int (*host_running)(struct cluster *cluster, const struct host *host, bool *ret_running,
                      struct error *err);

  /* Sends `signal` (0: only counts) to the matching processes; `ret_count` may be NULL. */
  int (*process_signal)(struct cluster *cluster, const struct host *host,
                        const struct process_match *match, int signal, uint32_t *ret_count,
                        struct error *err);
  /* Freezes or thaws the whole host (match NULL) or the matching processes. Thawing what is not
   * frozen is fine. Returns when it is so. */
  int (*freeze)(struct cluster *cluster, const struct host *host, const struct process_match *match,
                bool frozen, struct error *err);
  /* Whether all matching processes are stopped (frozen); STATUS_SERVER when none matches. */
  int (*frozen)(struct cluster *cluster, const struct host *host, const struct process_match *match,
                bool *ret_frozen, struct error *err);

  int (*unit_define)(struct cluster *cluster, const struct host *host, const struct host_unit *unit,
                     struct error *err);
  int (*unit_start)(struct cluster *cluster, const struct host *host, const char *name,
                    struct error *err);
  int (*unit_running)(struct cluster *cluster, const struct host *host, const char *name,
                      bool *ret_running, struct error *err);

  /* Runs a program inside the host to its end. spec->namespace_* and directory must be zero. */
  int (*exec)(struct cluster *cluster, const struct host *host, const char *user,
              const struct process_spec *spec, struct process_result *ret, struct error *err);
  /* Writes a file inside the host, parents made; owner is a user name (NULL: root). */
  int (*file_put)(struct cluster *cluster, const struct host *host, const char *path,
                  const void *bytes, size_t length, mode_t mode, const char *owner,
                  struct error *err);
  /* From now on the calling thread, and the threads and programs that it starts, are on this host's
   * network with their new sockets, and the names of the cluster's hosts resolve to addresses.
   * Files are this machine's, under their own paths. */
  int (*network_enter)(struct cluster *cluster, const struct host *host, struct error *err);

  /* Refuses, at `to`, what comes from any of `froms` and is named by one of `rules`, under the name
   * `tag` ([a-z0-9-]{1,32}, of the fault): one direction; a call for each host cuts both. The same
   * again is fine. Holds until it is mended, also when `to` is switched off and on. Returns when it
   * is in effect. */
  int (*link_cut)(struct cluster *cluster, const struct host *const froms[], uint32_t from_count,
                  const struct host *to, const struct link_rule rules[], uint32_t rule_count,
                  const char *tag, struct error *err);
  /* Takes back all cuts of `tag`, wherever they are. Goes on after a failure and returns the first.
   * Fine when there are none, and when hosts are off. */
  int (*link_mend)(struct cluster *cluster, const char *tag, struct error *err);
  /* Whether a packet such as `rule` is about, sent now from `from`, gets to `to` (its action is not
   * looked at) as far as the cuts of `tag` go: found out by sending one where that is possible and
   * not by asking for the rules. Only of one that is refused it is asked whose doing that is: it
   * passes when nothing of `tag` is left there and another fault cuts the same link. `tag` NULL:
   * whoever refuses it. The way back is not judged. A host that is off gets nothing. */
  int (*link_passes)(struct cluster *cluster, const struct host *from, const struct host *to,
                     const struct link_rule *rule, const char *tag, bool *ret_passes,
                     struct error *err);
};

extern const struct provider *const providers[]; /* clusters/clusters.c; NULL-terminated */

#endif
