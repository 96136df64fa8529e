/* A service is what runs on the hosts: a database with its manager, in a topology. It starts it,
 * watches it, and knows what "healthy again" means for it. */
#ifndef GAMEDAY_SERVICE_H
#define GAMEDAY_SERVICE_H

#include "base/buf.h"
#include "base/loop.h"
#include "gameday/driver.h"
#include "gameday/event.h"
#include "gameday/plugin.h"
#include "gameday/provider.h"

/* What a host of the service was last seen to be. */
struct host_view {
  enum role role; /* ROLE_NONE: does not answer */
  bool writable;
  bool streaming; /* a replica that the primary sends to and that receives, by both ends' words */
  uint32_t timeline;
  uint16_t shard;    /* that it belongs to, from 1; 0: the service has no shards, or not known */
  uint64_t position; /* WAL position: written (primary) or replayed (replica) */
  uint64_t lag_bytes;
  uint64_t seen_ns; /* clock time of the last answer */
};
struct service_view {
  struct host_view hosts[HOSTS_MAX]; /* by host index */
  uint16_t primary; /* host index, or HOST_NONE when none or more than one is writable; of a service
                      with shards always HOST_NONE */
  uint16_t shards;  /* how many it has, each with a primary of its own; 0: none, one primary */
  uint16_t leader;  /* host that holds the manager's leader key, or HOST_NONE */
  bool redundant;   /* all members stream under the lag bound from the one primary (of their shard),
                       and as many as were asked for are synchronous */
};

/* Processes that a fault can name: `process: postmaster`. */
struct service_process {
  const char *name; /* "postmaster", "patroni", "etcd" */
  struct process_match match;
  const char *unit; /* that brings it back when healing; NULL: the manager does */
};

/* One service of one run. Allocated by the engine; `state` is the service's own. */
struct service_instance {
  const struct service *service;
  const void *config;
  struct cluster *cluster;
  const struct host **members; /* hosts of this service, in the order of its plan; set by engine */
  uint32_t member_count;
  struct sink *sink;
  const struct clock *clock;
  uint64_t start_ns;          /* clock time that is zero in the record */
  uint64_t deadline_ns_start; /* how long start() may take, ns */
  uint64_t lag_bound_bytes;   /* redundant: every replica streams and is no further behind */
  struct access access;       /* filled by start() */
  void *state;
};

/* What can be done to the keys that a server holds, where it is a cache: all of them can be made
 * anew by those who use it. */
enum keys_action {
  KEYS_LOOK,    /* only counts */
  KEYS_EXPIRE,  /* removes those that match */
  KEYS_FLUSH,   /* removes all */
  KEYS_RESTART, /* the server dies, its data set is removed, and it is started again */
};
/* How many keys match. */
struct keys_count {
  uint64_t before; /* KEYS_EXPIRE, KEYS_FLUSH: that were removed; else as far as it could tell */
  uint64_t now;    /* right afterwards, counted anew; 0 for KEYS_RESTART */
};

/* Steps: planned actions that are no faults. */
enum service_step { STEP_SWITCHOVER, STEP_PROMOTE, STEP_RESTART, STEP_COUNT };

/* The memory of a host's server, as the server counts it. */
struct service_memory {
  uint64_t used_bytes;
  uint64_t limit_bytes; /* 0: none */
  uint64_t evicted;     /* keys thrown away for want of memory, since its start */
  uint64_t refused;     /* requests refused for want of memory, since its start */
  uint64_t fillers;     /* keys of fill() that are there */
};
/* Of a service whose data are in memory. All but limit() block, and may be called from any thread.
 * Hosts are those of servers. */
struct service_memory_hooks {
  /* The limit that a server has under this configuration; 0: none. Pure. */
  uint64_t (*limit)(const void *config);
  int (*look)(struct service_instance *service, const struct host *host,
              struct service_memory *ret_memory, struct error *err);
  /* Writes keys of its own, which no workload knows, until the memory is at its limit, then `more`
   * bytes of them, as far as the server takes them. STATUS_USAGE: it has no limit. */
  int (*fill)(struct service_instance *service, const struct host *host, uint64_t more_bytes,
              struct error *err);
  /* Removes those keys, from whoever is primary in that server's place by now; waits for one that
   * is starting. Fine when there are none. */
  int (*clear)(struct service_instance *service, const struct host *host, struct error *err);
};

struct service {
  struct plugin plugin;
  uint32_t needs;                          /* of the provider */
  const struct service_process *processes; /* ended by a NULL name */
  /* The same under one configuration, where a topology differs (fewer processes, another unit);
   * NULL: always `processes`. */
  const struct service_process *(*processes_for)(const void *config);

  /* Which hosts it wants; names are the host names. At most HOSTS_MAX. */
  int (*plan)(const void *config, struct host_spec *ret_hosts, uint32_t *ret_count,
              struct error *err);
  /* Which steps and what bounds follow from the configuration: so that `validate` can refuse. */
  bool (*can_step)(const void *config, enum service_step step);
  /* The TCP ports over which it is decided who is primary: of the store in which the manager keeps
   * its lease, or of the managers that vote; ended by 0. NULL, or no such function: there is no
   * manager. */
  const uint16_t *(*store_ports)(const void *config);
  /* Over how many shards its keys are spread under this configuration, each with a primary of its
   * own; 0, or no function: it has one primary. Pure. */
  uint32_t (*shards)(const void *config);
  /* How many replicas its primary has under this configuration, each of its primaries where it has
   * shards. NULL: not known. Pure. */
  uint32_t (*replicas)(const void *config);
  /* How many connections of clients one host takes at most: without what the server, its manager
   * and the service's own watching keep for themselves. `because` (`size` bytes) says in words how
   * the number comes about. NULL: no limit is known. Pure. */
  uint32_t (*connections)(const void *config, char *because, size_t size);

  /* Configures and starts everything, returns when the service is writable and all replicas
   * stream, or with STATUS_SERVER and the servers' own last log lines. Blocks. */
  int (*start)(struct service_instance *service, struct error *err);
  /* As attach() for providers: the handle of a running service from what start() left in the run
   * directory (secrets file 0600 included), for `gameday heal` and `cluster exec`. */
  int (*attach)(struct service_instance *service, struct error *err);
  void (*release)(struct service_instance *service); /* frees; touches no server */

  /* Watches on `loop` (the observer's thread, on the monitor host's network) until unwatch:
   * events and samples to service->sink. Errors of servers are observations, not errors. */
  int (*watch)(struct service_instance *service, struct loop *loop, struct error *err);
  void (*unwatch)(struct service_instance *service);
  /* A consistent copy of the latest view; any thread. */
  void (*view)(const struct service_instance *service, struct service_view *ret_view);

  /* Appends a JSON object: effective settings as the servers report them now, by host, and the
   * bounds on failover that follow from them: {"settings": {...}, "bounds":
   * {"failover_time_s": 42.0, "because": "ttl + loop_wait + ..."}}. Blocks. */
  int (*settings)(struct service_instance *service, struct buf *json, struct error *err);
  const struct service_memory_hooks *memory; /* NULL: its data are not in memory alone */
  /* A planned action on a member (NULL: the service chooses). Blocks until it is done. */
  int (*step)(struct service_instance *service, enum service_step step, const struct host *host,
              struct error *err);
  /* Acts on the keys that match `pattern` (* stands for anything) of the server on `host`. Blocks.
   * NULL: the service is no cache. */
  int (*keys)(struct service_instance *service, enum keys_action action, const struct host *host,
              const char *pattern, struct keys_count *ret, struct error *err);
  /* Whether all members agree: one timeline, all replicas at the primary's position. */
  int (*converged)(struct service_instance *service, bool *ret_converged, char *why,
                   size_t why_size, struct error *err);
};

/* The process that a service with this configuration calls `name`; NULL: none. */
const struct service_process *service_process_find(const struct service *service,
                                                   const void *config, const char *name);

extern const struct service *const services[]; /* services/services.c; NULL-terminated */

#endif
