/* The virtual backend of the loop. */
#include "base/virtual_time.h"

#include <stddef.h>

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

int virtual_time_init(struct virtual_time *time, struct error *err) {
  static const struct loop_backend backend = {.wait = virtual_wait};
  *time = (struct virtual_time){.now_ns = 3600 * NS_PER_S,
                                .clock = {.now = virtual_now, .state = time}};
  return loop_new_with(&time->clock, &backend, time, &time->loop, err);
}

void virtual_time_release(struct virtual_time *time) {
  loop_free(time->loop);
  time->loop = NULL;
}
