/* Random fault schedules: timelines drawn from a seed within the bounds of a scenario's section
 * `explore`. A schedule is a small plain struct, so that it can be compared, changed and sent
 * between processes; the rules say what its numbers mean. Nothing here runs anything. */
#ifndef GAMEDAY_ENGINE_SCHEDULE_H
#define GAMEDAY_ENGINE_SCHEDULE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "scenario/scenario.h"

#define SCHEDULE_FAULTS_MAX 16 /* the bound of explore.faults */

/* A kind of fault: an injector on one service, with one process where it takes one. */
struct schedule_kind {
  const struct injector *injector;
  uint32_t service;    /* index in the rules */
  const char *process; /* NULL: none, the whole host */
  bool primary_only;   /* the injector refuses a replica, which any other target may be */
  const char *name; /* "host-crash", "process-kill etcd"; with the service where there are more */
};

struct schedule_service {
  const char *name;
  const char **hosts;
  uint32_t host_count;
  uint32_t shards;   /* each with a primary of its own; 0: there is one */
  uint32_t down_max; /* hosts that may be down at once */
};

/* Made once for a scenario, then read only. */
struct schedule_rules {
  struct scenario_explore bounds;
  struct schedule_kind *kinds;
  uint32_t kind_count;
  struct schedule_service *services;
  uint32_t service_count;
};

struct schedule_fault {
  uint64_t at_ns;  /* after the start of the measured time */
  uint64_t for_ns; /* 0: a planned step, which is not healed */
  uint32_t kind;   /* index in the rules */
  uint32_t index;  /* TARGET_REPLICA: which; TARGET_PRIMARY: of which shard; TARGET_HOST: index in
                      the service's hosts */
  enum target_kind target;
};
/* In the order of at_ns. */
struct schedule {
  uint32_t count;
  struct schedule_fault faults[SCHEDULE_FAULTS_MAX];
};

/* Which faults `scenario` (its provider is the one that will run them) leaves to chance.
 * `table` has all injectors. Errors: STATUS_USAGE when nothing can be drawn; STATUS_MEMORY. All is
 * in `arena`. */
int schedule_rules_init(struct schedule_rules *rules, const struct scenario *scenario,
                        const struct injector *const *table, struct arena *arena,
                        struct error *err);

/* The schedule of a seed. Pure: the same rules and seed give the same. STATUS_USAGE when the bounds
 * leave no room for as many faults as they ask for. */
int schedule_draw(const struct schedule_rules *rules, uint64_t seed, struct schedule *ret,
                  struct error *err);

/* Whether it is in order, and no more hosts are down at any time than the rules allow: a host
 * counts as down from the start of its fault until it has been healed for `rest`. Targets by role
 * may mean any host, and so count as one more each. Also that no two faults contradict each other
 * on one host, and that steps have the cluster for themselves. Bounds of times are not looked at.
 */
bool schedule_is_allowed(const struct schedule_rules *rules, const struct schedule *schedule);

/* A copy of `base` that has this timeline and nothing to explore, with `seed` as its seed. Shares
 * all else with `base`, and must not be released. */
int schedule_apply(const struct schedule_rules *rules, const struct schedule *schedule,
                   uint64_t seed, const struct scenario *base, struct arena *arena,
                   struct scenario *ret, struct error *err);

/* Appends one fault as a line of text: "host-crash postgres.primary at 10s for 30s". */
void schedule_print_fault(const struct schedule_rules *rules, const struct schedule_fault *fault,
                          struct buf *text);

bool schedule_is_equal(const struct schedule *a, const struct schedule *b);

#endif
