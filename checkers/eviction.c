/* What a store with too little memory threw away, told apart by what was promised: sessions that
 * were to live until their time is over, and entries of a cache, which may go. By the reads of
 * clients, because a server counts what it evicts and not what that was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkers.h"
#include "faults.h"
#include "measures.h"
#include "notes.h"

/* A server counts time to live in milliseconds of a clock that it looks at now and then. */
#define EXPIRY_SLACK_NS (50 * NS_PER_MS)
/* Records are in order to 2 s; what is over for longer nobody asks for any more. */
#define FORGET_NS (10 * NS_PER_S)
#define BUCKET_NS NS_PER_S
/* Of fewer lookups in a bucket the ratio is chance. */
#define LOOKUPS_MIN 20u
/* The cache is back when it answers nine tenths of what it answered before. */
#define BACK 0.9
#define KEYS_FIRST 4096u

/* An acknowledged write of a key with a promise, or of a cache entry. */
struct key {
  uint64_t sequence; /* 0: an empty place */
  uint64_t sent_ns, done_ns;
  uint64_t seen_ns; /* last found; 0: not yet */
  uint32_t owner;   /* identity; of a cache entry the workload */
  uint32_t ttl_ms;  /* 0: it stays */
  bool asked, gone;
};
struct keys {
  struct key *places; /* open addressing; the capacity is a power of two, or 0 */
  size_t capacity, count;
};

/* What happened in one second. */
struct bucket {
  uint32_t lookups, hits, refused;
};
/* What is charged to one fault, or in the first place to the run. */
struct tally {
  uint64_t lost, refused, lookups, hits;
};
/* A counter of a server as it was last sampled. */
struct counter {
  double evicted;
  bool known, failed;
};

struct eviction {
  const struct record_info *info;
  struct keys sessions, entries;
  struct bucket *buckets;
  size_t bucket_count;
  struct tally *tallies; /* of the run, then of each fault */
  struct counter *hosts; /* by host */
  uint64_t session_reads, cache_reads, checked, asked, cache_evicted, snapshot_failures;
  double evicted;
  bool evicted_known;
  struct notes notes;
};

static int out_of_memory(struct error *err) {
  return error_set(err, STATUS_MEMORY, "out of memory for keys");
}

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct eviction *it = state;
  it->info = info;
  it->tallies = calloc((size_t)info->fault_count + 1, sizeof *it->tallies);
  it->hosts = calloc((size_t)info->host_count + 1, sizeof *it->hosts);
  return it->tallies && it->hosts ? 0 : out_of_memory(err);
}

/* --- keys ------------------------------------------------------------------------------------ */

static struct key *place_of(const struct keys *keys, uint32_t owner, uint64_t sequence) {
  uint64_t hash = (sequence + ((uint64_t)owner << 32)) * UINT64_C(0x9E3779B97F4A7C15);
  for (size_t i = (size_t)(hash >> 20);; i++) {
    struct key *key = &keys->places[i & (keys->capacity - 1)];
    if (key->sequence == 0 || (key->sequence == sequence && key->owner == owner)) return key;
  }
}

/* NULL: it was never acknowledged, or is over. */
static struct key *find(const struct keys *keys, uint32_t owner, uint64_t sequence) {
  if (keys->capacity == 0 || sequence == 0) return NULL;
  struct key *key = place_of(keys, owner, sequence);
  return key->sequence ? key : NULL;
}

/* How long it certainly lives: the server cannot have begun to count before it was sent. */
static uint64_t until_ns(const struct key *key) {
  return key->ttl_ms ? key->sent_ns + key->ttl_ms * NS_PER_MS : TIME_NEVER;
}

static bool is_over(const struct key *key, uint64_t now_ns) {
  return key->ttl_ms > 0 && until_ns(key) + FORGET_NS < now_ns;
}

/* Makes room: what is over goes, and what is left gets at least as much again. */
static int grow(struct keys *keys, uint64_t now_ns, struct error *err) {
  size_t living = 0;
  for (size_t i = 0; i < keys->capacity; i++)
    if (keys->places[i].sequence && !is_over(&keys->places[i], now_ns)) living++;
  struct keys larger = {.capacity = KEYS_FIRST, .count = living};
  while (larger.capacity < 4 * living) larger.capacity *= 2;
  larger.places = calloc(larger.capacity, sizeof *larger.places);
  if (!larger.places) return out_of_memory(err);
  for (size_t i = 0; i < keys->capacity; i++) {
    const struct key *key = &keys->places[i];
    if (key->sequence && !is_over(key, now_ns))
      *place_of(&larger, key->owner, key->sequence) = *key;
  }
  free(keys->places);
  *keys = larger;
  return 0;
}

static int remember(struct keys *keys, uint32_t owner, const struct operation *write,
                    struct error *err) {
  if (write->outcome != OUTCOME_OK || write->sequence == 0) return 0;
  if (keys->count >= keys->capacity / 2) {
    int status = grow(keys, write->done_ns, err);
    if (status < 0) return status;
  }
  struct key *key = place_of(keys, owner, write->sequence);
  if (key->sequence == 0) keys->count++;
  if (key->done_ns > write->done_ns) return 0;
  *key = (struct key){.sequence = write->sequence,
                      .sent_ns = write->sent_ns,
                      .done_ns = write->done_ns,
                      .owner = owner,
                      .ttl_ms = write->read_identity};
  return 0;
}

/* Whether a read must find it: begun when it had been acknowledged, over before its time is. */
static bool must_be_there(const struct key *key, const struct operation *read) {
  uint64_t until = until_ns(key);
  return read->sent_ns >= key->done_ns &&
         (until == TIME_NEVER || read->done_ns + EXPIRY_SLACK_NS <= until);
}

/* --- operations ------------------------------------------------------------------------------ */

/* Of the fault that had begun then; NULL: none had. */
static struct tally *tally_at(struct eviction *it, uint64_t time_ns) {
  int32_t fault = fault_at(it->info, time_ns);
  return fault == FAULT_NONE ? NULL : &it->tallies[fault + 1];
}

static int bucket_at(struct eviction *it, uint64_t time_ns, struct bucket **ret,
                     struct error *err) {
  size_t index = (size_t)(time_ns / BUCKET_NS);
  if (index >= it->bucket_count) {
    size_t count = index + index / 2 + 60;
    struct bucket *larger = realloc(it->buckets, count * sizeof *larger);
    if (!larger) return out_of_memory(err);
    for (size_t i = it->bucket_count; i < count; i++) larger[i] = (struct bucket){.lookups = 0};
    it->buckets = larger;
    it->bucket_count = count;
  }
  *ret = &it->buckets[index];
  return 0;
}

static int note_lost(struct eviction *it, const struct key *key, const struct operation *read,
                     struct error *err) {
  char seen[64] = "was never found";
  if (key->seen_ns) snprintf(seen, sizeof seen, "was found at %.6f s", seconds_of(key->seen_ns));
  it->tallies[0].lost++;
  struct tally *fault = tally_at(it, read->done_ns);
  if (fault) fault->lost++;
  if (!notes_want(&it->notes, "session_lost")) return 0;
  return notes_add(&it->notes, "session_lost", read->done_ns, err,
                   "session (identity %u, sequence %llu), written at %.6f s to live until %.6f s, "
                   "%s and was missing at %.6f s on %s",
                   (unsigned)key->owner, (unsigned long long)key->sequence,
                   seconds_of(key->done_ns), seconds_of(until_ns(key)), seen,
                   seconds_of(read->done_ns), host_name_of(it->info, read->host));
}

static int take_session_read(struct eviction *it, const struct operation *read, struct error *err) {
  it->session_reads++;
  if (read->outcome != OUTCOME_OK) return 0;
  struct key *key = find(&it->sessions, read->read_identity, read->sequence);
  if (!key || !must_be_there(key, read)) return 0;
  it->checked++;
  if (!key->asked) it->asked++;
  key->asked = true;
  if (read->value != 0) {
    key->seen_ns = read->done_ns;
    return 0;
  }
  if (key->gone) return 0;
  key->gone = true;
  return note_lost(it, key, read, err);
}

static int take_lookup(struct eviction *it, const struct operation *read, struct error *err) {
  it->cache_reads++;
  if (read->outcome != OUTCOME_OK) return 0;
  bool hit = read->value != 0;
  struct key *key = find(&it->entries, read->workload, read->sequence);
  if (!hit && key && !key->gone && must_be_there(key, read)) {
    key->gone = true;
    it->cache_evicted++;
  }
  if (!is_measured(it->info, read)) return 0;
  struct bucket *bucket = NULL;
  int status = bucket_at(it, read->done_ns, &bucket, err);
  if (status < 0) return status;
  bucket->lookups++;
  bucket->hits += hit;
  struct tally *fault = tally_at(it, read->done_ns);
  for (struct tally *tally = it->tallies; tally; tally = tally == fault ? NULL : fault) {
    tally->lookups++;
    tally->hits += hit;
  }
  return 0;
}

static int take_refusal(struct eviction *it, const struct operation *operation, struct error *err) {
  struct bucket *bucket = NULL;
  int status = bucket_at(it, operation->done_ns, &bucket, err);
  if (status < 0) return status;
  bucket->refused++;
  it->tallies[0].refused++;
  struct tally *fault = tally_at(it, operation->done_ns);
  if (fault) fault->refused++;
  if (!notes_want(&it->notes, "oom_error")) return 0;
  return notes_add(&it->notes, "oom_error", operation->done_ns, err,
                   "a %s of client %u was refused by %s at %.6f s for want of memory",
                   operation_kind_name(operation->kind), operation->client,
                   host_name_of(it->info, operation->host), seconds_of(operation->done_ns));
}

static int take_operation(struct eviction *it, const struct operation *operation,
                          struct error *err) {
  if (operation->code == code_pack(CODE_OUT_OF_MEMORY)) return take_refusal(it, operation, err);
  if (operation->kind == OPERATION_WRITE && operation->read_identity > 0)
    return remember(&it->sessions, operation->identity, operation, err);
  if (operation->kind == OPERATION_CACHE_WRITE)
    return remember(&it->entries, operation->workload, operation, err);
  if (operation->kind == OPERATION_READ_KEY) return take_session_read(it, operation, err);
  return operation->kind == OPERATION_CACHE_READ ? take_lookup(it, operation, err) : 0;
}

/* --- samples --------------------------------------------------------------------------------- */

/* A counter that is lower than before is of a server that was started again. */
static int take_sample(struct eviction *it, const struct sample *sample, struct error *err) {
  if (sample->host >= it->info->host_count) return 0;
  struct counter *host = &it->hosts[sample->host];
  if (sample->metric == METRIC_EVICTED_KEYS) {
    bool goes_on = host->known && sample->value >= host->evicted;
    it->evicted += host->known ? sample->value - (goes_on ? host->evicted : 0) : 0;
    it->evicted_known = host->known = true;
    host->evicted = sample->value;
  }
  if (sample->metric != METRIC_SNAPSHOT_FAILED) return 0;
  bool failed = sample->value > 0, new = failed && !host->failed;
  host->failed = failed;
  if (!new) return 0;
  it->snapshot_failures++;
  if (!notes_want(&it->notes, "snapshot_failure")) return 0;
  return notes_add(&it->notes, "snapshot_failure", sample->time_ns, err,
                   "%s said at %.6f s that its last snapshot could not be made",
                   host_name_of(it->info, sample->host), seconds_of(sample->time_ns));
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct eviction *it = state;
  return item->operation ? take_operation(it, item->operation, err)
                         : take_sample(it, item->sample, err);
}

/* --- the finding ----------------------------------------------------------------------------- */

static int give_sessions(const struct eviction *it, struct finding *finding, struct error *err) {
  const char *why = it->session_reads == 0 ? "no workload keeps sessions"
                                           : "no session was read while it was to be there";
  const double lost = (double)it->tallies[0].lost;
  int status =
      measure_known(finding, "sessions_checked", UNIT_COUNT, (double)it->checked, FAULT_NONE, err);
  if (status < 0) return status;
  if (it->checked == 0) {
    status = it->session_reads == 0
                 ? measure_none(finding, "sessions_lost", UNIT_COUNT, FAULT_NONE, why, err)
                 : measure_unknown(finding, "sessions_lost", UNIT_COUNT, FAULT_NONE, why, err);
    return status < 0
               ? status
               : measure_none(finding, "session_loss_ratio", UNIT_RATIO, FAULT_NONE, why, err);
  }
  status = measure_known(finding, "session_loss_ratio", UNIT_RATIO, lost / (double)it->asked,
                         FAULT_NONE, err);
  for (int32_t f = FAULT_NONE; f < (int32_t)it->info->fault_count && status == 0; f++)
    status = measure_known(finding, "sessions_lost", UNIT_COUNT, (double)it->tallies[f + 1].lost, f,
                           err);
  return status;
}

static int give_cache(const struct eviction *it, struct finding *finding, struct error *err) {
  int status = measure_known(finding, "cache_evicted", UNIT_COUNT, (double)it->cache_evicted,
                             FAULT_NONE, err);
  for (int32_t f = FAULT_NONE; f < (int32_t)it->info->fault_count && status == 0; f++) {
    const struct tally *tally = &it->tallies[f + 1];
    if (tally->lookups > 0)
      status = measure_known(finding, "hit_ratio", UNIT_RATIO,
                             (double)tally->hits / (double)tally->lookups, f, err);
    else
      status = measure_none(finding, "hit_ratio", UNIT_RATIO, f, "no cache was asked", err);
  }
  return status;
}

static int give_counts(const struct eviction *it, struct finding *finding, struct error *err) {
  int status = 0;
  for (int32_t f = FAULT_NONE; f < (int32_t)it->info->fault_count && status == 0; f++)
    status = measure_known(finding, "oom_errors", UNIT_COUNT, (double)it->tallies[f + 1].refused, f,
                           err);
  if (status < 0) return status;
  if (!it->evicted_known) {
    const char *why = "no server said how many keys it evicted";
    status = measure_none(finding, "evicted_keys", UNIT_COUNT, FAULT_NONE, why, err);
    return status < 0
               ? status
               : measure_none(finding, "snapshot_failures", UNIT_COUNT, FAULT_NONE, why, err);
  }
  status = measure_known(finding, "evicted_keys", UNIT_COUNT, it->evicted, FAULT_NONE, err);
  return status < 0 ? status
                    : measure_known(finding, "snapshot_failures", UNIT_COUNT,
                                    (double)it->snapshot_failures, FAULT_NONE, err);
}

/* Of the buckets that lie whole between the two times. */
static double ratio_between(const struct eviction *it, uint64_t from_ns, uint64_t to_ns) {
  uint64_t lookups = 0, hits = 0;
  for (size_t i = (size_t)((from_ns + BUCKET_NS - 1) / BUCKET_NS);
       i < it->bucket_count && (i + 1) * BUCKET_NS <= to_ns; i++) {
    lookups += it->buckets[i].lookups;
    hits += it->buckets[i].hits;
  }
  return lookups > 0 ? (double)hits / (double)lookups : 0;
}

static bool is_disturbed(const struct bucket *bucket, double before) {
  bool enough = bucket->lookups >= LOOKUPS_MIN;
  return bucket->refused > 0 || (enough && bucket->hits < BACK * before * bucket->lookups);
}

/* From the heal to the end of the last second in which writes were refused for want of memory, or
 * the cache answered less than before the fault. */
static int give_recovery(const struct eviction *it, int32_t f, struct finding *finding,
                         struct error *err) {
  static const char name[] = "memory_recovery_time";
  const struct record_info *info = it->info;
  const struct fault_info *fault = &info->faults[f];
  uint64_t end_ns = fault_epoch_end_ns(info, f), last_ns = 0;
  if (end_ns > info->load_end_ns) end_ns = info->load_end_ns;
  if (fault->healed_ns == TIME_NEVER || fault->healed_ns >= end_ns)
    return measure_none(finding, name, UNIT_DURATION, f, "it was not healed under load", err);
  if (it->bucket_count == 0)
    return measure_none(finding, name, UNIT_DURATION, f, "no workload filled the memory", err);
  double before = ratio_between(it, info->load_begin_ns, fault_begin_ns(fault));
  size_t i = (size_t)(fault->healed_ns / BUCKET_NS);
  for (; i < it->bucket_count && (i + 1) * BUCKET_NS <= end_ns; i++)
    if (is_disturbed(&it->buckets[i], before)) last_ns = (i + 1) * BUCKET_NS;
  double took_s = seconds_of(difference_ns(last_ns, fault->healed_ns));
  if (last_ns > 0 && last_ns + BUCKET_NS > end_ns)
    return measure_floor(finding, name, UNIT_DURATION, took_s, f,
                         "it was not as before yet when the load, or the time until the next "
                         "fault, ended",
                         err);
  return measure_known(finding, name, UNIT_DURATION, took_s, f, err);
}

static const char *const measures[] = {
    "sessions_lost", "session_loss_ratio",   "sessions_checked", "cache_evicted",     "hit_ratio",
    "oom_errors",    "memory_recovery_time", "evicted_keys",     "snapshot_failures", NULL};

/* A run of a database that keeps nothing in memory alone. */
static int give_none(struct finding *finding, struct error *err) {
  int status = 0;
  for (size_t i = 0; measures[i] && status == 0; i++) {
    enum unit unit = UNIT_COUNT;
    if (strstr(measures[i], "ratio")) unit = UNIT_RATIO;
    if (strstr(measures[i], "time")) unit = UNIT_DURATION;
    status = measure_none(finding, measures[i], unit, FAULT_NONE,
                          "no workload keeps sessions or a cache", err);
  }
  return status;
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct eviction *it = state;
  if (it->session_reads == 0 && it->cache_reads == 0) return give_none(finding, err);
  int status = give_sessions(it, finding, err);
  if (status == 0) status = give_cache(it, finding, err);
  if (status == 0) status = give_counts(it, finding, err);
  for (int32_t f = 0; f < (int32_t)it->info->fault_count && status == 0; f++)
    status = give_recovery(it, f, finding, err);
  return status < 0 ? status : notes_give(&it->notes, NULL, finding, err);
}

static void release(void *state) {
  struct eviction *it = state;
  free(it->sessions.places);
  free(it->entries.places);
  free(it->buckets);
  free(it->tallies);
  free(it->hosts);
  notes_release(&it->notes);
}

const struct checker checker_eviction = {
    .plugin = {.name = "eviction",
               .summary = "Sessions lost before their time, and what a cache lost",
               .state_size = sizeof(struct eviction)},
    .wants = WANTS_OPERATIONS | WANTS_SAMPLES,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
