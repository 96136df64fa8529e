/* The virtual backend of the loop. */
#include "support/virtual_time.h"

#include "support/test.h"

static uint64_t virtual_now(const struct clock *clock) {
  const struct virtual_time *time = clock->state;
  return time->now_ns;
}

static int virtual_wait(struct loop *loop, uint64_t deadline_ns, struct error *err) {
  struct virtual_time *time = loop_state(loop);
  if (deadline_ns == TIME_NEVER)
    return error_set(err, STATUS_INTERNAL, "nothing will ever happen on this loop");
  if (deadline_ns > time->now_ns) time->now_ns = deadline_ns;
  return 0;
}

static const struct loop_backend virtual_backend = {.wait = virtual_wait};

void virtual_time_init(struct virtual_time *time) {
  struct error err = ERROR_INIT;
  *time = (struct virtual_time){.now_ns = 3600 * NS_PER_S,
                                .clock = {.now = virtual_now, .state = time}};
  assert_ok(loop_new_with(&time->clock, &virtual_backend, time, &time->loop, &err), &err);
}

void virtual_time_release(struct virtual_time *time) {
  loop_free(time->loop);
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
