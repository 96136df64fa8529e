/* One pass over a record with all checkers at once. A checker that fails says so in its finding;
 * the others go on. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "engine/record_internal.h"

#define CHECKERS_MAX 64

/* One checker at work. */
struct worker {
  const struct checker *checker;
  void *state;
  int status; /* of the first call that failed; it is called no more */
  struct error error;
};

struct check {
  struct worker workers[CHECKERS_MAX];
  uint32_t count;
  bool rows_first; /* the pass that gives rows before everything else */
};

static void check_release(struct check *check) {
  for (uint32_t i = 0; i < check->count; i++) {
    struct worker *worker = &check->workers[i];
    if (worker->checker->release && worker->state) worker->checker->release(worker->state);
    free(worker->state);
  }
}

static bool wants_item(const struct worker *worker, const struct record_item *item,
                       bool rows_first) {
  uint32_t wants = worker->checker->wants;
  if (item->operation) return wants & WANTS_OPERATIONS;
  if (item->sample) return wants & WANTS_SAMPLES;
  if (item->event) return wants & WANTS_EVENTS;
  return wants & (rows_first ? WANTS_ROWS_FIRST : WANTS_ROWS);
}

static int give_item(void *data, const struct record_item *item, struct error *err) {
  struct check *check = data;
  (void)err;
  for (uint32_t i = 0; i < check->count; i++) {
    struct worker *worker = &check->workers[i];
    if (worker->status < 0 || !wants_item(worker, item, check->rows_first)) continue;
    worker->status = worker->checker->item(worker->state, item, &worker->error);
  }
  return 0;
}

static void begin(struct check *check, const struct record_info *info) {
  for (uint32_t i = 0; i < check->count; i++) {
    struct worker *worker = &check->workers[i];
    size_t size = worker->checker->plugin.state_size;
    worker->state = calloc(1, size ? size : 1);
    if (!worker->state)
      worker->status = error_set(&worker->error, STATUS_MEMORY, "out of memory for a checker");
    else if (worker->checker->begin)
      worker->status = worker->checker->begin(worker->state, info, &worker->error);
  }
}

/* An UNKNOWN finding that says why the checker could not do its work. What it measured before it
 * failed is not shown: half a number is a wrong number. */
static int give_up(const struct worker *worker, struct arena *arena, struct finding *ret_finding,
                   struct error *err) {
  char text[ERROR_MESSAGE_SIZE + ERROR_FILE_SIZE];
  error_format(&worker->error, text, sizeof text);
  const char *why = arena_printf(arena, "the checker could not finish: %s", text);
  if (!why) return error_set(err, STATUS_MEMORY, "out of memory for a finding");
  *ret_finding = (struct finding){
      .checker = worker->checker, .verdict = VERDICT_UNKNOWN, .why = why, .arena = arena};
  for (const char *const *name = worker->checker->measures; name && *name; name++) {
    const struct measure measure = {
        .name = *name, .fault = FAULT_NONE, .host = HOST_NONE, .why = why};
    int status = finding_measure(ret_finding, &measure, err);
    if (status < 0) return status;
  }
  return 0;
}

static int finish(struct worker *worker, struct arena *arena, struct finding *ret_finding,
                  struct error *err) {
  struct finding finding = {.checker = worker->checker, .arena = arena};
  if (worker->status == 0)
    worker->status = worker->checker->finish(worker->state, &finding, &worker->error);
  if (worker->status < 0) return give_up(worker, arena, ret_finding, err);
  *ret_finding = finding;
  return 0;
}

static int run_passes(const struct record *record, struct check *check, struct error *err) {
  uint32_t wants = 0, first = 0;
  for (uint32_t i = 0; i < check->count; i++) {
    wants |= check->workers[i].checker->wants & ~(uint32_t)WANTS_ROWS_FIRST;
    first |= check->workers[i].checker->wants & WANTS_ROWS_FIRST;
  }
  check->rows_first = true;
  int status = first ? record_visit_all(record, WANTS_ROWS_FIRST, give_item, check, err) : 0;
  check->rows_first = false;
  return status < 0 ? status : record_visit_all(record, wants, give_item, check, err);
}

int record_check(const struct record *record, const struct checker *const *table,
                 struct arena *arena, struct finding **ret_findings, uint32_t *ret_count,
                 struct error *err) {
  CLEANUP(check_release) struct check check = {.count = 0};
  while (table[check.count] && check.count < CHECKERS_MAX) {
    check.workers[check.count].checker = table[check.count];
    check.count++;
  }
  assert(!table[check.count]);
  struct finding *findings = arena_calloc(arena, check.count + 1, sizeof *findings);
  if (!findings) return error_set(err, STATUS_MEMORY, "out of memory for findings");
  begin(&check, &record->info);
  struct error broken = ERROR_INIT;
  int status = run_passes(record, &check, &broken);
  /* A record that cannot be read to its end: nobody has seen all of it. */
  for (uint32_t i = 0; status < 0 && i < check.count; i++) {
    if (check.workers[i].status == 0) check.workers[i].error = broken;
    check.workers[i].status = status;
  }
  for (uint32_t i = 0; i < check.count; i++) {
    status = finish(&check.workers[i], arena, &findings[i], err);
    if (status < 0) return status;
  }
  *ret_findings = findings;
  *ret_count = check.count;
  return 0;
}
