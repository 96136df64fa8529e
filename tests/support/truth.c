/* The comparison. */
#include "support/truth_internal.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"

enum client_kind { CLIENT_OTHER, CLIENT_ROUTE, CLIENT_PINNED };

/* --- what the comparison says ---------------------------------------------------------------- */

void truth_expect(struct truth *truth, bool holds, const char *format, ...) {
  truth->check->compared++;
  if (holds) return;
  if (truth->check->wrong++ > 0) return;
  va_list args;
  va_start(args, format);
  vsnprintf(truth->check->text, sizeof truth->check->text, format, args);
  va_end(args);
}

static double seconds(uint64_t ns) {
  return (double)ns / (double)NS_PER_S;
}

static void expect_time(struct truth *truth, const char *name, int32_t fault, uint64_t from_ns,
                        uint64_t at_ns) {
  const struct measure *measure = simulated_measure(truth->run, name, fault);
  double real = seconds(at_ns - from_ns);
  truth_expect(truth, measure && measure->known && fabs(measure->value - real) < TRUTH_TICK_S,
               "fault %d: %s is %.9f s (%s), in truth %.9f s", (int)fault, name,
               measure ? measure->value : NAN, measure && !measure->known ? measure->why : "known",
               real);
}

/* --- who is who ------------------------------------------------------------------------------ */

static int take_operation(void *data, const struct record_item *item, struct error *err) {
  struct truth *truth = data;
  (void)err;
  if (item->operation) {
    const struct operation *o = item->operation;
    if (o->client >= TRUTH_CLIENTS_MAX || o->kind != OPERATION_WRITE) return 0;
    truth->client_kinds[o->client] = o->route == ROUTE_PRIMARY ? CLIENT_ROUTE : CLIENT_PINNED;
  } else if (item->event && item->event->kind == EVENT_IDENTITY) {
    uint32_t identity = (uint32_t)item->event->number;
    if (identity <= truth->run->record.info.identity_count)
      truth->clients[identity] = (uint32_t)item->event->number2;
  }
  return 0;
}

static enum client_kind kind_of(const struct truth *truth, uint32_t identity) {
  if (identity > truth->run->record.info.identity_count) return CLIENT_OTHER;
  uint32_t client = truth->clients[identity];
  /* Every client begins under the identity that follows its number. */
  if (client == UINT32_MAX) client = identity - 1;
  return client < TRUTH_CLIENTS_MAX ? (enum client_kind)truth->client_kinds[client] : CLIENT_OTHER;
}

static int compare_rows(const void *left, const void *right) {
  const struct sim_truth_row *a = left, *b = right;
  if (a->identity != b->identity) return a->identity < b->identity ? -1 : 1;
  return a->sequence < b->sequence ? -1 : a->sequence > b->sequence;
}

static int load(struct truth *truth, struct error *err) {
  char path[PATH_MAX];
  int status =
      path_format(path, sizeof path, err, "%s/%s", truth->run->record.directory, SIM_TRUTH_FILE);
  if (status == 0) status = file_read(path, SIZE_MAX / 2, &truth->bytes, err);
  if (status < 0) return status;
  truth->head = (const struct sim_truth_head *)(const void *)truth->bytes.data;
  if (truth->bytes.length < sizeof *truth->head ||
      memcmp(truth->head->magic, SIM_TRUTH_MAGIC, 8) != 0)
    return error_set(err, STATUS_INTERNAL, "%s is not the truth", path);
  const char *at = truth->bytes.data + sizeof *truth->head;
  truth->acks = (const struct sim_truth_ack *)(const void *)at;
  at += truth->head->ack_count * sizeof *truth->acks;
  truth->events = (const struct sim_truth_event *)(const void *)at;
  at += truth->head->event_count * sizeof *truth->events;
  truth->rows = (const struct sim_truth_row *)(const void *)at;
  size_t rows = truth->head->row_count * sizeof *truth->rows;
  truth->keys = (const struct sim_truth_key *)(const void *)(at + rows);
  uint32_t identities = truth->run->record.info.identity_count + 1;
  truth->sorted_rows = malloc(rows + 1);
  truth->clients = malloc(identities * sizeof *truth->clients);
  if (!truth->sorted_rows || !truth->clients)
    return error_set(err, STATUS_MEMORY, "out of memory for the truth");
  memcpy(truth->sorted_rows, truth->rows, rows);
  qsort(truth->sorted_rows, truth->head->row_count, sizeof *truth->rows, compare_rows);
  memset(truth->clients, 0xff, identities * sizeof *truth->clients);
  return record_visit_all(&truth->run->record, WANTS_OPERATIONS | WANTS_EVENTS, take_operation,
                          truth, err);
}

/* --- sets of hosts with a primary of their own ----------------------------------------------- */

static const struct host_set *set_of(const struct truth *truth, const struct fault_info *fault) {
  const struct record_info *info = &truth->run->record.info;
  return fault->set < info->set_count ? &info->sets[fault->set] : &info->sets[0];
}

static bool is_ack_of(const struct host_set *set, const struct sim_truth_ack *ack) {
  return set->shard == 0 || set->shard == ack->shard;
}

static bool is_event_of(const struct host_set *set, const struct sim_truth_event *event) {
  if (set->shard == 0) return true;
  return event->kind == SIM_TRUTH_LEADER
             ? event->number == set->shard
             : event->host < HOSTS_MAX && bits_has(&set->hosts, event->host);
}

/* --- faults ---------------------------------------------------------------------------------- */

/* The acknowledgements on the route between which writes were down because of the fault: the first
 * gap that ends after it. False: there was none. */
static bool find_gap(const struct truth *truth, const struct fault_info *fault,
                     const struct sim_truth_ack **ret_back, uint64_t *ret_since_ns,
                     bool *ret_under_way) {
  uint64_t least_ns = truth->run->record.info.outage_min_ns;
  uint64_t last_ns = 0;
  for (uint64_t i = 0; i < truth->head->ack_count; i++) {
    const struct sim_truth_ack *ack = &truth->acks[i];
    if (kind_of(truth, ack->identity) != CLIENT_ROUTE) continue;
    if (!is_ack_of(set_of(truth, fault), ack)) continue;
    uint64_t since_ns = last_ns > fault->confirmed_ns ? last_ns : fault->confirmed_ns;
    if (ack->time_ns > fault->confirmed_ns && last_ns > 0 && ack->time_ns - last_ns >= least_ns &&
        ack->time_ns >= since_ns) {
      *ret_back = ack;
      *ret_since_ns = since_ns;
      *ret_under_way = fault->confirmed_ns - last_ns > least_ns && last_ns < fault->confirmed_ns;
      return true;
    }
    last_ns = ack->time_ns;
  }
  return false;
}

struct demand {
  uint64_t from_ns, to_ns;
  bool any;
};

static int take_demand(void *data, const struct record_item *item, struct error *err) {
  struct demand *demand = data;
  const struct operation *o = item->operation;
  (void)err;
  if (o->kind == OPERATION_WRITE && o->route == ROUTE_PRIMARY &&
      o->scheduled_ns >= demand->from_ns && o->scheduled_ns <= demand->to_ns)
    demand->any = true;
  return 0;
}

/* Whether anybody wanted to write from then on, and had to wait for as long as counts. Writes are a
 * share of the operations that is drawn, so that now and then nobody wants to for a while. */
static bool is_wanted(const struct truth *truth, uint64_t since_ns, uint64_t back_ns) {
  uint64_t least_ns = truth->run->record.info.outage_min_ns;
  struct demand demand = {.from_ns = since_ns, .to_ns = back_ns - least_ns};
  struct error err = ERROR_INIT;
  return since_ns + least_ns <= back_ns &&
         (record_visit_all(&truth->run->record, WANTS_OPERATIONS, take_demand, &demand, &err) < 0 ||
          demand.any);
}

/* When that host last began to take writes before `before_ns`. */
static uint64_t accepting_since(const struct truth *truth, uint16_t host, uint64_t before_ns) {
  uint64_t since_ns = 0;
  for (uint64_t i = 0; i < truth->head->event_count; i++) {
    const struct sim_truth_event *event = &truth->events[i];
    if (event->time_ns > before_ns) break;
    if (event->kind == SIM_TRUTH_ACCEPTING && event->host == host && event->number)
      since_ns = event->time_ns;
  }
  return since_ns;
}

/* A fault is confirmed when it took effect, and not later: nothing else is to be waited for here.
 */
static void compare_effect(struct truth *truth, int32_t index) {
  const struct fault_info *fault = &truth->run->record.info.faults[index];
  if (fault->planned) return;
  /* The kernel kills when it must, and is looked for every millisecond. */
  uint64_t late_ns = strcmp(fault->injector, "memory-fill") == 0 ? NS_PER_MS : 0;
  bool found = false;
  for (uint64_t i = 0; i < truth->head->event_count && !found; i++) {
    const struct sim_truth_event *event = &truth->events[i];
    uint64_t later_ns = fault->confirmed_ns - event->time_ns;
    found = event->kind <= SIM_TRUTH_FROZEN && event->host == fault->host &&
            event->time_ns <= fault->confirmed_ns && later_ns <= late_ns;
  }
  truth_expect(truth, found, "fault %d: confirmed at %.9f s, when nothing happened", (int)index,
               seconds(fault->confirmed_ns));
}

/* Whether any acknowledgement came `after_s` after `from_ns`, and not before `least_ns`. */
static bool acknowledged_at(const struct truth *truth, uint64_t from_ns, double after_s,
                            uint64_t least_ns) {
  for (uint64_t i = 0; i < truth->head->ack_count; i++) {
    uint64_t time_ns = truth->acks[i].time_ns;
    if (time_ns >= least_ns && fabs(seconds(time_ns - from_ns) - after_s) < TRUTH_TICK_S)
      return true;
  }
  return false;
}

/* A recovery begins with the first acknowledgement after which all clients are served. Those of
 * Redis find the new primary one by one, each by its own means (one that asks a Sentinel on the
 * wrong side does not find it), and which of them still failed the servers do not know: then it is
 * a later acknowledgement. */
static void expect_back(struct truth *truth, const char *name, int32_t index, uint64_t first_ns) {
  const struct record_info *info = &truth->run->record.info;
  const struct fault_info *fault = &info->faults[index];
  const struct measure *measure = simulated_measure(truth->run, name, index);
  double real = seconds(first_ns - fault->confirmed_ns);
  bool one_by_one = strcmp(info->services[0], "redis") == 0;
  if (!one_by_one || !measure || !measure->known || measure->value < real + TRUTH_TICK_S) {
    expect_time(truth, name, index, fault->confirmed_ns, first_ns);
    return;
  }
  truth_expect(truth, acknowledged_at(truth, fault->confirmed_ns, measure->value, first_ns),
               "fault %d: %s is %.9f s, in truth %.9f s", (int)index, name, measure->value, real);
}

static void compare_recovery(struct truth *truth, int32_t index) {
  const struct fault_info *fault = &truth->run->record.info.faults[index];
  const struct measure *measure = simulated_measure(truth->run, "failover_time", index);
  const struct sim_truth_ack *back = NULL;
  uint64_t since_ns = 0;
  bool under_way = false;
  bool gap = find_gap(truth, fault, &back, &since_ns, &under_way);
  if (!measure || !measure->known) {
    truth_expect(truth, measure && measure->not_applicable, "fault %d: no failover_time",
                 (int)index);
    return;
  }
  if (!(measure->value > 0)) {
    /* What looks like a gap may be one between two faults' effects, or one that is too short. */
    truth_expect(truth,
                 !gap || since_ns > fault->confirmed_ns + NS_PER_S ||
                     !is_wanted(truth, since_ns, back->time_ns),
                 "fault %d: failover_time is 0, in truth writes were down for %.3f s", (int)index,
                 gap ? seconds(back->time_ns - since_ns) : 0);
    return;
  }
  truth_expect(truth, gap, "fault %d: failover_time is %.9f s, in truth no write had to wait",
               (int)index, measure->value);
  if (!gap) return;
  if (under_way) {
    /* Writes were down before: those that waited since then are no writes after the fault, and when
     * each was scheduled the servers do not know. */
    const struct measure *clients = simulated_measure(truth->run, "client_recovery_time", index);
    truth_expect(truth,
                 acknowledged_at(truth, fault->confirmed_ns, measure->value, fault->confirmed_ns),
                 "fault %d: failover_time is %.9f s, and no acknowledgement came then", (int)index,
                 measure->value);
    truth_expect(truth,
                 clients && clients->known &&
                     acknowledged_at(truth, fault->confirmed_ns, clients->value, back->time_ns),
                 "fault %d: no acknowledgement came at client_recovery_time", (int)index);
    return;
  }
  uint64_t up_ns = accepting_since(truth, back->host, back->time_ns);
  uint64_t first_ns = back->time_ns;
  for (uint64_t i = 0; i < truth->head->ack_count; i++) {
    const struct sim_truth_ack *ack = &truth->acks[i];
    if (ack->time_ns > first_ns) break;
    bool counts =
        kind_of(truth, ack->identity) != CLIENT_OTHER && is_ack_of(set_of(truth, fault), ack);
    if (counts && ack->host == back->host && ack->time_ns >= up_ns && ack->time_ns > since_ns)
      first_ns = ack->time_ns;
  }
  expect_back(truth, "failover_time", index, first_ns);
  expect_back(truth, "client_recovery_time", index, back->time_ns);
}

static void compare_promotion(struct truth *truth, int32_t index) {
  const struct fault_info *fault = &truth->run->record.info.faults[index];
  const struct measure *measure = simulated_measure(truth->run, "promotion_time", index);
  if (!measure || !measure->known) return;
  for (uint64_t i = 0; i < truth->head->event_count; i++) {
    const struct sim_truth_event *event = &truth->events[i];
    if (event->kind != SIM_TRUTH_ACCEPTING || !event->number) continue;
    if (event->time_ns < fault->confirmed_ns || !is_event_of(set_of(truth, fault), event)) continue;
    expect_time(truth, "promotion_time", index, fault->confirmed_ns, event->time_ns);
    return;
  }
  truth_expect(truth, false, "fault %d: promotion_time is %.9f s, in truth nobody was promoted",
               (int)index, measure->value);
}

static void compare_detection(struct truth *truth, int32_t index) {
  const struct fault_info *fault = &truth->run->record.info.faults[index];
  const struct measure *measure = simulated_measure(truth->run, "detection_time", index);
  if (!measure || !measure->known) return;
  uint16_t leader = HOST_NONE;
  for (uint64_t i = 0; i < truth->head->event_count; i++) {
    const struct sim_truth_event *event = &truth->events[i];
    if (event->kind != SIM_TRUTH_LEADER || !is_event_of(set_of(truth, fault), event)) continue;
    bool lost = leader != HOST_NONE && event->host != leader;
    leader = event->host;
    if (!lost || event->time_ns < fault->confirmed_ns) continue;
    expect_time(truth, "detection_time", index, fault->confirmed_ns, event->time_ns);
    return;
  }
  truth_expect(truth, false, "fault %d: detection_time is %.9f s, in truth the key was never lost",
               (int)index, measure->value);
}

/* --- data ------------------------------------------------------------------------------------ */

static void expect_count(struct truth *truth, const char *name, uint64_t real) {
  const struct measure *measure = simulated_measure(truth->run, name, FAULT_NONE);
  truth_expect(truth, measure && measure->known && measure->value == (double)real,
               "%s is %g (%s), in truth %" PRIu64, name, measure ? measure->value : NAN,
               measure && !measure->known ? measure->why : "known", real);
}

static int compare_data(struct truth *truth, struct error *err) {
  const struct measure *loss = simulated_measure(truth->run, "data_loss", FAULT_NONE);
  if (truth->head->primary == HOST_NONE || (loss && loss->not_applicable)) return 0;
  uint64_t rows = truth->head->row_count, lost = 0;
  char *acknowledged = calloc(rows + 1, 1);
  if (!acknowledged) return error_set(err, STATUS_MEMORY, "out of memory for the truth");
  for (uint64_t i = 0; i < truth->head->ack_count; i++) {
    const struct sim_truth_ack *ack = &truth->acks[i];
    struct sim_truth_row key = {.identity = ack->identity, .sequence = ack->sequence};
    const struct sim_truth_row *row =
        bsearch(&key, truth->sorted_rows, rows, sizeof key, compare_rows);
    if (row)
      acknowledged[row - truth->sorted_rows] = 1;
    else
      lost++;
  }
  uint64_t unknown = 0;
  for (uint64_t i = 0; i < rows; i++) unknown += !acknowledged[i];
  free(acknowledged);
  expect_count(truth, "data_loss", lost);
  expect_count(truth, "unknown_survived", unknown);
  expect_count(truth, "phantom", 0);
  expect_count(truth, "duplicate", 0);
  expect_count(truth, "corrupt", 0);
  const struct measure *diverged = simulated_measure(truth->run, "diverged", FAULT_NONE);
  if (!diverged || !diverged->not_applicable) expect_count(truth, "diverged", 0);
  return 0;
}

/* How long two hosts of a set took writes at the same time. */
static uint64_t both_ns_of(const struct truth *truth, const struct host_set *set) {
  uint64_t both_ns = 0, since_ns = 0;
  struct bits accepting = {{0}}; /* hosts */
  for (uint64_t i = 0; i < truth->head->event_count; i++) {
    const struct sim_truth_event *event = &truth->events[i];
    if (event->kind != SIM_TRUTH_ACCEPTING || !is_event_of(set, event)) continue;
    if (bits_count(&accepting) > 1) both_ns += event->time_ns - since_ns;
    since_ns = event->time_ns;
    if (event->number)
      bits_add(&accepting, event->host);
    else
      bits_remove(&accepting, event->host);
  }
  if (bits_count(&accepting) > 1) both_ns += truth->run->record.info.end_ns - since_ns;
  return both_ns;
}

static void compare_primaries(struct truth *truth) {
  const struct measure *measure = simulated_measure(truth->run, "dual_primary", FAULT_NONE);
  const struct record_info *info = &truth->run->record.info;
  if (!measure || !measure->known) return;
  uint64_t both_ns = 0;
  for (uint32_t i = 0; i < info->set_count; i++) both_ns += both_ns_of(truth, &info->sets[i]);
  truth_expect(truth, measure->value <= seconds(both_ns) + TRUTH_TICK_S,
               "dual_primary is %.9f s, in truth two took writes for %.9f s", measure->value,
               seconds(both_ns));
}

int truth_compare(const struct simulated *run, struct truth_check *ret, struct error *err) {
  struct truth truth = {.run = run, .check = ret};
  *ret = (struct truth_check){.text = ""};
  buf_init(&truth.bytes);
  int status = load(&truth, err);
  for (uint32_t i = 0; status == 0 && i < run->record.info.fault_count; i++) {
    compare_effect(&truth, (int32_t)i);
    compare_recovery(&truth, (int32_t)i);
    compare_promotion(&truth, (int32_t)i);
    compare_detection(&truth, (int32_t)i);
  }
  if (status == 0) {
    compare_primaries(&truth);
    status = compare_data(&truth, err);
    if (status == 0) status = truth_compare_keys(&truth, truth.keys, truth.head->key_count, err);
  }
  buf_release(&truth.bytes);
  free(truth.sorted_rows);
  free(truth.clients);
  return status;
}
