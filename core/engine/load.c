/* The load: which kind of it a run has, and what holds for both. */
#include <assert.h>

#include "engine/load_internal.h"

int load_start(const struct load_spec *spec, uint64_t deadline_ns, struct load **ret_load,
               struct error *err) {
  const struct load_kind *kind = spec->loop ? &load_in_virtual_time : &load_on_threads;
  return kind->start(spec, deadline_ns, ret_load, err);
}

void load_begin(struct load *load, uint64_t begin_ns) {
  load->kind->begin(load, begin_ns);
}

int load_end(struct load *load, uint64_t end_ns, struct error *err) {
  return load->kind->end(load, end_ns, err);
}

int load_stop(struct load *load, struct error *err) {
  int status = load->kind->stop(load, err);
  if (status < 0) return status;
  struct load_totals totals;
  load_totals(load, &totals);
  assert(totals.scheduled == totals.ok + totals.fail + totals.unknown + totals.skipped);
  return 0;
}

void load_totals(struct load *load, struct load_totals *ret) {
  load->kind->totals(load, ret);
}

void load_free(struct load *load) {
  if (load) load->kind->free(load);
}
