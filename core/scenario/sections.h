/* The sections of a scenario file that are not plug-ins: their keys as parameter tables, and the
 * structs these fill. The parser, its messages, the printer and the JSON Schema all read them. */
#ifndef GAMEDAY_SCENARIO_SECTIONS_H
#define GAMEDAY_SCENARIO_SECTIONS_H

#include "gameday/plugin.h"
#include "scenario/scenario.h"

struct head_section {
  const char *name, *description;
  int64_t seed;
  uint32_t repeat;
};
struct cluster_section {
  const char *provider;
  uint32_t client_hosts, workers;
  uint64_t start_timeout_ns;
};
struct load_section {
  uint64_t warmup_ns, settle_ns, duration_ns;
  uint32_t minimum;
};
struct entry_section {
  const char *at; /* a duration, "recovery" or "recovery + DURATION" */
  uint64_t jitter_ns, for_ns;
  const char *name;
};
struct measure_section {
  uint64_t outage_min_ns, latency_bound_ns, lag_bound_bytes, recovery_timeout_ns,
      converge_timeout_ns;
};

extern const struct param head_params[];
extern const struct param cluster_params[];
extern const struct param load_params[];
extern const struct param entry_params[];
extern const struct param measure_params[];
extern const struct param explore_params[]; /* of struct scenario_explore */
#define EXPLORE_INJECTORS_KEY "injectors"

/* Keys of the file that hold sections, and the help of each. */
struct section_info {
  const char *key, *help;
  bool required;
};
extern const struct section_info section_infos[]; /* ended by a NULL key */

#define SERVICES_KEY "services"
#define SERVICES_HELP "What runs on the cluster: a mapping of services to their parameters."

/* Names of scenarios and timeline entries, as a regular expression for the schema; the same as
 * section_is_name(). */
#define NAME_PATTERN "^[a-z0-9-]{1,64}$"
bool section_is_name(const char *text);

/* The values of a scenario as its sections, for the printer. The `at` text of an entry is made in
 * `arena`, and NULL when memory is exhausted. */
struct head_section head_of(const struct scenario *scenario);
struct cluster_section cluster_of(const struct scenario *scenario);
struct load_section load_of(const struct scenario *scenario);
struct measure_section measure_of(const struct scenario *scenario);
struct entry_section entry_of(const struct timeline_entry *entry, struct arena *arena);

/* Parses `at`. STATUS_USAGE with what was expected. */
#define AT_EXPECTED "a duration such as 10s, or 'recovery + 5s'"
int section_parse_at(const char *text, bool *ret_after_recovery, uint64_t *ret_at_ns,
                     struct error *err);

#endif
