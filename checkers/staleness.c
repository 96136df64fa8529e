/* How old were the values that reads returned: the newest row as a replica shows it, and a client's
 * own last write on the primary. */
#include <inttypes.h>
#include <stdlib.h>

#include "checkers.h"
#include "history.h"
#include "measures.h"
#include "notes.h"
#include "sets.h"

/* Acknowledgements that may come between the send and the answer of one read. */
#define OWN_WRITES_KEPT 32

struct own_write {
  uint64_t sequence, done_ns;
};
/* What is known of one identity. */
struct writer {
  uint64_t highest_forgotten; /* sequences up to here have left the history */
  bool uncertain;             /* some write of it may or may not have been applied */
  uint32_t count;             /* acknowledged; the last few are kept */
  struct own_write kept[OWN_WRITES_KEPT];
};
/* What one primary acknowledged: the newest row of a host is the newest of its shard. */
struct written {
  struct history history;
  uint64_t first_done_ns; /* the first acknowledged write; TIME_NEVER: none */
  uint16_t primary;       /* who acknowledged the latest write of ROUTE_PRIMARY */
};
struct staleness {
  const struct record_info *info;
  struct written *sets;
  struct writer **writers; /* by identity; NULL: never acknowledged */
  uint32_t writer_count;
  struct histogram ages;
  struct notes notes;
  uint64_t undetermined, beyond; /* rows of uncertain writes; rows older than the history */
  uint64_t own_reads, own_stale;
};

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct staleness *it = state;
  it->info = info;
  histogram_init(&it->ages);
  it->sets = calloc(set_count_of(info), sizeof *it->sets);
  if (!it->sets) return error_set(err, STATUS_MEMORY, "out of memory for acknowledged writes");
  for (uint32_t i = 0; i < set_count_of(info); i++)
    it->sets[i] = (struct written){.first_done_ns = TIME_NEVER, .primary = HOST_NONE};
  return 0;
}

static int writer_of(struct staleness *it, uint32_t identity, struct writer **ret_writer,
                     struct error *err) {
  if (identity >= it->writer_count) {
    uint32_t count = identity + identity / 2 + 64;
    struct writer **larger = realloc(it->writers, count * sizeof(struct writer *));
    if (!larger) return error_set(err, STATUS_MEMORY, "out of memory for writers");
    for (uint32_t i = it->writer_count; i < count; i++) larger[i] = NULL;
    it->writers = larger;
    it->writer_count = count;
  }
  if (!it->writers[identity]) it->writers[identity] = calloc(1, sizeof(struct writer));
  if (!it->writers[identity]) return error_set(err, STATUS_MEMORY, "out of memory for writers");
  *ret_writer = it->writers[identity];
  return 0;
}

static const struct writer *writer_look(const struct staleness *it, uint32_t identity) {
  return identity < it->writer_count ? it->writers[identity] : NULL;
}

static int take_write(struct staleness *it, const struct operation *operation, struct error *err) {
  if (operation->outcome != OUTCOME_OK && operation->outcome != OUTCOME_UNKNOWN) return 0;
  uint16_t set = operation_set(it->info, operation);
  struct writer *writer = NULL;
  int status = writer_of(it, operation->identity, &writer, err);
  if (status < 0) return status;
  if (operation->outcome == OUTCOME_UNKNOWN) {
    writer->uncertain = true;
    return 0;
  }
  if (set == SET_NONE) return 0;
  struct written *written = &it->sets[set];
  if (operation->route == ROUTE_PRIMARY) written->primary = operation->host;
  struct history *history = &written->history;
  if (history->count >= HISTORY_LENGTH) {
    const struct history_entry *going = &history->entries[history->count % HISTORY_LENGTH];
    struct writer *other = it->writers[going->identity];
    if (going->sequence > other->highest_forgotten) other->highest_forgotten = going->sequence;
  }
  status = history_add(history, operation->identity, operation->sequence, operation->sent_ns,
                       operation->done_ns, err);
  if (status < 0) return status;
  writer->kept[writer->count++ % OWN_WRITES_KEPT] =
      (struct own_write){.sequence = operation->sequence, .done_ns = operation->done_ns};
  if (written->first_done_ns == TIME_NEVER) written->first_done_ns = operation->done_ns;
  return 0;
}

static int add_age(struct staleness *it, const struct operation *read, uint64_t since_ns,
                   struct error *err) {
  uint64_t age_ns = difference_ns(read->sent_ns, since_ns);
  bool worst = age_ns > 0 && age_ns > it->ages.maximum;
  histogram_add(&it->ages, age_ns);
  /* Each record-breaking read is worth a look; there are few of them. */
  if (!worst || !notes_want(&it->notes, "stale")) return 0;
  return notes_add(&it->notes, "stale", read->done_ns, err,
                   "%.60s answered the read sent at %.6f s with row (identity %" PRIu32
                   ", sequence %" PRIu64
                   "), though a newer one had been acknowledged at %.6f s, %.3f s before",
                   host_name_of(it->info, read->host), seconds_of(read->sent_ns),
                   read->read_identity, read->value, seconds_of(since_ns), seconds_of(age_ns));
}

static int take_newest(struct staleness *it, const struct operation *read, struct error *err) {
  uint64_t number = 0, newer_ns = TIME_NEVER;
  uint16_t set = operation_set(it->info, read);
  if (set == SET_NONE) return 0;
  const struct written *written = &it->sets[set];
  const struct history *history = &written->history;
  /* The primary is not stale; its zeros would hide the replicas'. */
  if (read->host == written->primary) return 0;
  if (read->value == 0) return add_age(it, read, written->first_done_ns, err); /* no row at all */
  if (history->count > 0 && history_find(history, read->read_identity, read->value, &number)) {
    (void)history_newer(history, number, &newer_ns);
    return add_age(it, read, newer_ns, err);
  }
  const struct writer *writer = writer_look(it, read->read_identity);
  bool forgotten = history_oldest(history) > 0;
  if (writer && forgotten && read->value <= writer->highest_forgotten) {
    it->beyond++; /* older than everything that is remembered: at least this old */
    (void)history_newer(history, history_oldest(history), &newer_ns);
    return add_age(it, read, newer_ns, err);
  }
  if (writer && writer->uncertain) {
    it->undetermined++; /* nobody knows when it was appended */
    return 0;
  }
  return add_age(it, read, TIME_NEVER, err); /* not acknowledged yet: nothing is newer */
}

static int take_own(struct staleness *it, const struct operation *read, struct error *err) {
  const struct writer *writer = writer_look(it, read->identity);
  if (!writer || writer->count == 0) return 0;
  if (read->value != 0 && read->read_identity != read->identity) return 0;
  struct own_write expected = {.sequence = 0};
  uint32_t kept = writer->count < OWN_WRITES_KEPT ? writer->count : OWN_WRITES_KEPT;
  for (uint32_t i = 0; i < kept; i++)
    if (writer->kept[i].done_ns < read->sent_ns && writer->kept[i].sequence > expected.sequence)
      expected = writer->kept[i];
  it->own_reads++;
  if (read->value >= expected.sequence) return 0;
  it->own_stale++;
  if (!notes_want(&it->notes, "stale_own_read")) return 0;
  return notes_add(
      &it->notes, "stale_own_read", read->done_ns, err,
      "client %u read its own last write from %.60s at %.6f s and got sequence %" PRIu64
      " of identity %" PRIu32 ", though %" PRIu64 " had been acknowledged to it at %.6f s",
      read->client, host_name_of(it->info, read->host), seconds_of(read->sent_ns), read->value,
      read->identity, expected.sequence, seconds_of(expected.done_ns));
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct staleness *it = state;
  const struct operation *operation = item->operation;
  if (appends_row(operation)) return take_write(it, operation, err);
  if (operation->outcome != OUTCOME_OK || !is_measured(it->info, operation)) return 0;
  if (operation->kind == OPERATION_READ_NEWEST && operation->route != ROUTE_PRIMARY)
    return take_newest(it, operation, err);
  if (operation->kind == OPERATION_READ_OWN && operation->route == ROUTE_PRIMARY)
    return take_own(it, operation, err);
  return 0;
}

static int give_ages(const struct staleness *it, struct finding *finding, struct error *err) {
  static const char *const none = "no newest row was read on a replica in the measured time";
  if (it->beyond == 0)
    return measure_quantiles(finding, "staleness", quantiles_four, UNIT_DURATION, &it->ages, 1e9,
                             HOST_NONE, none, err);
  int status = 0;
  const char *const names[] = {"staleness.p50", "staleness.p95", "staleness.p99", "staleness.max"};
  for (size_t i = 0; i < sizeof names / sizeof *names && status == 0; i++) {
    double q = quantiles_four[i].q;
    uint64_t value = q > 1 ? it->ages.maximum : histogram_quantile(&it->ages, q);
    status = measure_floor(finding, names[i], UNIT_DURATION, seconds_of(value), FAULT_NONE,
                           "some reads were older than the last 262144 writes", err);
  }
  return status;
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct staleness *it = state;
  int status = give_ages(it, finding, err);
  if (status == 0 && it->own_reads == 0)
    status = measure_none(finding, "stale_own_reads", UNIT_COUNT, FAULT_NONE,
                          "no client read its own last write on the primary", err);
  else if (status == 0)
    status = measure_known(finding, "stale_own_reads", UNIT_COUNT, (double)it->own_stale,
                           FAULT_NONE, err);
  if (status == 0) status = notes_give(&it->notes, NULL, finding, err);
  return status;
}

static void release(void *state) {
  struct staleness *it = state;
  for (uint32_t i = 0; it->sets && i < set_count_of(it->info); i++)
    history_release(&it->sets[i].history);
  free(it->sets);
  for (uint32_t i = 0; i < it->writer_count; i++) free(it->writers[i]);
  free(it->writers);
  notes_release(&it->notes);
}

static const char *const measures[] = {"staleness.p50", "staleness.p95",   "staleness.p99",
                                       "staleness.max", "stale_own_reads", NULL};

const struct checker checker_staleness = {
    .plugin = {.name = "staleness",
               .summary = "How old the values were that replica reads and own reads returned",
               .state_size = sizeof(struct staleness)},
    .wants = WANTS_OPERATIONS,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
