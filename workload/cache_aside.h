/* The configuration of cache-aside, for its tests. */
#ifndef GAMEDAY_WORKLOAD_CACHE_ASIDE_H
#define GAMEDAY_WORKLOAD_CACHE_ASIDE_H

#include "gameday/workload.h"

enum cache_mitigation {
  CACHE_NO_MITIGATION,
  CACHE_SINGLE_FLIGHT,
  CACHE_LOCK,
  CACHE_TTL_JITTER,
  CACHE_STALE_WHILE_REVALIDATE,
  CACHE_XFETCH,
};

enum cache_popularity { CACHE_ZIPF, CACHE_UNIFORM };

struct cache_aside_config {
  double rate;
  uint32_t clients;
  int arrival;
  uint32_t keys;
  int popularity;
  double skew;
  uint64_t payload;
  uint64_t ttl_ns, cost_ns;
  int mitigation; /* enum cache_mitigation */
  double jitter, beta;
  uint64_t stale_for_ns, lock_timeout_ns, lock_poll_ns;
  int on_cache_error;
  uint64_t cache_timeout_ns;
  struct client_options options;
  struct origin_options origin;
};

/* Indices of its statements, and the numbers of their requests. */
enum cache_aside_statement {
  CACHE_ASIDE_GET,    /* key */
  CACHE_ASIDE_SET,    /* key, stamp, cost in us, time to live in ms; text: payload */
  CACHE_ASIDE_LOCK,   /* key, token, time to live in ms */
  CACHE_ASIDE_UNLOCK, /* key */
};
enum cache_aside_origin { CACHE_ASIDE_READ /* key, cost in us */ };

/* XFetch of A. Vattani, F. Chierichetti, K. Lowenstein: Optimal Probabilistic Cache Stampede
 * Prevention, PVLDB 8(8), 2015: whether a value that was made in `cost_ns` and is over in `left_ns`
 * is to be made anew now. `random` is uniform in (0, 1]. */
bool cache_aside_early(double beta, double random, uint64_t cost_ns, uint64_t left_ns);

extern const struct workload workload_cache_aside;

#endif
