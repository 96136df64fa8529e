/* Whether each fault was seen in effect, and seen to be gone again: a fault that was only asked for
 * proves nothing about a cluster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkers.h"
#include "faults.h"
#include "measures.h"

/* What the events say of one fault beyond struct fault_info. */
struct fault_note {
  int64_t took_ns; /* from the decision until the injection was done */
  char unconfirmed[160], unhealed[160];
};
struct confirmation {
  const struct record_info *info;
  struct fault_note *notes; /* by fault */
};

static int begin(void *state, const struct record_info *info, struct error *err) {
  struct confirmation *it = state;
  it->info = info;
  it->notes = calloc((size_t)info->fault_count + 1, sizeof *it->notes);
  return it->notes ? 0 : error_set(err, STATUS_MEMORY, "out of memory for faults");
}

static int item(void *state, const struct record_item *item, struct error *err) {
  struct confirmation *it = state;
  const struct event *event = item->event;
  (void)err;
  if (event->fault == FAULT_NONE) return 0;
  struct fault_note *note = &it->notes[event->fault];
  if (event->kind == EVENT_FAULT_INJECTED) note->took_ns = event->number;
  if (event->kind == EVENT_FAULT_UNCONFIRMED && !note->unconfirmed[0])
    snprintf(note->unconfirmed, sizeof note->unconfirmed, "%.150s", event->text);
  if (event->kind == EVENT_FAULT_HEAL_FAILED && !note->unhealed[0])
    snprintf(note->unhealed, sizeof note->unhealed, "%.150s", event->text);
  return 0;
}

static int doubt(struct finding *finding, uint64_t time_ns, const char *label, const char *what,
                 const char *why, struct error *err) {
  char colon[4] = "";
  if (why[0]) snprintf(colon, sizeof colon, ": ");
  int status = finding_raise(finding, VERDICT_UNKNOWN, err, "%s %s%s%s", label, what, colon, why);
  if (status < 0) return status;
  return witness_add(finding, "unconfirmed", time_ns, err, "%s %s%s%s", label, what, colon, why);
}

static int check_fault(const struct confirmation *it, int32_t f, struct finding *finding,
                       struct error *err) {
  const struct fault_info *fault = &it->info->faults[f];
  const struct fault_note *note = &it->notes[f];
  char label[128];
  fault_label(it->info, f, label);
  uint64_t begin_ns = fault_begin_ns(fault);
  if (begin_ns == TIME_NEVER)
    return doubt(finding, it->info->end_ns, label, "was never injected", note->unconfirmed, err);
  if (fault->confirmed_ns == TIME_NEVER) {
    int status = doubt(finding, begin_ns, label, "was not seen in effect", note->unconfirmed, err);
    if (status < 0) return status;
  }
  if (fault->planned) return 0;
  if (fault->healed_ns == TIME_NEVER)
    return doubt(finding, it->info->end_ns, label, "was not healed", note->unhealed, err);
  if (fault->heal_confirmed_ns == TIME_NEVER)
    return doubt(finding, fault->healed_ns, label, "was healed, but not seen to be gone",
                 note->unhealed, err);
  return 0;
}

static int give_injection(const struct confirmation *it, int32_t f, struct finding *finding,
                          struct error *err) {
  const struct fault_info *fault = &it->info->faults[f];
  if (fault->planned)
    return measure_none(finding, "injection_time", UNIT_DURATION, f, "a step is not injected", err);
  if (fault->confirmed_ns == TIME_NEVER || fault->injected_ns == TIME_NEVER)
    return measure_unknown(finding, "injection_time", UNIT_DURATION, f,
                           "the fault was not confirmed in effect", err);
  int64_t took_ns = it->notes[f].took_ns;
  uint64_t decided_ns = difference_ns(fault->injected_ns, took_ns > 0 ? (uint64_t)took_ns : 0);
  return measure_known(finding, "injection_time", UNIT_DURATION,
                       seconds_of(difference_ns(fault->confirmed_ns, decided_ns)), f, err);
}

static int finish(void *state, struct finding *finding, struct error *err) {
  struct confirmation *it = state;
  uint32_t confirmed = 0;
  int status = 0;
  for (uint32_t f = 0; f < it->info->fault_count && status == 0; f++) {
    status = check_fault(it, (int32_t)f, finding, err);
    if (status == 0) status = give_injection(it, (int32_t)f, finding, err);
    if (it->info->faults[f].confirmed_ns != TIME_NEVER) confirmed++;
  }
  if (status == 0 && it->info->fault_count == 0)
    status = measure_none(finding, "injection_time", UNIT_DURATION, FAULT_NONE,
                          "there was no fault", err);
  if (status == 0)
    status = measure_known(finding, "faults_confirmed", UNIT_COUNT, confirmed, FAULT_NONE, err);
  return status;
}

static void release(void *state) {
  struct confirmation *it = state;
  free(it->notes);
}

static const char *const measures[] = {"injection_time", "faults_confirmed", NULL};

const struct checker checker_confirmation = {
    .plugin = {.name = "confirmation",
               .summary = "Whether each fault was seen in effect and seen to be gone again",
               .state_size = sizeof(struct confirmation)},
    .wants = WANTS_EVENTS,
    .measures = measures,
    .begin = begin,
    .item = item,
    .finish = finish,
    .release = release,
};
