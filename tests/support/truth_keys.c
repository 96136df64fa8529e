/* What the checker `eviction` measures, worked out again from what the servers threw away and what
 * the answers said that reached the clients. When a client sent something the servers do not know:
 * what lies so near to a bound that this matters counts as "may be", and the value must lie between
 * what is certain and what may be. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "support/truth_internal.h"

#define SLACK_NS (50 * NS_PER_MS) /* docs/measurement.md: a session may be gone so much earlier */
#define NEAR_NS (5 * NS_PER_MS)   /* longer than any request and its answer take here */
#define SECONDS_MAX 4096u
#define LOOKUPS_MIN 20u

/* A second of the run. */
struct second {
  uint32_t lookups, hits, refused;
};

struct keys {
  struct truth *truth;
  struct sim_truth_key *sorted; /* by class, identity, sequence, time */
  uint64_t count;
  struct second seconds[SECONDS_MAX];
  /* Certain, and certain or not. */
  uint64_t lost[2], asked[2], cache_evicted[2];
  uint64_t lookups, hits, near, refused, evicted[2];
};

static int compare_keys(const void *left, const void *right) {
  const struct sim_truth_key *a = left, *b = right;
  if (a->class != b->class) return a->class < b->class ? -1 : 1;
  if (a->identity != b->identity) return a->identity < b->identity ? -1 : 1;
  if (a->sequence != b->sequence) return a->sequence < b->sequence ? -1 : 1;
  if (a->time_ns != b->time_ns) return a->time_ns < b->time_ns ? -1 : 1;
  return (int)a->kind - (int)b->kind;
}

static bool same_key(const struct sim_truth_key *a, const struct sim_truth_key *b) {
  return a->class == b->class && a->identity == b->identity && a->sequence == b->sequence;
}

static bool is_answer(const struct sim_truth_key *key) {
  return key->kind >= SIM_TRUTH_KEY_FOUND && key->kind <= SIM_TRUTH_KEY_MISSING;
}

/* --- one key, from its first event to its last ------------------------------------------------ */

/* Whether an answer at `time_ns` came while the write was to live: 2 certainly, 1 perhaps. */
static uint32_t was_to_live(const struct sim_truth_key *write, uint64_t time_ns) {
  if (write->until_ns == 0 || time_ns + SLACK_NS + NEAR_NS <= write->until_ns) return 2;
  return time_ns + SLACK_NS <= write->until_ns ? 1 : 0;
}

static void add(uint64_t counts[2], uint32_t how) {
  counts[0] += how == 2;
  counts[1] += how > 0;
}

/* What one write of a key had to bear. */
struct life {
  const struct sim_truth_key *write; /* its acknowledgement; NULL: none was seen yet */
  uint32_t asked, missed;            /* 0 no, 1 perhaps, 2 certainly */
};

static void end_life(struct keys *keys, const struct sim_truth_key *key, const struct life *life) {
  if (key->class == SIM_TRUTH_SESSION) {
    add(keys->asked, life->asked);
    add(keys->lost, life->missed);
  } else {
    add(keys->cache_evicted, life->missed);
  }
}

static uint32_t larger(uint32_t a, uint32_t b) {
  return a > b ? a : b;
}

static void take_answer(struct life *life, const struct sim_truth_key *key) {
  uint32_t how = life->write ? was_to_live(life->write, key->time_ns) : 0;
  /* Perhaps it was sent before the write was acknowledged. */
  if (how > 0 && key->time_ns < life->write->time_ns + NEAR_NS) how = 1;
  life->asked = larger(life->asked, how);
  if (key->kind == SIM_TRUTH_KEY_MISSING) life->missed = larger(life->missed, how);
}

static void take_key(struct keys *keys, const struct sim_truth_key *first, uint64_t count) {
  struct life life = {.write = NULL};
  for (uint64_t i = 0; i < count; i++) {
    const struct sim_truth_key *key = &first[i];
    if (key->kind == SIM_TRUTH_KEY_WRITTEN) {
      end_life(keys, first, &life);
      life = (struct life){.write = key};
    } else if (is_answer(key)) {
      take_answer(&life, key);
    }
  }
  end_life(keys, first, &life);
}

/* --- the whole run --------------------------------------------------------------------------- */

static bool is_near(uint64_t time_ns, uint64_t bound_ns) {
  return time_ns + NEAR_NS > bound_ns && time_ns < bound_ns + NEAR_NS;
}

static void take_lookup(struct keys *keys, const struct sim_truth_key *key) {
  const struct record_info *info = &keys->truth->run->record.info;
  keys->near +=
      is_near(key->time_ns, info->load_begin_ns) || is_near(key->time_ns, info->load_end_ns);
  if (key->time_ns < info->load_begin_ns || key->time_ns >= info->load_end_ns + NEAR_NS) return;
  bool hit = key->kind == SIM_TRUTH_KEY_FOUND;
  struct second *second = &keys->seconds[key->time_ns / NS_PER_S];
  keys->lookups++;
  keys->hits += hit;
  second->lookups++;
  second->hits += hit;
}

static void take_all(struct keys *keys) {
  const struct record_info *info = &keys->truth->run->record.info;
  for (uint64_t i = 0; i < keys->count; i++) {
    const struct sim_truth_key *key = &keys->sorted[i];
    if (key->kind == SIM_TRUTH_KEY_EVICTED) {
      keys->evicted[1]++;
      /* They are counted by samples, the last of which may be a second old. */
      keys->evicted[0] += key->time_ns + NS_PER_S + NEAR_NS < info->end_ns;
    } else if (key->kind == SIM_TRUTH_KEY_REFUSED) {
      keys->refused++;
      keys->seconds[key->time_ns / NS_PER_S].refused++;
    } else if (is_answer(key) && key->class == SIM_TRUTH_CACHE) {
      take_lookup(keys, key);
    }
  }
  for (uint64_t i = 0, next; i < keys->count; i = next) {
    for (next = i + 1; next < keys->count && same_key(&keys->sorted[i], &keys->sorted[next]);)
      next++;
    if (keys->sorted[i].class != SIM_TRUTH_OTHER) take_key(keys, &keys->sorted[i], next - i);
  }
}

/* --- against what was measured --------------------------------------------------------------- */

static void expect_between(struct keys *keys, const char *name, double least, double most) {
  const struct measure *measure = simulated_measure(keys->truth->run, name, FAULT_NONE);
  bool known = measure && measure->known;
  truth_expect(keys->truth,
               known && measure->value >= least - 1e-9 && measure->value <= most + 1e-9,
               "%s is %g (%s), in truth %g to %g", name, known ? measure->value : NAN,
               known ? "known" : "not known", least, most);
}

static double ratio(uint64_t part, uint64_t whole) {
  return whole > 0 ? (double)part / (double)whole : 0;
}

/* Of the seconds that lie whole between the two times. */
static double hit_ratio_between(const struct keys *keys, uint64_t from_ns, uint64_t to_ns) {
  uint64_t lookups = 0, hits = 0;
  for (uint64_t s = (from_ns + NS_PER_S - 1) / NS_PER_S; (s + 1) * NS_PER_S <= to_ns; s++) {
    lookups += keys->seconds[s].lookups;
    hits += keys->seconds[s].hits;
  }
  return ratio(hits, lookups);
}

/* The end of the last second after the heal in which something was refused, or the cache answered
 * less than nine tenths of what it did before. What is within one answer of that is not judged. */
static void compare_memory_recovery(struct keys *keys) {
  const struct record_info *info = &keys->truth->run->record.info;
  const struct fault_info *fault = &info->faults[0];
  const struct measure *measure = simulated_measure(keys->truth->run, "memory_recovery_time", 0);
  uint64_t end_ns = info->load_end_ns, last_ns = 0;
  if (info->fault_count != 1 || !measure || !measure->known) return;
  double before = hit_ratio_between(keys, info->load_begin_ns, fault->journaled_ns);
  for (uint64_t s = fault->healed_ns / NS_PER_S; (s + 1) * NS_PER_S <= end_ns; s++) {
    const struct second *second = &keys->seconds[s];
    double wanted = 0.9 * before * second->lookups, has = second->hits;
    bool judged = second->lookups + 2 >= LOOKUPS_MIN;
    if (second->refused == 0 && judged && fabs(has - wanted) <= 2) return;
    if (second->refused > 0 || (second->lookups >= LOOKUPS_MIN && has < wanted))
      last_ns = (s + 1) * NS_PER_S;
  }
  double real = last_ns > fault->healed_ns ? (double)(last_ns - fault->healed_ns) / 1e9 : 0;
  truth_expect(keys->truth, fabs(measure->value - real) < TRUTH_TICK_S,
               "memory_recovery_time is %.9f s, in truth %.9f s", measure->value, real);
}

static void compare(struct keys *keys) {
  expect_between(keys, "sessions_lost", (double)keys->lost[0], (double)keys->lost[1]);
  expect_between(keys, "session_loss_ratio", ratio(keys->lost[0], keys->asked[1]),
                 ratio(keys->lost[1], keys->asked[0]));
  expect_between(keys, "cache_evicted", (double)keys->cache_evicted[0],
                 (double)keys->cache_evicted[1]);
  expect_between(keys, "evicted_keys", (double)keys->evicted[0], (double)keys->evicted[1]);
  expect_between(keys, "oom_errors", (double)keys->refused, (double)keys->refused);
  double hits = ratio(keys->hits, keys->lookups), near = ratio(keys->near, keys->lookups);
  expect_between(keys, "hit_ratio", hits - near, hits + near);
  compare_memory_recovery(keys);
}

int truth_compare_keys(struct truth *truth, const struct sim_truth_key *all, uint64_t count,
                       struct error *err) {
  const struct measure *measure = simulated_measure(truth->run, "sessions_lost", FAULT_NONE);
  if (!measure || measure->not_applicable) return 0;
  struct keys *keys = calloc(1, sizeof *keys);
  struct sim_truth_key *sorted = malloc(count * sizeof *sorted + 1);
  bool fits = truth->run->record.info.end_ns / NS_PER_S + 1 < SECONDS_MAX;
  if (!keys || !sorted || !fits) {
    free(keys);
    free(sorted);
    return error_set(err, STATUS_MEMORY, "no room for the truth of keys");
  }
  memcpy(sorted, all, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, compare_keys);
  keys->truth = truth;
  keys->sorted = sorted;
  keys->count = count;
  take_all(keys);
  compare(keys);
  free(sorted);
  free(keys);
  return 0;
}
