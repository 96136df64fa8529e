/* What reports tell of caches: the measures of the checker stampede, fault by fault. */
#ifndef GAMEDAY_REPORT_CACHES_H
#define GAMEDAY_REPORT_CACHES_H

#include "gameday/report.h"

struct cache_info {
  const char *measure; /* "origin_amplification" */
  const char *label;   /* "calls for each key" */
};
extern const struct cache_info cache_table[]; /* ended by a NULL measure */

/* Whether anything was measured of a cache after this fault. */
bool caches_told(const struct run_result *result, uint32_t fault);

#endif
