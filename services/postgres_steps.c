/* Planned actions on a running service (switchover, promotion, restart), and whether its members
 * agree. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "services/postgres.h"

#define QUERY_TIMEOUT_NS (2 * NS_PER_S)
#define POLL_MS 50
#define RESTART_TIMEOUT_NS (60 * NS_PER_S)

/* What a member answers now. */
struct member_state {
  bool answers, recovery;
  uint32_t timeline; /* of a primary, or of a replica's receiver; 0: not known */
  uint64_t position; /* written or replayed */
  char why[160];     /* when it does not answer */
};

static void read_member(const struct service_instance *service, uint32_t member,
                        struct member_state *ret) {
  static const char query[] =
      "select r, case when r then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end - '0/0',"
      " case when r then (select received_tli from pg_stat_wal_receiver where status = 'streaming')"
      "  else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end"
      " from (select pg_is_in_recovery() as r offset 0) s";
  CLEANUP(cleanup_result) PGresult *result = NULL;
  struct error why = ERROR_INIT;
  *ret = (struct member_state){.answers = false};
  if (postgres_sql_once(service, member, query, QUERY_TIMEOUT_NS, &result, &why) < 0) {
    snprintf(ret->why, sizeof ret->why, "%.*s", (int)sizeof ret->why - 1, why.message);
    return;
  }
  ret->answers = true;
  ret->recovery = PQgetvalue(result, 0, 0)[0] == 't';
  ret->position = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
  ret->timeline = (uint32_t)strtoul(PQgetvalue(result, 0, 2), NULL, 10);
}

/* The one member that is not in recovery; UINT32_MAX when none or several are. */
static uint32_t find_primary(const struct service_instance *service) {
  uint32_t found = UINT32_MAX;
  for (uint32_t i = 0; i < postgres_instances(postgres_config(service)); i++) {
    struct member_state state;
    read_member(service, i, &state);
    if (!state.answers || state.recovery) continue;
    if (found != UINT32_MAX) return UINT32_MAX;
    found = i;
  }
  return found;
}

struct step {
  enum service_step kind;
  uint32_t member; /* UINT32_MAX: the service chooses */
};

/* Whether a member other than `old` (or `candidate`, when given) now accepts writes. */
static int wait_promoted(const struct service_instance *service, uint32_t old, uint32_t candidate,
                         uint64_t deadline_ns, struct error *err) {
  for (;;) {
    for (uint32_t i = 0; i < postgres_instances(postgres_config(service)); i++) {
      struct member_state state;
      if (i == old || (candidate != UINT32_MAX && i != candidate)) continue;
      read_member(service, i, &state);
      if (state.answers && !state.recovery) return 0;
    }
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "no new primary in time");
    poll(NULL, 0, POLL_MS);
  }
}

static int switchover(struct service_instance *service, const struct step *step,
                      struct error *err) {
  const struct postgres_config *config = postgres_config(service);
  uint32_t old = find_primary(service);
  if (old == UINT32_MAX)
    return error_set(err, STATUS_SERVER, "switchover: there is not exactly one primary");
  if (step->member == old)
    return error_set(err, STATUS_SERVER, "switchover: %s is the primary already",
                     service->members[old]->name);
  /* Patroni answers when it is done, which takes the stop of the old primary and up to two of its
   * loops. */
  uint64_t timeout_ns = config->ttl_ns + 3 * config->loop_wait_ns + 30 * NS_PER_S;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + timeout_ns;
  char body[2 * HOST_NAME_SIZE + 64];
  int length = snprintf(body, sizeof body, "{\"leader\": \"%s\"", service->members[old]->name);
  if (step->member != UINT32_MAX)
    length += snprintf(body + length, sizeof body - (size_t)length, ", \"candidate\": \"%s\"",
                       service->members[step->member]->name);
  snprintf(body + length, sizeof body - (size_t)length, "}");
  long code = 0;
  CLEANUP(buf_release) struct buf answer;
  buf_init(&answer);
  int status =
      postgres_rest(service, old, "POST", "/switchover", body, timeout_ns, &code, &answer, err);
  if (status < 0) return status;
  if (code < 200 || code > 299)
    return error_set(err, STATUS_SERVER, "switchover: Patroni refuses (%ld): %.400s", code,
                     answer.data);
  return wait_promoted(service, old, step->member, deadline_ns, err);
}

/* The replica that has replayed most: what a person would promote. */
static uint32_t best_replica(const struct service_instance *service) {
  uint32_t best = UINT32_MAX;
  uint64_t position = 0;
  for (uint32_t i = 0; i < postgres_instances(postgres_config(service)); i++) {
    struct member_state state;
    read_member(service, i, &state);
    if (!state.answers || !state.recovery || (best != UINT32_MAX && state.position <= position))
      continue;
    best = i;
    position = state.position;
  }
  return best;
}

static int promote(struct service_instance *service, const struct step *step, struct error *err) {
  uint32_t member = step->member == UINT32_MAX ? best_replica(service) : step->member;
  if (member == UINT32_MAX) return error_set(err, STATUS_SERVER, "promote: no replica answers");
  CLEANUP(cleanup_result) PGresult *result = NULL;
  int status =
      postgres_sql_once(service, member, "set statement_timeout = 0; select pg_promote(true, 60)",
                        65 * NS_PER_S, &result, err);
  if (status < 0) return error_wrap(err, "promote");
  if (PQgetvalue(result, 0, 0)[0] != 't')
    return error_set(err, STATUS_SERVER, "promote: %s did not become primary within 60 s",
                     service->members[member]->name);
  return wait_promoted(service, UINT32_MAX, member, clock_now_ns(&clock_monotonic) + 10 * NS_PER_S,
                       err);
}

static int restart_by_patroni(struct service_instance *service, uint32_t member,
                              struct error *err) {
  long code = 0;
  CLEANUP(buf_release) struct buf answer;
  buf_init(&answer);
  int status = postgres_rest(service, member, "POST", "/restart", "{}", RESTART_TIMEOUT_NS, &code,
                             &answer, err);
  if (status == 0 && (code < 200 || code > 299))
    status = error_set(err, STATUS_SERVER, "restart of %s: Patroni answers %ld: %.400s",
                       service->members[member]->name, code, answer.data);
  return status;
}

static int on_monitor_step(struct service_instance *service, void *data, struct error *err) {
  struct step *step = data;
  switch (step->kind) {
    case STEP_SWITCHOVER: return switchover(service, step, err);
    case STEP_PROMOTE: return promote(service, step, err);
    case STEP_RESTART: return restart_by_patroni(service, step->member, err);
    case STEP_COUNT: break;
  }
  return error_set(err, STATUS_INTERNAL, "no such step");
}

static int choose_primary(struct service_instance *service, void *data, struct error *err) {
  uint32_t *member = data;
  *member = find_primary(service);
  if (*member == UINT32_MAX)
    return error_set(err, STATUS_SERVER, "restart: there is not exactly one primary");
  return 0;
}

static int wait_answers(struct service_instance *service, void *data, struct error *err) {
  const uint32_t *member = data;
  uint64_t deadline_ns = clock_now_ns(&clock_monotonic) + RESTART_TIMEOUT_NS;
  struct member_state state;
  for (;;) {
    read_member(service, *member, &state);
    if (state.answers) return 0;
    if (clock_now_ns(&clock_monotonic) > deadline_ns)
      return error_set(err, STATUS_TIMEOUT, "restart: %s", state.why);
    poll(NULL, 0, POLL_MS);
  }
}

/* Without a manager: a fast shutdown, then the unit again. */
static int restart_unit(struct service_instance *service, uint32_t member, struct error *err) {
  static const struct process_match postmaster = {.program = "postgres", .argument = " -D "};
  return service_restart_unit(service, service->members[member], "postgres", &postmaster, SIGINT,
                              err);
}

int postgres_step(struct service_instance *service, enum service_step kind, const struct host *host,
                  struct error *err) {
  const struct postgres_config *config = postgres_config(service);
  struct step step = {.kind = kind};
  int status = service_step_member(service, kind, host, postgres_instances(config), "PostgreSQL",
                                   &step.member, err);
  if (status < 0) return status;
  if (kind != STEP_RESTART) return postgres_on_monitor(service, on_monitor_step, &step, err);
  if (step.member == UINT32_MAX)
    status = postgres_on_monitor(service, choose_primary, &step.member, err);
  if (status < 0) return status;
  if (config->topology == TOPOLOGY_PATRONI)
    status = postgres_on_monitor(service, on_monitor_step, &step, err);
  else
    status = restart_unit(service, step.member, err);
  if (status == 0) status = postgres_on_monitor(service, wait_answers, &step.member, err);
  return status;
}

/* --- agreement --- */

struct agreement {
  bool converged;
  char *why;
  size_t why_size;
};

/* Reads all members; false with a reason unless all answer and exactly one is primary. */
static bool read_members(struct service_instance *service, struct agreement *agreement,
                         struct member_state states[POSTGRES_INSTANCES_MAX],
                         uint32_t *ret_primary) {
  uint32_t primary = UINT32_MAX;
  for (uint32_t i = 0; i < postgres_instances(postgres_config(service)); i++) {
    read_member(service, i, &states[i]);
    if (!states[i].answers) {
      snprintf(agreement->why, agreement->why_size, "%s", states[i].why);
      return false;
    }
    if (states[i].recovery) continue;
    if (primary != UINT32_MAX) {
      snprintf(agreement->why, agreement->why_size, "%s and %s are both primary",
               service->members[primary]->name, service->members[i]->name);
      return false;
    }
    primary = i;
  }
  if (primary == UINT32_MAX)
    snprintf(agreement->why, agreement->why_size, "there is no primary");
  else
    *ret_primary = primary;
  return primary != UINT32_MAX;
}

static bool follows(const struct member_state *state, const struct member_state *primary,
                    const char *name, const char *primary_name, struct agreement *agreement) {
  if (state->timeline == 0)
    snprintf(agreement->why, agreement->why_size, "%s does not stream", name);
  else if (state->timeline != primary->timeline)
    snprintf(agreement->why, agreement->why_size, "%s is on timeline %u, the primary %s on %u",
             name, state->timeline, primary_name, primary->timeline);
  else if (state->position < primary->position)
    snprintf(agreement->why, agreement->why_size, "%s is %lld bytes behind %s", name,
             (long long)(primary->position - state->position), primary_name);
  else
    return true;
  return false;
}

/* The primary's position is read before the replicas': each must have replayed all that was written
 * until then, which can be had while somebody goes on writing a little. */
static bool agree(struct service_instance *service, struct agreement *agreement) {
  struct member_state states[POSTGRES_INSTANCES_MAX];
  uint32_t primary = UINT32_MAX;
  if (!read_members(service, agreement, states, &primary)) return false;
  for (uint32_t i = 0; i < postgres_instances(postgres_config(service)); i++) {
    if (i == primary) continue;
    read_member(service, i, &states[i]);
    if (!states[i].answers) {
      snprintf(agreement->why, agreement->why_size, "%s", states[i].why);
      return false;
    }
    if (!follows(&states[i], &states[primary], service->members[i]->name,
                 service->members[primary]->name, agreement))
      return false;
  }
  return true;
}

static int on_monitor_agree(struct service_instance *service, void *data, struct error *err) {
  (void)err;
  struct agreement *agreement = data;
  agreement->converged = agree(service, agreement);
  return 0;
}

int postgres_converged(struct service_instance *service, bool *ret_converged, char *why,
                       size_t why_size, struct error *err) {
  struct agreement agreement = {.why = why, .why_size = why_size};
  int status = postgres_on_monitor(service, on_monitor_agree, &agreement, err);
  if (status == 0) *ret_converged = agreement.converged;
  return status;
}
