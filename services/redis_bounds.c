/* How long writes may be down after a fault if every part keeps its promise, computed from the
 * settings in effect. Pure. docs/services/redis.md derives each term. */
#include "services/redis_settings.h"
#include "services/settings.h"

/* Sentinel (sentinel.c): it pings every second, and counts from the first ping that stays
 * unanswered; asks the others every second whether they agree; begins after a random delay of up to
 * a second, so that not all begin at once; and asks the replicas how they are every second while it
 * fails over. Its own timer runs every 0.1 s, a step of the failover each time. */
#define PING_S 1.0
#define AGREEMENT_S 1.0
#define DESYNC_S 1.0
#define INFO_S 1.0
#define STEPS_S 0.5
/* A cluster's replica (cluster_legacy.c) waits 0.5 s, up to 0.5 s more by chance, and a second for
 * each other replica that has more data; the votes take a round trip. */
#define DELAY_S 1.0
#define RANK_S 1.0
#define VOTES_S 0.5
/* Not a promise but an allowance: replicas that find the new primary. */
#define FOLLOW_S 2.0

static double follow_s(const struct redis_config *config) {
  return config->min_replicas_to_write > 0 ? FOLLOW_S : 0;
}

static json_t *sentinel_lost(const struct redis_config *config, const struct redis_timing *t) {
  char because[640];
  double election_s = AGREEMENT_S + DESYNC_S + STEPS_S;
  snprintf(because, sizeof because,
           "down_after %.1f + ping %.0f (one just answered) + agreement of the Sentinels %.0f + "
           "start of the failover %.0f (by chance) + steps of it %.1f + INFO of the promoted %.0f "
           "(until then Sentinels name the old one)%s; the clients' reconnect comes on top; a "
           "vote without a winner is repeated after 2 x failover_timeout, %.0f more",
           t->down_after_s, PING_S, AGREEMENT_S, DESYNC_S, STEPS_S, INFO_S,
           follow_s(config) > 0 ? " + replicas that follow 2 (min_replicas_to_write)" : "",
           2 * t->failover_timeout_s);
  return settings_bound(t->down_after_s + PING_S + election_s + INFO_S + follow_s(config), because);
}

static json_t *sentinel_switchover(const struct redis_config *config) {
  char because[256];
  snprintf(because, sizeof because,
           "steps of the failover %.1f + INFO of the promoted %.0f%s; nobody has to agree", STEPS_S,
           INFO_S, follow_s(config) > 0 ? " + replicas that follow 2 (min_replicas_to_write)" : "");
  return settings_bound(STEPS_S + INFO_S + follow_s(config), because);
}

static json_t *cluster_lost(const struct redis_config *config, const struct redis_timing *t) {
  char because[640];
  double rank_s = config->replicas > 1 ? (config->replicas - 1) * RANK_S : 0;
  double half_s = t->node_timeout_s / 2;
  snprintf(because, sizeof because,
           "node_timeout %.1f + ping %.1f (every half node_timeout at the latest) + gossip of the "
           "other masters %.1f (the same) + delay before the election %.1f (half of it by chance) "
           "+ rank among the replicas %.1f + votes %.1f%s; in small clusters pings are more "
           "frequent, and it is usually over after node_timeout + 2",
           t->node_timeout_s, half_s, half_s, DELAY_S, rank_s, VOTES_S,
           follow_s(config) > 0 ? " + replicas that follow 2 (min_replicas_to_write)" : "");
  return settings_bound(
      t->node_timeout_s + 2 * half_s + DELAY_S + rank_s + VOTES_S + follow_s(config), because);
}

static json_t *cluster_switchover(const struct redis_config *config) {
  char because[256];
  snprintf(because, sizeof because,
           "the master holds its clients back until the replica has everything, 5 at most, votes "
           "%.1f%s",
           VOTES_S, follow_s(config) > 0 ? ", replicas that follow 2 (min_replicas_to_write)" : "");
  return settings_bound(5 + VOTES_S + follow_s(config), because);
}

json_t *redis_bounds(const struct redis_config *config, const struct redis_timing *t) {
  bool sentinel = config->topology == REDIS_SENTINEL;
  if (config->topology == REDIS_SINGLE)
    return json_pack("{s:n, s:s}", "failover_time_s", "because",
                     "one server: there is nothing to fail over to");
  if (config->topology == REDIS_CLUSTER && config->replicas == 0)
    return json_pack("{s:n, s:s}", "failover_time_s", "because",
                     "masters without replicas: there is nothing to fail over to");
  json_t *lost = sentinel ? sentinel_lost(config, t) : cluster_lost(config, t);
  return json_pack("{s:O, s:O, s:O, s:O, s:O, s:O, s:o, s:o}", "failover_time_s",
                   json_object_get(lost, "failover_time_s"), "because",
                   json_object_get(lost, "because"), "host-crash", lost, "process-pause", lost,
                   "process-kill", lost, "restart", lost, "net-partition", lost, "switchover",
                   sentinel ? sentinel_switchover(config) : cluster_switchover(config));
}
