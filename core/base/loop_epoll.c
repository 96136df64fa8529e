/* Waiting in real time: epoll for descriptors, and a timerfd among them, because epoll_wait() counts
 * in milliseconds and a schedule of operations counts in microseconds. */
#include "base/loop_epoll.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCH 128

struct loop_epoll {
  int epoll_fd, timer_fd;
  uint64_t armed_ns; /* what the timerfd is set to; TIME_NEVER: not set */
  /* The batch being dispatched. A callback may remove a watch that comes later in it; its entry is
   * cleared then, so that a freed watch is never touched. */
  struct epoll_event events[BATCH];
  int event_count;
};

int loop_epoll_new(void **ret_state, struct error *err) {
  struct loop_epoll *state = calloc(1, sizeof *state);
  if (!state) return error_set(err, STATUS_MEMORY, "out of memory for a loop");
  state->armed_ns = TIME_NEVER;
  state->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  state->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  /* Edge triggered: an expiry is seen once and needs no read(). The timer's entry has no watch. */
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
  if (state->epoll_fd < 0 || state->timer_fd < 0 ||
      epoll_ctl(state->epoll_fd, EPOLL_CTL_ADD, state->timer_fd, &event)) {
    int errnum = errno;
    loop_epoll_free(state);
    return error_set_errno(err, errnum, "cannot make an event loop");
  }
  *ret_state = state;
  return 0;
}

void loop_epoll_free(void *epoll_state) {
  struct loop_epoll *state = epoll_state;
  if (!state) return;
  if (state->epoll_fd >= 0) close(state->epoll_fd);
  if (state->timer_fd >= 0) close(state->timer_fd);
  free(state);
}

static void free_state(struct loop *loop) {
  loop_epoll_free(loop_state(loop));
}

static int watch_set(struct loop *loop, struct watch *watch, unsigned interest, struct error *err) {
  struct loop_epoll *state = loop_state(loop);
  if (interest == 0) {
    for (int i = 0; i < state->event_count; i++)
      if (state->events[i].data.ptr == watch) state->events[i].data.ptr = NULL;
    /* The kernel forgot it already if it was closed. */
    if (epoll_ctl(state->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL) && errno != ENOENT &&
        errno != EBADF)
      return error_set_errno(err, errno, "cannot stop watching descriptor %d", watch->fd);
    return 0;
  }
  struct epoll_event event = {.data.ptr = watch};
  if (interest & LOOP_READ) event.events |= EPOLLIN;
  if (interest & LOOP_WRITE) event.events |= EPOLLOUT;
  int operation = watch->active ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(state->epoll_fd, operation, watch->fd, &event))
    return error_set_errno(err, errno, "cannot watch descriptor %d", watch->fd);
  return 0;
}

static void dispatch(struct loop_epoll *state) {
  for (int i = 0; i < state->event_count; i++) {
    struct watch *watch = state->events[i].data.ptr;
    if (!watch) continue; /* the timer, or a watch that was removed meanwhile */
    uint32_t seen = state->events[i].events;
    unsigned events = 0;
    if (seen & EPOLLIN) events |= LOOP_READ;
    if (seen & EPOLLOUT) events |= LOOP_WRITE;
    events &= watch->interest; /* may have shrunk since the kernel answered */
    if (seen & (EPOLLERR | EPOLLHUP)) events = LOOP_READ | LOOP_WRITE;
    if (events) watch->ready(watch, events);
  }
  state->event_count = 0;
}

/* Sets the timerfd to `deadline_ns`, if it is not already. */
static int set_timer(struct loop_epoll *state, uint64_t deadline_ns, struct error *err) {
  if (deadline_ns == state->armed_ns) return 0;
  struct itimerspec spec = {.it_value = {.tv_sec = 0}};
  if (deadline_ns != TIME_NEVER) {
    spec.it_value.tv_sec = (time_t)(deadline_ns / NS_PER_S);
    spec.it_value.tv_nsec = (long)(deadline_ns % NS_PER_S);
  }
  if (timerfd_settime(state->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL))
    return error_set_errno(err, errno, "cannot set a timer");
  state->armed_ns = deadline_ns;
  return 0;
}

static int wait_epoll(struct loop *loop, uint64_t deadline_ns, struct error *err) {
  struct loop_epoll *state = loop_state(loop);
  int timeout = -1;
  if (deadline_ns != TIME_NEVER && deadline_ns <= loop_now_ns(loop)) {
    timeout = 0; /* due: only look, and leave the timer as it is */
  } else {
    int status = set_timer(state, deadline_ns, err);
    if (status) return status;
  }
  int count = epoll_wait(state->epoll_fd, state->events, BATCH, timeout);
  if (count < 0 && errno != EINTR) return error_set_errno(err, errno, "cannot wait for events");
  state->event_count = count < 0 ? 0 : count;
  for (int i = 0; i < state->event_count; i++)
    if (!state->events[i].data.ptr) state->armed_ns = TIME_NEVER; /* it expired */
  dispatch(state);
  return 0;
}

const struct loop_backend loop_backend_epoll = {
    .wait = wait_epoll, .watch_set = watch_set, .free_state = free_state};
