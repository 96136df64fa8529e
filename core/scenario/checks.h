/* Between the files that check a draft as a whole. */
#ifndef GAMEDAY_SCENARIO_CHECKS_H
#define GAMEDAY_SCENARIO_CHECKS_H

#include "scenario/draft.h"

/* The hosts that the services ask for. */
struct planned_host {
  const char *name;
  uint32_t service; /* index in the scenario */
};
struct host_plan {
  struct planned_host hosts[HOSTS_MAX];
  uint32_t count;
  uint32_t service_hosts[HOSTS_MAX]; /* by service index; 0: not known */
  bool complete;                     /* every service could be asked */
};

/* The service of that name in the scenario, or NULL. */
const struct scenario_service *checks_find_service(const struct scenario *scenario,
                                                   const char *name);

/* No host is asked for more connections than its service takes. Errors: STATUS_MEMORY. */
int checks_connections(struct draft *draft, const struct host_plan *plan, struct error *err);

/* Targets exist: service, replica index, host; and the processes and steps asked of them. */
void checks_targets(struct draft *draft, const struct host_plan *plan);
/* The section `explore`: its injectors are known and possible here. Errors: STATUS_MEMORY. */
int checks_explore(struct draft *draft, struct error *err);
/* Whether the provider can do what `who` needs; if not, a mistake at `place`. */
void checks_needs(struct draft *draft, const char *who, uint32_t needs, const struct place *place);
/* No fault begins on a target that the same or a greater fault still holds. */
void checks_overlaps(struct draft *draft);

#endif
