/* What the checker `loss` says of what it counted: its measures, witnesses and verdict. */
#include <inttypes.h>
#include <stdio.h>

#include "checkers.h"
#include "loss.h"
#include "measures.h"

static bool is_unread(const struct loss *it, const struct truth_set *set) {
  struct bits unread = bits_both(&it->unread, &set->hosts);
  return bits_any(&unread);
}

/* Whether the final state of this set is not known, though something depends on it. */
static bool is_untold(const struct loss *it, const struct truth_set *set) {
  bool asked = it->set_count == 1 || set->acknowledged > 0 || set->read_any;
  return asked && (set->truth == TRUTH_NONE || (set->truth == TRUTH_AGREED && is_unread(it, set)));
}

/* Why the final state is not known; NULL: it is. */
static const char *why_untold(const struct loss *it) {
  if (it->host_count == 0)
    return bits_any(&it->unread) ? it->unread_why : "the final rows of no host were read";
  for (uint32_t i = 0; i < it->set_count; i++)
    if (is_untold(it, &it->sets[i]))
      return bits_any(&it->unread) ? it->unread_why
                                   : "no single host was primary at the end, and the hosts differ";
  return NULL;
}

static int give_count(const struct loss *it, struct finding *finding, const char *name,
                      enum unit unit, double value, int32_t fault, struct error *err) {
  const char *why = why_untold(it);
  if (why && it->acknowledged == 0 && !it->read_any)
    return measure_none(finding, name, unit, fault, "no row was written or read", err);
  if (why) return measure_unknown(finding, name, unit, fault, why, err);
  if (!it->info->complete)
    return measure_floor(finding, name, unit, value, fault,
                         "operations are missing in the record: the run was cut short or some did "
                         "not fit into it",
                         err);
  return measure_known(finding, name, unit, value, fault, err);
}

/* What one fault took from all sets together. */
static struct lost_charge charge_of(const struct loss *it, int32_t fault) {
  struct lost_charge sum = {.before = 0};
  for (uint32_t i = 0; i < it->set_count; i++) {
    struct lost_charge charge = lost_charge_of(&it->sets[i].lost, fault);
    if (charge.before > 0 && (sum.before == 0 || charge.prefix_ns < sum.prefix_ns))
      sum.prefix_ns = charge.prefix_ns;
    sum.before += charge.before;
    sum.after += charge.after;
  }
  return sum;
}

/* Of all faults together. What was lost after one that nobody saw in effect is charged to none. */
static int give_after(const struct loss *it, struct finding *finding, uint64_t after,
                      bool unconfirmed, struct error *err) {
  const char *name = "lost_after_fault";
  if (unconfirmed && it->lost_count > 0 && !why_untold(it))
    return measure_floor(finding, name, UNIT_COUNT, (double)after, FAULT_NONE,
                         "a fault was not confirmed in effect, and writes were lost", err);
  return give_count(it, finding, name, UNIT_COUNT, (double)after, FAULT_NONE, err);
}

static int give_losses(const struct loss *it, struct finding *finding, struct error *err) {
  uint64_t after = 0;
  bool all_confirmed = true;
  int status = 0;
  for (uint32_t f = 0; f < it->info->fault_count && status == 0; f++) {
    uint64_t confirmed_ns = it->info->faults[f].confirmed_ns;
    const char *unconfirmed = "the fault was not confirmed in effect";
    struct lost_charge charge = charge_of(it, (int32_t)f);
    after += charge.after;
    double reach = charge.before ? seconds_of(difference_ns(confirmed_ns, charge.prefix_ns)) : 0;
    if (confirmed_ns == TIME_NEVER) {
      all_confirmed = false;
      status =
          measure_unknown(finding, "recovery_point", UNIT_DURATION, (int32_t)f, unconfirmed, err);
      continue;
    }
    status = give_count(it, finding, "recovery_point", UNIT_DURATION, reach, (int32_t)f, err);
    if (status == 0)
      status = give_count(it, finding, "lost_after_fault", UNIT_COUNT, (double)charge.after,
                          (int32_t)f, err);
  }
  if (status == 0 && it->info->fault_count == 0)
    status = it->lost_count > 0
                 ? measure_none(finding, "recovery_point", UNIT_DURATION, FAULT_NONE,
                                "writes were lost without a fault to count from", err)
                 : give_count(it, finding, "recovery_point", UNIT_DURATION, 0, FAULT_NONE, err);
  double window = seconds_of(difference_ns(it->window_end_ns, it->window_begin_ns));
  if (status == 0)
    status =
        give_count(it, finding, "data_loss", UNIT_COUNT, (double)it->lost_count, FAULT_NONE, err);
  if (status == 0 && bits_any(&it->unread))
    status =
        measure_unknown(finding, "lost_everywhere", UNIT_COUNT, FAULT_NONE, it->unread_why, err);
  else if (status == 0)
    status = give_count(it, finding, "lost_everywhere", UNIT_COUNT, (double)it->lost_everywhere,
                        FAULT_NONE, err);
  if (status == 0) status = give_after(it, finding, after, !all_confirmed, err);
  if (status == 0)
    status = give_count(it, finding, "loss_window", UNIT_DURATION, window, FAULT_NONE, err);
  return status;
}

/* Clients that follow the primary feel another loss than those that are bound to an old one. */
static int give_route(const struct loss *it, struct finding *finding, enum route route,
                      struct error *err) {
  char name[48], why[96];
  uint64_t acknowledged = it->acknowledged_by[route], lost = it->lost_by[route];
  snprintf(why, sizeof why, "no write of the route %s was acknowledged", route_name(route));
  snprintf(name, sizeof name, "data_loss.%s", route_name(route));
  int status = acknowledged
                   ? give_count(it, finding, name, UNIT_COUNT, (double)lost, FAULT_NONE, err)
                   : measure_none(finding, name, UNIT_COUNT, FAULT_NONE, why, err);
  if (status < 0) return status;
  snprintf(name, sizeof name, "loss_ratio.%s", route_name(route));
  if (!acknowledged) return measure_none(finding, name, UNIT_RATIO, FAULT_NONE, why, err);
  return give_count(it, finding, name, UNIT_RATIO, (double)lost / (double)acknowledged, FAULT_NONE,
                    err);
}

static int give_shares(const struct loss *it, struct finding *finding, struct error *err) {
  double ratio = it->acknowledged ? (double)it->lost_count / (double)it->acknowledged : 0;
  int status = give_count(it, finding, "loss_ratio", UNIT_RATIO, ratio, FAULT_NONE, err);
  if (status == 0) status = give_route(it, finding, ROUTE_PRIMARY, err);
  if (status == 0) status = give_route(it, finding, ROUTE_PINNED, err);
  return status;
}

/* Rows that no write of the record accounts for, and damaged ones; both show in the table only. */
static int look_through(struct loss *it, uint64_t *ret_nobody, uint64_t *ret_corrupt,
                        struct error *err) {
  uint64_t nobody = 0, corrupt = 0;
  for (uint32_t p = 0; p < it->rows.page_count; p++) {
    const struct row_page *page = it->rows.pages[p];
    for (uint32_t i = 0; i < ROWS_PER_PAGE; i++) {
      if (page->hosts[i] == 0) continue;
      if (page->flags[i] & (ROW_CORRUPT | ROW_DIFFERS)) corrupt++;
      if (page->flags[i] & (ROW_WRITTEN | ROW_REFUSED)) continue;
      nobody++;
      if (!it->info->complete || !notes_want(&it->notes, "phantom")) continue;
      int status = notes_add(&it->notes, "phantom", it->info->end_ns, err,
                             "row (identity %" PRIu32 ", sequence %" PRIu64
                             ") is on %u hosts, and no client ever wrote it",
                             page->identity, page->first + i, page->hosts[i]);
      if (status < 0) return status;
    }
  }
  *ret_nobody = nobody;
  *ret_corrupt = corrupt;
  return 0;
}

static int give_misplaced(const struct loss *it, struct finding *finding, struct error *err) {
  bool shards = false;
  for (uint32_t i = 0; i < it->info->service_count; i++)
    shards = shards || service_has_shards(it->info, (uint8_t)i);
  if (!shards)
    return measure_none(finding, "misplaced", UNIT_COUNT, FAULT_NONE, "the service has no shards",
                        err);
  return give_count(it, finding, "misplaced", UNIT_COUNT, (double)it->misplaced, FAULT_NONE, err);
}

static int give_rows(const struct loss *it, struct finding *finding, uint64_t nobody,
                     uint64_t corrupt, struct error *err) {
  double phantoms = (double)(it->refused_present + (it->info->complete ? nobody : 0));
  int status = give_count(it, finding, "phantom", UNIT_COUNT, phantoms, FAULT_NONE, err);
  if (status == 0)
    status =
        give_count(it, finding, "duplicate", UNIT_COUNT, (double)it->duplicates, FAULT_NONE, err);
  if (status == 0)
    status = give_count(it, finding, "corrupt", UNIT_COUNT, (double)corrupt, FAULT_NONE, err);
  if (status == 0)
    status = give_count(it, finding, "unknown_survived", UNIT_COUNT, (double)it->unknown_survived,
                        FAULT_NONE, err);
  if (status == 0)
    status = give_count(it, finding, "unknown_vanished", UNIT_COUNT, (double)it->unknown_vanished,
                        FAULT_NONE, err);
  if (status == 0) status = give_misplaced(it, finding, err);
  if (status < 0) return status;
  if (it->host_count < 2)
    return measure_none(finding, "diverged", UNIT_COUNT, FAULT_NONE,
                        "the final rows of fewer than two hosts were read", err);
  if (it->not_converged)
    return measure_unknown(finding, "diverged", UNIT_COUNT, FAULT_NONE,
                           "the hosts had not converged when their rows were read", err);
  return measure_known(finding, "diverged", UNIT_COUNT, (double)it->diverged, FAULT_NONE, err);
}

static int judge(const struct loss *it, struct finding *finding, uint64_t nobody, uint64_t corrupt,
                 struct error *err) {
  uint64_t phantoms = it->refused_present + (it->info->complete ? nobody : 0);
  const char *why = why_untold(it);
  int status = 0;
  if (phantoms > 0)
    status = finding_raise(finding, VERDICT_FAIL, err,
                           "%" PRIu64
                           " rows are there that nobody wrote, or whose write was "
                           "reported as failed",
                           phantoms);
  if (status == 0 && it->duplicates > 0)
    status = finding_raise(finding, VERDICT_FAIL, err, "%" PRIu64 " rows are there more than once",
                           it->duplicates);
  if (status == 0 && corrupt > 0)
    status = finding_raise(finding, VERDICT_FAIL, err,
                           "%" PRIu64 " rows do not hold what was written", corrupt);
  if (status == 0 && it->diverged > 0 && !it->not_converged)
    status = finding_raise(finding, VERDICT_FAIL, err,
                           "%" PRIu64 " rows differ between hosts after convergence", it->diverged);
  if (status == 0 && it->misplaced > 0)
    status = finding_raise(finding, VERDICT_FAIL, err,
                           "%" PRIu64 " rows are on another shard than the one that owns their key",
                           it->misplaced);
  if (status == 0 && it->not_converged)
    status = finding_raise(finding, VERDICT_UNKNOWN, err,
                           "the hosts had not converged when their rows were read");
  if (status == 0 && bits_any(&it->unread))
    status = finding_raise(finding, VERDICT_UNKNOWN, err, "%s", it->unread_why);
  if (status == 0 && why && (it->acknowledged > 0 || it->read_any))
    status = finding_raise(finding, VERDICT_UNKNOWN, err, "%s", why);
  if (status == 0 && it->unplaced > 0)
    status = finding_raise(finding, VERDICT_UNKNOWN, err,
                           "%" PRIu64
                           " acknowledged writes are nowhere, and it is not known which "
                           "hosts should have them",
                           it->unplaced);
  if (status == 0 && it->twice_written > 0)
    status = finding_raise(finding, VERDICT_UNKNOWN, err,
                           "the record has %" PRIu64 " writes under a number that was used before",
                           it->twice_written);
  return status;
}

int loss_conclude(struct loss *it, struct finding *finding, struct error *err) {
  uint64_t nobody = 0, corrupt = 0;
  int status = look_through(it, &nobody, &corrupt, err);
  if (status == 0) status = give_losses(it, finding, err);
  if (status == 0) status = give_shares(it, finding, err);
  if (status == 0) status = give_rows(it, finding, nobody, corrupt, err);
  if (status == 0) status = judge(it, finding, nobody, corrupt, err);
  /* A write is not called lost where it is not known what survived. */
  const char *untold = why_untold(it) ? "lost" : NULL;
  if (status == 0) status = notes_give(&it->notes, untold, finding, err);
  return status;
}
