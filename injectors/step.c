/* The hooks that all planned steps share. */
#include "step.h"

int step_fits_successor(const void *config, const struct fault_place *place, struct error *err) {
  const struct step_config *step = config;
  (void)place;
  if (step->target.kind == TARGET_REPLICA || step->target.kind == TARGET_HOST) return 0;
  return error_set(err, STATUS_USAGE,
                   "target: %s.%s %s the primary; expected who becomes it: %s.replica[0] or "
                   "host/NAME",
                   step->target.service, step->target.kind == TARGET_ANY ? "any" : "primary",
                   step->target.kind == TARGET_ANY ? "may be" : "is", step->target.service);
}

int step_inject(struct injection *in, struct error *err) {
  return in->service->service->step(in->service, in->injector->step, in->host, err);
}

int step_confirm(const struct injection *in, bool *ret_active, struct error *err) {
  (void)in;
  (void)err;
  *ret_active = false;
  return 0;
}

int step_heal(struct injection *in, struct error *err) {
  (void)in;
  (void)err;
  return 0;
}
