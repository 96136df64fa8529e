/* Planned actions on a simulated `postgres`, and whether its members agree. An action blocks by
 * turning the world's loop until it is done. */
#include <stdio.h>

#include "services/members.h"
#include "sim/service.h"

#define LOOK_NS (50 * NS_PER_MS)
#define RESTART_TIMEOUT_NS (60 * NS_PER_S)
#define PROMOTE_TIMEOUT_NS (60 * NS_PER_S)

static enum sim_postgres_state state_of(const struct sim_service *service, uint32_t member) {
  return sim_postgres_state(sim_postgres_member(service->servers, member));
}

/* What is waited for, of one member. */
struct wait {
  uint32_t member, not_member; /* UINT32_MAX: any, none */
  bool primary;                /* else: any state in which it answers */
};

static bool is_there(const struct sim_service *service, const struct wait *wait) {
  for (uint32_t i = 0; i < service->count; i++) {
    if (i == wait->not_member || (wait->member != UINT32_MAX && i != wait->member)) continue;
    if (!sim_service_answers(service, i)) continue;
    if (!wait->primary || state_of(service, i) == SIM_PG_PRIMARY) return true;
  }
  return false;
}

static int wait_until(struct sim_service *service, const struct wait *wait, uint64_t timeout_ns,
                      const char *what, struct error *err) {
  uint64_t deadline_ns = sim_service_now_ns(service) + timeout_ns;
  int status = 0;
  while (status == 0 && !is_there(service, wait)) {
    if (sim_service_now_ns(service) > deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "%s in time", what);
    status = sim_pass(service->cluster, LOOK_NS, err);
  }
  return status;
}

static int switchover(struct sim_service *service, uint32_t member, struct error *err) {
  const struct postgres_config *config = sim_service_config(service);
  uint32_t old = sim_service_primary(service);
  if (old == UINT32_MAX)
    return error_set(err, STATUS_SERVER, "switchover: there is not exactly one primary");
  if (member == old)
    return error_set(err, STATUS_SERVER, "switchover: %s is the primary already",
                     service->instance->members[old]->name);
  if (!sim_patroni_switchover(service->patroni, member))
    return error_set(err, STATUS_SERVER, "switchover: Patroni refuses: nobody could take over");
  return wait_until(service, &(struct wait){.member = member, .not_member = old, .primary = true},
                    config->ttl_ns + 3 * config->loop_wait_ns + 30 * NS_PER_S,
                    "switchover: no new primary", err);
}

/* The replica that has replayed most: what a person would promote. */
static uint32_t best_replica(const struct sim_service *service) {
  uint32_t best = UINT32_MAX;
  uint64_t position = 0;
  for (uint32_t i = 0; i < service->count; i++) {
    if (!sim_service_answers(service, i) || state_of(service, i) != SIM_PG_STANDBY) continue;
    uint64_t replayed = sim_postgres_replayed(sim_postgres_member(service->servers, i));
    if (best != UINT32_MAX && replayed <= position) continue;
    best = i;
    position = replayed;
  }
  return best;
}

static int promote(struct sim_service *service, uint32_t member, struct error *err) {
  if (member == UINT32_MAX) member = best_replica(service);
  if (member == UINT32_MAX || !sim_service_answers(service, member) ||
      state_of(service, member) != SIM_PG_STANDBY)
    return error_set(err, STATUS_SERVER, "promote: no replica answers");
  sim_postgres_promote(sim_postgres_member(service->servers, member));
  return wait_until(service,
                    &(struct wait){.member = member, .not_member = UINT32_MAX, .primary = true},
                    PROMOTE_TIMEOUT_NS, "promote: the replica did not become primary", err);
}

/* Without a manager: a fast shutdown, then the unit again. */
static int restart_unit(struct sim_service *service, uint32_t member, struct error *err) {
  struct sim_postgres *server = sim_postgres_member(service->servers, member);
  const struct host *host = service->instance->members[member];
  uint64_t deadline_ns = sim_service_now_ns(service) + RESTART_TIMEOUT_NS;
  int status = 0;
  if (sim_postgres_state(server) == SIM_PG_DOWN)
    return error_set(err, STATUS_SERVER, "restart: no server runs on %s", host->name);
  sim_postgres_stop(server, false);
  while (status == 0 && sim_postgres_state(server) != SIM_PG_DOWN) {
    if (sim_service_now_ns(service) > deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "restart: the server on %s did not stop in time",
                       host->name);
    status = sim_pass(service->cluster, LOOK_NS, err);
  }
  if (status == 0) sim_process_start(&service->units[member]);
  return status;
}

static int restart_by_patroni(struct sim_service *service, uint32_t member, struct error *err) {
  uint64_t deadline_ns = sim_service_now_ns(service) + RESTART_TIMEOUT_NS;
  int status = 0;
  if (!sim_patroni_restart(service->patroni, member))
    return error_set(err, STATUS_SERVER, "restart of %s: Patroni refuses",
                     service->instance->members[member]->name);
  while (status == 0 && sim_patroni_busy(service->patroni, member) &&
         sim_service_now_ns(service) < deadline_ns)
    status = sim_pass(service->cluster, LOOK_NS, err);
  return status;
}

static int restart(struct sim_service *service, uint32_t member, struct error *err) {
  if (member == UINT32_MAX) member = sim_service_primary(service);
  if (member == UINT32_MAX)
    return error_set(err, STATUS_SERVER, "restart: there is not exactly one primary");
  int status = service->patroni ? restart_by_patroni(service, member, err)
                                : restart_unit(service, member, err);
  if (status < 0) return status;
  return wait_until(service, &(struct wait){.member = member, .not_member = UINT32_MAX},
                    RESTART_TIMEOUT_NS, "restart: the server does not answer", err);
}

int sim_service_step(struct service_instance *instance, enum service_step step,
                     const struct host *host, struct error *err) {
  struct sim_service *service = sim_service_of(instance);
  uint32_t member = UINT32_MAX;
  int status =
      service_step_member(instance, step, host, service->count, "PostgreSQL", &member, err);
  if (status < 0) return status;
  switch (step) {
    case STEP_SWITCHOVER: return switchover(service, member, err);
    case STEP_PROMOTE: return promote(service, member, err);
    case STEP_RESTART: return restart(service, member, err);
    case STEP_COUNT: break;
  }
  return error_set(err, STATUS_INTERNAL, "no such step");
}

/* --- agreement ------------------------------------------------------------------------------- */

static bool follows(const struct sim_service *service, uint32_t primary, uint32_t member, char *why,
                    size_t size) {
  const char *name = service->instance->members[member]->name;
  struct sim_postgres *leads = sim_postgres_member(service->servers, primary);
  struct sim_postgres *server = sim_postgres_member(service->servers, member);
  uint64_t written = sim_postgres_position(leads), replayed = sim_postgres_replayed(server), seen;
  bool synchronous;
  if (!sim_postgres_streams_to(leads, member, &seen, &synchronous))
    snprintf(why, size, "%s does not stream", name);
  else if (sim_postgres_timeline(server) != sim_postgres_timeline(leads))
    snprintf(why, size, "%s is on timeline %u, the primary %s on %u", name,
             sim_postgres_timeline(server), service->instance->members[primary]->name,
             sim_postgres_timeline(leads));
  else if (replayed < written)
    snprintf(why, size, "%s is %llu bytes behind %s", name,
             (unsigned long long)(written - replayed), service->instance->members[primary]->name);
  else
    return true;
  return false;
}

int sim_service_converged(struct service_instance *instance, bool *ret_converged, char *why,
                          size_t why_size, struct error *err) {
  struct sim_service *service = sim_service_of(instance);
  uint32_t primary = sim_service_primary(service);
  (void)err;
  *ret_converged = false;
  for (uint32_t i = 0; i < service->count; i++) {
    if (sim_service_answers(service, i)) continue;
    snprintf(why, why_size, "%s does not answer", instance->members[i]->name);
    return 0;
  }
  if (primary == UINT32_MAX) {
    snprintf(why, why_size, "there is not exactly one primary");
    return 0;
  }
  for (uint32_t i = 0; i < service->count; i++)
    if (i != primary && !follows(service, primary, i, why, why_size)) return 0;
  *ret_converged = true;
  return 0;
}
