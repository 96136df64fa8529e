/* An injector makes one kind of fault, out of the provider's primitives. */
#ifndef GAMEDAY_INJECTOR_H
#define GAMEDAY_INJECTOR_H

#include "gameday/plugin.h"
#include "gameday/provider.h"
#include "gameday/service.h"

/* A fault that the servers do not see as one: a planned action. It has no heal. */
enum injector_flags {
  INJECTOR_PLANNED = 1 << 0, /* a step (switchover); measured like a fault */
  INJECTOR_MOMENT = 1 << 2, /* is over as soon as it was seen: there is nothing to undo, and what it
                               did is made good by those who use the service */
  INJECTOR_PASSES = 1 << 1, /* over by itself where the process has no unit: its manager brings it
                               back, and the cluster is not whole before that */
};

/* One fault of a run. The engine owns it; it has been journaled before inject() is called. Also
 * made again from the journal by the guard and by `gameday heal`, so that inject() must keep
 * nothing that heal() needs but what `note` holds. */
struct injection {
  const struct injector *injector;
  const void *config;
  int32_t fault; /* index in the record */
  struct cluster *cluster;
  const struct host *host;               /* the resolved target; NULL for injectors without one */
  struct service_instance *service;      /* of the target; NULL when host has none or while healing
                                            from the journal */
  const struct service_process *process; /* for those with a `process` parameter; else NULL */
  char note[256]; /* the injector's own; journaled again when inject() changed it */
  void *state;
};

/* Where a fault is to happen, as far as a scenario alone tells. */
struct fault_place {
  const struct service *service; /* of the target */
  const void *service_config;
  uint32_t host_count; /* hosts of the service */
  uint32_t client_host_count;
};

struct injector {
  struct plugin plugin;
  uint32_t needs;         /* of the provider: enum capability */
  uint32_t flags;         /* enum injector_flags */
  enum service_step step; /* INJECTOR_PLANNED: what the service must be able to do */
  size_t target_offset;   /* of the `struct target` in the configuration; SIZE_MAX: none */
  size_t process_offset;  /* of the process name (const char *); SIZE_MAX: none */

  /* Whether this configuration can be done there: STATUS_USAGE says what was expected, beginning
   * with the parameter's key and a colon. Pure. NULL: always. */
  int (*fits)(const void *config, const struct fault_place *place, struct error *err);
  /* Puts the fault into effect. Blocks shortly. */
  int (*inject)(struct injection *in, struct error *err);
  /* Looks, by another way than inject() used, whether the fault is in effect now. */
  int (*confirm)(const struct injection *in, bool *ret_active, struct error *err);
  /* Undoes it; idempotent, works after a half inject and when the target has died since. */
  int (*heal)(struct injection *in, struct error *err);
};

extern const struct injector *const injectors[]; /* injectors/injectors.c; NULL-terminated */

#endif
