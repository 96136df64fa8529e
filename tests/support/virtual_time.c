/* Turning a loop in virtual time. */
#include "support/virtual_time.h"

#include "support/test.h"

void virtual_time_begin(struct virtual_time *time) {
  struct error err = ERROR_INIT;
  assert_ok(virtual_time_init(time, &err), &err);
}

static void reach(struct timer *timer, uint64_t now_ns) {
  (void)now_ns;
  *(bool *)timer->owner = true;
}

void virtual_time_run(struct virtual_time *time, uint64_t until_ns, const bool *done) {
  struct error err = ERROR_INIT;
  bool reached = false;
  struct timer end = {.fire = reach, .owner = &reached};
  assert_ok(loop_timer_arm(time->loop, &end, until_ns, &err), &err);
  while (!reached && !(done && *done)) assert_ok(loop_turn(time->loop, TIME_NEVER, &err), &err);
  loop_timer_cancel(time->loop, &end);
}
