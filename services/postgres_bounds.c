/* How long writes may be down after a fault if every part keeps its promise, computed from the
 * settings in effect. Pure. docs/services/postgres.md derives each term. */
#include "services/postgres_settings.h"
#include "services/settings.h"

/* etcd (server/lease/lessor.go): a new etcd leader gives every lease its whole ttl again and one
 * election timeout more; expired leases are looked for twice a second. An election begins between
 * one and two election timeouts after the last heartbeat; a split vote costs another round. */
#define ELECTION_ROUNDS_S (2 * 2 * ETCD_ELECTION_MS / 1e3)
#define LEASE_EXTENSION_S (ETCD_ELECTION_MS / 1e3)
#define LEASE_LOOK_S 0.5
/* Patroni asks the other members for their positions before it takes the key, for at most 2 s. */
#define MEMBER_CHECK_S 2.0
/* Not promises but allowances: replaying what was received and switching the timeline; a fast
 * shutdown with its checkpoint. Both grow with the load. */
#define PROMOTION_S 5.0
#define SHUTDOWN_S 10.0

static json_t *host_crash(const struct postgres_timing *t) {
  char because[512];
  double election_s = ELECTION_ROUNDS_S + LEASE_EXTENSION_S + LEASE_LOOK_S;
  snprintf(because, sizeof because,
           "ttl %.0f + etcd %.1f (two election rounds %.0f, the new etcd leader extends the lease "
           "by %.0f, expiry is looked for every %.1f) + loop_wait %.0f (a look just missed) + "
           "member check %.0f + promotion %.0f; the clients' reconnect comes on top",
           t->ttl_s, election_s, ELECTION_ROUNDS_S, LEASE_EXTENSION_S, LEASE_LOOK_S, t->loop_wait_s,
           MEMBER_CHECK_S, PROMOTION_S);
  return settings_bound(t->ttl_s + election_s + t->loop_wait_s + MEMBER_CHECK_S + PROMOTION_S,
                        because);
}

static json_t *process_kill(const struct postgres_timing *t) {
  char because[512];
  if (t->primary_start_timeout_s == 0) {
    snprintf(because, sizeof because,
             "loop_wait %.0f (the next look; primary_start_timeout is 0: fail over at once) + "
             "member check %.0f + promotion %.0f",
             t->loop_wait_s, MEMBER_CHECK_S, PROMOTION_S);
    return settings_bound(t->loop_wait_s + MEMBER_CHECK_S + PROMOTION_S, because);
  }
  snprintf(because, sizeof because,
           "loop_wait %.0f (the next look) + primary_start_timeout %.0f (recovering in place) + "
           "loop_wait %.0f + member check %.0f + promotion %.0f",
           t->loop_wait_s, t->primary_start_timeout_s, t->loop_wait_s, MEMBER_CHECK_S, PROMOTION_S);
  return settings_bound(
      2 * t->loop_wait_s + t->primary_start_timeout_s + MEMBER_CHECK_S + PROMOTION_S, because);
}

static json_t *switchover(const struct postgres_timing *t) {
  char because[256];
  snprintf(because, sizeof because,
           "fast shutdown of the old primary %.0f + loop_wait %.0f + member check %.0f + "
           "promotion %.0f",
           SHUTDOWN_S, t->loop_wait_s, MEMBER_CHECK_S, PROMOTION_S);
  return settings_bound(SHUTDOWN_S + t->loop_wait_s + MEMBER_CHECK_S + PROMOTION_S, because);
}

json_t *postgres_bounds(const struct postgres_config *config, const struct postgres_timing *t) {
  if (config->topology != TOPOLOGY_PATRONI || config->instances < 2)
    return json_pack("{s:n, s:s}", "failover_time_s", "because",
                     config->topology == TOPOLOGY_STREAMING
                         ? "no manager: nothing fails over until somebody promotes"
                         : "one server: there is nothing to fail over to");
  json_t *crash = host_crash(t);
  return json_pack("{s:O, s:O, s:o, s:o, s:o, s:o}", "failover_time_s",
                   json_object_get(crash, "failover_time_s"), "because",
                   json_object_get(crash, "because"), "host-crash", crash, "process-pause",
                   host_crash(t), "process-kill", process_kill(t), "switchover", switchover(t));
}
