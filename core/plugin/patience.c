/* Deadlines and poll() for threads that may block. */
#include "plugin/patience.h"

#include <errno.h>
#include <poll.h>

#define ATTEMPT_TIMEOUT_NS (5 * NS_PER_S)
#define RETRY_PAUSE_NS (100 * NS_PER_MS)
#define CANCELLED_LOOK_NS (100 * NS_PER_MS)

struct patience patience_for(const struct access *access, uint64_t timeout_ns) {
  uint64_t now_ns = clock_now_ns(&clock_monotonic);
  return (struct patience){
      .access = access,
      .deadline_ns = timeout_ns > TIME_NEVER - now_ns ? TIME_NEVER : now_ns + timeout_ns};
}

struct patience patience_for_attempt(const struct patience *whole) {
  struct patience attempt = patience_for(whole->access, ATTEMPT_TIMEOUT_NS);
  if (attempt.deadline_ns > whole->deadline_ns) attempt.deadline_ns = whole->deadline_ns;
  return attempt;
}

int patience_wait_socket(const struct patience *patience, int fd, short events, struct error *err) {
  struct pollfd watched = {.fd = fd, .events = events};
  const struct access *access = patience->access;
  for (;;) {
    uint64_t now_ns = clock_now_ns(&clock_monotonic);
    if (access->cancelled && access->cancelled(access->cancelled_data))
      return error_set(err, STATUS_INTERRUPTED, "interrupted while an answer was awaited");
    if (now_ns >= patience->deadline_ns) return error_set(err, STATUS_TIMEOUT, "no answer in time");
    uint64_t wait_ns = patience->deadline_ns - now_ns;
    if (wait_ns > CANCELLED_LOOK_NS) wait_ns = CANCELLED_LOOK_NS;
    int ready = poll(&watched, 1, (int)(wait_ns / NS_PER_MS) + 1);
    if (ready > 0) return 0;
    if (ready < 0 && errno != EINTR) return error_set_errno(err, errno, "cannot poll");
  }
}

bool patience_try_again(const struct patience *whole, int status) {
  const struct patience pause = patience_for(whole->access, RETRY_PAUSE_NS);
  if (pause.deadline_ns >= whole->deadline_ns || status == STATUS_USAGE ||
      status == STATUS_MEMORY || status == STATUS_INTERRUPTED)
    return false;
  (void)patience_wait_socket(&pause, -1, 0, NULL);
  return true;
}
