/* The hooks that all planned steps share. */
#include "step.h"

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
