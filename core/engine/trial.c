/* Runs a scenario in virtual time and judges the record. */
#include "engine/trial.h"

#include <assert.h>
#include <unistd.h>

#include "engine/run.h"

int trial_run(const struct trial_spec *spec, struct trial *ret, struct error *err) {
  assert(spec->scenario->provider->virtual_time);
  *ret = (struct trial){.opened = false};
  arena_init(&ret->arena, 0);
  struct log silent;
  struct interrupt interrupt; /* nobody raises it: who wants a trial to end kills its process */
  log_init(&silent, STDERR_FILENO, LOG_ERROR);
  silent.live = false;
  interrupt_init(&interrupt);
  struct run_spec run = {.scenario = spec->scenario,
                         .seed = spec->seed,
                         .run_directory = spec->directory,
                         .cluster_id = "simulated",
                         .log = &silent,
                         .interrupt = &interrupt};
  bool measured = false;
  struct error why = ERROR_INIT;
  int status = run_execute(&run, &measured, &why);
  if (status < 0 && !measured) {
    if (err) *err = why;
    return status;
  }
  status = record_open(spec->directory, &ret->record, err);
  if (status < 0) return status;
  ret->opened = true;
  return judge_run(&ret->record, spec->scenario, spec->checkers, &ret->arena, &ret->result, err);
}

void trial_release(struct trial *trial) {
  if (trial->opened) record_close(&trial->record);
  arena_release(&trial->arena);
  *trial = (struct trial){.opened = false};
}
