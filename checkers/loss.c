/* What became of every write: acknowledged ones that are gone, unknown ones that survived, rows
 * that nobody wrote or that are there twice, damaged rows, hosts that differ. The final rows
 * come first, so that each write is judged as it passes. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkers.h"
#include "loss.h"
#include "measures.h"

static int begin_set(const struct record_info *info, struct truth_set *set, uint16_t index,
                     struct error *err) {
  bool only = info->set_count <= 1;
  *set =
      (struct truth_set){.hosts = only ? bits_below(info->host_count) : info->sets[index].hosts,
                         .primary = only ? info->final_primary : info->sets[index].final_primary};
  for (uint32_t h = 0; h < info->host_count; h++)
    if (bits_has(&info->final_hosts, h) && bits_has(&set->hosts, h)) set->host_count++;
  return lost_init(&set->lost, info, index, err);
}

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct loss *it = state;
  it->info = info;
  it->row_host = -1;
  it->sets = calloc(set_count_of(info), sizeof *it->sets);
  if (!it->sets) return error_set(err, STATUS_MEMORY, "out of memory for the final state");
  rows_init(&it->rows, info->set_count > 1);
  set_watch_init(&it->watch, info);
  for (uint32_t h = 0; h < info->host_count; h++)
    if (bits_has(&info->final_hosts, h)) it->host_count++;
  int status = 0;
  for (uint32_t i = 0; i < set_count_of(info) && status == 0; i++, it->set_count++)
    status = begin_set(info, &it->sets[i], (uint16_t)i, err);
  return status;
}

static uint16_t set_of_host(const struct loss *it, uint16_t host) {
  return it->set_count == 1 ? 0 : it->info->host_sets[host];
}

static uint16_t set_of_row(const struct loss *it, const struct row_page *page, uint32_t i) {
  return it->rows.with_sets ? page->sets[i] : 0;
}

/* --- final rows ------------------------------------------------------------------------------ */

static int note_duplicate(struct loss *it, const struct final_row *row, uint16_t host,
                          struct error *err) {
  it->duplicates++;
  if (!notes_want(&it->notes, "duplicate")) return 0;
  return notes_add(&it->notes, "duplicate", it->info->end_ns, err,
                   "row (identity %" PRIu32 ", sequence %" PRIu64 ") is more than once on %s",
                   row->identity, row->sequence, host_name_of(it->info, host));
}

static int note_damaged(struct loss *it, const struct final_row *row, uint16_t host,
                        struct error *err) {
  if (!notes_want(&it->notes, "corrupt")) return 0;
  return notes_add(&it->notes, "corrupt", it->info->end_ns, err,
                   "row (identity %" PRIu32 ", sequence %" PRIu64
                   ") on %s does not match the checksum stored with it",
                   row->identity, row->sequence, host_name_of(it->info, host));
}

/* Each row has one owner. On hosts of another shard it is out of its clients' reach there, or it is
 * what was left behind. */
static int note_elsewhere(struct loss *it, const struct final_row *row, uint16_t host,
                          struct row_page *page, uint32_t i, struct error *err) {
  if (!(page->flags[i] & ROW_ELSEWHERE)) it->misplaced++;
  page->flags[i] |= ROW_ELSEWHERE;
  if (!notes_want(&it->notes, "misplaced")) return 0;
  return notes_add(&it->notes, "misplaced", it->info->end_ns, err,
                   "row (identity %" PRIu32 ", sequence %" PRIu64
                   ") is on %s of %.60s, and on hosts of %.60s too",
                   row->identity, row->sequence, host_name_of(it->info, host),
                   it->info->sets[set_of_host(it, host)].name, it->info->sets[page->sets[i]].name);
}

static int take_row(struct loss *it, const struct final_row *row, uint16_t host,
                    struct error *err) {
  uint16_t set = set_of_host(it, host);
  /* Half of a host's rows prove nothing about the other half. */
  if (!bits_has(&it->info->final_hosts, host) || set == SET_NONE) return 0;
  if (it->row_host >= 0 && it->row_host != host) rows_next_host(&it->rows);
  it->row_host = host;
  struct row_place place;
  int status = rows_insert(&it->rows, row->identity, row->sequence, &place, err);
  if (status < 0) return status;
  struct row_page *page = place.page;
  uint32_t i = place.index;
  uint64_t bit = UINT64_C(1) << (i % 64);
  if (row->corrupt) {
    page->flags[i] |= ROW_CORRUPT;
    status = note_damaged(it, row, host, err);
    if (status < 0) return status;
  }
  if (page->here[i / 64] & bit) return note_duplicate(it, row, host, err);
  page->here[i / 64] |= bit;
  if (page->hosts[i] == 0)
    page->values[i] = rows_fold(row->value);
  else if (page->values[i] != rows_fold(row->value))
    page->flags[i] |= ROW_DIFFERS;
  if (page->hosts[i] == 0 && it->rows.with_sets) page->sets[i] = set;
  if (set_of_row(it, page, i) != set) return note_elsewhere(it, row, host, page, i, err);
  page->hosts[i]++;
  if (host == it->sets[set].primary) page->flags[i] |= ROW_ON_PRIMARY;
  return 0;
}

static int note_diverged(struct loss *it, const struct row_page *page, uint32_t i,
                         struct error *err) {
  struct truth_set *set = &it->sets[set_of_row(it, page, i)];
  set->diverged++;
  it->diverged++;
  if (!notes_want(&it->notes, "diverged")) return 0;
  uint64_t sequence = page->first + i;
  const char *primary = host_name_of(it->info, set->primary);
  if (page->hosts[i] == set->host_count)
    return notes_add(&it->notes, "diverged", it->info->end_ns, err,
                     "row (identity %" PRIu32 ", sequence %" PRIu64 ") differs between hosts",
                     page->identity, sequence);
  return notes_add(&it->notes, "diverged", it->info->end_ns, err,
                   "row (identity %" PRIu32 ", sequence %" PRIu64
                   ") is on %u of %u hosts, and %s on the primary (%s)",
                   page->identity, sequence, page->hosts[i], set->host_count,
                   page->flags[i] & ROW_ON_PRIMARY ? "is" : "is not", primary);
}

static void settle_set(const struct loss *it, struct truth_set *set) {
  if (set->primary != HOST_NONE && bits_has(&it->info->final_hosts, set->primary))
    set->truth = TRUTH_PRIMARY;
  else
    set->truth = set->host_count > 0 && set->diverged == 0 ? TRUTH_AGREED : TRUTH_NONE;
}

/* All rows are there: do the hosts agree, and whose word counts? */
static int settle(struct loss *it, struct error *err) {
  if (it->settled) return 0;
  it->settled = true;
  for (uint32_t p = 0; p < it->rows.page_count; p++) {
    const struct row_page *page = it->rows.pages[p];
    for (uint32_t i = 0; i < ROWS_PER_PAGE; i++) {
      if (page->hosts[i] == 0) continue;
      uint32_t hosts = it->sets[set_of_row(it, page, i)].host_count;
      if (page->hosts[i] == hosts && !(page->flags[i] & ROW_DIFFERS)) continue;
      int status = note_diverged(it, page, i, err);
      if (status < 0) return status;
    }
  }
  for (uint32_t i = 0; i < it->set_count; i++) settle_set(it, &it->sets[i]);
  return 0;
}

/* --- writes ---------------------------------------------------------------------------------- */

static void describe(const struct loss *it, const struct operation *operation, char text[256]) {
  char timeline[32] = "";
  if (operation->timeline)
    snprintf(timeline, sizeof timeline, " (timeline %" PRIu32 ")", operation->timeline);
  snprintf(text, 256, "%.60s%s at %.6f s (sent %.6f s, client %u, route %s)",
           host_name_of(it->info, operation->host), timeline, seconds_of(operation->done_ns),
           seconds_of(operation->sent_ns), operation->client, route_name(operation->route));
}

static int take_lost(struct loss *it, struct truth_set *set, const struct operation *operation,
                     const struct row_place *place, struct error *err) {
  uint32_t hosts = place->page ? place->page->hosts[place->index] : 0;
  if (set->lost_count++ == 0) {
    bool first = set->lost.survivor_ns == TIME_NEVER;
    uint64_t begin_ns = first ? operation->scheduled_ns : set->lost.survivor_ns;
    if (it->lost_count == 0 || begin_ns < it->window_begin_ns) it->window_begin_ns = begin_ns;
  }
  it->lost_count++;
  it->window_end_ns = operation->done_ns;
  if (operation->route < ROUTE_COUNT) it->lost_by[operation->route]++;
  if (hosts == 0) it->lost_everywhere++;
  lost_write(&set->lost, operation);
  if (!notes_want(&it->notes, "lost")) return 0;
  char by[256], where[192], of[SET_LABEL_SIZE];
  describe(it, operation, by);
  set_label(it->info, (uint16_t)(set - it->sets), of);
  snprintf(where, sizeof where, "is on none of the %u hosts%s read", set->host_count, of);
  if (hosts > 0 && place->page->flags[place->index] & ROW_ELSEWHERE)
    snprintf(where, sizeof where, "is only on hosts of another shard than its own (%s)",
             of[0] ? of + strlen(" of ") : "-");
  else if (hosts > 0)
    snprintf(where, sizeof where, "is not on the primary %.60s, but on %u other hosts",
             host_name_of(it->info, set->primary), hosts);
  return notes_add(&it->notes, "lost", operation->done_ns, err,
                   "row (identity %" PRIu32 ", sequence %" PRIu64 "), acknowledged by %s, %s",
                   operation->identity, operation->sequence, by, where);
}

static int take_refused(struct loss *it, const struct operation *operation,
                        const struct row_place *place, struct error *err) {
  char code[6];
  code_unpack(operation->code, code);
  place->page->flags[place->index] |= ROW_REFUSED;
  it->refused_present++;
  if (!notes_want(&it->notes, "phantom")) return 0;
  return notes_add(&it->notes, "phantom", operation->done_ns, err,
                   "row (identity %" PRIu32 ", sequence %" PRIu64
                   ") is on %u hosts, though the write was reported as %s (%s) at %.6f s",
                   operation->identity, operation->sequence, place->page->hosts[place->index],
                   outcome_name(operation->outcome), code, seconds_of(operation->done_ns));
}

static int compare_value(struct loss *it, const struct operation *operation,
                         const struct row_place *place, struct error *err) {
  struct row_page *page = place->page;
  if (page->flags[place->index] & ROW_WRITTEN) it->twice_written++;
  page->flags[place->index] |= ROW_WRITTEN;
  if (page->values[place->index] == rows_fold(operation->value)) return 0;
  page->flags[place->index] |= ROW_CORRUPT;
  if (!notes_want(&it->notes, "corrupt")) return 0;
  return notes_add(&it->notes, "corrupt", operation->done_ns, err,
                   "row (identity %" PRIu32 ", sequence %" PRIu64
                   ") does not hold what was written at %.6f s: checksum %08" PRIx32
                   ", written %08" PRIx32,
                   operation->identity, operation->sequence, seconds_of(operation->done_ns),
                   page->values[place->index], rows_fold(operation->value));
}

/* The set whose final state tells of this write: that of its key, else the one that has its row. */
static uint16_t set_of_write(const struct loss *it, const struct operation *operation,
                             const struct row_place *place) {
  uint16_t set = operation_set(it->info, operation);
  if (set == SET_NONE && place->page) set = set_of_row(it, place->page, place->index);
  return set;
}

static bool survived(const struct truth_set *set, const struct row_place *place) {
  if (!place->page || place->page->hosts[place->index] == 0) return false;
  return set->truth != TRUTH_PRIMARY || place->page->flags[place->index] & ROW_ON_PRIMARY;
}

/* A row that only another shard holds than the one that owns its key. */
static int check_place(struct loss *it, uint16_t set, const struct operation *operation,
                       const struct row_place *place, bool *ret_elsewhere, struct error *err) {
  struct row_page *page = place->page;
  *ret_elsewhere = page && set_of_row(it, page, place->index) != set;
  if (!*ret_elsewhere || page->flags[place->index] & ROW_ELSEWHERE) return 0;
  page->flags[place->index] |= ROW_ELSEWHERE;
  it->misplaced++;
  if (!notes_want(&it->notes, "misplaced")) return 0;
  return notes_add(&it->notes, "misplaced", operation->done_ns, err,
                   "row (identity %" PRIu32 ", sequence %" PRIu64
                   ") was written to %.60s, and is on hosts of %.60s only",
                   operation->identity, operation->sequence, it->info->sets[set].name,
                   it->info->sets[page->sets[place->index]].name);
}

static int take_acknowledged(struct loss *it, struct truth_set *set, bool there,
                             const struct operation *operation, const struct row_place *place,
                             struct error *err) {
  it->acknowledged++;
  set->acknowledged++;
  if (operation->route < ROUTE_COUNT) it->acknowledged_by[operation->route]++;
  int status = place->page ? compare_value(it, operation, place, err) : 0;
  if (status < 0 || set->truth == TRUTH_NONE) return status;
  if (!there) return take_lost(it, set, operation, place, err);
  lost_survivor(&set->lost, operation);
  return 0;
}

/* Of a workload that does not read its rows back nothing can be missed. */
static bool is_read_back(const struct loss *it, const struct operation *operation) {
  const struct record_info *info = it->info;
  return operation->workload >= info->workload_count ||
         info->workloads[operation->workload].reads_back;
}

static int take_operation(struct loss *it, const struct operation *operation, struct error *err) {
  if (!appends_row(operation) || !is_read_back(it, operation)) return 0;
  struct row_place place = rows_find(&it->rows, operation->identity, operation->sequence);
  uint16_t index = set_of_write(it, operation, &place);
  bool elsewhere = false;
  if (index == SET_NONE) { /* sent to nobody knows whom, and nowhere now */
    if (operation->outcome == OUTCOME_UNKNOWN) it->unknown_vanished++;
    if (operation->outcome == OUTCOME_OK) it->unplaced++;
    return 0;
  }
  struct truth_set *set = &it->sets[index];
  int status = check_place(it, index, operation, &place, &elsewhere, err);
  if (status < 0) return status;
  bool there = !elsewhere && survived(set, &place);
  switch (operation->outcome) {
    case OUTCOME_OK: status = take_acknowledged(it, set, there, operation, &place, err); break;
    case OUTCOME_UNKNOWN:
      if (place.page) status = compare_value(it, operation, &place, err);
      if (there)
        it->unknown_survived++;
      else
        it->unknown_vanished++;
      break;
    case OUTCOME_FAIL:
    case OUTCOME_SKIPPED:
      if (place.page) status = take_refused(it, operation, &place, err);
      break;
    case OUTCOME_COUNT: break;
  }
  return status;
}

/* --- events ---------------------------------------------------------------------------------- */

static void take_event(struct loss *it, const struct event *event) {
  set_watch_event(&it->watch, event);
  if (event->kind == EVENT_PROMOTED) {
    bool told = event->number > 0 && event->number <= UINT32_MAX;
    uint16_t set = set_watch_of(&it->watch, event);
    if (set != SET_NONE)
      lost_promoted(&it->sets[set].lost, event->time_ns, event->host,
                    told ? (uint32_t)event->number : 0);
  }
  if (event->kind == EVENT_RUN) it->converging = strcmp(event->text, "converge") == 0;
  /* All that the engine has to warn of while hosts converge is that they did not. */
  if (event->kind == EVENT_WARNING && it->converging) it->not_converged = true;
  if (event->kind != EVENT_FINAL_READ || event->host >= it->info->host_count) return;
  it->read_any = true;
  for (uint32_t i = 0; i < it->set_count; i++)
    if (bits_has(&it->sets[i].hosts, event->host)) it->sets[i].read_any = true;
  if (bits_has(&it->info->final_hosts, event->host)) return;
  bits_add(&it->unread, event->host);
  snprintf(it->unread_why, sizeof it->unread_why, "the final rows of %.60s are missing: %.160s",
           host_name_of(it->info, event->host),
           event->text[0] ? event->text : "fewer are in the record than were read");
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct loss *it = state;
  if (item->row) return take_row(it, item->row, item->row_host, err);
  int status = settle(it, err);
  if (status == 0 && item->operation) status = take_operation(it, item->operation, err);
  if (status == 0 && item->event) take_event(it, item->event);
  return status;
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct loss *it = state;
  int status = settle(it, err); /* a record of rows alone */
  return status == 0 ? loss_conclude(it, finding, err) : status;
}

static void release(void *state) {
  struct loss *it = state;
  rows_release(&it->rows);
  for (uint32_t i = 0; i < it->set_count; i++) lost_release(&it->sets[i].lost);
  free(it->sets);
  notes_release(&it->notes);
}

static const char *const measures[] = {
    "data_loss",         "recovery_point",   "lost_everywhere",
    "lost_after_fault",  "loss_window",      "data_loss.primary",
    "data_loss.pinned",  "loss_ratio",       "loss_ratio.primary",
    "loss_ratio.pinned", "phantom",          "duplicate",
    "corrupt",           "unknown_survived", "unknown_vanished",
    "diverged",          "misplaced",        NULL};

const struct checker checker_loss = {
    .plugin = {.name = "loss",
               .summary = "What became of every write: lost, phantom, duplicate, corrupt, diverged",
               .state_size = sizeof(struct loss)},
    .wants = WANTS_ROWS_FIRST | WANTS_OPERATIONS | WANTS_EVENTS,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
