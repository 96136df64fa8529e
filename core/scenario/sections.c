/* The common keys of each section, as tables. */
#include "scenario/sections.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "scenario/mistakes.h"
#include "scenario/param.h"

const struct section_info section_infos[] = {
    {"cluster", "The system under test: who makes it, and what runs on it.", true},
    {"workloads", "What clients do: a list of workloads with their parameters.", true},
    {"load", "How long the load runs around the faults.", false},
    {"timeline", "When which fault happens, and when it is healed.", false},
    {"explore", "Bounds of the random timelines that `gameday explore` makes.", false},
    {"measure", "Bounds that decide what counts as an outage and as recovered.", false},
    {"objectives", "Bounds on measured values: the verdict.", true},
    {NULL, NULL, false},
};

const struct param head_params[] = {
    {.key = "name",
     .type = PARAM_STRING,
     .offset = offsetof(struct head_section, name),
     .required = true,
     .help = "Name of the scenario: small letters, digits and '-'."},
    {.key = "description",
     .type = PARAM_STRING,
     .offset = offsetof(struct head_section, description),
     .help = "What the scenario shows and what a healthy cluster does, for reports."},
    {.key = "seed",
     .type = PARAM_INTEGER,
     .offset = offsetof(struct head_section, seed),
     .minimum = "0",
     .help = "Fixes every random decision of the run; without it each run draws its own."},
    {.key = "repeat",
     .type = PARAM_COUNT,
     .offset = offsetof(struct head_section, repeat),
     .default_text = "1",
     .minimum = "1",
     .maximum = "1000",
     .help = "How many runs; objectives are judged over all of them."},
    {0},
};

const struct param cluster_params[] = {
    {.key = "provider",
     .type = PARAM_STRING,
     .offset = offsetof(struct cluster_section, provider),
     .required = true,
     .help = "Who makes the cluster, or finds it."},
    {.key = "client_hosts",
     .type = PARAM_COUNT,
     .offset = offsetof(struct cluster_section, client_hosts),
     .default_text = "1",
     .minimum = "1",
     .maximum = "16",
     .help = "Hosts that clients run on."},
    {.key = "workers",
     .type = PARAM_COUNT,
     .offset = offsetof(struct cluster_section, workers),
     .default_text = "0",
     .maximum = "64",
     .help = "Threads that drive the clients; 0 is one a client host."},
    {.key = "start_timeout",
     .type = PARAM_DURATION,
     .offset = offsetof(struct cluster_section, start_timeout_ns),
     .default_text = "120s",
     .minimum = "1s",
     .maximum = "1h",
     .help = "How long the cluster may take until it accepts writes and all replicas stream."},
    {0},
};

const struct param load_params[] = {
    {.key = "warmup",
     .type = PARAM_DURATION,
     .offset = offsetof(struct load_section, warmup_ns),
     .default_text = "5s",
     .maximum = "1h",
     .help = "Load before the measured time begins."},
    {.key = "settle",
     .type = PARAM_DURATION,
     .offset = offsetof(struct load_section, settle_ns),
     .default_text = "10s",
     .maximum = "1h",
     .help = "Measured load after the last fault is healed and has recovered."},
    {.key = "duration",
     .type = PARAM_DURATION,
     .offset = offsetof(struct load_section, duration_ns),
     .minimum = "1s",
     .maximum = "7d",
     .help = "The measured time is at least so long; without it, as long as the timeline needs."},
    {.key = "minimum",
     .type = PARAM_COUNT,
     .offset = offsetof(struct load_section, minimum),
     .default_text = "100",
     .maximum = "1000000000",
     .help = "Operations required before, during and after each fault; with fewer the verdict is "
             "unknown."},
    {0},
};

const struct param entry_params[] = {
    {.key = "at",
     .type = PARAM_STRING,
     .offset = offsetof(struct entry_section, at),
     .required = true,
     .help = "When it happens: a duration after the start of the measured time, or 'recovery + 5s' "
             "after the entry before it has recovered."},
    {.key = "jitter",
     .type = PARAM_DURATION,
     .offset = offsetof(struct entry_section, jitter_ns),
     .default_text = "0s",
     .maximum = "1h",
     .help = "A random delay below this, from the seed, is added to `at`."},
    {.key = "for",
     .type = PARAM_DURATION,
     .offset = offsetof(struct entry_section, for_ns),
     .minimum = "1ms",
     .maximum = "7d",
     .help =
         "The fault is healed so long after it was confirmed in effect; without it, at the end."},
    {.key = "name",
     .type = PARAM_STRING,
     .offset = offsetof(struct entry_section, name),
     .help = "Name of the entry in reports; without it, the injector and a number."},
    {0},
};

const struct param measure_params[] = {
    {.key = "outage_min",
     .type = PARAM_DURATION,
     .offset = offsetof(struct measure_section, outage_min_ns),
     .default_text = "250ms",
     .minimum = "1ms",
     .maximum = "1h",
     .help = "Shorter gaps between two successes are no outages."},
    {.key = "latency_bound",
     .type = PARAM_DURATION,
     .offset = offsetof(struct measure_section, latency_bound_ns),
     .default_text = "1s",
     .minimum = "1ms",
     .maximum = "1h",
     .help = "A second whose 99th percentile of latency is above this is a brownout."},
    {.key = "lag_bound",
     .type = PARAM_SIZE,
     .offset = offsetof(struct measure_section, lag_bound_bytes),
     .default_text = "1MiB",
     .minimum = "1B",
     .help = "A replica that is further behind does not count for full redundancy."},
    {.key = "recovery_timeout",
     .type = PARAM_DURATION,
     .offset = offsetof(struct measure_section, recovery_timeout_ns),
     .default_text = "120s",
     .minimum = "1s",
     .maximum = "1d",
     .help = "How long to wait for the cluster to recover from a fault."},
    {.key = "converge_timeout",
     .type = PARAM_DURATION,
     .offset = offsetof(struct measure_section, converge_timeout_ns),
     .default_text = "120s",
     .minimum = "1s",
     .maximum = "1d",
     .help = "How long to wait, after all faults are healed, until all hosts agree."},
    {0},
};

const struct param explore_params[] = {
    {.key = "faults",
     .type = PARAM_COUNTS,
     .offset = offsetof(struct scenario_explore, faults),
     .default_text = "1..3",
     .minimum = "1",
     .maximum = "16",
     .help = "How many faults and steps a random timeline has."},
    {.key = "window",
     .type = PARAM_DURATIONS,
     .offset = offsetof(struct scenario_explore, window_ns),
     .default_text = "10s..1min",
     .maximum = "1d",
     .help = "When they begin, after the start of the measured time."},
    {.key = "for",
     .type = PARAM_DURATIONS,
     .offset = offsetof(struct scenario_explore, for_ns),
     .default_text = "1s..30s",
     .minimum = "1ms",
     .maximum = "1d",
     .help = "How long after it was confirmed in effect each fault is healed."},
    {.key = "rest",
     .type = PARAM_DURATION,
     .offset = offsetof(struct scenario_explore, rest_ns),
     .default_text = "20s",
     .maximum = "1d",
     .help = "How long after its fault is healed a host still counts as down."},
    {.key = EXPLORE_INJECTORS_KEY,
     .type = PARAM_NAMES,
     .offset = offsetof(struct scenario_explore, names),
     .help =
         "Which faults; without it, all that the provider can make and that need no more than a "
         "target and a process."},
    {.key = "steps",
     .type = PARAM_BOOL,
     .offset = offsetof(struct scenario_explore, steps),
     .default_text = "false",
     .help = "Planned steps (switchover, restart) are taken too, while no host is down."},
    {.key = "allow_quorum_loss",
     .type = PARAM_BOOL,
     .offset = offsetof(struct scenario_explore, allow_quorum_loss),
     .default_text = "false",
     .help = "Faults may take a majority of a service's hosts at once; without it, never more than "
             "a minority (or one host) are down."},
    {0},
};

bool section_is_name(const char *text) {
  size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
  return length > 0 && length <= 64 && text[length] == '\0';
}

struct head_section head_of(const struct scenario *scenario) {
  return (struct head_section){.name = scenario->name,
                               .description = scenario->description,
                               .seed = (int64_t)scenario->seed,
                               .repeat = scenario->repeat};
}

struct cluster_section cluster_of(const struct scenario *scenario) {
  return (struct cluster_section){.provider = scenario->provider->plugin.name,
                                  .client_hosts = scenario->client_hosts,
                                  .workers = scenario->workers,
                                  .start_timeout_ns = scenario->start_timeout_ns};
}

struct load_section load_of(const struct scenario *scenario) {
  return (struct load_section){.warmup_ns = scenario->warmup_ns,
                               .settle_ns = scenario->settle_ns,
                               .duration_ns = scenario->duration_ns,
                               .minimum = scenario->load_minimum};
}

struct measure_section measure_of(const struct scenario *scenario) {
  return (struct measure_section){.outage_min_ns = scenario->outage_min_ns,
                                  .latency_bound_ns = scenario->latency_bound_ns,
                                  .lag_bound_bytes = scenario->lag_bound_bytes,
                                  .recovery_timeout_ns = scenario->recovery_timeout_ns,
                                  .converge_timeout_ns = scenario->converge_timeout_ns};
}

struct entry_section entry_of(const struct timeline_entry *entry, struct arena *arena) {
  char at[48] = "";
  bool bare = entry->after_recovery && entry->at_ns == 0;
  if (!bare) value_print((int64_t)entry->at_ns, (double)entry->at_ns, UNIT_DURATION, at);
  const char *before = bare ? "recovery" : entry->after_recovery ? "recovery + " : "";
  return (struct entry_section){.at = arena_printf(arena, "%s%s", before, at),
                                .jitter_ns = entry->jitter_ns,
                                .for_ns = entry->for_ns,
                                .name = entry->name};
}

static const char *skip_blanks(const char *text) {
  while (*text == ' ') text++;
  return text;
}

int section_parse_at(const char *text, bool *ret_after_recovery, uint64_t *ret_at_ns,
                     struct error *err) {
  static const struct param duration = {
      .key = "at", .type = PARAM_DURATION, .offset = 0, .maximum = "7d"};
  char quoted[SHOWN_SIZE];
  const char *rest = text;
  bool after = strncmp(text, "recovery", strlen("recovery")) == 0;
  uint64_t at_ns = 0;
  if (after) {
    rest = skip_blanks(text + strlen("recovery"));
    if (*rest == '+')
      rest = skip_blanks(rest + 1);
    else if (*rest)
      return error_set(err, STATUS_USAGE, "%s is no time; expected " AT_EXPECTED,
                       shown(text, quoted));
  }
  if (!after && isalpha((unsigned char)*text))
    return error_set(err, STATUS_USAGE, "%s is no time; expected " AT_EXPECTED,
                     shown(text, quoted));
  bool bare = after && strcmp(text, "recovery") == 0;
  int status = bare ? 0 : param_parse(&duration, rest, NULL, &at_ns, err);
  if (status < 0) return status;
  *ret_after_recovery = after;
  *ret_at_ns = at_ns;
  return 0;
}
